//! Bodies: which framing applies, and the bytes of a chunked one.

pub mod chunked;
pub mod framing;

pub use chunked::Chunked;
pub use framing::Framing;

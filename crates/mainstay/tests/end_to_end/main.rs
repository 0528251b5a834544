//! The whole site through the real binary.

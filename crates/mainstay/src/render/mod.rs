//! Pure: values as text for people.

pub(crate) mod findings;

//! Properties and examples.

//! What is news, as sequences of diagnoses.

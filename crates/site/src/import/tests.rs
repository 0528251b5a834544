//! Pure tests placeholder

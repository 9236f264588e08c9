//! CUSTOM.

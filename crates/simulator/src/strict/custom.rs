//! A strict provider of CUSTOM.

//! A strict provider of SIGNATURE.

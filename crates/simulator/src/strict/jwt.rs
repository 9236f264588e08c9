//! A strict provider of JWT.

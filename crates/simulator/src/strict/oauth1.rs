//! A strict provider of OAUTH1.

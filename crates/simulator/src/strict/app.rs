//! A strict provider of APP.

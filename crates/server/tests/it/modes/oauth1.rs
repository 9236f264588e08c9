//! OAUTH1.

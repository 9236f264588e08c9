//! A strict provider of AWS_SIGV4.

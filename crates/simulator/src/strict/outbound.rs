//! A strict provider of OAUTH2 with an outbound installation.

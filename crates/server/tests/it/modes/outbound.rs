//! OAUTH2 with an outbound installation.

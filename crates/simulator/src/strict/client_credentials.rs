//! A strict provider of OAUTH2_CC.

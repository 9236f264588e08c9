//! A strict provider of TBA.

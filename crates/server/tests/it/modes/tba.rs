//! TBA.

//! APP.

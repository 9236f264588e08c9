//! One file per auth mode, and the pure preparation of a request. No database
//! and no HTTP client: a token request goes through the caller's
//! [`TokenEndpoint`].
//!
//! A mode is a file, a variant of [`Credentials`] and its lines in `modes.rs`,
//! the only place that chooses by mode.

pub mod api_key;
pub mod basic;
mod client;
mod credentials;
mod endpoint;
mod error;
pub mod expiry;
mod modes;
pub mod oauth2;
pub mod quirks;
pub mod request;
mod scope;
mod secret;

pub use client::{Client, OwnClient, SECRET_OVERRIDE};
pub use credentials::Credentials;
pub use endpoint::{TokenEndpoint, TransportError};
pub use error::Error;
pub use modes::{Entry, accept, entry, refresh};

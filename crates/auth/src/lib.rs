//! One file per auth mode, and the pure preparation of a request. No database
//! and no HTTP client: a token request goes through the caller's
//! [`TokenEndpoint`].
//!
//! A mode is a file, a variant of [`Credentials`] and its lines in `modes.rs`,
//! the only place that chooses by mode.

pub mod api_key;
mod app;
pub mod aws_sigv4;
pub mod basic;
mod beside;
mod bill;
mod client;
mod client_credentials;
mod credentials;
mod custom;
mod endpoint;
mod entered;
mod error;
pub mod expiry;
mod finished;
mod import;
mod install_plugin;
mod jwt;
mod login;
pub mod mcp;
mod modes;
pub mod oauth1;
pub mod oauth2;
mod outbound;
pub mod quirks;
pub mod redirect;
pub mod request;
mod scope;
mod secret;
pub mod sign;
mod signature;
mod tba;
mod two_step;

pub use app::check_key as check_app_key;
pub use beside::{has_beside, refresh_beside};
pub use client::{AppKey, Client, OwnClient, Plugin, SECRET_OVERRIDE};
pub use client_credentials::{ClientCertificate, client_certificate};
pub use credentials::Credentials;
pub use custom::{Custom, complete as complete_installation};
pub use endpoint::{TokenEndpoint, TransportError};
pub use entered::{Entered, Rejected};
pub use error::Error;
pub use finished::Finished;
pub use import::{Imported, Wrong, import};
pub use jwt::join_key;
pub use login::Login;
pub use modes::{
    Entry, backends, begin, connect, entry, finish, has_client, made_up, needs_client, own_kind,
    refresh, signs_with_client,
};
pub use outbound::complete as complete_outbound;
pub use tba::Tba;

//! The core of Linkspan: configuration, vault, database, tenancy, integrations,
//! connections and logs.
//!
//! It knows the domain and the database, and nothing of HTTP servers.

pub mod assemble;
pub mod breakpoint;
pub mod catalogue;
pub mod config;
pub mod connect_sessions;
pub mod connections;
pub mod core;
pub mod db;
mod error;
pub mod events;
pub mod integrations;
pub mod limits;
pub mod logs;
mod meter;
pub mod oauth_flows;
mod outbound;
pub mod popup_channels;
pub mod public_key;
pub mod tenancy;
pub mod token;
pub mod vault;

pub use crate::core::Core;
pub use error::Error;

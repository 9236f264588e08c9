//! Connections: one end user's authorisation of one integration.

pub mod begin;
pub(crate) mod configuration;
mod edit;
pub mod finish;
mod import;
pub mod keep_alive;
mod list;
pub mod live;
pub mod metadata;
pub mod number;
mod recheck;
pub mod refresh;
pub mod seal;
mod store;
pub mod sweep;
pub mod syncing;
mod verify;

pub use configuration::shown;
pub use edit::update;
pub use import::import;
pub use list::{Filter, list};
pub use live::Live;
pub use store::{Connection, NewConnection, create, delete, get, upsert};

//! Connections: one end user's authorisation of one integration.

pub mod begin;
mod edit;
pub mod finish;
mod import;
mod list;
pub mod live;
pub mod metadata;
pub mod refresh;
pub mod sweep;
mod store;
mod verify;

pub use live::Live;
pub use edit::update;
pub use import::import;
pub use list::{Filter, list};
pub use store::{Connection, NewConnection, create, delete, get, upsert};

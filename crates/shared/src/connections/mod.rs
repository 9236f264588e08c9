//! Connections: one end user's authorisation of one integration.

pub mod begin;
pub mod finish;
pub mod live;
pub mod refresh;
pub mod sweep;
mod store;

pub use live::Live;
pub use store::{Connection, Filter, NewConnection, delete, get, list, upsert};

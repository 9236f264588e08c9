//! The database: the connection type and pools of `linkspan-db`, the tables, and
//! the migrations that make them.

pub mod migrate;
pub mod schema;

pub use linkspan_db::{Connection, Database, Error, Lent, Settings, Usage, scalar};

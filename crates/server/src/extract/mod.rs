//! What handlers take: who calls, and what they send. Both refuse a request
//! before the handler runs, so a route without a permission does not compile
//! into one that is open by mistake.

mod body;
mod browser;
mod caller;
mod query;

pub(crate) use body::Body;
pub(crate) use browser::{Browser, BrowserParams, Session};
pub(crate) use caller::{Caller, CallerOrSession, Permission, permission};
pub(crate) use query::Query;

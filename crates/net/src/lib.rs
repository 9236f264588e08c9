//! The only way out: an HTTP client with an address policy, pinned DNS, timeouts and redaction.
//!
//! Every connection that [`Client`] opens goes to an address that its
//! [`AddressPolicy`] has just checked. Nothing is taken from the environment:
//! no proxy, no certificate file.

mod body;
mod client;
mod connect;
mod error;
mod lookup;
mod policy;
mod redirect;
mod request;
mod resolve;
mod tls;

pub mod redact;

pub use self::body::{Body, BodyError};
pub use self::client::{Client, Deadlines, Limits, Settings};
pub use self::error::{Error, RedirectDenial};
pub use self::lookup::SystemLookup;
pub use self::policy::{AddressPolicy, Blocked, PolicyError, Range};
pub use self::redirect::{Followed, Onward, Redirects, Resigned};
pub use self::resolve::{Lookup, LookupFuture};
pub use self::tls::Identity;

/// What every body is, and the body of a streamed response, as [`Client::send`]
/// gives it.
pub use hyper::body::{Body as HttpBody, Incoming};

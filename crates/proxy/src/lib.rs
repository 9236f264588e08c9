//! One API call with a connection's credentials: policy, retries, streaming
//! (CONTRACT 2.7).
//!
//! [`Instructions`] reads what a caller says in headers, [`Proxy::call`] makes
//! the call, [`end_to_end`] keeps of the answer what is meant for the caller.

mod answer;
mod call;
mod error;
mod instructions;
mod options;
mod retry;
mod send;
mod unauthorised;

pub use answer::end_to_end;
pub use call::{Body, Call, Proxy, Settings};
pub use error::Error;
pub use instructions::Instructions;
pub use options::Options;

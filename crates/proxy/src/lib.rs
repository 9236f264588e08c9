//! One API call with a connection's credentials: policy, retries, streaming
//! (CONTRACT 2.7).
//!
//! [`Instructions`] reads what a caller says in headers, [`Proxy::call`] makes
//! the call, and [`AnswerBody`] carries the answer.

mod answer;
mod body;
mod call;
mod decompress;
mod error;
mod gate;
mod identities;
mod instructions;
mod meter;
mod options;
mod record;
mod retry;
mod send;
mod told;
mod unauthorised;

pub use body::{AnswerBody, Broken};
pub use call::{Body, Call, Proxy, Settings};
pub use error::Error;
pub use gate::Limits;
pub use instructions::Instructions;
pub use options::Options;

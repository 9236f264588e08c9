//! Fresh credentials, and none lost. What several processes do to each other is
//! in `crates/cli/tests/it/refresh`.

mod answers;
mod beside;
mod fixture;
mod forced;
mod keep_alive;
mod rules;

pub(crate) use fixture::{EXPIRED, age, events, shift};

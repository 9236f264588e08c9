//! What the worker promises.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod ending;
mod failing;
mod fairness;
mod lease;
mod schedules;
mod settling;
mod silence;
mod slots;
mod versions;
mod waking;
mod world;

//! The HTTP server: it parses, authorises, calls one service, and answers.
//!
//! What a call does is in the crates below; what a failure becomes on the wire
//! is in `error`, and nowhere else.

mod app;
mod callers;
mod error;
mod extract;
mod meter;
mod occasionally;
pub mod openapi;
mod pages;
mod popup;
mod rate;
mod routes;
mod run;
mod seats;
mod serving;
mod slots;
mod transport;

pub use run::{Observer, Running, StartError, Stopper, proxy, start};

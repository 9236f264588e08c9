//! Tests of a running server, over real HTTP, on a real Postgres, against a
//! strict provider.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod access;
mod bad_input;
mod configuration;
mod connections;
mod environments;
mod flow;
mod herd;
mod integrations;
mod legacy;
mod log_budget;
mod logs;
mod modes;
mod openapi;
mod proxy;
mod proxy_failures;
mod proxy_faults;
mod proxy_limits;
mod proxy_streams;
mod proxy_wire;
mod public_key;
mod rate;
mod reconnect;
mod records;
mod refresh;
mod rotate;
mod routes;
mod seats;
mod secrets;
mod slow;
mod sync;
mod upstream;
mod websocket;

//! Tests of a running server, over real HTTP, on a real Postgres, against a
//! strict provider.

mod access;
mod bad_input;
mod flow;
mod proxy;
mod proxy_failures;
mod proxy_wire;
mod refresh;
mod secrets;
mod websocket;

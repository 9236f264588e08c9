//! One file a resource: parse, authorise, call one service, answer.

pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod credentials;
pub(crate) mod environments;
pub(crate) mod health;
pub(crate) mod integrations;
pub(crate) mod logs;
pub(crate) mod metadata;
pub(crate) mod oauth;
pub(crate) mod providers;
pub(crate) mod proxy;
pub(crate) mod records;
pub(crate) mod sync;
pub(crate) mod telemetry;
pub(crate) mod variables;
pub(crate) mod websocket;

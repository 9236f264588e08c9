//! What benchmarks measure with: programs under load, and loads.

pub(super) mod graphile_worker;
pub(super) mod jobs;
pub(super) mod linkspan;
pub(super) mod nginx;
pub(super) mod open_loop;
pub(super) mod postgres;
pub(super) mod process;
pub(super) mod transfer;
pub(super) mod wrk;

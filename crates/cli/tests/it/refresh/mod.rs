//! Refreshes by several real processes, some of which die or stand still.

mod crowd;
mod killed;
mod outage;
mod paused;
pub(crate) mod world;

//! Jobs that come again and again.
//!
//! A schedule makes a job each time it is due, unless its last one still waits or
//! runs. What was missed while nobody looked is made up for once, not once for
//! each time. "every" intervals begin at a moment of each interval that is
//! the schedule's own, and cron's times are followed within their first minute,
//! so that a thousand schedules do not start in one second.

mod many;
mod spec;
mod store;
mod tick;

pub use many::{Live, live, lock, of_ids, pause_all, remove, resume_all, unique_key};
pub use spec::{Spec, SpecError};
pub use store::{Schedule, create, delete, delete_of_tenant, find, pause, resume, update};
pub use tick::{Tick, tick};

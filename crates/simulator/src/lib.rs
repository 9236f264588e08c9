//! Simulated providers over real HTTP: the demo, and the strict ones that tests use.
//!
//! One provider so far, "demo": OAuth 2.0 with PKCE (RFC 6749, RFC 7636), a
//! paginated resource behind its access tokens, and a second small API behind
//! a fixed key. It is strict. A request that lacks a parameter, repeats one,
//! or carries one that the provider did not ask for is refused, and the
//! refusal is kept for the test to find ([`Control::refusals`]), because a
//! lenient test double would hide exactly the mistakes that real providers
//! punish.
//!
//! The crate depends on no other crate of the workspace, so that it cannot
//! repeat a mistake of the code that it checks.

mod answers;
pub mod browser;
mod control;
mod faults;
mod grants;
mod items;
mod journal;
mod pages;
mod params;
mod rotation;
mod routes;
mod run;
mod settings;
mod state;
mod state_file;
pub mod strict;
mod tickets;

pub use control::Control;
pub use faults::Fault;
pub use journal::{Refusal, SeenRequest};
pub use rotation::{Asked, Fate, Minted, Reuse, Rotation};
pub use run::Simulator;
pub use settings::{Client, RedirectUris, Settings, User};

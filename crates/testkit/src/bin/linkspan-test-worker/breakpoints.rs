//! Lets this process be killed or stopped at a named point of its work, as
//! `linkspan` can be.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use linkspan_shared::breakpoint;
use rustix::process::{Signal, getpid, kill_process};

/// By when a signal has reached every thread.
const TAKES_EFFECT: Duration = Duration::from_millis(200);

/// Holds `POINT kill` or `POINT stop`; whoever comes to the point takes it away
/// first, so that each line works once.
static FILE: OnceLock<PathBuf> = OnceLock::new();

pub(crate) fn install(file: PathBuf) {
    let _ = FILE.set(file);
    breakpoint::install(reached);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process that is about to stand still may block its runtime"
)]
fn reached(point: &'static str) {
    let Some(path) = FILE.get() else { return };
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    let signal = match text.trim().split_once(' ') {
        Some((name, "kill")) if name == point => Signal::KILL,
        Some((name, "stop")) if name == point => Signal::STOP,
        _ => return,
    };
    if fs::remove_file(path).is_ok() {
        // It cannot fail for oneself, and nobody would be there to be told.
        let _ = kill_process(getpid(), signal);
        // A signal to the process reaches one of its threads first. This one
        // must not go on meanwhile.
        std::thread::sleep(TAKES_EFFECT);
    }
}

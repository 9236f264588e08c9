//! Lets a test kill or stop this process at a named point of its work. Only in
//! builds with debug assertions; a release build does not look.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use linkspan_shared::breakpoint;
use rustix::process::{Signal, getpid, kill_process};

/// Names a file that holds `POINT kill` or `POINT stop`. Whoever comes to the
/// point takes the file away first: each line works once.
const VARIABLE: &str = "LINKSPAN_TEST_BREAKPOINT";

/// By when a signal has reached every thread.
const TAKES_EFFECT: Duration = Duration::from_millis(200);

static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Installs the hook if a test asks for it.
pub(crate) fn install() {
    if let Some(path) = crate::environment::variable(VARIABLE) {
        let _ = FILE.set(PathBuf::from(path));
        breakpoint::install(reached);
    }
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

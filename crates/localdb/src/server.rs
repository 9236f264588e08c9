use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster;
use crate::error::io;
use crate::place::Place;
use crate::postmaster::{self, PidFile};
use crate::{Binaries, Durability, Error, Options, Progress, binaries};

/// The database that every new cluster has, besides Postgres' own `postgres`.
pub const DATABASE: &str = "linkspan";

/// Covers the replay of the log after a crash, which can take a while.
const START: Duration = Duration::from_secs(60);

/// A running Postgres that ends with this value.
///
/// It listens on 127.0.0.1 only, for the superuser `postgres` with a random
/// password. It runs in its own process group, so that Ctrl-C in a terminal
/// reaches the program first and the database last.
pub struct LocalPostgres {
    place: Place,
    major: u32,
    port: u16,
    password: String,
    pid: i32,
    exit: Mutex<Receiver<ExitStatus>>,
    stopped: bool,
}

impl fmt::Debug for LocalPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPostgres")
            .field("data_dir", &self.place.data_dir())
            .field("port", &self.port)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl LocalPostgres {
    /// Starts Postgres, making whatever is missing, and returns once it
    /// accepts connections. A server that a killed run left is stopped first.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process runs this data directory; else
    /// what went wrong, with the end of the server's log when it ran.
    pub fn start(options: &Options, progress: Progress<'_>) -> Result<Self, Error> {
        let place = Place::open(&options.data_dir)?;
        postmaster::stop_leftover(&place.cluster())?;
        let found = binaries::find_or_fetch(options, progress)?;
        let password = cluster::ensure(&place, &found, options, progress)?;
        let deadline = Instant::now() + START;
        loop {
            let port = match options.port {
                Some(port) => port,
                None => free_port()?,
            };
            let (pid, exit) = launch(&place, &found, options, port)?;
            let failure = match wait_until_ready(&place, pid, &exit, deadline) {
                Ok(()) => {
                    let exit = Mutex::new(exit);
                    return Ok(Self {
                        place,
                        major: found.major,
                        port,
                        password,
                        pid,
                        exit,
                        stopped: false,
                    });
                }
                Err(failure) => failure,
            };
            if Instant::now() > deadline || !passes(&failure, options) {
                return Err(failure);
            }
            postmaster::pause();
        }
    }

    /// `postgres://…@127.0.0.1:…/<database>`, password included. The database
    /// is [`DATABASE`], `postgres`, or one that the caller created; its name
    /// goes into the URL as it is.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The major version that runs.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Whether the postmaster is still there: it also ends when it is killed
    /// from outside.
    pub fn is_running(&self) -> bool {
        postmaster::serves(self.pid, &self.place.cluster())
    }

    /// Ends all sessions and stops: Postgres' "fast" shutdown.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when it had to be killed; the next start recovers.
    pub fn stop(mut self) -> Result<(), Error> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let exit = self
            .exit
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Already over: its number may belong to another process by now.
        if !matches!(exit.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            return Ok(());
        }
        let steps = [
            (Signal::INT, postmaster::FAST_SHUTDOWN),
            (Signal::QUIT, postmaster::IMMEDIATE_SHUTDOWN),
        ];
        for (step, patience) in steps {
            postmaster::signal(self.pid, step);
            match exit.recv_timeout(patience) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return Ok(()),
            }
        }
        postmaster::signal(self.pid, Signal::KILL);
        Err(Error::NotStopped { pid: self.pid })
    }
}

impl Drop for LocalPostgres {
    fn drop(&mut self) {
        let _ = self.shut_down();
    }
}

fn launch(
    place: &Place,
    found: &Binaries,
    options: &Options,
    port: u16,
) -> Result<(i32, Receiver<ExitStatus>), Error> {
    let path = place.log();
    let log = File::create(&path).map_err(io("create", &path))?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
        .map_err(io("protect", &path))?;
    let errors = log.try_clone().map_err(io("open", &path))?;
    let mut postgres = cluster::command(place, found, "postgres");
    postgres.arg("-D").arg(place.cluster());
    for setting in settings(options, port) {
        postgres.arg("-c").arg(setting);
    }
    postgres
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    let failed = |reason: String| Error::Program {
        program: "postgres".to_owned(),
        reason,
    };
    let mut child = postgres
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let pid = i32::try_from(child.id()).map_err(|error| failed(error.to_string()))?;
    let (ended, exit) = mpsc::channel();
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = ended.send(status);
        }
    });
    Ok((pid, exit))
}

fn settings(options: &Options, port: u16) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={}", options.max_connections),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if options.durability == Durability::TestOnly {
        let unsafe_but_fast = [
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ];
        settings.extend(unsafe_but_fast.map(str::to_owned));
    }
    settings
}

fn free_port() -> Result<u16, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(io("find a free port for", Path::new("postgres")))
}

fn wait_until_ready(
    place: &Place,
    pid: i32,
    exit: &Receiver<ExitStatus>,
    deadline: Instant,
) -> Result<(), Error> {
    let data = place.cluster();
    loop {
        // The wait for its end is also the pause between two looks.
        let reason = match exit.recv_timeout(Duration::from_millis(10)) {
            Ok(status) => format!("it ended with {status}"),
            Err(RecvTimeoutError::Disconnected) => "it ended".to_owned(),
            Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                postmaster::signal(pid, Signal::QUIT);
                format!("not ready after {} seconds", START.as_secs())
            }
            Err(RecvTimeoutError::Timeout) => {
                if PidFile::read(&data) == Some(PidFile { pid, ready: true }) {
                    return Ok(());
                }
                continue;
            }
        };
        return Err(Error::NotStarted {
            reason,
            log: end_of_log(&place.log()),
        });
    }
}

fn end_of_log(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(15)..)
        .unwrap_or_default()
        .join("\n")
}

/// Failures that another attempt gets past: somebody took the free port, or
/// the sessions of a killed postmaster are still noticing that it is gone.
fn passes(failure: &Error, options: &Options) -> bool {
    let Error::NotStarted { log, .. } = failure else {
        return false;
    };
    log.contains("is still in use")
        || options.port.is_none() && log.contains("could not bind IPv4 address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_give_up_durability() {
        let mut options = Options::new("d");
        assert!(
            !settings(&options, 1)
                .iter()
                .any(|setting| setting.contains("fsync"))
        );
        options.durability = Durability::TestOnly;
        assert!(
            settings(&options, 1)
                .iter()
                .any(|setting| setting == "fsync=off")
        );
    }

    #[test]
    fn a_taken_port_is_tried_again_only_when_any_port_will_do() {
        let log =
            "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use".to_owned();
        let failure = Error::NotStarted {
            reason: String::new(),
            log,
        };
        assert!(passes(&failure, &Options::new("d")));
        assert!(!passes(
            &failure,
            &Options {
                port: Some(5432),
                ..Options::new("d")
            }
        ));
    }
}

//! Makes the cluster, and prepares the commands that work on it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::error::io;
use crate::place::{self, Place};
use crate::{Binaries, DATABASE, Durability, Error, Options, Progress};

/// Makes the cluster unless it is there, and returns its password.
pub(crate) fn ensure(
    place: &Place,
    found: &Binaries,
    options: &Options,
    progress: Progress<'_>,
) -> Result<String, Error> {
    let cluster = place.cluster();
    let existing = place::cluster_version(place.data_dir());
    if let Some(data) = existing.filter(|major| *major != found.major) {
        if options.durability == Durability::Full {
            return Err(Error::OtherVersion {
                data_dir: cluster,
                data,
                binaries: found.major,
            });
        }
        progress(&format!("Replacing the test data of Postgres {data}"));
        std::fs::remove_dir_all(&cluster).map_err(io("remove", &cluster))?;
    }
    if !cluster.exists() {
        progress(&format!(
            "Making a Postgres {} database in {} (binaries from {})",
            found.major,
            cluster.display(),
            found.bin_dir.display()
        ));
        return make(place, found, options);
    }
    if let Some(password) = place.password() {
        return Ok(password);
    }
    let password = place.new_password()?;
    single_user(place, found, &cluster, &set_password(&password))?;
    Ok(password)
}

/// Everything happens in a folder aside, renamed at the end: a kill on the way
/// leaves nothing that looks like a cluster.
fn make(place: &Place, found: &Binaries, options: &Options) -> Result<String, Error> {
    let unfinished = place.unfinished_cluster();
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(io("remove", &unfinished))?;
    }
    let mut initdb = command(place, found, "initdb");
    initdb.arg("-D").arg(&unfinished);
    initdb.args([
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C",
        "-A",
        "trust",
        "--no-instructions",
    ]);
    if options.durability == Durability::TestOnly {
        initdb.arg("--no-sync");
    }
    // It reads nothing there, but holds the lock: should this process be killed,
    // the next one must not work in the same folder before initdb has ended.
    run(initdb.stdin(place.share_lock()?), "initdb")?;
    // Nobody has connected yet, and from here on nobody does without it.
    let hba = unfinished.join("pg_hba.conf");
    std::fs::write(&hba, "host all all 127.0.0.1/32 scram-sha-256\n").map_err(io("write", &hba))?;
    let password = match place.password() {
        Some(password) => password,
        None => place.new_password()?,
    };
    let sql = format!("{}CREATE DATABASE {DATABASE};\n", set_password(&password));
    single_user(place, found, &unfinished, &sql)?;
    let cluster = place.cluster();
    std::fs::rename(&unfinished, &cluster).map_err(io("create", &cluster))?;
    Ok(password)
}

fn set_password(password: &str) -> String {
    format!("ALTER ROLE postgres PASSWORD '{password}';\n")
}

/// Runs statements, one a line, without a server: no port, no password.
fn single_user(place: &Place, found: &Binaries, cluster: &Path, sql: &str) -> Result<(), Error> {
    let mut statements =
        tempfile::tempfile().map_err(io("create a file in", &std::env::temp_dir()))?;
    let rewound = statements
        .write_all(sql.as_bytes())
        .and_then(|()| std::io::Seek::rewind(&mut statements));
    rewound.map_err(io("write", cluster))?;
    let mut postgres = command(place, found, "postgres");
    postgres
        .args(["--single", "-c", "exit_on_error=on", "-D"])
        .arg(cluster)
        .arg("postgres");
    run(postgres.stdin(statements), "postgres --single")
}

/// One of Postgres' programs, as the server's user, deaf to `PG*` variables.
pub(crate) fn command(place: &Place, found: &Binaries, program: &str) -> Command {
    let mut command = Command::new(found.bin_dir.join(program));
    command.current_dir("/");
    for variable in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS", "PGTZ"] {
        command.env_remove(variable);
    }
    // macOS: without it, system libraries start threads, which Postgres refuses.
    command.env("LC_ALL", "C");
    if let Some(account) = place.account {
        account.run(&mut command);
    }
    command
}

fn run(command: &mut Command, program: &str) -> Result<(), Error> {
    let failed = |reason: String| Error::Program {
        program: program.to_owned(),
        reason,
    };
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

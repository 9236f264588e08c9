//! Long randomised runs against real processes; `cargo xtask soak` starts them.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod api;
mod auth;
mod blows;
mod excuse;
mod jobs;
mod plan;
mod process;
mod random;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use linkspan_shared::vault::Keyring;
use linkspan_testkit::TestDatabase;
use secrecy::ExposeSecret as _;

use crate::auth::{Findings, Order};
use crate::plan::Provider;
use crate::process::Program;

/// Long randomised runs against real processes.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Subcommand)]
enum Run {
    /// Refreshes, while the processes that make them are killed and stopped.
    Auth {
        /// The `linkspan` that is tried.
        #[arg(long)]
        program: PathBuf,
        /// Names the sequence of faults.
        #[arg(long)]
        seed: u64,
        /// How many faults.
        #[arg(long)]
        count: u64,
        /// How strict the provider is with a refresh token that comes again.
        #[arg(long, value_enum)]
        provider: Provider,
    },
    /// Jobs, while the processes that run them are killed and stopped.
    Jobs {
        /// The `linkspan-test-worker` that is tried.
        #[arg(long)]
        program: PathBuf,
        /// Names the sequence of jobs and faults.
        #[arg(long)]
        seed: u64,
        /// How many faults.
        #[arg(long)]
        count: u64,
    },
    /// Syncs, while the processes that run them are killed and stopped.
    Sync {
        /// The `linkspan-test-worker` that is tried.
        #[arg(long)]
        program: PathBuf,
        /// Names the sequence of what is done to syncs and to their workers.
        #[arg(long)]
        seed: u64,
        /// How many faults.
        #[arg(long)]
        count: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().run {
        Run::Auth {
            program,
            seed,
            count,
            provider,
        } => {
            let order = Order {
                seed,
                count,
                provider,
            };
            soak(program, &order).await
        }
        Run::Jobs {
            program,
            seed,
            count,
        } => jobs::run(program, seed, count).await,
        Run::Sync {
            program,
            seed,
            count,
        } => Box::pin(sync::run(program, seed, count)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(path: PathBuf, order: &Order) -> Result<()> {
    let begun = Instant::now();
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir()?;
    let lease = auth::LEASE.as_millis().to_string();
    let program = Program {
        path,
        variables: vec![
            (
                "LINKSPAN_DATABASE_URL",
                database.url().expose_secret().to_owned(),
            ),
            ("LINKSPAN_DATABASE_MAX_CONNECTIONS", "8".to_owned()),
            (
                "LINKSPAN_VAULT_ROOT_KEYS",
                Keyring::generate("soak")?.expose_secret().to_owned(),
            ),
            ("LINKSPAN_SERVER_BIND", "127.0.0.1:0".to_owned()),
            ("LINKSPAN_SERVER_WORKERS", "1".to_owned()),
            ("LINKSPAN_CACHE_TTL_MS", "0".to_owned()),
            ("LINKSPAN_NET_ALLOW", "loopback".to_owned()),
            ("LINKSPAN_LOGS_FORMAT", "json".to_owned()),
            ("LINKSPAN_REFRESH_LEASE_MS", lease),
        ],
    };
    let printed = program.read(&["admin", "bootstrap"]).await?;
    let key = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("dev "))
        .context("bootstrap printed no key for `dev`")?;
    let findings = auth::run(order, &program, key.trim().to_owned(), folder.path()).await?;
    report(order, &findings, begun);
    drop(database);
    if !findings.lost.is_empty() {
        bail!("{} refresh tokens were lost", findings.lost.len());
    }
    Ok(())
}

fn report(order: &Order, findings: &Findings, begun: Instant) {
    let Order {
        seed,
        count,
        provider,
    } = order;
    println!(
        "\nseed {seed}, {count} faults, provider {provider:?}: {} kills and {} pauses in {:.0} s",
        findings.kills,
        findings.pauses,
        begun.elapsed().as_secs_f64()
    );
    let mut recovery = findings.recovery.clone();
    recovery.sort_unstable();
    let at = |part: usize| {
        recovery.get((recovery.len() * part / 100).min(recovery.len().saturating_sub(1)))
    };
    if let (Some(median), Some(late), Some(last)) = (at(50), at(99), recovery.last()) {
        println!(
            "well again, from the call on: median {median} ms, p99 {late} ms, longest {last} ms"
        );
    }
    println!("usable refresh tokens lost: {}", findings.lost.len());
    for (kind, count) in &findings.unavoidable {
        println!("beyond help with this provider, {kind}: {count}");
    }
}

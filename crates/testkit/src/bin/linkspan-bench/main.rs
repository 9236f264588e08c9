//! What `cargo xtask bench jobs` and `bench schedule` measure: the jobs table and
//! the worker on a Postgres that is given. Prints one JSON object.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod latency;
mod noop;
mod queue;
mod schedules;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use linkspan_db::{Database, Settings};
use linkspan_shared::db::migrate::{self, Group};
use secrecy::SecretString;

use crate::latency::Way;

/// Measures jobs.
#[derive(Parser)]
struct Arguments {
    /// Of the database to measure on, which is migrated first.
    #[arg(long)]
    url: SecretString,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// Has so many jobs wait, those that wait already among them.
    Fill {
        #[arg(long)]
        waiting: u64,
    },
    /// Adds jobs, and then runs as many.
    Throughput {
        #[arg(long)]
        count: u64,
        /// Jobs that the worker runs at once.
        #[arg(long)]
        slots: usize,
        /// Meanwhile a transaction is open that began before.
        #[arg(long)]
        under_snapshot: bool,
    },
    /// From enqueuing a job to its start, one after the other.
    Latency {
        #[arg(long, value_enum)]
        by: Way,
        #[arg(long)]
        count: usize,
    },
    /// Makes schedules, and times looks at them.
    Ticks {
        /// How many schedules there are.
        #[arg(long)]
        count: u64,
        #[arg(long)]
        looks: usize,
    },
    /// Runs a worker on the schedules that there are.
    Lateness {
        #[arg(long)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Arguments::parse()).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: Arguments) -> Result<serde_json::Value> {
    let Arguments { url, measure } = arguments;
    migrate::run(&url, Group::Control).await?;
    let db = Database::new(&Settings {
        url: url.clone(),
        max_connections: 24,
        timeout: Duration::from_secs(10),
    })?;
    match measure {
        Measure::Fill { waiting } => queue::fill(&db, waiting).await,
        Measure::Throughput {
            count,
            slots,
            under_snapshot,
        } => throughput::run(&db, count, slots, under_snapshot).await,
        Measure::Latency { by, count } => latency::run(&db, &url, by, count).await,
        Measure::Ticks { count, looks } => schedules::ticks(&db, count, looks).await,
        Measure::Lateness { seconds } => schedules::lateness(&db, seconds).await,
    }
}

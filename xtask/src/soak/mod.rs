//! `cargo xtask soak NAME`: long randomised runs, seeded and reproducible, that
//! are too long for the tests.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Subcommand;
use tokio::process::Command;

use crate::stage::Stages;
use crate::test::Databases;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Subcommand)]
enum Run {
    /// Kill and stop the processes that refresh tokens, and look after each
    /// whether a usable refresh token was lost.
    Auth {
        /// Names the sequence of faults; a new one unless it is given.
        #[arg(long)]
        seed: Option<u64>,
        /// How many faults.
        #[arg(long, default_value_t = 2000)]
        count: u64,
        /// How the provider takes a refresh token that comes again: `grace`
        /// answers again for half a minute, `strict` refuses, `revoking` ends
        /// the grant.
        #[arg(long, default_value = "grace", value_parser = ["grace", "strict", "revoking"])]
        provider: String,
    },
    /// Kill and stop four processes that run jobs, and look in the end whether
    /// one was lost, or counted by a holder that was not the last.
    Jobs {
        /// Names the sequence of jobs and faults; a new one unless it is given.
        #[arg(long)]
        seed: Option<u64>,
        /// How many faults.
        #[arg(long, default_value_t = 2000)]
        count: u64,
    },
    /// Kill and stop four processes that run a thousand syncs, and look in the end
    /// whether each has exactly the records that there are to be had.
    Sync {
        /// Names the sequence of what is done to syncs and workers; a new one unless it
        /// is given.
        #[arg(long)]
        seed: Option<u64>,
        /// How many faults, of which four in five kill.
        #[arg(long, default_value_t = 2500)]
        count: u64,
    },
}

impl Run {
    /// The program that is tried, and what the soak is told but for it.
    fn order(&self) -> (&'static str, Vec<String>) {
        let of = |name: &str, seed: &Option<u64>, count: &u64| {
            let seed = seed.unwrap_or_else(new_seed).to_string();
            let all = [name, "--seed", &seed, "--count", &count.to_string()];
            all.map(str::to_owned).to_vec()
        };
        match self {
            Self::Auth {
                seed,
                count,
                provider,
            } => {
                let mut told = of("auth", seed, count);
                told.extend(["--provider".to_owned(), provider.clone()]);
                ("linkspan", told)
            }
            Self::Jobs { seed, count } => ("linkspan-test-worker", of("jobs", seed, count)),
            Self::Sync { seed, count } => ("linkspan-test-worker", of("sync", seed, count)),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (program, told) = arguments.run.order();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stages = Stages::new()?;
        let build = ["build", "--bin", program, "--bin", "linkspan-soak"];
        stages
            .run("Build", Command::from(workspace::cargo()).args(build))
            .await?;
        let target = workspace::target()?;
        let databases = Databases::open(&target, None).await?;
        let mut soak = Command::new(target.join("debug/linkspan-soak"));
        soak.args(told)
            .arg("--program")
            .arg(target.join("debug").join(program));
        let passed = stages.run("Soak", databases.told_to(&mut soak)).await;
        passed.and(databases.close().await)
    })
}

/// Nobody has to guess it; it is printed with the command.
fn new_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

//! `linkspan jobs`.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Subcommand;
use linkspan_jobs::dead::{self, Dead};
use linkspan_jobs::{cancel, limits, stats, wake};
use linkspan_shared::db::{Connection, Database};

use crate::environment;

/// Dead jobs read at once.
const PAGE: u16 = 500;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How many jobs wait, run and are dead.
    Status,
    /// List the jobs that failed too often, each with its last error.
    Dead,
    /// Give dead jobs all their attempts again.
    Retry {
        /// Their numbers.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All that are dead.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Forget dead jobs.
    Discard {
        /// Their numbers.
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Cancel a job that waits or runs.
    Cancel {
        /// Its number.
        id: i64,
    },
    /// Let at most so many jobs of a group, or of an environment, run at once.
    Limit {
        /// The group, or the environment's id.
        key: String,
        /// How many; none takes the limit away.
        max: Option<u32>,
    },
}

pub(crate) async fn run(file: Option<&Path>, command: Command) -> Result<()> {
    let config = environment::config(file, &[])?;
    let db = Database::new(&config.control_database()?)?;
    let mut conn = db.conn().await?;
    match command {
        Command::Status => status(&mut conn).await,
        Command::Dead => {
            for one in all_dead(&mut conn).await? {
                println!("{}", line(&one));
            }
            Ok(())
        }
        Command::Retry { ids, all } => {
            let ids = match all {
                true => all_dead(&mut conn)
                    .await?
                    .iter()
                    .map(|one| one.id)
                    .collect(),
                false => ids,
            };
            let retried = each(&ids, async |id| Ok(dead::retry(&mut conn, id).await?)).await;
            wake::tell(&mut conn).await?;
            retried
        }
        Command::Discard { ids } => {
            each(&ids, async |id| Ok(dead::discard(&mut conn, id).await?)).await
        }
        Command::Cancel { id } => {
            let done = cancel::cancel(&mut conn, cancel::Which::Id(id)).await?;
            match (done.waiting, done.running) {
                (0, 0) => bail!("job {id} neither waits nor runs"),
                (0, _) => {
                    wake::tell(&mut conn).await?;
                    println!("job {id} runs; its worker is told within a second");
                }
                _ => println!("job {id} cancelled"),
            }
            Ok(())
        }
        Command::Limit { key, max } => {
            limits::set(&mut conn, &key, max).await?;
            Ok(wake::tell(&mut conn).await?)
        }
    }
}

async fn status(conn: &mut Connection) -> Result<()> {
    for one in stats::count(conn).await? {
        let more = if one.count >= stats::COUNTED {
            " or more"
        } else {
            ""
        };
        let oldest = one.oldest.map_or(String::new(), |seconds| {
            format!(", the next one for {seconds:.1} s")
        });
        println!("{:<8} {}{more}{oldest}", one.state, one.count);
    }
    Ok(())
}

async fn all_dead(conn: &mut Connection) -> Result<Vec<Dead>> {
    let mut all = Vec::new();
    loop {
        let page = dead::list(conn, all.last(), PAGE).await?;
        let is_last = page.len() < usize::from(PAGE);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn line(dead: &Dead) -> String {
    let Dead {
        id,
        kind,
        attempt,
        died_at,
        ..
    } = dead;
    let whose = dead.tenant.as_deref().unwrap_or("-");
    let error = dead.last_error.as_deref().unwrap_or("").replace('\n', " ");
    format!(
        "{id}\t{kind}\t{whose}\t{}\t{attempt} runs\t{error}",
        died_at.format("%FT%TZ")
    )
}

/// Does the same with each, and says at the end which there were not.
async fn each(ids: &[i64], mut act: impl AsyncFnMut(i64) -> Result<bool>) -> Result<()> {
    let mut missed = Vec::new();
    for id in ids {
        match act(*id).await {
            Ok(true) => {}
            Ok(false) => missed.push(format!("job {id} is not dead")),
            Err(error) => missed.push(error.to_string()),
        }
    }
    println!("{} jobs", ids.len() - missed.len());
    if missed.is_empty() {
        return Ok(());
    }
    bail!("{}", missed.join("; "))
}

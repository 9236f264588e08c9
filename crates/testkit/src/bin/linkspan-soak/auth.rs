//! `soak auth`: refreshes while the processes that make them are killed and
//! stopped, and after each the question whether the refresh token that the
//! provider takes is the one that is stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use chrono::Utc;
use linkspan_simulator::{Control, Fate, Fault as ProviderFault, Rotation, Settings, Simulator};
use serde_json::json;

use crate::api::Api;
use crate::excuse::{self, Hurt};
use crate::plan::{Fault, Moment, Provider, Round};
use crate::process::{Program, Server};
use crate::random::Random;

/// Short, so that a round takes a second; the rules are the same.
pub(crate) const LEASE: Duration = Duration::from_millis(600);
/// How many rounds are under way at once, each with a process to be hurt.
const LANES: u64 = 6;
/// How long a connection may take to be well again: leases, and a busy machine.
const RECOVERY: Duration = Duration::from_secs(30);

/// What a run is asked for.
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) count: u64,
    pub(crate) provider: Provider,
}

/// What a run has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) rounds: u64,
    pub(crate) kills: u64,
    pub(crate) pauses: u64,
    /// Grants that have ended, to be judged.
    losses: Vec<Loss>,
    /// Grants that were lost although they need not have been.
    pub(crate) lost: Vec<String>,
    /// Grants that nobody could have kept, by the moment of the fault.
    pub(crate) unavoidable: BTreeMap<String, u64>,
    /// Milliseconds from the fault until the connection was well again.
    pub(crate) recovery: Vec<u64>,
}

/// What all lanes share.
struct Ground<'a> {
    order: &'a Order,
    api: Api,
    provider: Control,
    /// A server that nobody hurts.
    steady: String,
    next: AtomicU64,
    findings: Mutex<Findings>,
    faults: Mutex<Vec<Hurt>>,
}

impl Ground<'_> {
    fn faults(&self) -> MutexGuard<'_, Vec<Hurt>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the order; prints a line now and then.
pub(crate) async fn run(
    order: &Order,
    program: &Program,
    key: String,
    folder: &Path,
) -> Result<Findings> {
    let simulator = Simulator::start(Settings::default()).await?;
    let (reuse_interval, revokes_on_reuse) = match order.provider {
        Provider::Grace => (Duration::from_secs(30), true),
        Provider::Strict => (Duration::ZERO, false),
        Provider::Revoking => (Duration::ZERO, true),
    };
    simulator.control().set_rotation(Rotation {
        reuse_interval,
        revokes_on_reuse,
    });
    let steady = Server::start(program, folder, "steady").await?;
    let api = Api::new(key)?;
    integrate(&api, &steady.base_url, &simulator).await?;
    let ground = Ground {
        order,
        api,
        provider: simulator.control(),
        steady: steady.base_url.clone(),
        next: AtomicU64::new(0),
        findings: Mutex::default(),
        faults: Mutex::default(),
    };
    let lanes = (0..LANES).map(|number| lane(&ground, program, folder, number));
    futures_util::future::try_join_all(lanes).await?;
    simulator.stop().await;
    let findings = ground.findings.into_inner();
    let mut findings = findings.unwrap_or_else(PoisonError::into_inner);
    let faults = ground.faults.into_inner();
    let faults = faults.unwrap_or_else(PoisonError::into_inner);
    findings.judge(order.provider, &faults);
    Ok(findings)
}

async fn integrate(api: &Api, server: &str, simulator: &Simulator) -> Result<()> {
    let client = simulator.client();
    let body = json!({
        "unique_key": "demo",
        "provider": "demo",
        "credentials": {
            "type": "OAUTH2",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        },
        "integration_config": {
            "baseUrl": simulator.base_url().as_str().trim_end_matches('/'),
        },
    });
    api.post(server, "/integrations", body).await?;
    Ok(())
}

/// One round after the other, with a process and a connection of its own. What
/// round number N does depends on the seed and on N alone.
async fn lane(ground: &Ground<'_>, program: &Program, folder: &Path, number: u64) -> Result<()> {
    let mut victim = Server::start(program, folder, &format!("victim-{number}")).await?;
    let mut connection: Option<(String, String)> = None;
    loop {
        let n = ground.next.fetch_add(1, Ordering::Relaxed);
        if n >= ground.order.count {
            let end = Hurt::kill(victim.name(), Utc::now());
            ground.faults().push(end);
            return Ok(());
        }
        let round = Round::draw(&mut Random::new(ground.order.seed, n), LEASE);
        let (id, grant) = match connection.take() {
            Some(same) => same,
            None => connect(ground, n).await?,
        };
        let begun = Instant::now();
        let hurt = hurt(ground, &round, &mut victim, &id)
            .await
            .with_context(|| format!("round {n}: {round}"))?;
        let hurt_from = hurt.from;
        ground.faults().push(hurt);
        let is_well = recovers(ground, &id, &grant).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fate = ground.provider.fate(&grant);
        let loss = is_well.err().map(|error| Loss {
            text: format!(
                "round {n} ({round}): {}: {error:#}",
                excuse::told(&fate, hurt_from)
            ),
            round,
            fate,
        });
        if note(ground, &round, loss, took) {
            connection = Some((id, grant));
        }
    }
}

async fn connect(ground: &Ground<'_>, n: u64) -> Result<(String, String)> {
    let id = format!("from-{n}");
    let minted = ground.provider.mint();
    let grant = minted.refresh_token.clone();
    ground.api.connect(&ground.steady, &id, minted).await?;
    Ok((id, grant))
}

/// Lets the victim refresh, and does to it what the round says. Says when.
async fn hurt(ground: &Ground<'_>, round: &Round, victim: &mut Server, id: &str) -> Result<Hurt> {
    if !round.provider_takes.is_zero() {
        let slow = ProviderFault::SlowToken(round.provider_takes);
        ground.provider.fail_next(slow);
    }
    if let Moment::Point(point) = round.moment {
        let what = match round.fault {
            Fault::Kill => "kill",
            Fault::Pause(_) => "stop",
        };
        victim.arm(point, what)?;
    }
    let url = victim.base_url.clone();
    let call = async {
        // It may die; what matters is what is stored.
        let _ = ground.api.force(&url, id).await;
    };
    let others = (0..round.others).map(|_| async {
        let _ = ground.api.force(&ground.steady, id).await;
    });
    let fault = async {
        let (mut from, mut is_missed) = (Utc::now(), false);
        match round.moment {
            Moment::After(long) => {
                tokio::time::sleep(long).await;
                from = Utc::now();
                match round.fault {
                    Fault::Kill => victim.signal("KILL")?,
                    Fault::Pause(_) => victim.signal("STOP")?,
                }
            }
            // Others may be faster, so that it never comes to the point.
            Moment::Point(_) => {
                let is_there = async {
                    while victim.is_armed() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                if tokio::time::timeout(LEASE * 2, is_there).await.is_err() {
                    victim.disarm();
                    is_missed = true;
                }
            }
        }
        let until = Utc::now();
        let mut resumed = None;
        if let Fault::Pause(long) = round.fault {
            tokio::time::sleep(long).await;
            resumed = Some(Utc::now());
            victim.signal("CONT")?;
        }
        let hurt = Hurt {
            process: victim.name().to_owned(),
            fault: round.fault,
            from,
            until,
            resumed,
        };
        anyhow::Ok((hurt, is_missed))
    };
    let (_, _, fault) = tokio::join!(call, futures_util::future::join_all(others), fault);
    let (mut hurt, is_missed) = fault?;
    if round.fault == Fault::Kill {
        // One that has not come to its point is killed now.
        let now = Utc::now();
        victim.replace().await?;
        if is_missed {
            (hurt.from, hurt.until) = (now, now);
        }
    }
    Ok(hurt)
}

/// The stored refresh token is the one that the provider takes, a refresh
/// works, and then it is so again.
async fn recovers(ground: &Ground<'_>, id: &str, grant: &str) -> Result<()> {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let Some(live) = ground.provider.live_refresh_token(grant) else {
            bail!("the grant has ended");
        };
        let stored = ground.api.stored(&ground.steady, id).await;
        let is_live = stored.as_ref().is_ok_and(|stored| *stored == live);
        // Other servers may be about to repeat what the victim left: a refresh
        // that fails is no loss as long as a later one succeeds.
        if is_live && is_refreshed(ground, id, grant).await? {
            return Ok(());
        }
        // Without grace nobody will ever bring what a killed process was given.
        let patience = match ground.order.provider {
            Provider::Grace => Duration::ZERO,
            Provider::Strict | Provider::Revoking => RECOVERY - LEASE * 6,
        };
        if Instant::now() + patience > deadline {
            bail!("the stored token is not the provider's: {:?}", stored.err());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a refresh brings the token that the provider then takes.
async fn is_refreshed(ground: &Ground<'_>, id: &str, grant: &str) -> Result<bool> {
    let (status, _) = ground.api.force(&ground.steady, id).await?;
    let stored = ground.api.stored(&ground.steady, id).await?;
    Ok(status == 200 && ground.provider.live_refresh_token(grant) == Some(stored))
}

/// A grant that is not well again.
#[derive(Debug)]
struct Loss {
    round: Round,
    fate: Fate,
    text: String,
}

/// Whether all is well.
fn note(ground: &Ground<'_>, round: &Round, loss: Option<Loss>, took: u64) -> bool {
    let is_well = loss.is_none();
    let mut findings = ground
        .findings
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    findings.rounds += 1;
    match round.fault {
        Fault::Kill => findings.kills += 1,
        Fault::Pause(_) => findings.pauses += 1,
    }
    match loss {
        None => findings.recovery.push(took),
        Some(loss) => findings.losses.push(loss),
    }
    if findings.rounds.is_multiple_of(100) {
        let (rounds, ended) = (findings.rounds, findings.losses.len());
        println!("{rounds} rounds, {ended} grants ended");
    }
    is_well
}

impl Findings {
    /// Tells the grants that nobody could have kept from the others, when all faults
    /// are known: another lane's may be the cause.
    fn judge(&mut self, provider: Provider, faults: &[Hurt]) {
        for loss in std::mem::take(&mut self.losses) {
            if excuse::is_beyond_help(provider, faults, &loss.fate, LEASE) {
                *self.unavoidable.entry(loss.round.kind()).or_default() += 1;
            } else {
                eprintln!("LOST in {}", loss.text);
                self.lost.push(loss.text);
            }
        }
    }
}

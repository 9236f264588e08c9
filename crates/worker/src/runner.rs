//! The worker's loop: claim as much as there is room for, run it, settle it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use linkspan_db::Database;
use linkspan_jobs::claim::{Claim, Reach, WINDOW, claim_but};
use linkspan_jobs::{Claimed, Error, Outcome, Settlement, Waker, lease, limits, unknown, wake};
use linkspan_shared::breakpoint;
use secrecy::SecretString;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::answer::{heard, within};
use crate::context::Why;
use crate::foreign::Foreign;
use crate::job::GRACE;
use crate::lease::Lease;
use crate::looks::Looks;
use crate::running::Jobs;
use crate::{Registry, heart, job, keeper, listen, metrics, settler};

/// After a job has ended, so long others may end too before new ones are
/// claimed: one claim for many.
const LINGER: Duration = Duration::from_millis(2);
/// How long a worker that is told what is new goes without looking.
const WHEN_TOLD: Duration = Duration::from_secs(10);

/// Statements may take so long, however short the lease.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Jobs that run at once.
    pub slots: usize,
    /// After so long without a heartbeat its jobs are another's.
    pub lease: Duration,
    /// How often it looks for jobs when nobody tells it of them.
    pub poll: Duration,
    /// How long stopping waits for the jobs that run.
    pub drain: Duration,
    /// A direct connection by which it is told; none to look only.
    pub listen: Option<SecretString>,
}

/// What the tasks of one worker share.
pub(crate) struct Worker {
    pub(crate) id: Uuid,
    pub(crate) db: Database,
    pub(crate) waker: Waker,
    pub(crate) settings: Settings,
    pub(crate) jobs: Arc<Jobs>,
    /// Whether a claim is under way, or its jobs are not in `jobs` yet.
    pub(crate) is_claiming: AtomicBool,
    pub(crate) is_listening: AtomicBool,
    pub(crate) keeper_wake: Notify,
    dispatcher_wake: Notify,
    pub(crate) heart_wake: Notify,
    pub(crate) registry: Registry,
    pub(crate) foreign: Foreign,
    pub(crate) limits: limits::Known,
    busy: AtomicUsize,
    freed: Notify,
}

impl Worker {
    pub(crate) fn wake_all(&self) {
        self.waker.wake_here();
        self.heart_wake.notify_one();
    }

    /// So many jobs became ready by what this worker did. What it has no room for,
    /// others are to look at.
    pub(crate) fn ready(&self, count: usize) {
        if count > 0 {
            self.dispatcher_wake.notify_one();
        }
        if count > self.free() {
            self.waker.wake_elsewhere();
        }
    }

    /// How long to go without looking.
    pub(crate) fn longest_look(&self) -> Duration {
        match self.is_listening.load(Ordering::SeqCst) {
            true => WHEN_TOLD.max(self.settings.poll),
            false => self.settings.poll,
        }
    }

    /// How long to wait for an answer of the database.
    pub(crate) fn patience(&self) -> Duration {
        LEAST_PATIENCE.max(2 * self.settings.lease)
    }

    fn free(&self) -> usize {
        let busy = self.busy.load(Ordering::SeqCst);
        self.settings.slots.saturating_sub(busy)
    }

    async fn claim(&self, count: usize, window: usize, reach: Reach) -> Result<Claim, Error> {
        let mut conn = self.db.conn().await?;
        let others = self.foreign.left();
        let call = claim_but(
            &mut conn,
            self.id,
            count,
            window,
            reach,
            (&others, &self.limits),
        );
        let call = within(self.patience(), call).await;
        heard(conn, call)
    }

    /// Renews a lease that may have run out while the process stood still, since
    /// what is claimed without one is another's at once.
    async fn is_leased(&self) -> Result<(), Error> {
        let late = self.settings.lease / 2;
        match self.jobs.since_beat() {
            Some(since) if since < late => Ok(()),
            _ => heart::beat(self).await,
        }
    }

    /// What waits for a worker that knows its kind need not wait any longer.
    async fn make_known_due(&self) {
        let kinds: Vec<&str> = self.registry.names().collect();
        let made = async { unknown::make_due(&mut *self.db.conn().await?, &kinds).await };
        match made.await {
            Ok(0) => {}
            Ok(_) => self.keeper_wake.notify_one(),
            // They are due in ten minutes at the latest.
            Err(error) => tracing::debug!(%error, "jobs that waited for this version wait on"),
        }
    }

    /// Off the list, and others look for what was handed back.
    async fn leave(&self) -> Result<(), Error> {
        let mut conn = self.db.conn().await?;
        lease::leave(&mut conn, self.id).await?;
        Ok(wake::tell(&mut conn).await?)
    }
}

/// A worker at work.
pub struct Running {
    worker: Arc<Worker>,
    stop: CancellationToken,
    dispatcher: JoinHandle<mpsc::Sender<Settlement>>,
    settler: JoinHandle<()>,
    others: JoinSet<()>,
}

/// Starts a worker on this runtime. The waker is the one that this process wakes
/// workers by.
#[must_use]
pub fn start(db: Database, waker: Waker, registry: Registry, settings: Settings) -> Running {
    let listen = settings.listen.clone();
    let worker = Arc::new(Worker {
        id: Uuid::now_v7(),
        db,
        waker,
        settings,
        jobs: Arc::new(Jobs::default()),
        is_claiming: AtomicBool::new(false),
        is_listening: AtomicBool::new(false),
        keeper_wake: Notify::new(),
        dispatcher_wake: Notify::new(),
        heart_wake: Notify::new(),
        registry,
        foreign: Foreign::default(),
        limits: limits::Known::default(),
        busy: AtomicUsize::new(0),
        freed: Notify::new(),
    });
    tracing::info!(
        worker = %worker.id,
        slots = worker.settings.slots,
        kinds = ?worker.registry.names().collect::<Vec<_>>(),
        "working"
    );
    let (ended, settlements) = mpsc::channel(worker.settings.slots.max(1));
    let stop = CancellationToken::new();
    let mut others = JoinSet::new();
    others.spawn(heart::run(Arc::clone(&worker)));
    others.spawn(keeper::run(Arc::clone(&worker)));
    if let Some(url) = listen {
        others.spawn(listen::run(Arc::clone(&worker), url));
    }
    Running {
        settler: tokio::spawn(settler::run(Arc::clone(&worker), settlements)),
        dispatcher: tokio::spawn(dispatch(Arc::clone(&worker), ended, stop.clone())),
        worker,
        stop,
        others,
    }
}

impl Running {
    /// This worker's id in the table.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.worker.id
    }

    /// Its lease, for whoever wonders whether it can work.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease(Arc::clone(&self.worker))
    }

    /// Claims nothing more, lets what runs end, and hands back what does not in
    /// time, so that another worker begins it at once.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // It may be waiting for the database. What it claims then is recovered.
        let lease = self.worker.settings.lease;
        let ended = match tokio::time::timeout(lease, &mut self.dispatcher).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(error)) => {
                tracing::error!(%error, "the dispatcher of jobs failed");
                None
            }
            Err(_) => {
                self.dispatcher.abort();
                None
            }
        };
        let deadline = Instant::now() + self.worker.settings.drain;
        while self.worker.busy.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            let _ = tokio::time::timeout_at(deadline.into(), self.worker.freed.notified()).await;
        }
        self.worker.jobs.end_all(Why::Stopping);
        // Each run holds a clone of it.
        drop(ended);
        // Beyond the lease they are another's, whatever is written then.
        match tokio::time::timeout(GRACE + self.worker.settings.lease, self.settler).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the settler of jobs failed"),
            Err(_) => tracing::error!(
                "the database is away: jobs could not be handed back, and run again when it is there"
            ),
        }
        self.others.shutdown().await;
        breakpoint::reach("worker.leaving");
        if let Err(error) = self.worker.leave().await {
            tracing::warn!(%error, "the worker stays on the list until its lease has run out");
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("worker", &self.worker.id)
            .finish_non_exhaustive()
    }
}

/// Claims and starts jobs until it is told to stop. Returns the way to the
/// settler, which ends when the last run has let go of it.
async fn dispatch(
    worker: Arc<Worker>,
    ended: mpsc::Sender<Settlement>,
    stop: CancellationToken,
) -> mpsc::Sender<Settlement> {
    // A claim without a lease would be taken for that of a lost worker.
    while let Err(error) = heart::beat(&worker).await {
        tracing::warn!(%error, "the worker cannot begin yet; trying again");
        if or_stop(&stop, tokio::time::sleep(worker.settings.poll)).await {
            return ended;
        }
    }
    worker.make_known_due().await;
    let mut window = 0;
    let mut looks = Looks::default();
    loop {
        if make_room(&worker, &stop).await {
            return ended;
        }
        let free = worker.free();
        worker.is_claiming.store(true, Ordering::SeqCst);
        let leased = worker.is_leased().await;
        let began = Instant::now();
        let reach = looks.next(began);
        let claimed = match leased {
            Ok(()) => worker.claim(free, window.max(free), reach).await,
            Err(error) => Err(error),
        };
        if claimed.is_ok() {
            looks.ended(reach, began, Instant::now());
        }
        breakpoint::reach("job.taken");
        let (is_done, wait) = match claimed {
            Ok(claim) => {
                // Much was put aside: look further at once.
                let wanted = free.min(WINDOW);
                if window > wanted && claim.jobs.len() == wanted {
                    // Others found nothing while this one looked at so much.
                    worker.waker.wake_elsewhere();
                }
                window = if claim.parked > 0 { WINDOW } else { 0 };
                let is_done = claim.jobs.len() < wanted && claim.parked == 0;
                let was_idle = worker.jobs.is_empty();
                for job in claim.jobs {
                    begin(&worker, job, &ended);
                }
                if was_idle && !worker.jobs.is_empty() {
                    worker.heart_wake.notify_one();
                }
                let longest = worker.longest_look();
                let unseen = looks.until_all(reach, Instant::now());
                (
                    is_done,
                    unseen.map_or(longest, |unseen| unseen.min(longest)),
                )
            }
            Err(error) => {
                tracing::warn!(%error, "jobs could not be claimed; trying again");
                (true, worker.settings.poll)
            }
        };
        worker.is_claiming.store(false, Ordering::SeqCst);
        metrics::slots(worker.settings.slots, worker.busy.load(Ordering::SeqCst));
        let told = async {
            tokio::select! {
                () = worker.waker.woken() => {}
                () = worker.dispatcher_wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        };
        if is_done && or_stop(&stop, told).await {
            return ended;
        }
    }
}

/// Waits for a slot; `true` when the worker is to stop.
async fn make_room(worker: &Worker, stop: &CancellationToken) -> bool {
    while worker.free() == 0 {
        if or_stop(stop, worker.freed.notified()).await {
            return true;
        }
        // The others that end just now share the claim.
        if worker.free() < worker.settings.slots / 4 {
            tokio::time::sleep(LINGER).await;
        }
    }
    stop.is_cancelled()
}

/// Waits for `what`, or until the worker is to stop: then `true`.
async fn or_stop(stop: &CancellationToken, what: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = what => false,
    }
}

fn begin(worker: &Arc<Worker>, job: Claimed, ended: &mpsc::Sender<Settlement>) {
    let end = worker.jobs.add(&job);
    worker.busy.fetch_add(1, Ordering::SeqCst);
    metrics::started(&job.kind, job.waited);
    let (worker, ended) = (Arc::clone(worker), ended.clone());
    tokio::spawn(async move {
        let began = Instant::now();
        let outcome = job::run_guarded(&worker.registry, &job, &end).await;
        if outcome == Some(Outcome::Unknown) && worker.foreign.meet(&job.kind) {
            tracing::warn!(
                kind = %job.kind,
                "this worker does not know a kind of job: it is left to those that do"
            );
            // Whether there are any is asked with the next beat.
            worker.heart_wake.notify_one();
        }
        metrics::ended(&job.kind, outcome.as_ref(), began.elapsed());
        match outcome {
            // The settler ends after every run.
            Some(outcome) => drop(ended.send(Settlement::new(&job, outcome)).await),
            None => worker.jobs.remove(std::iter::once((job.id, job.fence))),
        }
        drop(ended);
        worker.busy.fetch_sub(1, Ordering::SeqCst);
        worker.freed.notify_one();
    });
}

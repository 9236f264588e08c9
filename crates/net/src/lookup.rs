//! The operating system's resolver, asked by few at a time.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use tokio::sync::Semaphore;

use crate::resolve::{Lookup, LookupFuture};

/// `getaddrinfo` calls under way at once. Each occupies a thread until it
/// returns, which nobody can hasten; a name server that does not answer holds
/// it for half a minute. Those who wait for their turn wait within
/// [`crate::Settings::connect_timeout`].
const AT_ONCE: usize = 64;

/// The operating system's resolver (`getaddrinfo`), with its hosts file and
/// caches. Clones share its limits: 64 names are looked up at once, and whoever
/// asks for a name that is being looked up gets that answer.
#[derive(Clone)]
pub struct SystemLookup {
    lookups: Arc<Lookups>,
}

/// What looks one name up, on a thread that may be blocked.
type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;
/// [`io::Error`] cannot be cloned, so those who share an answer share it.
type Answer = Result<Vec<IpAddr>, Arc<io::Error>>;
type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

struct Lookups {
    ask: Arc<Ask>,
    turns: Arc<Semaphore>,
    running: Mutex<HashMap<String, WeakShared<Running>>>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self::new(Arc::new(system), AT_ONCE)
    }
}

fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

impl SystemLookup {
    fn new(ask: Arc<Ask>, at_once: usize) -> Self {
        Self {
            lookups: Arc::new(Lookups {
                ask,
                turns: Arc::new(Semaphore::new(at_once)),
                running: Mutex::new(HashMap::new()),
            }),
        }
    }
}

impl Lookup for SystemLookup {
    fn addresses(&self, host: &str) -> LookupFuture {
        let answer = self.lookups.answer(host);
        Box::pin(async move {
            answer
                .await
                .map_err(|error| io::Error::new(error.kind(), error.to_string()))
        })
    }
}

impl Lookups {
    fn running(&self) -> MutexGuard<'_, HashMap<String, WeakShared<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer that is under way for the name, or a new one. It ends when
    /// nobody waits for it any more.
    fn answer(self: &Arc<Self>, host: &str) -> Shared<Running> {
        let mut running = self.running();
        if let Some(shared) = running.get(host).and_then(WeakShared::upgrade) {
            return shared;
        }
        let entry = Entry {
            lookups: Arc::clone(self),
            host: host.to_owned(),
        };
        let new: Running = Box::pin(async move { entry.look_up().await });
        let shared = new.shared();
        if let Some(weak) = shared.downgrade() {
            running.insert(host.to_owned(), weak);
        }
        shared
    }
}

/// A name that is being looked up; gives its place up when it is dropped.
struct Entry {
    lookups: Arc<Lookups>,
    host: String,
}

impl Entry {
    async fn look_up(&self) -> Answer {
        let turns = Arc::clone(&self.lookups.turns);
        let turn = turns.acquire_owned().await;
        let turn = turn.map_err(|closed| Arc::new(io::Error::other(closed)))?;
        let (ask, host) = (Arc::clone(&self.lookups.ask), self.host.clone());
        let asked = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the thread is occupied, also when
            // nobody waits for the answer any more.
            let _turn = turn;
            ask(&host)
        });
        match asked.await {
            Ok(answer) => answer.map_err(Arc::new),
            Err(failed) => Err(Arc::new(io::Error::other(failed))),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lookups.running().remove(&self.host);
    }
}

impl std::fmt::Debug for SystemLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemLookup").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    /// A resolver that says when it is asked, and answers when it is let go.
    struct Held {
        lookup: SystemLookup,
        asked: mpsc::Receiver<String>,
        go: mpsc::Sender<()>,
        at_once: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    fn held(limit: usize) -> Held {
        let (say, asked) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let gone = Mutex::new(gone);
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, peak) = (Arc::clone(&at_once), Arc::clone(&most));
        let ask = move |host: &str| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            say.send(host.to_owned()).unwrap();
            gone.lock().unwrap().recv().unwrap();
            now.fetch_sub(1, Ordering::SeqCst);
            if host == "none.example" {
                return Err(io::Error::other("Temporary failure in name resolution"));
            }
            Ok(vec![ADDRESS])
        };
        Held {
            lookup: SystemLookup::new(Arc::new(ask), limit),
            asked,
            go,
            at_once,
            most,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn few_names_are_looked_up_at_once() {
        let held = held(2);
        let waiting: Vec<_> = (0..6)
            .map(|n| tokio::spawn(held.lookup.addresses(&format!("{n}.example"))))
            .collect();
        for _ in 0..6 {
            held.go.send(()).unwrap();
        }
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap(), [ADDRESS]);
        }
        assert_eq!(held.asked.iter().take(6).count(), 6);
        assert!(held.most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_asks_for_the_same_name_gets_the_same_answer() {
        let held = held(8);
        for host in ["same.example", "none.example"] {
            let waiting: Vec<_> = (0..50).map(|_| held.lookup.addresses(host)).collect();
            held.go.send(()).unwrap();
            for answer in futures_util::future::join_all(waiting).await {
                assert_eq!(answer.is_ok(), host == "same.example");
            }
            assert_eq!(held.asked.try_iter().collect::<Vec<_>>(), [host]);
        }
        // An answer is for those who were waiting: the next one asks again.
        held.go.send(()).unwrap();
        held.lookup.addresses("same.example").await.unwrap();
        assert_eq!(held.asked.try_iter().count(), 1);
        assert!(held.lookup.lookups.running().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_that_nobody_waits_for_keeps_its_turn_and_no_place() {
        let held = held(1);
        let first = held.lookup.addresses("slow.example");
        let gone = tokio::time::timeout(Duration::from_millis(1), first).await;
        assert!(gone.is_err());
        assert_eq!(held.asked.recv().unwrap(), "slow.example");
        assert!(held.lookup.lookups.running().is_empty());
        let second = tokio::spawn(held.lookup.addresses("next.example"));
        assert_eq!(held.at_once.load(Ordering::SeqCst), 1);
        held.go.send(()).unwrap();
        held.go.send(()).unwrap();
        assert_eq!(second.await.unwrap().unwrap(), [ADDRESS]);
        assert_eq!(held.most.load(Ordering::SeqCst), 1);
    }
}

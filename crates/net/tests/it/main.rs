//! The client against real servers on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is the test"
)]

mod calls;
mod names;
mod policy;
mod pool;
mod redirects;
mod server;
mod tls;
mod trick_table;
mod tricks;

use std::io;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use linkspan_net::{AddressPolicy, Client, Deadlines, Incoming, Lookup, LookupFuture, Settings};

/// Long enough never to pass on a slow machine.
const SOON: Deadlines = Deadlines {
    response_head: Duration::from_secs(20),
};

fn loopback_policy() -> AddressPolicy {
    AddressPolicy::from_settings(&["loopback".to_owned()], &[]).unwrap()
}

/// A client that may call the tests' servers.
fn client() -> Client {
    client_with(|_| {})
}

fn client_with(change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = Settings {
        policy: loopback_policy(),
        ..Settings::default()
    };
    change(&mut settings);
    Client::new(settings).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Answers every name with the next of its answers, the last one for ever.
struct Answers {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> std::sync::Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        std::sync::Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for Answers {
    fn addresses(&self, _: &str) -> LookupFuture {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            Some(answers.remove(0))
        } else {
            answers.first().cloned()
        };
        Box::pin(std::future::ready(answer.ok_or_else(|| {
            io::Error::other("failed to lookup address information: Name or service not known")
        })))
    }
}

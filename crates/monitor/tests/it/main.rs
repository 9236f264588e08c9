//! The listener over real sockets.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use linkspan_monitor::{Metrics, Monitor, Probe};
use metrics::{counter, gauge, histogram};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// One runtime and one recorder for all tests: a process has one.
static RUNTIME: LazyLock<(Runtime, Metrics)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let metrics = Metrics::install("1.2.3", "test").unwrap();
    (runtime, metrics)
});

#[derive(Clone, Default)]
struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    reason: Mutex<Option<String>>,
    /// The check never ends.
    hangs: Mutex<bool>,
    asked: Notify,
}

impl Probe for Told {
    async fn ready(&self) -> Result<(), String> {
        self.0.asked.notify_one();
        let hangs = *self.0.hangs.lock().unwrap();
        if hangs {
            std::future::pending::<()>().await;
        }
        let reason = self.0.reason.lock().unwrap().clone();
        reason.map_or(Ok(()), Err)
    }

    fn observe(&self) {
        gauge!("test_observed").increment(1.0);
    }
}

async fn start(probe: Told) -> Monitor {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    Monitor::start(bind, RUNTIME.1.clone(), probe)
        .await
        .unwrap()
}

/// Sends these bytes and reads what comes until the connection is closed.
async fn exchange(monitor: &Monitor, sent: &str) -> String {
    let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("it closes the connection").unwrap();
    String::from_utf8(answer).unwrap()
}

/// Status line's number, and body.
async fn get(monitor: &Monitor, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: monitor\r\n\r\n");
    let answer = exchange(monitor, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[test]
fn readiness_is_what_the_probe_says_and_health_is_not() {
    RUNTIME.0.block_on(async {
        let probe = Told::default();
        let monitor = start(probe.clone()).await;
        let ok = (200, "{\"result\":\"ok\"}\n".to_owned());
        assert_eq!(get(&monitor, "/ready").await, ok);

        *probe.0.reason.lock().unwrap() = Some("no \"tea\"".into());
        let (status, body) = get(&monitor, "/ready").await;
        assert_eq!(status, 503);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["reason"], "no \"tea\"");
        assert_eq!(get(&monitor, "/health").await, ok);

        *probe.0.reason.lock().unwrap() = None;
        assert_eq!(get(&monitor, "/ready").await, ok);
        monitor.stopping();
        let (status, body) = get(&monitor, "/ready").await;
        assert_eq!(status, 503);
        assert!(body.contains("stopping"), "{body}");
        assert_eq!(get(&monitor, "/health").await, ok);
    });
}

#[test]
fn a_check_that_hangs_is_a_no_and_stopping_does_not_wait_for_it() {
    RUNTIME.0.block_on(async {
        let probe = Told::default();
        *probe.0.hangs.lock().unwrap() = true;
        let monitor = Arc::new(start(probe.clone()).await);
        let asking = tokio::spawn({
            let monitor = Arc::clone(&monitor);
            async move { get(&monitor, "/ready").await }
        });
        probe.0.asked.notified().await;
        monitor.stopping();
        let (status, body) = get(&monitor, "/ready").await;
        assert!(status == 503 && body.contains("stopping"), "{body}");
        assert!(!asking.is_finished(), "that one was not waited for");
        let (status, body) = asking.await.unwrap();
        assert!(status == 503 && body.contains("longer than 2"), "{body}");
    });
}

#[test]
fn metrics_are_in_the_format_that_prometheus_reads() {
    RUNTIME.0.block_on(async {
        let monitor = start(Told::default()).await;
        counter!("test_calls_total", "provider" => "a\"b\\c\nd").increment(3);
        let seconds = histogram!("test_duration_seconds");
        for value in [0.0007, 0.004, 0.004, 7.0, 700.0] {
            seconds.record(value);
        }
        let (status, page) = get(&monitor, "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "# TYPE test_calls_total counter",
            "test_calls_total{provider=\"a\\\"b\\\\c\\nd\"} 3",
            "# TYPE test_duration_seconds histogram",
            "test_duration_seconds_bucket{le=\"0.001\"} 1",
            "test_duration_seconds_bucket{le=\"0.005\"} 3",
            "test_duration_seconds_bucket{le=\"10\"} 4",
            "test_duration_seconds_bucket{le=\"60\"} 4",
            "test_duration_seconds_bucket{le=\"+Inf\"} 5",
            "test_duration_seconds_count 5",
            "# TYPE process_cpu_seconds_total counter",
            "linkspan_build_info{version=\"1.2.3\",role=\"test\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        let value = |name: &str| -> f64 {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].trim().parse().unwrap()
        };
        assert!(value("test_observed ") >= 1.0, "gauges are set before");
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_open_fds ") < value("process_max_fds "));
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds ");
        assert!((-1.0..3_600.0).contains(&age), "{age}");
    });
}

#[test]
fn what_is_no_question_of_ours_is_refused() {
    RUNTIME.0.block_on(async {
        let monitor = start(Told::default()).await;
        let (status, body) = get(&monitor, "/other").await;
        assert!(status == 404 && body.contains("/metrics"), "{body}");
        let post = "POST /metrics HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n";
        let answer = exchange(&monitor, post).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
        let answer = exchange(&monitor, "\u{1}\u{2}\r\n\r\n").await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
        let long = format!(
            "GET /health HTTP/1.1\r\nX-Long: {}\r\n\r\n",
            "x".repeat(20_000)
        );
        let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
        // It may be closed before all is written.
        let _ = stream.write_all(long.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    RUNTIME.0.block_on(async {
        let monitor = start(Told::default()).await;
        let mut idle = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
            stream.write_all(b"GET /health HTT").await.unwrap();
            idle.push(stream);
        }
        // All places are taken until the heads have had their time.
        let asked = tokio::time::timeout(Duration::from_secs(20), get(&monitor, "/health"));
        let (status, _) = asked.await.expect("a place becomes free");
        assert_eq!(status, 200);
        for mut stream in idle {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(!rest.starts_with(b"HTTP/1.1 200"), "it had no whole head");
        }
    });
}

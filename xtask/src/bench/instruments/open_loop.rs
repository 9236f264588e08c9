//! Load at a set rate: requests go out when they are due, whether or not those
//! before them are answered, and each is timed from when it was due. A server
//! that stalls is charged with everything that would have come meanwhile, which
//! a load that waits for its answers forgives it.
//!
//! One thread with `poll` and no runtime: tokio's timers are rounded to whole
//! milliseconds, which is as much as there is to measure.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::wrk::Headers;

/// Longer than any server that is worth measuring takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests at a set rate.
pub(in super::super) struct OpenLoop {
    pub(in super::super) address: SocketAddr,
    pub(in super::super) path: &'static str,
    pub(in super::super) headers: Headers,
    /// Requests a second.
    pub(in super::super) rate: f64,
    /// Before latencies count: opening connections is another figure than what
    /// a call takes on one that is open.
    pub(in super::super) settle: Duration,
    /// Connections that they are spread over; a request that is due while all
    /// are taken waits, and its time runs.
    pub(in super::super) connections: usize,
}

/// How long the answers took, sorted.
#[derive(Debug)]
pub(in super::super) struct Latencies(Vec<Duration>);

impl Latencies {
    /// What the given share of the requests took at most, in milliseconds.
    pub(in super::super) fn quantile_ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3)
    }
}

/// A connection, and the answer that comes on it.
struct Connection {
    stream: TcpStream,
    due: Option<Instant>,
    answer: Vec<u8>,
}

impl OpenLoop {
    pub(in super::super) fn run(&self, time: Duration) -> Result<Latencies> {
        let request = request("GET", self.path, &self.headers, None);
        let mut connections = self.connect()?;
        let mut idle: Vec<usize> = (0..connections.len()).collect();
        let mut waiting = VecDeque::new();
        let mut latencies = Vec::new();
        let begun = Instant::now();
        let due = |nth: usize| begun + Duration::from_secs_f64(nth as f64 / self.rate);
        let all = (self.rate * (self.settle + time).as_secs_f64()) as usize;
        let (mut next, mut answered) = (0, 0);
        while answered < all {
            let now = Instant::now();
            while next < all && due(next) <= now {
                waiting.push_back(due(next));
                next += 1;
            }
            while let Some(at) = idle.pop() {
                let Some(due) = waiting.pop_front() else {
                    idle.push(at);
                    break;
                };
                connections[at].send(&request, due)?;
            }
            let until_next = match next < all {
                true => due(next).saturating_duration_since(Instant::now()),
                false => PATIENCE,
            };
            for at in ready(&connections, until_next)? {
                if let Some(due) = connections[at].receive()? {
                    answered += 1;
                    if due >= begun + self.settle {
                        latencies.push(due.elapsed());
                    }
                    idle.push(at);
                }
            }
            if now > due(all) + PATIENCE {
                bail!(
                    "{:.0} requests a second are more than it answers",
                    self.rate
                );
            }
        }
        latencies.sort();
        Ok(Latencies(latencies))
    }

    fn connect(&self) -> Result<Vec<Connection>> {
        let connect = |_| {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Connection {
                stream,
                due: None,
                answer: Vec::new(),
            })
        };
        (0..self.connections).map(connect).collect()
    }
}

impl Connection {
    fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        // A few hundred bytes always fit into an empty buffer.
        self.stream.write_all(request)?;
        self.due = Some(due);
        Ok(())
    }

    /// When the request was due whose answer is complete.
    fn receive(&mut self) -> Result<Option<Instant>> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(read) => self.answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !is_complete(&self.answer)? {
            return Ok(None);
        }
        self.answer.clear();
        let due = self.due.take().context("an answer to no request")?;
        Ok(Some(due))
    }
}

/// Which connections have something to read, after `time` at the latest.
fn ready(connections: &[Connection], time: Duration) -> Result<Vec<usize>> {
    let asked: Vec<usize> = (0..connections.len())
        .filter(|&at| connections[at].due.is_some())
        .collect();
    let mut fds: Vec<PollFd<'_>> = asked
        .iter()
        .map(|&at| PollFd::new(&connections[at].stream, PollFlags::IN))
        .collect();
    let time = Timespec::try_from(time).context("a time out of range")?;
    match poll(&mut fds, Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let ready = asked.into_iter().zip(&fds);
    Ok(ready
        .filter_map(|(at, fd)| is_ready(fd).then_some(at))
        .collect())
}

/// A request; with the length of the body that follows it.
pub(super) fn request(
    method: &str,
    path: &str,
    headers: &[String],
    length: Option<u64>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    if let Some(length) = length {
        text += &format!("Content-Length: {length}\r\n");
    }
    (text + "\r\n").into_bytes()
}

/// Whether a whole answer is there; anything but 200 with a length is an error.
fn is_complete(answer: &[u8]) -> Result<bool> {
    let Some((head, body)) = head(answer) else {
        return Ok(false);
    };
    Ok(body.len() as u64 >= length(head)?)
}

/// The head of a message, and what has come after it.
pub(super) fn head(message: &[u8]) -> Option<(&str, &[u8])> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&message[..end]).ok()?;
    Some((head, &message[end + 4..]))
}

/// The length of the body of a good answer.
pub(super) fn length(head: &str) -> Result<u64> {
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("a request failed: {head}");
    }
    content_length(head).with_context(|| format!("no length: {head}"))
}

/// What a message says of its body's length.
pub(super) fn content_length(head: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for end in 0..answer.len() {
            assert!(!is_complete(&answer[..end]).unwrap(), "{end}");
        }
        assert!(is_complete(answer).unwrap());
        assert!(is_complete(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn quantiles_are_of_the_sorted() {
        let latencies = Latencies((0..=100).map(Duration::from_millis).collect());
        let quantiles = [0.0, 0.5, 0.99, 1.0].map(|share| latencies.quantile_ms(share));
        assert_eq!(quantiles, [0.0, 50.0, 99.0, 100.0]);
    }

    /// A server that answers the first of ten requests last of all: what waited
    /// behind it is charged with the wait.
    #[test]
    fn a_stall_counts_for_all_that_were_due_in_it() {
        const STALL: Duration = Duration::from_millis(200);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = std::io::BufReader::new(&stream).lines();
            let mut answered = 0;
            while let Some(Ok(line)) = lines.next() {
                if line.is_empty() {
                    if answered == 0 {
                        std::thread::park_timeout(STALL);
                    }
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    (&stream).write_all(answer.as_bytes()).unwrap();
                    answered += 1;
                }
            }
            answered
        });
        let load = OpenLoop {
            address,
            path: "/",
            headers: Vec::new(),
            rate: 100.0,
            settle: Duration::ZERO,
            connections: 1,
        };
        let latencies = load.run(Duration::from_millis(100)).unwrap();
        assert_eq!(latencies.0.len(), 10);
        // The last was due 90 ms after the first.
        let least = latencies.quantile_ms(0.0);
        assert!(least >= 100.0, "{least}");
        assert_eq!(server.join().unwrap(), 10);
    }

    #[test]
    fn what_is_due_before_the_load_has_settled_does_not_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let load = OpenLoop {
            address: listener.local_addr().unwrap(),
            path: "/",
            headers: Vec::new(),
            rate: 100.0,
            settle: Duration::from_millis(30),
            connections: 1,
        };
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let lines = std::io::BufReader::new(&stream).lines();
            let ends = lines.map_while(Result::ok).filter(String::is_empty);
            ends.fold(0, |answered, _| {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                (&stream).write_all(answer.as_bytes()).unwrap();
                answered + 1
            })
        });
        let latencies = load.run(Duration::from_millis(50)).unwrap();
        assert_eq!((latencies.0.len(), server.join().unwrap()), (5, 8));
    }
}

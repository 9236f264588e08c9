//! A server whose answers are written by hand, byte for byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Request line and headers, as sent.
    pub(crate) head: String,
    pub(crate) body: String,
    /// Counted from 1 on each connection.
    pub(crate) nth_on_connection: usize,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    Send(String),
    /// Sends, then closes its side and waits for the client to close.
    SendAndClose(String),
    /// Closes without an answer.
    Close,
    /// Sends (perhaps nothing), then stays silent with the connection open.
    Stall(String),
}

pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn redirect(status: u16, location: &str) -> Reply {
    Reply::Send(format!(
        "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ))
}

/// Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    client_closed: tokio::sync::Notify,
}

impl Server {
    pub(crate) async fn start(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (reply, task_seen) = (Arc::new(reply), Arc::clone(&seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                task_seen.connections.fetch_add(1, Ordering::SeqCst);
                let (reply, seen) = (Arc::clone(&reply), Arc::clone(&task_seen));
                connections.spawn(async move { serve(socket, &*reply, &seen).await });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A URL that names the server by a host name.
    pub(crate) fn url_at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Until the client has closed a connection that the server closed first.
    pub(crate) async fn client_closed(&self) {
        self.seen.client_closed.notified().await;
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    reply: &(impl Fn(&Received) -> Reply + ?Sized),
    seen: &Seen,
) {
    for nth in 1.. {
        let Some(request) = read_request(&mut socket, nth).await else {
            return;
        };
        seen.requests.lock().unwrap().push(request.clone());
        match reply(&request) {
            Reply::Send(text) => {
                if socket.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Reply::SendAndClose(text) => {
                let _ = socket.write_all(text.as_bytes()).await;
                let _ = socket.shutdown().await;
                let _ = socket.read_to_end(&mut Vec::new()).await;
                seen.client_closed.notify_one();
                return;
            }
            Reply::Close => return,
            Reply::Stall(text) => {
                let _ = socket.write_all(text.as_bytes()).await;
                let _ = socket.read_to_end(&mut Vec::new()).await;
                return;
            }
        }
    }
}

/// Reads a head and a body, by its length or chunked.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(
    socket: &mut S,
    nth_on_connection: usize,
) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = read_until(socket, &mut bytes, b"\r\n\r\n").await?;
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut request = Received {
        head,
        body: String::new(),
        nth_on_connection,
    };
    let mut body = bytes.split_off(head_end);
    if let Some(length) = request.header("content-length") {
        let length: usize = length.parse().ok()?;
        while body.len() < length {
            read_more(socket, &mut body).await?;
        }
    } else if request.header("transfer-encoding").is_some() {
        read_until(socket, &mut body, b"0\r\n\r\n").await?;
    }
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

async fn read_until<S: AsyncRead + Unpin>(
    socket: &mut S,
    bytes: &mut Vec<u8>,
    end: &[u8],
) -> Option<usize> {
    loop {
        if let Some(at) = bytes.windows(end.len()).position(|window| window == end) {
            return Some(at + end.len());
        }
        read_more(socket, bytes).await?;
    }
}

async fn read_more<S: AsyncRead + Unpin>(socket: &mut S, bytes: &mut Vec<u8>) -> Option<()> {
    match socket.read_buf(bytes).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

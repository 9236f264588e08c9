//! An API of a test's own, which looks at every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// An API that knows one person, and keeps the head of every request.
pub(super) struct Api {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// `is_allowed` decides by the head of a request, its names in lower case.
    pub(super) async fn start(is_allowed: fn(&str) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, is_allowed, Arc::clone(&kept)));
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since this was last asked for.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn answer(
    mut stream: TcpStream,
    is_allowed: fn(&str) -> bool,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let status = if is_allowed(&head) {
        "200 OK"
    } else {
        "401 Unauthorized"
    };
    seen.lock().unwrap().push(head);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    let _ = stream.write_all(head.as_bytes()).await;
}

//! A server that does, connection by connection, what it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one connection.
pub(crate) enum Step {
    /// A status with headers, each ended by CRLF, and a body.
    Answer(u16, &'static str, &'static str),
    /// It is closed when the request has been read.
    Close,
    /// Nothing is answered, and it stays open.
    Hang,
    /// An answer breaks off.
    Break,
    /// A success with headers and the beginning of a body, after which nothing
    /// comes and it stays open.
    Stall(&'static str, &'static str),
}

/// Requests as they came, heads and bodies.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// Starts it. After the last step it accepts no connection.
pub(crate) async fn server(steps: Vec<Step>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let noted = seen.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        for step in steps {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read(&mut stream).await;
            noted.lock().unwrap().push(request);
            let text = match step {
                Step::Answer(status, headers, body) => {
                    let length = body.len();
                    format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                    )
                }
                Step::Break => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\"".to_owned(),
                Step::Close => String::new(),
                Step::Hang => {
                    open.push(stream);
                    continue;
                }
                Step::Stall(headers, body) => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000";
                    let text = format!("{head}\r\n{headers}\r\n{body}");
                    stream.write_all(text.as_bytes()).await.unwrap();
                    open.push(stream);
                    continue;
                }
            };
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        drop(listener);
        // Those that hang do so until the client goes.
        for mut stream in open {
            let _ = stream.read(&mut [0]).await;
        }
    });
    (url, seen)
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the request broke off: {text}");
        bytes.extend_from_slice(&piece[..read]);
    }
}

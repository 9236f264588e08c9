//! More callers than a server has room for, and pages by the thousand.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::installation::{Installation, Server, root_key};

type Page = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(60);
/// What this test is about.
const PAGES: usize = 10_000;
/// What it may come down to where the system's limits are lower.
const FEWEST_PAGES: usize = 5_000;
/// Files of this test beside its pages.
const OTHER_FILES: usize = 500;

/// Raises this process's limit of open files as far as it goes.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    limit
        .maximum
        .map_or(usize::MAX, |most| most.try_into().unwrap())
}

/// A page whose websocket has told it its id.
async fn page(url: &str) -> Page {
    let opened = tokio_tungstenite::connect_async(url);
    let (mut page, _) = tokio::time::timeout(PATIENCE, opened)
        .await
        .unwrap()
        .unwrap();
    loop {
        let message = tokio::time::timeout(PATIENCE, page.next()).await.unwrap();
        match message.unwrap().unwrap() {
            Message::Text(text) => {
                assert!(text.contains("connection_ack"), "{text}");
                return page;
            }
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn until_closed(mut page: Page) {
    let closed = async {
        while let Some(Ok(message)) = page.next().await {
            if message.is_close() {
                break;
            }
        }
        let _ = page.close(None).await;
        while let Some(Ok(_)) = page.next().await {}
    };
    let closed = tokio::time::timeout(PATIENCE, closed).await;
    closed.expect("the server closes its websockets");
}

/// Resident memory of a process, in bytes, where the system has `/proc`.
fn memory(server: &Server) -> Option<usize> {
    let status = format!("/proc/{}/status", server.running.id());
    let status = std::fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes = line.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<usize>().ok()? * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_wait_by_the_thousand_and_the_server_serves() {
    let pages = PAGES.min(open_files().saturating_sub(OTHER_FILES));
    assert!(
        pages >= FEWEST_PAGES,
        "{pages} pages: raise the hard limit of open files (ulimit -Hn)"
    );
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let server = installation
        .server(&root)
        .set("LINKSPAN_SERVER_MAX_WEBSOCKETS_PER_ADDRESS", "0");
    let server = Server::started(server).await;
    let url = format!("ws://{}/", server.address());
    let first = page(&url).await;
    let before = memory(&server);
    let others = stream::iter(1..pages)
        .map(|_| page(&url))
        .buffer_unordered(64);
    let mut open: Vec<Page> = others.collect().await;
    open.push(first);
    println!("{} pages wait", open.len());
    if let (Some(before), Some(after)) = (before, memory(&server)) {
        let each = (after - before) / (open.len() - 1);
        println!("each takes {each} bytes of the server's memory");
        assert!(each < 32 * 1024, "a page that waits takes {each} bytes");
    }

    for _ in 0..20 {
        assert_eq!(server.api.get("", "/health").await.0, 200);
        assert_eq!(server.api.get(&key, "/integrations").await.0, 200);
    }
    assert_eq!(
        installation.popup_channels().await,
        i64::try_from(pages).unwrap()
    );
    server.running.signal(Signal::TERM);
    stream::iter(open)
        .for_each_concurrent(None, until_closed)
        .await;
    let (status, output) = server.running.ended().await;
    assert!(status.success(), "{status}: {output:#?}");
    assert_eq!(
        installation.popup_channels().await,
        0,
        "a page outlives its websocket"
    );
}

async fn health(stream: &mut TcpStream) -> String {
    let request = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
    let read = read.expect("an answer").unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_callers_fill_goes_on_and_recovers() {
    const FILES: u64 = 200;
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let program = installation.server(&root).limited_to_files(FILES);
    let mut server = Server::started(program).await;
    let connection = server.api.connect_bearer(&key, "the-secret").await;

    let mut kept = TcpStream::connect(server.address()).await.unwrap();
    health(&mut kept).await;
    let mut crowd = Vec::new();
    for _ in 0..FILES {
        // The system takes them though the server does not yet.
        crowd.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let line = server
        .running
        .says("as many connections open as this process takes")
        .await;
    assert!(line.contains("LimitNOFILE"), "it says what to do: {line}");
    for _ in 0..5 {
        assert!(
            health(&mut kept).await.starts_with("HTTP/1.1 200 "),
            "others go on"
        );
    }
    // Nothing is cached, so that this needs the database, for which files are
    // left.
    let request = format!(
        "GET /connections/{connection}?provider_config_key=bearer HTTP/1.1\r\nHost: test\r\n\
         Authorization: Bearer {key}\r\n\r\n"
    );
    kept.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, kept.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    drop(crowd);
    let mut new = TcpStream::connect(server.address()).await.unwrap();
    assert!(
        health(&mut new).await.starts_with("HTTP/1.1 200 "),
        "it takes callers again"
    );
    let mut again = Vec::new();
    for _ in 0..FILES {
        again.push(TcpStream::connect(server.address()).await.unwrap());
    }
    assert!(health(&mut new).await.starts_with("HTTP/1.1 200 "));
    drop((again, new, kept));
    let output = server.running.end_by(Signal::TERM).await;
    // Of callers that are not taken yet when it stops, the HTTP server complains.
    let said = output.iter().filter(|line| {
        (line.contains("WARN") || line.contains("ERROR")) && !line.contains("No workers")
    });
    assert_eq!(said.count(), 1, "it is said once: {output:#?}");
}

/// Files that a process has open, and the processor time that it has used, in
/// ticks. Only where the system has `/proc`.
fn files_and_ticks(server: &Server) -> Option<(usize, u64)> {
    let folder = PathBuf::from(format!("/proc/{}", server.running.id()));
    let files = std::fs::read_dir(folder.join("fd")).ok()?.count();
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // After the name, which may have spaces: user and system time are the 12th
    // and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((
        files,
        fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?,
    ))
}

/// The cap on connections is set above the limit of open files, so that taking
/// one more fails in the system.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_files_left_serves_who_is_there_and_recovers() {
    const FILES: u64 = 200;
    /// Of the usual 100 in a second.
    const TICKS_A_SECOND: f64 = 100.0;
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let program = installation
        .server(&root)
        .limited_to_files(FILES)
        .set("LINKSPAN_SERVER_MAX_CONNECTIONS", "10000");
    let mut server = Server::started(program).await;
    let connection = server.api.connect_bearer(&key, "the-secret").await;
    let mut kept = TcpStream::connect(server.address()).await.unwrap();
    health(&mut kept).await;

    let mut crowd = Vec::new();
    for _ in 0..FILES + 50 {
        crowd.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let refused = "Too many open files";
    server.running.says(refused).await;
    let before = files_and_ticks(&server);
    let since = std::time::Instant::now();
    for _ in 0..5 {
        assert!(
            health(&mut kept).await.starts_with("HTTP/1.1 200 "),
            "who is there is served"
        );
    }
    // A connection to the database is there since before.
    let request = format!(
        "GET /connections/{connection}?provider_config_key=bearer HTTP/1.1\r\nHost: test\r\n\
         Authorization: Bearer {key}\r\n\r\n"
    );
    kept.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, kept.read(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // It tries again, and waits in between.
    for _ in 0..4 {
        server.running.says(refused).await;
    }
    if let (Some((files, before)), Some((_, after))) = (before, files_and_ticks(&server)) {
        assert!(files >= usize::try_from(FILES).unwrap(), "{files} files");
        let busy = (after - before) as f64 / TICKS_A_SECOND / since.elapsed().as_secs_f64();
        println!(
            "{:.1} % of a processor while no file was left",
            busy * 100.0
        );
        assert!(busy < 0.25, "it spins: {busy:.2} of a processor");
    }

    drop(crowd);
    let mut new = TcpStream::connect(server.address()).await.unwrap();
    assert!(
        health(&mut new).await.starts_with("HTTP/1.1 200 "),
        "it takes callers again"
    );
    drop((new, kept));
    let output = server.running.end_by(Signal::TERM).await;
    let warned = output.iter().any(|line| line.contains("raise the limit"));
    assert!(warned, "it says what to do: {output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_write_the_log() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    let server = installation.serve(&root).await;
    let large = "x".repeat(200_000);
    let nonsense = [
        "\u{16}\u{3}\u{1}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /integrations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &large,
    ];
    for text in nonsense {
        let mut stranger = TcpStream::connect(server.address()).await.unwrap();
        let _ = stranger.write_all(text.as_bytes()).await;
        let _ = stranger.shutdown().await;
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stranger.read_to_end(&mut answer)).await;
        closed.expect("it is closed").ok();
    }
    let output = server.running.end_by(Signal::TERM).await;
    let said = output
        .iter()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"));
    assert_eq!(said.count(), 0, "{output:#?}");
}

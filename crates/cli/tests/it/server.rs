//! `server`: starting, refusing to start, stopping.

use std::net::TcpListener;

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::installation::{Installation, root_key};

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_with_the_keys_of_bootstrap_and_ends_on_both_signals() {
    let root = root_key("main");
    let (installation, keys) = Installation::new(&root).await;
    for signal in [Signal::TERM, Signal::INT] {
        let server = installation.serve(&root).await;
        for path in ["/health", "/ready"] {
            let (status, answer) = server.api.get("", path).await;
            assert_eq!((status, answer), (200, json!({ "result": "ok" })), "{path}");
        }
        for key in &keys {
            assert_eq!(server.api.get(key, "/integrations").await.0, 200);
        }
        assert_eq!(server.api.get("wrong", "/integrations").await.0, 401);
        server.running.end_by(signal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_finishes_after_sigterm() {
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let mut server = installation.serve(&root).await;
    let connection = server.api.connect_bearer(&key, "the-secret").await;
    let slow_api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", slow_api.local_addr().unwrap());

    let api = server.api.clone();
    let call = tokio::spawn(async move {
        let headers = [
            ("Provider-Config-Key", "bearer"),
            ("Connection-Id", &*connection),
            ("Base-Url-Override", &*base_url),
        ];
        api.call(&key, Method::GET, "/proxy/slow", &headers, Value::Null)
            .await
    });
    let (mut stream, _) = slow_api.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
    assert!(
        request.contains("authorization: bearer the-secret"),
        "{request}"
    );

    server.running.signal(Signal::TERM);
    server
        .running
        .says("finishing the requests under way")
        .await;
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\ntrue";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(call.await.unwrap(), (200, json!(true)));
    let (status, output) = server.running.ended().await;
    assert!(status.success(), "{status}: {output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_of_another_database_is_refused_by_its_id() {
    let (installation, _) = Installation::new(&root_key("main")).await;
    let error = installation.server(&root_key("main")).run().await.refused();
    assert!(
        error.contains("made with another root key \"main\""),
        "{error}"
    );
    let error = installation
        .server(&root_key("other"))
        .run()
        .await
        .refused();
    assert!(
        error.contains("root key \"main\" is needed by this database"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_setting() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let server = installation
        .server(&root)
        .set("LINKSPAN_SERVER_BIND", &address);
    let error = server.run().await.refused();
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
    assert!(error.contains("LINKSPAN_SERVER_BIND"), "{error}");
    assert_eq!(error.matches("in use").count(), 1, "{error}");
}

//! `keys`: making root keys, and rotating while a server serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::installation::{Api, Installation, root_key};
use crate::program::linkspan;

const SECRET: &str = "the-api-key";

#[tokio::test]
async fn generated_keys_are_what_the_configuration_takes() {
    let mut entries = Vec::new();
    for arguments in [&["keys", "generate"][..], &["keys", "generate", "next-1"]] {
        let printed = linkspan(arguments).run().await.printed();
        entries.push(printed.trim().to_owned());
    }
    assert!(entries[0].starts_with("main:"), "{}", entries[0]);
    assert!(entries[1].starts_with("next-1:"), "{}", entries[1]);
    let check = linkspan(&["config", "check"]);
    check
        .set("LINKSPAN_VAULT_ROOT_KEYS", &entries.join(","))
        .run()
        .await
        .printed();
}

#[tokio::test]
async fn an_id_that_the_configuration_would_refuse_is_refused() {
    let error = linkspan(&["keys", "generate", "Main Key"])
        .run()
        .await
        .refused();
    assert!(error.contains("'Main Key' cannot be a key's id"), "{error}");
}

/// Reads a connection's credentials again and again, and fails at the first
/// answer that is not the secret.
struct Reader {
    stop: Arc<AtomicBool>,
    reads: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Reader {
    fn start(api: Api, key: String, connection: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (counter, reads) = watch::channel(0);
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = api.bearer(&key, &connection).await;
                assert_eq!(answer, (200, json!(SECRET)));
                counter.send_modify(|reads| *reads += 1);
            }
        });
        Self { stop, reads, task }
    }

    /// Waits until it has read once more from now.
    async fn reads_again(&mut self) {
        let before = *self.reads.borrow();
        // Two: the first may have begun before.
        let more = self.reads.wait_for(|reads| *reads >= before + 2).await;
        drop(more.expect("every read so far gave the secret"));
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every read gave the secret");
    }
}

/// Rotates from `old` to `new` while a server reads, and leaves an
/// installation that needs `new` only.
async fn rotate(arguments: &[&str]) -> String {
    let (old, new) = (root_key("old"), root_key("new"));
    let (installation, [key, _]) = Installation::new(&old).await;
    let before = installation.serve(&old).await;
    let connection = before.api.connect_bearer(&key, SECRET).await;
    before.stop().await;
    let error = installation.server(&new).run().await.refused();
    assert!(error.contains("root key \"old\" is needed"), "{error}");

    let both = format!("{new},{old}");
    let server = installation.serve(&both).await;
    let mut reader = Reader::start(server.api.clone(), key.clone(), connection.clone());
    reader.reads_again().await;
    let printed = installation.command(arguments, &both).run().await.printed();
    reader.reads_again().await;
    reader.stop().await;
    server.stop().await;

    let error = installation.server(&old).run().await.refused();
    assert!(error.contains("root key \"new\" is needed"), "{error}");
    let after = installation.serve(&new).await;
    assert_eq!(
        after.api.bearer(&key, &connection).await,
        (200, json!(SECRET))
    );
    after.stop().await;
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_key_rotates_under_a_server_and_the_old_one_can_go() {
    let printed = rotate(&["keys", "rotate"]).await;
    // Of the environments `dev` and `prod`.
    assert_eq!(printed, "2 data keys wrapped anew\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_keys_rotate_under_a_server_and_the_old_root_key_can_go() {
    let printed = rotate(&["keys", "rotate", "--data"]).await;
    let last = printed.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("2 environments have a new data key; "),
        "{printed}"
    );
    assert!(!last.contains("; 0 values re-encrypted"), "{printed}");
}

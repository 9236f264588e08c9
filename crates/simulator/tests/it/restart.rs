//! Stopping and starting again on the same state file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use linkspan_simulator::{Settings, Simulator};

use crate::http_client::get;
use crate::{ask_token, code, good_exchange, good_refresh, text, tokens, url};

async fn start_on(state_file: &Path) -> std::io::Result<Simulator> {
    let settings = Settings {
        state_file: Some(state_file.to_owned()),
        ..Settings::default()
    };
    Simulator::start(settings).await
}

#[tokio::test]
async fn tokens_outlive_a_restart_and_are_spent_only_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("grants.json");
    let first = start_on(&file).await.expect("a simulator");
    let granted = tokens(&first).await;
    let (access, refresh) = (
        text(&granted, "access_token"),
        text(&granted, "refresh_token"),
    );
    let waiting = code(&first).await;
    first.stop().await;
    let mode = file.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = start_on(&file).await.expect("a simulator");
    assert_eq!(get(&url(&second, "api/me"), &access).await.status, 200);
    assert_eq!(
        ask_token(&second, &good_exchange(&waiting)).await.status,
        200
    );
    assert_eq!(
        ask_token(&second, &good_refresh(&refresh)).await.status,
        200
    );
    second.stop().await;

    let third = start_on(&file).await.expect("a simulator");
    let again = ask_token(&third, &good_refresh(&refresh)).await;
    assert_eq!(
        (again.status, text(&again.json(), "error").as_str()),
        (400, "invalid_grant")
    );
    third.control().revoke_access_tokens();
    third.stop().await;

    let last = start_on(&file).await.expect("a simulator");
    assert_eq!(get(&url(&last, "api/me"), &access).await.status, 401);
    assert_eq!(
        last.control().refusals(),
        [],
        "it knows the token and says that it ended"
    );
}

#[tokio::test]
async fn without_a_file_a_restart_forgets() {
    let first = Simulator::start(Settings::default())
        .await
        .expect("a simulator");
    let access = text(&tokens(&first).await, "access_token");
    first.stop().await;
    let second = Simulator::start(Settings::default())
        .await
        .expect("a simulator");
    assert_eq!(get(&url(&second, "api/me"), &access).await.status, 401);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("grants.json");
    std::fs::write(&file, "{\"codes\": ").expect("a file");
    let error = start_on(&file).await.expect_err("no start");
    let shown = error.to_string();
    assert!(shown.contains("grants.json is damaged"), "{shown}");
    let left = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(left, "{\"codes\": ");
}

//! SIGNATURE.

use linkspan_simulator::strict::{Misbehaviour, Strict, signature};
use linkspan_testkit::TestApp;
use serde_json::json;
use tempfile::TempDir;

use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, connect, count, delete, full, id, integrate, refreshed, start_at};

const ROUTE: &str = "/auth/signature/emarsys";

async fn begin() -> (Strict, TempDir, TestApp) {
    let provider = signature::start("acme", "hush-1").await.unwrap();
    let (folder, app) = start_at(&provider, &["emarsys"], &[IMPATIENT]).await;
    integrate(&app, "emarsys", "").await;
    (provider, folder, app)
}

fn last_token(provider: &Strict) -> String {
    let seen = provider.requests();
    seen.last().unwrap().header("x-wsse").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_is_made_of_the_password_and_the_time() {
    let (provider, _folder, app) = begin().await;
    let entered = json!({ "username": "acme", "password": "hush-1" });
    let connection = id(&connect(&app, ROUTE, "", entered).await);
    assert_eq!(
        provider.requests()[0].path,
        "/api.emarsys.net/api/v2/settings"
    );
    let made = full(&app, "emarsys", &connection).await;
    let credentials = &made["credentials"];
    assert_eq!(credentials["type"], "SIGNATURE");
    assert_eq!(credentials["username"], "acme");
    assert!(credentials["expires_at"].is_string(), "{credentials}");
    assert_eq!(
        call(&app, "emarsys", &connection, "/api/v2/x", None)
            .await
            .status,
        200
    );
    let first = last_token(&provider);
    assert_eq!(credentials["token"], first);
    assert_eq!(refreshed(&app, "emarsys", &connection).await.status, 200);
    assert_eq!(
        call(&app, "emarsys", &connection, "/api/v2/x", None)
            .await
            .status,
        200
    );
    assert_ne!(last_token(&provider), first);
    let of = ("emarsys", &*connection, "/api/v2/x");
    expect_one_refresh(&app, &provider, of, ("/nobody", 0)).await;
    delete(&app, "emarsys", &connection).await;
    assert_eq!(provider.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_is_made_anew_before_a_call() {
    let provider = signature::start("acme", "hush-1").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let yaml = linkspan_testkit::relocate("emarsys", &provider.url()).replace("300000", "1");
    std::fs::write(folder.path().join("emarsys.yaml"), yaml).unwrap();
    let app = super::start(&folder).await;
    integrate(&app, "emarsys", "").await;
    let credentials = json!({ "type": "SIGNATURE", "username": "acme", "password": "hush-1" });
    let body = json!({ "provider_config_key": "emarsys", "connection_id": "c-1",
        "credentials": credentials });
    let imported = app.post("/connections", body).await;
    assert_eq!(imported.status, 200, "{imported:?}");
    for _ in 0..2 {
        assert_eq!(call(&app, "emarsys", "c-1", "/x", None).await.status, 200);
    }
    let seen = provider.requests_to("/api.emarsys.net/x");
    assert_ne!(seen[0].header("x-wsse"), seen[1].header("x-wsse"));
    assert_eq!(provider.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_provider_does_not_take_is_not_stored() {
    let (provider, _folder, app) = begin().await;
    let entered = json!({ "username": "acme", "password": "planted-wrong" });
    let refused = connect(&app, ROUTE, "", entered.clone()).await;
    assert_eq!(refused.code(), "connection_test_failed");
    assert!(
        !refused.json().to_string().contains("planted"),
        "{refused:?}"
    );
    let import = json!({ "provider_config_key": "emarsys",
        "credentials": { "type": "SIGNATURE", "username": "acme", "password": "planted-wrong" } });
    assert_eq!(
        app.post("/connections", import).await.code(),
        "connection_test_failed"
    );
    for entered in [
        json!({ "username": "a b", "password": "x" }),
        json!({ "username": "acme" }),
    ] {
        let refused = connect(&app, ROUTE, "", entered).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, "invalid_body")
        );
    }
    for misbehaviour in [Misbehaviour::Refuse, Misbehaviour::Hang] {
        provider.misbehave("/", misbehaviour);
        assert_eq!(
            connect(&app, ROUTE, "", entered.clone()).await.code(),
            "connection_test_failed"
        );
    }
    assert_eq!(count(&app).await, 0);
}

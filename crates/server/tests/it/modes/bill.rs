//! BILL.

use linkspan_simulator::strict::bill::{self, ACCOUNT};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::refused::expect_refusals;
use super::{IMPATIENT, call, connect, count, delete, full, id, integrate, refreshed, start_at};

fn entered() -> Value {
    let [username, password, organization, key] = ACCOUNT.map(|(_, value)| value);
    json!({
        "username": username, "password": password,
        "organization_id": organization, "dev_key": key,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_carries_calls_and_is_renewed() {
    let provider = bill::start().await.unwrap();
    let slugs = ["bill", "bill-sandbox"];
    let (_folder, app) = start_at(&provider, &slugs, &[]).await;
    let hosts = [
        "/gateway.prod.bill.com/connect",
        "/gateway.stage.bill.com/connect",
    ];
    for (slug, host) in slugs.into_iter().zip(hosts) {
        integrate(&app, slug, "").await;
        let connection = id(&connect(&app, &format!("/auth/bill/{slug}"), "", entered()).await);
        assert_eq!(
            call(&app, slug, &connection, "/v3/bills", None)
                .await
                .status,
            200
        );
        let before = full(&app, slug, &connection).await["credentials"].clone();
        assert_eq!(before["type"], "BILL");
        assert_eq!(before["user_id"], "006");
        let after = refreshed(&app, slug, &connection).await.json()["credentials"].clone();
        assert_ne!(after["session_id"], before["session_id"]);
        assert_eq!(
            call(&app, slug, &connection, "/v3/bills", None)
                .await
                .status,
            200
        );
        let (path, tokens) = ("/v3/bills", format!("{host}/v3/login"));
        let of = (slug, &*connection, path);
        expect_one_refresh(&app, &provider, of, (&tokens, 1)).await;
        delete(&app, slug, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
    let calls = provider.requests_to("/gateway.stage.bill.com/connect/v3/bills");
    assert_eq!(calls.len(), 6);
    assert_eq!(calls[0].header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_take_is_not_stored() {
    let provider = bill::start().await.unwrap();
    let (_folder, app) = start_at(&provider, &["bill"], &[IMPATIENT]).await;
    integrate(&app, "bill", "").await;
    let mut wrong = entered();
    wrong["password"] = "planted-wrong".into();
    expect_refusals(&app, &provider, "/auth/bill/bill", "", &wrong, &entered()).await;
    assert_eq!(count(&app).await, 0);
}

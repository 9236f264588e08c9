use chrono::TimeDelta;
use linkspan_providers::Catalogue;
use serde_json::Map;

use super::*;
use crate::app::tests::{Scripted, client};

const BOTH: &str = r#"{"token":"ghs_1","expires_at":"2099-01-01T00:00:00Z",
    "access_token":"ghu_2","refresh_token":"ghr_2","expires_in":28800}"#;

fn tokens(life: i64) -> Tokens {
    let issued_at = Utc::now() - TimeDelta::hours(1);
    Tokens {
        access_token: "ghu_1".into(),
        refresh_token: Some("ghr_1".into()),
        expires_at: Some(issued_at + TimeDelta::seconds(life)),
        issued_at,
        raw: Value::Null,
        own_client: None,
        mcp: None,
    }
}

async fn with<T>(act: impl AsyncFnOnce(&Config<'_>) -> T) -> T {
    let catalogue = Catalogue::builtin().unwrap();
    let connection = json!({ "installation_id": "88" });
    act(&Config {
        template: catalogue.get("github-app-oauth").unwrap(),
        connection: connection.as_object().unwrap(),
        integration: &Map::new(),
    })
    .await
}

fn oauth() -> Client {
    Client {
        client_id: "id".to_owned(),
        client_secret: Some("s".into()),
        ..client()
    }
}

async fn refreshed(user: Tokens) -> Custom {
    let endpoint = Scripted::new(200, BOTH);
    let both = Custom {
        app: None,
        user: Some(user),
    };
    with(async |config| {
        let pending = Credentials::Custom(both);
        let done = complete(Some(&oauth()), config, &pending, "99", &endpoint).await;
        let done = done.unwrap();
        assert_eq!(done.metadata["installation_id"], "99");
        assert!(pending.is_pending() && !done.credentials.is_pending());
        let Credentials::Custom(both) = done.credentials else {
            panic!("{:?}", done.credentials);
        };
        let fresh = refresh(Some(&oauth()), config, &both, &endpoint)
            .await
            .unwrap();
        match fresh.credentials {
            Credentials::Custom(both) => both,
            other => panic!("{other:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn the_persons_tokens_are_refreshed_when_they_are_due() {
    for (life, refresh_token) in [(3700, "ghr_2"), (8 * 3600, "ghr_1")] {
        let both = refreshed(tokens(life)).await;
        let wire = both.to_wire();
        assert_eq!(wire["user"]["refresh_token"], refresh_token);
        assert_eq!(wire["app"]["access_token"], "ghs_1");
    }
}

#[tokio::test]
async fn what_is_pending_cannot_be_used_or_refreshed() {
    let pending = Custom {
        app: None,
        user: Some(tokens(8 * 3600)),
    };
    let endpoint = Scripted::new(200, BOTH);
    let refused = with(async |config| refresh(Some(&oauth()), config, &pending, &endpoint).await);
    assert_eq!(refused.await.unwrap_err(), Error::Pending);
    let pending = Credentials::Custom(pending);
    assert_eq!(pending.authorization().unwrap_err(), Error::Pending);
    assert!(pending.is_pending() && !pending.can_refresh());
    assert_eq!(pending.to_wire()["app"], Value::Null);
}

//! Environments, their API keys, and what is set up in them.

use linkspan_client::{Client, ErrorCode, ExposeSecret, Scope};
use linkspan_testkit::TestApp;

use crate::client;

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_made_used_and_deleted() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let staging = linkspan.environments().create("staging").production();
    let staging = staging.send().await.unwrap();
    assert_eq!(staging.name, "staging");
    let again = linkspan.environments().create("staging").send().await;
    assert_eq!(again.unwrap_err().code(), Some(ErrorCode::Conflict));
    let wrong = linkspan.environments().create("Staging!").send().await;
    assert_eq!(wrong.unwrap_err().code(), Some(ErrorCode::InvalidBody));

    let keys = linkspan.api_keys();
    let key = keys.create(staging.id, "worker").send().await.unwrap();
    assert_eq!(key.display_name, "worker");
    assert!(!format!("{key:?}").contains(key.secret.expose_secret()));
    let there = Client::new(app.url(""), key.secret.clone()).unwrap();
    assert!(there.integrations().list().await.unwrap().is_empty());

    linkspan.environments().delete(staging.id).await.unwrap();
    let gone = there.integrations().list().await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::UnknownAccount));
    let late = linkspan.environments().delete(staging.id).await;
    let late = late.unwrap_err();
    assert_eq!(late.code(), Some(ErrorCode::UnknownEnvironment));
    assert!(late.is_not_found());
    let prod = app.prod.environment.number;
    let kept = linkspan.environments().delete(prod).await.unwrap_err();
    assert_eq!(kept.code(), Some(ErrorCode::CannotDeleteProdEnvironment));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_do_what_it_was_made_for_until_it_ends() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let (keys, number) = (linkspan.api_keys(), app.dev.environment.number);
    let scopes = [Scope::IntegrationsList];
    let key = keys.create(number, "narrow").scopes(scopes);
    let key = key.send().await.unwrap();
    assert_eq!(key.scopes, ["environment:integrations:list"]);
    let narrow = Client::new(app.url(""), key.secret).unwrap();
    assert!(narrow.integrations().list().await.is_ok());
    let refused = narrow.connections().list().send().await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));

    let again = keys.create(number, "narrow").send().await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::Conflict));
    keys.delete(number, key.id).await.unwrap();
    let ended = narrow.integrations().list().await.unwrap_err();
    assert_eq!(ended.code(), Some(ErrorCode::UnknownAccount));
    assert!(
        keys.delete(number, key.id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_change_and_there_are_no_variables_yet() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let first = linkspan.rotate_webhook_signing_key().await.unwrap();
    let second = linkspan.rotate_webhook_signing_key().await.unwrap();
    assert!(first.expose_secret().len() >= 32);
    assert_ne!(first.expose_secret(), second.expose_secret());
    assert!(linkspan.environment_variables().await.unwrap().is_empty());
}

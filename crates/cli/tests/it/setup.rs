//! `migrate` and `admin bootstrap`: from an empty database to the first keys.

use linkspan_testkit::TestDatabase;

use crate::installation::{Installation, root_key};
use crate::program::linkspan;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_migrate_finds_nothing_to_do() {
    let new = Installation::empty().await;
    let first = new.command(&["migrate"], "").run().await.printed();
    assert!(first.lines().count() >= 2, "{first}");
    assert!(
        first.lines().all(|line| line.starts_with("applied ")),
        "{first}"
    );
    let second = new.command(&["migrate"], "").run().await.printed();
    assert_eq!(second, "nothing to apply: the tables are up to date\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_bootstrap_refuses_and_changes_nothing() {
    let root = root_key("main");
    let (installation, [dev, prod]) = Installation::new(&root).await;
    assert_ne!(dev, prod);

    let again = installation.command(&["admin", "bootstrap", "--account", "other"], &root);
    let ended = again.run().await;
    assert_eq!(ended.stdout, "");
    let error = ended.refused();
    assert!(
        error.contains("has an account already; nothing was changed"),
        "{error}"
    );

    let server = installation.serve(&root).await;
    for key in [&dev, &prod] {
        let (status, list) = server.api.get(key, "/integrations").await;
        assert_eq!(
            (status, &list["data"]),
            (200, &serde_json::json!([])),
            "{list}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_database_or_a_root_key_names_the_setting() {
    let commands: [&[&str]; 4] = [
        &["server"],
        &["migrate"],
        &["admin", "bootstrap"],
        &["keys", "rotate"],
    ];
    for command in commands {
        let error = linkspan(command).run().await.refused();
        assert!(error.contains("database.url"), "{command:?}: {error}");
        assert!(
            error.contains("LINKSPAN_DATABASE_URL"),
            "{command:?}: {error}"
        );
    }
    let database = TestDatabase::new().await;
    let url = secrecy::ExposeSecret::expose_secret(&database.url()).to_owned();
    let error = linkspan(&["server"])
        .set("LINKSPAN_DATABASE_URL", &url)
        .run()
        .await
        .refused();
    assert!(error.contains("vault.root_keys"), "{error}");
}

//! Rules that hold for every table, read from Postgres' own catalogue.

use linkspan_testkit::TestDatabase;
use tokio_postgres::{Client, NoTls};

/// Tables that belong to no tenant, or that are asked for one.
const NOT_TENANT: [&str; 5] = [
    "accounts",
    "environments",
    "root_keys",
    "popup_channels",
    "__diesel_schema_migrations",
];

async fn connect(database: &TestDatabase) -> Client {
    use secrecy::ExposeSecret;
    let url = database.direct_url();
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn names(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_table_leads_its_primary_key_with_the_environment() {
    let database = TestDatabase::new().await;
    let client = connect(&database).await;
    let all = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname IN ('public', 'records', 'logs') AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
    let led = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
         WHERE i.indisprimary AND a.attname = 'environment_id'";
    let led = names(&client, led).await;
    let tables = names(&client, all).await;
    assert!(tables.len() > 8, "{tables:?}");
    for table in tables {
        let is_tenant = !NOT_TENANT.contains(&table.as_str());
        assert_eq!(led.contains(&table), is_tenant, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_key_has_an_index_that_starts_with_its_columns() {
    let database = TestDatabase::new().await;
    let client = connect(&database).await;
    let keys = names(
        &client,
        "SELECT conname::text FROM pg_constraint WHERE contype = 'f'",
    )
    .await;
    assert!(keys.len() >= 5, "{keys:?}");
    let bare = "SELECT conname::text || ' on ' || conrelid::regclass::text FROM pg_constraint k
         WHERE contype = 'f' AND NOT EXISTS (
             SELECT 1 FROM pg_index i WHERE i.indrelid = k.conrelid
             AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)";
    assert_eq!(names(&client, bare).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_tables_do_not_refer_to_each_other() {
    let database = TestDatabase::new().await;
    let client = connect(&database).await;
    let across = "SELECT conname::text FROM pg_constraint k
         JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
         WHERE contype = 'f' AND a.relnamespace <> b.relnamespace";
    assert_eq!(names(&client, across).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_at_once_applies_each_migration_once() {
    use linkspan_shared::db::migrate::{self, Group};
    let database = TestDatabase::empty().await;
    let url = database.direct_url();
    let (first, second) = tokio::join!(
        migrate::run(&url, Group::Control),
        migrate::run(&url, Group::Control)
    );
    let applied = [first.unwrap(), second.unwrap()].concat();
    let once: std::collections::BTreeSet<_> = applied.iter().collect();
    assert!(
        !applied.is_empty() && once.len() == applied.len(),
        "{applied:?}"
    );
    let again = migrate::run(&url, Group::Control).await.unwrap();
    assert_eq!(again, Vec::<String>::new());
}

//! The vault on a real Postgres: start, caching, and rotation under load.
#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Text};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Database;
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::{Context, DataReport, Error, Keyring, RootReport, SEALED, Vault};
use linkspan_testkit::TestDatabase;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use uuid::Uuid;

const TTL: Duration = Duration::from_millis(50);

fn entry(id: &str) -> String {
    Keyring::generate(id).unwrap().expose_secret().to_owned()
}

fn vault(database: &Database, entries: &[&String]) -> Vault {
    let keyring = Keyring::parse(entries).unwrap();
    Vault::with_cache_ttl(database.clone(), keyring, TTL)
}

/// An account's environment with its first data key and an integration.
async fn environment(database: &Database, vault: &Vault) -> EnvironmentId {
    let id = Uuid::now_v7();
    let mut conn = database.conn().await.unwrap();
    for sql in [
        format!("INSERT INTO accounts (id, name) VALUES ('{id}', 'test')"),
        format!(
            "INSERT INTO environments (id, account_id, name, is_production, public_key) \
             VALUES ('{id}', '{id}', 'dev', false, '{id}')"
        ),
    ] {
        diesel::sql_query(sql).execute(&mut conn).await.unwrap();
    }
    vault.create(&mut conn, EnvironmentId(id)).await.unwrap();
    let keys = vault.environment(EnvironmentId(id)).await.unwrap();
    let context = Context {
        table: "integrations",
        column: "secrets",
        row: id.as_bytes(),
    };
    let sql = "INSERT INTO integrations (environment_id, id, unique_key, provider, secrets) \
               VALUES ($1, $1, 'demo', 'demo', $2)";
    diesel::sql_query(sql)
        .bind::<diesel::sql_types::Uuid, _>(id)
        .bind::<Binary, _>(keys.seal(&context, b"{}").unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
    EnvironmentId(id)
}

fn context<'a>(column: &'static str, row: &'a [u8; 8]) -> Context<'a> {
    Context {
        table: "connections",
        column,
        row,
    }
}

async fn insert_connection(database: &Database, vault: &Vault, env: EnvironmentId, id: i64) {
    let keys = vault.environment(env).await.unwrap();
    let row = id.to_be_bytes();
    let sql = "INSERT INTO connections \
               (environment_id, id, integration_id, connection_id, credentials, metadata) \
               OVERRIDING SYSTEM VALUE VALUES ($1, $2, $1, $3, $4, $5)";
    let mut conn = database.conn().await.unwrap();
    diesel::sql_query(sql)
        .bind::<diesel::sql_types::Uuid, _>(env.0)
        .bind::<BigInt, _>(id)
        .bind::<Text, _>(format!("connection-{id}"))
        .bind::<Binary, _>(keys.seal(&context("credentials", &row), b"0").unwrap())
        .bind::<Binary, _>(keys.seal(&context("metadata", &row), b"{}").unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    credentials: Vec<u8>,
    #[diesel(sql_type = Binary)]
    metadata: Vec<u8>,
}

async fn connections(database: &Database, env: EnvironmentId, id: Option<i64>) -> Vec<Stored> {
    let mut conn = database.conn().await.unwrap();
    diesel::sql_query(
        "SELECT id, credentials, metadata FROM connections \
         WHERE environment_id = $1 AND ($2 = 0 OR id = $2) ORDER BY id",
    )
    .bind::<diesel::sql_types::Uuid, _>(env.0)
    .bind::<BigInt, _>(id.unwrap_or_default())
    .load(&mut conn)
    .await
    .unwrap()
}

/// Stores credentials over whatever is there, as a request does that is slow to
/// notice a new key.
async fn overwrite(database: &Database, env: EnvironmentId, id: i64, sealed: &[u8]) {
    let mut conn = database.conn().await.unwrap();
    let sql = "UPDATE connections SET credentials = $1 WHERE environment_id = $2 AND id = $3";
    diesel::sql_query(sql)
        .bind::<Binary, _>(sealed)
        .bind::<diesel::sql_types::Uuid, _>(env.0)
        .bind::<BigInt, _>(id)
        .execute(&mut conn)
        .await
        .unwrap();
}

/// Reads a connection's credentials, a number, and stores the next number if
/// nobody else changed the row meanwhile, as a refresh does.
async fn count_up(database: &Database, vault: &Vault, env: EnvironmentId, id: i64) -> bool {
    let row = id.to_be_bytes();
    let context = context("credentials", &row);
    let stored = connections(database, env, Some(id)).await.remove(0);
    let opened = vault
        .open(env, &context, &stored.credentials)
        .await
        .unwrap();
    let number: u64 = std::str::from_utf8(&opened).unwrap().parse().unwrap();
    let keys = vault.environment(env).await.unwrap();
    let next = keys.seal(&context, (number + 1).to_string().as_bytes());
    let mut conn = database.conn().await.unwrap();
    let sql = "UPDATE connections SET credentials = $1 \
               WHERE environment_id = $2 AND id = $3 AND credentials = $4";
    let updated = diesel::sql_query(sql)
        .bind::<Binary, _>(next.unwrap())
        .bind::<diesel::sql_types::Uuid, _>(env.0)
        .bind::<BigInt, _>(id)
        .bind::<Binary, _>(stored.credentials)
        .execute(&mut conn)
        .await
        .unwrap();
    updated == 1
}

fn version(sealed: &[u8]) -> u32 {
    u32::from_be_bytes(sealed[1..5].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_while_requests_run() {
    const ROWS: i64 = 250;
    /// At the end of a page, where rotation holds what it read for longest.
    const BUSY: std::ops::RangeInclusive<i64> = 98..=100;
    let test = TestDatabase::new().await;
    let database = test.database();
    let (old, new) = (entry("old"), entry("new"));
    let before = vault(&database, &[&old, &new]);
    before.check().await.unwrap();
    let env = environment(&database, &before).await;
    for id in 1..=ROWS {
        insert_connection(&database, &before, env, id).await;
    }

    // Another process, which has its own cache.
    let stop = watch::Sender::new(false);
    let tries = watch::Sender::new(0);
    let requests: Vec<_> = BUSY
        .map(|id| {
            let (database, stop, tries) = (database.clone(), stop.subscribe(), tries.clone());
            let vault = vault(&database, &[&old, &new]);
            tokio::spawn(async move {
                let mut stored = 0_u64;
                while !*stop.borrow() {
                    let ours = count_up(&database, &vault, env, id).await;
                    stored += u64::from(ours);
                    tries.send_modify(|tries| *tries += 1);
                }
                (id, stored)
            })
        })
        .collect();
    let under_way = |tries: &u64| *tries >= 10;
    tries.subscribe().wait_for(under_way).await.unwrap();

    let after = vault(&database, &[&new, &old]);
    let root = after.rotate_root().await.unwrap();
    assert_eq!(root, RootReport { rewrapped: 1 });
    let mut pages = 0;
    let data = after.rotate_data(|_| pages += 1).await.unwrap();
    stop.send_replace(true);
    assert_eq!((data.environments, data.unreadable), (1, 0));
    assert!(
        data.resealed >= 2 * u64::try_from(ROWS - 3).unwrap(),
        "{data:?}"
    );
    assert!(
        pages >= 6,
        "two columns of 250 rows in pages of 100, and more: {pages}"
    );

    // No write was lost, although rotation replaced the same values.
    let only_new = vault(&database, &[&new]);
    for request in requests {
        let (id, stored) = request.await.unwrap();
        let row = connections(&database, env, Some(id)).await.remove(0);
        let row_id = id.to_be_bytes();
        let context = context("credentials", &row_id);
        let opened = only_new.open(env, &context, &row.credentials).await;
        assert_eq!(opened.unwrap().as_slice(), stored.to_string().as_bytes());
    }
    only_new.check().await.unwrap();
    let rows = connections(&database, env, None).await;
    assert_eq!(rows.len(), 250);
    for row in rows {
        assert_eq!((version(&row.credentials), version(&row.metadata)), (2, 2));
        let id = row.id.to_be_bytes();
        let context = context("metadata", &id);
        let opened = only_new.open(env, &context, &row.metadata).await;
        assert_eq!(opened.unwrap().as_slice(), b"{}");
    }
    // Nothing is left to do, and a further rotation starts from there.
    assert_eq!(after.rotate_root().await.unwrap().rewrapped, 0);
    let again = after.rotate_data(|_| ()).await.unwrap();
    assert_eq!(again.resealed, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_replaced_between_reading_and_writing_is_not_lost() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let vault = vault(&database, &[&entry("main")]);
    let env = environment(&database, &vault).await;
    insert_connection(&database, &vault, env, 1).await;
    insert_connection(&database, &vault, env, 2).await;
    // Rotation reads both rows at once. While it writes the first one, this
    // replaces the second one.
    let row = 2_i64.to_be_bytes();
    let context = context("credentials", &row);
    let keys = vault.environment(env).await.unwrap();
    let replacement: String = keys
        .seal(&context, b"replaced")
        .unwrap()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut conn = database.conn().await.unwrap();
    for sql in [
        format!(
            "CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE connections SET credentials = '\\x{replacement}' WHERE id = 2; \
             RETURN NEW; END $$"
        ),
        "CREATE TRIGGER replace BEFORE UPDATE OF credentials ON connections FOR EACH ROW \
         WHEN (OLD.id = 1) EXECUTE FUNCTION replace()"
            .to_owned(),
    ] {
        diesel::sql_query(sql).execute(&mut conn).await.unwrap();
    }
    drop(conn);

    let report = vault.rotate_data(|_| ()).await.unwrap();
    let expected = DataReport {
        environments: 1,
        resealed: 5,
        overtaken: 1,
        unreadable: 0,
    };
    assert_eq!(report, expected);
    let stored = connections(&database, env, Some(2)).await.remove(0);
    assert_eq!(version(&stored.credentials), 2);
    let opened = vault.open(env, &context, &stored.credentials).await;
    assert_eq!(opened.unwrap().as_slice(), b"replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_sealed_with_a_cached_old_key_is_found_by_a_further_walk() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let main = entry("main");
    let other_process = vault(&database, &[&main]);
    let env = environment(&database, &other_process).await;
    insert_connection(&database, &other_process, env, 1).await;
    let old_keys = other_process.environment(env).await.unwrap();

    let row = 1_i64.to_be_bytes();
    let context = context("credentials", &row);
    let late = old_keys.seal(&context, b"late").unwrap();
    let mut walked = false;
    let vault = vault(&database, &[&main]);
    let report = vault.rotate_data(|report| {
        // Once the walk has passed the row: integration, credentials, metadata.
        if report.resealed == 3 && !walked {
            walked = true;
            tokio::task::block_in_place(|| {
                let write = overwrite(&database, env, 1, &late);
                tokio::runtime::Handle::current().block_on(write);
            });
        }
    });
    assert_eq!(report.await.unwrap().resealed, 4);
    let stored = connections(&database, env, Some(1)).await.remove(0);
    assert_eq!(version(&stored.credentials), 2);
    let opened = vault.open(env, &context, &stored.credentials).await;
    assert_eq!(opened.unwrap().as_slice(), b"late");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_open_are_counted_and_left() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let vault = vault(&database, &[&entry("main")]);
    let env = environment(&database, &vault).await;
    insert_connection(&database, &vault, env, 1).await;
    insert_connection(&database, &vault, env, 2).await;
    // A value moved to another row.
    let mut conn = database.conn().await.unwrap();
    diesel::sql_query(
        "UPDATE connections SET credentials = \
         (SELECT credentials FROM connections WHERE id = 2) WHERE id = 1",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    drop(conn);

    let report = vault.rotate_data(|_| ()).await.unwrap();
    let expected = DataReport {
        environments: 1,
        resealed: 4,
        overtaken: 0,
        unreadable: 1,
    };
    assert_eq!(report, expected);
    let rows = connections(&database, env, None).await;
    assert_eq!(version(&rows[0].credentials), 1);
    assert_eq!(version(&rows[0].metadata), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_can_open_with_what_they_have_cached_while_data_keys_rotate() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let main = entry("main");
    let other_process = vault(&database, &[&main]);
    let env = environment(&database, &other_process).await;
    insert_connection(&database, &other_process, env, 1).await;
    let id = 1_i64.to_be_bytes();
    let context = context("credentials", &id);

    let rotating = vault(&database, &[&main]);
    let mut rotation = tokio::spawn(async move { rotating.rotate_data(|_| ()).await });
    let mut reads = 0;
    while !rotation.is_finished() {
        let keys = other_process.environment(env).await.unwrap();
        let row = connections(&database, env, Some(1)).await.remove(0);
        keys.open(&context, &row.credentials)
            .expect("a key that is cached");
        reads += 1;
    }
    assert!(reads > 2, "{reads}");
    assert_eq!((&mut rotation).await.unwrap().unwrap().resealed, 3);
    let row = connections(&database, env, Some(1)).await.remove(0);
    assert_eq!(version(&row.credentials), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_meanwhile_by_another_process_opens() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let main = entry("main");
    let ours = Vault::new(database.clone(), Keyring::parse(&[&main]).unwrap());
    let env = environment(&database, &ours).await;
    insert_connection(&database, &ours, env, 1).await;
    let cached = ours.environment(env).await.unwrap();

    vault(&database, &[&main])
        .rotate_data(|_| ())
        .await
        .unwrap();
    let row = connections(&database, env, Some(1)).await.remove(0);
    let id = 1_i64.to_be_bytes();
    let context = context("credentials", &id);
    let refused = cached.open(&context, &row.credentials);
    assert!(matches!(refused, Err(Error::UnknownVersion { version: 2 })));
    let opened: u32 = ours
        .open_json(env, &context, &row.credentials)
        .await
        .unwrap();
    assert_eq!(opened, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_the_wrong_root_keys_is_refused() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let (main, other) = (entry("main"), entry("other"));
    let first = vault(&database, &[&main]);
    first.check().await.unwrap();
    let impostor = vault(&database, &[&entry("main")]);
    let error = impostor.check().await;
    assert!(matches!(error, Err(Error::WrongRootKey { id }) if id == "main"));

    // Without data keys nothing needs the first root key.
    vault(&database, &[&other]).check().await.unwrap();
    let env = environment(&database, &first).await;
    let error = vault(&database, &[&other]).check().await;
    assert!(matches!(error, Err(Error::MissingRootKey { id }) if id == "main"));
    let error = vault(&database, &[&other]).environment(env).await;
    let error = error.unwrap_err();
    assert!(matches!(error.cause(), Error::MissingRootKey { id } if id == "main"));
    vault(&database, &[&other, &main]).check().await.unwrap();
    vault(&database, &[&main]).check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_root_key_is_found_without_a_check_value() {
    let test = TestDatabase::new().await;
    let database = test.database();
    // `create` does not depend on `check`.
    environment(&database, &vault(&database, &[&entry("main")])).await;
    let error = vault(&database, &[&entry("main")]).check().await;
    assert!(matches!(error, Err(Error::WrongRootKey { id }) if id == "main"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_without_a_data_key_is_an_error_that_is_not_cached() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let vault = vault(&database, &[&entry("main")]);
    let missing = EnvironmentId(Uuid::now_v7());
    let error = vault.environment(missing).await.unwrap_err();
    assert!(matches!(error.cause(), Error::NoDataKey { environment } if *environment == missing));

    let env = environment(&database, &vault).await;
    let mut conn = database.conn().await.unwrap();
    vault.create(&mut conn, env).await.unwrap();
    assert!(vault.environment(env).await.is_ok());
}

/// A sealed column that is not listed would be missed by rotation.
#[tokio::test(flavor = "multi_thread")]
async fn every_binary_column_is_sealed_or_known_not_to_be() {
    const NOT_SEALED: [&str; 6] = [
        "api_keys.hash",
        "connect_sessions.token_hash",
        "data_keys.wrapped",
        "oauth_flows.state_hash",
        "popup_channels.id_hash",
        "root_keys.check_value",
    ];
    #[derive(QueryableByName)]
    struct Columns {
        #[diesel(sql_type = Array<Text>)]
        names: Vec<String>,
    }
    let test = TestDatabase::new().await;
    let mut conn = test.database().conn().await.unwrap();
    let found: Columns = diesel::sql_query(
        "SELECT array_agg(CASE table_schema WHEN 'public' THEN '' ELSE table_schema || '.' END \
         || table_name || '.' || column_name) AS names \
         FROM information_schema.columns \
         WHERE table_schema IN ('public', 'records', 'logs') AND data_type = 'bytea'",
    )
    .get_result(&mut conn)
    .await
    .unwrap();
    let mut found = found.names;
    found.sort();
    let mut known: Vec<String> = SEALED
        .iter()
        .map(|sealed| format!("{}.{}", sealed.table, sealed.column))
        .chain(NOT_SEALED.map(str::to_owned))
        .collect();
    known.sort();
    assert_eq!(found, known);
}

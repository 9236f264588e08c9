//! A store on a database of its own.

use linkspan_records::{Outcome, Query, Record, Store, StreamName, Writer};
use linkspan_shared::db::migrate::{self, Group};
use linkspan_shared::db::{Database, Settings};
use linkspan_shared::tenancy::bootstrap;
use linkspan_shared::vault::{Keyring, Vault};
use linkspan_testkit::TestDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) db: Database,
    pub(crate) name: StreamName,
    keyring: Keyring,
    key: String,
    url: SecretString,
    test: Option<TestDatabase>,
}

/// A record as it is written.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(crate) fn raws(texts: &[&str]) -> Vec<Box<RawValue>> {
    texts.iter().map(|text| raw(text)).collect()
}

pub(crate) fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

impl World {
    pub(crate) async fn new() -> Self {
        let test = TestDatabase::new().await;
        Self::with(test.database(), test.url(), Some(test)).await
    }

    /// On a database of a server of the test's own, which has no tables yet.
    pub(crate) async fn at(url: SecretString) -> Self {
        for group in [Group::Control, Group::Records] {
            migrate::run(&url, group).await.unwrap();
        }
        let db = Database::new(&Settings {
            url: url.clone(),
            max_connections: 4,
            timeout: std::time::Duration::from_secs(30),
        });
        Self::with(db.unwrap(), url, None).await
    }

    async fn with(db: Database, url: SecretString, test: Option<TestDatabase>) -> Self {
        let key = Keyring::generate("test").unwrap();
        let keyring = Keyring::parse(&[key.expose_secret()]).unwrap();
        let ttl = std::time::Duration::from_millis(50);
        let vault = Vault::with_cache_ttl(db.clone(), keyring.clone(), ttl);
        let keys = bootstrap::run(&db, &vault, "test").await.unwrap().unwrap();
        Self {
            store: Store::new(db.clone(), vault.clone()),
            name: StreamName::base(keys[0].environment.id, 7, "Contact"),
            vault,
            db,
            keyring,
            key: key.expose_secret().to_owned(),
            url,
            test,
        }
    }

    /// Where another process finds the database.
    pub(crate) fn url(&self) -> String {
        self.url.expose_secret().to_owned()
    }

    /// The root key, for another process.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A connection of its own, past everything.
    pub(crate) async fn admin(&self) -> tokio_postgres::Client {
        let url = self
            .test
            .as_ref()
            .map_or(self.url.clone(), TestDatabase::direct_url);
        let connected = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A store that keeps keys for an hour.
    pub(crate) async fn slow_process(&self) -> Store {
        let hour = std::time::Duration::from_secs(3_600);
        let keyring = self.keyring.clone();
        let vault = Vault::with_cache_ttl(self.db.clone(), keyring, hour);
        Store::new(self.db.clone(), vault)
    }

    pub(crate) async fn save(&self, texts: &[&str]) -> Outcome {
        self.save_as(Writer::default(), texts).await
    }

    pub(crate) async fn save_as(&self, writer: Writer, texts: &[&str]) -> Outcome {
        let saved = self.store.batch_save(&self.name, raws(texts), writer).await;
        saved.unwrap()
    }

    pub(crate) async fn delete(&self, texts: &[&str]) -> Outcome {
        let writer = Writer::default();
        let deleted = self.store.batch_delete(&self.name, raws(texts), writer);
        deleted.await.unwrap()
    }

    /// Everything, in pages of three.
    pub(crate) async fn all(&self) -> Vec<Record> {
        self.all_with(Query::default()).await
    }

    pub(crate) async fn all_with(&self, mut query: Query) -> Vec<Record> {
        query.limit = 3;
        let mut records = Vec::new();
        loop {
            let page = self.store.list(&self.name, &query).await.unwrap();
            assert!(page.records.len() <= 3);
            records.extend(page.records);
            match page.next {
                Some(next) => query.after = next,
                None => return records,
            }
        }
    }

    pub(crate) async fn texts(&self) -> Vec<String> {
        let all = self.all().await;
        all.into_iter().map(|record| record.text).collect()
    }

    /// The counts that the stream says, after they were found to be true.
    pub(crate) async fn counts(&self) -> (i64, i64) {
        let counts = self.store.counts(&self.name).await.unwrap().unwrap();
        let counted = self
            .number(
                "SELECT (count(*) FILTER (WHERE NOT deleted) * 1000000000000 \
                 + count(*) FILTER (WHERE deleted) * 1000000000 \
                 + coalesce(sum(octet_length(payload)), 0))::bigint AS number \
                 FROM records.records",
            )
            .await;
        let said = counts.live * 1_000_000_000_000 + counts.deleted * 1_000_000_000 + counts.bytes;
        assert_eq!(said, counted, "{counts:?}");
        (counts.live, counts.deleted)
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        use diesel_async::RunQueryDsl;
        #[derive(diesel::QueryableByName)]
        struct Number {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let mut conn = self.db.conn().await.unwrap();
        let row: Number = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
        row.number
    }

    pub(crate) async fn run_sql(&self, sql: &str) {
        use diesel_async::SimpleAsyncConnection;
        let mut conn = self.db.conn().await.unwrap();
        conn.batch_execute(sql).await.unwrap();
    }
}

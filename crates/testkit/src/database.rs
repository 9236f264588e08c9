//! A migrated database of its own for each test, cloned from a template.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use linkspan_shared::db::migrate::{self, Group};
use linkspan_shared::db::{self, Database};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio_postgres::NoTls;
use url::Url;
use uuid::Uuid;

use crate::OwnPostgres;

/// Where tests connect as the app does: the server, or a pooler before it.
const APP_URL: &str = "LINKSPAN_TEST_DATABASE_URL";
/// Where databases are made and dropped: always the server itself.
const ADMIN_URL: &str = "LINKSPAN_TEST_DATABASE_ADMIN_URL";
/// Any number: it only has to be the same for every test process.
const TEMPLATE_LOCK: i64 = 0x7465_7374;

/// A migrated database that is dropped with this value.
pub struct TestDatabase {
    name: String,
    admin: Url,
    app: Url,
}

impl TestDatabase {
    /// Makes a database from the template, and the template when there is none
    /// for today's migrations. Needs a multi-threaded runtime.
    ///
    /// # Panics
    /// When there is no test server: a test cannot go on without one.
    pub async fn new() -> Self {
        match Self::create().await {
            Ok(database) => database,
            Err(error) => panic!("no test database: {error:#}"),
        }
    }

    /// Makes a database without any tables, for tests of migrations.
    ///
    /// # Panics
    /// When there is no test server.
    pub async fn empty() -> Self {
        match Self::clone_of("template1").await {
            Ok(database) => database,
            Err(error) => panic!("no test database: {error:#}"),
        }
    }

    /// Makes a database from the template on a server that is a test's own.
    ///
    /// # Panics
    /// When that does not run.
    pub async fn on(own: &OwnPostgres) -> Self {
        let cloned = async {
            let url: Url = own.url().expose_secret().parse()?;
            Self::clone_at(&template(&url).await?, url.clone(), url).await
        };
        match cloned.await {
            Ok(database) => database,
            Err(error) => panic!("no test database: {error:#}"),
        }
    }

    async fn create() -> Result<Self> {
        let template = template(&variable(ADMIN_URL)?).await?;
        Self::clone_of(&template).await
    }

    async fn clone_of(template: &str) -> Result<Self> {
        let admin = variable(ADMIN_URL)?;
        let app = variable(APP_URL).unwrap_or_else(|_| admin.clone());
        Self::clone_at(template, admin, app).await
    }

    async fn clone_at(template: &str, admin: Url, app: Url) -> Result<Self> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(
            &admin,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await?;
        Ok(Self { name, admin, app })
    }

    /// The URL by which an app reaches this database.
    #[must_use]
    pub fn url(&self) -> SecretString {
        with_database(&self.app, &self.name).to_string().into()
    }

    /// The URL that goes past any pooler.
    #[must_use]
    pub fn direct_url(&self) -> SecretString {
        with_database(&self.admin, &self.name).to_string().into()
    }

    /// A pool on this database.
    ///
    /// # Panics
    /// Never, with these settings.
    #[must_use]
    pub fn database(&self) -> Database {
        let settings = db::Settings {
            url: self.url(),
            max_connections: 8,
            timeout: Duration::from_secs(10),
        };
        match Database::new(&settings) {
            Ok(database) => database,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for TestDatabase {
    /// Blocks its task until the database is gone. Postgres drops one only after
    /// every session has answered it, those that still log in too: futures that
    /// log in and one that drops must not share a task, or they wait for each other
    /// until the server gives up the login.
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime cannot be entered from within another on the same thread.
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(anyhow::Error::from)
                .and_then(|runtime| runtime.block_on(execute(&admin, &sql)))
        });
        let dropped = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => block_in_place(|| dropping.join()),
            _ => dropping.join(),
        };
        if !matches!(dropped, Ok(Ok(()))) && !std::thread::panicking() {
            panic!("could not drop {}: {dropped:?}", self.name);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands the server's address over in the environment"
)]
fn variable(name: &str) -> Result<Url> {
    match std::env::var(name) {
        Ok(url) => url.parse().with_context(|| format!("{name} is not a URL")),
        Err(_) => bail!("{name} is not set: run the tests by `cargo xtask test`"),
    }
}

fn with_database(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

async fn connect(url: &Url) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn execute(url: &Url, sql: &str) -> Result<()> {
    connect(url)
        .await?
        .batch_execute(sql)
        .await
        .with_context(|| sql.to_owned())
}

/// The name of a migrated database that nobody connects to, as cloning one
/// demands.
async fn template(admin: &Url) -> Result<String> {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut hasher = DefaultHasher::new();
    hash_folder(&migrations, &mut hasher)?;
    let name = format!("template_{:016x}", hasher.finish());

    let client = connect(admin).await?;
    client
        .batch_execute(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"))
        .await?;
    let exists = client
        .query_typed(
            "SELECT 1 FROM pg_database WHERE datname = $1",
            &[(&name, tokio_postgres::types::Type::TEXT)],
        )
        .await?;
    if exists.is_empty() {
        // Renamed only when complete, so that a killed run leaves no half one.
        let unfinished = format!("{name}_{}", Uuid::now_v7().simple());
        client
            .batch_execute(&format!("CREATE DATABASE {unfinished}"))
            .await?;
        let url: SecretString = with_database(admin, &unfinished).to_string().into();
        for group in [Group::Control, Group::Records, Group::Logs] {
            migrate::run(&url, group).await?;
        }
        rename(&client, &unfinished, &name).await?;
    }
    Ok(name)
}

/// The migrator's connections close a moment after they are dropped.
async fn rename(client: &tokio_postgres::Client, from: &str, to: &str) -> Result<()> {
    client
        .batch_execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"
        ))
        .await?;
    let sql = format!("ALTER DATABASE {from} RENAME TO {to}");
    for _ in 0..100 {
        if client.batch_execute(&sql).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.batch_execute(&sql).await.context(sql)
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            hash_folder(&entry.path(), hasher)?;
        } else {
            entry.file_name().hash(hasher);
            std::fs::read(entry.path())?.hash(hasher);
        }
    }
    Ok(())
}

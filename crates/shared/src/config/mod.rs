//! Configuration: the defaults file, then a file, then the environment, then
//! one validation. Pure: the caller reads the file and the environment.

use std::path::Path;

use secrecy::SecretString;

mod error;
mod layers;
mod nearest;
mod reader;
mod sections;
mod validate;
mod value;

pub use error::{Errors, Problem};
pub use sections::{
    Cache, Connect, Database, Jobs, Limits, LogFormat, Logs, Net, OAuth, Providers, Proxy, Records,
    Refresh, Server, Vault, Worker,
};

use crate::{db, vault};
use layers::{Layers, Origin, Setting};
use reader::Reader;

/// The built-in defaults file, which documents every setting.
pub const DEFAULTS: &str = layers::DEFAULTS;

/// The whole configuration, valid. `Debug` shows no secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// How requests come in.
    pub server: Server,
    /// The control plane's Postgres.
    pub database: Database,
    /// What syncs have saved.
    pub records: Records,
    /// Operation logs, and what the process itself logs.
    pub logs: Logs,
    /// The root keys.
    pub vault: Vault,
    /// Calls to the outside.
    pub net: Net,
    /// Proxied calls.
    pub proxy: Proxy,
    /// What is kept in memory.
    pub cache: Cache,
    /// Provider templates.
    pub providers: Providers,
    /// Connect sessions.
    pub connect: Connect,
    /// Authorisations under way.
    pub oauth: OAuth,
    /// Fresh credentials.
    pub refresh: Refresh,
    /// Who runs jobs.
    pub worker: Worker,
    /// What is kept of jobs.
    pub jobs: Jobs,
    /// How much one environment may call.
    pub limits: Limits,
    effective: Vec<Effective>,
}

/// A setting as `config check` prints it.
#[derive(Debug, Clone)]
struct Effective {
    path: String,
    shown: String,
    origin: String,
}

impl Config {
    /// Lays the sources over one another and validates the result. `file` is a
    /// TOML file's path, for messages, and its text; of `environment` only
    /// names that begin with `LINKSPAN_` count.
    ///
    /// # Errors
    /// All problems at once: unknown settings, values of the wrong kind, values
    /// out of range.
    pub fn load(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Errors> {
        let mut layers = Layers::defaults();
        if let Some((path, text)) = file {
            layers.add_file(&path.display().to_string(), text);
        }
        layers.add_environment(environment);
        let mut reader = Reader::new(layers);
        let config = Self::read(&mut reader);
        let (settings, problems) = reader.finish();
        match config {
            Some(mut config) if problems.is_empty() => {
                config.effective = settings.iter().map(Effective::of).collect();
                Ok(config)
            }
            _ => Err(Errors::new(problems)),
        }
    }

    fn read(read: &mut Reader) -> Option<Self> {
        let server = validate::server(read);
        let database = validate::database(read);
        let records = validate::records(read);
        let logs = validate::logs(read);
        let vault = validate::vault(read);
        let net = validate::net(read);
        let proxy = validate::proxy(read);
        let cache = validate::cache(read);
        let providers = validate::providers(read);
        let connect = validate::connect(read);
        let oauth = validate::oauth(read);
        let refresh = validate::refresh(read);
        let worker = validate::worker(read);
        let jobs = validate::jobs(read);
        let limits = validate::limits(read);
        Some(Self {
            server: server?,
            database: database?,
            records: records?,
            logs: logs?,
            vault: vault?,
            net: net?,
            proxy: proxy?,
            cache: cache?,
            providers: providers?,
            connect: connect?,
            oauth: oauth?,
            refresh: refresh?,
            worker: worker?,
            jobs: jobs?,
            limits: limits?,
            effective: Vec::new(),
        })
    }

    /// The settings in effect as TOML, one a line, each with where it came
    /// from. Secrets are masked.
    #[must_use]
    pub fn describe(&self) -> String {
        self.effective
            .iter()
            .map(
                |Effective {
                     path,
                     shown,
                     origin,
                 }| {
                    let setting = format!("{path} = {shown}");
                    format!("{setting:<56} # {origin}\n")
                },
            )
            .collect()
    }

    /// The control plane's database.
    ///
    /// # Errors
    /// When `database.url` is not set.
    pub fn control_database(&self) -> Result<db::Settings, Errors> {
        Ok(self.pool(self.database_url()?.clone()))
    }

    /// The database of records: their own, or the control plane's.
    ///
    /// # Errors
    /// When neither `records.database_url` nor `database.url` is set.
    pub fn records_database(&self) -> Result<db::Settings, Errors> {
        match &self.records.database_url {
            Some(url) => Ok(self.pool(url.clone())),
            None => self.control_database(),
        }
    }

    /// The database of operation logs: their own, or the control plane's.
    ///
    /// # Errors
    /// When neither `logs.database_url` nor `database.url` is set.
    pub fn logs_database(&self) -> Result<db::Settings, Errors> {
        match &self.logs.database_url {
            Some(url) => Ok(self.pool(url.clone())),
            None => self.control_database(),
        }
    }

    /// Where migrations of the control plane run: past the pooler, if there is
    /// one.
    ///
    /// # Errors
    /// When neither `database.direct_url` nor `database.url` is set.
    pub fn direct_url(&self) -> Result<&SecretString, Errors> {
        match &self.database.direct_url {
            Some(url) => Ok(url),
            None => self.database_url(),
        }
    }

    /// Where migrations of the records run: their own database if they have one,
    /// otherwise [`Config::direct_url`].
    ///
    /// # Errors
    /// When no database is set.
    pub fn records_direct_url(&self) -> Result<&SecretString, Errors> {
        match &self.records.database_url {
            Some(url) => Ok(url),
            None => self.direct_url(),
        }
    }

    /// Where migrations of the logs run: their own database if they have one,
    /// otherwise [`Config::direct_url`].
    ///
    /// # Errors
    /// When no database is set.
    pub fn logs_direct_url(&self) -> Result<&SecretString, Errors> {
        match &self.logs.database_url {
            Some(url) => Ok(url),
            None => self.direct_url(),
        }
    }

    /// The root keys.
    ///
    /// # Errors
    /// When `vault.root_keys` is not set.
    pub fn keyring(&self) -> Result<&vault::Keyring, Errors> {
        self.vault.keyring.as_ref().ok_or_else(|| {
            unset(
                "vault.root_keys",
                "is not set: make a key with `openssl rand -base64 32` and set \
                 LINKSPAN_VAULT_ROOT_KEYS=main:THE_KEY, or root_keys in the file's [vault]",
            )
        })
    }

    fn database_url(&self) -> Result<&SecretString, Errors> {
        self.database.url.as_ref().ok_or_else(|| {
            unset(
                "database.url",
                "is not set: set LINKSPAN_DATABASE_URL, or url in the file's [database]",
            )
        })
    }

    fn pool(&self, url: SecretString) -> db::Settings {
        db::Settings {
            url,
            max_connections: self.database.max_connections,
            timeout: self.database.connect_timeout,
        }
    }
}

impl Effective {
    fn of(setting: &Setting) -> Self {
        Self {
            path: setting.path.clone(),
            shown: setting.shown(),
            origin: setting.origin.to_string(),
        }
    }
}

fn unset(key: &str, message: &str) -> Errors {
    Errors::new(vec![Problem::new(key, &Origin::Default, message)])
}

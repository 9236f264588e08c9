//! A PgBouncer in transaction mode before the test server: what reaches the
//! app through it must need nothing that outlives a transaction.

use std::fs::{File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use linkspan_localdb::Account;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use url::Url;

/// A running PgBouncer, killed with this value at the latest: it keeps no state.
pub(crate) struct PgBouncer {
    /// Reaches the same server as the URL it was started with.
    pub(crate) url: Url,
    process: Child,
    _home: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one before a server and waits until it listens. Its log goes to
    /// the given file.
    pub(crate) async fn start(program: &Path, server: &Url, log: &Path) -> Result<Self> {
        // PgBouncer, too, refuses to run as root.
        let account = Account::to_drop_to()?;
        let port = free_port()?;
        let home = tempfile::tempdir()?;
        let users = home.path().join("users.txt");
        let settings = home.path().join("pgbouncer.ini");
        std::fs::write(&users, user_list(server)?)?;
        std::fs::write(&settings, configuration(server, port, &users)?)?;
        for (path, mode) in [
            (users.as_path(), 0o600),
            (&settings, 0o600),
            (home.path(), 0o700),
        ] {
            std::fs::set_permissions(path, Permissions::from_mode(mode))?;
            if let Some(Account { uid, gid }) = account {
                std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
            }
        }
        let process = spawn(program, &settings, account, log)?;
        let mut url = server.clone();
        if url.set_host(Some("127.0.0.1")).is_err() || url.set_port(Some(port)).is_err() {
            bail!("{server} is not the URL of a Postgres server");
        }
        let mut pooler = Self {
            url,
            process,
            _home: home,
        };
        pooler.wait_until_listening(port, log).await?;
        Ok(pooler)
    }

    /// Kills it, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    async fn wait_until_listening(&mut self, port: u16, log: &Path) -> Result<()> {
        let listening = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = listening => return Ok(()),
            _ = self.process.wait() => {}
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
        let log = std::fs::read_to_string(log).unwrap_or_default();
        bail!("PgBouncer did not start; its log:\n{log}")
    }
}

fn spawn(program: &Path, settings: &Path, account: Option<Account>, log: &Path) -> Result<Child> {
    let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut command = std::process::Command::new(program);
    command.arg(settings).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    if let Some(account) = account {
        account.run(&mut command);
    }
    let mut command = Command::from(command);
    // Ctrl-C is for the tests; the pooler goes after them.
    command.process_group(0).kill_on_drop(true);
    command
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))
}

/// Named prepared statements are left to the version at hand: before 1.21 it
/// does not follow them (and refuses the setting), which is the case to pass.
fn configuration(server: &Url, port: u16, users: &Path) -> Result<String> {
    let host = server
        .host_str()
        .context("the test server's URL has no host")?;
    let users = users.display();
    let server_port = server.port().unwrap_or(5432);
    Ok(format!(
        "[databases]\n\
         * = host={host} port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {users}\n\
         pool_mode = transaction\n\
         default_pool_size = 5\n\
         max_client_conn = 900\n\
         server_idle_timeout = 5\n"
    ))
}

/// `"user" "password"`, quotes doubled, as PgBouncer reads it.
fn user_list(server: &Url) -> Result<String> {
    let quoted = |text: &str| -> Result<String> {
        let text = percent_decode_str(text).decode_utf8()?;
        Ok(format!("\"{}\"", text.replace('"', "\"\"")))
    };
    let user = quoted(server.username())?;
    let password = quoted(
        server
            .password()
            .context("the test server's URL has no password")?,
    )?;
    Ok(format!("{user} {password}\n"))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_list_is_decoded_and_quoted() {
        let server = "postgres://ann:p%22a%2Fb@127.0.0.1:5433/postgres"
            .parse()
            .unwrap();
        assert_eq!(user_list(&server).unwrap(), "\"ann\" \"p\"\"a/b\"\n");
        assert!(user_list(&"postgres://ann@127.0.0.1/".parse().unwrap()).is_err());
    }

    #[test]
    fn every_database_is_reached_in_transaction_mode() {
        let server = "postgres://ann:x@127.0.0.1:5433/postgres".parse().unwrap();
        let text = configuration(&server, 6432, Path::new("/u")).unwrap();
        assert!(text.contains("* = host=127.0.0.1 port=5433\n"));
        assert!(text.contains("pool_mode = transaction\n"));
    }
}

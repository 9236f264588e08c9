//! nginx, as the upstream and as the reference.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::load::Load;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A small answer of a usual API.
const ANSWER: &str = r#"{"id":1,"name":"small","tags":["a","b"],"at":"2026-01-01T00:00:00Z"}"#;

/// A running nginx; it ends with this value.
pub(super) struct Nginx {
    name: &'static str,
    address: SocketAddr,
    child: Process,
}

impl Nginx {
    /// Answers every request with a small JSON, from memory.
    pub(super) fn upstream(program: &Path, folder: &Path) -> Result<Self> {
        let location =
            format!("default_type application/json; location / {{ return 200 '{ANSWER}'; }}");
        Self::start("upstream", program, folder, 2, "", &location)
    }

    /// Passes on to the upstream, over connections that stay open, with the
    /// header that an authenticating proxy adds.
    pub(super) fn proxy(
        program: &Path,
        folder: &Path,
        workers: usize,
        upstream: &Self,
    ) -> Result<Self> {
        let name = if workers == 1 {
            "nginx, 1 worker"
        } else {
            "nginx, 2 workers"
        };
        let address = upstream.address;
        let group = format!(
            "upstream api {{ server {address}; keepalive 256; keepalive_requests 1000000000; }}"
        );
        let location = "location / { proxy_pass http://api; proxy_http_version 1.1; \
             proxy_set_header Connection ''; proxy_set_header Authorization 'Bearer key'; }";
        Self::start(name, program, folder, workers, &group, location)
    }

    fn start(
        name: &'static str,
        program: &Path,
        folder: &Path,
        workers: usize,
        outside: &str,
        inside: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let configuration = format!(
            "daemon off; worker_processes {workers}; pid nginx.pid; error_log error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             {outside}\nserver {{ listen {address}; {inside} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(folder).arg("-c").arg(&file);
        let child = Process::start(&mut command, Stdio::inherit())?;
        child.wait_for(address)?;
        Ok(Self {
            name,
            address,
            child,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn load(&self) -> Load {
        Load {
            name: self.name,
            url: format!("http://{}/items/1", self.address),
            headers: Vec::new(),
            pid: self.child.id(),
        }
    }
}

/// Another free one may be taken before it is used, which the server then says.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// A server process, told to end when it is dropped, and waited for.
pub(super) struct Process(Child);

impl Process {
    /// Runs a command; what it has to say goes to `log`.
    pub(super) fn start(command: &mut Command, log: impl Into<Stdio>) -> Result<Self> {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn();
        Ok(Self(
            child.with_context(|| format!("cannot run {command:?}"))?,
        ))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn wait_for(&self, address: SocketAddr) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("nothing listens on {address}");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that is gone is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

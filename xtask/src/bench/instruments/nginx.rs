//! nginx, as the upstream and as the reference.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::process::{Process, Usage, free_address};
use super::wrk::{Headers, Load};
use crate::programs::NGINX;

/// A small answer of a usual API.
const ANSWER: &str = r#"{"id":1,"name":"small","tags":["a","b"],"at":"2026-01-01T00:00:00Z"}"#;
/// The path of the large answer, in the folder that is served.
const LARGE: &str = "large";

/// A running nginx; it ends with this value.
pub(in super::super) struct Nginx {
    name: String,
    address: SocketAddr,
    process: Process,
}

impl Nginx {
    /// Answers every request with a small JSON, from memory, and `/large` with
    /// so many bytes, from a file without any on disk.
    pub(in super::super) fn upstream(folder: &Path, large: u64) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::File::create(folder.join(LARGE))?.set_len(large)?;
        // Its workers may have no right to go through a private folder.
        let location = format!(
            "default_type application/json; location / {{ return 200 '{ANSWER}'; }}\n\
             location = /{LARGE} {{ root {}; }}",
            folder.display()
        );
        Self::start("upstream".to_owned(), folder, 2, "", &location)
    }

    /// Passes on to an upstream, over connections that stay open, with the
    /// header that an authenticating proxy adds; bodies as they come, without
    /// a copy on disk, as ours does. What goes to `/sink` goes to `sink`.
    pub(in super::super) fn proxy(
        folder: &Path,
        workers: usize,
        upstream: SocketAddr,
        sink: SocketAddr,
    ) -> Result<Self> {
        let group = |name, address| {
            format!(
                "upstream {name} {{ server {address}; keepalive 256; \
                 keepalive_requests 1000000000; }}\n"
            )
        };
        let groups = group("api", upstream) + &group("sink", sink);
        let inside = "client_max_body_size 0; proxy_http_version 1.1;\n\
             proxy_request_buffering off; proxy_max_temp_file_size 0;\n\
             proxy_set_header Connection ''; proxy_set_header Authorization 'Bearer key';\n\
             location / { proxy_pass http://api; }\n\
             location /sink { proxy_pass http://sink; }";
        let plural = if workers == 1 { "" } else { "s" };
        let name = format!("nginx, {workers} worker{plural}");
        Self::start(name, folder, workers, &groups, inside)
    }

    fn start(
        name: String,
        folder: &Path,
        workers: usize,
        outside: &str,
        inside: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let configuration = format!(
            "{user} daemon off; worker_processes {workers}; pid nginx.pid; error_log error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; keepalive_requests 1000000000;\n\
             keepalive_timeout 300;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             {outside}\nserver {{ listen {address}; {inside} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new(NGINX.find_or_install()?);
        command.arg("-p").arg(folder).arg("-c").arg(&file);
        let process = Process::start(&mut command, Stdio::inherit())?;
        process.wait_for(address)?;
        Ok(Self {
            name,
            address,
            process,
        })
    }

    pub(in super::super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in super::super) fn usage(&self) -> Usage {
        self.process.usage()
    }

    /// A load of small requests; nginx does not look at the callers' headers.
    pub(in super::super) fn load(&self, connections: usize, callers: Vec<Headers>) -> Load {
        Load {
            name: self.name.clone(),
            url: format!("http://{}/items/1", self.address),
            callers,
            connections,
            usage: self.usage(),
            database: None,
        }
    }
}

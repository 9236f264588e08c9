//! The proxy against nginx's `proxy_pass`: the same upstream, the same cores,
//! the same load, in turn.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Row;
use super::instruments::linkspan::{Installation, Linkspan, Operations};
use super::instruments::nginx::Nginx;
use super::instruments::open_loop::OpenLoop;
use super::instruments::process::Usage;
use super::instruments::transfer::{Transfer, Transferred, Way, sink};
use super::instruments::wrk::{Headers, Measured, Wrk};
use super::latency::{self, Paced};
use super::plan::Plan;
use super::row::{Target, median};

/// What our throughput is to be of nginx's (docs/performance.md).
const SHARE: f64 = 0.5;
/// What the server may take under this load, in MB.
const MEMORY_MB: f64 = 80.0;
/// What our p99 may be above nginx's at half load, in ms.
const ABOVE_MS: f64 = 1.0;
/// How many connections callers open.
const CONNECTIONS: [usize; 3] = [16, 64, 256];
/// How many where only one number is measured.
const USUAL: usize = 64;
/// Accounts whose calls take turns, where there is more than one.
const ACCOUNTS: usize = 200;

/// Before latencies count.
const SETTLE: Duration = Duration::from_millis(500);

/// What is measured, and what it is measured against.
pub(super) struct Field {
    upstream: Nginx,
    linkspan: Linkspan,
    /// With as many workers as the server has threads.
    nginx: Nginx,
    /// With a single one.
    single: Nginx,
    /// The headers of each account's calls.
    accounts: Vec<Headers>,
    sink: SocketAddr,
    wrk: Wrk,
    _folder: tempfile::TempDir,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let field = Field::set_up(plan)?;
    let mut rows = Vec::new();
    let mut usual_rate = f64::NAN;
    for connections in CONNECTIONS {
        let ours = field.small_gets(plan, connections, &mut rows)?;
        if connections == USUAL {
            usual_rate = median(&ours, |one| one.rate);
        }
    }
    field.accounts_in_turn(plan, &mut rows)?;
    rows.extend(field.operations("proxy")?);
    let memory = field.linkspan.usage().resident_mb()?;
    rows.push(Row::new("proxy.memory", memory, "MB").held_to(Target::AtMost(MEMORY_MB)));
    field.linkspan.settle_database()?;
    rows.extend(at_half_load(&field, plan, usual_rate / 2.0)?);
    for way in [Way::Down, Way::Up] {
        rows.extend(field.large(plan, way)?);
    }
    Ok(rows)
}

impl Field {
    pub(super) fn set_up(plan: &Plan) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let at = |name| folder.path().join(name);
        let upstream = Nginx::upstream(&at("upstream"), plan.large)?;
        let sink = sink()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let nginx = |name, workers| Nginx::proxy(&at(name), workers, upstream.address(), sink);
        let (nginx, single) = (nginx("nginx", cores)?, nginx("single", 1)?);
        let linkspan = Linkspan::start(Installation::new(plan)?)?;
        let accounts = linkspan.connect(ACCOUNTS)?;
        let headers = |id: &String| linkspan.headers(id, upstream.address());
        Ok(Self {
            accounts: accounts.iter().map(headers).collect(),
            wrk: Wrk::find(folder.path())?,
            upstream,
            linkspan,
            nginx,
            single,
            sink,
            _folder: folder,
        })
    }

    /// The same rate at us and at nginx.
    pub(super) fn open_loops(&self, rate: f64) -> [Paced; 2] {
        let mut ours = vec![self.linkspan.usage(), self.upstream.usage()];
        ours.extend(self.linkspan.database_usage());
        let theirs = vec![self.nginx.usage(), self.upstream.usage()];
        let path = "/proxy/items/1";
        [
            self.paced("linkspan", self.linkspan.address(), path, rate, ours),
            self.paced("nginx", self.nginx.address(), "/items/1", rate, theirs),
        ]
    }

    /// The same rate at the upstream itself: what the load and it take.
    pub(super) fn upstream_alone(&self, rate: f64) -> Paced {
        let servers = vec![self.upstream.usage()];
        self.paced(
            "upstream",
            self.upstream.address(),
            "/items/1",
            rate,
            servers,
        )
    }

    fn paced(
        &self,
        name: &'static str,
        address: SocketAddr,
        path: &'static str,
        rate: f64,
        servers: Vec<Usage>,
    ) -> Paced {
        let load = OpenLoop {
            address,
            path,
            headers: self.accounts[0].clone(),
            rate,
            settle: SETTLE,
            connections: USUAL,
        };
        Paced {
            name,
            load,
            servers,
        }
    }

    /// What has become of the operations of all calls so far.
    pub(super) fn operations(&self, benchmark: &str) -> Result<[Row; 3]> {
        let Operations {
            stored,
            counted,
            lost,
        } = self.linkspan.operations()?;
        let all = stored + counted + lost;
        let shares = [
            ("stored", stored),
            ("counted", counted),
            ("not_logged", lost),
        ];
        Ok(shares.map(|(what, share)| {
            Row::new(
                format!("{benchmark}.operations_{what}"),
                100.0 * share / all,
                "%",
            )
        }))
    }

    /// One account's calls, by so many connections.
    fn small_gets(
        &self,
        plan: &Plan,
        connections: usize,
        rows: &mut Vec<Row>,
    ) -> Result<Vec<Measured>> {
        let one = &self.accounts[..1];
        let path = "/proxy/items/1";
        let ours = self.linkspan.load(path, connections, one.to_vec());
        let theirs = self.nginx.load(connections, one.to_vec());
        let (ours, theirs) = if connections == USUAL {
            let single = self.single.load(connections, one.to_vec());
            let [ours, theirs, single] = self.wrk.measure(plan, &[ours, theirs, single])?;
            let name = format!("proxy.small_get.{connections}.rps_to_one_worker");
            rows.push(rate(name, &ours, &single));
            (ours, theirs)
        } else {
            let [ours, theirs] = self.wrk.measure(plan, &[ours, theirs])?;
            (ours, theirs)
        };
        rows.extend(small_get(
            &format!("proxy.small_get.{connections}"),
            &ours,
            &theirs,
        ));
        Ok(ours)
    }

    /// Calls of many accounts, one of each in turn.
    fn accounts_in_turn(&self, plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
        let all = || self.accounts.clone();
        let ours = self.linkspan.load("/proxy/items/1", USUAL, all());
        let theirs = self.nginx.load(USUAL, all());
        let [ours, theirs] = self.wrk.measure(plan, &[ours, theirs])?;
        let name = format!("proxy.small_get.{USUAL}.accounts_{ACCOUNTS}");
        rows.extend(small_get(&name, &ours, &theirs));
        Ok(())
    }

    /// One large body.
    fn large(&self, plan: &Plan, way: Way) -> Result<[Row; 3]> {
        let (api, ours, theirs) = match way {
            Way::Down => (self.upstream.address(), "/proxy/large", "/large"),
            Way::Up => (self.sink, "/proxy/sink", "/sink"),
        };
        let mut headers = self.accounts[0].clone();
        headers.retain(|header| !header.starts_with("Base-Url-Override"));
        headers.push(format!("Base-Url-Override: http://{api}"));
        let transfers = [
            Transfer {
                name: "linkspan".to_owned(),
                address: self.linkspan.address(),
                path: ours,
                headers,
                usage: self.linkspan.usage(),
            },
            Transfer {
                name: "nginx".to_owned(),
                address: self.nginx.address(),
                path: theirs,
                headers: Vec::new(),
                usage: self.nginx.usage(),
            },
        ];
        let mut results: [Vec<Transferred>; 2] = Default::default();
        for _ in 0..plan.rounds {
            for (transfer, results) in transfers.iter().zip(&mut results) {
                results.push(transfer.run(way, plan.large)?);
            }
        }
        let [ours, theirs] = results;
        let row = |figure: &str, unit, of: fn(&Transferred) -> f64| {
            let name = format!("proxy.large_{}.{figure}", format!("{way:?}").to_lowercase());
            Row::new(name, median(&ours, of), unit).against(median(&theirs, of))
        };
        let mut peak = row("peak_memory", "MB", |one| one.peak_mb);
        // A budget in MB, not of nginx's.
        peak.target = Some(MEMORY_MB);
        peak.met = Some(peak.value <= MEMORY_MB);
        Ok([
            row("rate", "MB/s", |one| one.mb_a_second),
            peak,
            row("cpu", "s/GB", |one| one.cpu_s_a_gb),
        ])
    }
}

/// The same rate at both: half of what we can.
fn at_half_load(field: &Field, plan: &Plan, rate: f64) -> Result<[Row; 4]> {
    let [ours, theirs] = latency::at(plan, field.open_loops(rate))?;
    let row =
        |name, share| Row::new(name, ours.quantile(share), "ms").against(theirs.quantile(share));
    let above = ours.quantile(0.99) - theirs.quantile(0.99);
    Ok([
        Row::new("proxy.half_load.rps", rate, "req/s"),
        row("proxy.half_load.p50", 0.5),
        row("proxy.half_load.p99", 0.99),
        Row::new("proxy.half_load.p99_above", above, "ms").held_to(Target::AtMost(ABOVE_MS)),
    ])
}

fn small_get(name: &str, ours: &[Measured], theirs: &[Measured]) -> [Row; 4] {
    let figure = |figure: &str, unit, of: fn(&Measured) -> f64| {
        Row::new(format!("{name}.{figure}"), median(ours, of), unit).against(median(theirs, of))
    };
    [
        rate(format!("{name}.rps"), ours, theirs).held_to(Target::AtLeast(SHARE)),
        figure("cpu", "µs/req", |one| one.cpu_us),
        Row::new(
            format!("{name}.database_cpu"),
            median(ours, |one| one.database_us),
            "µs/req",
        ),
        figure("p99_saturated", "ms", |one| one.p99_ms),
    ]
}

fn rate(name: String, ours: &[Measured], theirs: &[Measured]) -> Row {
    let rate = |of: &[Measured]| median(of, |one| one.rate);
    Row::new(name, rate(ours), "req/s").against(rate(theirs))
}

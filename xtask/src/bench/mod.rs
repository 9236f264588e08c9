//! `cargo xtask bench NAME`: the one way to every benchmark. Each measures us
//! and a reference in the same run, so that a slow machine slows both.

mod credentials;
mod host;
mod instruments;
mod jobs;
mod latency;
mod plan;
mod proxy;
mod records;
mod row;
mod schedule;
mod start;
mod templates;

use anyhow::{Result, bail};

use self::plan::Plan;
pub(crate) use row::Row;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which one; without a name they are listed.
    name: Option<String>,
    /// One JSON object a line instead of a table; the first is the machine.
    #[arg(long)]
    json: bool,
    /// One short round of a debug build: tries the benchmark, measures nothing.
    #[arg(long)]
    smoke: bool,
    /// Of `latency`: requests a second, repeated for more than one rate.
    #[arg(long, value_name = "N")]
    rate: Vec<f64>,
    /// Of `records`: how many are saved and read; a million unless set.
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Rounds of each load: fewer are sooner done, and say less.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
}

/// A benchmark is a file in this folder and a line in [`BENCHES`].
struct Bench {
    name: &'static str,
    /// What it measures against what, in a line.
    about: &'static str,
    run: fn(&Plan) -> Result<Vec<Row>>,
    /// Whether it measures the program, which is built for it then.
    of_program: bool,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "proxy",
        about: "calls through the proxy, against nginx's proxy_pass to the same upstream",
        run: proxy::run,
        of_program: true,
    },
    Bench {
        name: "latency",
        about: "the proxy's latency at set rates, against nginx's and the upstream's own",
        run: latency::run,
        of_program: true,
    },
    Bench {
        name: "credentials",
        about: "GET /connections/{id}, against pgbench's prepared single-row select",
        run: credentials::run,
        of_program: true,
    },
    Bench {
        name: "start",
        about: "time to healthy, and what an idle server takes",
        run: start::run,
        of_program: true,
    },
    Bench {
        name: "records",
        about: "saving and reading records, against COPY into a table like theirs",
        run: records::run,
        of_program: false,
    },
    Bench {
        name: "templates",
        about: "reading all provider templates, and preparing requests from them",
        run: templates::run,
        of_program: false,
    },
    Bench {
        name: "jobs",
        about: "adding and running jobs that do nothing, against graphile-worker on the same Postgres",
        run: jobs::run,
        of_program: false,
    },
    Bench {
        name: "schedule",
        about: "100,000 schedules: what a look at them takes, and how late they are",
        run: schedule::run,
        of_program: false,
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Some(name) = &arguments.name else {
        for bench in BENCHES {
            println!("{:<12} {}", bench.name, bench.about);
        }
        return Ok(());
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!(
            "there is no benchmark {name}; there are: {}",
            known.join(", ")
        );
    };
    let host = host::Host::look();
    if arguments.json {
        println!("{}", serde_json::to_string(&host)?);
    } else {
        println!("{host}");
    }
    let plan = Plan::new(
        arguments.smoke,
        arguments.rounds,
        &arguments.rate,
        arguments.records,
    )?;
    if bench.of_program {
        plan.build_program()?;
    }
    let rows = (bench.run)(&plan)?;
    if arguments.json {
        print!("{}", row::lines(&rows)?);
    } else {
        print!("{}", row::table(&rows));
    }
    if arguments.smoke {
        eprintln!("a smoke run: these figures say nothing");
    }
    Ok(())
}

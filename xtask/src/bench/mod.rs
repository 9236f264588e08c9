//! `cargo xtask bench NAME`: the one way to every benchmark. Each measures us
//! and a reference in the same run, so that a slow machine slows both.

mod proxy;
mod row;

use anyhow::{Result, bail};

pub(crate) use row::Row;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which one; without a name they are listed.
    name: Option<String>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// A benchmark is a file in this folder and a line in [`BENCHES`].
struct Bench {
    name: &'static str,
    /// What it measures against what, in a line.
    about: &'static str,
    run: fn() -> Result<Vec<Row>>,
}

const BENCHES: &[Bench] = &[Bench {
    name: "proxy",
    about: "small GET through the proxy, against nginx's proxy_pass to the same upstream",
    run: proxy::run,
}];

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
    let rows = (bench.run)()?;
    if arguments.json {
        print!("{}", row::lines(&rows)?);
    } else {
        print!("{}", row::table(&rows));
    }
    Ok(())
}

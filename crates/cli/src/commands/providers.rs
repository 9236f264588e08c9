//! `linkspan providers`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use linkspan_providers::{Catalogue, Finding, Source, schema};
use linkspan_shared::catalogue::{self, Templates};
use serde_json::Value;

use crate::environment;

/// What to do with provider templates.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check templates: those that are built in and those of `providers.dir`, or
    /// files. Prints each mistake with its file, line and key, and fails if there
    /// is one.
    Check {
        /// Files, or folders of them.
        files: Vec<PathBuf>,
    },
    /// List the templates: slug, auth mode, name and categories.
    List {
        /// Only those whose slug, name or category contains this.
        #[arg(default_value = "")]
        words: String,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print templates as YAML, as their files have them.
    Show {
        /// Which.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        slugs: Vec<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// With what an alias has from its parent.
        #[arg(long)]
        resolved: bool,
        /// One JSON object a line, resolved.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of a template.
    Schema,
}

pub(crate) fn run(file: Option<&Path>, command: Command) -> Result<()> {
    if let Command::Schema = command {
        return print([serde_json::to_string_pretty(&schema::document())?]);
    }
    let config = environment::config(file, &[])?;
    let dir = config.providers.dir.as_deref();
    match command {
        Command::Check { files } => check(dir, files),
        Command::List { words, json } => list(&*read(dir)?, &words, json),
        Command::Show {
            slugs,
            resolved,
            json,
            ..
        } => show(&*read(dir)?, slugs, resolved, json),
        Command::Schema => Ok(()),
    }
}

fn read(dir: Option<&Path>) -> Result<Arc<Catalogue>> {
    let templates = Templates::read(dir)?;
    Ok(templates.current())
}

/// Prints lines, as long as somebody reads them.
fn print(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let printed = lines
        .into_iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

fn check(dir: Option<&Path>, files: Vec<PathBuf>) -> Result<()> {
    let findings = if files.is_empty() {
        catalogue::check(dir)?
    } else {
        let mut all = Vec::new();
        for file in files {
            if file.is_dir() {
                let read = Source::paths(&file);
                all.extend(read.with_context(|| format!("cannot read {}", file.display()))?);
            } else {
                all.push(file);
            }
        }
        catalogue::check_files(dir, &all)?
    };
    print(findings.iter().map(Finding::to_string))?;
    match findings.iter().filter(|finding| finding.is_error()).count() {
        0 => Ok(()),
        1 => bail!("one mistake in provider templates"),
        count => bail!("{count} mistakes in provider templates"),
    }
}

fn list(catalogue: &Catalogue, words: &str, as_json: bool) -> Result<()> {
    let mut rows = Vec::new();
    for entry in catalogue.search(words) {
        let keys: Value = serde_json::from_str(entry.json)?;
        rows.push(keys);
    }
    if as_json {
        let brief = |keys: &Value| {
            let shown = [
                "name",
                "display_name",
                "auth_mode",
                "categories",
                "alias",
                "docs",
            ];
            let shown = shown.map(|key| (key.to_owned(), keys[key].clone()));
            let set = shown.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.collect()).to_string()
        };
        return print(rows.iter().map(brief));
    }
    let text = |keys: &Value, key: &str| keys[key].as_str().unwrap_or_default().to_owned();
    let widest = |key: &str| {
        rows.iter()
            .map(|keys| text(keys, key).chars().count())
            .max()
    };
    let widths = ["name", "auth_mode", "display_name"].map(|key| widest(key).unwrap_or(0));
    print(rows.iter().map(|keys| {
        let categories: Vec<&str> = keys["categories"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        format!(
            "{:3$}  {:4$}  {:5$}  {6}",
            text(keys, "name"),
            text(keys, "auth_mode"),
            text(keys, "display_name"),
            widths[0],
            widths[1],
            widths[2],
            categories.join(", ")
        )
    }))
}

fn show(catalogue: &Catalogue, slugs: Vec<String>, resolved: bool, as_json: bool) -> Result<()> {
    let slugs = if slugs.is_empty() {
        let all = catalogue.entries().map(|entry| entry.slug.to_owned());
        all.collect()
    } else {
        slugs
    };
    let mut lines = Vec::new();
    for slug in &slugs {
        let entry = catalogue.entry(slug);
        let entry = entry.with_context(|| {
            format!(
                "there is no provider '{slug}'; `linkspan providers list` lists those there are"
            )
        })?;
        if as_json {
            lines.push(entry.json.to_owned());
            continue;
        }
        if slugs.len() > 1 {
            let separator = if lines.is_empty() { "" } else { "---\n" };
            lines.push(format!("{separator}# {slug}"));
        }
        let yaml = catalogue
            .yaml(slug, resolved)
            .context("it cannot be shown")?;
        lines.push(yaml.trim_end().to_owned());
    }
    print(lines)
}

//! Cargo's companions, installed below `target/tools` at pinned versions: a
//! new release must not turn a commit that passed into one that fails.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{self, cargo};

/// Dependencies that nothing uses.
pub(super) fn machete() -> Result<()> {
    let program = tool("cargo-machete", "0.9.2")?;
    // By cargo's own metadata, since some dependencies are renamed.
    workspace::run(
        Command::new(program)
            .args(["--with-metadata", "--skip-target-dir"])
            .arg(workspace::root()),
    )
}

/// Licences, bans and sources. Advisories are a separate, online matter: they
/// change while the code stands still.
pub(super) fn deny() -> Result<()> {
    let program = tool("cargo-deny", "0.20.2")?;
    let mut deny = Command::new(program);
    deny.args([
        "--workspace",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    workspace::run(deny.current_dir(workspace::root()))
}

fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let home = workspace::target()?
        .join("tools")
        .join(format!("{name}-{version}"));
    let program = home.join("bin").join(name);
    if !program.exists() {
        println!(
            "   installing {name} {version} into {} (minutes, once)",
            home.display()
        );
        let mut install = cargo();
        install.args([
            "install",
            "--locked",
            "--quiet",
            name,
            "--version",
            version,
            "--root",
        ]);
        workspace::run(install.arg(&home))?;
    }
    Ok(program)
}

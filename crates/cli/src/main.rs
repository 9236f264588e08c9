//! The `linkspan` command line: one binary, one sub-command per role.

mod background;
#[cfg(debug_assertions)]
mod breakpoints;
mod commands;
mod environment;
mod files;
mod logging;
mod monitor;
mod shutdown;
mod terminal;

use clap::Parser;
use commands::Command;

/// Product integrations, self-hosted: connect accounts, keep credentials
/// fresh, call APIs.
#[derive(Debug, Parser)]
#[command(name = "linkspan", version, max_term_width = 100)]
struct Cli {
    /// A TOML file of settings; LINKSPAN_CONFIG names one too.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    #[cfg(debug_assertions)]
    breakpoints::install();
    match cli.command.run(cli.config.as_deref()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", terminal::explain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn verify_cli() {
        super::Cli::command().debug_assert();
    }
}

//! Development tasks: `cargo xtask dev | test | tidy | codegen | fuzz | bench | soak`.

#![expect(
    clippy::disallowed_methods,
    reason = "a development tool: the environment is how the shell and CI talk to it"
)]

mod bench;
mod codegen;
mod dev;
mod fuzz;
mod pgbouncer;
mod programs;
mod soak;
mod stage;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks for Linkspan.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the program and run `linkspan dev`: Postgres, server and demo provider.
    Dev(dev::Arguments),
    /// Run every test there is, with what they need brought along.
    Test(test::Arguments),
    /// Check format, lints, structure, dependencies and licences.
    Tidy,
    /// Make the files that are made of the code, such as docs/openapi.json.
    Codegen(codegen::Arguments),
    /// Send made-up requests to a server and look for failures.
    Fuzz(fuzz::Arguments),
    /// Measure, side by side with a reference.
    Bench(bench::Arguments),
    /// Kill and stop processes at random, for long, and look what was lost.
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Dev(arguments) => dev::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Codegen(arguments) => codegen::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn verify_cli() {
        super::Arguments::command().debug_assert();
    }
}

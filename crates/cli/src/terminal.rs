//! What is said to the person who runs the program.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line, if anybody still reads: a pipe that was closed
/// (`linkspan dev | head`) is no reason to stop serving.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// An error with its causes, in one line. Some errors end with their cause's
/// text already; it is not repeated.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let taken = || std::io::Error::other("address in use");
        let quoting = anyhow::Error::new(taken()).context("cannot listen: address in use");
        assert_eq!(explain(&quoting), "cannot listen: address in use");
        let silent = anyhow::Error::new(taken())
            .context("cannot listen")
            .context("no server");
        assert_eq!(explain(&silent), "no server: cannot listen: address in use");
    }
}

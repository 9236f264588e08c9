//! `linkspan openapi`: the document that the server has at `/openapi.json`.

use std::io::Write;

use anyhow::Result;

pub(super) fn run() -> Result<()> {
    let text = linkspan_server::openapi::document().to_pretty_json()?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

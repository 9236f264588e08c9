//! Our OpenAPI document: that it is true of this server, and that clients made
//! for the public document of the API that we are compatible with can use it.

use std::sync::OnceLock;

use document::Document;
use serde_json::Value;

mod document;
mod imports;
mod live;
mod logins;
mod public;
mod security;
mod synced;

/// Panics if `GET /connections/{id}` may not answer this.
pub(crate) fn assert_is_connection(answer: &Value) {
    static OURS: OnceLock<Document> = OnceLock::new();
    let ours = OURS.get_or_init(Document::ours);
    let operation = ours.operations()["GET /connections/{}"];
    let schema = ours.body(&operation["responses"]["200"]).unwrap();
    let misfits = ours.misfits(schema, answer);
    assert_eq!(misfits, [""; 0], "{answer:#}");
}

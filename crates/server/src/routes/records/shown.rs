//! Records as answers show them. What was saved is passed on to the letter, so
//! that nothing parses it here.

use chrono::{DateTime, SecondsFormat, Utc};
use linkspan_records::{Page, Record};

/// The body of `GET /records`.
pub(super) fn page(page: &Page) -> Vec<u8> {
    let texts: usize = page.records.iter().map(|record| record.text.len()).sum();
    let mut out = Vec::with_capacity(texts + page.records.len() * 320 + 64);
    out.extend_from_slice(b"{\"records\":[");
    for (index, shown) in page.records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        record(shown, &mut out);
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    match page.next {
        Some(next) => out.extend_from_slice(format!("\"{}\"", next.encode()).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

/// Appends a record with its metadata as its last member. It has an `id` before
/// that, so that there is something to put a comma after.
pub(super) fn record(record: &Record, out: &mut Vec<u8>) {
    let text = record.text.trim_end();
    let open = text.strip_suffix('}').unwrap_or(text);
    out.extend_from_slice(open.as_bytes());
    let metadata = format!(
        ",\"_nango_metadata\":{{\"first_seen_at\":\"{}\",\"last_modified_at\":\"{}\",\
         \"last_action\":\"{}\",\"deleted_at\":{},\"pruned_at\":{},\"cursor\":\"{}\"}}}}",
        time(record.first_seen_at),
        time(record.cursor.time()),
        record.last_action.as_str(),
        nullable(record.deleted_at()),
        nullable(record.pruned_at),
        record.cursor.encode(),
    );
    out.extend_from_slice(metadata.as_bytes());
}

fn nullable(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "null".to_owned(), |at| format!("\"{}\"", time(at)))
}

/// With all microseconds: they tell records apart.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

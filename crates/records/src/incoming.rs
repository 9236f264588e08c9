//! The records of a batch as they come: which ids they have, and what they are
//! compared by.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Error;
use crate::error::{MOST_BATCH_BYTES, MOST_BYTES, MOST_RECORDS};
use crate::json::{self, Member, Unreadable};
use crate::parallel::in_parallel;
use crate::stream::Stream;

/// What the store adds to a record when it shows it. A record that comes back
/// with it is stored without.
pub(crate) const METADATA: &[u8] = b"_nango_metadata";

/// A record of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    /// Its id, a number's as its digits.
    pub(crate) id: String,
    pub(crate) key: Uuid,
    pub(crate) hash: Uuid,
    /// As it was written.
    pub(crate) text: Box<str>,
}

/// The records of a batch, each id once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Incoming>,
    /// Ids of those that came again, which are not stored.
    pub(crate) duplicates: Vec<String>,
}

impl Batch {
    pub(crate) fn keys(&self) -> Vec<Uuid> {
        self.records.iter().map(|record| record.key).collect()
    }

    pub(crate) fn hashes(&self) -> Vec<Uuid> {
        self.records.iter().map(|record| record.hash).collect()
    }
}

/// Reads a batch. Of records with one id the first wins.
pub(crate) async fn read(stream: &Arc<Stream>, batch: Vec<Box<RawValue>>) -> Result<Batch, Error> {
    let bytes = batch.iter().map(|record| record.get().len()).sum();
    if batch.len() > MOST_RECORDS || bytes > MOST_BATCH_BYTES {
        return Err(Error::BatchTooLarge {
            records: batch.len(),
            bytes,
        });
    }
    let stream = Arc::clone(stream);
    let numbered: Vec<_> = batch.into_iter().enumerate().collect();
    let read = in_parallel(numbered, move |part| {
        part.into_iter()
            .map(|(index, record)| incoming(&stream, index, record))
            .collect()
    })
    .await?;
    let mut known = HashSet::with_capacity(read.len());
    let (mut records, mut duplicates) = (Vec::with_capacity(read.len()), Vec::new());
    for record in read {
        match known.insert(record.key) {
            true => records.push(record),
            false => duplicates.push(record.id),
        }
    }
    Ok(Batch {
        records,
        duplicates,
    })
}

/// The same batch for another stream of the same name, whose hashes differ.
pub(crate) async fn again(stream: &Arc<Stream>, batch: Batch) -> Result<Batch, Error> {
    let records = batch
        .records
        .into_iter()
        .enumerate()
        .map(|(index, record)| {
            let text = String::from(record.text);
            RawValue::from_string(text).map_err(|_| Error::NotAnObject { index })
        })
        .collect::<Result<_, _>>()?;
    let mut again = read(stream, records).await?;
    again.duplicates = batch.duplicates;
    Ok(again)
}

fn incoming(stream: &Stream, index: usize, record: Box<RawValue>) -> Result<Incoming, Error> {
    let bytes = record.get().len();
    if bytes > MOST_BYTES {
        return Err(Error::TooLarge { index, bytes });
    }
    let explain = |unreadable| match unreadable {
        Unreadable::TooDeep => Error::TooDeep { index },
        Unreadable::Malformed => Error::NotAnObject { index },
    };
    let members = json::members(record.get())
        .map_err(explain)?
        .ok_or(Error::NotAnObject { index })?;
    let id = id_of(&members).ok_or(Error::MissingId { index })?;
    let without = without_metadata(record.get(), &members);
    let text = match without {
        Some(text) => text.into_boxed_str(),
        None => Box::<str>::from(record),
    };
    let mut form = Vec::with_capacity(text.len() + 64);
    json::canonical(&text, &mut form).map_err(explain)?;
    Ok(Incoming {
        key: stream.key_of(&id),
        hash: stream.hash_of(&form),
        id: String::from_utf8_lossy(&id).into_owned(),
        text,
    })
}

/// The id of a record: a string's content, or a number as JavaScript prints it.
/// Of two members of the name the last holds, as everywhere.
pub(crate) fn id_of(members: &[Member<'_>]) -> Option<Vec<u8>> {
    let written = members.iter().rfind(|member| &*member.key == b"id")?.value;
    if written.starts_with('"') {
        let id = json::unescaped(written).ok()?;
        return (!id.is_empty()).then(|| id.into_owned());
    }
    let is_number = written.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    is_number.then(|| number(written).into_bytes())
}

/// 5, 5.0 and 5e0 are one id.
fn number(written: &str) -> String {
    if written.parse::<i128>().is_ok() && written != "-0" {
        return written.to_owned();
    }
    match written.parse::<f64>() {
        // Adding zero takes the sign off -0.
        Ok(number) if number.is_finite() => (number + 0.0).to_string(),
        _ => written.to_owned(),
    }
}

/// The text without the member that the store adds; `None` when it has none.
fn without_metadata(text: &str, members: &[Member<'_>]) -> Option<String> {
    if !members.iter().any(|member| &*member.key == METADATA) {
        return None;
    }
    let kept: Vec<&str> = members
        .iter()
        .filter(|member| &*member.key != METADATA)
        .filter_map(|member| text.get(member.span.clone()))
        .collect();
    Some(format!("{{{}}}", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        let members = json::members(text).unwrap().unwrap();
        id_of(&members).map(|id| String::from_utf8(id).unwrap())
    }

    #[test]
    fn ids_are_strings_or_numbers() {
        for (text, expected) in [
            (r#"{"id":"a"}"#, Some("a")),
            (r#"{"id":"\u0000ü\ud83d\ude00"}"#, Some("\0ü😀")),
            (r#"{"id":7}"#, Some("7")),
            (r#"{"id":0}"#, Some("0")),
            (r#"{"id":-0}"#, Some("0")),
            (r#"{"id":7.0}"#, Some("7")),
            (r#"{"id":7e2}"#, Some("700")),
            (r#"{"id":0.5}"#, Some("0.5")),
            (
                r#"{"id":123456789012345678901}"#,
                Some("123456789012345678901"),
            ),
            (r#"{"id":"a","id":"b"}"#, Some("b")),
            (r#"{"id":""}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":true}"#, None),
            (r#"{"id":["a"]}"#, None),
            (r#"{"ID":"a"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(id(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_the_store_added_is_taken_off() {
        let text = r#"{"id": 1, "_nango_metadata": {"cursor": "x"}, "a" : 2}"#;
        let members = json::members(text).unwrap().unwrap();
        assert_eq!(
            without_metadata(text, &members).unwrap(),
            r#"{"id": 1,"a" : 2}"#
        );
        let members = json::members("{\"id\":1}").unwrap().unwrap();
        assert_eq!(without_metadata("{\"id\":1}", &members), None);
    }
}

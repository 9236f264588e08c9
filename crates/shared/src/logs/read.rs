//! Reading the operation log back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::logs::{Message, Operation, OperationFull};
use serde_json::Value;
use uuid::Uuid;

use super::table::operations;
use crate::Error;
use crate::db::Connection;
use crate::tenancy::EnvironmentId;

/// Which operations to list. An empty list does not filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these kinds, as [`Kind::as_str`](super::Kind::as_str) names them.
    pub kinds: Vec<String>,
    /// Only those that ended in these ways.
    pub statuses: Vec<String>,
    /// Only those of these integrations.
    pub integrations: Vec<String>,
    /// Only those of these connections.
    pub connections: Vec<String>,
    /// Only those that began at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that began before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those that come after this one in the list.
    pub after: Option<Cursor>,
}

/// A place in the list of operations, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    created_at: DateTime<Utc>,
    id: Uuid,
}

/// The first byte of a cursor's text.
const FORMAT: u8 = 1;

impl Cursor {
    /// The cursor as callers pass it: base64url of `1 ‖ microseconds since 1970
    /// (i64, big-endian) ‖ id`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.created_at.timestamp_micros().to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that [`Cursor::encode`] wrote.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[FORMAT], rest) = bytes.split_first_chunk::<1>()? else {
            return None;
        };
        let (micros, id) = rest.split_first_chunk::<8>()?;
        Some(Self {
            created_at: DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = operations)]
struct Row {
    id: Uuid,
    kind: String,
    action: String,
    status: String,
    created_at: DateTime<Utc>,
    duration_ms: i32,
    integration: Option<String>,
    provider: Option<String>,
    connection_id: Option<String>,
    http_status: Option<i16>,
    error_code: Option<String>,
}

impl From<Row> for Operation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            action: row.action,
            status: row.status,
            created_at: row.created_at,
            duration_ms: row.duration_ms,
            provider_config_key: row.integration,
            provider: row.provider,
            connection_id: row.connection_id,
            http_status: row.http_status,
            error_code: row.error_code,
        }
    }
}

/// A page of an environment's operations, newest first, and where the next page
/// begins, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut Connection,
    environment: EnvironmentId,
    filter: &Filter,
    limit: i64,
) -> Result<(Vec<Operation>, Option<Cursor>), Error> {
    let mut query = operations::table
        .filter(operations::environment_id.eq(environment))
        .order((operations::created_at.desc(), operations::id.desc()))
        // One more than asked for tells whether there is a next page.
        .limit(limit + 1)
        .select(Row::as_select())
        .into_boxed();
    if !filter.kinds.is_empty() {
        query = query.filter(operations::kind.eq_any(&filter.kinds));
    }
    if !filter.statuses.is_empty() {
        query = query.filter(operations::status.eq_any(&filter.statuses));
    }
    if !filter.integrations.is_empty() {
        query = query.filter(operations::integration.eq_any(&filter.integrations));
    }
    if !filter.connections.is_empty() {
        query = query.filter(operations::connection_id.eq_any(&filter.connections));
    }
    if let Some(from) = filter.from {
        query = query.filter(operations::created_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(operations::created_at.lt(to));
    }
    if let Some(Cursor { created_at, id }) = filter.after {
        // The first condition is the one that an index and the choice of
        // partitions can use.
        query = query.filter(operations::created_at.le(created_at)).filter(
            operations::created_at
                .lt(created_at)
                .or(operations::id.lt(id)),
        );
    }
    let mut rows: Vec<Row> = query.load(conn).await?;
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > asked;
    rows.truncate(asked);
    let next = rows.last().filter(|_| has_more).map(|last| Cursor {
        created_at: last.created_at,
        id: last.id,
    });
    Ok((rows.into_iter().map(Operation::from).collect(), next))
}

/// How far an operation's beginning may be from the time that its id carries:
/// the two are read from the clock one after the other.
const SLACK: TimeDelta = TimeDelta::seconds(60);

/// An operation of an environment with its messages.
///
/// # Errors
/// When the database fails, or the stored messages are not what this version
/// writes.
pub async fn get(
    conn: &mut Connection,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<Option<OperationFull>, Error> {
    // Its time finds the partition; an id without one was not made here.
    let Some(at) = time_of(id) else {
        return Ok(None);
    };
    let row: Option<(Row, Value)> = operations::table
        .filter(operations::environment_id.eq(environment))
        .filter(operations::created_at.between(at - SLACK, at + SLACK))
        .filter(operations::id.eq(id))
        .select((Row::as_select(), operations::messages))
        .first(conn)
        .await
        .optional()?;
    let Some((row, messages)) = row else {
        return Ok(None);
    };
    let messages: Vec<Message> =
        serde_json::from_value(messages).map_err(|source| Error::Stored {
            what: "messages of an operation",
            source,
        })?;
    Ok(Some(OperationFull {
        operation: row.into(),
        messages,
    }))
}

fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor = Cursor {
            created_at: DateTime::from_timestamp_micros(1_763_900_000_123_456).unwrap(),
            id: Uuid::now_v7(),
        };
        let text = cursor.encode();
        assert_eq!(Cursor::decode(&text), Some(cursor));
        let other_format = URL_SAFE_NO_PAD.encode([2; 25]);
        let beyond_time = URL_SAFE_NO_PAD.encode([&[FORMAT][..], &[0x7f; 24]].concat());
        for wrong in [
            "",
            "x",
            &text[1..],
            &format!("{text}AA"),
            &other_format,
            &beyond_time,
        ] {
            assert_eq!(Cursor::decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_carries_its_time() {
        let at = time_of(Uuid::now_v7()).unwrap();
        assert!((Utc::now() - at).abs() < SLACK);
        assert_eq!(time_of(Uuid::new_v4()), None);
        assert_eq!(time_of(Uuid::nil()), None);
    }
}

//! Reading records: pages in the order of changes, and records by their ids.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::incoming::id_of;
use crate::parallel::in_parallel;
use crate::{Cursor, Error, Store, StreamName, json, payload};

/// Bytes of payloads in a page, as they are stored (16 MiB); the record that
/// goes beyond is the page's last. A page is held whole, and 10,000 records of
/// 5 MB would not fit anywhere.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;

/// What last happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was added, or came back after it was deleted.
    Added,
    /// Its content changed.
    Updated,
    /// It was deleted.
    Deleted,
}

impl Action {
    /// As the API names it (CONTRACT 2.10).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }
}

/// Which actions a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    /// Records whose last action is [`Action::Added`].
    pub added: bool,
    /// Records whose last action is [`Action::Updated`].
    pub updated: bool,
    /// Records whose last action is [`Action::Deleted`].
    pub deleted: bool,
}

impl Actions {
    /// All of them.
    pub const ALL: Self = Self {
        added: true,
        updated: true,
        deleted: true,
    };
}

/// Which records to read.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Those that changed after this place.
    pub after: Cursor,
    /// Those whose last action is one of these; all when absent.
    pub actions: Option<Actions>,
    /// Those with these ids; all when absent.
    pub ids: Option<Vec<String>>,
    /// How many at most; fewer come when they are large.
    pub limit: u32,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The JSON object as it was saved; only its `id` when it was pruned.
    pub text: String,
    /// When it was first seen, or came back after it was deleted.
    pub first_seen_at: DateTime<Utc>,
    /// Its place, whose time is when it last changed.
    pub cursor: Cursor,
    /// What happened to it then.
    pub last_action: Action,
    /// When its payload was emptied.
    pub pruned_at: Option<DateTime<Utc>>,
}

impl Record {
    /// Its id, a number's as its digits.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        let members = json::members(&self.text).ok()??;
        Some(String::from_utf8_lossy(&id_of(&members)?).into_owned())
    }

    /// When it was deleted, if it is.
    #[must_use]
    pub fn deleted_at(&self) -> Option<DateTime<Utc>> {
        (self.last_action == Action::Deleted).then(|| self.cursor.time())
    }
}

/// A page of records, in the order of their changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page begins; absent when this is the last.
    pub next: Option<Cursor>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    stream: i64,
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = BigInt)]
    added: i64,
    #[diesel(sql_type = Bool)]
    deleted: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pruned_at: Option<DateTime<Utc>>,
    /// Absent beyond what a page may hold.
    #[diesel(sql_type = Nullable<Binary>)]
    payload: Option<Vec<u8>>,
}

/// A page is one range of the index `records_order`, read in its order. Postgres
/// believes so only when it knows the stream to be large, and otherwise reads and
/// sorts all of it for each page: so it is not let sort. The environment is looked
/// at outside, or the primary key would seem to be the better index.
pub(crate) const IN_ORDER: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

const RANGE: &str = "\
SELECT p.stream, p.key, p.sequence, p.added, p.deleted, p.pruned_at, \
    CASE WHEN p.before < $6 THEN p.payload END AS payload \
FROM records.streams s CROSS JOIN LATERAL ( \
    SELECT r.*, sum(octet_length(r.payload)) \
        OVER (ORDER BY r.stream, r.sequence ROWS UNBOUNDED PRECEDING) \
        - octet_length(r.payload) AS before \
    FROM records.records r WHERE r.stream = s.id AND r.sequence > $5 \
        AND CASE WHEN r.deleted THEN $8 WHEN r.added = r.sequence THEN $9 ELSE $10 END \
    ORDER BY r.stream, r.sequence LIMIT $7 \
) p \
WHERE s.environment_id = $1 AND s.connection = $2 AND s.model = $3 AND s.variant = $4 \
    AND p.environment_id = s.environment_id";

/// See [`crate::compare`] for the OFFSET.
const BY_KEY: &str = "\
SELECT p.stream, p.key, p.sequence, p.added, p.deleted, p.pruned_at, \
    CASE WHEN sum(octet_length(p.payload)) OVER (ORDER BY p.sequence ROWS UNBOUNDED PRECEDING) \
        - octet_length(p.payload) < $6 THEN p.payload END AS payload \
FROM records.streams s CROSS JOIN unnest($11) AS g(key) CROSS JOIN LATERAL ( \
    SELECT r.* FROM records.records r \
    WHERE r.environment_id = s.environment_id AND r.stream = s.id AND r.key = g.key OFFSET 0 \
) p \
WHERE s.environment_id = $1 AND s.connection = $2 AND s.model = $3 AND s.variant = $4 \
    AND p.sequence > $5 \
    AND CASE WHEN p.deleted THEN $8 WHEN p.added = p.sequence THEN $9 ELSE $10 END \
ORDER BY p.sequence LIMIT $7";

impl Store {
    /// One page of a stream's records; an empty one when nothing was ever saved.
    ///
    /// # Errors
    /// When the database fails, or a payload does not open.
    pub async fn list(&self, name: &StreamName, query: &Query) -> Result<Page, Error> {
        let keys = match &query.ids {
            None => None,
            Some(ids) => match self.stream(name).await? {
                None => return Ok(Page::default()),
                Some(stream) => {
                    let mut keys: Vec<_> =
                        ids.iter().map(|id| stream.key_of(id.as_bytes())).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    Some(keys)
                }
            },
        };
        let mut rows = self.rows(name, query, keys).await?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let whole = rows.iter().take_while(|row| row.payload.is_some()).count();
        let kept = whole.min(limit);
        let has_more = rows.len() > kept;
        rows.truncate(kept);
        let records = self.opened(name.environment, rows).await?;
        let next = records
            .last()
            .filter(|_| has_more)
            .map(|record| record.cursor);
        Ok(Page { records, next })
    }

    /// The records of these ids that are there, deleted ones too, in the order
    /// of their changes (`getRecordsByIds`). All of them, whatever their size.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn get_by_ids(
        &self,
        name: &StreamName,
        ids: Vec<String>,
    ) -> Result<Vec<Record>, Error> {
        let mut query = Query {
            limit: u32::try_from(ids.len()).unwrap_or(u32::MAX),
            ids: Some(ids),
            ..Query::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.list(name, &query).await?;
            found.extend(page.records);
            match page.next {
                Some(next) => query.after = next,
                None => return Ok(found),
            }
        }
    }

    /// The place after everything that is stored: what changes from now on comes
    /// after it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last(&self, name: &StreamName) -> Result<Cursor, Error> {
        #[derive(QueryableByName)]
        struct Last {
            #[diesel(sql_type = BigInt)]
            sequence: i64,
        }
        let mut conn = self.db().conn().await?;
        let last: Option<Last> = diesel::sql_query(
            "SELECT sequence FROM records.streams \
             WHERE environment_id = $1 AND connection = $2 AND model = $3 AND variant = $4",
        )
        .bind::<SqlUuid, _>(name.environment)
        .bind::<BigInt, _>(name.connection)
        .bind::<Text, _>(&name.model)
        .bind::<Text, _>(&name.variant)
        .get_result(&mut conn)
        .await
        .optional()?;
        Ok(last.map_or(Cursor::START, |last| Cursor(last.sequence)))
    }

    async fn rows(
        &self,
        name: &StreamName,
        query: &Query,
        keys: Option<Vec<Uuid>>,
    ) -> Result<Vec<Row>, Error> {
        let is_range = keys.is_none();
        let actions = query.actions.unwrap_or(Actions::ALL);
        let mut conn = self.db().conn().await?;
        let query = diesel::sql_query(if is_range { RANGE } else { BY_KEY })
            .bind::<SqlUuid, _>(name.environment)
            .bind::<BigInt, _>(name.connection)
            .bind::<Text, _>(&name.model)
            .bind::<Text, _>(&name.variant)
            .bind::<BigInt, _>(query.after.0)
            .bind::<BigInt, _>(PAGE_BYTES)
            // One more than asked for tells whether there is a next page.
            .bind::<BigInt, _>(i64::from(query.limit) + 1)
            .bind::<Bool, _>(actions.deleted)
            .bind::<Bool, _>(actions.added)
            .bind::<Bool, _>(actions.updated)
            .bind::<Array<SqlUuid>, _>(keys.unwrap_or_default());
        if !is_range {
            return Ok(query.load(&mut conn).await?);
        }
        let mut rows: Vec<Row> = conn
            .transaction(async |conn| {
                conn.batch_execute(IN_ORDER).await?;
                query.load(conn).await
            })
            .await?;
        rows.sort_unstable_by_key(|row| row.sequence);
        Ok(rows)
    }

    async fn opened(
        &self,
        environment: EnvironmentId,
        rows: Vec<Row>,
    ) -> Result<Vec<Record>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut keys = self.vault().environment(environment).await?;
        let payloads = rows.iter().filter_map(|row| row.payload.as_deref());
        if !keys.know_all(payloads) {
            keys = self.vault().reload(environment).await?;
        }
        in_parallel(rows, move |rows| {
            let Some(stream) = rows.iter().map(|row| row.stream).next() else {
                return Ok(Vec::new());
            };
            let keys = Arc::clone(&keys);
            let opener = payload::part(&keys, stream)?;
            rows.into_iter()
                .map(|row| {
                    let sealed = row.payload.unwrap_or_default();
                    Ok(Record {
                        text: payload::open(&opener, stream, row.key, &sealed)?,
                        first_seen_at: Cursor(row.added).time(),
                        cursor: Cursor(row.sequence),
                        last_action: match (row.deleted, row.added == row.sequence) {
                            (true, _) => Action::Deleted,
                            (false, true) => Action::Added,
                            (false, false) => Action::Updated,
                        },
                        pruned_at: row.pruned_at,
                    })
                })
                .collect()
        })
        .await
    }
}

//! `/records`: what syncs have saved of a connection.

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::Method;
use linkspan_api::records::{LastAction, PruneRecords, PrunedRecords, Record, RecordList};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

mod changes;

pub use changes::FollowRecords;

/// Calls on the records of one model of a connection; see
/// [`ConnectionHandle::records`](crate::ConnectionHandle::records). The key needs
/// the scope `environment:records:read`, and `environment:records:write` to prune.
#[derive(Debug, Clone)]
pub struct Records {
    client: Client,
    integration: String,
    connection: String,
    model: String,
    variant: Option<String>,
}

impl Records {
    pub(crate) fn new(client: Client, integration: &str, connection: &str, model: String) -> Self {
        Self {
            client,
            integration: integration.to_owned(),
            connection: connection.to_owned(),
            model,
            variant: None,
        }
    }

    /// Those of a variant of the sync instead of the base one.
    #[must_use]
    pub fn variant(self, variant: impl Into<String>) -> Self {
        let variant = Some(variant.into());
        Self { variant, ..self }
    }

    /// The records in the order of their changes. Keep the cursor of the last that
    /// you have handled, and go on [after](ListRecords::after) it the next time:
    /// you then see each change, once.
    ///
    /// ```no_run
    /// # async fn run(linkspan: linkspan_client::Client) -> Result<(), linkspan_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let contacts = linkspan.connection("crm", "the connection's id").records("Contact");
    /// let mut changes = contacts.list().after("the cursor kept last").all();
    /// while let Some(record) = changes.try_next().await? {
    ///     println!("{:?} {:?}", record.metadata.last_action, record.fields["id"]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self) -> ListRecords {
        ListRecords {
            records: self.clone(),
            query: Vec::new(),
            cursor: None,
        }
    }

    /// The changes as they happen, within a second, over a connection that is made
    /// again whenever it ends. What [`list`](Self::list) gives and what this gives
    /// have the same cursors.
    ///
    /// ```no_run
    /// # async fn run(linkspan: linkspan_client::Client) -> Result<(), linkspan_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let contacts = linkspan.connection("crm", "the connection's id").records("Contact");
    /// let mut changes = contacts.changes().after("the cursor kept last").stream();
    /// while let Some(record) = changes.try_next().await? {
    ///     println!("{:?} {:?}", record.metadata.last_action, record.fields["id"]);
    ///     // Keep record.metadata.cursor with what you have made of the record.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes(&self) -> FollowRecords {
        FollowRecords::new(self.clone())
    }

    /// Empties the payloads of records up to a cursor, itself too, at most `limit`
    /// (1 to 10,000). Their ids and times stay.
    ///
    /// # Errors
    /// `invalid_body` when the cursor is none; see [`Error`].
    pub async fn prune(&self, until_cursor: &str, limit: u32) -> Result<PrunedRecords, Error> {
        let body = PruneRecords {
            model: self.model.clone(),
            variant: self.variant.clone(),
            until_cursor: until_cursor.to_owned(),
            limit: Some(limit),
        };
        let call = Call::new(&self.client, Method::PATCH, &["records", "prune"]);
        self.named(call).json(&body).send().await
    }

    fn named(&self, call: Call) -> Call {
        call.header("provider-config-key", &self.integration)
            .header("connection-id", &self.connection)
    }
}

/// [`Records::list`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send` or `all`"]
pub struct ListRecords {
    records: Records,
    query: Vec<(&'static str, String)>,
    cursor: Option<String>,
}

impl ListRecords {
    /// Only what changed after this place: a page's
    /// [`next_cursor`](RecordPage::next_cursor), or a record's own.
    pub fn after(self, cursor: impl Into<String>) -> Self {
        let cursor = Some(cursor.into());
        Self { cursor, ..self }
    }

    /// Only what changed after this time, which is exact to the microsecond.
    pub fn modified_after(self, time: DateTime<Utc>) -> Self {
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        self.with("modified_after", time)
    }

    /// Only records whose last action is one of these.
    pub fn actions(self, actions: impl IntoIterator<Item = LastAction>) -> Self {
        let words: Vec<_> = actions
            .into_iter()
            .map(|action| match action {
                LastAction::Added => "added",
                LastAction::Updated => "updated",
                LastAction::Deleted => "deleted",
            })
            .collect();
        self.with("filter", words.join(","))
    }

    /// Only a record of this id; set several times, those of all these, at most
    /// 100.
    pub fn id(self, id: impl Into<String>) -> Self {
        self.with("ids", id.into())
    }

    /// How many there are on a page: 1 to 10,000, and 100 unless set. A page of
    /// large records may have fewer.
    pub fn limit(self, limit: u32) -> Self {
        self.with("limit", limit.to_string())
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// `invalid_query_params` with the parameters that are wrong,
    /// `unknown_connection`; see [`Error`].
    pub async fn send(self) -> Result<RecordPage, Error> {
        let records = &self.records;
        let call = Call::new(&records.client, Method::GET, &["records"])
            .query([("model", &records.model)])
            .query(records.variant.iter().map(|variant| ("variant", variant)))
            .query(self.query)
            .query(self.cursor.map(|cursor| ("cursor", cursor)));
        let list: RecordList = records.named(call).send().await?;
        Ok(RecordPage {
            records: list.records,
            next_cursor: list.next_cursor,
        })
    }

    /// All of them, page after page. Each page is asked for when those before it
    /// were taken. After an error the stream ends.
    pub fn all(self) -> impl Stream<Item = Result<Record, Error>> + Send + Unpin {
        let pages = stream::try_unfold(Some(self), async |next: Option<Self>| {
            let Some(call) = next else {
                return Ok::<_, Error>(None);
            };
            let page = call.clone().send().await?;
            let next = page.next_cursor.map(|cursor| call.after(cursor));
            let each = stream::iter(page.records).map(Ok::<_, Error>);
            Ok(Some((each, next)))
        });
        Box::pin(pages.try_flatten())
    }
}

/// One page of records.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordPage {
    /// The records, in the order of their changes.
    pub records: Vec<Record>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
}

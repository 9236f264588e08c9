//! `/logs/operations`: what Linkspan did for the environment's connections;
//! `/logs/counted`: how many calls are not among them.

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::Method;
use linkspan_api::logs::{CountedList, Operation, OperationAnswer, OperationFull, OperationList};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// Calls on the operation log. The key needs the scope `environment:logs:read`.
#[derive(Debug, Clone)]
pub struct Logs {
    client: Client,
}

impl Logs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The operations, newest first. One appears within a second of its end.
    ///
    /// ```no_run
    /// # async fn run(linkspan: linkspan_client::Client) -> Result<(), linkspan_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut failed = linkspan.logs().list().status("failed").all();
    /// while let Some(operation) = failed.try_next().await? {
    ///     println!("{} {:?}", operation.created_at, operation.error_code);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self) -> ListOperations {
        ListOperations {
            client: self.client.clone(),
            query: Vec::new(),
            cursor: None,
        }
    }

    /// One operation with its messages, by its id.
    ///
    /// # Errors
    /// `not_found` when the log has none, or no longer; see [`Error`].
    pub async fn get(&self, id: &str) -> Result<OperationFull, Error> {
        let call = Call::new(&self.client, Method::GET, &["logs", "operations", id]);
        Ok(call.send::<OperationAnswer>().await?.data)
    }

    /// How many successful proxied calls are not among the operations: of more a
    /// second than the server's `logs.operations_per_second` it stores a sample
    /// and counts the others.
    pub fn counted(&self) -> CountOperations {
        CountOperations {
            client: self.client.clone(),
            query: Vec::new(),
        }
    }
}

/// [`Logs::counted`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send`"]
pub struct CountOperations {
    client: Client,
    query: Vec<(&'static str, String)>,
}

impl CountOperations {
    /// Those of an integration, by its key; several add up.
    pub fn integration(self, integration: impl Into<String>) -> Self {
        self.with("integration", integration.into())
    }

    /// Those that began in the minute of this time or later.
    pub fn from(self, time: DateTime<Utc>) -> Self {
        self.with("from", rfc3339(time))
    }

    /// Those of minutes that begin before this time.
    pub fn to(self, time: DateTime<Utc>) -> Self {
        self.with("to", rfc3339(time))
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }

    /// Asks for the counts of each integration.
    ///
    /// # Errors
    /// `invalid_query_params` with the parameters that are wrong; see
    /// [`Error`].
    pub async fn send(self) -> Result<CountedList, Error> {
        let call = Call::new(&self.client, Method::GET, &["logs", "counted"]);
        call.query(self.query).send().await
    }
}

/// [`Logs::list`]. A filter that is set several times finds what fits any of
/// its values.
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send` or `all`"]
pub struct ListOperations {
    client: Client,
    query: Vec<(&'static str, String)>,
    cursor: Option<String>,
}

impl ListOperations {
    /// Those of a kind, such as `auth`, `proxy` or `admin`.
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.with("type", kind)
    }

    /// Those that ended so: `success` or `failed`.
    pub fn status(self, status: impl Into<String>) -> Self {
        self.with("status", status)
    }

    /// Those of an integration, by its key.
    pub fn integration(self, integration: impl Into<String>) -> Self {
        self.with("integration", integration)
    }

    /// Those of a connection, by its id.
    pub fn connection(self, id: impl Into<String>) -> Self {
        self.with("connection", id)
    }

    /// Those that began then or later.
    pub fn from(self, time: DateTime<Utc>) -> Self {
        self.with("from", rfc3339(time))
    }

    /// Those that began before.
    pub fn to(self, time: DateTime<Utc>) -> Self {
        self.with("to", rfc3339(time))
    }

    /// How many there are on a page: 1 to 100, and 20 unless set.
    pub fn limit(self, limit: u32) -> Self {
        self.with("limit", limit.to_string())
    }

    /// Goes on where a page ended: its [`OperationPage::next_cursor`].
    pub fn after(self, cursor: impl Into<String>) -> Self {
        let cursor = Some(cursor.into());
        Self { cursor, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// `invalid_query_params` with the parameters that are wrong; see
    /// [`Error`].
    pub async fn send(self) -> Result<OperationPage, Error> {
        let call = Call::new(&self.client, Method::GET, &["logs", "operations"])
            .query(self.query)
            .query(self.cursor.map(|cursor| ("cursor", cursor)));
        let list: OperationList = call.send().await?;
        Ok(OperationPage {
            operations: list.data,
            next_cursor: list.pagination.next_cursor,
        })
    }

    /// All of them, page after page. Each page is asked for when those before it
    /// were taken. After an error the stream ends.
    pub fn all(self) -> impl Stream<Item = Result<Operation, Error>> + Send + Unpin {
        let pages = stream::try_unfold(Some(self), async |next: Option<Self>| {
            let Some(call) = next else {
                return Ok::<_, Error>(None);
            };
            let page = call.clone().send().await?;
            let next = page.next_cursor.map(|cursor| call.after(cursor));
            let each = stream::iter(page.operations).map(Ok::<_, Error>);
            Ok(Some((each, next)))
        });
        Box::pin(pages.try_flatten())
    }
}

/// `Z` rather than `+00:00`: a plus in a query is a space to many programs.
fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// One page of operations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationPage {
    /// The operations, newest first.
    pub operations: Vec<Operation>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
}

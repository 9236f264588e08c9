//! The one connection type that the data layer stands on.
//!
//! diesel-async's own Postgres connection names every statement that it
//! prepares. Behind a transaction pooler that does not follow names (PgBouncer
//! before 1.21) the name is looked up on whichever server connection comes
//! next: clients fail, or run each other's statements. This type sends
//! diesel's SQL and binds as one unnamed `Parse`/`Bind`/`Execute`/`Sync`, which
//! a pooler keeps together, and which needs one round trip and no state.
//! `docs/ARCHITECTURE.md`, "Pooler", has the figures.

use std::future::Future;

use diesel::ConnectionResult;
use diesel::QueryResult;
use diesel::connection::{CacheSize, DynInstrumentation, Instrumentation};
use diesel::pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AsQuery, QueryBuilder, QueryFragment, QueryId};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncConnectionCore, SimpleAsyncConnection,
    TransactionManager,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use tokio_postgres::types::{FromSqlOwned, IsNull, ToSql, Type, private::BytesMut};

use super::row::Row;
use super::{error, tls};

/// A connection to Postgres that never names a statement.
pub struct Connection {
    client: tokio_postgres::Client,
    transaction: AnsiTransactionManager,
    instrumentation: DynInstrumentation,
}

impl Connection {
    /// Connects by a `postgres://` URL. `sslmode=require` encrypts and verifies
    /// the server against the public certificate authorities; anything else
    /// connects without TLS.
    ///
    /// # Errors
    /// When the URL is malformed, or the server is not there or refuses us.
    pub async fn connect(url: &str) -> ConnectionResult<Self> {
        let client = tls::connect(url)
            .await
            .map_err(|e| diesel::ConnectionError::BadConnection(error::describe(&e)))?;
        Ok(Self {
            client,
            transaction: AnsiTransactionManager::default(),
            instrumentation: DynInstrumentation::default_instrumentation(),
        })
    }

    /// The driver's own client, for what diesel has no words for (`COPY`).
    /// Statements prepared on it are named: do not prepare any.
    #[must_use]
    pub fn client(&self) -> &tokio_postgres::Client {
        &self.client
    }
}

/// A query as it goes over the wire: it borrows nothing from diesel's types,
/// which need not be `Send`.
struct Wire {
    sql: String,
    binds: Vec<(Bind, Type)>,
}

impl Wire {
    fn build<T: QueryFragment<Pg>>(query: &T) -> QueryResult<Self> {
        let mut sql = PgQueryBuilder::default();
        query.to_sql(&mut sql, &Pg)?;
        let mut collector = RawBytesBindCollector::<Pg>::new();
        query.collect_binds(&mut collector, &mut BuiltInTypes, &Pg)?;
        let binds = collector
            .metadata
            .iter()
            .zip(collector.binds)
            .map(|(metadata, bytes)| Ok((Bind(bytes), wire_type(metadata)?)))
            .collect::<QueryResult<_>>()?;
        Ok(Self {
            sql: sql.finish(),
            binds,
        })
    }
}

/// The server infers the type of a parameter that we send as "unspecified".
const UNSPECIFIED: u32 = 0;

fn wire_type(metadata: &PgTypeMetadata) -> QueryResult<Type> {
    let oid = metadata
        .oid()
        .map_err(|e| diesel::result::Error::SerializationError(Box::new(e)))?;
    Ok(Type::from_oid(oid).unwrap_or_else(|| {
        Type::new(
            "unspecified".to_owned(),
            UNSPECIFIED,
            tokio_postgres::types::Kind::Simple,
            "pg_catalog".to_owned(),
        )
    }))
}

/// Our schema uses built-in types only, whose ids diesel knows. A look-up would
/// cost a round trip inside a query, so any other type is left to the server.
struct BuiltInTypes;

impl PgMetadataLookup for BuiltInTypes {
    fn lookup_type(&mut self, _type_name: &str, _schema: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::new(UNSPECIFIED, UNSPECIFIED)
    }
}

/// A parameter that diesel has already encoded in the binary format.
#[derive(Debug)]
struct Bind(Option<Vec<u8>>);

impl ToSql for Bind {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

impl SimpleAsyncConnection for Connection {
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.client
            .batch_execute(query)
            .await
            .map_err(error::from_driver)
    }
}

impl AsyncConnectionCore for Connection {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<Self::Stream<'conn, 'query>>>;
    type Stream<'conn, 'query> = BoxStream<'static, QueryResult<Row>>;
    type Row<'conn, 'query> = Row;
    type Backend = Pg;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Pg> + QueryId + 'query,
    {
        let wire = Wire::build(&source.as_query());
        let client = &self.client;
        async move {
            let wire = wire?;
            let rows = client
                .query_typed_raw(&wire.sql, wire.binds)
                .await
                .map_err(error::from_driver)?;
            Ok(rows.map_ok(Row::new).map_err(error::from_driver).boxed())
        }
        .boxed()
    }

    fn execute_returning_count<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Pg> + QueryId + 'query,
    {
        let wire = Wire::build(&source);
        let client = &self.client;
        async move {
            let wire = wire?;
            let params: Vec<_> = wire
                .binds
                .iter()
                .map(|(bind, ty)| (bind as &(dyn ToSql + Sync), ty.clone()))
                .collect();
            let rows = client
                .execute_typed(&wire.sql, &params)
                .await
                .map_err(error::from_driver)?;
            usize::try_from(rows)
                .map_err(|e| diesel::result::Error::DeserializationError(Box::new(e)))
        }
        .boxed()
    }
}

impl AsyncConnection for Connection {
    type TransactionManager = AnsiTransactionManager;

    fn establish(database_url: &str) -> impl Future<Output = ConnectionResult<Self>> + Send {
        Self::connect(database_url)
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transaction
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut *self.instrumentation
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = instrumentation.into();
    }

    fn set_prepared_statement_cache_size(&mut self, _: CacheSize) {
        // There is no cache: nothing is prepared.
    }
}

impl PoolableConnection for Connection {
    fn is_broken(&mut self) -> bool {
        self.client.is_closed() || AnsiTransactionManager::is_broken_transaction_manager(self)
    }
}

/// Reads one scalar by plain SQL: for the few statements that diesel cannot
/// build, such as those on advisory locks.
///
/// # Errors
/// When the statement fails, or yields no row.
pub fn scalar<'a, T: FromSqlOwned>(
    conn: &'a Connection,
    sql: &'a str,
) -> impl Future<Output = QueryResult<T>> + Send + use<'a, T> {
    // The connection cannot be shared between threads, and its client can.
    let client = &conn.client;
    async move {
        let row = client
            .query_typed_one(sql, &[])
            .await
            .map_err(error::from_driver)?;
        row.try_get(0).map_err(error::from_driver)
    }
}

//! Which columns hold sealed values: what rotation walks.

/// A column that holds sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    /// The table; its primary key is `(environment_id, id)`.
    pub table: &'static str,
    /// The column, a `bytea`.
    pub column: &'static str,
    /// How the table's `id` becomes the row of a [`Context`](super::Context).
    pub row: RowId,
}

/// The type of a table's `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowId {
    /// `uuid`: its 16 bytes.
    Uuid,
    /// `bigint`: 8 bytes, big-endian.
    BigInt,
}

/// Every sealed column of the control plane. Nothing can be sealed for a column
/// that is not here, since rotation would miss it.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn {
        table: "integrations",
        column: "secrets",
        row: RowId::Uuid,
    },
    SealedColumn {
        table: "connections",
        column: "credentials",
        row: RowId::BigInt,
    },
    SealedColumn {
        table: "connections",
        column: "metadata",
        row: RowId::BigInt,
    },
    SealedColumn {
        table: "connections",
        column: "config_secrets",
        row: RowId::BigInt,
    },
    SealedColumn {
        table: "connect_sessions",
        column: "details",
        row: RowId::Uuid,
    },
    SealedColumn {
        table: "oauth_flows",
        column: "details",
        row: RowId::Uuid,
    },
    SealedColumn {
        table: "webhook_signing_keys",
        column: "key",
        row: RowId::Uuid,
    },
    SealedColumn {
        table: "hmac_keys",
        column: "key",
        row: RowId::Uuid,
    },
];

impl RowId {
    /// The type's name in SQL.
    pub(super) fn sql_type(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::BigInt => "bigint",
        }
    }

    /// A value of `id`, as text, that sorts before all that are given out.
    pub(super) fn before_all(self) -> &'static str {
        match self {
            Self::Uuid => "00000000-0000-0000-0000-000000000000",
            Self::BigInt => "-9223372036854775808",
        }
    }

    /// The bytes that a row's `id`, given as Postgres' text, is bound by.
    pub(super) fn bytes(self, id: &str) -> Option<Vec<u8>> {
        match self {
            Self::Uuid => Some(uuid::Uuid::parse_str(id).ok()?.as_bytes().to_vec()),
            Self::BigInt => Some(id.parse::<i64>().ok()?.to_be_bytes().to_vec()),
        }
    }
}

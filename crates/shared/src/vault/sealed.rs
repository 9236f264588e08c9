//! Which columns hold sealed values: what rotation walks.

/// A column that holds sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    /// The table; its primary key is `(environment_id, id)`, or that of records.
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
    /// `stream` and `key` in place of an `id`: 8 bytes, big-endian, and 16.
    Record,
}

/// Every sealed column. Nothing can be sealed for a column
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
    SealedColumn {
        table: "records.streams",
        column: "secret",
        row: RowId::BigInt,
    },
    SealedColumn {
        table: "records.records",
        column: "payload",
        row: RowId::Record,
    },
];

impl SealedColumn {
    /// Whether the table is one of the records' group.
    pub(super) fn is_of_records(&self) -> bool {
        self.table.starts_with("records.")
    }
}

impl RowId {
    /// What names a row, as text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Uuid | Self::BigInt => "id::text",
            Self::Record => "stream::text || ':' || key::text",
        }
    }

    /// The columns that it is made of, in SQL.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::Uuid | Self::BigInt => "id",
            Self::Record => "(stream, key)",
        }
    }

    /// The same of a table that goes by another name.
    pub(super) fn columns_of(self, table: &str) -> String {
        match self {
            Self::Uuid | Self::BigInt => format!("{table}.id"),
            Self::Record => format!("({table}.stream, {table}.key)"),
        }
    }

    /// The parameter `number`, a text, as the type of the columns.
    pub(super) fn parameter(self, number: u8) -> String {
        self.typed(&format!("${number}::text"))
    }

    /// A text, in SQL, as the type of the columns.
    pub(super) fn typed(self, text: &str) -> String {
        match self {
            Self::Uuid => format!("{text}::uuid"),
            Self::BigInt => format!("{text}::bigint"),
            Self::Record => {
                format!("(split_part({text}, ':', 1)::bigint, split_part({text}, ':', 2)::uuid)")
            }
        }
    }

    /// A text that sorts before all that are given out.
    pub(super) fn before_all(self) -> &'static str {
        match self {
            Self::Uuid => "00000000-0000-0000-0000-000000000000",
            Self::BigInt => "-9223372036854775808",
            Self::Record => "-9223372036854775808:00000000-0000-0000-0000-000000000000",
        }
    }

    /// The bytes that a row, given as Postgres' text, is bound by.
    pub(super) fn bytes(self, id: &str) -> Option<Vec<u8>> {
        match self {
            Self::Uuid => Some(uuid::Uuid::parse_str(id).ok()?.as_bytes().to_vec()),
            Self::BigInt => Some(id.parse::<i64>().ok()?.to_be_bytes().to_vec()),
            Self::Record => {
                let (stream, key) = id.split_once(':')?;
                let mut bytes = Self::BigInt.bytes(stream)?;
                bytes.extend(Self::Uuid.bytes(key)?);
                Some(bytes)
            }
        }
    }
}

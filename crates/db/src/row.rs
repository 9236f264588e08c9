//! A driver's row as diesel reads it.

use std::error::Error;
use std::num::NonZeroU32;

use diesel::pg::{Pg, PgValue, TypeOidLookup};
use diesel::row::{Field as DieselField, PartialRow, Row as DieselRow, RowIndex, RowSealed};
use tokio_postgres::types::{FromSql, Type};

/// One row of a result.
pub struct Row(tokio_postgres::Row);

impl Row {
    pub(super) fn new(row: tokio_postgres::Row) -> Self {
        Self(row)
    }
}

impl RowSealed for Row {}

impl<'a> DieselRow<'a, Pg> for Row {
    type Field<'f>
        = Field<'f>
    where
        Self: 'f,
        'a: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.0.len()
    }

    fn get<'b, I>(&'b self, idx: I) -> Option<Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(idx)?;
        Some(Field {
            row: &self.0,
            index,
            type_id: TypeId(self.0.columns()[index].type_().oid()),
        })
    }

    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for Row {
    fn idx(&self, idx: usize) -> Option<usize> {
        (idx < self.0.len()).then_some(idx)
    }
}

impl<'a> RowIndex<&'a str> for Row {
    fn idx(&self, name: &'a str) -> Option<usize> {
        self.0.columns().iter().position(|c| c.name() == name)
    }
}

/// One field of a row.
pub struct Field<'a> {
    row: &'a tokio_postgres::Row,
    index: usize,
    type_id: TypeId,
}

struct TypeId(u32);

impl TypeOidLookup for TypeId {
    fn lookup(&self) -> NonZeroU32 {
        // Zero means "unspecified", which no column of a result is; 25 is text.
        const TEXT: NonZeroU32 = NonZeroU32::new(25).unwrap();
        NonZeroU32::new(self.0).unwrap_or(TEXT)
    }
}

/// The bytes of a field as they came, whatever its type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl<'a> DieselField<'a, Pg> for Field<'a> {
    fn field_name(&self) -> Option<&str> {
        Some(self.row.columns()[self.index].name())
    }

    fn value(&self) -> Option<PgValue<'_>> {
        // `Raw` accepts everything and cannot fail.
        let Raw(bytes) = self.row.try_get(self.index).ok()?;
        bytes.map(|bytes| PgValue::new(bytes, &self.type_id))
    }
}

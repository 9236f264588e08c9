//! COPY and `INSERT … ON CONFLICT` into tables like that of records, with the
//! same columns, indexes and settings, of rows that are made beforehand.

use std::time::Instant;

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// What a payload of a 500-byte record takes, compressed and sealed.
const PAYLOAD: usize = 455;
const PAGE: usize = 1_000;

/// Rows a second.
pub(crate) struct Copied {
    pub(crate) whole: f64,
    pub(crate) pages: f64,
    pub(crate) upsert: f64,
    pub(crate) upsert_again: f64,
}

pub(crate) async fn connect(url: &SecretString) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A table like that of records, empty.
async fn table(client: &Client) -> Result<()> {
    let sql = "DROP TABLE IF EXISTS records.reference; \
        CREATE TABLE records.reference (LIKE records.records INCLUDING ALL); CHECKPOINT";
    client.batch_execute(sql).await?;
    Ok(())
}

pub(crate) async fn measure(url: &SecretString, count: usize) -> Result<Copied> {
    let client = connect(url).await?;
    table(&client).await?;
    let whole = copy(&client, count, count).await?;
    table(&client).await?;
    let pages = copy(&client, count, PAGE).await?;
    table(&client).await?;
    let upsert = upsert(&client, count).await?;
    let upsert_again = self::upsert(&client, count).await?;
    client.batch_execute("DROP TABLE records.reference").await?;
    Ok(Copied {
        whole,
        pages,
        upsert,
        upsert_again,
    })
}

/// Numbers that are spread as hashes are.
fn spread(number: usize) -> [u8; 16] {
    let mut wide = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    wide ^= wide >> 61;
    wide.wrapping_mul(0xbf58_476d_1ce4_e5b9_94d0_49bb_1331_11eb)
        .to_be_bytes()
}

fn payload(number: usize) -> Vec<u8> {
    (0..PAYLOAD.div_ceil(16))
        .flat_map(|at| spread(number * 64 + at))
        .take(PAYLOAD)
        .collect()
}

fn row(number: usize, out: &mut BytesMut) {
    fn field(out: &mut BytesMut, bytes: &[u8]) {
        out.put_i32(bytes.len() as i32);
        out.put_slice(bytes);
    }
    out.put_i16(9);
    field(out, &[7; 16]);
    field(out, &spread(number));
    field(out, &spread(number + 1));
    field(out, &1_i64.to_be_bytes());
    let sequence = 1_795_000_000_000_000 + number as i64;
    field(out, &sequence.to_be_bytes());
    field(out, &sequence.to_be_bytes());
    out.put_i32(-1);
    field(out, &[0]);
    field(out, &payload(number));
}

/// Copies all rows, so many in a transaction.
async fn copy(client: &Client, count: usize, page: usize) -> Result<f64> {
    // Made in advance, so that COPY is timed alone; a part at a time, for memory.
    const PART: usize = 50_000;
    let mut seconds = 0.0;
    for part in (0..count).step_by(PART) {
        let mut pages = Vec::new();
        for first in (part..count.min(part + PART)).step_by(page.min(PART)) {
            let mut out = BytesMut::new();
            out.put_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
            let last = count.min(part + PART).min(first + page);
            (first..last).for_each(|number| row(number, &mut out));
            out.put_i16(-1);
            pages.push(out.freeze());
        }
        let begun = Instant::now();
        for page in pages {
            let sink = client
                .copy_in::<_, Bytes>("COPY records.reference FROM STDIN (FORMAT binary)")
                .await?;
            let mut sink = std::pin::pin!(sink);
            sink.send(page).await?;
            sink.finish().await?;
        }
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok(count as f64 / seconds)
}

const UPSERT: &str = "INSERT INTO records.reference \
    (environment_id, stream, key, hash, sequence, added, deleted, payload) \
    SELECT '07070707-0707-0707-0707-070707070707', 1, key, hash, sequence, sequence, false, payload \
    FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::bytea[]) AS g(key, hash, sequence, payload) \
    ON CONFLICT (environment_id, stream, key) DO UPDATE SET hash = excluded.hash, \
    sequence = excluded.sequence, payload = excluded.payload";

/// Upserts all rows in pages, each whole, changed or not.
async fn upsert(client: &Client, count: usize) -> Result<f64> {
    let mut seconds = 0.0;
    let seen = client
        .query_one("SELECT count(*) FROM records.reference", &[])
        .await?;
    let from: i64 = 1_795_000_000_000_000 + seen.get::<_, i64>(0);
    for first in (0..count).step_by(PAGE) {
        let numbers = first..count.min(first + PAGE);
        let uuid = |number| Uuid::from_bytes(spread(number));
        let keys: Vec<_> = numbers.clone().map(uuid).collect();
        let hashes: Vec<_> = numbers.clone().map(|number| uuid(number + 1)).collect();
        let sequences: Vec<_> = numbers.clone().map(|number| from + number as i64).collect();
        let payloads: Vec<_> = numbers.map(payload).collect();
        let begun = Instant::now();
        let values: [(&(dyn ToSql + Sync), Type); 4] = [
            (&keys, Type::UUID_ARRAY),
            (&hashes, Type::UUID_ARRAY),
            (&sequences, Type::INT8_ARRAY),
            (&payloads, Type::BYTEA_ARRAY),
        ];
        client.execute_typed(UPSERT, &values).await?;
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok(count as f64 / seconds)
}

-- What syncs have saved. A stream is one model (and variant) of one connection.
CREATE SCHEMA IF NOT EXISTS records;

-- Streams are named by a number, since each of their records and index entries
-- repeats it. It comes from here before the row is made, because the row's
-- secret is sealed for it.
CREATE SEQUENCE records.stream_ids AS bigint;

-- Every batch updates its stream's row: no index has a column that it changes,
-- and half of each page is left for the next versions.
CREATE TABLE records.streams (
    environment_id uuid        NOT NULL,
    id             bigint      NOT NULL,
    connection     bigint      NOT NULL,
    model          text        NOT NULL,
    variant        text        NOT NULL,
    -- Sealed: the key of the hashes of ids and contents. It stays the same when
    -- data keys change.
    secret         bytea       NOT NULL,
    -- The last one given to a record: microseconds since 1970, strictly rising.
    sequence       bigint      NOT NULL DEFAULT 0,
    -- The highest that a writer came with. One with a lower one is refused.
    fence          bigint      NOT NULL DEFAULT 0,
    -- Of the tracking of deletes under way: where it began.
    tracked_from   bigint,
    -- Up to here every record's payload is emptied.
    pruned_until   bigint      NOT NULL DEFAULT 0,
    live           bigint      NOT NULL DEFAULT 0,
    deleted        bigint      NOT NULL DEFAULT 0,
    bytes          bigint      NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    -- When a batch last came, to the hour: unchanged ones write nothing else.
    written_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, connection, model, variant)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Fixed columns first, widest alignment first: nothing is lost to padding.
CREATE TABLE records.records (
    environment_id uuid    NOT NULL,
    -- A hash of the record's id: of any length and any characters, and nobody's
    -- mail address in an index.
    key            uuid    NOT NULL,
    -- A hash of the content, whatever the order of its keys.
    hash           uuid    NOT NULL,
    stream         bigint  NOT NULL,
    -- When it changed last, which is also its place in the stream.
    sequence       bigint  NOT NULL,
    -- When it was first seen, or came back after it was deleted.
    added          bigint  NOT NULL,
    -- When its payload was emptied.
    pruned_at      timestamptz,
    deleted        boolean NOT NULL,
    -- Compressed, then sealed.
    payload        bytea   NOT NULL,
    PRIMARY KEY (environment_id, stream, key)
) WITH (
    -- A stream that is rewritten leaves as many dead rows: cleaned up early.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_analyze_scale_factor = 0.05
);

-- What is sealed cannot be compressed again.
ALTER TABLE records.records ALTER COLUMN payload SET STORAGE EXTERNAL;

-- A page is a range of this. A stream's number is nobody else's, so that the
-- environment would only make it larger.
CREATE UNIQUE INDEX records_order ON records.records (stream, sequence);

-- Records that came unchanged while deletes are tracked: one row for each batch
-- instead of one write for each record.
CREATE TABLE records.seen (
    environment_id uuid   NOT NULL,
    stream         bigint NOT NULL,
    -- The stream's tracked_from of that time.
    tracked_from   bigint NOT NULL,
    batch          uuid   NOT NULL,
    keys           uuid[] NOT NULL,
    PRIMARY KEY (environment_id, stream, tracked_from, batch)
);
ALTER TABLE records.seen ALTER COLUMN keys SET STORAGE EXTERNAL;

-- Streams that are gone, whose records are still to be deleted.
CREATE TABLE records.dropped (
    environment_id uuid        NOT NULL,
    stream         bigint      NOT NULL,
    dropped_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, stream)
);

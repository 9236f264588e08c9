-- One row per operation with its messages inside. Daily partitions, made by
-- the writer, so that retention is a DROP.
CREATE SCHEMA IF NOT EXISTS logs;

CREATE TABLE logs.operations (
    environment_id   uuid        NOT NULL,
    created_at       timestamptz NOT NULL,
    id               uuid        NOT NULL,
    kind             text        NOT NULL,
    action           text        NOT NULL,
    status           text        NOT NULL,
    integration      text,
    provider         text,
    connection_id    text,
    duration_ms      integer     NOT NULL,
    http_status      smallint,
    error_code       text,
    messages         jsonb       NOT NULL,
    PRIMARY KEY (environment_id, created_at, id)
) PARTITION BY RANGE (created_at);

-- What happened to connections, written in the transaction that made it happen:
-- no event without its change, no change without its event. Webhooks and hooks
-- are made of it.
CREATE TABLE events (
    environment_id uuid NOT NULL REFERENCES environments ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    integration_id uuid NOT NULL,
    connection bigint NOT NULL,
    connection_id text NOT NULL,
    -- The log operation that has the details; it may be cleared away earlier.
    operation_id uuid,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id)
);
CREATE INDEX events_connection ON events (environment_id, connection, id);
-- For clearing away.
CREATE INDEX events_occurred_at ON events (occurred_at);

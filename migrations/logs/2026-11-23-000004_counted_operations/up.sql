-- The plain successes that are over an environment's budget of stored operations
-- (`logs.operations_per_second`): how many began in a minute. A process adds to
-- rows of its own, in numbered batches, so that one which it sends again, since it
-- never heard of its end, is added once.
CREATE TABLE logs.counted_operations (
    environment_id   uuid        NOT NULL,
    minute           timestamptz NOT NULL,
    integration      text        NOT NULL,
    provider         text        NOT NULL,
    process          uuid        NOT NULL,
    batch            bigint      NOT NULL,
    successes        bigint      NOT NULL,
    PRIMARY KEY (environment_id, minute, integration, provider, process)
);

-- What retention drops.
CREATE INDEX counted_operations_minute ON logs.counted_operations (minute);

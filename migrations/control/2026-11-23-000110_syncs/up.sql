-- The functions that sync an integration's connections, as they were deployed
-- last.
CREATE TABLE sync_functions (
    environment_id uuid        NOT NULL REFERENCES environments ON DELETE CASCADE,
    id             uuid        NOT NULL,
    integration_id uuid        NOT NULL,
    name           text        NOT NULL,
    -- The name of code that is built into the program.
    native         text,
    description    text,
    version        text,
    -- "every 30s", or five or six fields of cron.
    frequency      text        NOT NULL,
    models         text[]      NOT NULL,
    -- Whether a new connection's sync is started, or paused.
    auto_start     boolean     NOT NULL,
    -- Whether what a run has not seen is deleted when it succeeds.
    track_deletes  boolean     NOT NULL,
    -- It is deleted with the last of its syncs.
    is_leaving     boolean     NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, integration_id, name),
    FOREIGN KEY (environment_id, integration_id)
        REFERENCES integrations (environment_id, id) ON DELETE CASCADE
);

-- One connection, function and variant, and what became of its last run. Its
-- schedule and its jobs are in the schema jobs.
CREATE TABLE syncs (
    environment_id  uuid        NOT NULL,
    id              uuid        NOT NULL,
    connection      bigint      NOT NULL,
    function_id     uuid        NOT NULL,
    variant         text        NOT NULL,
    -- leaving: it is deleted as soon as no run of it is under way.
    state           text        NOT NULL CHECK (state IN ('started', 'paused', 'leaving')),
    -- Instead of the function's.
    frequency       text,
    -- Set in the transaction that makes the row.
    schedule_id     bigint,
    -- The next run forgets its checkpoint first.
    is_reset_due    boolean     NOT NULL DEFAULT false,
    -- How often it was asked to empty its records, and how far that is done.
    empties_asked   bigint      NOT NULL DEFAULT 0,
    empties_done    bigint      NOT NULL DEFAULT 0,
    -- Another run is to follow the one under way.
    is_again_due    boolean     NOT NULL DEFAULT false,
    -- When the last run that succeeded, and that no reset has undone, began.
    synced_at       timestamptz,
    -- The last run. Only who has its fence writes what became of it.
    run_job         bigint,
    run_fence       bigint      NOT NULL DEFAULT 0,
    run_attempt     smallint    NOT NULL DEFAULT 0,
    run_status      text        CHECK (run_status IN ('running', 'succeeded', 'failed', 'cancelled')),
    run_reason      text,
    -- Whether it began from nothing.
    run_is_initial  boolean     NOT NULL DEFAULT true,
    run_started_at  timestamptz,
    run_finished_at timestamptz,
    -- By model: added, updated, deleted, unchanged.
    run_result      jsonb,
    run_error       text,
    run_operation   uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, connection, function_id, variant),
    FOREIGN KEY (environment_id, connection)
        REFERENCES connections (environment_id, id) ON DELETE CASCADE,
    FOREIGN KEY (environment_id, function_id)
        REFERENCES sync_functions (environment_id, id) ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX syncs_function ON syncs (environment_id, function_id);

-- A version is nobody else's, also after a checkpoint was deleted and made anew.
CREATE SEQUENCE checkpoint_versions AS bigint;

-- How far a function has come: an object of strings, numbers and booleans.
CREATE TABLE checkpoints (
    environment_id uuid        NOT NULL,
    connection     bigint      NOT NULL,
    key            text        NOT NULL,
    value          jsonb       NOT NULL,
    version        bigint      NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, connection, key),
    FOREIGN KEY (environment_id, connection)
        REFERENCES connections (environment_id, id) ON DELETE CASCADE
) WITH (fillfactor = 70);

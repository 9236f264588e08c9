-- Work that is done after a commit, in a schema of its own. docs/jobs.md says
-- how it is used; crates/jobs has all statements that touch it.
CREATE SCHEMA jobs;

CREATE SEQUENCE jobs.job_ids AS bigint;
-- Rises with every claim of any job: a later holder has a higher fence, whatever
-- job it holds, so that stores can refuse an earlier one by this number alone.
CREATE SEQUENCE jobs.fences AS bigint;

-- Jobs that are not done. A job's states:
--   delayed  until run_at, when somebody makes it ready
--   ready    to be claimed, in the order of priority and virtual_time
--   parked   would be ready, but for the limit of parked_on
--   running  claimed by a worker, under a fence
--   dead     out of attempts; kept for a person to look at and to retry
CREATE TABLE jobs.jobs (
    id bigint PRIMARY KEY DEFAULT nextval('jobs.job_ids'),
    kind text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    tenant text COLLATE "C",
    -- Groups take turns. No group is one of its own.
    group_key text COLLATE "C" NOT NULL DEFAULT '',
    priority smallint NOT NULL,
    state text COLLATE "C" NOT NULL
        CHECK (state IN ('delayed', 'ready', 'parked', 'running', 'dead')),
    virtual_time bigint NOT NULL DEFAULT 0,
    -- The key in jobs.limits that keeps it waiting.
    parked_on text COLLATE "C",
    enqueued_at timestamptz NOT NULL DEFAULT now(),
    run_at timestamptz NOT NULL DEFAULT now(),
    -- Not begun by then, it is given up.
    start_by timestamptz,
    run_limit_ms bigint NOT NULL,
    attempt smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL,
    unique_key text COLLATE "C",
    schedule_id bigint,
    worker uuid,
    fence bigint NOT NULL DEFAULT 0,
    started_at timestamptz,
    -- Running longer, it is taken from its worker.
    deadline timestamptz,
    -- Whether the running job counts in the limit of its group, of its tenant.
    counts_in_group boolean NOT NULL DEFAULT false,
    counts_in_tenant boolean NOT NULL DEFAULT false,
    cancel_requested boolean NOT NULL DEFAULT false,
    last_error text,
    died_at timestamptz
) WITH (
    -- Every row is written three times and deleted: clear away early and at
    -- full speed, before the indexes grow.
    fillfactor = 90,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 0
);
-- What claims read, and nothing else.
CREATE INDEX jobs_ready ON jobs.jobs (priority, virtual_time, id) WHERE state = 'ready';
-- A group's last turn.
CREATE INDEX jobs_turn ON jobs.jobs (group_key, priority, virtual_time) WHERE state = 'ready';
CREATE INDEX jobs_delayed ON jobs.jobs (run_at) WHERE state = 'delayed';
CREATE INDEX jobs_parked ON jobs.jobs (parked_on, priority, virtual_time) WHERE state = 'parked';
CREATE INDEX jobs_running ON jobs.jobs (worker) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs.jobs (died_at, id) WHERE state = 'dead';
CREATE INDEX jobs_start_by ON jobs.jobs (start_by)
    WHERE start_by IS NOT NULL AND state IN ('delayed', 'ready', 'parked');
CREATE UNIQUE INDEX jobs_unique ON jobs.jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state <> 'dead';

-- Jobs that are done, by day, so that retention is a DROP.
CREATE TABLE jobs.finished (
    id bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    tenant text COLLATE "C",
    group_key text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL
        CHECK (outcome IN ('succeeded', 'cancelled', 'expired')),
    attempt smallint NOT NULL,
    schedule_id bigint,
    worker uuid,
    enqueued_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz NOT NULL DEFAULT now(),
    output json
) PARTITION BY RANGE (finished_at);
CREATE INDEX finished_id ON jobs.finished (id);
-- Nobody waits for a day's partition to be made.
CREATE TABLE jobs.finished_default PARTITION OF jobs.finished DEFAULT;

-- How far each priority's turns have come: the last job that was claimed.
CREATE TABLE jobs.clocks (
    priority smallint PRIMARY KEY,
    virtual_time bigint NOT NULL,
    job bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO jobs.clocks SELECT priority, 0, 0 FROM generate_series(0, 2) AS priority;

-- How many jobs of a group or a tenant may run at once. No row, no limit.
CREATE TABLE jobs.limits (
    key text COLLATE "C" PRIMARY KEY,
    max_running integer NOT NULL CHECK (max_running >= 0),
    running integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE jobs.workers (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE TABLE jobs.schedules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    tenant text COLLATE "C",
    group_key text COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    start_within_ms bigint,
    run_limit_ms bigint NOT NULL,
    max_attempts smallint NOT NULL,
    -- As it was given: "every 30s", or five or six fields of cron.
    spec text NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    next_at timestamptz NOT NULL,
    -- The last job that it made.
    last_job bigint,
    last_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX schedules_due ON jobs.schedules (next_at) WHERE NOT is_paused;
CREATE INDEX schedules_tenant ON jobs.schedules (tenant) WHERE tenant IS NOT NULL;

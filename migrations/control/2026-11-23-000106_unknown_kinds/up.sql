-- While old and new workers share the table, an old one may claim a job whose kind
-- it does not know. Since when that has been so; empty once one that knows it ran it.
ALTER TABLE jobs.jobs ADD COLUMN unknown_since timestamptz;
-- The kinds that a worker knows: others leave their jobs to it.
ALTER TABLE jobs.workers ADD COLUMN kinds text[] COLLATE "C" NOT NULL DEFAULT '{}';
-- What a worker that knows more makes due when it starts. Not CONCURRENTLY, which
-- waits for the migrator's own lock; there is nothing to put into it yet.
CREATE INDEX jobs_unknown ON jobs.jobs (kind)
    WHERE unknown_since IS NOT NULL AND state = 'delayed';

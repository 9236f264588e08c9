DROP INDEX jobs.jobs_unknown;
ALTER TABLE jobs.workers DROP COLUMN kinds;
ALTER TABLE jobs.jobs DROP COLUMN unknown_since;

DROP INDEX jobs.jobs_unparked;
DROP INDEX jobs.jobs_parked_turn;

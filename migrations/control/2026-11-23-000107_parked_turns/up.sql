-- The last turn of a group's parked jobs: new ones come after them.
CREATE INDEX jobs_parked_turn ON jobs.jobs (group_key, priority, virtual_time)
    WHERE state = 'parked';
-- What came back for a place and was not claimed yet: nobody else comes back for it.
CREATE INDEX jobs_unparked ON jobs.jobs (parked_on)
    WHERE state = 'ready' AND parked_on IS NOT NULL;

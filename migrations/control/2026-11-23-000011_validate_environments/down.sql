SELECT 1; -- A constraint cannot be made invalid again.

DROP TABLE checkpoints;
DROP SEQUENCE checkpoint_versions;
DROP TABLE syncs;
DROP TABLE sync_functions;

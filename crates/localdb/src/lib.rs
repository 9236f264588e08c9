//! A private Postgres in a data directory: find or fetch the binaries, initialise, start, stop.

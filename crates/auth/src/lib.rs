//! One file per auth mode, and the pure preparation of a request. No database.

//! The only way out: an HTTP client with an address policy, pinned DNS, timeouts and redaction.

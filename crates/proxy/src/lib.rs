//! One API call with a connection's credentials: policy, retries, streaming.

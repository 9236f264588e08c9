//! Wire types of the Linkspan API: error codes, ids, scopes, requests and responses.

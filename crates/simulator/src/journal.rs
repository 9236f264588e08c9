//! What a simulator has seen and what it has refused.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;

/// Requests kept. A demo may run for weeks, so both limits drop the oldest.
const MOST_REQUESTS: usize = 2_000;
const MOST_BODY_BYTES: usize = 64 << 20;
const MOST_REFUSALS: usize = 2_000;

/// One request as it arrived. `Debug` leaves out header values, query values
/// and the body, which carry tokens.
#[derive(Clone)]
pub struct SeenRequest {
    /// The method, in capitals.
    pub method: String,
    /// The path as it stood in the request line, still percent-encoded.
    pub path: String,
    /// The query, decoded, in order, repetitions kept.
    pub query: Vec<(String, String)>,
    /// The query as it stood in the request line, without the question mark.
    pub raw_query: String,
    /// The headers, names in lower case; bytes outside UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl SeenRequest {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for SeenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("SeenRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &names(&self.query))
            .field("headers", &names(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// One request that broke the rules. The reason names parameters, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The method, in capitals.
    pub method: String,
    /// The path as it stood in the request line.
    pub path: String,
    /// What was wrong with the request.
    pub reason: String,
}

/// The bounded record behind [`crate::Control`].
#[derive(Debug, Default)]
pub(crate) struct Journal {
    requests: VecDeque<SeenRequest>,
    body_bytes: usize,
    refusals: VecDeque<Refusal>,
    pub(crate) token_requests: usize,
    pub(crate) refreshes: usize,
}

impl Journal {
    pub(crate) fn saw(&mut self, request: SeenRequest) {
        self.body_bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > MOST_REQUESTS || self.body_bytes > MOST_BODY_BYTES {
            let Some(oldest) = self.requests.pop_front() else {
                break;
            };
            self.body_bytes -= oldest.body.len();
        }
    }

    pub(crate) fn refused(&mut self, refusal: Refusal) {
        self.refusals.push_back(refusal);
        if self.refusals.len() > MOST_REFUSALS {
            self.refusals.pop_front();
        }
    }

    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.refusals.iter().cloned().collect()
    }

    pub(crate) fn take_refusals(&mut self) -> Vec<Refusal> {
        self.refusals.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: String, body: Bytes) -> SeenRequest {
        SeenRequest {
            method: "POST".into(),
            path,
            query: vec![("code".into(), "s3cret".into())],
            raw_query: "code=s3cret".into(),
            headers: vec![("authorization".into(), "s3cret".into())],
            body,
        }
    }

    #[test]
    fn the_oldest_requests_are_dropped() {
        let mut journal = Journal::default();
        for n in 0..=MOST_REQUESTS {
            journal.saw(request(format!("/{n}"), Bytes::new()));
        }
        let kept = journal.requests();
        assert_eq!((kept.len(), kept[0].path.as_str()), (MOST_REQUESTS, "/1"));

        journal.saw(request("/big".into(), vec![0; MOST_BODY_BYTES].into()));
        journal.saw(request("/last".into(), Bytes::from_static(b"x")));
        assert_eq!(journal.requests().len(), 1, "the big body left no room");
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", request("/cb".into(), Bytes::from_static(b"s3cret")));
        assert!(shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

//! Server-Sent Events (WHATWG HTML, 9.2) as they come over a connection.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde::de::Error as _;

use crate::error::Error;

/// The largest event (64 MiB): no record is larger than 16 MiB.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// What a server has to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message, and the id that it gave the place after it.
    Message { id: Option<String>, data: Vec<u8> },
    /// How long to wait before coming again.
    Retry(Duration),
}

/// The events of an answer.
pub(crate) struct Events {
    body: BoxStream<'static, Result<Bytes, Error>>,
    text: Text,
}

impl Events {
    pub(crate) fn of(answer: reqwest::Response) -> Self {
        Self {
            body: answer.bytes_stream().map_err(Error::from).boxed(),
            text: Text::default(),
        }
    }

    /// The next event, or none at the end. Comments keep `idle` from running out:
    /// who sends none of them either is taken for gone.
    ///
    /// # Errors
    /// When the connection breaks or goes silent, or an event is too large.
    pub(crate) async fn next(&mut self, idle: Duration) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.text.event() {
                return Ok(Some(event));
            }
            let piece = tokio::time::timeout(idle, self.body.next());
            match piece.await.map_err(|_| Error::Timeout)? {
                Some(piece) => self.text.push(&piece?)?,
                // An event without its empty line is not whole.
                None => return Ok(None),
            }
        }
    }
}

/// What has come and was not taken yet.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Where the line that is being looked for begins, and how far it was looked
    /// for its end.
    start: usize,
    seen: usize,
    id: Option<String>,
    data: Option<Vec<u8>>,
}

impl Text {
    fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.bytes.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        let held = self.bytes.len() + self.data.as_ref().map_or(0, Vec::len);
        if held + piece.len() > MOST_BYTES {
            let told = format!("an event of more than {MOST_BYTES} bytes");
            return Err(Error::Decode(serde_json::Error::custom(told)));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn event(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                let id = self.id.clone();
                if let Some(data) = self.data.take() {
                    return Some(Event::Message { id, data });
                }
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.unwrap_or(line.len()));
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match name {
                b"data" => match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                },
                b"id" => self.id = Some(String::from_utf8_lossy(value).into_owned()),
                b"retry" => {
                    let millis = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                    if let Some(millis) = millis {
                        return Some(Event::Retry(Duration::from_millis(millis)));
                    }
                }
                // A comment, or something that this version does not know.
                _ => {}
            }
        }
        None
    }

    /// The next line that is whole, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.get(self.seen..)?;
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            self.seen = self.bytes.len();
            return None;
        };
        let end = self.seen + length;
        let line = self.bytes.get(self.start..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.start = end + 1;
        self.seen = self.start;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<&str>, data: &str) -> Event {
        Event::Message {
            id: id.map(str::to_owned),
            data: data.as_bytes().to_vec(),
        }
    }

    #[test]
    fn events_are_the_same_wherever_they_are_cut() {
        let whole = "retry: 1000\n\n:\n\nid: a\ndata: {\"é\":1}\n\nid: b\r\ndata:x\r\ndata: y\r\n\
                     other: z\r\n\r\ndata\n\nid: c\n\nretry: soon\n\ndata: cut off\n";
        let expected = [
            Event::Retry(Duration::from_secs(1)),
            message(Some("a"), "{\"é\":1}"),
            message(Some("b"), "x\ny"),
            message(Some("b"), ""),
        ];
        for size in 1..=whole.len() {
            let mut text = Text::default();
            let mut events = Vec::new();
            for piece in whole.as_bytes().chunks(size) {
                text.push(piece).unwrap();
                events.extend(std::iter::from_fn(|| text.event()));
            }
            assert_eq!(events, expected, "in pieces of {size}");
            assert_eq!(text.id.as_deref(), Some("c"));
        }
    }

    #[test]
    fn an_event_that_does_not_end_is_not_kept_for_ever() {
        let mut text = Text::default();
        let piece = vec![b'x'; 1024 * 1024];
        let mut pushed = 0;
        while text.push(&piece).is_ok() {
            assert_eq!(text.event(), None);
            pushed += piece.len();
        }
        assert_eq!(pushed, MOST_BYTES);
    }
}

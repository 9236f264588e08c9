//! Places in a stream.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

/// A place in a stream: everything up to and with one change. It is a number of
/// microseconds since 1970, since a change's place is its time
/// ([`crate::Store`] says why no two have the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor(pub(crate) i64);

/// The first byte of a cursor's text.
const FORMAT: u8 = 1;

impl Cursor {
    /// Before everything.
    pub const START: Self = Self(0);

    /// The place after everything that changed at this time or before.
    #[must_use]
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros().max(0))
    }

    /// When the change at this place was stored.
    #[must_use]
    pub fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The cursor as callers pass it: base64url of `1 ‖ microseconds (i64,
    /// big-endian)`. No key is in it, so that it outlives them.
    #[must_use]
    pub fn encode(self) -> String {
        let [a, b, c, d, e, f, g, h] = self.0.to_be_bytes();
        URL_SAFE_NO_PAD.encode([FORMAT, a, b, c, d, e, f, g, h])
    }

    /// Reads a cursor that [`Cursor::encode`] wrote.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 9] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [FORMAT, a, b, c, d, e, f, g, h] = bytes else {
            return None;
        };
        let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (micros >= 0 && DateTime::from_timestamp_micros(micros).is_some()).then_some(Self(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for micros in [0, 1, 1_795_468_200_123_456] {
            let cursor = Cursor(micros);
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        let text = Cursor(1_795_468_200_123_456).encode();
        let negative = URL_SAFE_NO_PAD.encode([[FORMAT].as_slice(), &[0xff; 8]].concat());
        let beyond = URL_SAFE_NO_PAD.encode([[FORMAT].as_slice(), &[0x7f; 8]].concat());
        let other = URL_SAFE_NO_PAD.encode([2; 9]);
        for wrong in [
            "",
            "x",
            "a cursor",
            &text[1..],
            &format!("{text}AA"),
            &negative,
            &beyond,
            &other,
        ] {
            assert_eq!(Cursor::decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_is_the_place_after_what_changed_then() {
        let time = DateTime::from_timestamp_micros(1_795_468_200_123_456).unwrap();
        assert_eq!(Cursor::at(time).time(), time);
    }
}

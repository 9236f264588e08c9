//! What is stored of a record: its text, compressed, then sealed.

use linkspan_shared::vault::{EnvironmentKeys, Part};
use uuid::Uuid;

use crate::Error;
use crate::error::MOST_BYTES;

/// The first byte of what is sealed.
const PLAIN: u8 = 0;
/// LZ4, after the length of what comes out (u32, big-endian). Of a 500-byte
/// record it saves a sixth in 0.8 µs; zstd, which is a C library, a third in
/// 3.8 µs (docs/performance.md).
const LZ4: u8 = 1;
/// Shorter texts hardly become shorter.
const WORTH_COMPRESSING: usize = 128;

/// The keys that seal a stream's payloads.
pub(crate) fn part(keys: &EnvironmentKeys, stream: i64) -> Result<Part<'_>, Error> {
    Ok(keys.part("records.records", "payload", &stream.to_be_bytes())?)
}

pub(crate) fn seal(part: &Part<'_>, stream: i64, key: Uuid, text: &str) -> Result<Vec<u8>, Error> {
    Ok(part.seal(&place(stream, key), &packed(text.as_bytes()))?)
}

pub(crate) fn open(
    part: &Part<'_>,
    stream: i64,
    key: Uuid,
    sealed: &[u8],
) -> Result<String, Error> {
    let plain = part.open(&place(stream, key), sealed)?;
    String::from_utf8(unpacked(&plain)?).map_err(|_| Error::Unreadable("it is not text"))
}

fn place(stream: i64, key: Uuid) -> [u8; 24] {
    let mut place = [0; 24];
    let bytes = stream.to_be_bytes().into_iter().chain(key.into_bytes());
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = from;
    }
    place
}

fn packed(text: &[u8]) -> Vec<u8> {
    if text.len() >= WORTH_COMPRESSING
        && let Ok(length) = u32::try_from(text.len())
    {
        let most = lz4_flex::block::get_maximum_output_size(text.len());
        let mut out = vec![0; 5 + most];
        if let Some((head, body)) = out.split_first_chunk_mut::<5>()
            && let Ok(size) = lz4_flex::block::compress_into(text, body)
            && size + 4 < text.len()
        {
            let [a, b, c, d] = length.to_be_bytes();
            *head = [LZ4, a, b, c, d];
            out.truncate(5 + size);
            return out;
        }
    }
    let mut out = Vec::with_capacity(1 + text.len());
    out.push(PLAIN);
    out.extend_from_slice(text);
    out
}

fn unpacked(plain: &[u8]) -> Result<Vec<u8>, Error> {
    match plain.split_first() {
        Some((&PLAIN, text)) => Ok(text.to_vec()),
        Some((&LZ4, rest)) => {
            let (length, body) = rest
                .split_first_chunk::<4>()
                .ok_or(Error::Unreadable("it is cut short"))?;
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            // Twice, since a merge may make a record larger than one is saved.
            if length > 2 * MOST_BYTES {
                return Err(Error::Unreadable("it says that it is too large"));
            }
            match lz4_flex::block::decompress(body, length) {
                Ok(text) if text.len() == length => Ok(text),
                _ => Err(Error::Unreadable("it does not decompress")),
            }
        }
        _ => Err(Error::Unreadable("a later version wrote it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        let noise: String = (0..3_000_u32)
            .filter_map(|n| char::from_u32(n.wrapping_mul(2_654_435_761) % 0xd7ff))
            .collect();
        for text in ["", "{}", &"abc ".repeat(500), &noise] {
            let stored = packed(text.as_bytes());
            assert_eq!(unpacked(&stored).unwrap(), text.as_bytes());
        }
        assert!(packed("abc ".repeat(500).as_bytes()).len() < 200);
        assert!(packed(noise.as_bytes()).len() <= noise.len() + 1);
    }

    #[test]
    fn what_nobody_wrote_is_an_error() {
        for wrong in [
            &[][..],
            &[9, 1],
            &[LZ4, 0],
            &[LZ4, 0xff, 0xff, 0xff, 0xff, 1],
            &[LZ4, 0, 0, 0, 9, 1],
        ] {
            assert!(unpacked(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! Answers that arrive compressed although they are wanted plain.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::body::{Broken, Source};

/// Bytes of one piece of what comes out.
const PIECE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Brotli,
    Deflate,
    Gzip,
}

impl Coding {
    /// By its name in `Content-Encoding` (RFC 9110, 8.4.1).
    fn of(value: &HeaderValue) -> Option<Self> {
        let name = value.to_str().ok()?.trim();
        let codings = [
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
        ];
        let found = codings
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, coding)| coding)
    }
}

/// Decompresses gzip, deflate and br as the body comes, in bounded memory.
/// Another coding, or several, go through with the header that names them.
pub(crate) fn decompress(headers: &mut HeaderMap, body: Source) -> Source {
    if body.is_end() || headers.get_all(CONTENT_ENCODING).iter().count() != 1 {
        return body;
    }
    let Some(coding) = headers.get(CONTENT_ENCODING).and_then(Coding::of) else {
        return body;
    };
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    // The reader in between speaks `io::Error`; what it wraps comes out again.
    let compressed = StreamReader::new(body.map_err(std::io::Error::other));
    Source::Decompressed(match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(compressed);
            // A file may be several, one after the other (RFC 1952, 2.2).
            decoder.multiple_members(true);
            pieces(decoder).boxed()
        }
        Coding::Deflate => pieces(ZlibDecoder::new(compressed)).boxed(),
        Coding::Brotli => pieces(BrotliDecoder::new(compressed)).boxed(),
    })
}

fn pieces(decoder: impl AsyncRead) -> impl Stream<Item = Result<Bytes, Broken>> {
    ReaderStream::with_capacity(decoder, PIECE).map_err(|error| match error.downcast::<Broken>() {
        Ok(broken) => broken,
        Err(error) => Broken::Compressed(error),
    })
}

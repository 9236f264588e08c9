//! One large body, down or up.

use std::io::{BufWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::open_loop::{content_length, head, length, request};
use super::process::Usage;

/// What is read or written at once.
const PIECE: usize = 64 * 1024;

/// Which way the body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// From the API to the caller.
    Down,
    /// From the caller to the API.
    Up,
}

/// A transfer through a server.
pub(in super::super) struct Transfer {
    pub(in super::super) name: String,
    pub(in super::super) address: SocketAddr,
    pub(in super::super) path: &'static str,
    pub(in super::super) headers: Vec<String>,
    pub(in super::super) usage: Usage,
}

/// What a transfer took.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Transferred {
    /// In 10^6 bytes.
    pub(in super::super) mb_a_second: f64,
    /// The server's most resident memory meanwhile.
    pub(in super::super) peak_mb: f64,
    /// The server's processor time, in seconds for each 10^9 bytes.
    pub(in super::super) cpu_s_a_gb: f64,
}

impl Transfer {
    /// Transfers so many bytes.
    pub(in super::super) fn run(&self, way: Way, bytes: u64) -> Result<Transferred> {
        self.usage.forget_peak()?;
        let cpu = self.usage.cpu_us()?;
        let begun = Instant::now();
        let mut stream = TcpStream::connect(self.address)?;
        match way {
            Way::Down => self.download(&mut stream, bytes),
            Way::Up => self.upload(&mut stream, bytes),
        }
        .with_context(|| format!("{}: {way:?}", self.name))?;
        let seconds = begun.elapsed().as_secs_f64();
        let transferred = Transferred {
            mb_a_second: bytes as f64 / 1e6 / seconds,
            peak_mb: self.usage.peak_mb()?,
            cpu_s_a_gb: (self.usage.cpu_us()? - cpu) / 1e6 / (bytes as f64 / 1e9),
        };
        let Transferred {
            mb_a_second,
            peak_mb,
            cpu_s_a_gb,
        } = transferred;
        let name = &self.name;
        eprintln!(
            "{way:?}: {name:<20} {mb_a_second:>6.0} MB/s  peak {peak_mb:>6.1} MB  \
             {cpu_s_a_gb:.2} s/GB"
        );
        Ok(transferred)
    }

    fn download(&self, stream: &mut TcpStream, bytes: u64) -> Result<()> {
        stream.write_all(&request("GET", self.path, &self.headers, None))?;
        let (head, begun) = read_head(stream)?;
        if length(&head)? != bytes {
            bail!("not {bytes} bytes: {head}");
        }
        skip(stream, bytes - begun)
    }

    fn upload(&self, stream: &mut TcpStream, bytes: u64) -> Result<()> {
        let mut to = BufWriter::with_capacity(PIECE, &mut *stream);
        to.write_all(&request("POST", self.path, &self.headers, Some(bytes)))?;
        let copied = std::io::copy(&mut std::io::repeat(b'x').take(bytes), &mut to)?;
        to.flush()?;
        drop(to);
        let (head, _) = read_head(stream)?;
        length(&head)?;
        if copied != bytes {
            bail!("{copied} of {bytes} bytes were sent");
        }
        Ok(())
    }
}

/// An API that reads bodies to their end, and says so.
pub(in super::super) fn sink() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // The end of a connection is no news.
                let _ = swallow(stream);
            });
        }
    });
    Ok(address)
}

fn swallow(mut stream: TcpStream) -> Result<()> {
    loop {
        let (head, begun) = read_head(&mut stream)?;
        let bytes = content_length(&head).context("a body without a length")?;
        skip(&mut stream, bytes - begun)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
    }
}

/// The head of a message, and how much of its body was read with it.
fn read_head(stream: &mut TcpStream) -> Result<(String, u64)> {
    let mut message = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            bail!("the connection was closed");
        }
        message.extend_from_slice(&piece[..read]);
        if let Some((head, body)) = head(&message) {
            return Ok((head.to_owned(), body.len() as u64));
        }
    }
}

fn skip(stream: &mut TcpStream, mut bytes: u64) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while bytes > 0 {
        match stream.read(&mut piece)? {
            0 => bail!("{bytes} bytes are missing"),
            read => bytes -= read as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sink_takes_what_is_sent_and_nothing_less() {
        let transfer = Transfer {
            name: "sink".to_owned(),
            address: sink().unwrap(),
            path: "/sink",
            headers: Vec::new(),
            usage: Usage::of(std::process::id()),
        };
        let mut stream = TcpStream::connect(transfer.address).unwrap();
        for bytes in [0, 1, 1_000_000] {
            transfer.upload(&mut stream, bytes).unwrap();
        }
        let request = request("POST", "/", &[], Some(2));
        stream.write_all(&request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(read_head(&mut stream).is_err(), "a body that is cut off");
    }
}

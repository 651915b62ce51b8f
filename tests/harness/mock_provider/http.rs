//! As much of HTTP/1.1 as agent CLIs speak to a provider: one request a connection, answered whole or in chunks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// The longest head and body that are read, in bytes.
const HEAD_MAX: u64 = 64 << 10;
const BODY_MAX: u64 = 32 << 20;

/// One request.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Incoming {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads one request; `None` when the peer closed without one.
pub(super) fn read(stream: &TcpStream) -> io::Result<Option<Incoming>> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        let left = HEAD_MAX.saturating_sub(head.iter().map(String::len).sum::<usize>() as u64);
        if reader.by_ref().take(left).read_line(&mut line)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let mut lines = head.into_iter();
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let mut incoming = Incoming { method, target, headers, body: Vec::new() };
    if incoming.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if incoming.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        incoming.body = chunks(&mut reader)?;
    } else if let Some(length) = incoming.header("content-length").and_then(|value| value.parse().ok()) {
        if length > BODY_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        reader.take(length).read_to_end(&mut incoming.body)?;
    }
    Ok(Some(incoming))
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.by_ref().take(64).read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        if size == 0 {
            return Ok(body);
        }
        if body.len() as u64 + size > BODY_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        reader.by_ref().take(size).read_to_end(&mut body)?;
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
    }
}

/// Answers with one whole body.
pub(super) fn answer(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = body.len();
    head.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}"));
    stream.write_all(head.as_bytes())
}

/// Begins an answer in chunks.
pub(super) fn begin_stream(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
          transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    )
}

/// Sends one chunk.
pub(super) fn chunk(mut stream: &TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

/// Ends an answer in chunks.
pub(super) fn end_stream(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n")
}

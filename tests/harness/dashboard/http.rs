//! One HTTP request over a plain socket: every header is the test's own, right or wrong.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// A request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// `GET` if empty.
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    /// Besides `Host`, unless that is among them, and the length.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a str,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is none, with the whole answer.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// Asks, and reads the answer to its end.
///
/// # Errors
/// Where nobody answers in time, or the answer is no HTTP.
pub fn ask(address: SocketAddr, ask: Ask<'_>) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let method = if ask.method.is_empty() { "GET" } else { ask.method };
    let mut head = format!("{method} {} HTTP/1.1\r\nconnection: close\r\n", ask.path);
    if !ask.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("host: {address}\r\n"));
    }
    for (name, value) in ask.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !ask.body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", ask.body.len()));
    }
    stream.write_all(format!("{head}\r\n{}", ask.body).as_bytes())?;
    let bytes = whole(&mut stream)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

/// Reads to the length the head names, or to the end: not every server closes when it is asked to.
fn whole(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if read == 0
            || bytes.windows(4).position(|four| four == b"\r\n\r\n").is_some_and(|end| is_whole(&bytes, end))
        {
            return Ok(bytes);
        }
    }
}

fn is_whole(bytes: &[u8], end: usize) -> bool {
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + 4 + length)
}

fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else { break };
        body.push_str(chunk);
        chunks = rest.get(size + 2..).unwrap_or_default();
    }
    body
}

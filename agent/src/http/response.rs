//! What is answered: bytes of a response, whole. Pure.

use super::request::Refusal;

/// Everything comes from here, nothing is sent elsewhere, nothing may frame the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns a whole answer.
pub(super) fn found(media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = head("200 OK", media_type, &format!("Content-Length: {}\r\n", body.len()));
    answer.extend_from_slice(body);
    answer
}

/// Returns the beginning of an answer that does not end.
pub(super) fn stream() -> Vec<u8> {
    head("200 OK", "text/event-stream", "")
}

/// Returns one event of a stream. `data` is one line.
pub(super) fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// Returns what keeps a stream alive and means nothing.
pub(super) fn comment() -> Vec<u8> {
    b":\n\n".to_vec()
}

/// Returns that the state cannot be read.
pub(super) fn failed(why: &str) -> Vec<u8> {
    let body = format!("the log cannot be read: {why}\n");
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut answer = head("500 Internal Server Error", "text/plain; charset=utf-8", &length);
    answer.extend_from_slice(body.as_bytes());
    answer
}

/// Returns a refusal.
pub(super) fn refused(refusal: Refusal) -> Vec<u8> {
    let (status, more) = match refusal {
        Refusal::BadRequest => ("400 Bad Request", ""),
        Refusal::NotFound => ("404 Not Found", ""),
        Refusal::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n"),
        Refusal::Misdirected => ("421 Misdirected Request", ""),
        Refusal::TooLarge => ("431 Request Header Fields Too Large", ""),
        Refusal::Version => ("505 HTTP Version Not Supported", ""),
    };
    let body = format!("{status}\n");
    let mut answer =
        head(status, "text/plain; charset=utf-8", &format!("{more}Content-Length: {}\r\n", body.len()));
    answer.extend_from_slice(body.as_bytes());
    answer
}

fn head(status: &str, media_type: &str, more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{more}Connection: close\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Content-Security-Policy: {POLICY}\r\n\r\n"
    )
    .into_bytes()
}

//! A host's output as lines with its name before each, while it comes. Pure.

use crate::ssh::Source;

/// Longer lines are cut, in bytes: a host that never ends its line must not fill our memory.
const MAX_LINE: usize = 64 * 1024;

/// Cuts the pieces of a host's two outputs into lines.
#[derive(Debug)]
pub struct Prefixed {
    host: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Prefixed {
    /// Returns the lines of one host.
    pub fn new(host: &str) -> Prefixed {
        Prefixed { host: host.to_owned(), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Takes a piece of output and returns the lines it completes, as one text; empty for none.
    pub fn take(&mut self, source: Source, bytes: &[u8]) -> String {
        let mut text = String::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let held = self.held(source);
            let room = MAX_LINE.saturating_sub(held.len());
            let (content, ends) = match piece.strip_suffix(b"\n") {
                Some(content) => (content, true),
                None => (piece, false),
            };
            held.extend(content.iter().take(room));
            if ends {
                text.push_str(&self.line(source));
            }
        }
        text
    }

    /// Returns the last line of a source that did not end it.
    pub fn rest(&mut self, source: Source) -> String {
        if self.held(source).is_empty() { String::new() } else { self.line(source) }
    }

    fn held(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        }
    }

    fn line(&mut self, source: Source) -> String {
        let bytes = std::mem::take(self.held(source));
        let line = String::from_utf8_lossy(&bytes);
        format!("{}: {}\n", self.host, line.trim_end_matches('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_whole_lines_and_the_sources_stay_apart() {
        let mut lines = Prefixed::new("pi1");
        assert_eq!(lines.take(Source::Stdout, b"a\nb"), "pi1: a\n");
        assert_eq!(lines.take(Source::Stderr, b"oops\r\n"), "pi1: oops\n");
        assert_eq!(lines.take(Source::Stdout, b"c\n\nd"), "pi1: bc\npi1: \n");
        assert_eq!(lines.rest(Source::Stdout), "pi1: d\n");
        assert_eq!(lines.rest(Source::Stdout), "");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Prefixed::new("x");
        lines.take(Source::Stdout, &vec![b'y'; 3 * MAX_LINE]);
        assert_eq!(lines.take(Source::Stdout, b"z\n").len(), "x: ".len() + MAX_LINE + 1);
    }
}

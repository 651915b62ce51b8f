//! The format of known_hosts files: lines to entries, and which entries speak of a host. Pure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner_inventory::ssh_config::pattern_matches;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{PublicKey, parse_public_key_base64};
use sha1::Sha1;

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// It is the host's key.
    HostKey,
    /// It signs certificates of hosts.
    CertAuthority,
    /// It must never be accepted.
    Revoked,
}

/// One line of a known_hosts file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the line says about the key.
    pub marker: Marker,
    /// The key.
    pub key: PublicKey,
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    names: Names,
}

#[derive(Debug, Clone)]
enum Names {
    Patterns(Vec<Pattern>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Debug, Clone)]
struct Pattern {
    glob: String,
    excludes: bool,
}

/// The entries of all files that count for a host, and an index over their plain names.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    /// Entries whose names are all plain, by name.
    by_name: HashMap<String, Vec<usize>>,
    /// Entries that must be matched one by one.
    others: Vec<usize>,
    /// Lines that hold no key we can read: file and line.
    unreadable: Vec<(PathBuf, usize)>,
    /// The entries of names that were asked for, where finding them is costly.
    asked: Arc<Mutex<HashMap<String, Vec<usize>>>>,
}

impl KnownHosts {
    /// Adds the lines of one file.
    ///
    /// A line that cannot be read is remembered in [`unreadable_lines`](Self::unreadable_lines)
    /// and otherwise ignored, as OpenSSH does.
    pub fn add_file(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_line(line) {
                Some((marker, names, key)) => {
                    self.push(Entry { marker, key, file: file.to_owned(), line: line_number, names });
                }
                None => self.unreadable.push((file.to_owned(), line_number)),
            }
        }
    }

    /// Returns the entries that speak of `name`, which is what OpenSSH would write into the file:
    /// `host`, or `[host]:port` where the port is not 22.
    pub fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.places(name).into_iter().filter_map(|index| self.entries.get(index))
    }

    /// Returns which entries speak of `name`. A hashed name costs a hash for each such line, so that is done once a name.
    fn places(&self, name: &str) -> Vec<usize> {
        let asked = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = asked().get(name) {
            return places.clone();
        }
        let plain = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        let speaks = |index: &usize| self.entries.get(*index).is_some_and(|entry| entry.names.matches(name));
        let places: Vec<usize> = plain.iter().chain(&self.others).copied().filter(speaks).collect();
        if !self.others.is_empty() {
            asked().insert(name.to_owned(), places.clone());
        }
        places
    }

    /// Returns file and line of each line that holds no key we can read.
    pub fn unreadable_lines(&self) -> &[(PathBuf, usize)] {
        &self.unreadable
    }

    /// Returns all entries, in the order of the files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn push(&mut self, entry: Entry) {
        let index = self.entries.len();
        self.asked = Arc::default();
        match entry.names.plain_names() {
            Some(names) => {
                for name in names {
                    self.by_name.entry(name).or_default().push(index);
                }
            }
            None => self.others.push(index),
        }
        self.entries.push(entry);
    }
}

impl Names {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let mut included = false;
                for pattern in patterns {
                    if pattern_matches(name, &pattern.glob) {
                        if pattern.excludes {
                            return false;
                        }
                        included = true;
                    }
                }
                included
            }
            Self::Hashed { salt, hash } => {
                let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
                mac.update(name.as_bytes());
                mac.verify_slice(hash).is_ok()
            }
        }
    }

    /// The names, if a lookup by equality finds what matching would.
    fn plain_names(&self) -> Option<Vec<String>> {
        let Self::Patterns(patterns) = self else { return None };
        let is_plain = |p: &Pattern| !p.excludes && !p.glob.contains(['*', '?']);
        patterns.iter().all(is_plain).then(|| {
            let mut names: Vec<_> = patterns.iter().map(|p| p.glob.clone()).collect();
            names.sort();
            names.dedup();
            names
        })
    }
}

fn parse_line(line: &str) -> Option<(Marker, Names, PublicKey)> {
    let mut fields = line.split_ascii_whitespace();
    let first = fields.next()?;
    let (marker, names) = match first.strip_prefix('@') {
        None => (Marker::HostKey, first),
        Some("cert-authority") => (Marker::CertAuthority, fields.next()?),
        Some("revoked") => (Marker::Revoked, fields.next()?),
        Some(_) => return None,
    };
    let algorithm = fields.next()?;
    let key = parse_public_key_base64(fields.next()?).ok()?;
    if key.algorithm().as_str() != algorithm {
        return None;
    }
    Some((marker, parse_names(names)?, key))
}

fn parse_names(field: &str) -> Option<Names> {
    if let Some(rest) = field.strip_prefix("|1|") {
        let (salt, hash) = rest.split_once('|')?;
        return Some(Names::Hashed { salt: decode_base64(salt)?, hash: decode_base64(hash)? });
    }
    let patterns = field
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| {
            let (excludes, glob) = match name.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, name),
            };
            Pattern { glob: glob.to_ascii_lowercase(), excludes }
        })
        .collect();
    Some(Names::Patterns(patterns))
}

/// Returns a name as OpenSSH hashes it: `|1|salt|hmac-sha1(salt, name)`, both in base64.
pub(super) fn hashed_name(name: &str, salt: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(name.as_bytes());
    let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    format!("|1|{}|{}", encode(salt), encode(&mac.finalize().into_bytes()))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn lines_matching(text: &str, name: &str) -> Vec<usize> {
        let mut known = KnownHosts::default();
        known.add_file(Path::new("known_hosts"), text);
        known.matching(name).map(|entry| entry.line).collect()
    }

    #[test]
    fn names_are_matched_as_openssh_does() {
        for (names, name, matches) in [
            ("pi.lan", "pi.lan", true),
            ("PI.lan", "pi.lan", true),
            ("a,pi.lan,b", "pi.lan", true),
            ("[pi.lan]:2222", "[pi.lan]:2222", true),
            ("pi.lan", "[pi.lan]:2222", false),
            ("[pi.lan]:2222", "pi.lan", false),
            ("*.lan", "pi.lan", true),
            ("*.lan,!pi.lan", "pi.lan", false),
            ("!pi.lan,*.lan", "pi.lan", false),
            ("*.lan,!pi.lan", "po.lan", true),
            ("!po.lan", "pi.lan", false),
            ("p?.lan", "pi.lan", true),
            ("p?.lan", "p.lan", false),
            ("[pi.lan]:*", "[pi.lan]:2222", true),
            ("*", "[pi.lan]:2222", true),
            ("pi.lan,pi.lan", "pi.lan", true),
        ] {
            let expected: &[usize] = if matches { &[1] } else { &[] };
            assert_eq!(lines_matching(&format!("{names} {ED}"), name), expected, "{names} {name}");
        }
    }

    #[test]
    fn hashed_names_are_found() {
        // ssh-keygen -H over "pi.lan" with a fixed salt: |1|base64(salt)|base64(hmac-sha1(salt, name)).
        let line = format!("{} {ED}", hashed_name("[pi.lan]:2222", b"01234567890123456789"));
        assert_eq!(lines_matching(&line, "[pi.lan]:2222"), [1]);
        assert!(lines_matching(&line, "pi.lan").is_empty());
    }

    #[test]
    fn lines_are_read_with_tabs_comments_markers_and_no_final_newline() {
        let text = format!(
            "# comment\n\n\tpi.lan\t{ED} me@here and there\r\n@revoked pi.lan {ED}\n@cert-authority * {ED}"
        );
        let mut known = KnownHosts::default();
        known.add_file(Path::new("f"), &text);
        let found: Vec<_> = known.matching("pi.lan").map(|e| (e.line, e.marker)).collect();
        assert_eq!(found, [(3, Marker::HostKey), (4, Marker::Revoked), (5, Marker::CertAuthority)]);
    }

    #[test]
    fn unreadable_lines_are_counted_and_do_not_hide_the_others() {
        let text = format!(
            "pi.lan ssh-ed25519 AAAA\npi.lan\n@else pi.lan {ED}\npi.lan ssh-rsa {}\npi.lan {ED}",
            &ED[12..]
        );
        let mut known = KnownHosts::default();
        known.add_file(Path::new("f"), &text);
        assert_eq!(known.unreadable_lines().iter().map(|l| l.1).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(known.matching("pi.lan").map(|e| e.line).collect::<Vec<_>>(), [5]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}", name in ".{0,40}") {
            let _ = lines_matching(&text, &name);
        }
    }
}

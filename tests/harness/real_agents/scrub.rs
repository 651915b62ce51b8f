//! Makes a recording the same whenever it is made: paths, ids, times and ports that vary are replaced.

use std::collections::BTreeMap;

use anyhow::Context as _;
use regex::bytes::{Captures, Regex, RegexBuilder};

/// When every recording begins, in seconds since 1970.
pub const BEGUN: i64 = 1_790_000_000;

/// What varied in one run.
#[derive(Debug)]
pub struct Scrub {
    /// Texts and what stands for them, the longer ones first.
    pub texts: Vec<(String, String)>,
    /// When the run began, in seconds since 1970.
    pub begun: i64,
}

const UUID: &str = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b";
const FILE_TIME: &str = r"\b20\d\d-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z";
const ISO: &str = r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?";
const PORT: &str = r"127\.0\.0\.1:\d{4,5}";
const MILLIS: &str = r"1[789]\d{11}";
const SECONDS: &str = r"\b1[789]\d{8}\b";
const DURATION: &str =
    r#"("(?:[a-z_]*duration[a-z_]*|ttft_ms|[a-z_]*_ms|latency|time_to_[a-z_]*)":)\d+(?:\.\d+)?"#;
const ID: &str = r"\b(ses|msg|prt|evt|per|item|call|tool|snapshot|[a-z]+_)_?[0-9a-zA-Z]{20,}\b";
const CLOCK: &str = r"\b\d{1,2}:\d\d ?(?:[AP]M|[ap]m)\b";
const COMMIT: &str = r"\b[0-9a-f]{40}\b";

impl Scrub {
    /// Replaces what varied.
    ///
    /// # Errors
    /// When an expression does not compile.
    pub fn clean(&self, log: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut text = log.to_vec();
        for (found, stands) in &self.texts {
            text = all(&regex::escape(found), &text, |_| stands.clone().into_bytes())?;
        }
        let mut ids: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut number = |found: &[u8]| {
            let next = ids.len() + 1;
            *ids.entry(found.to_vec()).or_insert(next)
        };
        text = all(UUID, &text, |found| {
            format!("00000000-0000-4000-8000-{:012}", number(whole(found))).into_bytes()
        })?;
        text = all(COMMIT, &text, |found| format!("{:040x}", number(whole(found))).into_bytes())?;
        text = all(ID, &text, |found| {
            let kind =
                String::from_utf8_lossy(found.get(1).map_or(b"", |group| group.as_bytes())).into_owned();
            format!("{kind}{:020}", number(whole(found))).into_bytes()
        })?;
        text = all(FILE_TIME, &text, |_| b"2026-09-21T14-13-20-000Z".to_vec())?;
        text = all(ISO, &text, |_| b"2026-09-21T14:13:20.000Z".to_vec())?;
        text = all(CLOCK, &text, |_| b"2:43 PM".to_vec())?;
        text = all(PORT, &text, |_| b"127.0.0.1:8080".to_vec())?;
        text = all(MILLIS, &text, |_| format!("{BEGUN}000").into_bytes())?;
        text = all(SECONDS, &text, |found| {
            let at: i64 = String::from_utf8_lossy(whole(found)).parse().unwrap_or(self.begun);
            // Seconds of waiting do not count.
            format!("{}", BEGUN + (at - self.begun).div_euclid(60) * 60).into_bytes()
        })?;
        all(DURATION, &text, |found| {
            let mut key = found.get(1).map_or(b"".as_slice(), |group| group.as_bytes()).to_vec();
            key.extend_from_slice(b"1000");
            key
        })
    }
}

fn all(pattern: &str, text: &[u8], stands: impl FnMut(&Captures<'_>) -> Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let regex: Regex =
        RegexBuilder::new(pattern).unicode(false).build().context("an expression of a scrub")?;
    Ok(regex.replace_all(text, stands).into_owned())
}

fn whole<'a>(found: &'a Captures<'_>) -> &'a [u8] {
    found.get(0).map_or(b"", |group| group.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_the_same_afterwards() {
        let scrub = Scrub { texts: vec![("/tmp/x1/work".into(), "/work".into())], begun: 1_795_000_000 };
        let clean = |text: &str| String::from_utf8(scrub.clean(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(clean("cwd /tmp/x1/work at 127.0.0.1:40123"), "cwd /work at 127.0.0.1:8080");
        assert_eq!(clean("{\"resetsAt\":1795001805}"), "{\"resetsAt\":1790001800}");
        assert_eq!(
            clean("{\"duration_ms\":4711,\"ts\":1795000000123}"),
            "{\"duration_ms\":1000,\"ts\":1790000000000}"
        );
        let ids = clean(
            "a1b2c3d4-0000-1111-2222-333344445555 b1b2c3d4-0000-1111-2222-333344445555 a1b2c3d4-0000-1111-2222-333344445555",
        );
        assert_eq!(
            ids,
            "00000000-0000-4000-8000-000000000001 00000000-0000-4000-8000-000000000002 00000000-0000-4000-8000-000000000001"
        );
        assert_eq!(clean("2026-11-22T12:00:01.5Z x"), "2026-09-21T14:13:20.000Z x");
    }
}

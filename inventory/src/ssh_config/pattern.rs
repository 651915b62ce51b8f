//! OpenSSH's patterns: `*`, `?`, lists and negation.

/// Longest pattern inside a list; OpenSSH takes a longer one for no match at all.
const MAX_PATTERN: usize = 1023;

/// Whether all of `text` matches `pattern`, in which `*` and `?` are special and nothing else is, as OpenSSH matches names
/// in its configuration and in `known_hosts`: byte by byte, at worst quadratic in time.
pub fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut next) = (0, 0);
    // Where to go back to: behind the last `*`, with one more byte given to it.
    let mut back: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(next) {
            Some(b'*') => {
                next += 1;
                back = Some((at, next));
            }
            Some(letter) if *letter == b'?' || letter == byte => {
                at += 1;
                next += 1;
            }
            Some(_) | None => {
                let Some((from, behind)) = back else { return false };
                at = from + 1;
                next = behind;
                back = Some((at, behind));
            }
        }
    }
    pattern.get(next..).is_none_or(|rest| rest.iter().all(|letter| *letter == b'*'))
}

/// Whether `text` matches a list such as `*.lan,!gate.lan`: some pattern, and no negated one.
pub(super) fn list_matches(text: &str, list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if pattern.len() > MAX_PATTERN {
            return false;
        }
        if matches(text, pattern) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// The same for host names, which have no case.
pub(super) fn host_list_matches(host: &str, list: &str) -> bool {
    list_matches(&host.to_ascii_lowercase(), &list.to_ascii_lowercase())
}

/// Whether the words of a `Host` line match: some pattern, and no negated one.
pub(super) fn host_line_matches(host: &str, words: &[String]) -> bool {
    let mut found = false;
    for word in words {
        match word.strip_prefix('!') {
            Some(pattern) if matches(host, pattern) => return false,
            Some(_) => {}
            None => found |= matches(host, word),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        for (text, pattern, expected) in [
            ("pi01.lan", "pi01.lan", true),
            ("pi01.lan", "pi??.lan", true),
            ("pi01.lan", "*", true),
            ("", "*", true),
            ("", "?", false),
            ("pi01.lan", "*.lan", true),
            ("pi01.lan.x", "*.lan", false),
            ("aXbXc", "*X*c", true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*a*a*a*a*a*a*a*c", false),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("ab", "ab**", true),
            ("[a]", "[a]", true),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        assert!(!matches(&"a".repeat(400), &"*a".repeat(500)));
    }

    #[test]
    fn lists_need_a_match_and_bear_no_negated_one() {
        assert!(list_matches("a", "b,a"));
        assert!(!list_matches("a", "!a,*"));
        assert!(!list_matches("a", "!b"));
        assert!(list_matches("a", "!b,*"));
        assert!(host_list_matches("PI.lan", "pi.LAN"));
        assert!(!list_matches("PI", "pi"));
    }
}

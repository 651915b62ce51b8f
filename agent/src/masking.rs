//! Takes secrets out of foreign text before it is written anywhere. Best effort, idempotent, and always before any
//! cut, so that half a secret is never left at the end.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

/// What stands where a secret was.
pub const PLACEHOLDER: &str = "[masked]";

/// One rewrite may make room for another; more rounds than this were never needed.
const ROUNDS: usize = 8;

/// Returns `text` with everything that looks like a secret replaced by [`PLACEHOLDER`].
pub fn mask(text: &str) -> String {
    let mut masked = text.as_bytes().to_vec();
    for _ in 0..ROUNDS {
        let next = replace(&masked, &secrets(&masked));
        if next == masked {
            break;
        }
        masked = next;
    }
    String::from_utf8_lossy(&masked).into_owned()
}

/// Masks, then keeps the first `max` characters.
pub fn mask_and_cut(text: &str, max: usize) -> String {
    let masked = mask(text);
    match masked.char_indices().nth(max) {
        Some((end, _)) => masked.get(..end).unwrap_or_default().to_owned(),
        None => masked,
    }
}

/// Returns where the secrets are, ascending and apart. Every rule sees the whole text: a secret found by one rule
/// may be what another rule recognises its own by.
fn secrets(text: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for rule in RULES.iter() {
        for captures in rule.captures_iter(text) {
            found.extend(captures.name("secret").map(|secret| secret.range()));
        }
    }
    found.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(_) | None => apart.push(range),
        }
    }
    apart
}

fn replace(text: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets {
        out.extend_from_slice(text.get(at..secret.start).unwrap_or_default());
        out.extend_from_slice(PLACEHOLDER.as_bytes());
        at = secret.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// A word in double quotes, in single quotes, bare, or any of them joined; an open quote runs to the end.
const WORD: &str = r#"(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'])+"#;

/// The same, not beginning like another option.
const ARGUMENT: &str = r#"(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'\-])(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'])*"#;

const HEADERS: &str =
    "(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token|x-amz-security-token)";

const NAMES: &str = "[a-z0-9_.-]*(?:password|passwd|pwd|token|secret|api[_-]?key|access[_-]?key|credential|private[_-]?key)[a-z0-9_.-]*";

const FLAGS: &str = "--(?:[a-z0-9]+-)*(?:token|password|passwd|api-?key|secret|auth|bearer|access-?key|private-?key|credentials?)";

const QUERY: &str =
    "access_token|api_?key|token|auth|secret|sig|signature|password|client_secret|x-amz-[a-z0-9-]+";

/// What each rule calls `secret` is replaced, the rest of its match is how it is recognised.
static RULES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let rules = [
        r"(?s)(?<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z))"
            .into(),
        // A header in JSON, its quotes perhaps escaped because the JSON stands in a string.
        format!(r#"(?i){HEADERS}\\*"\s*:\s*\\*"(?<secret>(?:[^"\\\r\n]|\\[^"\r\n])+)"#),
        // A header as a quoted argument ends with its quote, a bare one with its line.
        format!(r"(?i)'{HEADERS}\s*[:=]\s*(?<secret>[^'\r\n]+)"),
        format!(r#"(?i)"{HEADERS}\s*[:=]\s*(?<secret>[^"\r\n]+)"#),
        format!(r#"(?i)(?:^|[^"'a-z-]){HEADERS}\s*[:=]\s*(?<secret>[^\r\n]+)"#),
        format!(r#"(?i)[?&;](?:{QUERY})=(?<secret>[^&\s"'#<>]+)"#),
        r#"(?i)[a-z][a-z0-9+.-]*://(?<secret>[^\s/?#"'<>]+)@"#.into(),
        format!(r"(?i){NAMES}\s*=\s*(?<secret>{WORD})"),
        format!(r#"(?i){NAMES}\\*["']\s*:\s*\\*["'](?<secret>(?:[^"'\\\r\n]|\\[^"'\r\n])+)"#),
        format!(r"(?i){FLAGS}=(?<secret>{WORD})"),
        format!(r#"(?i){FLAGS}\\*",\s*\\*"(?<secret>(?:[^"\\\r\n]|\\[^"\r\n])+)"#),
        format!(r"(?i){FLAGS}\s+(?<secret>{ARGUMENT})"),
        format!(
            r#"(?:^|[\s"'])-u(?:"\s*,\s*"|\s*)["']?(?<secret>[^\s:"'/]+:(?:[^\s"'/]|"[^"]*"?|'[^']*'?)(?:{WORD})?)"#
        ),
        r"(?i)\b(?:bearer|basic|token|apikey|digest|negotiate|ntlm)\s+(?<secret>[a-z0-9._~+/=-]{12,})".into(),
        r"(?<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)".into(),
        concat!(
            r"(?<secret>\b(?:sk-ant-[A-Za-z0-9_-]{8,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}",
            r"|github_pat_[A-Za-z0-9_]{16,}|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}",
            r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|glpat-[A-Za-z0-9_-]{16,}",
            r"|ya29\.[A-Za-z0-9_-]{16,}|[srp]k_(?:live|test)_[A-Za-z0-9]{8,}",
            r"|npm_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{16,}))",
        )
        .into(),
    ];
    rules.iter().map(|pattern: &String| compile(pattern)).collect()
});

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("the patterns of this file compile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_surrounds_a_secret_stays() {
        let check = |text: &str, expected: &str| {
            assert_eq!(mask(text), expected, "{text}");
            assert_eq!(mask(expected), expected);
        };
        check("nothing here: 429 Too Many Requests", "nothing here: 429 Too Many Requests");
        check("export OPENAI_API_KEY=abc123 next", "export OPENAI_API_KEY=[masked] next");
        check("DB_PASSWORD='a b c' x", "DB_PASSWORD=[masked] x");
        check("run --token abc --verbose", "run --token [masked] --verbose");
        check("run --auth --verbose", "run --auth --verbose");
        check("run --api-key=abc x", "run --api-key=[masked] x");
        check(r#"["x", "--client-secret", "abc"]"#, r#"["x", "--client-secret", "[masked]"]"#);
        check("curl -u me:pass http://x/", "curl -u [masked] http://x/");
        check("curl -u http://x/", "curl -u http://x/");
        check("curl -U me:pass", "curl -U me:pass");
        check("Authorization: Bearer abc\nnext", "Authorization: [masked]\nnext");
        check("curl -H 'X-Api-Key: abc' url", "curl -H 'X-Api-Key: [masked]' url");
        check(r#"{"Cookie":"a=b","status":429}"#, r#"{"Cookie":"[masked]","status":429}"#);
        check(r#"{\"Cookie\":\"a=b\",\"status\":429}"#, r#"{\"Cookie\":\"[masked]\",\"status\":429}"#);
        check(r#"{"api_key": "abc", "n": 1}"#, r#"{"api_key": "[masked]", "n": 1}"#);
        check(r#"{"input_tokens": 12}"#, r#"{"input_tokens": 12}"#);
        check("bad Bearer abcdefghijkl.", "bad Bearer [masked]");
        check("bearer of news", "bearer of news");
        check("git clone https://me:pw@host/x", "git clone https://[masked]@host/x");
        check("GET /x?sig=abc&page=2", "GET /x?sig=[masked]&page=2");
        check("key sk-ant-api03-abcdefgh is bad", "key [masked] is bad");
        check("a task-force-of-many-people", "a task-force-of-many-people");
        check("AKIAIOSFODNN7EXAMPLE!", "[masked]!");
        check("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "[masked]\nx");
        check("-----BEGIN PRIVATE KEY-----\\nabc", "[masked]");
    }

    #[test]
    fn a_cut_never_leaves_half_a_secret() {
        let text = format!("{} sk-ant-{}", "x".repeat(190), "a".repeat(40));
        assert_eq!(mask_and_cut(&text, 200), format!("{} [masked]", "x".repeat(190)));
        assert_eq!(mask_and_cut("äöü", 2), "äö");
    }

    /// Ways a secret gets into a log.
    fn carrier() -> impl Strategy<Value = String> {
        let names = prop::sample::select(vec![
            "PASSWORD",
            "GITHUB_TOKEN",
            "MY_SECRET_2",
            "api_key",
            "AWS_ACCESS_KEY_ID",
            "db.pwd",
            "X_CREDENTIAL",
        ]);
        let flags = prop::sample::select(vec![
            "--token",
            "--password",
            "--api-key",
            "--secret",
            "--bearer",
            "--auth",
        ]);
        let headers = prop::sample::select(vec![
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "Set-Cookie",
            "X-API-Key",
            "X-Auth-Token",
            "X-Amz-Security-Token",
        ]);
        let schemes = prop::sample::select(vec!["Bearer", "basic", "Token", "ApiKey", "NTLM"]);
        let queries =
            prop::sample::select(vec!["access_token", "sig", "x-amz-signature", "client_secret", "token"]);
        let prefixes = prop::sample::select(vec![
            "sk-ant-",
            "sk-",
            "ghp_",
            "gho_",
            "github_pat_",
            "xoxb-",
            "xapp-",
            "glpat-",
            "ya29.",
            "sk_live_",
            "npm_",
            "hf_",
            "eyJhbGciOiJIUzI1NiJ9.",
        ]);
        prop_oneof![
            (names.clone(), prop::sample::select(vec!["=", " = ", "=\"", "='"]))
                .prop_map(|(n, s)| format!("{n}{s}@")),
            names.prop_map(|n| format!("{{\"{n}\": \"@\"}}")),
            (flags, prop::sample::select(vec![" ", "=", "\", \""])).prop_map(|(f, s)| format!("{f}{s}@")),
            (headers, prop::sample::select(vec![": ", ":", "\": \"", ": a=b; c="]))
                .prop_map(|(h, s)| format!("{h}{s}@")),
            schemes.prop_map(|s| format!("{s} @")),
            queries.prop_map(|q| format!("https://h/p?x=1&{q}=@&z=2")),
            prefixes.prop_map(|p| format!("{p}@")),
            Just("https://user:@@host/".to_owned()),
            Just("curl -u me:@ x".to_owned()),
            Just("-----BEGIN EC PRIVATE KEY-----\n@\n-----END EC PRIVATE KEY-----".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn no_secret_of_a_generated_corpus_survives(
            parts in prop::collection::vec((carrier(), "[A-Za-z0-9]{24,40}", "[ \n][ !#-&(-~äé\n]{0,30}\n"), 1..4)
        ) {
            let mut text = String::new();
            for (carrier, secret, noise) in &parts {
                text.push_str(noise);
                text.push_str(&carrier.replacen('@', secret, 1));
            }
            let masked = mask(&text);
            for (_, secret, _) in &parts {
                prop_assert!(!masked.contains(secret.as_str()), "{masked}");
            }
        }

        #[test]
        fn masking_twice_changes_nothing(
            parts in prop::collection::vec(prop_oneof![carrier(), "[ -~\n]{0,12}", "\\PC{0,6}"], 0..6)
        ) {
            let once = mask(&parts.concat());
            prop_assert_eq!(mask(&once), once);
        }
    }
}

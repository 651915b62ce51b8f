//! docs/events.md, from the catalogue of events.

use crate::event::{KINDS, Kind, Writer};

const INTRO: &str = r#"# Events

<!-- Made from the catalogue in `agent/src/event.rs`. Change it there, then run
     `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference`. -->

Everything that happens is one line of JSON in `<log_dir>/events-YYYY-MM.jsonl` (UTC months). Each line begins with `ts`
(UTC, three fractional digits, `Z`) and `event`, the kind; then the kind's own fields in the order below:

<!-- run by tests/documents/examples.rs::examples_of_an_event_have_the_fields_of_its_kind_in_their_order -->
```json
{"ts": "2026-03-01T05:06:07.008Z", "event": "agent_spawn", "round_num": 12, "timeout_s": 1800}
```

`agent-runner events --kind agent_exit,round_end --tail` follows the log; so does any program that can read lines.

**The promise to readers.** The kind is the version. Fields are only ever added; a change that an older reader cannot
ignore gets a new kind. So ignore kinds and fields you do not know, and skip a line that is not a JSON object: a power
cut can leave one. Foreign text (`raw`, `reason`) is masked, then cut. An optional field is left out when it has no
value.

"#;

const SECTIONS: [(&str, &[Writer]); 6] = [
    ("A round", &[Writer::Round, Writer::RoundAndServe]),
    ("The Loop", &[Writer::Serve]),
    ("The monitor", &[Writer::Monitor]),
    ("A relayed monitor, in the log of the machine that relays", &[Writer::Relay]),
    ("An upgrade", &[Writer::Upgrade]),
    ("Any of them", &[Writer::Any]),
];

/// Returns the page.
pub(super) fn page() -> String {
    let mut page = INTRO.to_owned();
    let mut shown = 0;
    for (title, writers) in SECTIONS {
        page.push_str(&format!("## {title}\n\n| kind | when | fields |\n| --- | --- | --- |\n"));
        for kind in KINDS.iter().filter(|kind| writers.contains(&kind.writer)) {
            page.push_str(&row(kind));
            shown += 1;
        }
        page.push('\n');
    }
    assert_eq!(shown, KINDS.len(), "a writer has no section");
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(kind: &Kind) -> String {
    let fields: Vec<String> = kind
        .fields
        .iter()
        .map(|(name, rust)| format!("`{}` {}", name.trim_start_matches("r#"), field_type(rust)))
        .collect();
    let doc = kind.doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    format!("| `{}` | {doc} | {} |\n", kind.name, fields.join("; "))
}

fn field_type(rust: &str) -> String {
    let bare: String = rust.chars().filter(|c| !c.is_whitespace()).collect();
    let inside =
        |wrapper: &str| Some(bare.strip_prefix(wrapper)?.strip_prefix('<')?.strip_suffix('>')?.to_owned());
    if let Some(inner) = inside("Absent") {
        return format!("{}, optional", field_type(&inner));
    }
    if let Some(inner) = inside("Option") {
        return format!("{} or null", field_type(&inner));
    }
    match bare.as_str() {
        "i64" => "integer".into(),
        "f64" => "number".into(),
        "bool" => "bool".into(),
        "String" => "string".into(),
        "Value" | "Map<String,Value>" => "object".into(),
        "Vec<String>" => "list of strings".into(),
        "Vec<NamedProcess>" => "list of `{name, pid, matched}`".into(),
        other => panic!("events.md has no word for the type {other}"),
    }
}

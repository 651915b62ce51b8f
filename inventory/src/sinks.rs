//! `[[sinks]]`: where alerts go besides the terminal.

use serde::Serialize;

use crate::file::{Item, Report, Table};
use crate::host::read_path;
use crate::local_path::LocalPath;

/// A place alerts go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Sink {
    /// An Alertmanager, by its base URL.
    Alertmanager {
        /// `http://` or `https://`.
        url: String,
    },
    /// A URL that takes each alert as a JSON body.
    Webhook {
        /// `http://` or `https://`.
        url: String,
        /// The file on this machine with the key that signs each body.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_file: Option<LocalPath>,
    },
    /// A file with one JSON object a line.
    Jsonl {
        /// The file on this machine.
        path: LocalPath,
    },
}

pub(crate) fn read(top: &Table<'_>, report: &mut Report<'_>) -> Vec<Sink> {
    let items = top.get("sinks").and_then(|item| item.array(report)).unwrap_or_default();
    items.iter().filter_map(|item| read_one(item, report)).collect()
}

fn read_one(item: &Item<'_>, report: &mut Report<'_>) -> Option<Sink> {
    // Which keys are known depends on one of them.
    let kind = Table::any(item, report)?.required("type", report)?.text(report)?;
    match kind {
        "alertmanager" => {
            let table = Table::open(item, &["type", "url"], report)?;
            let url = table.required("url", report)?.checked(report, url)?;
            Some(Sink::Alertmanager { url })
        }
        "webhook" => {
            let table = Table::open(item, &["type", "url", "secret_file"], report)?;
            let url = table.required("url", report)?.checked(report, url)?;
            let secret_file = match table.get("secret_file") {
                Some(item) => Some(read_path(item, report)?),
                None => None,
            };
            Some(Sink::Webhook { url, secret_file })
        }
        "jsonl" => {
            let table = Table::open(item, &["type", "path"], report)?;
            Some(Sink::Jsonl { path: read_path(table.required("path", report)?, report)? })
        }
        _ => {
            let span = Table::any(item, report)?.required("type", report)?.span();
            report.problem(span, "expected \"alertmanager\", \"webhook\" or \"jsonl\"");
            None
        }
    }
}

fn url(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err("expected a URL that begins with http:// or https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    if host.is_empty() {
        return Err("the URL names no host");
    }
    if host.contains('@') {
        return Err("a URL here carries no user or password: it is shown in listings");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the URL contains a space, a control character or a letter outside ASCII");
    }
    Ok(text.to_owned())
}

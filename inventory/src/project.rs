//! `[projects]`: what runs where.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::file::{Item, Report, Table};
use crate::host::{read_path, read_vars};
use crate::local_path::LocalPath;
use crate::name::{self, NameError};
use crate::source::Located;

const KEYS: &[&str] =
    &["on", "work_dir", "config", "overlays", "prompts", "env_file", "repo", "service", "vars"];
/// Most overlays of one project.
const MAX_OVERLAYS: usize = 64;

/// `[projects.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// The name.
    pub name: String,
    /// The line of its table, from 1.
    pub line: usize,
    /// The selection of its hosts, as written.
    pub on: String,
    /// The working tree on the host: absolute or below `~/`, which is the host's home.
    pub work_dir: String,
    /// The agent's configuration.
    pub config: LocalPath,
    /// Configurations merged over it, key by key, in this order.
    pub overlays: Vec<LocalPath>,
    /// A folder mirrored to `prompts` below the working tree.
    pub prompts: Option<LocalPath>,
    /// A file with the environment of the agent: secret.
    pub env_file: Option<LocalPath>,
    /// What to clone if the working tree is missing.
    pub repo: Option<Repo>,
    /// How the agent is kept running.
    pub service: Service,
    /// Variables for templates.
    pub vars: BTreeMap<String, Located<toml::Value>>,
    pub(crate) on_span: Range<usize>,
    pub(crate) members: Vec<u32>,
}

/// A repository to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repo {
    /// What `git clone` is given.
    pub url: String,
    /// The branch; the repository's own default if none is named.
    pub branch: Option<String>,
}

/// How the agent is kept running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Who runs it.
    pub scope: Scope,
    /// Whether the host's own monitor runs next to it.
    pub monitor: bool,
}

/// Who runs the agent on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The user's service manager.
    User,
    /// The system's service manager.
    System,
    /// Nobody: a process of its own session.
    Detached,
}

impl Default for Service {
    fn default() -> Self {
        Self { scope: Scope::User, monitor: true }
    }
}

/// Reads all projects, in the order of the file.
pub(crate) fn read(top: &Table<'_>, report: &mut Report<'_>) -> Vec<Project> {
    let Some(projects) = top.get("projects").and_then(|item| Table::any(item, report)) else {
        return Vec::new();
    };
    projects.items().iter().filter_map(|item| read_one(item, report)).collect()
}

fn read_one(item: &Item<'_>, report: &mut Report<'_>) -> Option<Project> {
    if let Err(error) = name::check_project(item.name) {
        report.problem(item.key.clone(), error.to_string());
    }
    let table = Table::open(item, KEYS, report)?;
    // Each is read before the first `?`, so that one run names every problem.
    let on = table.required("on", report).and_then(|item| Some((item.text(report)?.to_owned(), item.span())));
    let work_dir = table.required("work_dir", report).and_then(|item| item.checked(report, remote_path));
    let config = table.required("config", report).and_then(|item| read_path(item, report));
    let overlays = table.get("overlays").and_then(|item| read_overlays(item, report)).unwrap_or_default();
    let prompts = table.get("prompts").and_then(|item| read_path(item, report));
    let env_file = table.get("env_file").and_then(|item| read_path(item, report));
    let repo = table.get("repo").and_then(|item| read_repo(item, report));
    let service = table.get("service").map(|item| read_service(item, report)).unwrap_or_default();
    let vars = read_vars(&table, report);
    let (on, on_span) = on?;
    Some(Project {
        name: item.name.into(),
        line: report.line(item.key.start),
        on,
        work_dir: work_dir?,
        config: config?,
        overlays,
        prompts,
        env_file,
        repo,
        service,
        vars,
        on_span,
        members: Vec::new(),
    })
}

/// Checks a path on a host.
fn remote_path(text: &str) -> Result<String, NameError> {
    let refuse = |why: &str| Err(NameError { what: "path", name: text.into(), why: why.into() });
    name::check_line("path", text)?;
    if !text.starts_with('/') && !text.starts_with("~/") {
        return refuse("is a path on the host: it begins with \"/\" or \"~/\"");
    }
    if text.split('/').any(|part| part == "..") {
        return refuse("contains \"..\"");
    }
    match text.trim_start_matches('~').trim_matches('/') {
        "" => refuse("is no folder of its own"),
        _ => Ok(text.trim_end_matches('/').to_owned()),
    }
}

fn read_overlays(item: &Item<'_>, report: &mut Report<'_>) -> Option<Vec<LocalPath>> {
    let items = item.array(report)?;
    if items.len() > MAX_OVERLAYS {
        report.problem(item.span(), format!("`{}` names at most {MAX_OVERLAYS} files", item.path));
        return None;
    }
    items.iter().map(|item| read_path(item, report)).collect()
}

fn read_repo(item: &Item<'_>, report: &mut Report<'_>) -> Option<Repo> {
    let table = Table::open(item, &["url", "branch"], report)?;
    let url = table.required("url", report)?.checked(report, repo_url)?;
    let branch = match table.get("branch") {
        Some(item) => Some(item.checked(report, branch)?),
        None => None,
    };
    Some(Repo { url, branch })
}

fn repo_url(text: &str) -> Result<String, NameError> {
    let refuse = |why: &str| Err(NameError { what: "repository", name: text.into(), why: why.into() });
    name::check_line("repository", text)?;
    if text.starts_with('-') {
        return refuse("begins with '-', which git would take for an option");
    }
    // `ext::` and its kin run commands.
    if text.contains("::") {
        return refuse("contains \"::\", which git takes for a remote helper");
    }
    let secret = text.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    match secret {
        Some((user, _)) if user.contains(':') => refuse("carries a password, which every listing would show"),
        Some(_) | None => Ok(text.to_owned()),
    }
}

fn branch(text: &str) -> Result<String, NameError> {
    name::check_line("branch", text)?;
    let bad = text.starts_with(['-', '/'])
        || text.contains("..")
        || text.contains("@{")
        || text.contains(|c: char| c.is_whitespace() || "~^:?*[\\".contains(c));
    if bad {
        let why = "is no name git takes for a branch".into();
        return Err(NameError { what: "branch", name: text.into(), why });
    }
    Ok(text.to_owned())
}

fn read_service(item: &Item<'_>, report: &mut Report<'_>) -> Service {
    let default = Service::default();
    let Some(table) = Table::open(item, &["scope", "monitor"], report) else { return default };
    let scope = table.get("scope").and_then(|item| {
        item.checked(report, |text| match text {
            "user" => Ok(Scope::User),
            "system" => Ok(Scope::System),
            "detached" => Ok(Scope::Detached),
            _ => Err("expected \"user\", \"system\" or \"detached\""),
        })
    });
    let monitor = table.get("monitor").and_then(|item| item.flag(report));
    Service { scope: scope.unwrap_or(default.scope), monitor: monitor.unwrap_or(default.monitor) }
}

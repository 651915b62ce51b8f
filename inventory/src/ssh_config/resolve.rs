//! Which values a host gets: the walk through the files, and the second one that `Match final` asks for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::condition::{Facts, Pass, Verdict};
use super::error::{SshConfigError, Unsupported, Why};
use super::expand::{self, Tokens};
use super::file::{Directive, SshConfig, What};
use super::keywords::{self, Keyword, Treatment};
use super::pattern;
use super::settings::{SettingSource, Settings};
use super::{Local, values};

/// What is known before any file is read: the command line and the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The user to log in as.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The address to connect to.
    pub host_name: Option<String>,
}

/// The settings of one host, and what could not be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What applies to this host and could not be settled.
    pub unsupported: Vec<Unsupported>,
    /// What applies to this host and is nothing for an unattended connection.
    pub not_applicable: Vec<NotApplicable>,
}

/// A keyword that is set for a host and means nothing for an unattended connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplicable {
    /// The keyword; as written if `IgnoreUnknown` covers it.
    pub keyword: String,
    /// The value; hidden where it may be a secret.
    pub value: String,
    /// Where it is set.
    pub source: SettingSource,
}

impl Resolved {
    /// Whether `ssh -G` has to be asked before the settings can be trusted.
    pub fn needs_ssh(&self) -> bool {
        self.unsupported.iter().any(Unsupported::ssh_can_tell)
    }

    /// What makes it wrong to connect with these settings, whoever is asked.
    pub fn invalid(&self) -> impl Iterator<Item = &Unsupported> {
        self.unsupported.iter().filter(|one| matches!(one.why, Why::Invalid(_)))
    }
}

/// Keywords that add values instead of keeping the first.
const GROWING: &[&str] = &["IdentityFile", "CertificateFile"];

/// The values found so far, by keyword.
pub(super) type Found = BTreeMap<&'static str, Vec<Entry>>;

/// One value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) words: Vec<String>,
    pub(super) rest: String,
    pub(super) source: SettingSource,
}

impl Entry {
    fn new(value: &str, source: SettingSource) -> Self {
        Self { words: vec![value.to_owned()], rest: value.to_owned(), source }
    }

    pub(super) fn word(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

impl SshConfig {
    /// The settings of a host, named as on ssh's command line.
    pub fn resolve(&self, alias: &str, local: &Local, overrides: &Overrides) -> Resolved {
        let mut walk = Walk {
            alias,
            host: alias.to_owned(),
            local,
            pass: Pass::First,
            found: Found::new(),
            ignored: None,
            unsupported: Vec::new(),
            not_applicable: Vec::new(),
        };
        walk.take_overrides(overrides);
        self.walk(&mut walk);
        walk.settle_host();
        if self.second_pass {
            walk.pass = Pass::Second;
            self.walk(&mut walk);
        }
        walk.finish()
    }

    /// Reads what `ssh -G` printed for a host into the same settings.
    pub fn from_ssh_g(output: &str, alias: &str, local: &Local) -> Result<Resolved, SshConfigError> {
        let mut found = Found::new();
        for (number, line) in (1usize..).zip(output.lines()) {
            let (name, rest) = line.trim_end_matches('\r').split_once(' ').unwrap_or((line, ""));
            let Some(keyword) = keywords::find(name) else { continue };
            let words: Vec<String> = match keyword.form {
                // The only lists ssh prints on one line; it does not quote their members.
                Some(keywords::Form::Paths) => rest.split_whitespace().map(str::to_owned).collect(),
                Some(_) | None => vec![rest.to_owned()],
            };
            if let Some(form) = keyword.form {
                values::check(form, &words, rest).map_err(|message| SshConfigError::Line {
                    path: "ssh -G".into(),
                    line: number,
                    message: format!("{}: {message}", keyword.name),
                })?;
            }
            let entry = Entry { words, rest: rest.to_owned(), source: SettingSource::SshG };
            found.entry(keyword.name).or_default().push(entry);
        }
        // ssh has followed them already.
        found
            .retain(|name, _| keywords::find(name).is_some_and(|found| found.treatment != Treatment::AskSsh));
        let host = first(&found, "HostName").unwrap_or(alias).to_owned();
        let walk = Walk {
            alias,
            host,
            local,
            pass: Pass::Second,
            found,
            ignored: None,
            unsupported: Vec::new(),
            not_applicable: Vec::new(),
        };
        Ok(walk.finish())
    }

    fn walk(&self, walk: &mut Walk<'_>) {
        for root in &self.roots {
            walk.file(root, Reach::All);
        }
    }
}

/// The state of a walk through the files for one host.
struct Walk<'a> {
    alias: &'a str,
    /// What `Host` lines are held against: the alias, in the second pass the host name.
    host: String,
    local: &'a Local,
    pass: Pass,
    found: Found,
    ignored: Option<String>,
    unsupported: Vec<Unsupported>,
    not_applicable: Vec<NotApplicable>,
}

/// What of a file can apply: nothing, if it is included from a block that does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    All,
    Nothing,
}

fn first<'f>(found: &'f Found, keyword: &str) -> Option<&'f str> {
    found.get(keyword).and_then(|entries| entries.first()).map(Entry::word)
}

impl Walk<'_> {
    fn take_overrides(&mut self, overrides: &Overrides) {
        let port = overrides.port.map(|port| port.to_string());
        let given = [("User", &overrides.user), ("Port", &port), ("HostName", &overrides.host_name)];
        for (name, value) in given {
            if let Some(value) = value {
                self.found.insert(name, vec![Entry::new(value, SettingSource::Override)]);
            }
        }
    }

    fn file(&mut self, directives: &[Directive], reach: Reach) {
        let mut active = reach == Reach::All;
        for directive in directives {
            match &directive.what {
                What::Host(words) => {
                    active = reach == Reach::All && pattern::host_line_matches(&self.host, words);
                }
                What::Match(condition) => {
                    active = reach == Reach::All && self.holds(condition, directive);
                }
                What::Include(files) => {
                    let reach = if active { Reach::All } else { Reach::Nothing };
                    files.iter().for_each(|file| self.file(file, reach));
                }
                What::IgnoreUnknown(list) => {
                    if active && self.ignored.is_none() {
                        self.ignored = Some(list.to_ascii_lowercase());
                    }
                }
                What::Unknown(name) if self.is_ignored(name) => {
                    if active {
                        let source =
                            SettingSource::File { path: directive.path.clone(), line: directive.line };
                        self.pass_over(name, Entry::new("(ignored)", source));
                    }
                }
                // OpenSSH refuses the file wherever the keyword stands, so the block does not matter.
                What::Unknown(name) => {
                    self.report(name, (&directive.path, directive.line), Why::UnknownKeyword);
                }
                What::Set { keyword, words, rest } => {
                    if active {
                        self.set(
                            *keyword,
                            Entry {
                                words: words.clone(),
                                rest: rest.clone(),
                                source: SettingSource::File {
                                    path: directive.path.clone(),
                                    line: directive.line,
                                },
                            },
                        );
                    }
                }
            }
        }
    }

    fn holds(&mut self, condition: &super::condition::Condition, directive: &Directive) -> bool {
        let host = match (self.pass, first(&self.found, "HostName")) {
            (Pass::Second, _) | (Pass::First, None) => self.host.clone(),
            (Pass::First, Some(name)) => {
                let tokens = self.tokens(self.alias, "");
                tokens.percent(name, expand::HOST).unwrap_or_else(|_| name.to_owned())
            }
        };
        let verdict = condition.holds(&Facts {
            host: &host,
            original_host: self.alias,
            user: first(&self.found, "User").unwrap_or(&self.local.user),
            local_user: &self.local.user,
            pass: self.pass,
        });
        match verdict {
            Verdict::Holds => true,
            Verdict::Fails => false,
            Verdict::Ask(criterion) => {
                let why = Why::AskSsh(format!("the criterion {criterion:?} is not decided by files"));
                self.report("Match", (&directive.path, directive.line), why);
                false
            }
        }
    }

    /// Whether `IgnoreUnknown` covers a keyword.
    fn is_ignored(&self, name: &str) -> bool {
        let list = self.ignored.as_deref();
        list.is_some_and(|list| pattern::list_matches(&name.to_ascii_lowercase(), list))
    }

    fn set(&mut self, keyword: Keyword, entry: Entry) {
        let taken = |name: &str| self.found.contains_key(name);
        match keyword.treatment {
            Treatment::Irrelevant | Treatment::Obsolete => return self.pass_over(keyword.name, entry),
            Treatment::Honoured | Treatment::Structure | Treatment::AskSsh | Treatment::NotOffered => {}
        }
        if GROWING.contains(&keyword.name) {
            let entries = self.found.entry(keyword.name).or_default();
            if !entries.iter().any(|old| old.words == entry.words) {
                entries.push(entry);
            }
            return;
        }
        // ssh writes a time of `none` as "not set", so that a later value still counts.
        if keyword.form == Some(keywords::Form::Time) && entry.word() == "none" {
            return;
        }
        // The two name the same thing, the way to the host: the first of them wins over both. Only `ProxyJump none`
        // leaves room for a command, as observed with OpenSSH 9.2.
        let route_taken = match keyword.name {
            "ProxyJump" => taken("ProxyCommand"),
            "ProxyCommand" => first(&self.found, "ProxyJump").is_some_and(|jump| !values::is_none(jump)),
            _ => false,
        };
        if !taken(keyword.name) && !route_taken {
            self.found.insert(keyword.name, vec![entry]);
        }
    }

    fn pass_over(&mut self, keyword: &str, entry: Entry) {
        // An environment may carry tokens, and lists of settings are shown and pasted.
        let value = if keyword == "SetEnv" { "(hidden)".to_owned() } else { entry.rest };
        let passed = NotApplicable { keyword: keyword.into(), value, source: entry.source };
        if !self.not_applicable.contains(&passed) {
            self.not_applicable.push(passed);
        }
    }

    /// Finds the host name: ssh expands it once, before the second pass.
    fn settle_host(&mut self) {
        let Some(entry) = self.found.get("HostName").and_then(|entries| entries.first()).cloned() else {
            self.host = lower_host(self.alias);
            return;
        };
        let host = match self.tokens(self.alias, "").percent(entry.word(), expand::HOST) {
            Ok(host) => host,
            Err(message) => {
                let (path, line) = entry.source.place();
                self.report("HostName", (&path, line), Why::Invalid(message));
                entry.word().to_owned()
            }
        };
        self.host = lower_host(&host);
    }

    fn tokens<'t>(&'t self, host: &'t str, key_alias: &'t str) -> Tokens<'t> {
        Tokens {
            local: self.local,
            alias: self.alias,
            host,
            port: first(&self.found, "Port").and_then(values::port).unwrap_or(22),
            user: first(&self.found, "User").unwrap_or(&self.local.user),
            key_alias,
        }
    }

    fn report(&mut self, keyword: &str, (path, line): (&Path, usize), why: Why) {
        let unsupported = Unsupported { keyword: keyword.into(), file: path.into(), line, why };
        if !self.unsupported.contains(&unsupported) {
            self.unsupported.push(unsupported);
        }
    }

    fn finish(mut self) -> Resolved {
        self.report_wishes();
        let key_alias = first(&self.found, "HostKeyAlias").map(str::to_lowercase);
        let tokens = self.tokens(&self.host, key_alias.as_deref().unwrap_or(self.alias));
        let (settings, failed) = Settings::build(&self.found, &tokens);
        for (keyword, source, message) in failed {
            let (path, line) = source.place();
            // What is wrong here is wrong for ssh too, except for the token that only it works out.
            let ask = message.contains("%C") && source != SettingSource::SshG;
            let why = if ask { Why::AskSsh(message) } else { Why::Invalid(message) };
            self.report(keyword, (&path, line), why);
        }
        Resolved { settings, unsupported: self.unsupported, not_applicable: self.not_applicable }
    }

    /// Reports the keywords that are set to something only ssh can follow, or that we do not offer.
    fn report_wishes(&mut self) {
        let mut wishes = Vec::new();
        for (name, entries) in &self.found {
            let (Some(keyword), Some(entry)) = (keywords::find(name), entries.first()) else { continue };
            let off = matches!(entry.word().to_ascii_lowercase().as_str(), "no" | "false" | "none");
            let (path, line) = entry.source.place();
            let why = match keyword.treatment {
                Treatment::AskSsh => Why::AskSsh(format!("set to {:?}", entry.rest)),
                Treatment::NotOffered => Why::NotOffered("not offered".into()),
                Treatment::Honoured | Treatment::Structure | Treatment::Irrelevant | Treatment::Obsolete => {
                    continue;
                }
            };
            if !off {
                wishes.push((*name, path, line, why));
            }
        }
        for (name, path, line, why) in wishes {
            self.report(name, (&path, line), why);
        }
    }
}

/// ssh turns names to lower case and leaves alone whatever could be an address.
fn lower_host(host: &str) -> String {
    let address = host.contains(['%', ':']) || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if address { host.to_owned() } else { host.to_ascii_lowercase() }
}

impl SettingSource {
    /// The file and line; empty if there is none.
    pub(super) fn place(&self) -> (Arc<Path>, usize) {
        match self {
            Self::File { path, line } => (path.clone(), *line),
            Self::Override | Self::SshG | Self::Default => (Path::new("").into(), 0),
        }
    }
}

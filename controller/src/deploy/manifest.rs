//! From the inventory and the files beside it to one manifest per host. Reads local files; touches no host.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use agent_runner::apply::manifest::{
    By, Drain, File, Healthy, MANIFEST_VERSION, Manifest, Part, Project, Repo, Scope, Service,
};
use agent_runner::config::types::Config;
use agent_runner_inventory as inventory;
use agent_runner_inventory::{Inventory, LocalPath, ResolvedHost};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::overlay;

/// The largest configuration, prompt or environment file, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// The most prompt files of one project.
const PROMPTS_MAX: usize = 1000;
/// The name of the configuration below a project's work_dir.
const CONFIG: &str = "agent-runner.toml";

/// Why a manifest cannot be made; nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A local file cannot be read.
    #[error("project {project}: cannot read {}", path.display())]
    Read {
        /// The project.
        project: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A local path needs a home folder and there is none.
    #[error("project {project}: {path} needs a home folder, and HOME is not set")]
    NoHome {
        /// The project.
        project: String,
        /// The path as written.
        path: String,
    },
    /// A variable is undefined, or the text is no template.
    #[error("{}: {detail}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// Where and what.
        detail: String,
    },
    /// An overlay is no TOML.
    #[error("{}: {detail}", path.display())]
    Overlay {
        /// The file.
        path: PathBuf,
        /// Where and what.
        detail: String,
    },
    /// The agent itself would refuse the configuration.
    #[error("project {project} on {host}: {detail}")]
    Config {
        /// The project.
        project: String,
        /// The host.
        host: String,
        /// The agent's own words, with file, line and column.
        detail: String,
    },
    /// A line of the environment file is not `NAME=value`. The line itself may be secret and is not shown.
    #[error("{}:{line}: expected NAME=value", path.display())]
    Env {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The work_dir does not end in the project's name.
    #[error(
        "project {project}: work_dir {work_dir} must end in /{project}: units and log dirs are named after the folder"
    )]
    WorkDir {
        /// The project.
        project: String,
        /// As written.
        work_dir: String,
    },
}

/// What a run of `deploy` is made with.
#[derive(Debug)]
pub struct Maker<'a> {
    /// The inventory.
    pub inventory: &'a Inventory,
    /// The operator's home folder, for `~/` in local paths.
    pub home: Option<&'a Path>,
    /// Who asks.
    pub by: By,
}

impl Maker<'_> {
    /// Returns the manifest of one host with `projects`.
    ///
    /// # Errors
    /// When a local file is missing or wrong; the message names it.
    pub fn manifest(
        &self,
        host: &ResolvedHost,
        projects: &[&inventory::Project],
    ) -> Result<Manifest, ManifestError> {
        let rollout = &self.inventory.rollout;
        Ok(Manifest {
            manifest: MANIFEST_VERSION,
            fleet: self.inventory.fleet.name.clone(),
            host: host.name.to_string(),
            by: self.by.clone(),
            agents: crate::bundle::agents().iter().map(crate::bundle::Agent::release).collect(),
            projects: projects.iter().map(|project| self.project(host, project)).collect::<Result<_, _>>()?,
            confirm_s: rollout.confirm_s,
            drain: drain(rollout.drain),
            healthy: healthy(rollout.healthy),
            only: Part::All,
            downgrade: false,
        })
    }

    fn project(&self, host: &ResolvedHost, project: &inventory::Project) -> Result<Project, ManifestError> {
        if project.work_dir.trim_end_matches('/').rsplit('/').next() != Some(&project.name) {
            let work_dir = project.work_dir.clone();
            return Err(ManifestError::WorkDir { project: project.name.clone(), work_dir });
        }
        let variables = Variables::of(self.inventory, host, project).open();
        let mut files = vec![self.config(host, project, &variables)?];
        if let Some(folder) = &project.prompts {
            files.extend(self.prompts(project, folder, &variables)?);
        }
        Ok(Project {
            name: project.name.clone(),
            work_dir: project.work_dir.clone(),
            repo: project
                .repo
                .as_ref()
                .map(|repo| Repo { url: repo.url.clone(), branch: repo.branch.clone() }),
            files,
            mirrored: project.prompts.iter().map(|_| "prompts".to_owned()).collect(),
            env: project.env_file.as_ref().map(|file| self.env(project, file)).transpose()?,
            service: Service { scope: scope(project.service.scope), monitor: project.service.monitor },
        })
    }

    /// The project's configuration: overlays merged, variables filled in, and accepted by the agent's own parser.
    fn config(
        &self,
        host: &ResolvedHost,
        project: &inventory::Project,
        variables: &Templates,
    ) -> Result<File, ManifestError> {
        let path = self.local(project, &project.config)?;
        let (mut content, mut secret) = variables.render(&read(project, &path)?, &path)?;
        for overlay in &project.overlays {
            let path = self.local(project, overlay)?;
            let (text, is_secret) = variables.render(&read(project, &path)?, &path)?;
            secret |= is_secret;
            content = overlay::merge(&content, &text)
                .map_err(|detail| variables.without_secrets(&detail))
                .map_err(|detail| ManifestError::Overlay { path: path.clone(), detail })?;
        }
        let remote_home = Path::new("/home/user");
        Config::parse(&content, &path, Some(remote_home)).map_err(|error| ManifestError::Config {
            project: project.name.clone(),
            host: host.name.to_string(),
            detail: variables.without_secrets(&error.to_string()),
        })?;
        Ok(File { path: CONFIG.to_owned(), content, secret })
    }

    fn prompts(
        &self,
        project: &inventory::Project,
        folder: &LocalPath,
        variables: &Templates,
    ) -> Result<Vec<File>, ManifestError> {
        let root = self.local(project, folder)?;
        let unreadable =
            |source| ManifestError::Read { project: project.name.clone(), path: root.clone(), source };
        let mut paths = Vec::new();
        list(&root, &mut paths).map_err(unreadable)?;
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let relative = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            let (content, secret) = variables.render(&read(project, &path)?, &path)?;
            files.push(File { path: format!("prompts/{relative}"), content, secret });
        }
        Ok(files)
    }

    fn env(
        &self,
        project: &inventory::Project,
        file: &LocalPath,
    ) -> Result<BTreeMap<String, String>, ManifestError> {
        let path = self.local(project, file)?;
        parse_env(&read(project, &path)?).map_err(|line| ManifestError::Env { path, line })
    }

    fn local(&self, project: &inventory::Project, path: &LocalPath) -> Result<PathBuf, ManifestError> {
        path.resolve(self.home).map_err(|_| ManifestError::NoHome {
            project: project.name.clone(),
            path: path.as_written().to_owned(),
        })
    }
}

/// Returns the manifest's word for a scope.
pub fn scope(scope: inventory::Scope) -> Scope {
    match scope {
        inventory::Scope::User => Scope::User,
        inventory::Scope::System => Scope::System,
        inventory::Scope::Detached => Scope::Detached,
    }
}

/// Returns the manifest's word for what happens to rounds.
pub fn drain(drain: inventory::Drain) -> Drain {
    match drain {
        inventory::Drain::Round => Drain::Round,
        inventory::Drain::Now => Drain::Now,
        inventory::Drain::Seconds(seconds) => Drain::Seconds(seconds),
    }
}

/// Returns the manifest's word for when a release is well.
pub fn healthy(healthy: inventory::Healthy) -> Healthy {
    match healthy {
        inventory::Healthy::Active => Healthy::Active,
        inventory::Healthy::Round => Healthy::Round,
    }
}

/// What `{{ }}` can name.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Variables {
    fleet: Named,
    project: Named,
    host: HostVariables,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Named {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct HostVariables {
    name: String,
    vars: BTreeMap<String, toml::Value>,
}

impl Variables {
    /// The project's own variables are the lowest, as defaults for hosts that set none.
    fn of(inventory: &Inventory, host: &ResolvedHost, project: &inventory::Project) -> Variables {
        let mut vars: BTreeMap<String, toml::Value> =
            project.vars.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
        vars.extend(host.vars.iter().map(|(name, value)| (name.clone(), value.value.clone())));
        Variables {
            fleet: Named { name: inventory.fleet.name.clone() },
            project: Named { name: project.name.clone() },
            host: HostVariables { name: host.name.to_string(), vars },
        }
    }

    /// Returns the variables with their secrets opened, the same with other secrets, and the secrets.
    fn open(self) -> Templates {
        let mut shown = self.clone();
        let mut hidden = self;
        let mut secrets = Vec::new();
        let pairs = shown.host.vars.iter_mut().zip(hidden.host.vars.iter_mut());
        for ((_, value), (_, other)) in pairs {
            if let Some(secret) = inventory::secret(value).cloned() {
                secrets.push(secret.as_str().map_or_else(|| secret.to_string(), str::to_owned));
                *other = toml::Value::String("another secret".to_owned());
                *value = secret;
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        let hidden = (shown != hidden).then_some((hidden, secrets));
        Templates { shown, hidden }
    }
}

/// Fills variables in, and knows which texts must not be shown afterwards.
#[derive(Debug)]
struct Templates {
    shown: Variables,
    /// The same with other values for the secrets; `None` when there are none.
    hidden: Option<(Variables, Vec<String>)>,
}

impl Templates {
    /// Returns the text with its variables filled in, and whether a secret is among them.
    fn render(&self, text: &str, path: &Path) -> Result<(String, bool), ManifestError> {
        let content = render(text, path, &self.shown)?;
        let is_secret = match &self.hidden {
            None => false,
            // A text that comes out otherwise with other secrets tells them; one that fails with them, too.
            Some((hidden, _)) => render(text, path, hidden).map_or(true, |other| other != content),
        };
        Ok((content, is_secret))
    }

    fn without_secrets(&self, text: &str) -> String {
        let secrets = self.hidden.iter().flat_map(|(_, secrets)| secrets);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "(secret)"))
    }
}

fn render(text: &str, path: &Path, variables: &Variables) -> Result<String, ManifestError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Prompts are full of braces: only `{{ }}` means anything in them.
    let syntax = SyntaxConfig::builder()
        .block_delimiters("\u{1}%", "%\u{1}")
        .comment_delimiters("\u{1}#", "#\u{1}")
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters differ from each other");
    environment.set_syntax(syntax);
    environment.render_str(text, Serde(variables)).map_err(|error| {
        let said = error.line().and_then(|line| Some((line, text.lines().nth(line.checked_sub(1)?)?)));
        let place = said.map_or_else(String::new, |(line, said)| format!("line {line}: `{}`: ", said.trim()));
        let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
        let (project, host) = (&variables.project.name, &variables.host.name);
        let detail = format!("{place}{}{detail} (project {project} on {host})", error.kind());
        ManifestError::Template { path: path.to_owned(), detail }
    })
}

fn read(project: &inventory::Project, path: &Path) -> Result<String, ManifestError> {
    read_bounded(path).map_err(|source| ManifestError::Read {
        project: project.name.clone(),
        path: path.to_owned(),
        source,
    })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("the file is larger than {FILE_MAX} bytes")));
    }
    Ok(text)
}

/// Lists the regular files below a folder; links and hidden names are not followed.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > PROMPTS_MAX {
            return Err(io::Error::other(format!("more than {PROMPTS_MAX} files")));
        }
    }
    Ok(())
}

/// Reads `NAME=value` lines, as systemd's `EnvironmentFile=`: blank lines and comments are skipped, quotes around a
/// whole value are taken off.
///
/// # Errors
/// The number of the first line that is none of these.
fn parse_env(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut env = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        let valid = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err(index + 1);
        }
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        env.insert(name.to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt as _;

    fn write(path: &Path, text: &str) {
        use std::io::Write as _;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_a_secret_variable_is_filled_into_is_secret_and_no_error_tells_it() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = "[fleet]\nname = \"attic\"\n[hosts.pi]\nvars = { token = { value = \"hunter2\", secret = true } }\n\
                     [projects.demo]\non = \"all\"\nwork_dir = \"~/demo\"\nconfig = \"c.toml\"\nprompts = \"p\"\n";
        let path = dir.path().join("fleet.toml");
        write(&path, fleet);
        let config = |more: &str| {
            format!(
                "schema_version = 1\n[agent]\ncommand = [\"claude\"]\nprompt_arg_template = []\n\
                 prompt_delivery = \"stdin\"\n[runtime]\nwork_dir = \".\"\nlog_dir = \"~/logs\"\n{more}\n\
                 [prompt]\nfile = \"prompts/a.md\"\n"
            )
        };
        write(&dir.path().join("c.toml"), &config(""));
        write(&dir.path().join("p/a.md"), "plain {{ host.name }}\n");
        write(&dir.path().join("p/b.md"), "token {{ host.vars.token }}\n");
        let inventory = Inventory::load(&path).unwrap();
        let by = By { user: String::new(), machine: String::new(), run: String::new(), key: None };
        let maker = Maker { inventory: &inventory, home: None, by };
        let host = inventory.host("pi").unwrap();
        let projects: Vec<&inventory::Project> = inventory.projects.iter().collect();
        let manifest = maker.manifest(&host, &projects).unwrap();
        let files: Vec<(&str, bool)> =
            manifest.projects[0].files.iter().map(|file| (file.path.as_str(), file.secret)).collect();
        assert_eq!(files, [("agent-runner.toml", false), ("prompts/a.md", false), ("prompts/b.md", true)]);
        assert_eq!(manifest.projects[0].files[2].content, "token hunter2\n");

        fs::remove_file(dir.path().join("c.toml")).unwrap();
        write(&dir.path().join("c.toml"), &config("round_budget_s = \"{{ host.vars.token }}\""));
        let error = maker.manifest(&host, &projects).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("round_budget_s"), "{error}");
    }

    #[test]
    fn environment_files_are_read_and_a_wrong_line_is_named_but_not_shown() {
        let env = parse_env("# c\n\nA=1\nB=\"two words\"\nC='x=y'\nD=\n").unwrap();
        assert_eq!(
            env.into_iter().collect::<Vec<_>>(),
            [
                ("A".into(), "1".into()),
                ("B".into(), "two words".into()),
                ("C".into(), "x=y".into()),
                ("D".into(), String::new())
            ] as [(String, String); 4]
        );
        assert_eq!(parse_env("A=1\nsecret"), Err(2));
        assert_eq!(parse_env("export A=1"), Err(1));
    }
}

//! What a manifest means on one host: files with their content and mode, and projects with their services. Pure.

use std::path::{Path, PathBuf};

use super::ground::Ground;
use super::manifest::{Manifest, Part, Project, Scope};
use super::report::{Problem, What};
use crate::config::types::Config;
use crate::round::prompt;
use crate::service::install::{self, Scope as UnitScope};
use crate::service::{self, Account, env_file};

/// The configuration's name below the work tree.
const CONFIG: &str = "agent-runner.toml";

/// What is wanted.
#[derive(Debug, Default)]
pub(super) struct Desired {
    /// Files that shall be as they are here.
    pub(super) targets: Vec<Target>,
    /// Files that shall not be.
    pub(super) unwanted: Vec<Unwanted>,
    /// Projects whose configuration can be used.
    pub(super) projects: Vec<Wanted>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) project: String,
    pub(super) what: What,
    pub(super) path: PathBuf,
    pub(super) content: String,
    pub(super) mode: u32,
    pub(super) secret: bool,
    pub(super) rights: Rights,
}

/// One file that shall go if it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwanted {
    pub(super) project: String,
    pub(super) what: What,
    pub(super) path: PathBuf,
    pub(super) rights: Rights,
    pub(super) secret: bool,
    /// A unit goes only when it was written for this folder.
    pub(super) only_of: Option<PathBuf>,
}

/// With whose rights a file is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rights {
    /// The account's: the work tree is its own.
    Project,
    /// Ours.
    #[default]
    Acting,
}

/// One project and its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) project: service::Project,
    pub(super) scope: Scope,
    pub(super) monitor: bool,
}

/// What does not depend on the manifest.
pub(super) struct Context<'a> {
    /// The account the projects run as.
    pub(super) owner: &'a Account,
    /// The program the services run.
    pub(super) program: &'a Path,
    /// What the manifest speaks about.
    pub(super) only: Part,
}

/// Returns what the manifest wants, and why a project cannot be used.
pub(super) fn desired(
    manifest: &Manifest,
    ground: &[Ground],
    context: &Context<'_>,
) -> (Desired, Vec<Problem>) {
    let mut desired = Desired::default();
    let mut problems = Vec::new();
    for (project, ground) in manifest.projects.iter().zip(ground) {
        if let Err((message, remedy)) = add(&mut desired, project, ground, context) {
            problems.push(Problem { project: Some(project.name.clone()), message, remedy });
        }
    }
    (desired, problems)
}

type Refusal = (String, String);

fn add(
    desired: &mut Desired,
    project: &Project,
    ground: &Ground,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let config_path = ground.work_dir.join(CONFIG);
    let places_files = context.only != Part::Units;
    let given = project.files.iter().find(|file| places_files && file.path == CONFIG);
    let is_secret = given.map_or_else(|| placed_as_secret(ground, CONFIG), |file| file.secret);
    let text = given.map(|file| file.content.as_str()).or(ground.config.as_deref()).ok_or_else(|| {
        let message = format!("there is no {}", config_path.display());
        (message, "name the project's `config` in fleet.toml".to_owned())
    })?;
    let loaded = Config::parse(text, &config_path, Some(&context.owner.home)).map_err(|error| {
        let said = if is_secret { error.without_text() } else { error.to_string() };
        (format!("config error: {said}"), error.hint().unwrap_or_default())
    })?;
    let own = service::Project::of(&loaded.config, context.owner.clone());
    if places_files {
        prompt(&loaded.config, project, ground)?;
        files(desired, project, ground);
        excludes(desired, project, ground);
    }
    match context.only {
        Part::All => {
            env(desired, project, ground, context)?;
            units(desired, project, &own, context)?;
        }
        Part::Units => units(desired, project, &own, context)?,
        Part::Files => {}
    }
    desired.projects.push(Wanted {
        project: own,
        scope: project.service.scope,
        monitor: project.service.monitor,
    });
    Ok(())
}

/// The environment, outside the work tree; one that an earlier release placed and this one does not name goes.
fn env(
    desired: &mut Desired,
    project: &Project,
    ground: &Ground,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let path = match project.service.scope {
        Scope::User | Scope::Detached => context.owner.env_file(&project.name),
        Scope::System => context.owner.system_env_file(&project.name),
    };
    if let Some(env) = &project.env {
        desired.targets.push(Target {
            project: project.name.clone(),
            what: What::Env,
            path,
            content: env_file::render(env).map_err(|error| (error.to_string(), String::new()))?,
            mode: 0o600,
            secret: true,
            rights: Rights::Acting,
        });
    } else if ground.placed.as_ref().is_some_and(|placed| placed.env.is_some()) {
        desired.unwanted.push(Unwanted {
            project: project.name.clone(),
            what: What::Env,
            path,
            rights: Rights::Acting,
            secret: true,
            only_of: None,
        });
    }
    Ok(())
}

/// A prompt that the startup battery would refuse is refused before anything is touched, if the manifest brings all of
/// it.
fn prompt(config: &Config, project: &Project, ground: &Ground) -> Result<(), Refusal> {
    let content = |path: &PathBuf| {
        let file = project.files.iter().find(|file| ground.work_dir.join(&file.path) == *path)?;
        Some(file.content.clone())
    };
    let Some(texts) = config.prompt.files.iter().map(content).collect::<Option<Vec<String>>>() else {
        return Ok(());
    };
    match prompt::refusal(&prompt::assemble(&texts, &config.prompt)) {
        None => Ok(()),
        Some(reason) => {
            let remedy = "write a prompt of at least 500 bytes that begins with a letter".to_owned();
            Err((format!("the prompt cannot be used: {reason}"), remedy))
        }
    }
}

fn files(desired: &mut Desired, project: &Project, ground: &Ground) {
    for file in &project.files {
        // A diff shows both sides, so what was secret stays so until it is replaced.
        let was_secret = placed_as_secret(ground, &file.path);
        desired.targets.push(Target {
            project: project.name.clone(),
            what: What::File,
            path: ground.work_dir.join(&file.path),
            content: file.content.clone(),
            mode: if file.secret { 0o600 } else { 0o644 },
            secret: file.secret || was_secret,
            rights: Rights::Project,
        });
    }
    let Some(placed) = &ground.placed else { return };
    // A folder that is no longer named is mirrored once more: what was placed there goes.
    let folders: Vec<&String> = project.mirrored.iter().chain(&placed.mirrored).collect();
    for file in &placed.files {
        let mirrored = folders.iter().any(|folder| Path::new(&file.path).starts_with(folder));
        let kept = project.files.iter().any(|own| own.path == file.path);
        if mirrored && !kept {
            desired.unwanted.push(Unwanted {
                project: project.name.clone(),
                what: What::File,
                path: ground.work_dir.join(&file.path),
                rights: Rights::Project,
                secret: file.secret,
                only_of: None,
            });
        }
    }
}

fn placed_as_secret(ground: &Ground, path: &str) -> bool {
    let placed = ground.placed.iter().flat_map(|placed| &placed.files);
    placed.into_iter().any(|file| file.secret && file.path == path)
}

/// Placed files that git does not track are excluded from it, or a round would stash them.
fn excludes(desired: &mut Desired, project: &Project, ground: &Ground) {
    let Some(exclude) = &ground.exclude else { return };
    let mut content = exclude.content.clone();
    for file in project.files.iter().filter(|file| !exclude.tracked.contains(&file.path)) {
        let line = format!("/{}", escaped(&file.path));
        if !content.lines().any(|existing| existing == line) {
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            content.push_str(&line);
            content.push('\n');
        }
    }
    if content != exclude.content {
        desired.targets.push(Target {
            project: project.name.clone(),
            what: What::File,
            path: exclude.path.clone(),
            content,
            mode: 0o644,
            secret: false,
            rights: Rights::Project,
        });
    }
}

fn units(
    desired: &mut Desired,
    project: &Project,
    own: &service::Project,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let user = context.owner.user_units();
    let system = context.owner.system_units();
    let (scope, folder) = match project.service.scope {
        Scope::User => (Some(UnitScope::User), user.clone()),
        Scope::System => (Some(UnitScope::System), system.to_owned()),
        Scope::Detached => (None, user.clone()),
    };
    let mut wanted: Vec<(String, String)> = Vec::new();
    if let Some(scope) = scope {
        let spec = install::spec(own, context.program, scope);
        let refused = |error: service::unit::UnitError| (error.to_string(), "rename the folder".to_owned());
        wanted.push((own.serve_unit(), spec.serve().map_err(refused)?));
        if project.service.monitor {
            wanted.push((own.monitor_unit(), spec.monitor().map_err(refused)?));
        }
    }
    for unit in [own.serve_unit(), own.monitor_unit()] {
        let content = wanted.iter().find(|(name, _)| *name == unit).map(|(_, content)| content.clone());
        match content {
            Some(content) => desired.targets.push(Target {
                project: project.name.clone(),
                what: What::Unit,
                path: folder.join(&unit),
                content,
                mode: 0o644,
                secret: false,
                rights: Rights::Acting,
            }),
            None => desired.unwanted.push(Unwanted {
                project: project.name.clone(),
                what: What::Unit,
                path: folder.join(&unit),
                rights: Rights::Acting,
                secret: false,
                only_of: Some(own.work_dir.clone()),
            }),
        }
    }
    if scope == Some(UnitScope::System) {
        for unit in [own.serve_unit(), own.monitor_unit()] {
            desired.unwanted.push(Unwanted {
                project: project.name.clone(),
                what: What::Unit,
                path: user.join(unit),
                rights: Rights::Project,
                secret: false,
                only_of: Some(own.work_dir.clone()),
            });
        }
    }
    Ok(())
}

/// Escapes what gitignore patterns give a meaning to.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | ' ') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

//! What a manifest must be before it is compared with anything. Pure.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::manifest::{MANIFEST_VERSION, Manifest, Project, Scope};
use super::report::Problem;
use crate::masking::mask;
use crate::service;

/// The longest confirmation time, in seconds: a day.
const CONFIRM_MAX_S: u64 = 86_400;

/// From this length on the user of a repository's web address counts as a token where it is nothing but letters and digits, in
/// bytes: names are shorter or have parts, and tokens without a form of their own are not.
const TOKEN_MIN: usize = 40;

/// Returns everything wrong with a manifest by itself.
pub(super) fn validate(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (message, remedy) in problems_of_host(manifest) {
        problems.push(Problem { project: None, message, remedy: remedy.to_owned() });
    }
    for project in &manifest.projects {
        problems_of(project, &mut |message| {
            problems.push(Problem { project: Some(project.name.clone()), message, remedy: String::new() });
        });
    }
    problems
}

/// Returns a path of the manifest as absolute: `~/` is the home folder. `None` when it is neither.
pub(super) fn absolute(path: &str, home: &Path) -> Option<PathBuf> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => PathBuf::from(path),
    };
    path.is_absolute().then(|| path.components().collect())
}

fn problems_of_host(manifest: &Manifest) -> Vec<(String, &'static str)> {
    let mut problems = Vec::new();
    if manifest.manifest != MANIFEST_VERSION {
        let text =
            format!("the manifest has version {}, this agent knows {MANIFEST_VERSION}", manifest.manifest);
        problems.push((text, "use a controller of this agent's release, or deploy the agent it carries"));
    }
    if manifest.confirm_s == 0 || manifest.confirm_s > CONFIRM_MAX_S {
        problems.push((format!("confirm_s is {}, not 1 to {CONFIRM_MAX_S}", manifest.confirm_s), ""));
    }
    for agent in &manifest.agents {
        let hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        if agent.sha256.len() != 64 || !hex(&agent.sha256) {
            problems.push((format!("the agent for {} has no SHA-256 of 64 hex digits", agent.machine), ""));
        }
        if !is_word(&agent.version) {
            problems.push((format!("`{}` is no version of an agent", agent.version.escape_debug()), ""));
        }
    }
    let scopes: BTreeSet<bool> =
        manifest.projects.iter().map(|project| project.service.scope == Scope::System).collect();
    if scopes.len() > 1 {
        let text = "some projects run under the system, others under the account".to_owned();
        problems.push((text, "deploy them one after another"));
    }
    let mut seen = BTreeSet::new();
    for project in &manifest.projects {
        if !seen.insert(&project.name) {
            problems.push((format!("the project `{}` is there twice", project.name.escape_debug()), ""));
        }
    }
    problems
}

fn problems_of(project: &Project, problem: &mut impl FnMut(String)) {
    if let Err(error) = service::Project::check_name(&project.name) {
        return problem(error.to_string());
    }
    let work_dir = Path::new(&project.work_dir);
    if !(project.work_dir.starts_with("~/") || work_dir.is_absolute())
        || work_dir.components().any(|part| part == Component::ParentDir)
        || project.work_dir.chars().any(char::is_control)
    {
        problem(format!("the work_dir `{}` is not absolute and plain", project.work_dir.escape_debug()));
    } else if work_dir.file_name().and_then(|name| name.to_str()) != Some(&project.name) {
        problem(format!("the work_dir `{}` does not end in the project's name", project.work_dir));
    }
    let mut seen = BTreeSet::new();
    for file in &project.files {
        if let Err(reason) = relative(&file.path) {
            problem(format!("the file `{}` {reason}", file.path.escape_debug()));
        } else if !seen.insert(&file.path) {
            problem(format!("the file `{}` is there twice", file.path));
        }
    }
    for folder in &project.mirrored {
        if let Err(reason) = relative(folder) {
            problem(format!("the mirrored folder `{}` {reason}", folder.escape_debug()));
        }
    }
    if let Some(env) = &project.env
        && let Err(error) = service::env_file::render(env)
    {
        problem(error.to_string());
    }
    if let Some(repo) = &project.repo {
        let bad = |text: &str| text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control);
        if bad(&repo.url) || repo.branch.as_deref().is_some_and(bad) {
            problem("the repository's url or branch is not one".to_owned());
        } else if carries_password(&repo.url) {
            problem("the repository's url carries a password, which `ps` would show".to_owned());
        } else if carries_token(&repo.url) {
            problem("the repository's url carries a token, which `ps` would show".to_owned());
        }
    }
}

/// Returns whether an address is refused because of a secret in it.
pub(super) fn is_refused(url: &str) -> bool {
    carries_password(url) || carries_token(url)
}

fn carries_password(url: &str) -> bool {
    user_of(url).is_some_and(|user| user.contains(':'))
}

/// Returns whether the user of a web address is a token by itself: one of a known form, or of a length that no name has.
fn carries_token(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    let is_web = ["https", "http"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let opaque =
        |user: &str| user.len() >= TOKEN_MIN && user.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_web && user_of(url).is_some_and(|user| opaque(user) || mask(user) != user)
}

fn user_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.split(['/', '?', '#']).next()?.rsplit_once('@')?.0)
}

fn relative(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.ends_with('/') || path.chars().any(char::is_control) {
        return Err("is not the path of a file");
    }
    let mut parts = Path::new(path).components();
    if !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err("leaves the work_dir");
    }
    if Path::new(path).components().next() == Some(Component::Normal(".git".as_ref())) {
        return Err("lies inside .git");
    }
    Ok(())
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    !text.is_empty() && text.len() <= 64 && !text.starts_with('.') && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{By, Drain, File, Healthy, Part, Repo, Service};
    use super::*;

    fn manifest(change: impl FnOnce(&mut Project)) -> Manifest {
        let mut project = Project {
            name: "research".into(),
            work_dir: "~/research".into(),
            repo: None,
            files: vec![File { path: "prompts/main.md".into(), content: "x".into(), secret: false }],
            mirrored: vec!["prompts".into()],
            env: None,
            service: Service { scope: Scope::Detached, monitor: false },
        };
        change(&mut project);
        Manifest {
            manifest: MANIFEST_VERSION,
            fleet: "attic".into(),
            host: "pi01".into(),
            by: By { user: "u".into(), machine: "m".into(), run: "r".into(), key: None },
            agents: Vec::new(),
            projects: vec![project],
            confirm_s: 60,
            drain: Drain::Round,
            healthy: Healthy::Active,
            only: Part::All,
            downgrade: false,
        }
    }

    #[test]
    fn a_plain_manifest_is_fine() {
        assert_eq!(validate(&manifest(|_| {})), []);
    }

    #[test]
    fn a_repository_whose_url_carries_a_password_or_a_token_is_refused() {
        for (url, fine) in [
            ("https://me:hunter2@example.org/x.git", false),
            ("https://ghp_hunter2hunter2hunter2@example.org/x.git", false),
            ("HTTPS://hunter2hunter2hunter2hunter2hunter2hunter2@example.org/x.git", false),
            ("https://example.org/x.git?at=hunter2hunter2hunter2hunter2hunter2hunter2@y", true),
            ("ssh://git:hunter2@example.org/x", false),
            ("https://me@example.org/a:b@c", true),
            ("git@example.org:team/x.git", true),
            ("file:///srv/x", true),
        ] {
            let repo = Some(Repo { url: url.to_owned(), branch: None });
            let problems = validate(&manifest(|project| project.repo = repo.clone()));
            assert_eq!(problems.is_empty(), fine, "{url}: {problems:?}");
            assert!(!format!("{problems:?}").contains("hunter2"));
        }
    }

    #[test]
    fn paths_that_leave_the_work_dir_are_refused() {
        for path in ["../x", "/etc/passwd", "a/../../b", ".git/config", "", "a/", "a\n", "./../x"] {
            let path = path.replace("\\n", "\n");
            assert_eq!(
                validate(&manifest(|project| project.files[0].path = path.clone())).len(),
                1,
                "{path}"
            );
            assert_eq!(validate(&manifest(|project| project.mirrored[0] = path.clone())).len(), 1, "{path}");
        }
    }

    #[test]
    fn the_work_dir_must_be_absolute_and_end_in_the_name() {
        for work_dir in ["research", "/srv/other", "/srv/../research", "~user/research", "/srv/a\nb/research"]
        {
            let problems = validate(&manifest(|project| project.work_dir = work_dir.to_owned()));
            assert_eq!(problems.len(), 1, "{work_dir}");
        }
        assert_eq!(absolute("~/a/b", Path::new("/home/pi")), Some("/home/pi/a/b".into()));
        assert_eq!(absolute("/srv//b/", Path::new("/home/pi")), Some("/srv/b".into()));
        assert_eq!(absolute("b", Path::new("/home/pi")), None);
    }

    #[test]
    fn everything_else_that_cannot_be_applied_is_named() {
        let mut twice = manifest(|_| {});
        twice.projects.push(twice.projects[0].clone());
        assert_eq!(validate(&twice).len(), 1);
        let env = manifest(|project| project.env = Some([("A B".to_owned(), "x".to_owned())].into()));
        assert_eq!(validate(&env).len(), 1);
        let future = Manifest { manifest: 9, ..manifest(|_| {}) };
        assert_eq!(validate(&future).len(), 1);
        let never = Manifest { confirm_s: 0, ..manifest(|_| {}) };
        assert_eq!(validate(&never).len(), 1);
        let name = manifest(|project| project.name = "a/b".into());
        assert_eq!(validate(&name).len(), 1);
    }
}

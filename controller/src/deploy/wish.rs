//! What one host is asked for: a manifest, or the release before the one in use.

use std::time::Duration;

use agent_runner::apply::manifest::{By, Drain, Healthy, Manifest, Part, Rollback};
use agent_runner::apply::report::{Action, Change, What};
use agent_runner::config::types::Config;
use agent_runner::git::deploy::CLONE_CAP;

/// How long a round may take that nobody here knows the configuration of, in seconds: a day.
const ROUND_MAX_S: u64 = 86_400;

/// What one host is asked for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// What it shall have.
    Manifest(Box<Manifest>),
    /// To go back.
    Rollback(Box<Rollback>),
}

impl Wish {
    /// Returns the agent's verb for it; its stdin is [`Wish::text`].
    pub fn verb(&self) -> &'static str {
        match self {
            Wish::Manifest(_) => "apply",
            Wish::Rollback(_) => "apply --rollback",
        }
    }

    /// Returns what the agent reads, with the fingerprint of the key that we logged in with.
    ///
    /// # Errors
    /// None in practice: all of it is text.
    pub fn text(&self, key: Option<&str>) -> serde_json::Result<Vec<u8>> {
        let with_key = |by: &By| By { key: key.map(str::to_owned), ..by.clone() };
        match self {
            Wish::Manifest(manifest) => {
                serde_json::to_vec(&Manifest { by: with_key(&manifest.by), ..(**manifest).clone() })
            }
            Wish::Rollback(rollback) => {
                serde_json::to_vec(&Rollback { by: with_key(&rollback.by), ..(**rollback).clone() })
            }
        }
    }

    /// Returns whether the agent itself is brought along.
    pub fn brings_agent(&self) -> bool {
        match self {
            Wish::Manifest(manifest) => manifest.only == Part::All,
            Wish::Rollback(_) => false,
        }
    }

    /// Returns whether an agent older than the one in use is wanted all the same.
    pub fn downgrades(&self) -> bool {
        match self {
            Wish::Manifest(manifest) => manifest.downgrade,
            Wish::Rollback(_) => true,
        }
    }

    /// Returns after how many seconds an unconfirmed switch is put back.
    pub fn confirm_s(&self) -> u64 {
        match self {
            Wish::Manifest(manifest) => manifest.confirm_s,
            Wish::Rollback(rollback) => rollback.confirm_s,
        }
    }

    /// Returns for how many seconds a release may be on its way: the host's own deadline, the longest round where
    /// rounds drain, and once more where a round of the new release has to end well.
    pub fn patience_s(&self) -> u64 {
        let (drain, healthy, round_s) = match self {
            Wish::Manifest(manifest) => (manifest.drain, manifest.healthy, longest_round_s(manifest)),
            Wish::Rollback(rollback) => (rollback.drain, rollback.healthy, ROUND_MAX_S),
        };
        let drain_s = match drain {
            Drain::Now => 0,
            Drain::Seconds(seconds) => seconds,
            Drain::Round => round_s,
        };
        let healthy_s = match healthy {
            Healthy::Active => 0,
            Healthy::Round => round_s,
        };
        self.confirm_s() + drain_s + healthy_s
    }

    /// Returns for how long the host may clone: each repository may take as long as the agent lets it.
    pub fn clones_within(&self) -> Duration {
        let repositories = match self {
            Wish::Manifest(manifest) => {
                manifest.projects.iter().filter(|project| project.repo.is_some()).count()
            }
            // It goes back in work trees that are there.
            Wish::Rollback(_) => 0,
        };
        CLONE_CAP * u32::try_from(repositories).unwrap_or(u32::MAX)
    }

    /// Returns what a host with nothing on it will get, as far as is known without asking it: no diffs.
    pub fn from_nothing(&self, folder: &str) -> Vec<Change> {
        let Wish::Manifest(manifest) = self else { return Vec::new() };
        let change = |project: Option<&str>, what, name: String, diff: String| Change {
            project: project.map(str::to_owned),
            what,
            name,
            action: Action::Create,
            diff,
        };
        let mut changes = vec![change(None, What::Binary, "agent-runner".to_owned(), folder.to_owned())];
        for project in &manifest.projects {
            let own = Some(project.name.as_str());
            let place = |path: &str| format!("{}/{path}", project.work_dir);
            for file in &project.files {
                changes.push(change(own, What::File, place(&file.path), String::new()));
            }
            if project.env.is_some() {
                changes.push(change(own, What::Env, format!("{}.env", project.name), String::new()));
            }
        }
        changes
    }
}

fn longest_round_s(manifest: &Manifest) -> u64 {
    let configs = manifest.projects.iter().flat_map(|project| {
        project.files.iter().filter(|file| file.path == "agent-runner.toml").map(|file| &file.content)
    });
    let stop_times = configs.filter_map(|text| {
        let path = std::path::Path::new("/agent-runner.toml");
        let loaded = Config::parse(text, path, Some(std::path::Path::new("/"))).ok()?;
        Some(loaded.config.stop_timeout_s())
    });
    stop_times.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use agent_runner::apply::manifest::{MANIFEST_VERSION, Project, Repo, Scope, Service};

    use super::*;

    fn manifest(repositories: &[bool]) -> Manifest {
        let repo = || Repo { url: "https://example.org/r.git".to_owned(), branch: None };
        let project = |has_repo: &bool| Project {
            name: "research".to_owned(),
            work_dir: "~/research".to_owned(),
            repo: has_repo.then(repo),
            files: Vec::new(),
            mirrored: Vec::new(),
            env: None,
            service: Service { scope: Scope::User, monitor: false },
        };
        Manifest {
            manifest: MANIFEST_VERSION,
            fleet: "attic".to_owned(),
            host: "pi01".to_owned(),
            by: By { user: "u".to_owned(), machine: "m".to_owned(), run: "r".to_owned(), key: None },
            agents: Vec::new(),
            projects: repositories.iter().map(project).collect(),
            confirm_s: 60,
            drain: Drain::Round,
            healthy: Healthy::Active,
            only: Part::All,
            downgrade: false,
        }
    }

    #[test]
    fn an_apply_is_given_the_time_its_clones_may_take() {
        let within = |manifest: Manifest| Wish::Manifest(Box::new(manifest)).clones_within();
        assert_eq!(within(manifest(&[false])), Duration::ZERO);
        assert_eq!(within(manifest(&[true, false, true])), Duration::from_secs(1800));
    }
}

//! The plan: what is wanted against what is there. Pure, and the only place that decides what an apply does.

use std::path::PathBuf;

use super::desired::{Desired, Rights, Target, Unwanted, Wanted};
use super::diff;
use super::facts::{Binary, Entry, Facts, Link, ServiceFacts};
use super::ground::{Ground, Place};
use super::manifest::{Drain, Manifest, Part, Project, Scope};
use super::places::Places;
use super::report::{Action, Change, Problem, What};
use crate::service::{Mode, unit};

/// What an apply does, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<String>,
    pub(super) clones: Vec<String>,
    pub(super) binary: Option<BinarySwitch>,
    pub(super) writes: Vec<Write>,
    pub(super) unlinks: Vec<Unlink>,
    pub(super) services: Vec<ServicePlan>,
}

/// The binary's links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BinarySwitch {
    /// The version folder's name.
    pub(super) folder: String,
    /// Whether this program's own file goes into it first.
    pub(super) copy_self: bool,
    /// Its SHA-256.
    pub(super) sha256: String,
}

/// One file that is replaced, made or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) project: String,
    pub(super) what: What,
    pub(super) path: PathBuf,
    /// `None` removes it.
    pub(super) new: Option<(String, u32)>,
    /// What was there.
    pub(super) old: Option<(Vec<u8>, u32)>,
    pub(super) rights: Rights,
}

/// A link that goes with the unit it leads to: who else would remove it is not always there to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unlink {
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    pub(super) rights: Rights,
}

/// What happens to one project's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServicePlan {
    pub(super) wanted: Wanted,
    pub(super) before: ServiceFacts,
    pub(super) action: Option<Action>,
    pub(super) enable: Vec<String>,
    pub(super) monitor: MonitorPlan,
}

/// What happens to the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MonitorPlan {
    /// It is as it shall be.
    Leave,
    /// It starts.
    Start,
    /// It runs something older.
    Restart,
    /// It ends.
    Stop,
}

impl Plan {
    /// Returns whether the host is as the manifest says.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Compares.
pub(super) fn plan(manifest: &Manifest, ground: &[Ground], desired: &Desired, facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let host = |message: String, remedy: String| Problem { project: None, message, remedy };
    match binary_switch(&facts.binary) {
        Ok(switch) => {
            plan.changes.extend(switch.as_ref().map(|switch| binary_change(switch, &facts.binary)));
            plan.binary = switch;
        }
        Err((message, remedy)) => plan.problems.push(host(message, remedy)),
    }
    if let Some(reason) = &facts.no_manager {
        let remedy = "log in once or enable lingering, or deploy with scope = \"detached\"".to_owned();
        plan.problems.push(host(format!("systemd does not answer: {reason}"), remedy));
    }
    plan.notes
        .extend(facts.linger_remedy.iter().map(|remedy| format!("services end at logout: run `{remedy}`")));
    for (project, ground) in manifest.projects.iter().zip(ground) {
        add_ground(&mut plan, project, ground);
    }
    for target in &desired.targets {
        add_target(&mut plan, target, facts);
    }
    for unwanted in &desired.unwanted {
        add_unwanted(&mut plan, unwanted, facts);
    }
    for wanted in &desired.projects {
        if let Some(before) = facts.services.get(&wanted.project.name) {
            add_service(&mut plan, manifest, wanted, before);
        }
    }
    plan
}

fn binary_switch(binary: &Binary) -> Result<Option<BinarySwitch>, (String, String)> {
    let Some(wanted) = &binary.wanted else {
        if binary.offered.is_empty() {
            return Ok(None);
        }
        let message = format!(
            "this machine is {}, the controller carries agents for {}",
            std::env::consts::ARCH,
            binary.offered.join(", ")
        );
        return Err((message, "use a release of the controller that carries one for it".to_owned()));
    };
    if binary.bin == Link::Taken {
        let message = "the agent's name in the bin folder is taken by a file that is no link".to_owned();
        return Err((message, "move that file away".to_owned()));
    }
    let folder = wanted.folder();
    let is_there = binary.there.as_deref() == Some(wanted.sha256.as_str());
    let switched =
        binary.current == Some(Places::current_target(&folder)) && matches!(binary.bin, Link::To(_));
    if is_there && switched {
        return Ok(None);
    }
    let copy_self = !is_there;
    Ok(Some(BinarySwitch { folder, copy_self, sha256: wanted.sha256.clone() }))
}

fn binary_change(switch: &BinarySwitch, binary: &Binary) -> Change {
    let old = binary
        .current
        .as_ref()
        .and_then(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    let action = if old.is_some() { Action::Update } else { Action::Create };
    let diff = match old {
        Some(old) => format!("{old} -> {}", switch.folder),
        None => switch.folder.clone(),
    };
    Change { project: None, what: What::Binary, name: "agent-runner".into(), action, diff }
}

fn add_ground(plan: &mut Plan, project: &Project, ground: &Ground) {
    let at = ground.work_dir.display();
    let refusal = match &ground.state {
        Place::Git => None,
        Place::Missing if project.repo.is_some() => {
            let repo = project.repo.as_ref().map(|repo| repo.url.clone()).unwrap_or_default();
            plan.clones.push(project.name.clone());
            plan.changes.push(Change {
                project: Some(project.name.clone()),
                what: What::Repo,
                name: at.to_string(),
                action: Action::Create,
                diff: format!("git clone {}", without_password(&repo)),
            });
            None
        }
        Place::Missing => Some((
            format!("{at} does not exist"),
            format!(
                "git clone it there, or name its `repo` in fleet.toml (`mkdir -p {at} && git -C {at} init` makes an empty one)"
            ),
        )),
        Place::NotGit => Some((format!("{at} is not a git work tree"), format!("git -C {at} init"))),
        Place::ReadOnly => {
            Some((format!("{at} cannot be written"), format!("ls -ld {at} shows whose it is")))
        }
        Place::Link => {
            Some((format!("{at} is a link"), "name the folder it leads to as work_dir".to_owned()))
        }
        Place::NotAFolder => Some((format!("{at} is not a folder"), "move the file away".to_owned())),
        Place::Unreadable(reason) => Some((format!("{at} cannot be looked at: {reason}"), String::new())),
    };
    if let Some((message, remedy)) = refusal {
        plan.problems.push(Problem { project: Some(project.name.clone()), message, remedy });
    }
}

fn add_target(plan: &mut Plan, target: &Target, facts: &Facts) {
    let old = match facts.entries.get(&target.path) {
        Some(Entry::Blocked(reason)) => return blocked(plan, &target.project, &target.path, reason),
        Some(Entry::File { content, mode }) => Some((content.clone(), *mode)),
        Some(Entry::Missing) | None => None,
    };
    let exposed = |mode: u32| target.mode & 0o077 == 0 && mode & 0o077 != 0;
    if old.as_ref().is_some_and(|(content, mode)| content == target.content.as_bytes() && !exposed(*mode)) {
        return;
    }
    if target.what == What::Unit && other_folders_unit(target, old.as_ref()) {
        let message = format!("{} belongs to another folder", target.path.display());
        let remedy = "uninstall it there, or rename one of the projects".to_owned();
        return plan.problems.push(Problem { project: Some(target.project.clone()), message, remedy });
    }
    let diff = if target.secret {
        diff::secret(target.content.as_bytes())
    } else {
        diff::unified(
            &target.path,
            old.as_ref().map(|(content, _)| content.as_slice()),
            Some(&target.content),
        )
    };
    plan.changes.push(Change {
        project: Some(target.project.clone()),
        what: target.what,
        name: target.path.display().to_string(),
        action: if old.is_some() { Action::Update } else { Action::Create },
        diff,
    });
    plan.writes.push(Write {
        project: target.project.clone(),
        what: target.what,
        path: target.path.clone(),
        new: Some((target.content.clone(), target.mode)),
        old,
        rights: target.rights,
    });
}

fn add_unwanted(plan: &mut Plan, unwanted: &Unwanted, facts: &Facts) {
    let Some(Entry::File { content, mode }) = facts.entries.get(&unwanted.path) else { return };
    let theirs = |dir: &PathBuf| unit::work_dir_of(&String::from_utf8_lossy(content)).as_ref() != Some(dir);
    if unwanted.only_of.as_ref().is_some_and(theirs) {
        return;
    }
    plan.changes.push(Change {
        project: Some(unwanted.project.clone()),
        what: unwanted.what,
        name: unwanted.path.display().to_string(),
        action: Action::Delete,
        diff: if unwanted.secret {
            diff::secret(content)
        } else {
            diff::unified(&unwanted.path, Some(content), None)
        },
    });
    plan.unlinks.extend(facts.enabling.get(&unwanted.path).map(|(path, target)| Unlink {
        path: path.clone(),
        target: target.clone(),
        rights: unwanted.rights,
    }));
    plan.writes.push(Write {
        project: unwanted.project.clone(),
        what: unwanted.what,
        path: unwanted.path.clone(),
        new: None,
        old: Some((content.clone(), *mode)),
        rights: unwanted.rights,
    });
}

fn add_service(plan: &mut Plan, manifest: &Manifest, wanted: &Wanted, before: &ServiceFacts) {
    let name = &wanted.project.name;
    if manifest.only == Part::Files && !before.active {
        return;
    }
    let own = |write: &&Write| write.project == *name;
    let env = plan.writes.iter().filter(own).any(|write| write.what == What::Env);
    let config = plan.writes.iter().filter(own).any(|write| write.path == wanted.project.config);
    let restart_unit =
        plan.writes.iter().filter(own).filter(|write| write.what == What::Unit).any(unit_needs_restart);
    let other_binary = plan.binary.is_some() || runs_another(manifest, before);
    let other_mode = manifest.only != Part::Files && before.active && !fits(wanted.scope, before.mode);
    let needs = Needs {
        active: before.active,
        restart: env || restart_unit || other_mode,
        hand_over: config || other_binary,
    };
    let action = service_action(needs, manifest.drain);
    let unit_change = plan.writes.iter().filter(own).any(|write| write.what == What::Unit);
    let monitor = match (wanted.monitor, before.monitor_active) {
        _ if manifest.only == Part::Files => MonitorPlan::Leave,
        (true, false) => MonitorPlan::Start,
        (true, true) if other_binary || unit_change => MonitorPlan::Restart,
        (false, true) => MonitorPlan::Stop,
        (true, true) | (false, false) => MonitorPlan::Leave,
    };
    let mut enable = Vec::new();
    if wanted.scope != Scope::Detached && manifest.only != Part::Files {
        let units = [
            (true, before.enabled, wanted.project.serve_unit()),
            (wanted.monitor, before.monitor_enabled, wanted.project.monitor_unit()),
        ];
        enable.extend(units.into_iter().filter(|(on, enabled, _)| *on && !enabled).map(|(_, _, unit)| unit));
    }
    let mut change = |name: String, action: Action| {
        plan.changes.push(Change {
            project: Some(wanted.project.name.clone()),
            what: What::Service,
            name,
            action,
            diff: String::new(),
        });
    };
    if let Some(action) = action {
        change("serve".into(), action);
    }
    match monitor {
        MonitorPlan::Leave => {}
        MonitorPlan::Start => change("monitor".into(), Action::Start),
        MonitorPlan::Restart => change("monitor".into(), Action::Restart),
        MonitorPlan::Stop => change("monitor".into(), Action::Delete),
    }
    for unit in &enable {
        change(format!("{unit} enabled"), Action::Create);
    }
    plan.services.push(ServicePlan {
        wanted: wanted.clone(),
        before: before.clone(),
        action,
        enable,
        monitor,
    });
}

#[derive(Debug, Clone, Copy)]
struct Needs {
    active: bool,
    restart: bool,
    hand_over: bool,
}

fn service_action(needs: Needs, drain: Drain) -> Option<Action> {
    if !needs.active {
        return Some(Action::Start);
    }
    if needs.restart {
        return Some(Action::Restart);
    }
    needs.hand_over.then_some(match drain {
        Drain::Round => Action::HandOver,
        Drain::Now | Drain::Seconds(_) => Action::Restart,
    })
}

fn runs_another(manifest: &Manifest, before: &ServiceFacts) -> bool {
    let wanted = manifest.agents.iter().find(|agent| agent.machine == std::env::consts::ARCH);
    match (wanted, &before.sha256) {
        (Some(wanted), Some(running)) => wanted.sha256 != *running,
        (Some(_) | None, _) => false,
    }
}

fn fits(scope: Scope, mode: Mode) -> bool {
    match mode {
        Mode::SystemdUser => scope == Scope::User,
        Mode::SystemdSystem => scope == Scope::System,
        Mode::PidFile => scope == Scope::Detached,
        Mode::None => true,
    }
}

fn unit_needs_restart(write: &Write) -> bool {
    match (&write.old, &write.new) {
        (Some((old, _)), Some((new, _))) => unit::needs_restart(&String::from_utf8_lossy(old), new),
        (None, _) | (_, None) => false,
    }
}

fn other_folders_unit(target: &Target, old: Option<&(Vec<u8>, u32)>) -> bool {
    let work_dir = |text: &str| unit::work_dir_of(text);
    old.is_some_and(|(old, _)| work_dir(&String::from_utf8_lossy(old)) != work_dir(&target.content))
}

fn blocked(plan: &mut Plan, project: &str, path: &std::path::Path, reason: &str) {
    plan.problems.push(Problem {
        project: Some(project.to_owned()),
        message: format!("{} cannot be a file: {reason}", path.display()),
        remedy: "move it away".to_owned(),
    });
}

/// A url may carry a password; what is shown must not.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((user, host)) if !user.contains('/') => {
                format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
            }
            Some(_) | None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::manifest::AgentRelease;

    #[test]
    fn the_service_gets_the_mildest_action_that_does() {
        use Action::{HandOver, Restart, Start};
        let check = |active, restart, hand_over, drain, expected| {
            assert_eq!(service_action(Needs { active, restart, hand_over }, drain), expected);
        };
        check(true, false, false, Drain::Now, None);
        check(true, false, true, Drain::Round, Some(HandOver));
        check(true, false, true, Drain::Now, Some(Restart));
        check(true, false, true, Drain::Seconds(5), Some(Restart));
        check(true, true, true, Drain::Round, Some(Restart));
        check(true, true, false, Drain::Round, Some(Restart));
        check(false, true, true, Drain::Round, Some(Start));
        check(false, false, false, Drain::Now, Some(Start));
    }

    #[test]
    fn the_binary_is_switched_only_when_something_about_it_differs() {
        let sha256 = "a".repeat(64);
        let machine = std::env::consts::ARCH.to_owned();
        let wanted = AgentRelease { machine, version: "1.2.3".into(), sha256: sha256.clone() };
        let there = Binary {
            wanted: Some(wanted.clone()),
            offered: vec![wanted.machine.clone()],
            there: Some(sha256.clone()),
            current: Some(Places::current_target(&wanted.folder())),
            bin: Link::To("x".into()),
            ..Binary::default()
        };
        let switch =
            |copy_self| Ok(Some(BinarySwitch { folder: wanted.folder(), copy_self, sha256: sha256.clone() }));
        assert_eq!(binary_switch(&there), Ok(None));
        assert_eq!(binary_switch(&Binary { current: None, ..there.clone() }), switch(false));
        assert_eq!(binary_switch(&Binary { bin: Link::Missing, ..there.clone() }), switch(false));
        assert_eq!(binary_switch(&Binary { there: None, ..there.clone() }), switch(true));
        assert!(binary_switch(&Binary { bin: Link::Taken, ..there.clone() }).is_err());
        assert!(binary_switch(&Binary { wanted: None, ..there.clone() }).is_err());
        assert_eq!(binary_switch(&Binary::default()), Ok(None));
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(without_password("https://me:secret@example.org/r.git"), "https://me@example.org/r.git");
        assert_eq!(without_password("https://example.org/a@b:c"), "https://example.org/a@b:c");
        assert_eq!(without_password("git@example.org:team/r.git"), "git@example.org:team/r.git");
    }
}

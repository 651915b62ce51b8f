//! Whether the soft brake could be pulled: by the Loop that runs, else by the one that ran last, else by one that is
//! started from here.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::config::types::Config;
use crate::host::Root;
use crate::host::cgroup::Cgroup;
use crate::process::identity::Identity;

/// What can be said of a Loop's control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The group; `None` without the unified hierarchy.
    pub group: Option<Cgroup>,
    /// Whether it is the Loop's to steer; `None` when that cannot be told.
    pub delegated: Option<bool>,
}

impl Standing {
    /// Returns how the running Loop stands, and without one how this process does.
    pub fn of(root: &Root, serve: Option<Identity>) -> Standing {
        let Some(serve) = serve else {
            let group = Cgroup::own(root);
            return Standing { delegated: group.as_ref().and_then(Cgroup::delegated), group };
        };
        let group = Cgroup::of_process(root, serve.pid);
        // Whoever looks, perhaps root, need not be whoever runs it.
        let account = fs::metadata(root.join(format!("/proc/{}", serve.pid))).map(|meta| meta.uid()).ok();
        let delegated = group.as_ref().zip(account).and_then(|(group, uid)| group.delegated_to(uid));
        Standing { group, delegated }
    }

    /// Returns what this makes of the brake.
    pub fn brake(&self, config: &Config) -> Brake {
        Brake::of(config, self.group.is_some(), self.delegated)
    }
}

/// The state of the brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brake {
    /// The configuration does not want it.
    Off,
    /// It is pulled under pressure.
    Armed,
    /// It cannot be pulled: the group is not the Loop's to steer, or nobody can tell.
    Undelegated,
    /// It cannot be pulled: there is no group.
    NoGroup,
}

impl Brake {
    /// Returns what a group makes of the brake.
    pub fn of(config: &Config, in_group: bool, delegated: Option<bool>) -> Brake {
        match (config.monitor.host_health.brake.memory_high, in_group, delegated) {
            (false, _, _) => Brake::Off,
            (true, false, _) => Brake::NoGroup,
            (true, true, Some(true)) => Brake::Armed,
            (true, true, Some(false) | None) => Brake::Undelegated,
        }
    }

    /// Returns the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Brake::Off => "off",
            Brake::Armed => "armed",
            Brake::Undelegated => "inert(undelegated)",
            Brake::NoGroup => "inert(no cgroup v2)",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(wanted: bool) -> Config {
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{{prompt}}\"]\n[runtime]\nwork_dir = \".\"\nlog_dir = \"/l\"\n[prompt]\nfile = \"p.md\"\n[monitor.host_health.brake]\nmemory_high = {wanted}\n"
        );
        Config::parse(&text, Path::new("/p/agent-runner.toml"), None).unwrap().config
    }

    fn write(root: &Root, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::store::atomic::replace(&path, text.as_bytes()).unwrap();
    }

    #[test]
    fn the_group_of_the_running_loop_counts_and_not_that_of_whoever_looks() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        write(&root, "/sys/fs/cgroup/cgroup.controllers", "memory\n");
        write(&root, "/proc/self/cgroup", "0::/session\n");
        write(&root, "/sys/fs/cgroup/session/cgroup.procs", "");
        write(&root, "/proc/42/cgroup", "0::/unit\n");
        for file in ["memory.high", "cgroup.procs"] {
            write(&root, &format!("/sys/fs/cgroup/unit/{file}"), "max\n");
        }
        let serve = Identity { pid: 42, create_time: Some(1.0) };
        assert_eq!(Standing::of(&root, Some(serve)).brake(&config(true)), Brake::Armed);
        assert_eq!(Standing::of(&root, Some(serve)).brake(&config(false)), Brake::Off);
        assert_eq!(Standing::of(&root, None).brake(&config(true)), Brake::Undelegated);
        fs::remove_file(root.join("/sys/fs/cgroup/cgroup.controllers")).unwrap();
        assert_eq!(Standing::of(&root, Some(serve)).brake(&config(true)), Brake::NoGroup);
    }

    #[test]
    fn only_a_confirmed_delegation_arms_the_brake() {
        for (in_group, delegated, expected) in [
            (true, Some(true), "armed"),
            (true, Some(false), "inert(undelegated)"),
            (true, None, "inert(undelegated)"),
            (false, None, "inert(no cgroup v2)"),
        ] {
            assert_eq!(Brake::of(&config(true), in_group, delegated).as_str(), expected);
            assert_eq!(Brake::of(&config(false), in_group, delegated).as_str(), "off");
        }
    }
}

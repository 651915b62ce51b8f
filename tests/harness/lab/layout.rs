//! Every name a run uses: all of them follow from its id, so that whatever a dead run left can be found. Pure.

use std::path::PathBuf;

/// Where the files of runs are, one folder each.
pub(super) const RUNS: &str = "/run/agent-runner-lab";

/// The cgroup hierarchies systemd uses: version 1, hybrid, version 2.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// The id of a run: six hexadecimal digits, so that a hundred interface names fit into 15 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunId(String);

impl RunId {
    /// An id from text; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 6 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(RUNS).join(&self.0)
    }

    /// The one mount below which all disks of the run are.
    pub(super) fn disks(&self) -> PathBuf {
        self.folder().join("disks")
    }

    pub(super) fn bridge(&self) -> String {
        format!("lab-{}", self.0)
    }

    /// The name of a host, its network namespace and its end of the cable at the bridge; from 1.
    pub(super) fn host(&self, number: usize) -> String {
        format!("lab-{}-{number}", self.0)
    }

    /// The cgroups of a host that exist on a machine whose hierarchies `is_mounted` knows.
    pub(super) fn cgroups(&self, host: &str, is_mounted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let hybrid_or_v1 = is_mounted("/sys/fs/cgroup/systemd");
        let is_used = |top: &str| is_mounted(top) && (top != "/sys/fs/cgroup" || !hybrid_or_v1);
        let below = |top: &str| PathBuf::from(top).join("agent-runner-lab").join(&self.0).join(host);
        HIERARCHIES.iter().filter(|top| is_used(top)).map(|top| below(top)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_fit_the_kernel_up_to_a_hundred_hosts() {
        let run = RunId::parse("a1b2c3").unwrap();
        assert!(run.host(100).len() <= 15 && run.bridge().len() <= 15);
    }

    #[test]
    fn an_id_is_never_a_path_or_an_option() {
        for text in ["", "..", "a1b2c", "a1b2c3d", "a1b2/3", "-rf /x", "A1B2C3"] {
            assert_eq!(RunId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_has_a_cgroup_in_every_hierarchy_of_systemd() {
        let run = RunId::parse("a1b2c3").unwrap();
        let check = |mounted: &[&str], expected: &[&str]| {
            let found = run.cgroups("h", |hierarchy| mounted.contains(&hierarchy));
            let expected: Vec<PathBuf> =
                expected.iter().map(|top| PathBuf::from(top).join("agent-runner-lab/a1b2c3/h")).collect();
            assert_eq!(found, expected, "{mounted:?}");
        };
        check(&["/sys/fs/cgroup"], &["/sys/fs/cgroup"]);
        check(&["/sys/fs/cgroup/systemd"], &["/sys/fs/cgroup/systemd"]);
        check(
            &["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"],
            &["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"],
        );
    }
}

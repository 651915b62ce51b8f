//! The first look at a host: one script, one round trip. It tells what the host is, and where an agent is installed
//! it answers with that agent's own check of the manifest.

use std::collections::BTreeMap;

use agent_runner::apply::manifest::Scope;
use agent_runner::apply::report::Report;

/// What separates the facts from the report.
const REPORT: &str = "--- report";

/// Where things are on a host, by scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// The folder with `versions/` and `current`, as shell text.
    pub share: &'static str,
    /// The program's stable path, as shell text.
    pub program: &'static str,
}

impl Places {
    /// Returns the places of a host whose projects run in `scope`.
    pub fn of(scope: Scope) -> Places {
        match scope {
            Scope::User | Scope::Detached => {
                Places { share: "$HOME/.local/share/agent-runner", program: "$HOME/.local/bin/agent-runner" }
            }
            Scope::System => {
                Places { share: "/usr/local/lib/agent-runner", program: "/usr/local/bin/agent-runner" }
            }
        }
    }
}

/// What is asked of every host, by a deploy and by `doctor`: a line a fact. `fact` tells one, `has` looks for a program.
pub(super) const FACTS: &str = r#"set -u
fact() { printf '%s=%s\n' "$1" "$2"; }
has() { command -v "$1" >/dev/null 2>&1 && echo yes || echo no; }
fact kernel "$(uname -s)"
fact machine "$(uname -m)"
fact uid "$(id -u)"
fact user "$(id -un)"
fact home "$HOME"
fact free_kib "$(df -Pk "$HOME" 2>/dev/null | awk 'NR==2 {print $4}')"
fact systemd "$([ -d /run/systemd/system ] && echo yes || echo no)"
fact user_bus "$([ -S "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/bus" ] && echo yes || echo no)"
fact linger "$([ -e "/var/lib/systemd/linger/$(id -un)" ] && echo yes || echo no)"
fact git "$(has git)"
fact gzip "$(has gzip)"
fact clock "$(date +%s)"
"#;

/// Lets the services of the login outlive it, and waits for their bus: logind may allow it by itself, sudo where it
/// asks for no password.
pub const ENABLE_LINGER: &str = r#"me=$(id -un)
loginctl --no-ask-password enable-linger "$me" 2>/dev/null || sudo -n loginctl enable-linger "$me" || exit 1
bus="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/bus"
for i in 1 2 3 4 5 6 7 8 9 10; do [ -S "$bus" ] && exit 0; sleep 1; done
exit 1
"#;

/// Returns the probe's script for a verb of the agent's; its stdin is what that verb reads.
pub fn script(places: Places, verb: &str) -> String {
    let Places { share, program } = places;
    format!(
        r#"{FACTS}fact installed "$(basename "$(readlink "{share}/current" 2>/dev/null)" 2>/dev/null)"
printf '%s\n' '{REPORT}'
if [ -x "{program}" ]; then exec "{program}" --json {verb} --check; fi
cat >/dev/null
"#
    )
}

/// What a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `uname -s`.
    pub kernel: String,
    /// `uname -m`, by its one name.
    pub machine: String,
    /// The user that answered: the login's, or whom sudo made of it.
    pub user: String,
    /// Its user id, when it told.
    pub uid: Option<u32>,
    /// Its home folder.
    pub home: String,
    /// Free KiB where its home is, when `df` told.
    pub free_kib: Option<u64>,
    /// Whether systemd runs.
    pub systemd: Known,
    /// Whether the user's bus is there.
    pub user_bus: Known,
    /// Whether the user's services outlive the login.
    pub linger: Known,
    /// Whether git is installed.
    pub git: Known,
    /// Seconds since the epoch by the host's clock.
    pub clock: Option<i64>,
    /// The version folder that is current, when there is one.
    pub installed: Option<String>,
}

/// The answer to a yes-or-no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Yes.
    Yes,
    /// No, or the host did not say.
    No,
}

/// What the probe brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What the host is.
    pub facts: Facts,
    /// What the agent that is installed there says of the manifest, when there is one that understands it.
    pub report: Option<Report>,
}

/// Why a probe's output is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// A fact is missing: something else answered.
    #[error("the host did not answer the probe as a POSIX shell would: no `{0}`")]
    Missing(&'static str),
}

/// Reads the probe's output.
///
/// # Errors
/// When it lacks what every POSIX host tells.
pub fn read(output: &str) -> Result<Probed, ProbeError> {
    let (facts, report) = output.split_once(REPORT).unwrap_or((output, ""));
    let said: BTreeMap<&str, &str> = facts.lines().filter_map(|line| line.split_once('=')).collect();
    let need = |name: &'static str| {
        said.get(name).copied().filter(|value| !value.is_empty()).ok_or(ProbeError::Missing(name))
    };
    let yes = |name| if said.get(name) == Some(&"yes") { Known::Yes } else { Known::No };
    let facts = Facts {
        kernel: need("kernel")?.to_owned(),
        machine: crate::bundle::canonical(need("machine")?).to_owned(),
        user: need("user")?.to_owned(),
        uid: said.get("uid").and_then(|text| text.parse().ok()),
        home: need("home")?.to_owned(),
        free_kib: said.get("free_kib").and_then(|text| text.parse().ok()),
        systemd: yes("systemd"),
        user_bus: yes("user_bus"),
        linger: yes("linger"),
        git: yes("git"),
        clock: said.get("clock").and_then(|text| text.parse().ok()),
        installed: said.get("installed").map(|text| (*text).to_owned()).filter(|text| is_folder(text)),
    };
    Ok(Probed { facts, report: serde_json::from_str(report.trim()).ok() })
}

/// Returns whether a text can be the name of a version's folder: it becomes part of a script.
fn is_folder(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.chars().all(plain)
}

/// Returns why nothing can be deployed here, with its remedy; `None` when it can.
pub fn obstacle(facts: &Facts, needed_kib: u64, scope: Scope) -> Option<(String, String)> {
    if facts.kernel != "Linux" {
        return Some((format!("the host runs {}", facts.kernel), "the agent runs on Linux only".into()));
    }
    if scope == Scope::System && facts.uid.is_some_and(|uid| uid != 0) {
        let message = format!("units of the system need root, and {} is not", facts.user);
        return Some((message, "become root: --become, or become = true in the inventory".into()));
    }
    if facts.git == Known::No {
        return Some(("git is not installed".into(), "install it there: apt-get install git".into()));
    }
    if let Some(free) = facts.free_kib
        && free < needed_kib
    {
        let message = format!("{} has {free} KiB free, the agent needs {needed_kib} KiB", facts.home);
        return Some((message, format!("make room below {}", facts.home)));
    }
    if scope == Scope::User && (facts.systemd, facts.user_bus) != (Known::Yes, Known::Yes) {
        let message = if facts.systemd == Known::No {
            "systemd does not run there".to_owned()
        } else {
            format!("{} has no user bus", facts.user)
        };
        let remedy = if facts.systemd == Known::No {
            "set service = { scope = \"detached\" } for this project".to_owned()
        } else {
            format!("run there: sudo loginctl enable-linger {}", facts.user)
        };
        return Some((message, remedy));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_word_is_the_folder_of_a_version() {
        assert!(is_folder("0.1.0-3f2a9c0d11ee") && is_folder("1.2.0-rc.1+x-abc"));
        for odd in ["", ".", "..", "a/b", "$(id)", "a\" b", "a;b", "a b", "a\nb", &"x".repeat(200)] {
            assert!(!is_folder(odd), "{odd:?}");
        }
    }
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn run_here(places: Places) -> String {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &script(places, "apply")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(b"{}").unwrap();
        String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_real_shell_answers_the_probe() {
        let nowhere = Places { share: "/nonexistent", program: "/nonexistent" };
        let probed = read(&run_here(nowhere)).unwrap();
        assert_eq!(probed.facts.kernel, "Linux");
        assert_eq!(probed.facts.machine, std::env::consts::ARCH);
        assert!(probed.facts.clock.is_some_and(|clock| clock > 1_700_000_000));
        assert_eq!(probed.facts.installed, None);
        assert_eq!(probed.report, None);
    }

    #[test]
    fn what_is_no_shell_is_told_so() {
        assert_eq!(read("This account is currently not available.\n"), Err(ProbeError::Missing("kernel")));
    }

    #[test]
    fn obstacles_name_their_remedy() {
        let mut facts = read("kernel=Linux\nmachine=arm64\nuser=pi\nhome=/home/pi\nfree_kib=900\ngit=yes\n")
            .unwrap()
            .facts;
        assert_eq!(facts.machine, "aarch64");
        assert!(obstacle(&facts, 4096, Scope::Detached).unwrap().0.contains("900 KiB free"));
        facts.free_kib = Some(1 << 20);
        assert_eq!(obstacle(&facts, 4096, Scope::Detached), None);
        assert!(obstacle(&facts, 4096, Scope::User).unwrap().1.contains("detached"));
        facts.systemd = Known::Yes;
        assert!(obstacle(&facts, 4096, Scope::User).unwrap().1.contains("enable-linger pi"));
        facts.user_bus = Known::Yes;
        facts.uid = Some(1000);
        assert!(obstacle(&facts, 4096, Scope::System).unwrap().1.contains("--become"));
        assert_eq!(obstacle(&facts, 4096, Scope::User), None);
        facts.git = Known::No;
        assert!(obstacle(&facts, 4096, Scope::Detached).unwrap().1.contains("install git"));
    }
}

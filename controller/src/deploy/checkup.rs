//! Everything a deploy needs of a host, asked in one script and judged with a remedy for each lack. Writes nothing.

use std::collections::BTreeMap;

use agent_runner::apply::manifest::Scope;

use super::probe::{FACTS, Places};
use crate::bundle;
use crate::remote;
use crate::ssh::quote;

/// The agent opens processes by file descriptor: Linux 5.3 and newer.
const KERNEL_MIN: (u64, u64) = (5, 3);
/// How far a host's clock may be off before its log misleads, in seconds.
const CLOCK_OFF_S: i64 = 30;
/// What a host should have free for work besides the agent, in KiB: 200 MiB.
const ROOM_KIB: u64 = 200 << 10;
/// Free file names below which a disk counts as full.
const INODES_MIN: u64 = 1000;

/// What a deploy to one host will ask for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where the projects run.
    pub scope: Scope,
    /// The projects.
    pub projects: Vec<WantedProject>,
    /// The size of the agent in bytes, per machine it is carried for.
    pub agents: Vec<(String, u64)>,
    /// The controller's clock, in seconds since the epoch.
    pub now: i64,
}

/// What one project asks for.
#[derive(Debug, Clone)]
pub struct WantedProject {
    /// Its name.
    pub name: String,
    /// Its work tree, as the inventory writes it.
    pub work_dir: String,
    /// Whether it is cloned where it is missing.
    pub is_cloned: bool,
    /// The agent CLI.
    pub program: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// A deploy would fail.
    Blocks,
    /// A deploy would succeed, and something would be wrong later.
    Warns,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Wanted {
    /// Returns the agents that this controller carries.
    pub fn agents() -> Vec<(String, u64)> {
        bundle::agents().into_iter().map(|agent| (agent.machine.to_owned(), agent.size)).collect()
    }
}

/// Returns the script that asks.
pub fn script(wanted: &Wanted) -> String {
    let share = Places::of(wanted.scope).share;
    let mut script = format!(
        r#"PATH="$PATH:$HOME/.local/bin:$HOME/bin:/usr/local/bin"
{FACTS}near() {{ n=$1; while [ ! -e "$n" ] && [ ! -L "$n" ]; do n=$(dirname "$n"); done; printf %s "$n"; }}
kind() {{ if [ -L "$1" ] && [ ! -e "$1" ]; then echo dangling; elif [ -L "$1" ]; then echo link; elif [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; else echo missing; fi; }}
write() {{ [ -w "$1" ] && echo yes || echo no; }}
fact release "$(uname -r)"
fact home_kind "$(kind "$HOME")"
fact home_write "$(write "$HOME")"
fact free_inodes "$(df -Pi "$HOME" 2>/dev/null | awk 'NR==2 {{print $4}}')"
fact sudo "$(sudo -n true 2>/dev/null && echo yes || echo no)"
near=$(near "{share}")
fact share "$near"
fact share_kind "$(kind "$near")"
fact share_write "$(write "$near")"
fact noexec "$(findmnt -no OPTIONS -T "$near" 2>/dev/null | tr , '\n' | grep -cx noexec)"
for d in .local .local/bin .local/share .local/state .local/state/agent-runner .config .config/systemd/user; do
  k=$(kind "$HOME/$d"); case $k in folder|link|missing) ;; *) fact in_the_way "$HOME/$d" ;; esac
done
"#
    );
    for (number, project) in wanted.projects.iter().enumerate() {
        let (dir, program) = (remote::path(&project.work_dir), quote(&project.program));
        script.push_str(&format!(
            r#"d={dir}
fact {number}.dir "$d"
fact {number}.kind "$(kind "$d")"
n=$(near "$d")
fact {number}.near "$n"
fact {number}.near_kind "$(kind "$n")"
fact {number}.write "$(write "$n")"
fact {number}.git "$([ -e "$d/.git" ] && echo yes || echo no)"
fact {number}.program "$(has {program})"
"#
        ));
    }
    script
}

/// What the host said.
#[derive(Debug, Default)]
struct Facts<'a> {
    said: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Facts<'a> {
    fn of(output: &'a str) -> Facts<'a> {
        let mut said: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in output.lines().filter_map(|line| line.split_once('=')) {
            said.entry(name).or_default().push(value);
        }
        Facts { said }
    }

    fn get(&self, name: &str) -> &'a str {
        self.said.get(name).and_then(|values| values.first()).copied().unwrap_or_default()
    }

    fn yes(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }
}

/// Judges what the script printed. Pure.
pub fn judge(output: &str, wanted: &Wanted) -> Vec<Finding> {
    let facts = Facts::of(output);
    if facts.get("kernel").is_empty() {
        return vec![finding(
            Weight::Blocks,
            "no POSIX shell answered",
            "let the account have a login shell",
        )];
    }
    let mut found = Vec::new();
    machine(&facts, wanted, &mut found);
    room(&facts, wanted, &mut found);
    folders(&facts, &mut found);
    services(&facts, wanted.scope, &mut found);
    clock(&facts, wanted.now, &mut found);
    for (number, project) in wanted.projects.iter().enumerate() {
        work_tree(&facts, number, project, &mut found);
    }
    found.sort_by_key(|finding| finding.weight);
    found
}

fn machine(facts: &Facts<'_>, wanted: &Wanted, found: &mut Vec<Finding>) {
    let (kernel, release) = (facts.get("kernel"), facts.get("release"));
    if kernel != "Linux" {
        found.push(finding(
            Weight::Blocks,
            format!("the host runs {kernel}"),
            "the agent runs on Linux only",
        ));
    }
    let machine = bundle::canonical(facts.get("machine"));
    if !wanted.agents.iter().any(|(carried, _)| carried == machine) {
        let carried: Vec<&str> = wanted.agents.iter().map(|(machine, _)| machine.as_str()).collect();
        let remedy = format!("use a release that does; this one carries {}", carried.join(", "));
        found.push(finding(
            Weight::Blocks,
            format!("this controller carries no agent for {machine}"),
            remedy,
        ));
    }
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u64>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if kernel == "Linux" && version < KERNEL_MIN {
        let (major, minor) = KERNEL_MIN;
        found.push(finding(
            Weight::Blocks,
            format!("its kernel is {release}, the agent needs {major}.{minor}"),
            "upgrade the host's system",
        ));
    }
    for (program, weight) in [("git", Weight::Blocks), ("gzip", Weight::Warns)] {
        if !facts.yes(program) {
            let what = if program == "gzip" { " (uploads take twice the bytes)" } else { "" };
            let remedy = format!("install it there: apt-get install {program}");
            found.push(finding(weight, format!("{program} is not installed{what}"), remedy));
        }
    }
}

fn room(facts: &Facts<'_>, wanted: &Wanted, found: &mut Vec<Finding>) {
    let home = facts.get("home");
    let machine = bundle::canonical(facts.get("machine"));
    let agent = wanted.agents.iter().find(|(carried, _)| carried == machine).map_or(0, |(_, size)| *size);
    let needed = agent / 1024 * 2 + 1024;
    match facts.number("free_kib") {
        Some(free) if free < needed => found.push(finding(
            Weight::Blocks,
            format!("{home} has {free} KiB free, the agent needs {needed} KiB"),
            format!("make room below {home}"),
        )),
        Some(free) if free < ROOM_KIB => found.push(finding(
            Weight::Warns,
            format!("{home} has {} MiB free; rounds stop at a full disk", free / 1024),
            format!("make room below {home}"),
        )),
        Some(_) | None => {}
    }
    if facts.number("free_inodes").is_some_and(|free| free < INODES_MIN && free > 0) {
        found.push(finding(
            Weight::Warns,
            format!("the disk of {home} has room for {} more files", facts.get("free_inodes")),
            format!("remove small files below {home}"),
        ));
    }
}

fn folders(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let (home, share) = (facts.get("home"), facts.get("share"));
    if facts.get("home_kind") == "missing" {
        found.push(finding(
            Weight::Blocks,
            format!("the home {home} does not exist"),
            format!("sudo mkhomedir_helper {}", facts.get("user")),
        ));
    } else if !facts.yes("home_write") || !facts.yes("share_write") {
        let place = if facts.yes("home_write") { share } else { home };
        let remedy = format!("ls -ld {place} shows whose it is; a read-only file system has to be remounted");
        found.push(finding(Weight::Blocks, format!("{place} cannot be written"), remedy));
    }
    if facts.number("noexec").is_some_and(|count| count > 0) {
        found.push(finding(
            Weight::Blocks,
            format!("{share} is on a file system mounted noexec: the agent cannot execute there"),
            format!("findmnt -T {share} names the mount; remount it with exec"),
        ));
    }
    for path in facts.said.get("in_the_way").into_iter().flatten() {
        found.push(finding(
            Weight::Blocks,
            format!("{path} is a file where a folder is needed"),
            format!("move it away: mv {path} {path}.old"),
        ));
    }
}

fn services(facts: &Facts<'_>, scope: Scope, found: &mut Vec<Finding>) {
    let user = facts.get("user");
    let linger = format!("sudo loginctl enable-linger {user}");
    match scope {
        Scope::Detached => {}
        Scope::User if !facts.yes("systemd") => found.push(finding(
            Weight::Blocks,
            "systemd does not run there",
            "set service = { scope = \"detached\" } for the project",
        )),
        Scope::User => {
            let (bus, lingers) = (facts.yes("user_bus"), facts.yes("linger"));
            if !bus && !facts.yes("sudo") {
                found.push(finding(Weight::Blocks, format!("{user} has no user bus"), linger));
            } else if !lingers && !facts.yes("sudo") {
                found.push(finding(Weight::Warns, "services end at logout: lingering is off", linger));
            }
        }
        Scope::System if !facts.yes("systemd") => {
            found.push(finding(Weight::Blocks, "systemd does not run there", "use scope \"detached\""));
        }
        Scope::System => {
            if facts.get("uid") != "0" && !facts.yes("sudo") {
                found.push(finding(
                    Weight::Blocks,
                    format!("units of the system need root, and {user} may not sudo without a password"),
                    "set become = true and give -K, or use scope \"user\"",
                ));
            }
        }
    }
}

fn clock(facts: &Facts<'_>, now: i64, found: &mut Vec<Finding>) {
    let Ok(clock) = facts.get("clock").parse::<i64>() else { return };
    let off = clock - now;
    if off.abs() > CLOCK_OFF_S {
        let way = if off > 0 { "ahead" } else { "behind" };
        found.push(finding(
            Weight::Warns,
            format!("its clock is {} s {way} of this machine's", off.abs()),
            "let it keep time: timedatectl set-ntp true",
        ));
    }
}

fn work_tree(facts: &Facts<'_>, number: usize, project: &WantedProject, found: &mut Vec<Finding>) {
    let fact = |name: &str| facts.get(&format!("{number}.{name}"));
    let (name, dir, near) = (&project.name, fact("dir"), fact("near"));
    let mut blocks =
        |what: String, remedy: String| found.push(finding(Weight::Blocks, format!("{name}: {what}"), remedy));
    match fact("kind") {
        "link" | "dangling" => {
            blocks(format!("{dir} is a link"), "name the folder it leads to as work_dir".to_owned());
        }
        "file" => blocks(format!("{dir} is not a folder"), format!("move it away: mv {dir} {dir}.old")),
        "folder" if fact("write") != "yes" => {
            blocks(format!("{dir} cannot be written"), format!("ls -ld {dir} shows whose it is"));
        }
        "folder" if fact("git") != "yes" => {
            blocks(format!("{dir} is not a git work tree"), format!("git -C {dir} init"));
        }
        "missing" if fact("near_kind") == "file" => {
            blocks(format!("{near} is a file where a folder is needed"), format!("mv {near} {near}.old"));
        }
        "missing" if !project.is_cloned => blocks(
            format!("{dir} does not exist"),
            format!(
                "clone it there, or name its `repo` in fleet.toml (mkdir -p {dir} && git -C {dir} init makes an empty one)"
            ),
        ),
        "missing" if fact("write") != "yes" => {
            blocks(format!("{near} cannot be written"), format!("ls -ld {near} shows whose it is"));
        }
        _ => {}
    }
    if fact("program") != "yes" {
        found.push(finding(
            Weight::Warns,
            format!("{name}: the agent CLI `{}` is not found there", project.program),
            "install it for this login, or name it by its whole path in agent.command",
        ));
    }
}

fn finding(weight: Weight, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { weight, what: what.into(), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::Command;

    fn wanted(scope: Scope) -> Wanted {
        let project = WantedProject {
            name: "demo".into(),
            work_dir: "~/demo".into(),
            is_cloned: false,
            program: "sh".into(),
        };
        Wanted { scope, projects: vec![project], agents: vec![("x86_64".into(), 2 << 20)], now: 1000 }
    }

    const WELL: &str = "kernel=Linux\nrelease=6.1.0-13-amd64\nmachine=x86_64\nuser=pi\nuid=1000\nhome=/home/pi\n\
        home_kind=folder\nhome_write=yes\nfree_kib=9000000\nfree_inodes=90000\nsystemd=yes\nuser_bus=yes\nlinger=yes\n\
        sudo=no\ngit=yes\ngzip=yes\nclock=1003\nshare=/home/pi/.local\nshare_kind=folder\nshare_write=yes\nnoexec=0\n\
        0.dir=/home/pi/demo\n0.kind=folder\n0.near=/home/pi/demo\n0.near_kind=folder\n0.write=yes\n0.git=yes\n0.program=yes\n";

    #[test]
    fn each_lack_is_named_with_its_remedy() {
        let wanted = wanted(Scope::User);
        assert_eq!(judge(WELL, &wanted), []);
        let cases: &[(&str, &str, Weight, &str, &str)] = &[
            ("kernel=Linux", "kernel=Darwin", Weight::Blocks, "runs Darwin", "Linux only"),
            ("release=6.1.0-13-amd64", "release=4.19.0", Weight::Blocks, "4.19.0", "upgrade"),
            ("machine=x86_64", "machine=armv7l", Weight::Blocks, "no agent for armv7l", "carries x86_64"),
            ("free_kib=9000000", "free_kib=900", Weight::Blocks, "900 KiB free", "make room"),
            ("free_kib=9000000", "free_kib=90000", Weight::Warns, "87 MiB free", "make room"),
            ("free_inodes=90000", "free_inodes=9", Weight::Warns, "9 more files", "remove small files"),
            ("home_write=yes", "home_write=no", Weight::Blocks, "/home/pi cannot be written", "remounted"),
            ("noexec=0", "noexec=1", Weight::Blocks, "noexec", "remount"),
            ("systemd=yes", "systemd=no", Weight::Blocks, "systemd does not run", "detached"),
            ("user_bus=yes", "user_bus=no", Weight::Blocks, "no user bus", "enable-linger pi"),
            ("linger=yes", "linger=no", Weight::Warns, "services end at logout", "enable-linger pi"),
            ("git=yes", "git=no", Weight::Blocks, "git is not installed", "apt-get install git"),
            ("clock=1003", "clock=5000", Weight::Warns, "4000 s ahead", "set-ntp"),
            ("0.kind=folder", "0.kind=link", Weight::Blocks, "demo: /home/pi/demo is a link", "leads to"),
            ("0.kind=folder", "0.kind=file", Weight::Blocks, "is not a folder", "mv /home/pi/demo"),
            ("0.kind=folder", "0.kind=missing", Weight::Blocks, "does not exist", "`repo`"),
            ("0.git=yes", "0.git=no", Weight::Blocks, "not a git work tree", "init"),
            ("0.program=yes", "0.program=no", Weight::Warns, "agent CLI `sh`", "agent.command"),
            ("noexec=0", "in_the_way=/home/pi/.config", Weight::Blocks, "/home/pi/.config is a file", "mv "),
        ];
        for (from, to, weight, what, remedy) in cases {
            assert!(WELL.contains(from), "{from}");
            let found = judge(&WELL.replacen(from, to, 1), &wanted);
            let [one] = found.as_slice() else { panic!("{to}: {found:?}") };
            assert_eq!(one.weight, *weight, "{to}");
            assert!(one.what.contains(what) && one.remedy.contains(remedy), "{to}: {one:?}");
        }
        let root = judge(WELL, &self::wanted(Scope::System));
        assert!(root[0].what.contains("need root"), "{root:?}");
        assert!(judge("This account is not available.\n", &wanted)[0].what.contains("no POSIX shell"));
    }

    fn asked(home: &Path, wanted: &Wanted) -> Vec<Finding> {
        let output =
            Command::new("/bin/sh").args(["-c", &script(wanted)]).env("HOME", home).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let found = judge(&String::from_utf8_lossy(&output.stdout), wanted);
        // What this machine is like is not the test's business.
        found.into_iter().filter(|finding| finding.what.contains(&home.display().to_string())).collect()
    }

    #[test]
    fn a_real_shell_sees_links_and_files_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let wanted = wanted(Scope::Detached);
        let what = |found: &[Finding]| found.iter().map(|one| one.what.clone()).collect::<Vec<_>>();
        let missing = asked(&home, &wanted);
        assert!(what(&missing)[0].contains("does not exist"), "{missing:?}");
        fs::create_dir_all(home.join("real/.git")).unwrap();
        symlink("real", home.join("demo")).unwrap();
        agent_runner::store::atomic::replace(&home.join(".config"), b"").unwrap();
        let found = what(&asked(&home, &wanted));
        assert!(found.iter().any(|what| what.ends_with("/demo is a link")), "{found:?}");
        assert!(found.iter().any(|what| what.contains("/.config is a file")), "{found:?}");
    }
}

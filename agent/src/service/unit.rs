//! The text of the systemd units. Pure: paths in, text out; what cannot be written safely is refused.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Seconds a Loop may be silent before systemd ends and restarts it. It speaks twice in that time; the longest it is
/// busy with anything else is a slow disk.
pub const WATCHDOG_S: u64 = 300;

/// What the monitor never needs. The Loop's unit takes nothing away: its agent may do whatever its account may, and
/// most of these would also take `sudo` from it.
const HARDENED: &str = "NoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
                        SystemCallArchitectures=native\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n";

/// What only the system's manager can take away.
const HARDENED_SYSTEM: &str = "ProtectSystem=full\nProtectKernelTunables=yes\nProtectKernelModules=yes\n\
                               ProtectKernelLogs=yes\nProtectControlGroups=yes\n";

/// What a pair of units is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The project's name.
    pub project: String,
    /// The program, absolute, by the name that survives an upgrade.
    pub program: PathBuf,
    /// `runtime.work_dir`, absolute.
    pub work_dir: PathBuf,
    /// The configuration that was really loaded, absolute.
    pub config: PathBuf,
    /// The environment file; it may be missing.
    pub env_file: PathBuf,
    /// `PATH` of the Loop, for an agent CLI that systemd's own `PATH` does not reach.
    pub path: Option<String>,
    /// `TimeoutStopSec` of the Loop.
    pub stop_timeout_s: u64,
    /// `User=` and `Group=`, in system scope only.
    pub owner: Option<Owner>,
}

/// The account a system unit runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `User=`.
    pub user: String,
    /// `Group=`.
    pub group: String,
}

/// Text that must not go into a unit.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// A control character would start a directive of its own.
    #[error("{what} `{text}` contains a control character")]
    Control {
        /// What it is.
        what: &'static str,
        /// It, escaped.
        text: String,
    },
    /// systemd reads units as UTF-8.
    #[error("{what} `{text}` is not UTF-8")]
    NotUtf8 {
        /// What it is.
        what: &'static str,
        /// It, with replacement characters.
        text: String,
    },
    /// systemd would read it as another path.
    #[error("{what} `{text}` cannot be written in a unit: {reason}")]
    Unsafe {
        /// What it is.
        what: &'static str,
        /// It.
        text: String,
        /// Why.
        reason: &'static str,
    },
}

impl Spec {
    /// Returns the unit that runs the Loop.
    ///
    /// # Errors
    /// When a path or name must not go into a unit.
    pub fn serve(&self) -> Result<String, UnitError> {
        let mut unit = format!(
            "[Unit]\n\
             Description=Agent Runner Supervisor ({})\n\
             After=network.target\n\
             StartLimitIntervalSec=300\n\
             StartLimitBurst=5\n\
             \n",
            self.folder_name()?
        );
        unit.push_str(&self.service_head("serve", "Type=notify\nNotifyAccess=main\n")?);
        unit.push_str(&format!(
            "Restart=on-failure\n\
             RestartPreventExitStatus=78 75 70\n\
             RestartSec=3\n\
             KillMode=mixed\n\
             KillSignal=SIGTERM\n\
             TimeoutStopSec={}\n\
             WatchdogSec={WATCHDOG_S}\n\
             ExecReload=/bin/kill -USR2 $MAINPID\n\
             {}EnvironmentFile=-{}\n\
             Delegate=yes\n\
             OOMPolicy=continue\n",
            self.stop_timeout_s,
            self.search_path()?,
            directive_path("the environment file", &self.env_file)?
        ));
        unit.push_str(&self.install());
        Ok(unit)
    }

    /// Returns the unit that runs the Witness.
    ///
    /// # Errors
    /// When a path or name must not go into a unit.
    pub fn monitor(&self) -> Result<String, UnitError> {
        let mut unit = format!(
            "[Unit]\n\
             Description=Agent Runner Monitor ({})\n\
             After=network.target {}\n\
             \n",
            self.folder_name()?,
            super::project::serve_unit(&self.project),
        );
        unit.push_str(&self.service_head("monitor", "Type=simple\n")?);
        unit.push_str("Restart=always\nRestartSec=10\n");
        unit.push_str(HARDENED);
        if self.owner.is_some() {
            unit.push_str(HARDENED_SYSTEM);
        }
        unit.push_str(&self.install());
        Ok(unit)
    }

    /// The environment file comes after it and wins.
    fn search_path(&self) -> Result<String, UnitError> {
        let Some(path) = &self.path else { return Ok(String::new()) };
        let path = checked("the PATH", Path::new(path))?;
        let quoted = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        Ok(format!("Environment=\"PATH={quoted}\"\n"))
    }

    fn folder_name(&self) -> Result<String, UnitError> {
        let name = self.work_dir.file_name().unwrap_or(self.work_dir.as_os_str());
        Ok(checked("the work_dir", Path::new(name))?.replace('%', "%%"))
    }

    fn service_head(&self, verb: &str, kind: &str) -> Result<String, UnitError> {
        let mut head = format!("[Service]\n{kind}");
        if let Some(owner) = &self.owner {
            for name in [&owner.user, &owner.group] {
                checked("the account", Path::new(name))?;
            }
            head.push_str(&format!("User={}\nGroup={}\n", owner.user, owner.group));
        }
        head.push_str(&format!(
            "WorkingDirectory={}\nExecStart={} {verb} --config {}\n",
            directive_path("the work_dir", &self.work_dir)?,
            program(&self.program)?,
            word("the configuration", &self.config)?,
        ));
        Ok(head)
    }

    fn install(&self) -> String {
        let target = if self.owner.is_some() { "multi-user.target" } else { "default.target" };
        format!("\n[Install]\nWantedBy={target}\n")
    }
}

/// Returns the work_dir a unit was written for; `None` when it names none.
pub fn work_dir_of(unit: &str) -> Option<PathBuf> {
    let value = unit.lines().find_map(|line| line.trim().strip_prefix("WorkingDirectory="))?.trim();
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    Some(PathBuf::from(value.replace("%%", "%")))
}

/// Returns whether a running service must be started anew for a unit's change to take effect; the others take
/// effect with `daemon-reload`.
pub fn needs_restart(old: &str, new: &str) -> bool {
    const AT_START: [&str; 10] = [
        "Type",
        "NotifyAccess",
        "User",
        "Group",
        "WorkingDirectory",
        "ExecStart",
        "Environment",
        "EnvironmentFile",
        "Delegate",
        // Loops that were started without it do not know that they are waited for.
        "WatchdogSec",
    ];
    let at_start = |unit: &str| -> Vec<String> {
        let keyed = |line: &&str| line.split_once('=').is_some_and(|(key, _)| AT_START.contains(&key.trim()));
        let mut lines: Vec<String> = unit.lines().filter(keyed).map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    };
    at_start(old) != at_start(new)
}

/// A path that is a directive's whole value: only `%` is special, and what systemd would trim or join.
fn directive_path(what: &'static str, path: &Path) -> Result<String, UnitError> {
    let text = checked(what, path)?;
    let refused = |reason| Err(UnitError::Unsafe { what, text: text.to_owned(), reason });
    if text.ends_with('\\') {
        return refused("a backslash at the end joins the next line");
    }
    if text.trim() != text || text.starts_with('"') {
        return refused("blanks at its ends and a leading quote are dropped");
    }
    Ok(text.replace('%', "%%"))
}

/// The program of a command line; systemd does not undo `$$` there.
fn program(path: &Path) -> Result<String, UnitError> {
    if path.to_string_lossy().contains('$') {
        let text = path.to_string_lossy().into_owned();
        return Err(UnitError::Unsafe { what: "the program", text, reason: "`$` starts a variable" });
    }
    word("the program", path)
}

/// One word of a command line.
fn word(what: &'static str, path: &Path) -> Result<String, UnitError> {
    let text = checked(what, path)?;
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '@' | '+' | ':' | ',' | '=');
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let mut quoted = String::with_capacity(text.len() + 8);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

fn checked<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, UnitError> {
    let Some(text) = path.to_str() else {
        return Err(UnitError::NotUtf8 { what, text: path.to_string_lossy().into_owned() });
    };
    if text.chars().any(char::is_control) {
        return Err(UnitError::Control { what, text: text.escape_debug().to_string() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            project: "research".into(),
            program: "/home/pi/.local/bin/agent-runner".into(),
            work_dir: "/home/pi/research".into(),
            config: "/home/pi/research/agent-runner.toml".into(),
            env_file: "/home/pi/.config/agent-runner/research.env".into(),
            path: None,
            stop_timeout_s: 2020,
            owner: None,
        }
    }

    #[test]
    fn the_serve_unit_has_every_directive_of_the_contract() {
        let expected = "[Unit]\nDescription=Agent Runner Supervisor (research)\nAfter=network.target\n\
            StartLimitIntervalSec=300\nStartLimitBurst=5\n\n[Service]\nType=notify\nNotifyAccess=main\n\
            WorkingDirectory=/home/pi/research\n\
            ExecStart=/home/pi/.local/bin/agent-runner serve --config /home/pi/research/agent-runner.toml\n\
            Restart=on-failure\nRestartPreventExitStatus=78 75 70\nRestartSec=3\nKillMode=mixed\n\
            KillSignal=SIGTERM\nTimeoutStopSec=2020\nWatchdogSec=300\nExecReload=/bin/kill -USR2 $MAINPID\n\
            EnvironmentFile=-/home/pi/.config/agent-runner/research.env\nDelegate=yes\nOOMPolicy=continue\n\n\
            [Install]\nWantedBy=default.target\n";
        assert_eq!(spec().serve().unwrap(), expected);
    }

    #[test]
    fn the_monitor_unit_always_restarts_and_starts_after_serve() {
        let expected = "[Unit]\nDescription=Agent Runner Monitor (research)\n\
            After=network.target agent-runner@research.service\n\n[Service]\nType=simple\n\
            WorkingDirectory=/home/pi/research\n\
            ExecStart=/home/pi/.local/bin/agent-runner monitor --config /home/pi/research/agent-runner.toml\n\
            Restart=always\nRestartSec=10\n\
            NoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
            SystemCallArchitectures=native\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\n[Install]\nWantedBy=default.target\n";
        assert_eq!(spec().monitor().unwrap(), expected);
    }

    #[test]
    fn a_system_unit_names_its_account_and_its_target() {
        let owner = Some(Owner { user: "pi".into(), group: "users".into() });
        let unit = Spec { owner, ..spec() }.serve().unwrap();
        assert!(unit.contains("NotifyAccess=main\nUser=pi\nGroup=users\nWorkingDirectory="), "{unit}");
        assert!(unit.ends_with("WantedBy=multi-user.target\n"), "{unit}");
    }

    #[test]
    fn special_characters_are_escaped_where_they_are_special() {
        let unit = Spec {
            work_dir: "/srv/50% of it".into(),
            config: "/srv/a \"b\" $c\\d%/agent-runner.toml".into(),
            ..spec()
        }
        .serve()
        .unwrap();
        assert!(unit.contains("WorkingDirectory=/srv/50%% of it\n"), "{unit}");
        assert!(unit.contains("Description=Agent Runner Supervisor (50%% of it)\n"), "{unit}");
        assert!(unit.contains(r#"--config "/srv/a \"b\" $$c\\d%%/agent-runner.toml""#), "{unit}");
        assert_eq!(work_dir_of(&unit), Some("/srv/50% of it".into()));
    }

    #[test]
    fn what_would_change_the_units_meaning_is_refused() {
        let control = Spec { work_dir: "/srv/a\nExecStartPre=/bin/evil".into(), ..spec() };
        assert!(matches!(control.serve(), Err(UnitError::Control { .. })));
        assert!(matches!(control.monitor(), Err(UnitError::Control { .. })));
        for work_dir in ["/srv/a\\", "/srv/a ", "/srv/a\u{85}"] {
            assert!(Spec { work_dir: work_dir.into(), ..spec() }.serve().is_err(), "{work_dir}");
        }
        assert!(Spec { program: "/opt/$x/agent-runner".into(), ..spec() }.serve().is_err());
        let owner = Some(Owner { user: "pi\nUser=root".into(), group: "pi".into() });
        assert!(Spec { owner, ..spec() }.serve().is_err());
    }

    #[test]
    fn the_callers_path_is_one_quoted_assignment_before_the_environment_file() {
        let path = Some("/home/pi/50% \"x\"/bin:/usr/bin".to_owned());
        let unit = Spec { path, ..spec() }.serve().unwrap();
        let expected = "Environment=\"PATH=/home/pi/50%% \\\"x\\\"/bin:/usr/bin\"\nEnvironmentFile=-";
        assert!(unit.contains(expected), "{unit}");
        let path = Some("/bin\nUser=root".to_owned());
        assert!(matches!(Spec { path, ..spec() }.serve(), Err(UnitError::Control { .. })));
    }

    #[test]
    fn only_what_is_read_at_start_needs_a_restart() {
        let old = spec().serve().unwrap();
        let longer = Spec { stop_timeout_s: 4020, ..spec() }.serve().unwrap();
        assert!(!needs_restart(&old, &longer));
        let elsewhere = Spec { program: "/opt/agent-runner".into(), ..spec() }.serve().unwrap();
        assert!(needs_restart(&old, &elsewhere));
    }
}

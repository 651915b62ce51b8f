//! `agent-runner-fleet ssh-check`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner_inventory::HostName;
use clap::Args;
use serde::Serialize;

use crate::connection::Explained;
use crate::error::{Error, Exit, config};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::output::result_line::ResultLine;
use crate::ssh::{Client, Exec, Login, Negotiated, Settings, SshError, Unreachable};
use crate::targets::Target;
use crate::verb::context::printed;
use crate::verb::{Ctx, Patterns};

/// Show how hosts are reached: each setting and its source, the way, the login, the host key, the server's limits
///
/// Logs in to find out. Settings that nobody set are left out; --all shows them too.
#[derive(Debug, Args)]
pub struct SshCheckArgs {
    #[command(flatten)]
    on: Patterns,
    /// Also show settings with OpenSSH's default
    #[arg(long)]
    all: bool,
}

/// The limits of sshd that matter to a fleet, asked of the server itself where it may be asked, else of its files.
const LIMITS: &str = r#"PATH="$PATH:/usr/sbin:/sbin"
w='maxsessions|maxstartups|maxauthtries|logingracetime|persourcemaxstartups|persourcepenalties'
t=$(sshd -T 2>/dev/null | grep -iE "^($w) ") || t=
if [ -n "$t" ]; then echo "$t"; exit; fi
cat /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config 2>/dev/null | grep -iE "^[[:space:]]*($w)[[:space:]]" && exit
echo 'not readable'"#;

/// What a login showed.
#[derive(Debug, Serialize)]
struct Seen {
    /// The jump hosts, then the host, each as user@host:port.
    way: Vec<String>,
    /// What let us in, and what did not.
    login: String,
    /// `known`, or what is wrong with it.
    host_key: String,
    /// What both ends agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreed: Option<Agreed>,
    /// The server's limits, a keyword and its value each.
    limits: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Agreed {
    kex: String,
    cipher: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    host_key: String,
    server: String,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: SshCheckArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let connections = ctx.connections()?;
    let mut explained = Vec::with_capacity(targets.len());
    for target in &targets {
        let rows = connections.explain(&inventory, &target.host);
        explained.push((target.name.clone(), rows.map_err(|error| config(error.to_string()))?));
    }
    let seen: Arc<Mutex<HashMap<HostName, Seen>>> = Arc::default();
    let all = seen.clone();
    let recap = ctx.each_host(&inventory, "ssh-check", targets, move |client, target| {
        let seen = all.clone();
        async move {
            let (result, found) = check(&client, &target).await;
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(target.name.clone(), found);
            result
        }
    })?;
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    for ((name, rows), result) in explained.iter().zip(&recap.results) {
        let found = seen.get(name);
        if ctx.global.json {
            let line = ResultLine::of(result).with("settings", rows).with("connection", found);
            printed(print::json_line(&line))?;
        } else {
            let shown: Vec<&Explained> = rows.iter().filter(|row| args.all || !row.is_default).collect();
            printed(print::text(&text(name, &shown, found)))?;
        }
    }
    ctx.finish(&inventory, &recap)
}

async fn check(client: &Client, target: &Target) -> (HostResult, Seen) {
    let host = target.name.to_string();
    let mut seen = Seen {
        way: way(&target.settings),
        login: "none".to_owned(),
        host_key: "not seen".to_owned(),
        agreed: None,
        limits: Vec::new(),
    };
    let session = match client.session(&target.settings).await {
        Ok(session) => session,
        Err(error) => {
            error_in_words(&error, &mut seen);
            return (recap::of_ssh_error(&host, &error), seen);
        }
    };
    note(session.negotiated(), session.login(), &mut seen);
    match session.exec(target.exec(Exec::script(LIMITS))).await {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            seen.limits = said.lines().map(|line| line.trim().to_owned()).collect();
            (HostResult::new(host, Status::Ok, session.negotiated().server.clone()), seen)
        }
        Err(error) => (recap::of_ssh_error(&host, &error), seen),
    }
}

fn note(negotiated: &Negotiated, login: &Login, seen: &mut Seen) {
    let Negotiated { kex, cipher, mac, host_key, fingerprint, server } = negotiated.clone();
    seen.login = login.to_string();
    seen.host_key = format!("known: {host_key} {fingerprint}");
    seen.agreed = Some(Agreed { kex, cipher, mac, host_key, server });
}

/// Says what is known of key and login from the way a connection failed.
fn error_in_words(error: &SshError, seen: &mut Seen) {
    let SshError::Unreachable { cause, .. } = error else { return };
    match cause.as_ref() {
        Unreachable::HostKeyUnknown { .. } => seen.host_key = "unknown".to_owned(),
        Unreachable::HostKeyMismatch { .. } => seen.host_key = "not the recorded one".to_owned(),
        Unreachable::HostKeyRevoked { .. } => seen.host_key = "revoked".to_owned(),
        Unreachable::HostCertificate { .. } => seen.host_key = "a certificate that proves nothing".to_owned(),
        Unreachable::AuthRefused { .. } => {
            // Nobody is asked to let us in before the key was found to be the recorded one.
            seen.host_key = "known".to_owned();
            seen.login = "refused".to_owned();
        }
        Unreachable::Resolve { .. }
        | Unreachable::NoAddress { .. }
        | Unreachable::Refused { .. }
        | Unreachable::Connect { .. }
        | Unreachable::Timeout { .. }
        | Unreachable::Closed { .. }
        | Unreachable::Handshake { .. }
        | Unreachable::HostKeyFile { .. }
        | Unreachable::Jump { .. }
        | Unreachable::JumpRefused { .. }
        | Unreachable::ProxyCommand { .. }
        | Unreachable::ProxyEnded { .. }
        | Unreachable::Algorithms { .. } => {}
    }
}

/// Returns the hosts on the way, the host itself last.
fn way(settings: &Settings) -> Vec<String> {
    let step = |settings: &Settings| format!("{}@{}", settings.user, settings.endpoint());
    let mut way: Vec<String> = settings.jumps.iter().map(step).collect();
    way.extend(settings.proxy_command.iter().map(|command| format!("command `{command}`")));
    way.push(step(settings));
    way
}

fn text(name: &HostName, rows: &[&Explained], seen: Option<&Seen>) -> String {
    let mut text = format!("{name}\n");
    let width = rows.iter().map(|row| row.keyword.len()).max().unwrap_or_default();
    for row in rows {
        let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
        let (keyword, fate) = (&row.keyword, row.fate.as_str());
        let _ = writeln!(text, "  {keyword:width$}  {}  ({})  {fate}{why}", row.value, row.source);
    }
    let Some(seen) = seen else { return text };
    let _ = writeln!(text, "way:      {}", seen.way.join(" -> "));
    let _ = writeln!(text, "host key: {}", seen.host_key);
    let _ = writeln!(text, "login:    {}", seen.login);
    if let Some(agreed) = &seen.agreed {
        let mac = agreed.mac.as_ref().map(|mac| format!(", {mac}")).unwrap_or_default();
        let _ = writeln!(text, "agreed:   {}, {}{mac} ({})", agreed.kex, agreed.cipher, agreed.server);
        let _ = writeln!(text, "sshd:     {}", seen.limits.join(", "));
    }
    text
}

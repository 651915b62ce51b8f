//! `agent-runner-fleet init`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use agent_runner_inventory::Inventory;
use clap::Args;

use crate::error::{Error, Exit, config};
use crate::import::{self, Imported};
use crate::output::print;
use crate::verb::Ctx;

/// The largest inventory that is imported, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Write a commented fleet.toml to start from
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The fleet's name
    #[arg(long, default_value = "my-fleet")]
    name: String,
    /// Take the hosts your OpenSSH configuration names
    #[arg(long, conflicts_with = "from_ansible")]
    from_ssh_config: bool,
    /// Take the hosts and groups of an Ansible inventory, INI or YAML
    #[arg(long, value_name = "FILE")]
    from_ansible: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn run(ctx: &Ctx, args: InitArgs) -> Result<Exit, Error> {
    ctx.selects_nothing("init", "it writes the inventory that hosts are selected from")?;
    let path = ctx.global.inventory.clone().unwrap_or_else(|| PathBuf::from("fleet.toml"));
    let text = match (&args.from_ansible, args.from_ssh_config) {
        (Some(file), _) => {
            let read = read(file)?;
            let imported = import::ansible(&read);
            let failed = |error| config(format!("cannot import {}", file.display())).caused_by(error);
            as_text(imported.map_err(failed)?, &args.name)?
        }
        (None, true) => as_text(import::aliases(ctx.connections()?.aliases()), &args.name)?,
        (None, false) => agent_runner_inventory::scaffold(&args.name),
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(config(format!("{} exists already", path.display()))
                .hinted("name another file with --inventory FILE"));
        }
        Err(error) => return Err(config(format!("cannot write {}", path.display())).caused_by(error)),
    }
    let next = if args.from_ssh_config || args.from_ansible.is_some() {
        "look at it with agent-runner-fleet hosts, then try agent-runner-fleet ping"
    } else {
        "put your hosts into it, then run agent-runner-fleet hosts"
    };
    print::note(&format!("wrote {}; next: {next}", path.display()));
    Ok(Exit::Ok)
}

/// Returns an imported inventory as text that loads, and says what has no place in it.
fn as_text(mut imported: Imported, name: &str) -> Result<String, Error> {
    let text = import::fleet_text(&mut imported, name);
    for what in &imported.left_out {
        print::note(&format!("left out: {what}"));
    }
    let inventory = Inventory::parse(&text, "fleet.toml".as_ref());
    let inventory =
        inventory.map_err(|error| config("what was imported makes no inventory").caused_by(error))?;
    if inventory.hosts().is_empty() {
        return Err(config("there are no hosts to import"));
    }
    print::note(&format!("imported {} hosts in {} groups", inventory.hosts().len(), inventory.groups.len()));
    Ok(text)
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |error| config(format!("cannot read {}", file.display())).caused_by(error);
    let mut text = String::new();
    let bounded = File::open(file).map(|open| open.take(MAX_BYTES + 1));
    bounded.and_then(|mut open| open.read_to_string(&mut text)).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(config(format!("{} is larger than {} MiB", file.display(), MAX_BYTES >> 20)));
    }
    Ok(text)
}

//! `agent-runner-fleet init`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit, config};
use crate::output::print;

/// Write a commented fleet.toml to start from
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The fleet's name
    #[arg(long, default_value = "my-fleet")]
    name: String,
}

/// Runs the verb.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn run(ctx: &Ctx, args: InitArgs) -> Result<Exit, Error> {
    let path = ctx.global.inventory.clone().unwrap_or_else(|| PathBuf::from("fleet.toml"));
    let text = agent_runner_inventory::scaffold(&args.name);
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
    print::note(&format!(
        "wrote {0}; next: put your hosts into it, then run agent-runner-fleet hosts",
        path.display()
    ));
    Ok(Exit::Ok)
}

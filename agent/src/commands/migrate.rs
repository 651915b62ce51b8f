//! `agent-runner migrate`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::config::migrate::{Migration, migrate};
use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::store::atomic;
use crate::unified;
use crate::verb::Ctx;

/// The largest file that is read, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Bring an older agent-runner.toml to today's form
///
/// Comments and layout are kept, and the previous text is left beside it as FILE.bak. Exits with 1 when something is
/// left that only a person can decide, and with 2 when the file cannot be read.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema_version: u32,
    path: &'a Path,
    dry_run: bool,
    changed: bool,
    applied: &'a [String],
    manual: &'a [String],
    notes: &'a [String],
    backup: Option<&'a Path>,
}

/// Runs the verb.
///
/// # Errors
/// With exit code 2 when the file cannot be read or is no TOML, with 1 when it cannot be written.
pub fn run(ctx: &Ctx, args: MigrateArgs) -> Result<Exit, Error> {
    let shown = ctx.config.display();
    // A link is followed: the file behind it is replaced, not the link.
    let path = fs::canonicalize(&ctx.config)
        .map_err(|error| Error::new(Exit::Usage, format!("{shown}: cannot be read")).caused_by(error))?;
    let text = read(&path)?;
    let migration = migrate(&text, &path, ctx.home().as_deref())
        .map_err(|error| Error::new(Exit::Usage, format!("{shown}: cannot be migrated")).caused_by(error))?;
    let changed = migration.text != text;
    let backup = if changed && !args.dry_run { Some(replace(&path, &text, &migration.text)?) } else { None };
    printed(match ctx.format {
        Format::Json => output::print_json(&Report {
            schema_version: 1,
            path: &path,
            dry_run: args.dry_run,
            changed,
            applied: &migration.applied,
            manual: &migration.manual,
            notes: &migration.notes,
            backup: backup.as_deref(),
        }),
        Format::Pretty => {
            output::print(&pretty(&migration, &text, &Told { args: &args, backup: backup.as_deref() }))
        }
    })?;
    Ok(if migration.manual.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |text: &str| Error::new(Exit::Usage, format!("{}: {text}", path.display()));
    let meta = fs::metadata(path).map_err(|error| failed("cannot be read").caused_by(error))?;
    if !meta.is_file() || meta.len() > SIZE_MAX {
        return Err(failed("is no file of at most 1 MiB"));
    }
    fs::read_to_string(path).map_err(|error| failed("cannot be read").caused_by(error))
}

/// Writes the previous text beside the file, then the file, both as readable as it was.
fn replace(path: &Path, old: &str, new: &str) -> Result<PathBuf, Error> {
    let failed = |error: std::io::Error, path: &Path| {
        Error::failed(format!("{}: cannot be written", path.display())).caused_by(error)
    };
    let mode = fs::metadata(path).map_err(|error| failed(error, path))?.permissions().mode() & 0o777;
    let mut backup = path.as_os_str().to_owned();
    backup.push(".bak");
    let backup = PathBuf::from(backup);
    atomic::replace_with_mode(&backup, old.as_bytes(), mode).map_err(|error| failed(error, &backup))?;
    atomic::replace_with_mode(path, new.as_bytes(), mode).map_err(|error| failed(error, path))?;
    Ok(backup)
}

struct Told<'a> {
    args: &'a MigrateArgs,
    backup: Option<&'a Path>,
}

fn pretty(migration: &Migration, old: &str, told: &Told<'_>) -> String {
    let mut text = String::new();
    for (mark, lines) in
        [("rewrite", &migration.applied), ("NOTE", &migration.notes), ("MANUAL", &migration.manual)]
    {
        for line in lines {
            text.push_str(&format!("{mark}: {line}\n"));
        }
    }
    if told.args.dry_run && migration.text != old {
        text.push_str(&unified::diff(old, &migration.text, 2, ("now", "migrated")));
    }
    match told.backup {
        Some(backup) => text.push_str(&format!("The previous text is in {}.\n", backup.display())),
        None if migration.text == old => text.push_str("Nothing to rewrite.\n"),
        None => {}
    }
    text
}

//! `agent-runner init`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::config::scaffold;
use crate::error::{Error, Exit, in_words};
use crate::git::{Git, Limits};
use crate::output::printed;
use crate::output::{self, Format};
use crate::provider::presets::Presets;
use crate::store::atomic;
use crate::verb::Ctx;

/// What is written, in the order of writing; the configuration is last, because its being there means done.
const PROMPT: &str = "prompts/main.md";
const IGNORE: &str = ".gitignore";
const CONFIG: &str = "agent-runner.toml";

/// The line that keeps logs out of the work tree's state.
const IGNORED: &str = "logs/";

/// Scaffold agent-runner.toml, prompts/main.md and a .gitignore line
///
/// The folder of the configuration has to be in a git work tree. The files are committed unless told not to; a commit
/// that git refuses is not an error.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The agent CLI to run; `agent-runner presets` lists them
    #[arg(long, value_name = "NAME", default_value = "claude")]
    preset: String,
    /// Replace files that are already there
    #[arg(long)]
    force: bool,
    /// Commit the files (the default)
    #[arg(long, overrides_with = "no_commit")]
    commit: bool,
    /// Leave the files uncommitted
    #[arg(long)]
    no_commit: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    work_dir: &'a Path,
    files_created: &'a [String],
    committed: bool,
    preset: &'a str,
}

/// Runs the verb.
///
/// # Errors
/// With exit code 1 outside a git work tree, when the configuration is already there, and for an unknown preset.
pub fn run(ctx: &Ctx, args: InitArgs) -> Result<Exit, Error> {
    let work_dir = project_folder(ctx)?;
    let mut git = Git::new(&work_dir, Limits::default());
    let inside =
        git.locate().map_err(|error| Error::failed("looking for a git work tree").caused_by(error))?;
    if inside.is_none() {
        let text = format!("{} is not in a git work tree", work_dir.display());
        return Err(Error::failed(text).hinted("run `git init` there first"));
    }
    let config = work_dir.join(CONFIG);
    if config.symlink_metadata().is_ok() && !args.force {
        let text = format!("{} already exists", config.display());
        return Err(Error::failed(text).hinted("`--force` replaces it"));
    }
    let text = config_text(ctx, &args, &work_dir)?;
    let created = write_files(&work_dir, &text, &args)?;
    let paths: Vec<&str> = created.iter().map(String::as_str).collect();
    let committed = !args.no_commit
        && match git.commit_paths(&paths, "chore: agent-runner initial config") {
            Ok(()) => true,
            Err(error) => {
                output::note(&format!("not committed: {}", in_words(&error)));
                false
            }
        };
    let report = Report { work_dir: &work_dir, files_created: &created, committed, preset: &args.preset };
    printed(match ctx.format {
        Format::Json => output::print_json(&report),
        Format::Pretty => output::print(&pretty(&report)),
    })?;
    Ok(Exit::Ok)
}

/// Returns the folder to set up: the one the configuration is to be in.
fn project_folder(ctx: &Ctx) -> Result<PathBuf, Error> {
    let shown = ctx.config.display();
    if ctx.config.file_name().is_none_or(|name| name != CONFIG) {
        return Err(Error::new(
            Exit::Config,
            format!("{shown}: a project's configuration is called {CONFIG}"),
        ));
    }
    let folder = std::path::absolute(&ctx.config).ok().and_then(|path| path.parent().map(Path::to_owned));
    let folder = folder.and_then(|folder| fs::canonicalize(folder).ok()).filter(|folder| folder.is_dir());
    folder.ok_or_else(|| Error::failed(format!("{shown}: there is no such folder")))
}

fn config_text(ctx: &Ctx, args: &InitArgs, work_dir: &Path) -> Result<String, Error> {
    let presets = Presets::load(&ctx.preset_folders(Some(work_dir)));
    let project = work_dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let entry = presets.get(&args.preset).ok_or_else(|| {
        let names: Vec<_> = presets.entries().iter().map(|entry| entry.name.clone()).collect();
        Error::failed(format!("there is no preset `{}`", args.preset))
            .hinted(format!("presets: {}", names.join(", ")))
    })?;
    scaffold::config_text(entry, &project)
        .ok_or_else(|| Error::failed(format!("the preset `{}` has no [preset], only rules", args.preset)))
}

fn write_files(work_dir: &Path, config: &str, args: &InitArgs) -> Result<Vec<String>, Error> {
    let mut created = Vec::new();
    let write = |name: &str, text: &str| {
        let path = work_dir.join(name);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        folder
            .and_then(|()| atomic::replace_with_mode(&path, text.as_bytes(), 0o644))
            .map_err(|error| Error::failed(format!("{}: cannot be written", path.display())).caused_by(error))
    };
    if args.force || !work_dir.join(PROMPT).exists() {
        write(PROMPT, scaffold::PROMPT)?;
        created.push(PROMPT.to_owned());
    }
    // What is not UTF-8 is left alone: it cannot be rewritten without loss.
    let ignore = match fs::read_to_string(work_dir.join(IGNORE)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(String::new()),
        Err(error) => {
            output::note(&format!("{IGNORE}: `{IGNORED}` not added: {}", in_words(&error)));
            None
        }
    };
    if let Some(text) = ignore.filter(|text| !text.lines().any(|line| line.trim() == IGNORED)) {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        write(IGNORE, &format!("{text}{gap}{IGNORED}\n"))?;
        created.push(IGNORE.to_owned());
    }
    write(CONFIG, config)?;
    created.push(CONFIG.to_owned());
    Ok(created)
}

fn pretty(report: &Report<'_>) -> String {
    let mut text = format!("{} for the preset {}\n", report.work_dir.display(), report.preset);
    for file in report.files_created {
        text.push_str(&format!("  {file}\n"));
    }
    text.push_str(if report.committed { "  committed\n" } else { "  not committed\n" });
    text.push_str("Next: write prompts/main.md, then `agent-runner doctor` and `agent-runner round`.\n");
    text
}

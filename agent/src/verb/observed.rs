//! The configuration of a verb that only looks.

use std::path::{Path, PathBuf};

use super::{ConfigGiven, Ctx};
use crate::config::types::Config;
use crate::error::{Error, Exit, in_words};

/// What the configuration's file may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    /// `agent-runner.toml`: the verb addresses a project by its folder.
    Fixed,
    /// Anything.
    Any,
}

/// Loads the configuration that `--config` names.
///
/// # Errors
/// When it is called otherwise, missing or unusable.
pub(crate) fn load(ctx: &Ctx, name: FileName) -> Result<Config, Error> {
    let fixed = ctx.config.file_name().is_some_and(|name| name == "agent-runner.toml");
    if name == FileName::Fixed && !fixed {
        let text = format!("{} is not called agent-runner.toml", ctx.config.display());
        return Err(Error::failed(text).hinted("this verb addresses a project by its folder"));
    }
    match Config::load(&ctx.config, ctx.home().as_deref()) {
        Ok(loaded) => Ok(loaded.config),
        Err(error) => {
            let exit = if error.missing() { Exit::Failed } else { Exit::Config };
            let mut failed = Error::from(error);
            failed.exit = exit;
            Err(match ctx.config_given {
                ConfigGiven::ByDefault if exit == Exit::Failed => {
                    failed.hinted("run this in the project's folder, or name the file with --config")
                }
                ConfigGiven::ByDefault | ConfigGiven::ByOption => failed,
            })
        }
    }
}

/// Loads a configuration again, later, for a verb that goes on whatever becomes of the file.
pub(crate) fn reload(path: &Path, home: Option<PathBuf>) -> Result<Config, String> {
    Config::load(path, home.as_deref()).map(|loaded| loaded.config).map_err(|error| in_words(&error))
}

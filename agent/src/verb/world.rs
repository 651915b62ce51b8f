//! What verbs that switch programs see of this host.

use std::ffi::OsString;

use super::Ctx;
use crate::apply::World;
use crate::error::Error;

/// Returns this process's surroundings.
///
/// # Errors
/// When the kernel does not tell this program's path.
pub(crate) fn of(ctx: &Ctx) -> Result<World, Error> {
    let program =
        ctx.program().map_err(|error| Error::failed("asking for this program's path").caused_by(error))?;
    let fail_at = if cfg!(debug_assertions) { ctx.env("AGENT_RUNNER_FAIL_AT") } else { None };
    let path = ctx.env("PATH").map(OsString::from);
    Ok(World { acting: ctx.account(), invoker: ctx.sudo_account(), program, called: None, path, fail_at })
}

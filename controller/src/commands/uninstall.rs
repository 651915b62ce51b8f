//! `agent-runner-fleet uninstall`.

use agent_runner::service::uninstall::{OF_THE_SYSTEM, STILL_DRAINS};
use clap::Args;

use crate::error::{Error, Exit};
use crate::output::recap::{self, HostResult, Status};
use crate::remote;
use crate::ssh::{Exec, Output};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};
use crate::verb::deed::Deed;

/// Stop, disable and remove the units of the projects
///
/// The round in progress ends first: a unit whose round takes longer than 5 s to end is disabled and stays until uninstall
/// is run again. Agent, configuration and work tree stay; install or deploy bring the units back.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: UninstallArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, on) = agent_verb::targets(ctx, &inventory, &args.on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let deed = Deed { verb: "uninstall", projects: args.on.projects(), command: None };
    let doing = ctx.begin(&inventory, &targets, &deed);
    let deadline = ctx.deadline();
    let recap = ctx.each_host(&inventory, "uninstall", targets, move |client, target| {
        let on = on.get(&target.name).cloned().unwrap_or_default();
        async move {
            let host = target.name.to_string();
            let session = match client.session(&target.settings).await {
                Ok(session) => session,
                Err(error) => return recap::of_ssh_error(&host, &error),
            };
            let (mut done, mut draining) = (Vec::new(), Vec::new());
            for (project, work_dir) in on {
                let exec = Exec::command(remote::agent(&work_dir, &["uninstall"])).deadline(Some(deadline));
                match session.exec(target.exec(exec)).await {
                    Ok(output) if output.success() && !says(&output, OF_THE_SYSTEM) => done.push(project),
                    Ok(output) if output.success() => {
                        let message = format!("{project}: the units are the system's");
                        return HostResult::new(host, Status::Failed, message)
                            .hinted("become root: --become")
                            .with_tail(&String::from_utf8_lossy(&output.stderr));
                    }
                    Ok(output) if says(&output, STILL_DRAINS) => draining.push(project),
                    Ok(output) => return agent_verb::refused(&host, &project, &output),
                    Err(error) => return recap::of_ssh_error(&host, &error),
                }
            }
            if !draining.is_empty() {
                let message = format!("{} {STILL_DRAINS}: the unit stays until it has", draining.join(", "));
                return HostResult::new(host, Status::Failed, message)
                    .hinted("uninstall again once the round has ended; agent-runner-fleet kill ends it now");
            }
            HostResult::new(host, Status::Changed, done.join(", "))
        }
    })?;
    ctx.print_results(&recap)?;
    let exit = ctx.finish(&inventory, &recap)?;
    doing.end(&recap, exit);
    Ok(exit)
}

/// Returns whether the agent said this.
fn says(output: &Output, words: &str) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(words)
}

//! `agent-runner-fleet ping`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::output::recap::{self, HostResult, Status};
use crate::ssh::{Exec, sudo_refusal};
use crate::verb::{Ctx, Patterns};

/// Log in to hosts
///
/// Makes a connection, logs in, and lets /bin/sh answer, through sudo where that is wanted: everything a deploy needs of
/// the way there.
#[derive(Debug, Args)]
pub struct PingArgs {
    #[command(flatten)]
    on: Patterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: PingArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let recap = ctx.each_host(&inventory, "ping", targets, |client, target| async move {
        let host = target.name.to_string();
        let started = tokio::time::Instant::now();
        let answered = async {
            let session = client.session(&target.settings).await?;
            let output = session.exec(target.exec(Exec::command("echo pong"))).await?;
            Ok((output, session.negotiated().server.clone()))
        };
        match answered.await {
            Ok((output, server)) if output.stdout == b"pong\n" => {
                let ms = started.elapsed().as_millis();
                HostResult::new(host, Status::Ok, format!("{ms} ms, {server}"))
            }
            Ok((output, _)) => {
                let result = HostResult::new(
                    host,
                    Status::Failed,
                    format!("/bin/sh did not answer ({})", output.status),
                )
                .with_tail(&String::from_utf8_lossy(&output.stderr));
                match sudo_refusal(&output.stderr) {
                    Some((why, remedy)) => result.hinted(format!("{why}: {remedy}")),
                    None => result,
                }
            }
            Err(error) => recap::of_ssh_error(&host, &error),
        }
    })?;
    ctx.print_results(&recap)?;
    ctx.finish(&inventory, &recap)
}

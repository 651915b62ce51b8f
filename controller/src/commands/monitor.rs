//! `agent-runner-fleet monitor`.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_runner_inventory::Inventory;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::cancel::Cancel;
use crate::error::{Error, Exit, config};
use crate::fleetview::coverage::Coverage;
use crate::fleetview::state::Fleet;
use crate::fleetview::told::Told;
use crate::output::fleet_lines::{self, Detail};
use crate::output::live::{Live, Redraw};
use crate::output::print;
use crate::output::progress::Show;
use crate::verb::context::printed;
use crate::verb::watching::{Ready, Role, say_looker, some_project};
use crate::verb::{Ctx, Patterns};
use crate::web::server::{self, Options};
use crate::web::token;

/// Follow every host in one stream, and stop those that do harm
///
/// Each host's own monitor stops its service; where none runs, this one does, for the detectors in the inventory's
/// `monitor.auto_stop` and never more than `monitor.brake` of the fleet within ten minutes. Ends with Ctrl-C.
#[derive(Debug, Args)]
pub struct MonitorArgs {
    #[command(flatten)]
    on: Patterns,
    /// Only these projects; repeatable
    #[arg(short, long, value_name = "NAME")]
    project: Vec<String>,
    /// Show every event, not only how rounds end
    #[arg(long, conflicts_with = "alerts")]
    events: bool,
    /// Show alerts, links and stops only
    #[arg(long)]
    alerts: bool,
    /// Serve the fleet on this address: a page, /metrics for Prometheus, /api/v1; port 0 takes a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:7300")]
    serve: Option<SocketAddr>,
    /// The file with the token that acting from the page needs, and reading too where others can reach ADDR [default: one that is made in the state folder]
    #[arg(long, value_name = "FILE", requires = "serve")]
    token_file: Option<PathBuf>,
    /// A host name the page answers to, besides addresses and localhost; repeatable
    #[arg(long, value_name = "NAME", requires = "serve")]
    serve_name: Vec<String>,
    /// End by itself after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    duration_s: Option<u64>,
}

impl MonitorArgs {
    fn detail(&self) -> Detail {
        match (self.events, self.alerts) {
            (true, _) => Detail::Everything,
            (false, true) => Detail::Alerts,
            (false, false) => Detail::Rounds,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: MonitorArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &args.project)?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    some_project(&targets, &projects)?;
    let role = ctx.role(&inventory)?;
    if matches!(role, Role::Looker) {
        say_looker(&ctx.history_path(&inventory)?);
    }
    let token = args.serve.map(|_| token(ctx, &inventory, args.token_file.as_deref())).transpose()?;
    let mut view = View::new(ctx, args.detail());
    let fleet = ctx.block_on(async {
        let cancel = Cancel::new();
        cancel.listen().map_err(|error| config("cannot listen for signals").caused_by(error))?;
        let ready = ctx.prepare(&inventory, role, ctx.client(), (&targets, &projects))?;
        let end = async {
            let limit = async {
                match args.duration_s {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = limit => {}
                () = cancel.stopping() => {}
            }
        };
        let Ready { watcher, mut workers, lock } = ready;
        if let (Some(address), Some((token, path))) = (args.serve, token) {
            let failed = |error| config(format!("the dashboard on {address}")).caused_by(error);
            let listener = server::bind(address).await.map_err(failed)?;
            say_where(listener.local_addr().map_err(failed)?, &path);
            let by = format!("{} (dashboard)", ctx.user());
            let options = Options { names: names(ctx, args.serve_name), token, by };
            let served = server::serve(listener, watcher.hub(), options);
            workers.spawn(async {
                if let Err(error) = served.await {
                    tracing::error!(%error, "the dashboard ended");
                }
            });
        }
        view.begin(&watcher.hub().snapshot())?;
        let fleet = watcher.run(|fleet, told| view.tell(fleet, told), end).await;
        workers.shutdown().await;
        drop(lock);
        Ok(fleet)
    })?;
    view.finish(&fleet);
    Ok(Exit::Ok)
}

/// Returns the token, and the file it is in.
fn token(ctx: &Ctx, inventory: &Inventory, file: Option<&Path>) -> Result<(SecretString, PathBuf), Error> {
    let failed = |error| {
        config("the dashboard's token")
            .caused_by(error)
            .hinted("write one with: (umask 077; head -c 32 /dev/urandom | base64 > FILE)")
    };
    if let Some(path) = file {
        return Ok((token::read(path).map_err(failed)?, path.to_owned()));
    }
    let path = ctx.history_path(inventory)?.with_file_name(format!("{}.token", inventory.fleet.name));
    Ok((token::read_or_make(&path).map_err(failed)?, path))
}

/// Returns the host names the page answers to: the given ones and this machine's own.
fn names(ctx: &Ctx, given: Vec<String>) -> Vec<String> {
    given.into_iter().chain([ctx.machine()]).filter(|name| !name.is_empty()).collect()
}

fn say_where(address: SocketAddr, token: &Path) {
    let needed = if address.ip().is_loopback() { "acting from it" } else { "it" };
    print::note(&format!("dashboard: http://{address}/ (the token for {needed} is in {})", token.display()));
}

/// Shows what the fold makes known: JSON lines, plain lines, or lines over a live table.
pub struct View {
    form: Form,
    detail: Detail,
    zone: TimeZone,
}

enum Form {
    Json,
    Lines,
    Live(Live, Redraw),
}

impl View {
    /// Returns the view that suits the options and the terminal.
    pub fn new(ctx: &Ctx, detail: Detail) -> View {
        let form = match ctx.show() {
            _ if ctx.global.json => Form::Json,
            Show::Live => Form::Live(Live::default(), Redraw::default()),
            Show::Lines | Show::Steps | Show::Nothing => Form::Lines,
        };
        View { form, detail, zone: TimeZone::system() }
    }

    /// Says, where the watch sees a part of the fleet only, what that means.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn begin(&self, fleet: &Fleet) -> Result<(), Error> {
        let coverage = Coverage::of(fleet);
        match &self.form {
            Form::Json => match fleet_lines::coverage_json(&coverage, Timestamp::now()) {
                Some(line) => printed(print::json_line(&line)),
                None => Ok(()),
            },
            Form::Lines | Form::Live(..) => {
                fleet_lines::coverage_text(&coverage).iter().for_each(|text| print::note(text));
                Ok(())
            }
        }
    }

    /// Shows what became known; breaks when nobody reads any more.
    pub fn tell(&mut self, fleet: &Fleet, told: &[Told]) -> ControlFlow<()> {
        for one in told {
            let printed = match &self.form {
                Form::Json => print::json_line(&fleet_lines::json(one, &fleet.name, Timestamp::now())),
                Form::Lines => match fleet_lines::text(one, self.detail) {
                    Some(line) => print::text(&format!("{} {line}\n", self.clock(one))),
                    None => Ok(()),
                },
                Form::Live(live, _) => {
                    if let Some(line) = fleet_lines::text(one, self.detail) {
                        live.line(&format!("{} {line}", self.clock(one)));
                    }
                    Ok(())
                }
            };
            if printed.is_err() {
                return ControlFlow::Break(());
            }
        }
        if let Form::Live(live, redraw) = &mut self.form
            && redraw.is_due()
        {
            live.table(&fleet_lines::table(fleet));
        }
        ControlFlow::Continue(())
    }

    /// Shows a line of our own between the others.
    pub fn line(&self, line: &str) {
        match &self.form {
            Form::Json => {}
            // A closed stdout is noticed with the next line of the fleet.
            Form::Lines => drop(print::text(&format!("{line}\n"))),
            Form::Live(live, _) => live.line(line),
        }
    }

    /// Shows the last state and leaves the terminal as it was.
    pub fn finish(&mut self, fleet: &Fleet) {
        if let Form::Live(live, _) = &self.form {
            live.finish();
        }
        if !matches!(self.form, Form::Json) {
            // The summary is for a person; one who has closed stdout does not want it.
            let _ = printed(print::text(&format!("\n{}\n", fleet_lines::table(fleet).join("\n"))));
        }
    }

    /// Returns the clock in front of a line: the event's own time, else now.
    fn clock(&self, told: &Told) -> String {
        match told {
            Told::Event { event, .. } => fleet_lines::clock(event, &self.zone),
            Told::Fired { .. }
            | Told::Changed { .. }
            | Told::Notify(_)
            | Told::Rebooted { .. }
            | Told::Resumed { .. }
            | Told::Resolved { .. }
            | Told::State { .. }
            | Told::LinkUp { .. }
            | Told::LinkDown { .. }
            | Told::StopWanted { .. }
            | Told::Stopped { .. }
            | Told::StopFailed { .. }
            | Told::BrakeEngaged { .. } => {
                Timestamp::now().to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
            }
        }
    }
}

//! One verb a file: its arguments, whose docs are `--help`, and `run`. Here the environment may be read.

pub mod apply;
pub mod cancel;
pub mod doctor;
pub mod events;
pub mod init;
pub mod install;
pub mod kill;
pub mod migrate;
pub mod monitor;
pub mod peek;
pub mod presets;
pub mod restart;
pub mod round;
pub mod serve;
pub mod start;
pub mod status;
pub mod stop;
pub mod uninstall;
pub mod watch;

mod alert_line;
mod context;
mod observed;
mod project;
mod relayed;

pub use context::{ConfigGiven, Ctx};

use clap::Subcommand;

use crate::error::{Error, Exit};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Scaffold agent-runner.toml, prompts/main.md and a .gitignore line
    Init(init::InitArgs),
    /// Write, enable and start the systemd unit
    Install(install::InstallArgs),
    /// Stop, disable and remove the systemd units
    Uninstall(uninstall::UninstallArgs),
    /// Start the service
    Start(start::StartArgs),
    /// Stop the service after its round
    Stop(stop::StopArgs),
    /// End the service and its round now
    Kill(kill::KillArgs),
    /// Interrupt the running round, then stop
    Cancel(cancel::CancelArgs),
    /// Stop and start the service
    Restart(restart::RestartArgs),
    /// Show whether the service runs
    Status(status::StatusArgs),
    /// Run one round
    Round(round::RoundArgs),
    /// Run rounds until told to stop
    Serve(serve::ServeArgs),
    /// Show what is going on
    Peek(peek::PeekArgs),
    /// Show what is going on, again and again
    Watch(watch::WatchArgs),
    /// Query or follow the event log
    Events(events::EventsArgs),
    /// Watch for trouble and stop the service when it does harm
    Monitor(monitor::MonitorArgs),
    /// Check everything a round needs, without running one
    Doctor(doctor::DoctorArgs),
    /// Bring an older agent-runner.toml to today's form
    Migrate(migrate::MigrateArgs),
    /// Bring this host to the state of a manifest read from stdin
    Apply(apply::ApplyArgs),
    /// List the agent CLIs that are known, and how their output is read
    Presets(presets::PresetsArgs),
}

/// Runs a verb.
///
/// # Errors
/// What the verb returns.
pub fn run(ctx: &Ctx, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Init(args) => init::run(ctx, args),
        Command::Install(args) => install::run(ctx, args),
        Command::Uninstall(args) => uninstall::run(ctx, args),
        Command::Start(args) => start::run(ctx, args),
        Command::Stop(args) => stop::run(ctx, args),
        Command::Kill(args) => kill::run(ctx, args),
        Command::Cancel(args) => cancel::run(ctx, args),
        Command::Restart(args) => restart::run(ctx, args),
        Command::Status(args) => status::run(ctx, args),
        Command::Round(args) => round::run(ctx, args),
        Command::Serve(args) => serve::run(ctx, args),
        Command::Peek(args) => peek::run(ctx, args),
        Command::Watch(args) => watch::run(ctx, args),
        Command::Events(args) => events::run(ctx, args),
        Command::Monitor(args) => monitor::run(ctx, args),
        Command::Doctor(args) => doctor::run(ctx, args),
        Command::Migrate(args) => migrate::run(ctx, args),
        Command::Apply(args) => apply::run(ctx, args),
        Command::Presets(args) => presets::run(ctx, args),
    }
}

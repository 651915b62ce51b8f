//! One verb a file: its arguments, whose docs are `--help`, and `run`. What they share is in `verb`.

pub mod apply;
pub mod cancel;
pub mod completions;
pub mod doctor;
pub mod events;
pub mod init;
pub mod install;
pub mod kill;
pub mod man;
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
pub mod upgrade;
pub mod watch;

use clap::Subcommand;

use crate::error::{Error, Exit};
use crate::verb::Ctx;

/// The verbs; their help is the documentation of their arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::InitArgs),
    Install(install::InstallArgs),
    Uninstall(uninstall::UninstallArgs),
    Start(start::StartArgs),
    Stop(stop::StopArgs),
    Kill(kill::KillArgs),
    Cancel(cancel::CancelArgs),
    Restart(restart::RestartArgs),
    Status(status::StatusArgs),
    Round(round::RoundArgs),
    Serve(serve::ServeArgs),
    Peek(peek::PeekArgs),
    Watch(watch::WatchArgs),
    Events(events::EventsArgs),
    Monitor(monitor::MonitorArgs),
    Doctor(doctor::DoctorArgs),
    Migrate(migrate::MigrateArgs),
    Upgrade(upgrade::UpgradeArgs),
    Apply(apply::ApplyArgs),
    Presets(presets::PresetsArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs a verb.
///
/// # Errors
/// What the verb returns.
pub(crate) fn run(ctx: &Ctx, command: Command) -> Result<Exit, Error> {
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
        Command::Upgrade(args) => upgrade::run(ctx, args),
        Command::Apply(args) => apply::run(ctx, args),
        Command::Presets(args) => presets::run(ctx, args),
        Command::Completions(args) => completions::run(ctx, args),
        Command::Man(args) => man::run(ctx, args),
    }
}

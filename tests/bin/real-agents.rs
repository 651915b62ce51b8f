//! Real agent CLIs against a provider on loopback: installs them, plays every case, and compares with the recordings
//! or renews them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agent_runner_tests::mock_provider::{Behavior, MockProvider};
use agent_runner_tests::real_agents::case::Case;
use agent_runner_tests::real_agents::cli::{CLIS, Cli};
use agent_runner_tests::real_agents::compare::{base, difference};
use agent_runner_tests::real_agents::install::{install, prune};
use agent_runner_tests::real_agents::play::{Stage, play, version};
use agent_runner_tests::real_agents::recording::{self, Recording};
use agent_runner_tests::real_agents::sandbox;
use agent_runner_tests::run::run;
use agent_runner_tests::skip::{self, Unavailable};
use anyhow::Context as _;

const USAGE: &str = "usage: real-agents install [CLI[@VERSION]]..\n\
    \x20      real-agents check [CLI[@VERSION]].. [--quick] [--case NAME]..\n\
    \x20      real-agents record [CLI[@VERSION]].. [--case NAME]..\n\
    \x20      real-agents mock BEHAVIOR [PORT]\n\
    install brings the CLIs into the cache, and removes versions that are neither pinned nor recorded\n\
    check   installs the CLIs, plays every case, and shows what differs from the recordings, of another version where\n\
    \x20       this one has none: what is read from it, which fails the check, and the shapes of records\n\
    record  the same, and renews the recordings\n\
    mock    the provider alone, until it is ended\n";

/// The mock alone ends after this time.
const DAY: Duration = Duration::from_secs(86400);
/// All cases of one CLI, at most.
const CLI_DEADLINE: Duration = Duration::from_secs(1500);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        Some((verb, rest)) if verb == "check" || verb == "record" => outside(verb == "record", rest),
        Some((verb, rest)) if verb == "install" => bring(rest).map(|()| true),
        Some((verb, rest)) if verb == "inside" => inside(rest).map(|()| true),
        Some((verb, rest)) if verb == "mock" => mock(rest).map(|()| true),
        Some(_) | None => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn mock(words: &[String]) -> anyhow::Result<()> {
    let behavior: Behavior = words.first().context("which behavior?")?.parse()?;
    let port: u16 = words.get(1).map_or(Ok(0), |port| port.parse())?;
    let mock = MockProvider::start_at(behavior, (Ipv4Addr::LOCALHOST, port).into())?;
    say(&format!("{}\n", mock.url()));
    let mut shown = 0;
    let _ = agent_runner_tests::wait::until(DAY, || {
        for seen in mock.seen().iter().skip(shown) {
            shown += 1;
            say(&format!(
                "{}{}\n",
                seen.what,
                if seen.foreign_key { " REFUSED: not the mock's own key" } else { "" }
            ));
        }
        false
    });
    Ok(())
}

/// Installs and tidies.
fn bring(words: &[String]) -> anyhow::Result<()> {
    let (clis, _) = selected(words)?;
    for cli in clis {
        match install(&cli) {
            Ok(programs) => say(&format!("{}: {}\n", cli.folder(), programs.display())),
            Err(Unavailable::Missing(reason)) => skip::skip(&format!("{}: {reason}", cli.folder())),
            Err(Unavailable::Failed(error)) => return Err(error),
        }
    }
    for name in prune()? {
        say(&format!("{name}: removed\n"));
    }
    Ok(())
}

/// Installs, plays inside, compares.
fn outside(renew: bool, words: &[String]) -> anyhow::Result<bool> {
    let (clis, cases) = selected(words)?;
    let mut same = true;
    for cli in clis {
        let cases: Vec<Case> = cases.iter().copied().filter(|case| cli.plays(*case)).collect();
        let programs = match install(&cli) {
            Ok(programs) => programs,
            Err(Unavailable::Missing(reason)) => {
                skip::skip(&format!("{}: {reason}", cli.folder()));
                continue;
            }
            Err(Unavailable::Failed(error)) => return Err(error),
        };
        let scratch = tempfile::Builder::new().prefix("agent-runner-agents-").tempdir()?;
        match played(&cli, &programs, scratch.path(), &cases) {
            Ok(failed) => {
                say(&failed);
                same &= failed.is_empty();
            }
            Err(Unavailable::Missing(reason)) => {
                skip::skip(&format!("{}: {reason}", cli.folder()));
                continue;
            }
            Err(Unavailable::Failed(error)) => return Err(error),
        }
        same &= compared(&cli, scratch.path(), &cases, renew)?;
    }
    Ok(same)
}

fn selected(words: &[String]) -> anyhow::Result<(Vec<Cli>, Vec<Case>)> {
    let (mut clis, mut cases) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--quick" {
            cases.extend(Case::quick());
            continue;
        }
        if word == "--case" {
            cases.push(words.next().context("which case?")?.parse()?);
            continue;
        }
        let (name, version) =
            word.split_once('@').map_or((word.as_str(), None), |(name, version)| (name, Some(version)));
        let mut cli = *Cli::named(name)?;
        if let Some(version) = version {
            cli.version = Box::leak(version.to_owned().into_boxed_str());
        }
        clis.push(cli);
    }
    if clis.is_empty() {
        clis = CLIS.to_vec();
    }
    if cases.is_empty() {
        cases = Case::all().collect();
    }
    Ok((clis, cases))
}

/// Plays cases inside; returns what failed.
fn played(cli: &Cli, programs: &Path, scratch: &Path, cases: &[Case]) -> Result<String, Unavailable> {
    let own = std::env::current_exe().context("this program")?;
    let folder = own.parent().context("this program's folder")?;
    let (program, agent_runner) = (scratch.join("real-agents"), scratch.join("agent-runner"));
    fs::copy(&own, &program).context("this program")?;
    fs::copy(folder.join("agent-runner-under-test"), &agent_runner)
        .context("agent-runner-under-test beside this program: build all programs of this package")?;
    sandbox::hand_over(scratch)?;
    let mut words: Vec<OsString> = ["inside", cli.name, cli.version].map(OsString::from).into();
    words.extend([programs.into(), scratch.into()]);
    words.extend(cases.iter().map(|case| OsString::from(case.name())));
    let mut command = sandbox::command(&program, &words)?;
    let output = run(&mut command, CLI_DEADLINE)?;
    say(&output.stdout);
    Ok(if output.success() { String::new() } else { output.stderr })
}

/// Plays cases where nothing but loopback is.
fn inside(words: &[String]) -> anyhow::Result<()> {
    sandbox::ensure_inside()?;
    let [name, pinned, programs, scratch, cases @ ..] = words else {
        anyhow::bail!("wrong words: {words:?}")
    };
    let cli = Cli::named(name)?;
    let scratch = PathBuf::from(scratch);
    let (patient, logged_out) = (cli.patient(), cli.logged_out());
    let stage = |folder: &str, case: Option<Case>| Stage {
        cli: match case {
            Some(Case::Patient(_)) => &patient,
            Some(Case::LoggedOut) => &logged_out,
            Some(Case::Provider(_) | Case::Stopped | Case::Served) | None => cli,
        },
        programs: Path::new(programs),
        agent_runner: Box::leak(scratch.join("agent-runner").into_boxed_path()),
        folder: scratch.join(folder),
    };
    let told = version(&stage("version", None))?;
    anyhow::ensure!(told.contains(pinned.as_str()), "{name} says that it is {told}, not {pinned}");
    let mut failed = Vec::new();
    for case in cases {
        let case: Case = case.parse()?;
        let kept = play(&stage(case.name(), Some(case)), case).and_then(|recording| {
            recording.save(&scratch.join("out"), case.name())?;
            Ok(recording)
        });
        match kept {
            Ok(recording) => {
                say(&format!("{name} {pinned} {case}: exit {}\n", recording.outcome.exit_code));
            }
            Err(error) => failed.push(format!("{case}: {error:#}")),
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Shows what differs from the recordings that are kept.
fn compared(cli: &Cli, scratch: &Path, cases: &[Case], renew: bool) -> anyhow::Result<bool> {
    let (out, own) = (scratch.join("out"), recording::folder().join(cli.folder()));
    let kept = base(&recording::folder(), cli.name, cli.version).unwrap_or_else(|| own.clone());
    let against = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut differing = BTreeMap::new();
    for case in cases {
        // What failed has been told.
        let Ok(new) = Recording::load(&out, case.name()) else { continue };
        match Recording::load(&kept, case.name()) {
            Err(_) => {
                differing.insert(case.name(), "no recording is kept".to_owned());
            }
            Ok(old) => {
                let found = difference(&old, &new)?;
                if !found.shapes.is_empty() {
                    say(&format!("{} {case}: records of other shapes\n{}", cli.folder(), found.shapes));
                }
                if !found.outcome.is_empty() {
                    differing.insert(case.name(), found.outcome);
                }
            }
        }
        if renew {
            new.save(&own, case.name())?;
        }
    }
    for (case, difference) in &differing {
        say(&format!("{} {case}: {difference}\n", cli.folder()));
    }
    say(&format!(
        "{}: {} cases, {} differ from the recordings of {against}\n",
        cli.folder(),
        cases.len(),
        differing.len()
    ));
    Ok(renew || differing.is_empty())
}

fn say(text: &str) {
    // A reader that has gone needs no text.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

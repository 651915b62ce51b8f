//! Every step of a deploy, what can happen at it, and what shall come of it; `docs/fleet.md` shows the same table.

use std::fs;
use std::path::Path;

/// One line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) step: Step,
    pub(super) fault: Fault,
    /// The exit code of the deploy; a killed one has none of its own.
    pub(super) code: i32,
    /// What the host runs when everything has settled.
    pub(super) runs: Release,
}

/// The steps, as the page numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Probe,
    Plan,
    Lock,
    Upload,
    HalfSent,
    Stage,
    Drain,
    Switch,
    Confirm,
    Record,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    ControllerKilled,
    CableCut,
    PowerCut,
    Reboot,
    DiskFull,
    BinaryCannotExecute,
    ReleaseRefused,
    UnitFailsToStart,
    ServiceDies,
    LoginBroken,
    WrongClock,
}

/// Which release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    Old,
    New,
}

const KILLED: i32 = 137;
const OK: i32 = 0;
const FAILED: i32 = 2;
const UNREACHABLE: i32 = 4;
const REVERTED: i32 = 2 | 16;

use Fault::*;
use Release::{New, Old};
use Step::*;

pub(super) const CASES: &[Case] = &[
    case(Probe, ControllerKilled, KILLED, Old),
    case(Plan, ControllerKilled, KILLED, Old),
    case(Lock, ControllerKilled, KILLED, Old),
    case(Upload, ControllerKilled, KILLED, Old),
    case(HalfSent, ControllerKilled, KILLED, Old),
    case(Stage, ControllerKilled, KILLED, Old),
    case(Drain, ControllerKilled, KILLED, Old),
    case(Switch, ControllerKilled, KILLED, Old),
    case(Confirm, ControllerKilled, KILLED, Old),
    case(Record, ControllerKilled, KILLED, New),
    case(Probe, CableCut, UNREACHABLE, Old),
    case(Plan, CableCut, FAILED, Old),
    case(Lock, CableCut, FAILED, Old),
    case(Upload, CableCut, FAILED, Old),
    case(HalfSent, CableCut, FAILED, Old),
    case(Stage, CableCut, FAILED, Old),
    case(Drain, CableCut, FAILED, Old),
    case(Switch, CableCut, FAILED, Old),
    case(Confirm, CableCut, FAILED, Old),
    case(Record, CableCut, OK, New),
    case(Probe, PowerCut, UNREACHABLE, Old),
    case(Plan, PowerCut, FAILED, Old),
    case(Lock, PowerCut, FAILED, Old),
    case(Upload, PowerCut, FAILED, Old),
    case(HalfSent, PowerCut, FAILED, Old),
    case(Stage, PowerCut, FAILED, Old),
    case(Drain, PowerCut, FAILED, Old),
    case(Switch, PowerCut, FAILED, Old),
    case(Confirm, PowerCut, FAILED, Old),
    case(Record, PowerCut, OK, New),
    case(Upload, Reboot, FAILED, Old),
    case(HalfSent, Reboot, FAILED, Old),
    case(Switch, Reboot, FAILED, Old),
    case(Confirm, Reboot, FAILED, Old),
    case(Upload, DiskFull, FAILED, Old),
    case(Stage, DiskFull, FAILED, Old),
    case(Switch, DiskFull, REVERTED, Old),
    case(Upload, BinaryCannotExecute, FAILED, Old),
    case(Stage, ReleaseRefused, FAILED, Old),
    case(Confirm, UnitFailsToStart, REVERTED, Old),
    case(Confirm, ServiceDies, REVERTED, Old),
    case(Confirm, LoginBroken, REVERTED, Old),
    case(Probe, WrongClock, OK, New),
];

const fn case(step: Step, fault: Fault, code: i32, runs: Release) -> Case {
    Case { step, fault, code, runs }
}

impl Step {
    /// Its name in the environment.
    pub(super) fn name(self) -> &'static str {
        match self {
            Probe => "probe",
            Plan => "plan",
            Lock => "lock",
            Upload => "upload",
            HalfSent => "half_sent",
            Stage => "stage",
            Drain => "drain",
            Switch => "switch",
            Confirm => "confirm",
            Record => "record",
        }
    }

    /// Its name on the page.
    fn words(self) -> &'static str {
        if self == HalfSent { "upload, half of it sent" } else { self.name() }
    }
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            ControllerKilled => "controller killed",
            CableCut => "cable cut",
            PowerCut => "power pulled, then on again",
            Reboot => "host rebooted",
            DiskFull => "disk full",
            BinaryCannotExecute => "the agent cannot execute there",
            ReleaseRefused => "the host refuses the release",
            UnitFailsToStart => "the unit fails to start",
            ServiceDies => "the service dies after 10 s (`healthy = \"round\"`)",
            LoginBroken => "the new release's unit locks the login out",
            WrongClock => "the clocks are a day apart",
        }
    }
}

fn page() -> String {
    let mut page = String::from("| step | fault | deploy ends with | the host runs |\n|---|---|---|---|\n");
    for case in CASES {
        let code = if case.code == KILLED { "-".to_owned() } else { case.code.to_string() };
        let runs = match case.runs {
            Old => "the old release",
            New => "the new one",
        };
        page.push_str(&format!("| {} | {} | {code} | {runs} |\n", case.step.words(), case.fault.words()));
    }
    page
}

#[test]
fn the_page_shows_the_table_of_faults() {
    const BEGIN: &str = "<!-- faults: written by the test -->\n";
    const END: &str = "<!-- end of faults -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", page())).unwrap();
    } else {
        assert_eq!(shown, page(), "docs/fleet.md is stale: AGENT_RUNNER_WRITE_DOCS=1 writes it");
    }
}

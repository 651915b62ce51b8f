//! Hosts that differ from the usual one, each doing its job or failing with the right sentence; what came of it is
//! `docs/interoperability.md`.

use agent_runner_tests::interop::{Row, hold, server_in};
use agent_runner_tests::run::{Output, run};
use agent_runner_tests::skip::{or_skip, skip};
use agent_runner_tests::wait;

use super::matrix_fleet::{MatrixFleet, PASSWORD, matrix_fleet};

/// One line of the matrix: what is odd, the hosts it is asked of, what is asked, how that ends and what is said.
struct Case {
    odd: &'static str,
    on: &'static str,
    ask: &'static [&'static str],
    code: i32,
    says: &'static str,
}

const WORKS: i32 = 0;
const FAILED: i32 = 2;
const UNREACHABLE: i32 = 4;

/// Prints through an expansion, a pipe and a quote that shells other than /bin/sh would take apart.
const JOB: &str = "x='a  b'; printf '%s|' \"$x\" '$(id)' | sed \"s/|/;/g\"; umask";

const CASES: &[Case] = &[
    case(
        "login shell fish, umask 077, banner, slow DNS",
        "fish",
        &["exec", "--", JOB],
        (WORKS, "a  b;$(id);0077"),
    ),
    case("login shell tcsh", "tcsh", &["exec", "--", JOB], (WORKS, "a  b;$(id);0022")),
    case("no sftp-server, no gzip", "tcsh", &["ssh-check"], (WORKS, "login:    key ")),
    case(
        "MaxStartups 2:50:4, twelve connections at once",
        "m[01-12]",
        &["exec", "--", "echo in"],
        (WORKS, "m[01-12] (12)\n  in"),
    ),
    case(
        "MaxSessions 1, four commands at once",
        "s[1-4]",
        &["exec", "--", "sleep 0.2; echo in"],
        (WORKS, "s[1-4] (4)\n  in"),
    ),
    case("host key changed", "changed", &["ping"], (UNREACHABLE, "does not match the recorded one")),
    case(
        "recorded key is of the second type",
        "second",
        &["ssh-check"],
        (WORKS, "known: ecdsa-sha2-nistp256"),
    ),
    case("host key revoked", "revoked", &["ping"], (UNREACHABLE, "is revoked by")),
    case("host unknown", "stranger", &["ping"], (UNREACHABLE, "agent-runner-fleet trust stranger")),
    case("lets in by certificate only", "certificate", &["ssh-check"], (WORKS, "login:    certificate ")),
    case(
        "lets in by certificate only, and we have none",
        "no-certificate",
        &["ping"],
        (UNREACHABLE, "was not let in: key "),
    ),
    case("lets in by password only", "password", &["exec", "--ask-pass", "--", "id -un"], (WORKS, "ops")),
    case(
        "lets in by password only, and nobody is asked",
        "password",
        &["ping"],
        (UNREACHABLE, "the host accepts password"),
    ),
    case(
        "asks for the password itself (keyboard-interactive, PAM)",
        "asks",
        &["exec", "--ask-pass", "--", "id -un"],
        (WORKS, "ops"),
    ),
    case("reached through a jump host only", "middle", &["ssh-check"], (WORKS, " -> ops@")),
    case("the same, straight", "straight", &["ping"], (UNREACHABLE, "was not let in")),
    case("reached through two jump hosts", "inner", &["exec", "--", JOB], (WORKS, "a  b;$(id);0022")),
    case(
        "disk full",
        "fish",
        &["exec", "--", "cat /etc/hostname > full/x"],
        (FAILED, "No space left on device"),
    ),
    case("sudo without a password", "tcsh", &["exec", "-b", "--", "id -u"], (WORKS, "\n  0\n")),
    case("sudo refuses", "fish", &["exec", "-b", "--", "id -u"], (FAILED, "--ask-become-pass")),
    case("dropbear", "dropbear", &["exec", "--", JOB], (WORKS, "a  b;$(id);0022")),
    case("nothing but busybox", "busybox", &["exec", "--", JOB], (WORKS, "a  b;$(id);0022")),
    case(
        "nothing but busybox, limits of sshd asked for",
        "busybox",
        &["ssh-check"],
        (WORKS, "sshd:     not readable"),
    ),
];

const fn case(
    odd: &'static str,
    on: &'static str,
    ask: &'static [&'static str],
    (code, says): (i32, &'static str),
) -> Case {
    Case { odd, on, ask, code, says }
}

#[test]
fn odd_hosts_do_their_job_or_say_why_not() {
    let Some(fleet) = or_skip(matrix_fleet()) else { return };
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let missing = [("dropbear", fleet.has_dropbear), ("busybox", fleet.has_busybox)];
        if missing.contains(&(case.on, false)) {
            skip(&format!("{} is not on this machine (dropbear-bin, busybox-static)", case.on));
            continue;
        }
        let output = ask(&fleet, case);
        let said = format!("{}{}", output.stdout, output.stderr);
        if output.code() != case.code || !said.contains(case.says) {
            wrong.push(format!("{}: ended with {}, wanted {:?}\n{said}", case.odd, output.code(), case.says));
        }
        let (what, server, result) = (case.odd.to_owned(), server(&fleet, case), result(case));
        rows.push(Row { what, server, result });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(
        fleet.slow_resolver_was_asked().unwrap(),
        "the host with the slow resolver did not look up names"
    );
    hold("Odd hosts", &rows).unwrap();
}

fn ask(fleet: &MatrixFleet, case: &Case) -> Output {
    assert!(!case.ask.contains(&PASSWORD), "a password is on no command line");
    let (verb, rest) = case.ask.split_first().unwrap();
    run_with_askpass(fleet, &[&[*verb, case.on], rest].concat())
}

fn run_with_askpass(fleet: &MatrixFleet, arguments: &[&str]) -> Output {
    let mut command = fleet.controller.command();
    command.args(arguments);
    command.env("SSH_ASKPASS", fleet.controller.home().join("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
    run(&mut command, wait::DEADLINE).unwrap()
}

/// What a host's server calls itself, where it lets us in.
fn server(fleet: &MatrixFleet, case: &Case) -> String {
    let first = case.on.split('[').next().unwrap_or_default();
    let name = if first == case.on { first.to_owned() } else { format!("{first}*") };
    let asked = case.ask.iter().copied().filter(|word| *word == "--ask-pass");
    let arguments: Vec<&str> = ["ping", "--json", &name].into_iter().chain(asked).collect();
    let output = run_with_askpass(fleet, &arguments);
    let lines = output.json_lines().unwrap();
    server_in(lines.first().and_then(|line| line["message"].as_str()).unwrap_or_default())
}

fn result(case: &Case) -> String {
    match case.code {
        WORKS => "works".to_owned(),
        UNREACHABLE => format!("refused: \"{}\"", case.says.trim()),
        _ => format!("fails: \"{}\"", case.says.trim()),
    }
}

//! `fleet.toml` from the outside: the file of the design, who wins, and what every mistake is told.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the functions here belong to the tests below")]

use std::path::Path;

use agent_runner_inventory::{Batch, Drain, Healthy, Inventory, Scope, Share, Sink};

/// The example of the product's description, with the group it refers to.
const EXAMPLE: &str = include_str!("fixtures/fleet.toml");

fn example() -> Inventory {
    Inventory::parse(EXAMPLE, Path::new("/work/attic/fleet.toml")).unwrap()
}

#[test]
fn the_example_of_the_design_is_read_key_by_key() {
    let fleet = example();
    assert_eq!(fleet.fleet.name, "attic");
    assert_eq!(fleet.defaults.forks.as_ref().unwrap().value, 64);
    assert_eq!(fleet.hosts().len(), 20 + 9 + 2);
    assert_eq!(fleet.hosts()[0], "pi01.lan");
    assert_eq!(fleet.hosts()[20], "10.0.3.1");
    assert_eq!(fleet.hosts()[30], "spare2");

    let project = fleet.project("research").unwrap();
    assert_eq!(project.on, "pis & !pi03.lan");
    assert_eq!(fleet.project_hosts(project).len(), 19);
    assert_eq!(project.work_dir, "~/research");
    let resolved = project.config.resolve(None).unwrap();
    assert_eq!(resolved, Path::new("/work/attic/projects/research/agent-runner.toml"));
    assert_eq!(project.overlays[0].as_written(), "projects/research/slow.toml");
    assert_eq!(project.prompts.as_ref().unwrap().as_written(), "projects/research/prompts");
    assert_eq!(project.env_file.as_ref().unwrap().as_written(), "secrets/research.env");
    let repo = project.repo.as_ref().unwrap();
    assert_eq!(
        (repo.url.as_str(), repo.branch.as_deref()),
        ("git@example.org:team/research.git", Some("main"))
    );
    assert_eq!((project.service.scope, project.service.monitor), (Scope::User, true));

    let rollout = &fleet.rollout;
    assert_eq!(rollout.batch, [Batch(Share::Count(1)), Batch(Share::Percent(10)), Batch(Share::Percent(50))]);
    assert_eq!((rollout.max_fail, rollout.confirm_s, rollout.pause_s), (Share::Percent(10), 60, 0));
    assert_eq!((rollout.drain, rollout.healthy), (Drain::Round, Healthy::Active));
    assert_eq!(fleet.monitor.auto_stop, ["oauth_fail", "disk_critical"]);
    assert_eq!((fleet.monitor.brake, fleet.monitor.stale_after_s), (Share::Percent(25), 180));
    assert_eq!(fleet.sinks, [Sink::Alertmanager { url: "http://127.0.0.1:9093".into() }]);
}

#[test]
fn every_setting_of_a_host_says_where_it_came_from() {
    let host = example().host("pi07.lan").unwrap();
    let shown: Vec<String> =
        host.shown().iter().map(|row| format!("{} = {} from {}", row.key, row.value, row.source)).collect();
    assert_eq!(
        shown,
        [
            "address = 10.0.0.17 from hosts.\"pi07.lan\" (fleet.toml:21)",
            "user = pi from defaults (fleet.toml:5)",
            "become = true from group pis (fleet.toml:11)",
            "account = team-a from group pis (fleet.toml:10)",
            "vars.shard = 7 from hosts.\"pi07.lan\" (fleet.toml:22)",
            "vars.tier = \"slow\" from group pis (fleet.toml:12)",
        ]
    );
    assert_eq!(host.groups, ["pis"]);
    assert!(example().host("nobody").is_none());
}

fn parse(text: &str) -> Inventory {
    Inventory::parse(&format!("[fleet]\nname = \"t\"\n{text}"), Path::new("fleet.toml")).unwrap()
}

#[test]
fn the_host_wins_then_the_later_group_then_the_defaults() {
    // Tables are read by their place in the file, not by the alphabet.
    let fleet = parse(
        r#"
[defaults]
user = "d"
port = 1
connect_timeout = 1
vars = { a = "d", b = "d", c = "d" }
[groups.z]
hosts = ["h1", "h2"]
user = "z"
port = 2
vars = { a = "z", b = "z" }
[groups.a]
hosts = ["h[1-2]"]
user = "a"
vars.a = "a"
[hosts.h1]
user = "h"
"#,
    );
    let get = |name: &str| {
        let host = fleet.host(name).unwrap();
        let vars: Vec<String> = host.vars.iter().map(|(key, var)| format!("{key}={}", var.value)).collect();
        (
            host.user.unwrap().value,
            host.port.unwrap().value,
            host.connect_timeout.unwrap().value,
            vars.join(" "),
        )
    };
    assert_eq!(get("h1"), ("h".into(), 2, 1, "a=\"a\" b=\"z\" c=\"d\"".into()));
    assert_eq!(get("h2"), ("a".into(), 2, 1, "a=\"a\" b=\"z\" c=\"d\"".into()));
}

#[test]
fn a_group_takes_in_other_groups_with_their_settings() {
    let fleet = parse(
        r#"
[groups.outer]
hosts = ["@middle"]
user = "outer"
[groups.middle]
hosts = ["@inner", "m1"]
port = 7
[groups.inner]
hosts = ["i[1-2]"]
"#,
    );
    let names: Vec<String> = fleet.hosts().iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["m1", "i1", "i2"]);
    let host = fleet.host("i1").unwrap();
    assert_eq!(host.groups, ["outer", "middle", "inner"]);
    assert_eq!((host.user.unwrap().value.as_str(), host.port.unwrap().value), ("outer", 7));
    assert_eq!(fleet.group_hosts(fleet.group("outer").unwrap()).len(), 3);
}

/// Checks the whole message of an inventory that is wrong.
fn check_error(text: &str, expected: &str) {
    let error = Inventory::parse(text, Path::new("fleet.toml")).unwrap_err();
    let shown: Vec<String> = error.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(shown.join("\n"), expected.trim_matches('\n'), "{text}");
}

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_known_one() {
    check_error(
        "[fleet]\nname = \"t\"\n[groups.pis]\nhots = [\"a\"]\nhosts = [\"a\"]\n",
        r#"
fleet.toml:4:1: unknown key `hots` in [groups.pis]
  |
4 | hots = ["a"]
  | ^^^^ did you mean `hosts`?"#,
    );
    check_error(
        "fleet.name = \"t\"\n[rollout]\nelephant = 1\n",
        r#"
fleet.toml:3:1: unknown key `elephant` in [rollout]
  |
3 | elephant = 1
  | ^^^^^^^^ known here: batch, max_fail, confirm_s, drain, healthy, pause_s"#,
    );
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = r#"
[fleet]
nam = "t"
[defaults]
port = 0
user = "$(id)"
identity_file = []
[groups."a b"]
hosts = ["-x", "ok", "p[3-1]"]
[hosts.ok]
become = "yes"
[projects.p]
on = "ok"
"#;
    let error = Inventory::parse(text, Path::new("fleet.toml")).unwrap_err().to_string();
    let heads: Vec<&str> = error.lines().filter(|line| line.starts_with("fleet.toml:")).collect();
    assert_eq!(
        heads,
        [
            "fleet.toml:2:2: [fleet] has no `name`",
            "fleet.toml:3:1: unknown key `nam` in [fleet]",
            "fleet.toml:5:8: `defaults.port` is a number from 1 to 65535",
            "fleet.toml:6:8: user name \"$(id)\" begins with '$'",
            "fleet.toml:7:17: `defaults.identity_file` names 1 to 64 files",
            "fleet.toml:8:9: group name \"a b\" contains ' ': only ASCII letters, digits, '.', '_', '-' are taken",
            "fleet.toml:9:10: host name \"-x\" begins with '-', which a command line would take for an option",
            "fleet.toml:9:25: the range ends before it begins",
            "fleet.toml:11:10: `hosts.ok.become` is true or false, not a string",
            "fleet.toml:12:11: [projects.p] has no `work_dir`",
            "fleet.toml:12:11: [projects.p] has no `config`",
        ]
    );
}

/// Checks the first line of what is said about a part of an inventory.
fn check_part(part: &str, expected: &str) {
    let text = format!("[fleet]\nname = \"t\"\n{part}");
    let error = match Inventory::parse(&text, Path::new("f")) {
        Ok(_) => panic!("{part} is read"),
        Err(error) => error.to_string(),
    };
    assert_eq!(error.lines().next().unwrap(), expected, "{part}");
}

#[test]
fn each_mistake_has_its_sentence() {
    let h = "[groups.g]\nhosts=[\"a\",\"b\"]\n";
    let p = |keys: &str| format!("{h}[projects.p]\non=\"g\"\nwork_dir=\"~/p\"\nconfig=\"c\"\n{keys}");
    check_part("[groups.g]\nuser=\"x\"", "f:3:9: [groups.g] has no `hosts`");
    check_part("[groups.g]\nhosts=[\"@h\"]", "f:4:8: no group is called \"h\"");
    check_part("[groups.g]\nhosts=[\"@g\"]", "f:3:9: group \"g\" contains itself");
    check_part(
        "[groups.a]\nhosts=[\"@b\"]\n[groups.b]\nhosts=[\"@a\"]",
        "f:3:9: group \"a\" contains itself",
    );
    check_part(
        "[groups.g]\nhosts=[\"pi*\"]",
        "f:4:8: host name \"pi*\" contains '*': only ASCII letters, digits, '.', '_', '-', ':' are taken",
    );
    check_part("[groups.g]\nhosts=[\"g\"]", "f:3:9: \"g\" is the name of a host and of a group");
    check_part("[groups.all]\nhosts=[\"g\"]", "f:3:9: group name \"all\" means every host in a selection");
    check_part("[groups.g]\nhosts=\"a\"", "f:4:7: `groups.g.hosts` is an array, not a string");
    check_part(
        "[hosts.\"a[1-2]\"]",
        "f:3:8: host name \"a[1-2]\" contains '[': only ASCII letters, digits, '.', '_', '-', ':' are taken",
    );
    check_part(
        "[hosts.\"a\\nb\"]",
        "f:3:8: host name \"a\\nb\" contains '\\n': only ASCII letters, digits, '.', '_', '-', ':' are taken",
    );
    check_part("[hosts.a]\nport=70000", "f:4:6: `hosts.a.port` is a number from 1 to 65535");
    check_part(
        "[hosts.a]\naddress=\"a b\"",
        "f:4:9: address \"a b\" contains ' ': only ASCII letters, digits, '.', '_', '-', ':', '%' are taken",
    );
    check_part(
        "[hosts.a]\nproxy_jump=\"a,\"",
        "f:4:12: a jump host is missing; expected [user@]host[:port], several separated by commas, or none",
    );
    check_part(
        "[hosts.a]\nvars={\"a-b\"=1}",
        "f:4:7: variable \"a-b\" is not letters, digits and '_', a letter first",
    );
    check_part("[groups]\ng=1", "f:4:3: `groups.g` is a table, not an integer");
    check_part(&p("work_dir=1"), "f:9:1: duplicate key");
    check_part(&p("env_file=1"), "f:9:10: `projects.p.env_file` is a string, not an integer");
    check_part(
        &p("repo={url=\"ext::sh -c x\"}"),
        "f:9:11: repository \"ext::sh -c x\" contains \"::\", which git takes for a remote helper",
    );
    check_part(
        &p("repo={url=\"https://me:pw@x/y\"}"),
        "f:9:11: repository \"https://me:pw@x/y\" carries a password, which every listing would show",
    );
    check_part(
        &p("repo={url=\"--upload-pack=x\"}"),
        "f:9:11: repository \"--upload-pack=x\" begins with '-', which git would take for an option",
    );
    check_part(
        &p("repo={url=\"u\", branch=\"-b\"}"),
        "f:9:23: branch \"-b\" is no name git takes for a branch",
    );
    check_part(&p("service={scope=\"root\"}"), "f:9:16: expected \"user\", \"system\" or \"detached\"");
    check_part(
        &p("[projects.q]\non=\"a\"\nwork_dir=\"~/p/\"\nconfig=\"c\""),
        "f:10:4: projects p and q both work in \"~/p\" on a",
    );
    check_part(
        &p("[projects.q]\non=\"g & !@g\"\nwork_dir=\"/q\"\nconfig=\"c\""),
        "f:10:5: the selection is empty: no host is left",
    );
    check_part(
        &p("[projects.q]\non=\"c\"\nwork_dir=\"/q\"\nconfig=\"c\""),
        "f:10:5: no host or group is called \"c\"",
    );
    check_part(
        &p("[projects.q]\non=\"@failed\"\nwork_dir=\"/q\"\nconfig=\"c\""),
        "f:10:5: `@failed` is known to a command line, not to the inventory",
    );
    check_part(
        "[projects.p]\non=\"a\"\nwork_dir=\"p\"\nconfig=\"c\"",
        "f:5:10: path \"p\" is a path on the host: it begins with \"/\" or \"~/\"",
    );
    check_part(
        "[projects.p]\non=\"a\"\nwork_dir=\"~/../p\"\nconfig=\"c\"",
        "f:5:10: path \"~/../p\" contains \"..\"",
    );
    check_part(
        "[projects.p]\non=\"a\"\nwork_dir=\"/\"\nconfig=\"c\"",
        "f:5:10: path \"/\" is no folder of its own",
    );
    check_part("[rollout]\nbatch=[]", "f:4:7: `rollout.batch` has 1 to 100 sizes");
    check_part("[rollout]\nbatch=[\"0%\"]", "f:4:8: a batch has at least one host");
    check_part(
        "[rollout]\nmax_fail=\"many\"",
        "f:4:10: expected a number of hosts, as in \"3\", or a share of them, as in \"10%\"",
    );
    check_part("[rollout]\ndrain=\"later\"", "f:4:7: expected \"round\", \"now\" or a number of seconds");
    check_part("[rollout]\nconfirm_s=1", "f:4:11: `rollout.confirm_s` is a number from 5 to 86400");
    check_part("[monitor]\nauto_stop=[1]", "f:4:12: `monitor.auto_stop` is a string, not an integer");
    check_part("[[sinks]]\ntype=\"mail\"", "f:4:6: expected \"alertmanager\", \"webhook\" or \"jsonl\"");
    check_part(
        "[[sinks]]\ntype=\"webhook\"\nurl=\"ftp://x\"",
        "f:5:5: expected a URL that begins with http:// or https://",
    );
    check_part(
        "[[sinks]]\ntype=\"webhook\"\nurl=\"http://a:b@x\"",
        "f:5:5: a URL here carries no user or password: it is shown in listings",
    );
    check_part("[[sinks]]\ntype=\"jsonl\"\nurl=\"x\"", "f:3:3: [sinks] has no `path`");
}

#[test]
fn an_inventory_that_is_no_toml_is_shown_where_it_breaks() {
    let error = Inventory::parse("[fleet\nname = \n", Path::new("f")).unwrap_err().to_string();
    assert!(error.starts_with("f:1:7: "), "{error}");
    assert!(Inventory::parse("", Path::new("f")).unwrap_err().to_string().contains("has no [fleet]"));
    assert!(Inventory::parse("\u{feff}[fleet]\nname=\"x\"", Path::new("f")).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
    let error = Inventory::load(Path::new("/no/such/fleet.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /no/such/fleet.toml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn an_inventory_of_a_hundred_thousand_hosts_in_many_groups_is_read() {
    use std::fmt::Write as _;
    let mut text = String::from("[fleet]\nname = \"big\"\n");
    for rack in 0..1000 {
        writeln!(
            text,
            "[groups.rack{rack}]\nhosts = [\"r{rack}-n[00-99]\", \"@spares\"]\nport = {}",
            rack + 1
        )
        .unwrap();
    }
    text.push_str("[groups.spares]\nhosts = [\"spare\"]\n[projects.p]\non = \"all & !spare\"\nwork_dir = \"/p\"\nconfig = \"c\"\n");
    let fleet = Inventory::parse(&text, Path::new("fleet.toml")).unwrap();
    assert_eq!(fleet.hosts().len(), 100_001);
    assert_eq!(fleet.project_hosts(&fleet.projects[0]).len(), 100_000);
    let ports = fleet.hosts().iter().map(|name| u64::from(fleet.host(name).unwrap().port.unwrap().value));
    // The spare host is in every rack and in its own group: the last rack with a port wins.
    assert_eq!(ports.sum::<u64>(), (1..=1000u64).sum::<u64>() * 100 + 1000);
}

#[test]
fn of_a_hopeless_file_a_few_problems_are_shown_and_all_are_counted() {
    let keys: String = (0..300).map(|n| format!("bad{n} = 1\n")).collect();
    let text = format!("[fleet]\nname = \"x\"\n[defaults]\n{keys}");
    let error = Inventory::parse(&text, Path::new("f")).unwrap_err().to_string();
    assert_eq!(error.lines().filter(|line| line.starts_with("f:")).count(), 25);
    assert!(error.ends_with("\nand 275 more problems in this file"), "{error}");
}

#[test]
fn what_is_nested_too_deep_is_refused_and_not_followed() {
    for text in [
        "a=".to_owned() + &"[".repeat(100_000),
        "a=".to_owned() + &"{a=".repeat(100_000),
        "[a.".repeat(50_000),
    ] {
        assert!(Inventory::parse(&text, Path::new("f")).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_inventory_fail_badly(
        text in "([a-z=\\[\\]{}\"'.,#0-9\n -]|\\PC|\\[fleet\\]\nname=\"x\"\n|\\[groups.g\\]\nhosts=\\[|\"@g\"|hosts|user=|on=|\\[projects.p\\]\n){0,60}"
    ) {
        if let Err(error) = Inventory::parse(&text, Path::new("f")) {
            assert!(error.to_string().starts_with("f:"), "{error}");
        }
    }

    #[test]
    fn a_name_is_taken_whole_or_refused(name in "[ -~\t\né\u{0}]{1,12}") {
        let quoted = toml::Value::String(name.clone()).to_string();
        let text = format!("[fleet]\nname = \"x\"\n[hosts.{quoted}]\nuser = \"a\"\n");
        if quoted.starts_with('"') && !quoted.starts_with("\"\"\"")
            && let Ok(fleet) = Inventory::parse(&text, Path::new("f"))
        {
            assert_eq!(fleet.hosts()[0], name.as_str());
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte)), "{name:?}");
            assert!(!name.starts_with('-'));
        }
    }
}

//! Tables for what `ssh -G` cannot show: files, sources, what is unsupported, expanded key paths.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{
    IdentityAgent, Local, Overrides, Resolved, SettingSource, SshConfig, SshConfigError, Treatment, Why,
    keywords,
};
use crate::ProxyJump;

/// A home folder and a system folder, empty at first.
struct World {
    folder: tempfile::TempDir,
    local: Local,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut local = Local::new(folder.path().join("home"), "me");
        local.system_dir = folder.path().join("etc");
        fs::create_dir_all(local.home.join(".ssh/conf.d")).unwrap();
        fs::create_dir_all(local.system_dir.join("conf.d")).unwrap();
        Self { folder, local }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn load(&self) -> Result<SshConfig, SshConfigError> {
        SshConfig::load(&self.local.standard_files(), &self.local)
    }

    fn resolve(&self, alias: &str) -> Resolved {
        self.load().unwrap().resolve(alias, &self.local, &Overrides::default())
    }
}

const USER: &str = "home/.ssh/config";

#[test]
fn the_users_file_wins_over_the_systems_and_each_value_knows_its_line() {
    let world = World::new();
    let user = world.write(USER, "Host pi\n  User pi\n\nHost *\n  IdentityFile ~/.ssh/one\n");
    let system = world.write("etc/ssh_config", "Host *\nUser root\nPort 2222\nIdentityFile /etc/two\n");
    let settings = world.resolve("pi").settings;
    let at = |path: &Path, line| SettingSource::File { path: path.into(), line };
    assert_eq!((settings.user.value.as_str(), &settings.user.source), ("pi", &at(&user, 2)));
    assert_eq!((settings.port.value, &settings.port.source), (2222, &at(&system, 3)));
    let keys: Vec<_> = settings.identity_files.iter().map(|key| (key.value.clone(), &key.source)).collect();
    assert_eq!(
        keys,
        [(world.local.home.join(".ssh/one"), &at(&user, 5)), (PathBuf::from("/etc/two"), &at(&system, 4))]
    );
    assert_eq!(settings.host_name.source, SettingSource::Default);
    assert_eq!(settings.port.source.to_string(), format!("{}:3", system.display()));
}

#[test]
fn standard_files_may_be_missing_and_others_may_not() {
    let world = World::new();
    assert!(world.load().unwrap().files().is_empty());
    let error = SshConfig::load(&[world.folder.path().join("mine")], &world.local).unwrap_err();
    assert!(matches!(error, SshConfigError::Read { .. }));
}

#[test]
fn includes_start_at_their_owners_folder_and_are_sorted() {
    let world = World::new();
    world.write("home/.ssh/conf.d/b.conf", "Port 2\nUser b\n");
    world.write("home/.ssh/conf.d/a.conf", "Port 1\n");
    world.write("home/.ssh/conf.d/.hidden.conf", "Port 9\n");
    world.write("home/.ssh/conf.d/a.off", "Port 9\n");
    world.write(USER, "Include conf.d/*.conf ~/.ssh/none\n");
    world.write("etc/ssh_config", "Include conf.d/*\n");
    world.write("etc/conf.d/x", "BindAddress 127.0.0.1\n");
    let settings = world.resolve("h").settings;
    assert_eq!((settings.port.value, settings.user.value.as_str()), (1, "b"));
    assert_eq!(settings.bind_address.unwrap().value, "127.0.0.1");
    assert_eq!(world.load().unwrap().files().len(), 5);
}

#[test]
fn an_include_applies_where_its_block_does_and_leaves_the_block_as_it_was() {
    let world = World::new();
    world.write("home/.ssh/inner", "Port 5\nHost other\nUser other\n");
    world.write(USER, "Host a\nInclude inner\nIdentitiesOnly yes\nHost *\nPort 7\n");
    let a = world.resolve("a").settings;
    assert_eq!((a.port.value, a.user.value.as_str(), a.identities_only.value), (5, "me", true));
    let other = world.resolve("other").settings;
    assert_eq!((other.port.value, other.user.value.as_str(), other.identities_only.value), (7, "me", false));
}

#[test]
fn files_that_include_each_other_are_refused() {
    let world = World::new();
    world.write("home/.ssh/loop", "Include loop\n");
    world.write(USER, "Include loop\n");
    let error = world.load().unwrap_err().to_string();
    assert!(error.ends_with("loop:1: files include one another more than 16 deep"), "{error}");
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let world = World::new();
    let path = world.write(USER, "Port 1\n");
    fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(world.load(), Err(SshConfigError::Permissions { .. })));
}

#[test]
fn a_wrong_line_is_an_error_with_file_and_line() {
    for (line, said) in [
        ("Port x", "Port: \"x\" is not a port from 1 to 65535"),
        ("Port 0", "Port: \"0\" is not a port from 1 to 65535"),
        ("Port 22 23", "Port: there is more than one value"),
        ("User", "User has no value"),
        ("User \"a", "a quote is not closed"),
        ("User \"\"", "User: the value is empty"),
        ("BatchMode maybe", "BatchMode: \"maybe\" is not yes or no"),
        ("ConnectTimeout soon", "ConnectTimeout: \"soon\" is not a time such as 30 or 1m30s"),
        ("Ciphers a,,b", "Ciphers: \"a,,b\" is not names separated by commas"),
        ("UserKnownHostsFile a none", "UserKnownHostsFile: \"none\" stands alone"),
        ("Match", "Match has no value"),
        ("Match host", "Match host has no value"),
        ("Match colour red", "Match has no criterion \"colour\""),
        ("Match user a user b all", "Match all cannot be combined with other criteria"),
        ("Host \"\"", "Host: a value is empty"),
    ] {
        let world = World::new();
        let path = world.write(USER, &format!("# first\n{line}\n"));
        let error = world.load().unwrap_err().to_string();
        assert_eq!(error, format!("{}:2: {said}", path.display()), "{line}");
    }
}

/// What is reported for `pi` under a configuration: keyword, line and whether ssh can tell.
fn reported(text: &str) -> Vec<(String, usize, &'static str)> {
    let world = World::new();
    world.write(USER, text);
    let mut all: Vec<_> = world
        .resolve("pi")
        .unsupported
        .into_iter()
        .map(|one| {
            let why = match one.why {
                Why::AskSsh(_) => "ask",
                Why::UnknownKeyword => "unknown",
                Why::Invalid(_) => "invalid",
                Why::NotOffered(_) => "not offered",
            };
            (one.keyword, one.line, why)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_files_cannot_settle_is_reported_with_its_line() {
    for (text, expected) in [
        ("Match exec \"true\"\nPort 1\n", vec![("Match", 1, "ask")]),
        ("Match host other exec \"true\"\nPort 1\n", vec![]),
        ("Match exec true host other\nPort 1\n", vec![]),
        ("Match localnetwork 10.0.0.0/8\n", vec![("Match", 1, "ask")]),
        ("Match tagged x\n", vec![("Match", 1, "ask")]),
        ("CanonicalizeHostname yes\n", vec![("CanonicalizeHostname", 1, "ask")]),
        ("CanonicalizeHostname no\nCanonicalizeHostname yes\n", vec![]),
        ("Host other\nCanonicalizeHostname yes\n", vec![]),
        ("UseKeychain yes\n", vec![("UseKeychain", 1, "unknown")]),
        ("IgnoreUnknown UseK*,X\nUseKeychain yes\n", vec![]),
        ("Host other\nUseKeychain yes\n", vec![("UseKeychain", 2, "unknown")]),
        ("UserKnownHostsFile ~/kh-%C\n", vec![("UserKnownHostsFile", 1, "ask")]),
        ("IdentityFile ~nobody/key\n", vec![("IdentityFile", 1, "invalid")]),
        ("IdentityFile ${NOT_SET}/key\n", vec![("IdentityFile", 1, "invalid")]),
        ("HostName %q\n", vec![("HostName", 1, "invalid")]),
        ("ProxyJump -oProxyCommand=x\n", vec![("ProxyJump", 1, "invalid")]),
        ("ProxyCommand nc %q\n", vec![("ProxyCommand", 1, "invalid")]),
        ("GSSAPIAuthentication yes\n", vec![("GSSAPIAuthentication", 1, "not offered")]),
        ("GSSAPIAuthentication no\n", vec![]),
        ("KnownHostsCommand /bin/x %H\n", vec![("KnownHostsCommand", 1, "not offered")]),
        ("SendEnv LANG\nForwardAgent yes\nControlPath ~/%C\n", vec![]),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(word, line, why): (&str, _, _)| (word.to_owned(), line, why))
            .collect();
        assert_eq!(reported(text), expected, "{text}");
    }
}

#[test]
fn a_host_that_needs_ssh_says_so_and_one_that_is_wrong_too() {
    let world = World::new();
    world
        .write(USER, "Host a\nCanonicalizeHostname yes\nHost b\nHostName %q\nHost c\nVerifyHostKeyDNS yes\n");
    assert!(world.resolve("a").needs_ssh());
    let b = world.resolve("b");
    assert!(!b.needs_ssh());
    let said: Vec<String> = b.invalid().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [format!(
            "{}:4: HostName: the token %q is not known here",
            world.local.home.join(".ssh/config").display()
        )]
    );
    let c = world.resolve("c");
    assert!(!c.needs_ssh() && c.invalid().next().is_none());
    assert_eq!(c.unsupported.len(), 1);
}

#[test]
fn an_agent_that_cannot_be_found_is_not_another_agent() {
    let world = World::new();
    world.write(USER, "IdentityAgent ~nobody/agent\n");
    let resolved = world.resolve("a");
    assert_eq!(resolved.settings.identity_agent.value, IdentityAgent::None);
    assert_eq!(resolved.invalid().count(), 1);
}

#[test]
fn values_of_the_caller_win_and_feed_conditions_and_tokens() {
    let world = World::new();
    world.write(
        USER,
        "User pi\nMatch user root host real\nPort 7\nIdentityFile /k/%r@%h:%p\nProxyJump gw-%h\n",
    );
    let overrides = Overrides { user: Some("root".into()), port: None, host_name: Some("Real".into()) };
    let settings = world.load().unwrap().resolve("a", &world.local, &overrides).settings;
    assert_eq!((settings.user.value.as_str(), &settings.user.source), ("root", &SettingSource::Override));
    assert_eq!(settings.identity_files[0].value, Path::new("/k/root@real:7"));
    assert_eq!(settings.proxy_jump.unwrap().value, "gw-real".parse::<ProxyJump>().unwrap());
}

#[test]
fn aliases_are_the_hosts_that_are_spelled_out() {
    let world = World::new();
    world.write("home/.ssh/more", "Host c a\n");
    world.write(USER, "Host a b !x *.lan\nInclude more\nHost *\nPort 1\n");
    assert_eq!(world.load().unwrap().aliases(), ["a", "b", "c"]);
}

#[test]
fn the_output_of_ssh_g_becomes_settings() {
    let world = World::new();
    let output = "host pi\nuser me\nhostname pi.lan\nport 2222\nidentityfile ~/.ssh/%h\nidentityagent none\n\
                  canonicalizehostname true\nconnecttimeout none\nuserknownhostsfile /a /b\nstricthostkeychecking accept-new\n\
                  proxyjump gate\nsomethingnew 1\ngssapiauthentication no\n";
    let resolved = SshConfig::from_ssh_g(output, "pi", &world.local).unwrap();
    assert_eq!(resolved.unsupported, []);
    let settings = resolved.settings;
    assert_eq!((settings.host_name.value.as_str(), settings.port.value), ("pi.lan", 2222));
    assert_eq!(settings.identity_files[0].value, world.local.home.join(".ssh/pi.lan"));
    assert_eq!(settings.user_known_hosts_files.value, [Path::new("/a"), Path::new("/b")]);
    assert_eq!(settings.identity_agent.value, IdentityAgent::None);
    assert_eq!(settings.port.source, SettingSource::SshG);
    assert!(SshConfig::from_ssh_g("port x\n", "pi", &world.local).is_err());
}

#[test]
fn every_keyword_that_ssh_prints_is_classified() {
    let Some(output) = super::oracle::ssh_g(&["-F", "/dev/null", "host"]) else {
        return crate::skipped::skip("there is no `ssh` on PATH to ask for its keywords");
    };
    let known = |name: &str| keywords().any(|(keyword, _)| keyword.eq_ignore_ascii_case(name));
    let missing: Vec<&str> =
        output.lines().filter_map(|line| line.split(' ').next()).filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(keywords().filter(|(_, treatment)| *treatment == Treatment::Honoured).count(), 38);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_badly(text in "(\\PC|[\"'\\\\=#\n\t]|Host |Match |IdentityFile |ProxyJump ){0,60}") {
        let world = World::new();
        world.write(USER, &text);
        if let Ok(config) = world.load() {
            config.resolve("a", &world.local, &Overrides::default());
        }
        let _ = SshConfig::from_ssh_g(&text, "a", &world.local);
    }
}

#[test]
fn every_setting_is_shown_with_its_source_and_what_is_passed_over_too() {
    let world = World::new();
    let path = world.write(
        USER,
        "IgnoreUnknown UseKeychain\nUseKeychain yes\nCiphers +a,b\nSetEnv TOKEN=secret\nSendEnv LANG\nSendEnv LC_*\n\
         Protocol 2\nConnectTimeout 1m\n",
    );
    let resolved = world.resolve("pi");
    let rows = resolved.settings.shown();
    let row = |keyword: &str| {
        let row = rows.iter().find(|row| row.keyword == keyword).unwrap();
        format!("{} {}", row.value, row.source)
    };
    assert_eq!(row("Ciphers"), format!("+a,b {}:3", path.display()));
    assert_eq!(row("ConnectTimeout"), format!("60 {}:8", path.display()));
    assert_eq!(row("HostName"), "pi default");
    for row in &rows {
        assert!(keywords().any(|(name, treatment)| name == row.keyword && treatment == Treatment::Honoured));
    }
    let passed: Vec<String> =
        resolved.not_applicable.iter().map(|one| format!("{} {}", one.keyword, one.value)).collect();
    assert_eq!(
        passed,
        ["UseKeychain (ignored)", "SetEnv (hidden)", "SendEnv LANG", "SendEnv LC_*", "Protocol 2"]
    );
}

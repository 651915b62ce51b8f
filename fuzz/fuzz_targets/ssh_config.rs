//! Any OpenSSH configuration: settings or an error with its line, never a panic; nothing outside the folder is read.
#![no_main]

use std::io::Write as _;

use agent_runner_inventory::ssh_config::{Local, Overrides, SshConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if text.to_ascii_lowercase().contains("include") {
        return;
    }
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut local = Local::new(folder.path(), "me");
    local.system_dir = folder.path().join("etc");
    let path = folder.path().join("config");
    let mut file = std::fs::File::create(&path).expect("it can be written");
    file.write_all(text.as_bytes()).expect("it can be written");
    if let Ok(config) = SshConfig::load(&[path], &local) {
        for host in ["pi1", "10.0.0.1", "a.b"] {
            let found = config.resolve(host, &local, &Overrides::default());
            let _ = found.settings.shown();
        }
    }
    let _ = SshConfig::from_ssh_g(text, "pi1", &local);
});

use agent_runner_tests::sshd::SshdOptions;

use super::loopback::loopback;

#[test]
fn hosts_of_openssh_and_of_ansible_become_a_fleet_that_answers() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    fleet.controller.write(".ssh/config", &fleet.sshd.ssh_config("one two")).unwrap();
    let made = fleet.controller.run(&["init", "--from-ssh-config", "-i", "mine.toml"]).unwrap();
    assert_eq!(made.code(), 0, "{}", made.stderr);
    assert!(made.stderr.contains("imported 2 hosts in 1 groups"), "{}", made.stderr);
    let output = fleet.controller.run(&["exec", "-i", "mine.toml", "--", "echo here"]).unwrap();
    assert_eq!((output.code(), output.stdout.as_str()), (0, "one,two (2)\n  here\n"), "{}", output.stderr);
    let again = fleet.controller.run(&["init", "--from-ssh-config", "-i", "mine.toml"]).unwrap();
    assert!(again.code() == 1 && again.stderr.contains("exists already"), "{}", again.stderr);
    let inventory = format!(
        "[rack]\nn[1:3]\n[rack:vars]\nansible_host={}\nansible_port={}\nansible_ssh_private_key_file={}\nansible_user={}\n",
        fleet.sshd.addr().ip(),
        fleet.sshd.port(),
        fleet.sshd.client_key().display(),
        fleet.sshd.user(),
    );
    fleet.controller.write("hosts.ini", &inventory).unwrap();
    let known = format!("Host *\n    UserKnownHostsFile {}\n", fleet.sshd.known_hosts().display());
    fleet.controller.write(".ssh/config", &known).unwrap();
    let made = fleet.controller.run(&["init", "--from-ansible", "hosts.ini", "-i", "theirs.toml"]).unwrap();
    assert_eq!(made.code(), 0, "{}", made.stderr);
    let output = fleet.controller.run(&["ping", "@rack", "-i", "theirs.toml"]).unwrap();
    assert!(output.code() == 0 && output.stderr.contains("3 hosts: ok 3"), "{}", output.stderr);
}

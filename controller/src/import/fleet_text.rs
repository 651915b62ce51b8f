//! An imported inventory as the text of a fleet.toml. Pure.

use std::collections::HashSet;
use std::fmt::Write as _;

use agent_runner_inventory::fold_pattern;

use super::ansible::{Imported, Vars};

/// Returns the text, and adds to what was left out the variables that have no place in it.
pub fn fleet_text(imported: &mut Imported, name: &str) -> String {
    let mut text = format!(
        "# Imported. What is not said here comes from your OpenSSH configuration; ssh-check shows both.\n\n\
         [fleet]\nname = {}\n",
        quoted(name)
    );
    let mut left_out = std::mem::take(&mut imported.left_out);
    let mut settings = |vars: &Vars, of: &str| {
        let mut lines = String::new();
        for (name, value) in vars {
            match setting(name, value) {
                Some((key, value)) => drop(writeln!(lines, "{key} = {value}")),
                None => drop(left_out.insert(format!("{of}: {name}"))),
            }
        }
        lines
    };
    let all = settings(&imported.vars, "all");
    if !all.is_empty() {
        let _ = write!(text, "\n[defaults]\n{all}");
    }
    let mut grouped: HashSet<&str> = HashSet::new();
    for group in &imported.groups {
        grouped.extend(group.hosts.iter().map(String::as_str));
        let hosts = patterns(&fold_pattern(&group.hosts));
        let children = group.children.iter().map(|child| format!("@{child}"));
        let items: Vec<String> = hosts.into_iter().chain(children).map(|item| quoted(&item)).collect();
        let _ = write!(text, "\n[groups.{}]\nhosts = [{}]\n", quoted(&group.name), items.join(", "));
        text.push_str(&settings(&group.vars, &format!("group {}", group.name)));
    }
    for (host, vars) in &imported.hosts {
        let own = settings(vars, host);
        if !own.is_empty() || !grouped.contains(host.as_str()) {
            let _ = write!(text, "\n[hosts.{}]\n{own}", quoted(host));
        }
    }
    imported.left_out = left_out;
    text
}

/// Returns the key of ours that a variable stands for, with its value as TOML.
fn setting(name: &str, value: &str) -> Option<(&'static str, String)> {
    if value.is_empty() || value.contains("{{") {
        // Nothing that could be written down: a list, or a template of theirs.
        return None;
    }
    Some(match name {
        "ansible_host" | "ansible_ssh_host" => ("address", quoted(value)),
        "ansible_port" | "ansible_ssh_port" => ("port", value.parse::<u16>().ok()?.to_string()),
        "ansible_user" | "ansible_ssh_user" => ("user", quoted(value)),
        "ansible_ssh_private_key_file" | "ansible_private_key_file" => ("identity_file", quoted(value)),
        "ansible_become" => ("become", truth(value)?.to_string()),
        "ansible_become_user" => ("become_user", quoted(value)),
        _ => return None,
    })
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Splits folded names at the commas outside of ranges.
fn patterns(folded: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let parts = folded.split(|c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use agent_runner_inventory::Inventory;

    use super::super::{aliases, ansible};
    use super::*;

    const INI: &str = "gate ansible_host=10.0.0.1 ansible_port=2222\nbare:2200\n\n[pis]\npi[01:03].lan ansible_user=pi # three\n\
        [rack]\nn[0:8:4]\n[rack:vars]\nansible_become=yes\nansible_user=\"ops\"\nhttp_port=80\n\
        [site:children]\npis\nrack\n[site:vars]\nansible_user=site\n[all:vars]\nansible_ssh_private_key_file=~/.ssh/fleet\n";

    const YAML: &str = "---\nall:\n  vars:\n    ansible_ssh_private_key_file: ~/.ssh/fleet\n  hosts:\n    gate:\n      ansible_host: 10.0.0.1\n      ansible_port: 2222\n    bare: {ansible_port: 2200}\n  children:\n    site:\n      vars: {ansible_user: site}\n      children:\n        pis:\n          hosts:\n            pi[01:03].lan:\n              ansible_user: pi\n        rack:\n          vars:\n            ansible_become: true\n            ansible_user: ops\n            http_port: 80\n          hosts:\n            n[0:8:4]:\n";

    fn load(text: &str) -> (Inventory, Vec<String>) {
        let mut imported = ansible(text).unwrap();
        let text = fleet_text(&mut imported, "attic");
        let inventory = Inventory::parse(&text, "fleet.toml".as_ref());
        (inventory.unwrap_or_else(|error| panic!("{error}\n{text}")), imported.left_out.into_iter().collect())
    }

    #[test]
    fn both_forms_of_an_ansible_inventory_become_the_same_fleet() {
        for text in [INI, YAML] {
            let (fleet, left_out) = load(text);
            let mut names: Vec<&str> = fleet.hosts().iter().map(|name| name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["bare", "gate", "n0", "n4", "n8", "pi01.lan", "pi02.lan", "pi03.lan"]);
            let user = |name: &str| fleet.host(name).unwrap().user.map(|set| set.value);
            assert_eq!(user("pi02.lan").as_deref(), Some("pi"), "the host's own word");
            assert_eq!(user("n4").as_deref(), Some("ops"), "the child's word counts, not the parent's");
            assert_eq!(user("gate"), None);
            let gate = fleet.host("gate").unwrap();
            assert_eq!((gate.address.unwrap().value.as_str(), gate.port.unwrap().value), ("10.0.0.1", 2222));
            assert_eq!(fleet.host("bare").unwrap().port.unwrap().value, 2200);
            assert!(fleet.host("n8").unwrap().r#become.unwrap().value);
            assert!(fleet.host("n8").unwrap().identity_file.is_some());
            assert_eq!(fleet.group_hosts(fleet.group("site").unwrap()).len(), 6);
            assert_eq!(left_out, ["group rack: http_port"]);
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        for (text, expected) in [
            ("[pis\n", "line 1: "),
            ("[a]\nh key\n", "line 2: \"key\" is no `name=value`"),
            ("[a:things]\n", "line 1: [a:things]: \"things\" is none of hosts, vars, children"),
            ("[a]\nh x=\"y\n", "line 2: a quote is not closed"),
            ("all:\n  hots: {}\n", "all: \"hots\" is none of hosts, vars, children"),
            ("all:\n  - 1\n", "all: a mapping is wanted here"),
            ("all:\n  hosts:\n    'a b':\n", ""),
        ] {
            let error = ansible(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn aliases_of_openssh_are_hosts_and_odd_ones_are_said() {
        let mut imported = aliases(vec!["pi1".into(), "pi2".into(), "-odd".into()]);
        let text = fleet_text(&mut imported, "mine");
        assert!(text.ends_with("[groups.\"openssh\"]\nhosts = [\"pi[1-2]\"]\n"), "{text}");
        assert_eq!(imported.left_out.len(), 1);
        Inventory::parse(&text, "fleet.toml".as_ref()).unwrap();
    }
}

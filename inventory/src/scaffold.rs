//! The `fleet.toml` a new fleet begins with.

/// The text of a new inventory for a fleet called `name`, with comments; it loads as it is.
pub fn scaffold(name: &str) -> String {
    let name = toml::Value::String(name.to_owned()).to_string();
    SCAFFOLD.replace("{name}", &name)
}

const SCAFFOLD: &str = r#"# The fleet: its hosts, what runs on them, and how a release goes out.
# `agent-runner-fleet hosts` shows what this file says; `ssh-check` shows how each host is reached.

[fleet]
name = {name}

# What holds for every host, unless a group or the host itself says otherwise. Everything that is
# not said here comes from your OpenSSH configuration.
[defaults]
# user = "pi"
# identity_file = "~/.ssh/fleet"
# forks = 64                      # hosts worked on at once

# Groups name their hosts: [1-5] [01-20] [a-f] [0-10/2] are ranges, "@other" takes in another group.
# Where two groups disagree about a host, the later one in this file wins.
[groups.pis]
hosts = ["pi[01-03].lan"]
# account = "team-a"              # hosts that share one login with the provider
# become = true                   # work as root through sudo

# One host's own settings win over its groups'.
# [hosts."pi01.lan"]
# address = "10.0.0.11"
# vars = { shard = 1 }            # {{ host.vars.shard }} in configurations and prompts

# What runs where.
# [projects.research]
# on = "pis & !pi03.lan"          # , or   & and   ! without, from left to right
# work_dir = "~/research"
# config = "projects/research/agent-runner.toml"
# prompts = "projects/research/prompts"
# env_file = "secrets/research.env"
# repo = { url = "git@example.org:team/research.git", branch = "main" }
# service = { scope = "user", monitor = true }

[rollout]
batch = ["1", "10%", "50%"]       # one host first; the last size repeats
max_fail = "10%"                  # then no further host is started
confirm_s = 60                    # a host reverts by itself unless confirmed by then
drain = "round"                   # let a running round end; "now", or a number of seconds
healthy = "active"                # or "round": a round of the new release ended well

[monitor]
auto_stop = ["oauth_fail", "disk_critical"]
brake = "25%"                     # never stop more than this share of the fleet by itself
stale_after_s = 180

# [[sinks]]
# type = "alertmanager"           # alertmanager | webhook | jsonl
# url = "http://127.0.0.1:9093"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inventory;

    #[test]
    fn a_new_inventory_loads_whatever_the_fleet_is_called() {
        for name in ["attic", "the \"big\" one", "C:\\fleet", "größte"] {
            let inventory = Inventory::parse(&scaffold(name), "fleet.toml".as_ref()).unwrap();
            assert_eq!(inventory.fleet.name, name);
            assert_eq!(inventory.hosts().len(), 3);
        }
    }

    #[test]
    fn what_is_commented_out_loads_too() {
        let mut text = String::new();
        for line in scaffold("attic").lines() {
            let code = line.strip_prefix("# ").filter(|rest| {
                rest.starts_with('[') && rest.ends_with(']')
                    || rest
                        .split_once(" = ")
                        .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            });
            text.push_str(code.unwrap_or(line));
            text.push('\n');
        }
        let inventory = Inventory::parse(&text, "fleet.toml".as_ref()).unwrap();
        assert_eq!(inventory.projects.len(), 1);
        assert_eq!(inventory.sinks.len(), 1);
        assert_eq!(inventory.host("pi01.lan").unwrap().address.unwrap().value, "10.0.0.11");
    }
}

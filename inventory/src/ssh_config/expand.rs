//! `~`, `%h` and its kin, and `${NAME}`.

use std::path::PathBuf;

use super::Local;

/// What the tokens stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub(super) local: &'a Local,
    pub(super) alias: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) key_alias: &'a str,
}

/// Tokens of ProxyCommand and ProxyJump.
pub(super) const ROUTE: &str = "%hnpr";
/// Tokens of paths.
pub(super) const FILE: &str = "%dhikLlnpru";
/// Tokens of HostName.
pub(super) const HOST: &str = "%h";

impl Tokens<'_> {
    /// Replaces `%` tokens, of which `allowed` are known here.
    pub(super) fn percent(&self, text: &str, allowed: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let Some(token) = letters.next() else {
                return Err(format!("{text:?} ends with a lone '%'"));
            };
            if !allowed.contains(token) {
                return Err(format!("the token %{token} is not known here"));
            }
            match token {
                'd' => out.push_str(&self.local.home.to_string_lossy()),
                'h' => out.push_str(self.host),
                'i' => out.push_str(&self.local.uid.to_string()),
                'k' => out.push_str(self.key_alias),
                'L' => out.push_str(self.local.host_name.split('.').next().unwrap_or("")),
                'l' => out.push_str(&self.local.host_name),
                'n' => out.push_str(self.alias),
                'p' => out.push_str(&self.port.to_string()),
                'r' => out.push_str(self.user),
                'u' => out.push_str(&self.local.user),
                _ => out.push('%'),
            }
        }
        Ok(out)
    }

    /// Makes a path of a value: home folder, tokens and variables.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let homely = self.tilde(text)?;
        Ok(PathBuf::from(self.variables(&self.percent(&homely, FILE)?)?))
    }

    fn tilde(&self, text: &str) -> Result<String, String> {
        let Some(rest) = text.strip_prefix('~') else { return Ok(text.to_owned()) };
        let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
        if !user.is_empty() && user != self.local.user {
            return Err(format!("the home folder of {user:?} is not known"));
        }
        let home = self.local.home.to_string_lossy();
        Ok(format!("{}/{}", home.trim_end_matches('/'), below.trim_start_matches('/')))
    }

    fn variables(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) =
                after.split_once('}').ok_or_else(|| format!("{text:?} has a \"${{\" without \"}}\""))?;
            let value = self.local.variables.get(name);
            let value = value.ok_or_else(|| format!("the variable {name:?} is not set"))?;
            out.push_str(before);
            out.push_str(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let mut local = Local::new("/home/me", "me");
        local.uid = 1000;
        local.host_name = "desk.example.org".into();
        local.variables.insert("KEYS".into(), "/keys".into());
        let tokens = Tokens {
            local: &local,
            alias: "pi",
            host: "pi.lan",
            port: 2222,
            user: "root",
            key_alias: "alias",
        };
        let path = tokens.path(text);
        let shown = path.as_ref().map(|path| path.to_str().unwrap()).map_err(String::as_str);
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn paths_are_expanded_as_openssh_does() {
        check("~/.ssh/id", Ok("/home/me/.ssh/id"));
        check("~me/id", Ok("/home/me/id"));
        check("~", Ok("/home/me/"));
        check(
            "/k/%h-%n-%p-%r-%u-%d-%i-%k-%L-%l-%%",
            Ok("/k/pi.lan-pi-2222-root-me-/home/me-1000-alias-desk-desk.example.org-%"),
        );
        check("${KEYS}/a", Ok("/keys/a"));
        check("~other/id", Err("the home folder of \"other\" is not known"));
        check("%C", Err("the token %C is not known here"));
        check("a%", Err("\"a%\" ends with a lone '%'"));
        check("${NOPE}", Err("the variable \"NOPE\" is not set"));
        check("${NOPE", Err("\"${NOPE\" has a \"${\" without \"}\""));
    }
}

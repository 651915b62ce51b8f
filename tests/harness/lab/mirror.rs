//! Finds the Debian archive this machine itself uses, in either format of apt's sources. Pure.

/// The first Debian archive (not a security or third-party one) named in the text of a sources file.
pub(super) fn debian_mirror(sources: &str) -> Option<String> {
    let one_line = sources.lines().filter_map(|line| {
        let mut words = line.strip_prefix("deb ")?.split_whitespace();
        // Options: `[arch=amd64 signed-by=/x]`.
        words.find(|word| word.contains("://"))
    });
    let deb822 =
        sources.lines().filter_map(|line| line.strip_prefix("URIs:")).flat_map(str::split_whitespace);
    one_line.chain(deb822).find(|uri| is_debian(uri)).map(str::to_owned)
}

fn is_debian(uri: &str) -> bool {
    let http = uri.starts_with("http://") || uri.starts_with("https://");
    http && uri.trim_end_matches('/').ends_with("/debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &str, expected: Option<&str>) {
        assert_eq!(debian_mirror(sources).as_deref(), expected, "{sources}");
    }

    #[test]
    fn the_archive_is_found_in_both_formats() {
        check("deb http://deb.example.org/debian bookworm main\n", Some("http://deb.example.org/debian"));
        check(
            "deb [signed-by=/k arch=amd64] https://m.example/debian/ sid main",
            Some("https://m.example/debian/"),
        );
        check(
            "Types: deb\nURIs: http://m.example/debian-security\n\nURIs: http://m.example/debian\nSuites: bookworm\n",
            Some("http://m.example/debian"),
        );
    }

    #[test]
    fn other_archives_are_not_taken_for_it() {
        check("deb http://m.example/debian-security bookworm main", None);
        check("deb https://packages.example/apt tool-bookworm main\n# deb http://m.example/debian x", None);
        check("", None);
    }
}

//! The nearest known name for a misspelt one.

/// Returns the candidate most like `word`, if any is like enough to be worth naming.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word may be wrong, and two letters always; further off it is another word.
    let limit = (word.chars().count() / 3).max(2);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.len().abs_diff(word.len()) > limit * 4 {
            continue;
        }
        let distance = strsim::osa_distance(&word.to_lowercase(), &candidate.to_lowercase());
        let close = distance <= limit && distance < candidate.chars().count();
        if close && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The hint that names the nearest candidate.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["hosts", "user", "account"];
        assert_eq!(nearest("hots", known), Some("hosts"));
        assert_eq!(nearest("Acount", known), Some("account"));
        assert_eq!(nearest("elephant", known), None);
        assert_eq!(nearest("", known), None);
    }
}

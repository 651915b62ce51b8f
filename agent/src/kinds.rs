//! The kinds of events that somebody asks for. A kind that nobody knows is probably a slip; one of a newer version or
//! of another program is found in the log. Pure.

use std::collections::BTreeSet;

use crate::config::source::nearest;
use crate::event::KINDS;

/// The kinds asked for, and which of them are still nothing but words.
#[derive(Debug, Clone)]
pub struct AskedKinds {
    kinds: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl AskedKinds {
    /// Takes what was asked for, word by word.
    pub fn new(words: impl IntoIterator<Item = impl AsRef<str>>) -> AskedKinds {
        let kinds: BTreeSet<String> = words.into_iter().map(|word| word.as_ref().trim().to_owned()).collect();
        let is_unknown = |kind: &&String| KINDS.iter().all(|known| known.name != **kind);
        let unknown = kinds.iter().filter(is_unknown).cloned().collect();
        AskedKinds { kinds, unknown }
    }

    /// Returns whether an event of this kind is asked for; then the kind is known.
    pub fn meet(&mut self, kind: &str) -> bool {
        let asked = self.kinds.contains(kind);
        if asked {
            self.unknown.remove(kind);
        }
        asked
    }

    /// Returns a sentence about each kind that is not in the catalogue and has not been met.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.unknown.iter().map(|word| {
            let names = KINDS.iter().map(|kind| kind.name);
            // A pattern means more than the one kind it is like.
            match nearest(&word.to_lowercase(), names).filter(|_| !word.contains('*')) {
                Some(near) => format!("`{word}` is no kind of event known here; did you mean `{near}`?"),
                None => format!(
                    "`{word}` is no kind of event known here; kinds are named in full, as `round_end`"
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_doubted_until_it_is_met_unless_the_catalogue_has_it() {
        let mut asked = AskedKinds::new(["round_end", " agent_exti ", "of_tomorrow", "round_*", "x"]);
        assert!(asked.meet("round_end") && !asked.meet("agent_exit"));
        assert!(asked.meet("of_tomorrow"));
        let said: Vec<String> = asked.complaints().collect();
        assert_eq!(
            said,
            [
                "`agent_exti` is no kind of event known here; did you mean `agent_exit`?",
                "`round_*` is no kind of event known here; kinds are named in full, as `round_end`",
                "`x` is no kind of event known here; kinds are named in full, as `round_end`",
            ]
        );
        assert!(asked.meet("x") && asked.complaints().count() == 2);
    }

    #[test]
    fn capitals_are_a_slip_too() {
        let said: Vec<String> = AskedKinds::new(["ROUND_END"]).complaints().collect();
        assert_eq!(said, ["`ROUND_END` is no kind of event known here; did you mean `round_end`?"]);
    }
}

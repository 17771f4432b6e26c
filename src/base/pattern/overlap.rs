//! Which paths two patterns share: for those who write rules, not for those who are judged by them.

use std::collections::{HashMap, VecDeque};

use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use super::{Automaton, BadPattern, Pattern};

/// How many pairs of states are looked at before two patterns count as too much for each other.
const MOST_PAIRS: usize = 200_000;

/// What two patterns share, each with a path to show for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// A path that both match.
    pub both: Option<String>,
    /// A path that only the first matches.
    pub first_alone: Option<String>,
    /// A path that only the second matches.
    pub second_alone: Option<String>,
}

/// Where a path has got to in both automata, and whether its last byte is a slash.
type Place = (StateID, StateID, bool);

impl Pattern {
    /// What this pattern shares with another one, among the paths that the gate judges: those that begin
    /// with one slash and hold no empty segment. The error says that this cannot be found out.
    pub fn overlap(&self, other: &Self) -> Result<Overlap, BadPattern> {
        let (first, second) = (self.automaton()?, other.automaton()?);
        let bytes = representatives(&first, &second);
        let begin: Place = (first.start, second.start, false);
        let mut came_by: HashMap<Place, Option<(Place, u8)>> = HashMap::from([(begin, None)]);
        let mut queue = VecDeque::from([begin]);
        let mut found = Overlap::default();
        while let Some(place) = queue.pop_front() {
            let (a, b, after_slash) = place;
            let found = match (place == begin, first.ends(a), second.ends(b)) {
                (true, ..) | (false, false, false) => None,
                (false, true, true) => Some(&mut found.both),
                (false, true, false) => Some(&mut found.first_alone),
                (false, false, true) => Some(&mut found.second_alone),
            };
            if let Some(found @ None) = found {
                *found = Some(path_to(place, &came_by));
            }
            for byte in &bytes {
                let is_slash = *byte == b'/';
                if (place == begin && !is_slash) || (after_slash && is_slash) {
                    continue;
                }
                let next = (
                    first.automaton.next_state(a, *byte),
                    second.automaton.next_state(b, *byte),
                    is_slash,
                );
                let dead =
                    first.automaton.is_dead_state(next.0) && second.automaton.is_dead_state(next.1);
                if !dead && !came_by.contains_key(&next) {
                    came_by.insert(next, Some((place, *byte)));
                    queue.push_back(next);
                }
            }
            if came_by.len() > MOST_PAIRS {
                return Err(super::bad(format!(
                    "and {other} are too much to compare: write simpler patterns"
                )));
            }
        }
        Ok(found)
    }
}

/// One byte for all that neither automaton tells apart: a letter or a digit where there is one.
fn representatives(first: &Automaton, second: &Automaton) -> Vec<u8> {
    let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_./");
    let others = (b' '..=u8::MAX).filter(|byte| !matches!(byte, b'\\' | 0x7f));
    let mut classes = HashMap::new();
    for byte in readable.chain(others) {
        let class =
            (first.automaton.byte_classes().get(byte), second.automaton.byte_classes().get(byte));
        classes.entry((class, byte == b'/')).or_insert(byte);
    }
    let mut bytes: Vec<u8> = classes.into_values().collect();
    bytes.sort_unstable();
    bytes
}

/// The path by which a place was first reached: a shortest one.
fn path_to(place: Place, came_by: &HashMap<Place, Option<(Place, u8)>>) -> String {
    let mut bytes = Vec::new();
    let mut at = place;
    while let Some(Some((before, byte))) = came_by.get(&at) {
        bytes.push(*byte);
        at = *before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(first: &str, second: &str) -> (bool, bool, bool) {
        let pattern = |text| Pattern::parse(text).unwrap_or_else(|error| panic!("{text} {error}"));
        let (first, second) = (pattern(first), pattern(second));
        let found = first.overlap(&second).expect("they can be compared");
        for (path, by_first, by_second) in [
            (&found.both, true, true),
            (&found.first_alone, true, false),
            (&found.second_alone, false, true),
        ] {
            let Some(path) = path else { continue };
            assert_eq!(first.matches(path.as_bytes()), by_first, "{first} on {path}");
            assert_eq!(second.matches(path.as_bytes()), by_second, "{second} on {path}");
        }
        (found.both.is_some(), found.first_alone.is_some(), found.second_alone.is_some())
    }

    #[test]
    fn what_patterns_share_is_found() {
        for (first, second, found) in [
            ("/a", "/b", (false, true, true)),
            ("/a/", "/a", (true, false, false)),
            ("/a/{x}", "/a/*", (true, false, false)),
            ("/a/b", "/a/*", (true, false, true)),
            ("/a/**", "/a/b", (true, true, false)),
            ("/a/*/c", "/a/b/*", (true, true, true)),
            ("/**", "/", (true, true, false)),
            ("~^/a/[0-9]+/?$", "/a/{id}", (true, false, true)),
            ("~^/a/[0-9]+/$", "~^/a/[a-z]+/$", (false, true, true)),
            // Only `/a//` would tell them apart, and no path that is judged has an empty segment.
            ("~^/a/*$", "/a", (true, false, false)),
        ] {
            assert_eq!(overlap(first, second), found, "{first} and {second}");
        }
    }

    proptest! {
        #[test]
        fn shared_paths_are_shared(
            first in "(/(a|b|\\{x\\})){1,3}(/\\*\\*)?", second in "(/(a|b|\\{x\\})){1,3}(/\\*\\*)?",
            path in "(/[abc]){1,4}/?",
        ) {
            let (both, first_alone, second_alone) = overlap(&first, &second);
            let matches = |text: &str| Pattern::parse(text).expect("is one").matches(path.as_bytes());
            match (matches(&first), matches(&second)) {
                (true, true) => prop_assert!(both),
                (true, false) => prop_assert!(first_alone),
                (false, true) => prop_assert!(second_alone),
                (false, false) => {}
            }
        }
    }
}

//! Rules of one policy that are in each other's way: what the one who wrote them cannot have meant.

use crate::base::pattern::{BadPattern, Overlap, Pattern};
use crate::gate::policy::{Host, Methods, Requirement, Rule};

/// A rule that is in the way of a later one. Rules go by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Rules before it decide everything that this one is about.
    Unreachable {
        /// The rule that never decides.
        rule: usize,
        /// One that decides in its place.
        by: usize,
    },
    /// This path of a rule never counts: a rule before it, or an earlier path of its own, takes it.
    NeedlessPath {
        /// The rule.
        rule: usize,
        /// Its path.
        path: String,
        /// The one that decides in its place; itself where it names the path twice.
        by: usize,
    },
    /// Both rules match a path and ask for different things, and neither is the exception of the other: only
    /// the order of the list decides, which is not seen.
    Ambiguous {
        /// The one that decides.
        first: usize,
        /// The one that does not.
        second: usize,
        /// What both are about.
        methods: String,
        /// A path that both match.
        path: String,
    },
    /// This cannot be found out.
    TooMuch {
        /// The one rule.
        first: usize,
        /// The other.
        second: usize,
        /// Why.
        why: BadPattern,
    },
}

/// What is wrong between the rules of one policy, in their order. One thing for each rule: where one is
/// mended the next shows.
#[must_use]
pub fn conflicts(rules: &[Rule]) -> Vec<Conflict> {
    let mut found = Vec::new();
    // What was written as one rule stands together.
    for together in rules.chunk_by(|one, next| one.number == next.number) {
        let number = together.first().map_or(0, |rule| rule.number);
        let earlier: Vec<&Rule> = rules.iter().take_while(|rule| rule.number < number).collect();
        let judged: Vec<Option<Conflict>> = together
            .iter()
            .map(|rule| {
                judge(&earlier, rule).unwrap_or_else(|(first, why)| {
                    Some(Conflict::TooMuch { first, second: number, why })
                })
            })
            .collect();
        // A part of it that never counts is no fault, as long as another part does.
        let whole = judged.iter().all(|one| one == judged.first().unwrap_or(&None));
        let counts = |conflict: &Conflict| {
            let in_part =
                matches!(conflict, Conflict::Unreachable { .. } | Conflict::NeedlessPath { .. });
            whole || !in_part
        };
        found.extend(judged.into_iter().flatten().find(counts));
    }
    found
}

fn judge(earlier: &[&Rule], rule: &Rule) -> Result<Option<Conflict>, (usize, BadPattern)> {
    let everything = everything();
    let paths = if rule.paths.is_empty() { std::slice::from_ref(&everything) } else { &rule.paths };
    let mut needless = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        for twice in paths.iter().take(at) {
            let overlap = twice.overlap(path).map_err(|why| (rule.number, why))?;
            if overlap.second_alone.is_none() {
                needless.push((path, rule.number));
            }
        }
        if let Some(by) = taken_by(earlier, rule, path)? {
            needless.push((path, by));
        }
    }
    let by_others = needless.iter().filter(|(_, by)| *by != rule.number);
    if by_others.count() == paths.len()
        && let Some((_, by)) = needless.iter().find(|(_, by)| *by != rule.number)
    {
        return Ok(Some(Conflict::Unreachable { rule: rule.number, by: *by }));
    }
    if let Some((path, by)) = needless.first() {
        let path = path.to_string();
        return Ok(Some(Conflict::NeedlessPath { rule: rule.number, path, by: *by }));
    }
    for first in earlier {
        if let Some((methods, path)) = ambiguous(first, rule, paths)? {
            return Ok(Some(Conflict::Ambiguous {
                first: first.number,
                second: rule.number,
                methods: methods.shown(),
                path,
            }));
        }
    }
    Ok(None)
}

/// The last of the rules that together decide about `path` for every method of `rule`, if they do.
fn taken_by(
    earlier: &[&Rule],
    rule: &Rule,
    path: &Pattern,
) -> Result<Option<usize>, (usize, BadPattern)> {
    let mut left = rule.methods;
    for first in earlier {
        if left.shared(first.methods).is_empty() || !holds_hosts(&first.hosts, &rule.hosts) {
            continue;
        }
        let covers = match first.paths.as_slice() {
            [] => true,
            paths => any(paths, path, |overlap| overlap.second_alone.is_none())
                .map_err(|why| (first.number, why))?,
        };
        if covers {
            left = left.without(first.methods);
            if left.is_empty() {
                return Ok(Some(first.number));
            }
        }
    }
    Ok(None)
}

/// A method set and a path for which `first` decides although `rule` is as close to it.
fn ambiguous(
    first: &Rule,
    rule: &Rule,
    paths: &[Pattern],
) -> Result<Option<(Methods, String)>, (usize, BadPattern)> {
    let methods = first.methods.shared(rule.methods);
    // To deny first and then to allow the rest is plain, and so is to begin with one host.
    let plain = first.requirement == rule.requirement
        || first.requirement == Requirement::Deny
        || (!holds_hosts(&first.hosts, &rule.hosts) && holds_hosts(&rule.hosts, &first.hosts));
    if plain || methods.is_empty() || !share_hosts(&first.hosts, &rule.hosts) {
        return Ok(None);
    }
    let everything = everything();
    let firsts =
        if first.paths.is_empty() { std::slice::from_ref(&everything) } else { &first.paths };
    for one in firsts {
        for other in paths {
            let overlap = one.overlap(other).map_err(|why| (first.number, why))?;
            if let (Some(path), Some(_)) = (overlap.both, overlap.first_alone) {
                return Ok(Some((methods, path)));
            }
        }
    }
    Ok(None)
}

fn any(
    paths: &[Pattern],
    path: &Pattern,
    holds: impl Fn(&Overlap) -> bool,
) -> Result<bool, BadPattern> {
    for one in paths {
        if holds(&one.overlap(path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a rule without paths matches.
fn everything() -> Pattern {
    Pattern::parse("/**").expect("is a pattern")
}

/// Whether all that `inner` names are among `outer`; no names mean all hosts.
fn holds_hosts(outer: &[Host], inner: &[Host]) -> bool {
    outer.is_empty()
        || (!inner.is_empty()
            && inner.iter().all(|inner| outer.iter().any(|outer| outer.holds(inner))))
}

fn share_hosts(first: &[Host], second: &[Host]) -> bool {
    first.is_empty()
        || second.is_empty()
        || first.iter().any(|a| second.iter().any(|b| a.holds(b) || b.holds(a)))
}

#[cfg(test)]
mod tests;

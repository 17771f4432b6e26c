//! Patterns of paths: what rules, API keys and tokens name paths with.
//!
//! A pattern is held against a whole path, decoded and without its query; never against a part of it. It
//! is read once and matched in time linear in the path, without allocating, whatever the path is.
//!
//! | Pattern | Matches |
//! |---|---|
//! | `/api/v1/hobbies` | this path |
//! | `/api/v1/hobbies/{id}` | with any one segment for `{id}`; `*` is the same without a name |
//! | `/api/v1/**` | `/api/v1` and every path under it |
//! | `~^/api/v1/[a-z]+/[0-9]+/$` | what the regular expression matches from end to end |
//!
//! The last slash does not count, neither in a pattern nor in a path: back ends redirect the one spelling
//! to the other or serve both. (In a regular expression it counts, as everything does.)

mod overlap;

use std::fmt;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

pub use self::overlap::Overlap;

/// The longest pattern, in bytes.
const LONGEST: usize = 512;

/// How large the automaton of a regular expression may become, in bytes; and how much may be spent on it.
const LARGEST: usize = 256 << 10;
const MOST_SPENT: usize = 4 << 20;

/// A pattern of paths.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Parts(Vec<Part>),
    Expression(Box<Automaton>),
}

/// A piece of a pattern that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// One or several segments as they are written, each with the slash before it.
    Literal(String),
    /// One segment, whatever it is.
    Segment,
    /// Nothing, or a slash and everything behind it. Always the last.
    Rest,
}

/// Why a text is no pattern, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl Pattern {
    /// Reads a pattern, or says what to write instead.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > LONGEST {
            return Err(bad(format!("is longer than {LONGEST} bytes; write several patterns")));
        }
        let form = match text.strip_prefix('~') {
            Some(expression) => Form::Expression(Box::new(anchored(expression)?)),
            None => Form::Parts(parts(text)?),
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// Whether `path` is what the pattern describes, from its first byte to its last. `path` is decoded,
    /// normalised, and has no query.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.form {
            Form::Parts(parts) => match_parts(parts, path),
            Form::Expression(automaton) => automaton.matches(path),
        }
    }

    /// The automaton that matches what the pattern matches.
    fn automaton(&self) -> Result<Automaton, BadPattern> {
        match &self.form {
            Form::Parts(parts) => Automaton::build(&expression(parts)),
            Form::Expression(automaton) => Ok(Automaton::clone(automaton)),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn bad(why: impl Into<String>) -> BadPattern {
    BadPattern(why.into())
}

fn parts(text: &str) -> Result<Vec<Part>, BadPattern> {
    if text.starts_with('^') || text.ends_with('$') {
        return Err(bad(format!("is a regular expression without its mark: write ~{text}")));
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(bad(format!("does not begin at the path's beginning: write /{text}")));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let mut parts = Vec::new();
    if rest.is_empty() {
        return if text == "/" {
            Ok(parts)
        } else {
            Err(bad("has an empty segment: write one slash"))
        };
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "**" if segments.peek().is_some() => {
                return Err(bad(
                    "has ** before its end, where it could stand for anything: write * for each segment",
                ));
            }
            "**" => parts.push(Part::Rest),
            "*" => parts.push(Part::Segment),
            named if is_named(named) => parts.push(Part::Segment),
            literal => {
                refuse_odd(literal)?;
                match parts.last_mut() {
                    Some(Part::Literal(before)) => {
                        before.push('/');
                        before.push_str(literal);
                    }
                    _ => parts.push(Part::Literal(format!("/{literal}"))),
                }
            }
        }
    }
    Ok(parts)
}

/// Whether a segment is `{name}`.
fn is_named(segment: &str) -> bool {
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(plain))
}

/// Refuses what no judged path holds, or what was meant to be more than itself.
fn refuse_odd(segment: &str) -> Result<(), BadPattern> {
    if segment.is_empty() {
        return Err(bad("has an empty segment: write one slash"));
    }
    if matches!(segment, "." | "..") {
        return Err(bad(format!(
            "has the segment {segment}, which no path that is judged has: write the path itself"
        )));
    }
    for c in segment.chars() {
        let instead = match c {
            '*' => "* stands for a whole segment: write it alone, or a regular expression as ~^…$",
            '{' | '}' => {
                "a placeholder is a whole segment: write {name}, or a regular expression as ~^…$"
            }
            '<' | '>' => "a placeholder is written {name}, without a type",
            '%' => "paths are judged decoded: write the character itself",
            '?' | '#' => "the query is not part of the path: write the pattern without it",
            '\\' | '|' | '(' | ')' | '[' | ']' | '^' | '$' => {
                "a regular expression is written from end to end as ~^…$"
            }
            c if c.is_control() => "a control character is in no path that is judged",
            _ => continue,
        };
        return Err(bad(format!("has {} in a segment: {instead}", c.escape_debug())));
    }
    Ok(())
}

fn match_parts(parts: &[Part], path: &[u8]) -> bool {
    let Some(b'/') = path.first() else { return false };
    let mut rest = path.strip_suffix(b"/").unwrap_or(path);
    for part in parts {
        match part {
            Part::Rest => return true,
            Part::Literal(literal) => match rest.strip_prefix(literal.as_bytes()) {
                // It must end where a segment ends.
                Some(behind) if matches!(behind.first(), None | Some(b'/')) => rest = behind,
                _ => return false,
            },
            Part::Segment => {
                let Some(segment) = rest.strip_prefix(b"/") else { return false };
                let end = segment.iter().position(|byte| *byte == b'/').unwrap_or(segment.len());
                if end == 0 {
                    return false;
                }
                rest = segment.split_at(end).1;
            }
        }
    }
    rest.is_empty()
}

/// The regular expression that matches what [`match_parts`] matches.
fn expression(parts: &[Part]) -> Hir {
    let bytes = |ranges: &[(u8, u8)]| {
        let ranges = ranges.iter().map(|(from, to)| ClassBytesRange::new(*from, *to));
        Hir::class(Class::Bytes(ClassBytes::new(ranges)))
    };
    let repeated = |min, max, what| {
        Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(what) })
    };
    let slash = || Hir::literal(*b"/");
    let everything = || repeated(0, None, bytes(&[(0, u8::MAX)]));
    let mut pieces = vec![Hir::look(Look::Start)];
    for part in parts {
        match part {
            Part::Literal(literal) => pieces.push(Hir::literal(literal.as_bytes())),
            Part::Segment => {
                let plain = bytes(&[(0, b'/' - 1), (b'/' + 1, u8::MAX)]);
                pieces.extend([slash(), repeated(1, None, plain)]);
            }
            Part::Rest => {}
        }
    }
    match parts {
        [] => pieces.push(slash()),
        [Part::Rest] => pieces.extend([slash(), everything()]),
        [.., Part::Rest] => {
            pieces.push(repeated(0, Some(1), Hir::concat(vec![slash(), everything()])));
        }
        _ => pieces.push(repeated(0, Some(1), slash())),
    }
    pieces.push(Hir::look(Look::End));
    Hir::concat(pieces)
}

/// A deterministic automaton: one step for each byte of the path, no memory beside it.
#[derive(Clone)]
struct Automaton {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Automaton {
    fn build(expression: &Hir) -> Result<Self, BadPattern> {
        let unfit = |error: &dyn fmt::Display| {
            bad(format!("is too much for one regular expression ({error}): write several patterns"))
        };
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_SPENT)))
            .build_from_hir(expression)
            .map_err(|error| unfit(&error))?;
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .accelerate(false)
            .dfa_size_limit(Some(LARGEST))
            .determinize_size_limit(Some(MOST_SPENT));
        let automaton = dense::Builder::new().configure(config).build_from_nfa(&nfa);
        let automaton = automaton.map_err(|error| unfit(&error))?;
        let start = automaton.start_state(&start::Config::new().anchored(Anchored::Yes));
        let start = start.map_err(|error| unfit(&error))?;
        Ok(Self { automaton, start })
    }

    fn matches(&self, path: &[u8]) -> bool {
        let mut state = self.start;
        for byte in path {
            state = self.automaton.next_state(state, *byte);
            if self.automaton.is_dead_state(state) {
                return false;
            }
        }
        self.ends(state)
    }

    /// Whether a path that has led here is matched if it ends here.
    fn ends(&self, state: StateID) -> bool {
        self.automaton.is_match_state(self.automaton.next_eoi_state(state))
    }
}

/// A regular expression that matches from end to end, whichever of its branches it takes. It is about
/// bytes, not characters: `[0-9]` and `\d` are the ten digits, and no table of Unicode is needed.
fn anchored(expression: &str) -> Result<Automaton, BadPattern> {
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(expression)
        .map_err(|error| {
            bad(format!("is no regular expression: {}", one_line(&error.to_string())))
        })?;
    let looks = parsed.properties();
    let is_anchored = looks.look_set_prefix().contains(Look::Start)
        && looks.look_set_suffix().contains(Look::End);
    if !is_anchored {
        let inner = expression.strip_prefix('^').unwrap_or(expression);
        let inner = inner.strip_suffix('$').unwrap_or(inner);
        let inner = if inner.contains('|') { format!("(?:{inner})") } else { inner.to_owned() };
        return Err(bad(format!(
            "is not anchored, so it would match parts of paths: write ~^{inner}$"
        )));
    }
    Automaton::build(&parsed)
}

/// The library's message without its drawing.
fn one_line(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap_or_else(|error| panic!("{text} {error}"))
    }

    #[test]
    fn a_pattern_matches_whole_paths() {
        let cases = [
            ("/", "/", true),
            ("/", "/a", false),
            ("/", "//", false),
            ("/", "", false),
            ("/api/v1/hobbies/", "/api/v1/hobbies/", true),
            ("/api/v1/hobbies/", "/api/v1/hobbies", true),
            ("/api/v1/hobbies", "/api/v1/hobbies/", true),
            ("/api/v1/hobbies", "/api/v1/hobbies//", false),
            ("/api/v1/hobbies", "/api/v1/hobbies/7", false),
            ("/api/v1/hobbies", "/x/api/v1/hobbies", false),
            ("/api/v1/hobbies", "/api/v1/hobbiesx", false),
            ("/api/v1/hobbies", "/API/v1/hobbies", false),
            ("/api/{version}/hobbies/{id}/", "/api/v1/hobbies/7/", true),
            ("/api/{version}/hobbies/{id}/", "/api/v1/hobbies/7/edit/", false),
            ("/api/{version}/hobbies/{id}/", "/api/v1/hobbies/", false),
            ("/api/*/new", "/api/v1/new", true),
            ("/api/*", "/api/", false),
            ("/api/**", "/api", true),
            ("/api/**", "/api/", true),
            ("/api/**", "/api/v1/x/y/", true),
            ("/api/**", "/apix", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/ä ö", "/ä ö", true),
            ("~^/api/v1/[a-z]+/[0-9]+/$", "/api/v1/hobbies/12/", true),
            ("~^/api/v1/[a-z]+/[0-9]+/$", "/api/v1/hobbies/12", false),
            ("~^/api/v1/[a-z]+/[0-9]+/$", "/api/v1/hobbies/12/\n", false),
            ("~^(?:/a|/ab)$", "/ab", true),
            (r"~^/(?:a|b)/\d+$", "/b/2", true),
            (r"~^/\d$", "/٣", false),
        ];
        for (text, path, matches) in cases {
            assert_eq!(pattern(text).matches(path.as_bytes()), matches, "{text} on {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_what_to_write() {
        for (text, instead) in [
            ("api/v1", "write /api/v1"),
            ("", "write /"),
            ("^/api/$", "write ~^/api/$"),
            ("/api//v1", "write one slash"),
            ("//", "write one slash"),
            ("/api/../x", "write the path itself"),
            ("/api/**/x", "write * for each segment"),
            ("/api/*.json", "write it alone"),
            ("/api/{id}.json", "write {name}"),
            ("/api/{}", "write {name}"),
            ("/api/<int:pk>/", "is written {name}"),
            ("/%61pi/", "write the character itself"),
            ("/api/?x=1", "without it"),
            ("/api/(v1|v2)/", "~^…$"),
            ("/a\u{7}", "control character"),
            ("~/api/.*", "write ~^/api/.*$"),
            ("~^/api/", "write ~^/api/$"),
            ("~^/a|/b$", "write ~^(?:/a|/b)$"),
            ("~(?m)^/a$", "is not anchored"),
            ("~^/a[$", "is no regular expression: unclosed character class"),
            ("~^/[a-z]{1000}{1000}$", "too much"),
            ("~^/[a-z]*x[a-z]{20}$", "too much"),
            (r"~^/\pL$", "is no regular expression"),
        ] {
            let error = Pattern::parse(text).expect_err(text).to_string();
            assert!(error.contains(instead), "{text}: {error}");
        }
        assert!(Pattern::parse(&format!("/{}", "a".repeat(LONGEST))).is_err());
    }

    proptest! {
        #[test]
        fn parts_and_their_regular_expression_agree(
            parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "{x}", "*"]), 0..4),
            rest in any::<bool>(),
            path in "(/[ab]?){0,6}",
        ) {
            let mut text: String = parts.iter().flat_map(|part| ["/", *part]).collect();
            if rest {
                text.push_str("/**");
            }
            if text.is_empty() {
                text.push('/');
            }
            let pattern = pattern(&text);
            let automaton = pattern.automaton().expect("is small");
            let matches = automaton.matches(path.as_bytes());
            prop_assert_eq!(pattern.matches(path.as_bytes()), matches, "{} on {}", text, path);
        }

        #[test]
        fn a_pattern_without_placeholders_matches_itself_alone(
            text in "/\\PC{0,20}", path in "/\\PC{0,20}",
        ) {
            if let Ok(pattern) = Pattern::parse(&text) && !text.contains(['*', '{']) {
                let slashless = |text: &'_ str| text.strip_suffix('/').unwrap_or(text).to_owned();
                prop_assert!(pattern.matches(text.as_bytes()));
                let same = slashless(&text) == slashless(&path);
                prop_assert_eq!(pattern.matches(path.as_bytes()), same);
            }
        }

        #[test]
        fn no_regular_expression_is_too_odd(text in "[\\PC^$|()]{0,30}", path in "\\PC{0,40}") {
            if let Ok(pattern) = Pattern::parse(&format!("~^{text}$")) {
                // That it matches a path is not changed by asking again.
                prop_assert_eq!(pattern.matches(path.as_bytes()), pattern.matches(path.as_bytes()));
            }
        }
    }
}

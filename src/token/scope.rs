//! Scopes: what a credential is for, as one text of words (RFC 6749 3.3).
//!
//! A word is either a plain name, `hobbies:read`, which policies ask for and back ends are shown, or says
//! itself what may be done: methods, a colon and the pattern of a path, `GET,POST:/api/v1/hobbies/{id}`.
//! `*` stands for all methods; GET includes HEAD.

use std::fmt;

use crate::base::pattern::Pattern;

/// Characters of a list of scopes at most: it travels in a header.
const LONGEST: usize = 2000;
/// Scopes in a list at most: each may be looked at for every request.
const MOST: usize = 50;

/// A list of scopes. The empty one restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    names: Vec<String>,
    permits: Vec<Permit>,
}

/// A scope that says itself what may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Permit {
    /// Empty: all.
    methods: Vec<String>,
    path: Pattern,
}

/// Why a text is no list of scopes: a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadScope(String);

impl fmt::Display for BadScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scopes {
    /// Reads words between spaces. A word that stands twice counts once.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        if text.len() > LONGEST {
            return Err(BadScope(format!("Scopes have at most {LONGEST} characters.")));
        }
        let mut scopes = Self::default();
        for (at, word) in text.split_ascii_whitespace().enumerate() {
            if at >= MOST {
                return Err(BadScope(format!("There are at most {MOST} scopes.")));
            }
            // RFC 6749 3.3: printable ASCII but for the quotation mark and the backslash.
            if !word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
                return Err(BadScope(format!(
                    "The scope \"{}\" holds a character that no scope may.",
                    word.escape_default()
                )));
            }
            match Permit::parse(word)? {
                Some(permit) if !scopes.permits.contains(&permit) => scopes.permits.push(permit),
                None if !scopes.has(word) => scopes.names.push(word.to_owned()),
                Some(_) | None => {}
            }
        }
        Ok(scopes)
    }

    /// Whether there are none, so that nothing is restricted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.permits.is_empty()
    }

    /// Whether this plain name is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|found| found == name)
    }

    /// Whether one of them says itself that a request may be made. `path` is decoded, without query.
    #[must_use]
    pub fn permit(&self, method: &[u8], path: &str) -> bool {
        self.permits.iter().any(|permit| permit.covers(method, path))
    }

    /// The plain names, between spaces.
    #[must_use]
    pub fn names(&self) -> String {
        self.names.join(" ")
    }
}

/// All of them between spaces: reads back as the same list.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for name in &self.names {
            write!(f, "{gap}{name}")?;
            gap = " ";
        }
        for Permit { methods, path } in &self.permits {
            let methods = if methods.is_empty() { "*".to_owned() } else { methods.join(",") };
            write!(f, "{gap}{methods}:{path}")?;
            gap = " ";
        }
        Ok(())
    }
}

impl Permit {
    /// Reads a word; `None` where it is a plain name.
    fn parse(word: &str) -> Result<Option<Self>, BadScope> {
        let Some((methods, path)) = word.split_once(':') else {
            if word.starts_with(['/', '~']) {
                return Err(BadScope(format!(
                    "The scope \"{word}\" has no methods: write \"*:{word}\"."
                )));
            }
            return Ok(None);
        };
        if !path.starts_with(['/', '~']) {
            return Ok(None);
        }
        // Whoever makes a key must not be able to fill memory with the automata of expressions.
        if path.starts_with('~') {
            return Err(BadScope(format!(
                "The scope \"{word}\" holds a regular expression: write segments, * and **."
            )));
        }
        let methods: Vec<String> = match methods {
            "*" => Vec::new(),
            methods => methods.split(',').map(str::to_owned).collect(),
        };
        let is_method = |method: &String| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if !methods.iter().all(is_method) {
            return Err(BadScope(format!(
                "The scope \"{word}\" begins with no methods: write GET,POST:/path or *:/path."
            )));
        }
        let path = Pattern::parse(path)
            .map_err(|why| BadScope(format!("The path of the scope \"{word}\" {why}.")))?;
        Ok(Some(Self { methods, path }))
    }

    fn covers(&self, method: &[u8], path: &str) -> bool {
        let method = if method == b"HEAD" { b"GET" } else { method };
        let names = |allowed: &String| {
            let allowed = if allowed == "HEAD" { "GET" } else { allowed };
            allowed.as_bytes() == method
        };
        (self.methods.is_empty() || self.methods.iter().any(names))
            && self.path.matches(path.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn names_and_permits_are_told_apart() {
        let scopes = scopes("hobbies:read  GET:/api/v1/hobbies/* openid\tGET:/api/v1/hobbies/*");
        assert_eq!(scopes.names(), "hobbies:read openid");
        assert_eq!(scopes.to_string(), "hobbies:read openid GET:/api/v1/hobbies/*");
        assert!(scopes.has("openid") && !scopes.has("GET:/api/v1/hobbies/*"));
        assert!(!scopes.is_empty() && Scopes::default().is_empty());
    }

    #[test]
    fn a_permit_covers_its_methods_and_whole_paths_alone() {
        let scopes = scopes("GET,POST:/api/v1/hobbies/{id} *:/mobile-api/**");
        for (method, path, covered) in [
            ("GET", "/api/v1/hobbies/7", true),
            ("HEAD", "/api/v1/hobbies/7/", true),
            ("POST", "/api/v1/hobbies/7", true),
            ("DELETE", "/api/v1/hobbies/7", false),
            ("get", "/api/v1/hobbies/7", false),
            ("GET", "/api/v1/hobbies", false),
            ("GET", "/api/v1/hobbies/7/x", false),
            ("GET", "/x/api/v1/hobbies/7", false),
            ("DELETE", "/mobile-api/v1/x", true),
        ] {
            assert_eq!(scopes.permit(method.as_bytes(), path), covered, "{method} {path}");
        }
        assert!(!Scopes::default().permit(b"GET", "/"), "no scope says so itself");
    }

    #[test]
    fn what_is_no_scope_is_told_what_to_write() {
        for (text, instead) in [
            ("a\"b", "no scope may"),
            ("ä", "no scope may"),
            ("/api/v1", "write \"*:/api/v1\""),
            ("get:/api", "GET,POST:/path"),
            (":/api", "GET,POST:/path"),
            ("GET,:/api", "GET,POST:/path"),
            ("GET:/api//x", "write one slash"),
            ("GET:~^/api/.*$", "write segments"),
        ] {
            let why = Scopes::parse(text).expect_err(text).to_string();
            assert!(why.contains(instead), "{text}: {why}");
        }
        assert!(Scopes::parse(&"a ".repeat(MOST + 1)).is_err());
        assert!(Scopes::parse(&"a".repeat(LONGEST + 1)).is_err());
    }

    proptest! {
        #[test]
        fn a_list_reads_back_as_itself(
            text in "((GET|POST,PUT|\\*|x|):?(/[a-z{}*]{0,5}){0,3}|[a-z:~]{1,8}|\\PC| ){0,12}",
        ) {
            if let Ok(scopes) = Scopes::parse(&text) {
                let again = Scopes::parse(&scopes.to_string());
                prop_assert_eq!(again, Ok(scopes));
            }
        }
    }
}

//! Reading Rust text as far as the architecture test needs: words, string literals, and the paths that a
//! file names. No parser: what it does not understand it skips, and macros hide nothing from it.

use std::fs;
use std::path::{Path, PathBuf};

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word: identifier, keyword or number.
    Word(String),
    /// `::`, or a single character.
    Mark(&'static str),
    /// What stands between the quotes of a string.
    Literal(String),
}

/// A file of `src/`, taken apart.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path under `src/`, such as `gate/decide.rs`.
    pub(crate) path: String,
    /// Its text without comments, with the line of each piece.
    pub(crate) tokens: Vec<(Token, usize)>,
    /// Every path of two segments or more in it.
    pub(crate) paths: Vec<Named>,
}

/// A path that a file names.
#[derive(Debug)]
pub(crate) struct Named {
    /// Its segments; ours begin with `crate`.
    pub(crate) segments: Vec<String>,
    /// Where.
    pub(crate) line: usize,
    /// Whether by a `use`.
    pub(crate) imported: bool,
}

impl Source {
    /// Takes a text apart.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = lex(text);
        let paths = paths(&module_of(path), &tokens);
        Self { path: path.to_owned(), tokens, paths }
    }

    /// The folder or file directly under `src/` that it belongs to: `gate`, `server`.
    pub(crate) fn layer(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Whether it holds tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }

    /// The words and marks, to look for a sequence in: `["Instant", "::", "now"]`.
    pub(crate) fn find(&self, sequence: &[&str]) -> Vec<usize> {
        let same = |window: &[(Token, usize)]| {
            window.iter().zip(sequence).all(|((token, _), wanted)| match token {
                Token::Word(word) => word == wanted,
                Token::Mark(mark) => mark == wanted,
                Token::Literal(_) => false,
            })
        };
        let windows = self.tokens.windows(sequence.len());
        windows.filter(|window| same(window)).map(|window| window[0].1).collect()
    }
}

/// All files of `src/`.
pub(crate) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "src/ was found");
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(&root).expect("it was found there").to_str().expect("ASCII");
        Source::new(path, &fs::read_to_string(file).expect("sources are UTF-8"))
    };
    files.iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module that a file is: `["gate", "decide"]`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn lex(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(c) = rest.chars().next() {
        let mut push = |token| tokens.push((token, line));
        let taken = if c.is_whitespace() {
            c.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some((literal, taken)) = string(rest) {
            push(Token::Literal(literal.to_owned()));
            taken
        } else if c == '\'' {
            character(rest)
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            push(Token::Word(rest[..end].to_owned()));
            end
        } else if rest.starts_with("::") {
            push(Token::Mark("::"));
            2
        } else {
            const MARKS: &[&str] =
                &["{", "}", ",", ";", "*", "(", ")", "<", ">", ".", "#", "=", "-"];
            if let Some(mark) = MARKS.iter().find(|mark| mark.starts_with(c)) {
                push(Token::Mark(mark));
            } else {
                push(Token::Mark("other"));
            }
            c.len_utf8()
        };
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    tokens
}

/// The length of a block comment, others in it included.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        let Some(next) = rest.get(at..) else { return rest.len() };
        if next.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if next.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            let Some(c) = next.chars().next() else { return rest.len() };
            at += c.len_utf8();
        }
    }
}

/// A string literal of any kind at the front: what is in it, and its length.
fn string(rest: &str) -> Option<(&str, usize)> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|next| next.starts_with(['"', '#']))
    })?;
    let raw = prefix.ends_with('r');
    let body = &rest[prefix.len()..];
    if !raw {
        let body = body.strip_prefix('"')?;
        let mut escaped = false;
        let end = body.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })?;
        return Some((&body[..end], prefix.len() + end + 2));
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inner = body[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = inner.find(&closing)?;
    Some((&inner[..end], prefix.len() + hashes + 1 + end + closing.len()))
}

/// The length of a character literal, or of the quote that begins a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let after = at + c.len_utf8();
            rest[after..].find('\'').map_or(1, |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// All paths of two segments or more, `use` trees taken apart, `self` and `super` resolved.
fn paths(module: &[String], tokens: &[(Token, usize)]) -> Vec<Named> {
    let mut found = Vec::new();
    // The modules that are written inside the file, with the depth of braces at which each began.
    let (mut inline, mut depth) = (Vec::<(String, usize)>::new(), 0_usize);
    let mut at = 0;
    while let Some((token, _)) = tokens.get(at) {
        match token {
            Token::Mark("{") => depth += 1,
            Token::Mark("}") => {
                depth = depth.saturating_sub(1);
                if inline.last().is_some_and(|(_, began)| *began == depth) {
                    inline.pop();
                }
            }
            Token::Word(word) if word == "mod" => {
                if let (Some((Token::Word(name), _)), Some((Token::Mark("{"), _))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    inline.push((name.clone(), depth));
                }
            }
            Token::Word(_) if !follows_path(tokens, at) => {
                let mut here = module.to_vec();
                here.extend(inline.iter().map(|(name, _)| name.clone()));
                let previous = at.checked_sub(1).and_then(|before| tokens.get(before));
                let imported =
                    previous.is_some_and(|(token, _)| *token == Token::Word("use".into()));
                let mut tree = Vec::new();
                at = expand(tokens, at, &mut Vec::new(), &mut tree);
                for (path, line) in tree {
                    found.push(Named { segments: absolute(&here, &path), line, imported });
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found.retain(|path| path.segments.len() > 1);
    found
}

fn follows_path(tokens: &[(Token, usize)], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| tokens.get(before))
        .is_some_and(|(token, _)| matches!(token, Token::Mark("::")))
}

/// Reads the path or `use` tree that begins at a word; gives where it ends.
fn expand(
    tokens: &[(Token, usize)],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let length = prefix.len();
    let mut line = tokens.get(at).map_or(0, |(_, line)| *line);
    while let Some((Token::Word(word), here)) = tokens.get(at) {
        line = *here;
        prefix.push(word.clone());
        at += 1;
        if !matches!(tokens.get(at), Some((Token::Mark("::"), _))) {
            break;
        }
        at += 1;
        if matches!(tokens.get(at), Some((Token::Mark("{"), _))) {
            at += 1;
            while !matches!(tokens.get(at), Some((Token::Mark("}"), _)) | None) {
                // What stands between two names: `,`, `*`, `as name`.
                at = match &tokens[at].0 {
                    Token::Word(word) if word == "as" => at + 2,
                    Token::Word(_) => expand(tokens, at, prefix, found),
                    Token::Mark(_) | Token::Literal(_) => at + 1,
                };
            }
            prefix.truncate(length);
            return at + 1;
        }
    }
    if prefix.len() > length {
        found.push((prefix.clone(), line));
    }
    prefix.truncate(length);
    at
}

/// A path with `self` and `super` resolved against the module it stands in.
fn absolute(here: &[String], path: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|segment| *segment == "super").count();
    let relative = path.first().is_some_and(|first| first == "self" || first == "super");
    if !relative {
        return path.to_vec();
    }
    let skipped = if ups > 0 { ups } else { 1 };
    let base = here.iter().take(here.len().saturating_sub(ups)).cloned();
    let rest = path.iter().skip(skipped).cloned();
    std::iter::once("crate".to_owned()).chain(base).chain(rest).collect()
}

//! Templates: how they are set up, and an operator's own in the place of those that are compiled in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value};

/// Something wrong with an operator's template: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// The file.
    pub file: PathBuf,
    /// The line, where the fault has one.
    pub line: Option<usize>,
    /// What is wrong.
    pub sentence: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.sentence)
    }
}

/// An environment as all our templates have it.
#[must_use]
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // A misspelt variable is a fault that `avain check` shows, not an empty place in a mail or a page; `if`
    // may ask for what is not there.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "html")) => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment.set_formatter(format_value);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters differ from each other"));
    environment
}

/// Escapes what HTML must not take for its own. Slashes stay as they are, so that links can be read in the
/// source of a mail.
fn format_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    use std::fmt::Write as _;

    if !matches!(state.auto_escape(), AutoEscape::Html) || value.is_safe() {
        return minijinja::escape_formatter(out, state, value);
    }
    for c in value.to_string().chars() {
        match c {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}

/// An operator's own templates: by name, and what is wrong with files that cannot be templates of ours.
#[derive(Debug, Default)]
pub struct Overrides {
    /// Where they lie.
    pub folder: PathBuf,
    /// Their texts by name.
    pub texts: BTreeMap<String, String>,
    /// What is wrong with some.
    pub faults: Vec<TemplateFault>,
}

/// Files deeper than this, or larger, are no templates.
const DEEPEST: usize = 3;
const LARGEST: u64 = 1 << 20;

impl Overrides {
    /// Reads a folder. Files whose names begin with a dot or end with `~` are left out, as are links that
    /// lead nowhere. `misplaced` tells why a file can be no template.
    pub fn read(folder: &Path, misplaced: fn(&str) -> Option<String>) -> std::io::Result<Self> {
        let mut overrides = Self { folder: folder.to_owned(), ..Self::default() };
        overrides.read_folder(folder, "", 0, misplaced)?;
        Ok(overrides)
    }

    fn read_folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        misplaced: fn(&str) -> Option<String>,
    ) -> std::io::Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Some(file) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if file.starts_with('.') || file.ends_with('~') {
                continue;
            }
            let name = format!("{prefix}{file}");
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if about.is_dir() {
                if depth < DEEPEST {
                    self.read_folder(&path, &format!("{name}/"), depth + 1, misplaced)?;
                }
            } else if about.len() > LARGEST {
                self.fault(&name, None, "is larger than a template can be");
            } else if let Some(sentence) = misplaced(&name) {
                self.fault(&name, None, &sentence);
            } else {
                match String::from_utf8(std::fs::read(&path)?) {
                    Ok(text) => drop(self.texts.insert(name, text)),
                    Err(_) => self.fault(&name, None, "is not UTF-8"),
                }
            }
        }
        Ok(())
    }

    /// Notes what is wrong with a template.
    pub fn fault(&mut self, name: &str, line: Option<usize>, sentence: &str) {
        let fault =
            TemplateFault { file: self.folder.join(name), line, sentence: sentence.to_owned() };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// As [`Overrides::fault`], from what minijinja says. Gives the name of the template at fault, where
    /// that is one of the operator's.
    pub fn note(&mut self, error: &Error) -> Option<String> {
        let innermost = innermost(error);
        let name = innermost.name().filter(|name| self.texts.contains_key(*name))?.to_owned();
        self.fault(&name, innermost.line(), &sentence(innermost));
        Some(name)
    }
}

/// The error at the bottom: that of the template in which it happened, not of those that included it.
#[must_use]
pub fn innermost(error: &Error) -> &Error {
    let mut found = error;
    while let Some(next) =
        std::error::Error::source(found).and_then(|source| source.downcast_ref::<Error>())
    {
        found = next;
    }
    found
}

/// What minijinja says, without the place.
#[must_use]
pub fn sentence(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

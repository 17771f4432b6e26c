//! The statements, by name. They live in `sql/queries/<entity>.sql`, each introduced by a line
//! `-- name: consume`, and are addressed as `entity.consume`. A statement that must differ on one engine
//! has a second text under `-- name: consume (sqlite)` or `(postgres)`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::store::error::StoreError;

/// The files with statements: entity and text. A file that is not listed here does not exist for us
/// (a test compares the list with the folder).
pub const FILES: &[(&str, &str)] = &[
    ("account_pages", include_str!("../../sql/queries/account_pages.sql")),
    ("accounts", include_str!("../../sql/queries/accounts.sql")),
    ("api_keys", include_str!("../../sql/queries/api_keys.sql")),
    ("attempts", include_str!("../../sql/queries/attempts.sql")),
    ("audit", include_str!("../../sql/queries/audit.sql")),
    ("changes", include_str!("../../sql/queries/changes.sql")),
    ("clients", include_str!("../../sql/queries/clients.sql")),
    ("deactivations", include_str!("../../sql/queries/deactivations.sql")),
    ("email_addresses", include_str!("../../sql/queries/email_addresses.sql")),
    ("facts", include_str!("../../sql/queries/facts.sql")),
    ("migrations", include_str!("../../sql/queries/migrations.sql")),
    ("one_time_links", include_str!("../../sql/queries/one_time_links.sql")),
    ("outbox", include_str!("../../sql/queries/outbox.sql")),
    ("personal_keys", include_str!("../../sql/queries/personal_keys.sql")),
    ("preferences", include_str!("../../sql/queries/preferences.sql")),
    ("refresh_families", include_str!("../../sql/queries/refresh_families.sql")),
    ("sessions", include_str!("../../sql/queries/sessions.sql")),
    ("signing_keys", include_str!("../../sql/queries/signing_keys.sql")),
    ("store", include_str!("../../sql/queries/store.sql")),
    ("triggers", include_str!("../../sql/queries/triggers.sql")),
];

/// One named statement as each engine gets it; `None` where it exists for the other engine alone.
#[derive(Debug)]
pub struct Statement {
    /// `entity.name`.
    pub name: String,
    /// How many parameters it takes.
    pub params: usize,
    /// PostgreSQL's text, with the name as leading comment so that its logs say which one it was.
    pub postgres: Option<String>,
    /// SQLite's text, with `?n` in place of `$n`.
    pub sqlite: Option<String>,
}

/// Statements by name.
#[derive(Debug, Default)]
pub struct Catalog(HashMap<String, Arc<Statement>>);

impl Catalog {
    /// The statements of this program.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
            // A text that does not parse is left out here and found by the test below.
            Arc::new(Catalog::parse(FILES).unwrap_or_default())
        });
        Arc::clone(&EMBEDDED)
    }

    /// Reads `files`, pairs of entity and text. Refuses text before the first name, a name twice, an
    /// unknown engine, and more than one statement under a name.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, StoreError> {
        let mut catalog = Self::default();
        for (entity, text) in files {
            catalog.add(entity, text).map_err(|sentence| {
                StoreError::Other(format!("sql/queries/{entity}.sql: {sentence}"))
            })?;
        }
        Ok(catalog)
    }

    /// The statement of that name; an unknown one is a fault of ours.
    pub fn find(&self, name: &str) -> Result<&Arc<Statement>, StoreError> {
        self.0.get(name).ok_or_else(|| StoreError::Other(format!("there is no statement {name}")))
    }

    /// All statements, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.0.values()
    }

    fn add(&mut self, entity: &str, text: &str) -> Result<(), String> {
        let mut texts: HashMap<String, Texts> = HashMap::new();
        for (header, body) in sections(text)? {
            let (name, engine) = match header.split_once(" (") {
                None => (header, None),
                Some((name, engine)) => (name, engine.strip_suffix(')').or(Some(""))),
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                return Err(format!("{header:?} is no name of a statement"));
            }
            let body =
                single(body).ok_or_else(|| format!("{name} is not exactly one statement"))?;
            let texts = texts.entry(name.to_owned()).or_default();
            let slot = match engine {
                None => &mut texts.shared,
                Some("postgres") => &mut texts.postgres,
                Some("sqlite") => &mut texts.sqlite,
                Some(_) => return Err(format!("{header:?} names no engine")),
            };
            if slot.replace(body.to_owned()).is_some() {
                return Err(format!("{header} stands there twice"));
            }
        }
        for (name, texts) in texts {
            let name = format!("{entity}.{name}");
            let postgres = texts.postgres.or_else(|| texts.shared.clone());
            let sqlite = texts.sqlite.or(texts.shared);
            let params = postgres.as_deref().or(sqlite.as_deref()).map_or(0, parameters);
            if sqlite.as_deref().is_some_and(|text| parameters(text) != params) {
                return Err(format!("the texts of {name} take different parameters"));
            }
            let statement = Statement {
                params,
                postgres: postgres.map(|text| format!("-- {name}\n{text}")),
                sqlite: sqlite.map(|text| numbered_for_sqlite(&text)),
                name: name.clone(),
            };
            if self.0.insert(name, Arc::new(statement)).is_some() {
                return Err("the entity is listed twice".to_owned());
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Texts {
    shared: Option<String>,
    postgres: Option<String>,
    sqlite: Option<String>,
}

/// The parts of a file: what stands after `-- name: `, and the text up to the next one.
fn sections(text: &str) -> Result<Vec<(&str, &str)>, String> {
    const MARK: &str = "-- name: ";
    let mut starts: Vec<usize> = text.match_indices(MARK).map(|(at, _)| at).collect();
    starts.retain(|&at| at == 0 || text[..at].ends_with('\n'));
    let preface = &text[..starts.first().copied().unwrap_or(text.len())];
    if pieces(preface).any(|piece| matches!(piece, Piece::Code(code) if !code.trim().is_empty())) {
        return Err("there is a statement before the first name".to_owned());
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let sections = starts.iter().zip(ends).map(|(&start, end)| {
        let section = &text[start + MARK.len()..end];
        let (header, body) = section.split_once('\n').unwrap_or((section, ""));
        (header.trim(), body)
    });
    Ok(sections.collect())
}

/// `body` without its final semicolon, if it is exactly one statement.
fn single(body: &str) -> Option<&str> {
    let body = body.trim();
    let mut semicolons = Vec::new();
    let mut at = 0;
    let mut code_after_last = false;
    for piece in pieces(body) {
        if let Piece::Code(code) = piece {
            semicolons.extend(code.match_indices(';').map(|(found, _)| at + found));
            code_after_last = match code.rfind(';') {
                Some(last) => !code[last + 1..].trim().is_empty(),
                None => code_after_last || !code.trim().is_empty(),
            };
        } else if matches!(piece, Piece::Quoted(_)) {
            code_after_last = true;
        }
        at += piece.text().len();
    }
    match (semicolons.as_slice(), code_after_last) {
        ([], true) => Some(body),
        ([only], false) => Some(body[..*only].trim_end()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// `$n` as `?n`: SQLite numbers `$2` by first appearance, as a named parameter, and would swap values
/// without a word. Quoted text and comments stay as they are.
fn numbered_for_sqlite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        let Piece::Code(code) = piece else {
            out.push_str(piece.text());
            continue;
        };
        let mut chars = code.chars().peekable();
        while let Some(c) = chars.next() {
            let numbered = c == '$' && chars.peek().is_some_and(char::is_ascii_digit);
            out.push(if numbered { '?' } else { c });
        }
    }
    out
}

/// How many parameters a text takes: the greatest `n` of its `$n`.
fn parameters(text: &str) -> usize {
    let code = pieces(text).filter(|piece| matches!(piece, Piece::Code(_)));
    let numbers = code.flat_map(|piece| {
        piece.text().split('$').skip(1).filter_map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        })
    });
    numbers.max().unwrap_or(0)
}

/// A stretch of SQL.
enum Piece<'a> {
    Code(&'a str),
    /// `'…'` or `"…"`. A doubled quote inside ends one piece and begins the next, which is as good.
    Quoted(&'a str),
    /// `-- …` with its end of line, or `/* … */`.
    Comment(&'a str),
}

impl<'a> Piece<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Code(text) | Self::Quoted(text) | Self::Comment(text) => text,
        }
    }
}

/// Cuts SQL into its pieces, in order and without loss.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let piece = (!rest.is_empty()).then(|| first_piece(rest))?;
        rest = &rest[piece.text().len()..];
        Some(piece)
    })
}

/// The piece that `text`, which is not empty, begins with.
fn first_piece(text: &str) -> Piece<'_> {
    let up_to = |opening: usize, end: &str| {
        let length = text[opening..].find(end).map_or(text.len(), |at| opening + at + end.len());
        &text[..length]
    };
    if text.starts_with('\'') {
        Piece::Quoted(up_to(1, "'"))
    } else if text.starts_with('"') {
        Piece::Quoted(up_to(1, "\""))
    } else if text.starts_with("--") {
        Piece::Comment(up_to(2, "\n"))
    } else if text.starts_with("/*") {
        Piece::Comment(up_to(2, "*/"))
    } else {
        let next = ["'", "\"", "--", "/*"].iter().filter_map(|mark| text.find(mark)).min();
        Piece::Code(&text[..next.unwrap_or(text.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Catalog, StoreError> {
        Catalog::parse(&[("thing", text)])
    }

    #[test]
    fn the_embedded_statements_parse() {
        let catalog = Catalog::parse(FILES).expect("sql/queries is well-formed");
        assert_eq!(catalog.iter().count(), Catalog::embedded().iter().count());
        assert!(catalog.find("store.ping").is_ok());
    }

    #[test]
    fn a_statement_has_a_text_for_each_engine() {
        let catalog = parse(
            "-- What things are.\n-- name: swap\nSELECT $2, $1; -- last\n\n\
             -- name: both\nSELECT 1;\n-- name: both (sqlite)\nSELECT 2;\n\
             -- name: notify (postgres)\nSELECT pg_notify('x', $1)\n",
        )
        .expect("well-formed");
        let swap = catalog.find("thing.swap").expect("named");
        assert_eq!(swap.postgres.as_deref(), Some("-- thing.swap\nSELECT $2, $1"));
        assert_eq!(swap.sqlite.as_deref(), Some("SELECT ?2, ?1"));
        assert_eq!(swap.params, 2);
        let both = catalog.find("thing.both").expect("named");
        assert_eq!(both.postgres.as_deref(), Some("-- thing.both\nSELECT 1"));
        assert_eq!(both.sqlite.as_deref(), Some("SELECT 2"));
        assert_eq!(catalog.find("thing.notify").expect("named").sqlite, None);
        assert!(matches!(catalog.find("thing.missing"), Err(StoreError::Other(_))));
    }

    #[test]
    fn parameters_are_rewritten_outside_quotes_and_comments() {
        let text = "SELECT '$1; it''s', \"$2\" /* $3 ; */ -- $4 'x\n, $12, $x";
        let expected = "SELECT '$1; it''s', \"$2\" /* $3 ; */ -- $4 'x\n, ?12, $x";
        assert_eq!(numbered_for_sqlite(text), expected);
        assert_eq!(single(text), Some(text));
    }

    #[test]
    fn malformed_files_are_refused() {
        for text in [
            "SELECT 1;\n-- name: late\nSELECT 2;",
            "-- name: two\nSELECT 1; SELECT 2;",
            "-- name: two\nSELECT 1; SELECT 2",
            "-- name: empty\n;",
            "-- name: empty\n-- nothing",
            "-- name: twice\nSELECT 1;\n-- name: twice\nSELECT 1;",
            "-- name: odd (oracle)\nSELECT 1;",
            "-- name: differ\nSELECT $1;\n-- name: differ (sqlite)\nSELECT $1, $2;",
            "-- name: Upper\nSELECT 1;",
            "-- name: \nSELECT 1;",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}

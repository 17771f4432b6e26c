//! What a client has submitted, and reading fields out of it as Django REST framework's serializers do.

use std::fmt;

use http::StatusCode;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::dialect::Answer;
use crate::dialect::words::Words;

/// A request body, understood as far as its media type goes.
#[derive(Debug)]
pub enum Submission {
    /// An object of fields; an empty body counts as one without any.
    Fields(Vec<(String, Given)>),
    /// JSON `null`.
    Null,
    /// JSON of another type, under Python's name for it.
    NotAnObject(&'static str),
}

impl Default for Submission {
    /// What an empty body says.
    fn default() -> Self {
        Self::Fields(Vec::new())
    }
}

/// What was given for a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// JSON `null`.
    Null,
    /// A list, an object or a boolean.
    NotText,
    /// A text, or a number as text.
    Text(String),
    /// A text with a lone surrogate in it, which no Rust string can hold.
    /// The text has U+FFFD in its place.
    Surrogate(u16, String),
}

impl Submission {
    /// Reads a JSON body (RFC 8259: UTF-8, no byte-order mark, no `NaN`). Of fields that stand twice the
    /// last wins; nesting is bounded. The error names the place.
    pub fn from_json(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let mut from = serde_json::Deserializer::from_str(text);
        let submission = TopLevel.deserialize(&mut from).map_err(|error| error.to_string())?;
        from.end().map_err(|error| error.to_string())?;
        Ok(submission)
    }

    /// Reads `application/x-www-form-urlencoded`. `;` does not separate.
    #[must_use]
    pub fn from_form(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self::from_pairs(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
    }

    /// Fields that were read one by one.
    pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Self {
        Self::Fields(pairs.map(|(name, value)| (name, Given::Text(value))).collect())
    }
}

struct TopLevel;

impl<'b> DeserializeSeed<'b> for TopLevel {
    type Value = Submission;

    fn deserialize<D: Deserializer<'b>>(self, from: D) -> Result<Submission, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for TopLevel {
    type Value = Submission;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Submission, A::Error> {
        let mut fields = Vec::new();
        // Names are read raw too: one with a lone surrogate is some unknown field, not an error.
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            if let Given::Text(name) = given_text(name.get()) {
                fields.push((name, given(value.get())));
            }
        }
        Ok(Submission::Fields(fields))
    }

    fn visit_unit<E>(self) -> Result<Submission, E> {
        Ok(Submission::Null)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Submission, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Submission::NotAnObject("list"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Submission, E> {
        Ok(Submission::NotAnObject("str"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Submission, E> {
        Ok(Submission::NotAnObject("bool"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Submission, E> {
        Ok(Submission::NotAnObject("int"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Submission, E> {
        Ok(Submission::NotAnObject("int"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Submission, E> {
        Ok(Submission::NotAnObject("float"))
    }
}

/// What a JSON value amounts to for a text field.
fn given(raw: &str) -> Given {
    match raw.as_bytes().first() {
        Some(b'"') => given_text(raw),
        Some(b'n') => Given::Null,
        Some(b't' | b'f' | b'[' | b'{') | None => Given::NotText,
        // Integers keep every digit, as Python's do; other numbers are shown as the nearest double.
        Some(_) if raw == "-0" => Given::Text("0".to_owned()),
        Some(_) if raw.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => {
            Given::Text(raw.to_owned())
        }
        Some(_) => {
            Given::Text(raw.parse::<f64>().map_or_else(|_| raw.to_owned(), |f| format!("{f:?}")))
        }
    }
}

/// A JSON string; one with lone surrogates becomes [`Given::Surrogate`].
fn given_text(raw: &str) -> Given {
    match serde_json::from_str::<String>(raw) {
        Ok(text) => Given::Text(text),
        Err(_) => {
            let (mut text, mut first) = (raw.to_owned(), None);
            while let Some((at, unit)) = lone_surrogate(&text) {
                first = first.or(Some(unit));
                text.replace_range(at..at + ESCAPE, "\\ufffd");
            }
            let text = serde_json::from_str(&text).unwrap_or_default();
            Given::Surrogate(first.unwrap_or(0xD800), text)
        }
    }
}

/// How long `\uD800` is.
const ESCAPE: usize = 6;

/// The first `\uD800`–`\uDFFF` escape in a JSON string that is no half of a pair, and where it is.
fn lone_surrogate(raw: &str) -> Option<(usize, u16)> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at + 1..)?;
        let Some(digits) = escape.strip_prefix('u') else {
            rest = escape.get(1..)?;
            continue;
        };
        let place = raw.len() - escape.len() - 1;
        let unit = u16::from_str_radix(digits.get(..4)?, 16).ok()?;
        rest = digits.get(4..)?;
        match unit {
            0xD800..=0xDBFF => {
                let low = rest.strip_prefix("\\u").and_then(|low| low.get(..4));
                match low.and_then(|low| u16::from_str_radix(low, 16).ok()) {
                    Some(0xDC00..=0xDFFF) => rest = rest.get(6..)?,
                    _ => return Some((place, unit)),
                }
            }
            0xDC00..=0xDFFF => return Some((place, unit)),
            _ => {}
        }
    }
    None
}

/// A text field of a form (`rest_framework.serializers.CharField`).
#[derive(Clone, Copy, Debug)]
pub struct TextField {
    /// Its name.
    pub name: &'static str,
    /// Whether white space around the value is cut off.
    pub trim: bool,
    /// How many characters it may have.
    pub longest: Option<usize>,
    /// What is said where it is a list, an object or a boolean, if that is not the usual.
    pub not_text: Option<&'static str>,
    /// Whether what the field's own judge says stands behind the complaints of length and characters.
    pub judged_last: bool,
}

impl TextField {
    /// A field that must be there, is trimmed, and may be of any length.
    #[must_use]
    pub const fn required(name: &'static str) -> Self {
        Self { name, trim: true, longest: None, not_text: None, judged_last: false }
    }
}

/// Reads fields one after the other and gathers what is wrong with them.
pub struct Reader<'s> {
    words: &'static Words,
    fields: &'s [(String, Given)],
    wrong: Map<String, Value>,
    repeats_differ: bool,
}

impl<'s> Reader<'s> {
    /// Starts to read; refuses what is no object.
    pub fn new(words: &'static Words, submission: &'s Submission) -> Result<Self, Answer> {
        let refuse = |text: &str| {
            let body = json!({ "non_field_errors": [text] });
            Err(Answer::json(StatusCode::BAD_REQUEST, body))
        };
        match submission {
            Submission::Fields(fields) => {
                Ok(Self { words, fields, wrong: Map::new(), repeats_differ: false })
            }
            Submission::Null => refuse(words.no_data),
            Submission::NotAnObject(kind) => refuse(&Words::with(words.not_an_object, kind)),
        }
    }

    /// The value of a field that must be there; empty, and noted, where it is wrong. [`Self::finish`]
    /// must be asked before the value is used.
    pub fn text(&mut self, field: &TextField) -> String {
        self.judged(field, |_| Vec::new())
    }

    /// As [`Self::text`], held against `judge` too.
    pub fn judged(&mut self, field: &TextField, judge: impl Fn(&str) -> Vec<String>) -> String {
        match self.given(field.name) {
            None => self.refuse(field.name, self.words.required),
            Some(given) => return self.value(field, &given, judge),
        }
        String::new()
    }

    /// The value of a field that may be absent or empty.
    pub fn optional(
        &mut self,
        field: &TextField,
        judge: impl Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        let given = self.given(field.name)?;
        let blank = |text: &str| self.trimmed(field, text).is_empty();
        if matches!(&given, Given::Text(text) if blank(text)) {
            return Some(String::new());
        }
        Some(self.value(field, &given, judge))
    }

    /// A field that nobody judges: empty where it is absent or no text.
    #[must_use]
    pub fn unjudged(&self, name: &str) -> String {
        match self.given(name) {
            Some(Given::Text(text)) => text,
            _ => String::new(),
        }
    }

    /// Whether the field was sent and is not `null`.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given(name).is_some_and(|given| given != Given::Null)
    }

    /// Whether the field was sent at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, _)| found == name)
    }

    /// Notes a complaint about a field.
    pub fn refuse(&mut self, name: &str, text: &str) {
        let complaints = self.wrong.entry(name.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(complaints) = complaints {
            complaints.push(Value::from(text));
        }
    }

    /// Notes that two typings of a password differ: told once every single field is fine.
    pub fn remember_repeat(&mut self, first: &str, second: &str) {
        self.repeats_differ |= first != second;
    }

    /// Whether two typings of a password differ.
    #[must_use]
    pub const fn repeats_differ(&self) -> bool {
        self.repeats_differ
    }

    /// Whether nothing is wrong with this field so far.
    #[must_use]
    pub fn is_fine(&self, name: &str) -> bool {
        !self.wrong.contains_key(name)
    }

    fn given(&self, name: &str) -> Option<Given> {
        self.fields.iter().rev().find(|(found, _)| found == name).map(|(_, given)| given.clone())
    }

    fn trimmed<'t>(&self, field: &TextField, text: &'t str) -> &'t str {
        if field.trim && self.words.trims { text.trim_matches(is_python_space) } else { text }
    }

    fn value(
        &mut self,
        field: &TextField,
        given: &Given,
        judge: impl Fn(&str) -> Vec<String>,
    ) -> String {
        let words = self.words;
        let text = match given {
            Given::Null => {
                self.refuse(field.name, words.null);
                return String::new();
            }
            Given::NotText => {
                self.refuse(field.name, field.not_text.unwrap_or(words.not_text));
                return String::new();
            }
            Given::Text(text) | Given::Surrogate(_, text) => text,
        };
        let value = self.trimmed(field, text).to_owned();
        // What is only white space is blank even where it is not cut off.
        if value.is_empty() || (words.trims && value.trim_matches(is_python_space).is_empty()) {
            self.refuse(field.name, words.blank);
            return String::new();
        }
        let mut complaints = judge(&value);
        if !field.judged_last {
            complaints.drain(..).for_each(|complaint| self.refuse(field.name, &complaint));
        }
        let length = value.chars().count();
        if let Some(longest) = field.longest.filter(|longest| length > *longest) {
            let text = Words::with(words.too_long, &longest.to_string());
            self.refuse(field.name, &Words::with(&text, &length.to_string()));
        }
        if value.contains('\0') {
            self.refuse(field.name, words.null_characters);
        }
        if let Given::Surrogate(unit, _) = given {
            self.refuse(field.name, &Words::with(words.surrogates, &format!("{unit:X}")));
        }
        for complaint in complaints {
            self.refuse(field.name, &complaint);
        }
        value
    }

    /// Refuses with all that is wrong, together.
    pub fn finish(&mut self) -> Result<(), Answer> {
        if self.wrong.is_empty() {
            Ok(())
        } else {
            let wrong = std::mem::take(&mut self.wrong);
            Err(Answer::json(StatusCode::BAD_REQUEST, Value::Object(wrong)))
        }
    }
}

/// What Python's `str.strip` cuts off: Unicode white space and four separators that Rust leaves.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::words::CURRENT;

    fn field(json: &str) -> Result<String, Answer> {
        let submission = Submission::from_json(json.as_bytes()).expect("is JSON");
        let mut reader = Reader::new(&CURRENT, &submission)?;
        let value = reader.text(&TextField { longest: Some(5), ..TextField::required("x") });
        reader.finish().map(|()| value)
    }

    fn refusal(json: &str) -> String {
        let body = field(json).expect_err("is refused").body.expect("has a body");
        body["x"][0].as_str().expect("is a text").to_owned()
    }

    #[test]
    fn values_become_text_as_in_python() {
        assert_eq!(field(r#"{"x": " a\u001c "}"#).expect("is good"), "a");
        assert_eq!(field(r#"{"x": 7}"#).expect("is good"), "7");
        assert_eq!(field(r#"{"x": 1.50}"#).expect("is good"), "1.5");
        assert_eq!(field(r#"{"x": "first", "x": "last"}"#).expect("is good"), "last");
    }

    #[test]
    fn every_way_to_be_wrong_has_its_text() {
        assert_eq!(refusal("{}"), "This field is required.");
        assert_eq!(refusal(r#"{"x": null}"#), "This field may not be null.");
        assert_eq!(refusal(r#"{"x": "  "}"#), "This field may not be blank.");
        assert_eq!(refusal(r#"{"x": true}"#), "Not a valid string.");
        assert_eq!(refusal(r#"{"x": ["a"]}"#), "Not a valid string.");
        assert_eq!(refusal(r#"{"x": "a\u0000"}"#), "Null characters are not allowed.");
        assert_eq!(
            refusal(r#"{"x": "\ud83d\ude00\ud800"}"#),
            "Surrogate characters are not allowed: U+D800."
        );
        assert_eq!(
            refusal(r#"{"x": "\\\udfff"}"#),
            "Surrogate characters are not allowed: U+DFFF."
        );
        assert_eq!(
            refusal(r#"{"x": "abcdef"}"#),
            "Ensure this field has no more than 5 characters."
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in
            ["{", "{} x", "\u{feff}{}", r#"{"x": NaN}"#, "{'x': 1}", r#"{"x": 01}"#, "\"\u{1}\""]
        {
            assert!(Submission::from_json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Submission::from_json(b"{\"x\": \"\xff\"}").is_err());
        assert!(Submission::from_json("[".repeat(200_000).as_bytes()).is_err());
    }
}

//! The templates: those compiled in, and an operator's own in their place, file by file.

use std::path::Path;

use minijinja::Environment;

use crate::locale::Language;
use crate::mail::message::Message;
use crate::template::{self, Overrides};

/// The parts of a mail, which are the endings of its files.
pub(super) const PARTS: [&str; 3] = ["subject", "txt", "html"];

macro_rules! files {
    ($($name:expr),* $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

macro_rules! language {
    ($language:literal: $($message:literal)*) => {
        files![
            concat!($language, "/base.txt"),
            concat!($language, "/base.html"),
            $(
                concat!($language, "/", $message, ".subject"),
                concat!($language, "/", $message, ".txt"),
                concat!($language, "/", $message, ".html"),
            )*
        ]
    };
    ($language:literal) => {
        language!($language: "activation" "activation_done" "password_reset" "password_changed"
            "username_reset" "username_changed" "email_verification" "email_change" "email_changed" "refresh_reuse")
    };
}

/// Name and text of every template that is compiled in.
const BUILT_IN: [&[(&str, &str)]; 4] =
    [files!["base.txt", "base.html"], language!("en"), language!("fi"), language!("sv")];

/// The name of the template of a mail's part.
pub(super) fn name(language: Language, message: Message, part: &str) -> String {
    format!("{language}/{message}.{part}")
}

/// The templates that are compiled in.
pub(super) fn built_in() -> Environment<'static> {
    let mut environment = template::environment();
    for (name, text) in BUILT_IN.into_iter().flatten() {
        environment.add_template(name, text).expect("a test compiles them all");
    }
    environment
}

/// Reads an operator's folder. A file in a language's folder must be one of ours; elsewhere are parts to
/// include.
pub(super) fn overrides(folder: &Path) -> std::io::Result<Overrides> {
    Overrides::read(folder, misplaced)
}

/// Why a file in a language's folder is no template of ours.
fn misplaced(name: &str) -> Option<String> {
    let (folder, file) = name.split_once('/')?;
    Language::ALL.into_iter().find(|language| language.as_str() == folder)?;
    let known = BUILT_IN.into_iter().flatten().any(|(known, _)| *known == name);
    let messages = Message::ALL.map(Message::as_str).join(", ");
    (!known).then(|| {
        format!(
            "no mail is made of `{file}`; the names are base.txt, base.html, and for each of {messages} \
             one with .subject, .txt and .html"
        )
    })
}

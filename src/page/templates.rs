//! The templates: those compiled in, and an operator's own in their place, file by file.

use std::path::Path;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State};

use crate::base::clock::Timestamp;
use crate::base::time_zone::TimeZone;
use crate::locale::Language;
use crate::locale::texts;
use crate::template::{self, Overrides};

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

/// Name and text of every template that is compiled in.
pub(super) const BUILT_IN: &[(&str, &str)] = files![
    "base.html" "parts.html" "message.html" "stale.html"
    "sign_in.html" "sign_out.html" "account.html" "email.html" "address_parts.html" "addresses.html" "own_address.html"
    "password.html" "devices.html" "acting.html"
    "key_parts.html" "keys.html" "key.html" "tokens.html" "activity.html"
    "register.html" "address.html" "follow.html" "reset.html" "username_reset.html"
    "administration/frame.html" "administration/parts.html" "administration/front.html" "administration/list.html"
    "administration/account.html" "administration/account_new.html" "administration/account_access.html"
    "administration/client.html"
    "administration/account_password.html" "administration/account_delete.html"
];

/// The templates that are compiled in.
pub(super) fn built_in(time_zone: &TimeZone) -> Environment<'static> {
    let mut environment = template::environment();
    environment.add_function("t", say);
    let time_zone = time_zone.clone();
    environment.add_filter("when", move |seconds: i64| {
        time_zone.local_text(Timestamp::from_seconds(seconds))
    });
    environment.add_filter("moment", |seconds: i64| Timestamp::from_seconds(seconds).rfc3339());
    for (name, text) in BUILT_IN {
        environment.add_template(name, text).expect("a test compiles them all");
    }
    environment
}

/// `t("sign_in.title")`: a text in the language of the page; `t("throttled", minutes=3)` fills it in.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands its arguments over so")]
fn say(state: &State<'_, '_>, name: &str, places: Kwargs) -> Result<String, Error> {
    let language = state.lookup("language").and_then(|tag| Language::parse(tag.as_str()?));
    let text = texts::text(language.unwrap_or_default(), name).ok_or_else(|| {
        Error::new(ErrorKind::UndefinedError, format!("there is no text `{name}`"))
    })?;
    let mut filled = text.to_owned();
    for place in places.args() {
        let value: minijinja::Value = places.get(place)?;
        filled = texts::fill(&filled, place, &value.to_string());
    }
    Ok(filled)
}

/// Reads an operator's folder: files of our names, and in folders below it parts to include.
pub(super) fn overrides(folder: &Path) -> std::io::Result<Overrides> {
    Overrides::read(folder, misplaced)
}

/// Why a file directly in the folder is no template of ours.
fn misplaced(name: &str) -> Option<String> {
    let known = BUILT_IN.iter().any(|(known, _)| *known == name);
    (!known && !name.contains('/')).then(|| {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        format!(
            "no page is made of it; the names are {}; parts to include go into a folder",
            names.join(", ")
        )
    })
}

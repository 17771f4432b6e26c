//! Fills templates in. A page can always be shown: an operator's template that fails is told about and the
//! one that is compiled in takes its place.

mod administration;

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{Environment, Error, Value, context};
use serde_json::json;

use crate::account::account::{Account, AccountId};
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::time_zone::TimeZone;
use crate::locale::{Language, texts};
use crate::page::colour::Colour;
use crate::page::templates;
use crate::template::{self, Overrides, TemplateFault};

/// What pages look like and where they are.
#[derive(Clone, Debug)]
pub struct Look {
    /// The site's name.
    pub site: String,
    /// Its colour.
    pub colour: Colour,
    /// In which time zone moments are told.
    pub time_zone: TimeZone,
    /// The languages that are offered; the first is for those who ask for none of them.
    pub languages: Vec<Language>,
    /// Where the pages are.
    pub places: Places,
    /// Whether people may register on a page.
    pub registration: bool,
}

/// Where pages are: paths without a last slash.
#[derive(Clone, Debug)]
pub struct Places {
    /// The pages of one's account.
    pub account: String,
    /// The administration.
    pub administration: String,
    /// That of classic API keys.
    pub authtoken: String,
}

/// Around what a page says: who looks at it, and how.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The language.
    pub language: Language,
    /// What its forms send back.
    pub csrf: &'a str,
    /// The path that was asked for, to come back to.
    pub path: &'a str,
    /// Who is signed in.
    pub account: Option<&'a Account>,
    /// Who acts as that account.
    pub actor: Option<&'a Account>,
    /// Whether they may enter the administration.
    pub may_administer: bool,
}

/// Shows pages.
pub struct Renderer {
    /// What pages look like.
    pub look: Look,
    style: String,
    built_in: Environment<'static>,
    /// The same with the operator's templates in place of some, where there are any.
    overridden: Option<Environment<'static>>,
}

/// Why a page could not be shown.
#[derive(Debug)]
pub struct RenderError(String);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RenderError {}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("look", &self.look).finish_non_exhaustive()
    }
}

impl Renderer {
    /// Shows pages with the templates that are compiled in.
    #[must_use]
    pub fn new(look: Look) -> Self {
        let style = include_str!("style.css")
            .replace("#1a5f8a", &look.colour.on_light().to_string())
            .replace("#7cc0ea", &look.colour.on_dark().to_string());
        let built_in = templates::built_in(&look.time_zone);
        Self { style: shortened(&style), built_in, overridden: None, look }
    }

    /// As [`Renderer::new`], with an operator's templates in place of those of the same name. Those that
    /// do not compile are left out and told: the second half of what this gives. Fails itself where the
    /// folder cannot be read.
    pub fn with_overrides(
        look: Look,
        folder: &Path,
    ) -> std::io::Result<(Self, Vec<TemplateFault>)> {
        let mut overrides = templates::overrides(folder)?;
        let mut renderer = Self::new(look);
        let mut environment = templates::built_in(&renderer.look.time_zone);
        for (name, text) in overrides.texts.clone() {
            if let Err(error) = environment.add_template_owned(name.clone(), text) {
                overrides.fault(&name, error.line(), &template::sentence(&error));
                overrides.texts.remove(&name);
            }
        }
        renderer.overridden = (!overrides.texts.is_empty()).then_some(environment);
        renderer.try_samples(&mut overrides);
        Ok((renderer, overrides.faults))
    }

    /// Shows every page of the operator's once with a sample of what it is given, to tell what fails.
    fn try_samples(&self, overrides: &mut Overrides) {
        let Some(environment) = &self.overridden else { return };
        let account = sample_account();
        let frame = Frame {
            language: self.default_language(),
            csrf: "sample",
            path: "/",
            account: Some(&account),
            actor: None,
            may_administer: true,
        };
        for (name, view) in samples() {
            let variables = self.variables(&frame, &view);
            let shown = environment.get_template(name).and_then(|found| found.render(&variables));
            if let Err(error) = shown {
                overrides.note(&error);
            }
        }
    }

    /// The page that a template makes of `view`.
    pub fn page(
        &self,
        template: &str,
        frame: &Frame<'_>,
        view: &serde_json::Value,
    ) -> Result<String, RenderError> {
        let variables = self.variables(frame, view);
        if let Some(environment) = &self.overridden {
            match render(environment, template, &variables) {
                Ok(page) => return Ok(page),
                Err(error) => {
                    let innermost = template::innermost(&error);
                    let why = template::sentence(innermost);
                    let line = innermost.line();
                    tracing::warn!(template, line, why, "used the page that is compiled in");
                }
            }
        }
        render(&self.built_in, template, &variables).map_err(|error| {
            let innermost = template::innermost(&error);
            let (file, line) = (innermost.name().unwrap_or(template), innermost.line());
            let line = line.unwrap_or_default();
            RenderError(format!("{file}, line {line}: {}", template::sentence(innermost)))
        })
    }

    /// The policy for what a page may load and do (CSP 3): its own style, by its digest, and pictures.
    /// Forms lead to this site and to `also`, where a sign-in may lead.
    #[must_use]
    pub fn content_policy(&self, also: Option<&str>) -> String {
        let digest = STANDARD.encode(Digest::of(self.style.as_bytes()).as_bytes());
        let also = also.map_or_else(String::new, |origin| format!(" {origin}"));
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; img-src 'self' data:; \
             form-action 'self'{also}; base-uri 'none'; frame-ancestors 'none'"
        )
    }

    /// The language for those who ask for none that is offered.
    #[must_use]
    pub fn default_language(&self) -> Language {
        self.look.languages.first().copied().unwrap_or_default()
    }

    /// A text in a language.
    #[must_use]
    pub fn say(&self, language: Language, name: &str) -> &'static str {
        texts::text(language, name).unwrap_or_default()
    }

    fn variables(&self, frame: &Frame<'_>, view: &serde_json::Value) -> Value {
        let Frame { language, csrf, path, account, actor, may_administer } = frame;
        let look = &self.look;
        let languages: Vec<_> = look
            .languages
            .iter()
            .map(|language| json!({ "tag": language.as_str(), "name": language.own_name() }))
            .collect();
        let person = |account: &Account| {
            json!({
                "username": account.username,
                "name": full_name(account),
                "email": account.email,
                "is_staff": account.is_staff,
            })
        };
        context! {
            language => language.as_str(),
            languages => Value::from(Serde(&languages)),
            style => Value::from_safe_string(self.style.clone()),
            site => &look.site,
            csrf => *csrf,
            path => *path,
            me => account.map(|account| Value::from(Serde(person(account)))),
            may_administer => *may_administer,
            actor => actor.map(|actor| Value::from(Serde(person(actor)))),
            places => context! {
                account => &look.places.account,
                administration => &look.places.administration,
                authtoken => &look.places.authtoken,
            },
            registration => look.registration,
            ..Value::from(Serde(view))
        }
    }
}

/// First and last name; the user name where there is neither.
fn full_name(account: &Account) -> String {
    let name = format!("{} {}", account.first_name, account.last_name);
    let name = name.trim();
    if name.is_empty() { account.username.clone() } else { name.to_owned() }
}

fn render(
    environment: &Environment<'_>,
    template: &str,
    variables: &Value,
) -> Result<String, Error> {
    environment.get_template(template)?.render(variables)
}

/// A style sheet without comments and indentation.
fn shortened(style: &str) -> String {
    let mut out = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, comment)) = rest.split_once("/*") {
        out.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// What each template is given where nothing is typed yet.
fn samples() -> Vec<(&'static str, serde_json::Value)> {
    let form = json!({ "values": {}, "errors": {}, "summary": [] });
    let with = |mut view: serde_json::Value| {
        view["form"] = form.clone();
        view
    };
    let choice = json!({ "value": "", "text": "" });
    let key = json!({
        "id": 1, "name": "", "begins": "avn_", "scope": "", "networks": "", "rate": null,
        "created_at": 0, "expires_at": 1, "last_used_at": 0, "revoked_at": null,
        "is_replaced": false,
    });
    let session = json!({
        "id": "", "program": "", "address": "", "begun_at": 0, "used_at": 0, "is_this": false,
        "is_acting": false,
    });
    let own_address = json!({ "id": 1, "email": "", "is_verified": false, "is_primary": false });
    vec![
        ("message.html", json!({ "title": "", "text": "", "action": null })),
        ("stale.html", json!({ "fields": [], "offered": true, "door": "/" })),
        ("sign_in.html", with(json!({ "next": "", "administration": false, "by_email": false }))),
        ("sign_out.html", json!({})),
        (
            "register.html",
            with(
                json!({ "by_email": false, "needs_email": false, "needs_names": false, "minimum": 8 }),
            ),
        ),
        ("address.html", with(json!({ "what": "reset_request" }))),
        ("follow.html", with(json!({ "what": "activate" }))),
        ("reset.html", with(json!({ "minimum": 8 }))),
        ("username_reset.html", with(json!({}))),
        (
            "account.html",
            with(json!({ "parts": [], "saved": false, "joined": 0, "last_login": null })),
        ),
        ("email.html", with(json!({ "parts": [], "sent": "", "saved": false, "mode": "confirm" }))),
        (
            "addresses.html",
            with(json!({
                "parts": [], "addresses": [own_address], "removed": false, "primary": false,
            })),
        ),
        (
            "own_address.html",
            with(json!({ "parts": [], "address": own_address, "sent": false })),
        ),
        ("password.html", with(json!({ "parts": [], "saved": false, "minimum": 8 }))),
        (
            "devices.html",
            json!({ "parts": [], "ended": false, "sessions": [session], "programs": [session] }),
        ),
        (
            "keys.html",
            with(json!({
                "parts": [], "keys": [key], "ended": [key], "made": null, "revoked": false,
                "classic": "0123abcd", "lives": [choice], "narrows": false, "known_scopes": "",
            })),
        ),
        (
            "key.html",
            with(json!({
                "parts": [], "key": key, "saved": false, "overlaps": [choice], "known_scopes": "",
            })),
        ),
        (
            "tokens.html",
            with(json!({ "keys": [key], "made": null, "revoked": false, "lives": [choice] })),
        ),
        (
            "activity.html",
            json!({
                "parts": [], "earlier": null, "later": false, "kept_days": 400,
                "events": [{
                    "text": "", "at": 0, "details": [""], "address": "", "program": "", "by": "",
                }],
            }),
        ),
        ("acting.html", with(json!({}))),
    ]
    .into_iter()
    .chain(administration::samples())
    .collect()
}

fn sample_account() -> Account {
    let password = StoredPassword::new(String::new());
    Account {
        id: AccountId::new(1),
        username: "maija".to_owned(),
        email: "maija@example.org".to_owned(),
        first_name: "Maija".to_owned(),
        last_name: "Meikäläinen".to_owned(),
        is_active: true,
        is_staff: true,
        is_superuser: false,
        password,
        date_joined: Timestamp::from_seconds(0),
        last_login: None,
    }
}

#[cfg(test)]
mod tests;

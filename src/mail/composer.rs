//! Fills templates in. A mail can always be written: an operator's template that fails is told about and
//! the one that is compiled in takes its place.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use minijinja::{Environment, Error, Value, context};

use crate::account::email::EmailAddress;
use crate::locale::Language;
use crate::mail::message::{Draft, Link, MailUser, Message, Rendered, Site};
use crate::mail::templates::{self, PARTS};
use crate::template::{self, Overrides, TemplateFault};

/// Writes mails.
pub struct Composer {
    site: Site,
    built_in: Environment<'static>,
    /// The same with the operator's templates in place of some, where there are any.
    overridden: Option<Environment<'static>>,
}

/// Why a mail could not be written.
#[derive(Debug)]
pub struct ComposeError(String);

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ComposeError {}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composer").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Composer {
    /// Writes with the templates that are compiled in.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self { site, built_in: templates::built_in(), overridden: None }
    }

    /// As [`Composer::new`], with an operator's templates in place of those of the same name.
    ///
    /// All of them are compiled, and every mail is rendered with samples. What fails is left out and told:
    /// the second half of what this gives. Fails itself where the folder cannot be read.
    pub fn with_overrides(
        site: Site,
        folder: &Path,
    ) -> std::io::Result<(Self, Vec<TemplateFault>)> {
        let mut overrides = templates::overrides(folder)?;
        let mut composer = Self::new(site);
        loop {
            let environment = compile(&mut overrides);
            composer.overridden = (!overrides.texts.is_empty()).then_some(environment);
            // Each round leaves out one template at least, so this ends.
            let failing = composer.failing(&mut overrides);
            if failing.is_empty() {
                break;
            }
            overrides.texts.retain(|name, _| !failing.contains(name));
        }
        Ok((composer, overrides.faults))
    }

    /// Writes a mail.
    pub fn compose(&self, draft: &Draft<'_>) -> Result<Rendered, ComposeError> {
        let variables = self.variables(draft);
        if let Some(environment) = &self.overridden {
            match render(environment, draft.message, draft.language, &variables) {
                Ok(rendered) => return Ok(rendered),
                Err((name, error)) => {
                    let why = template::sentence(template::innermost(&error));
                    tracing::warn!(template = name, why, "used the template that is compiled in");
                }
            }
        }
        render(&self.built_in, draft.message, draft.language, &variables).map_err(
            |(name, error)| ComposeError(format!("{name}: {}", template::sentence(&error))),
        )
    }

    /// Every mail in `languages`, filled in with a sample.
    pub fn samples(
        &self,
        languages: &[Language],
    ) -> Result<Vec<(Language, Message, Rendered)>, ComposeError> {
        let mut rendered = Vec::new();
        for language in languages {
            for message in Message::ALL {
                let draft = sample(message, *language, &SAMPLES[0]);
                rendered.push((*language, message, self.compose(&draft)?));
            }
        }
        Ok(rendered)
    }

    /// The operator's templates that fail with samples; notes why.
    fn failing(&self, overrides: &mut Overrides) -> BTreeSet<String> {
        let Some(environment) = &self.overridden else { return BTreeSet::new() };
        let mut failing = BTreeSet::new();
        for language in Language::ALL {
            for message in Message::ALL {
                for user in &SAMPLES {
                    let draft = sample(message, language, user);
                    let variables = self.variables(&draft);
                    if let Err((name, error)) = render(environment, message, language, &variables) {
                        let name = overrides.note(&error).unwrap_or_else(|| {
                            // It shows in a template of ours, but what changed are the operator's.
                            let blamed = blamed(overrides, &name, language);
                            overrides.fault(&blamed, None, &template::sentence(&error));
                            blamed
                        });
                        failing.insert(name);
                    }
                }
            }
        }
        failing
    }

    fn variables(&self, draft: &Draft<'_>) -> Value {
        let MailUser { username, first_name, last_name, email } = draft.user;
        let site = &self.site;
        let (url, uid, token) =
            draft.link.map_or(("", "", ""), |link| (link.url, link.uid, link.token));
        let link = match draft.link {
            None => String::new(),
            Some(_) if ["https://", "http://"].iter().any(|begin| url.starts_with(begin)) => {
                url.to_owned()
            }
            Some(_) => {
                format!("{}://{}/{}", site.protocol, site.domain, url.trim_start_matches('/'))
            }
        };
        context! {
            user => context! {
                username => one_line(username),
                first_name => one_line(first_name),
                last_name => one_line(last_name),
                email => one_line(email),
            },
            name => plain_name(first_name),
            site_name => one_line(&site.name),
            domain => &site.domain,
            protocol => &site.protocol,
            language => draft.language.as_str(),
            url, uid, token, link,
        }
    }
}

/// The built-in templates with the operator's in their place; those that do not compile are noted and
/// left out.
fn compile(overrides: &mut Overrides) -> Environment<'static> {
    let mut environment = templates::built_in();
    for (name, text) in overrides.texts.clone() {
        if let Err(error) = environment.add_template_owned(name.clone(), text) {
            overrides.fault(&name, error.line(), &template::sentence(&error));
            overrides.texts.remove(&name);
        }
    }
    environment
}

/// Which of the operator's templates makes `name` fail, where minijinja names none of them.
fn blamed(overrides: &Overrides, name: &str, language: Language) -> String {
    let ending = name.rsplit('.').next().unwrap_or_default();
    let candidates =
        [name.to_owned(), format!("{language}/base.{ending}"), format!("base.{ending}")];
    let found = candidates.into_iter().find(|name| overrides.texts.contains_key(name));
    found.or_else(|| overrides.texts.keys().next().cloned()).unwrap_or_default()
}

/// Renders the three parts, or tells which one fails and why.
fn render(
    environment: &Environment<'_>,
    message: Message,
    language: Language,
    variables: &Value,
) -> Result<Rendered, (String, Error)> {
    let part = |part: &str| {
        let name = templates::name(language, message, part);
        let rendered = environment.get_template(&name).and_then(|found| found.render(variables));
        rendered.map_err(|error| (name, error))
    };
    let [subject, text, html] = PARTS;
    let subject = one_line(&part(subject)?);
    if subject.is_empty() {
        let error = Error::new(minijinja::ErrorKind::InvalidOperation, "the subject is empty");
        return Err((templates::name(language, message, PARTS[0]), error));
    }
    Ok(Rendered { subject, text: tidy(&part(text)?), html: part(html)? })
}

/// What ends up in one line of a mail: no line break, no other control, none of the characters that turn
/// the direction of writing around, no space at the ends.
fn one_line(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let cleaned: String = text.chars().map(|c| if odd(c) { ' ' } else { c }).collect();
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A given name to greet with, or nothing where it is more than a name.
///
/// Who registers chooses both the name and the address that is written to: a "name" such as `Win at
/// example.com` would make us a sender of spam.
fn plain_name(first_name: &str) -> &str {
    let name = first_name.trim();
    let in_names = |c: char| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '’');
    if name.chars().count() <= 40 && name.chars().all(in_names) { name } else { "" }
}

/// Lines without trailing space, and at most one empty line after another.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() && empty {
            continue;
        }
        empty = line.is_empty();
        out.push_str(line);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Whom samples are about: somebody ordinary, somebody without names, and somebody with odd ones.
const SAMPLES: [MailUser<'static>; 3] = [
    MailUser {
        username: "maija.meikalainen",
        first_name: "Maija",
        last_name: "Meikäläinen",
        email: "maija@example.org",
    },
    MailUser { username: "matti", first_name: "", last_name: "", email: "matti@example.org" },
    MailUser {
        username: "o'neill+<b>",
        first_name: "<b>&\"'",
        last_name: "{{ user }} \u{202e}",
        email: "\"o'neill\"@example.org",
    },
];

fn sample<'a>(message: Message, language: Language, user: &MailUser<'a>) -> Draft<'a> {
    let url = match message {
        Message::PasswordReset => "#/password/reset/confirm/MQ/sample-token",
        Message::UsernameReset => "#/username/reset/confirm/MQ/sample-token",
        Message::EmailVerification | Message::EmailChange => "#/verify-email/sample-token",
        _ => "#/activate/MQ/sample-token",
    };
    let link = Link { url, uid: "MQ", token: "sample-token" };
    Draft {
        message,
        to: sample_address(),
        language,
        user: *user,
        link: message.has_link().then_some(link),
    }
}

fn sample_address() -> &'static EmailAddress {
    static ADDRESS: std::sync::LazyLock<EmailAddress> = std::sync::LazyLock::new(|| {
        EmailAddress::parse("maija@example.org").expect("a plain address is one")
    });
    &ADDRESS
}

#[cfg(test)]
#[path = "composer_tests.rs"]
mod tests;

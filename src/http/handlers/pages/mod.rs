//! Pages: read the form, run the flow, show what came of it.

mod account;
mod acting;
mod activity;
mod addresses;
mod administration;
mod devices;
mod keys;
mod links;
mod register;
mod sign_in;

use serde_json::{Value, json};

use crate::account::email::EmailAddress;
use crate::account::rules::{Attribute, RuleBroken};
use crate::flow::Error;
use crate::http::pages::{Reply, Visit};
use crate::page::Page;
use crate::page::form::Form;

/// Answers a request for a page.
pub async fn answer(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    match visit.page {
        Page::SignIn | Page::AdministrationSignIn => sign_in::sign_in(visit).await,
        Page::SignOut => sign_in::sign_out(visit).await,
        Page::Acting => acting::begin(visit).await,
        Page::ActingEnd => acting::end(visit).await,
        Page::Language => sign_in::language(visit).await,
        Page::Account => account::profile(visit).await,
        Page::Email => account::email(visit).await,
        Page::Addresses => addresses::addresses(visit).await,
        Page::Address => addresses::address_by_id(visit).await,
        Page::Password => account::password(visit).await,
        Page::Devices => devices::devices(visit).await,
        Page::Activity => activity::activity(visit).await,
        Page::ApiKeys => keys::keys(visit).await,
        Page::ApiKey => keys::key(visit).await,
        Page::BearerTokens => keys::bearer_tokens(visit).await,
        Page::Register => register::register(visit).await,
        Page::ResendActivation => links::resend_activation(visit).await,
        Page::Activate => links::activate(visit).await,
        Page::ResetRequest => links::request_reset(visit).await,
        Page::Reset | Page::AllauthReset => links::reset(visit).await,
        Page::UsernameReset => links::reset_username(visit).await,
        Page::VerifyEmail => links::verify_email(visit).await,
        Page::ConfirmEmail => links::confirm_email(visit).await,
        Page::Administration(section) => administration::answer(visit, section).await,
    }
}

/// The pages of one's account that there are, for their tabs.
fn parts() -> Value {
    json!([
        { "name": "profile", "path": "" },
        { "name": "email", "path": "email/" },
        { "name": "password", "path": "password_change/" },
        { "name": "devices", "path": "devices/" },
        { "name": "keys", "path": "keys/" },
        { "name": "activity", "path": "activity/" },
    ])
}

/// How long names may be (`auth_user`).
const LONGEST_NAME: usize = 150;

/// A text that must be given; noted where it is not.
fn required(visit: &Visit<'_>, form: &mut Form, name: &'static str) -> String {
    required_as(visit, form, name, &format!("field.{name}"))
}

/// As [`required`], for a field that people know by another label.
fn required_as(visit: &Visit<'_>, form: &mut Form, name: &'static str, label: &str) -> String {
    let text = form.text(name);
    if text.is_empty() {
        let field = visit.say(label);
        form.refuse(name, visit.say_with("wrong.required", &[("field", &field)]));
    }
    text
}

/// A password that must be given; noted where it is not.
fn required_secret(
    visit: &Visit<'_>,
    form: &mut Form,
    name: &'static str,
) -> crate::base::secret::Secret<String> {
    let secret = form.secret(name);
    if secret.expose().is_empty() {
        let field = visit.say(&format!("field.{name}"));
        form.refuse(name, visit.say_with("wrong.required", &[("field", &field)]));
    }
    secret
}

/// A new password, typed twice; noted where the two differ.
fn new_password(
    visit: &Visit<'_>,
    form: &mut Form,
    name: &'static str,
) -> crate::base::secret::Secret<String> {
    let new = required_secret(visit, form, name);
    if new != form.secret("repeated_password") {
        form.refuse("repeated_password", visit.say("wrong.repeated"));
    }
    new
}

/// A name of a person; noted where it is too long.
fn name(visit: &Visit<'_>, form: &mut Form, name: &'static str) -> String {
    let text = form.text(name);
    if text.chars().count() > LONGEST_NAME {
        let most = LONGEST_NAME.to_string();
        form.refuse(name, visit.say_with("wrong.too_long", &[("most", &most)]));
    }
    text
}

/// A mail address; noted where it is none. `None` too where nothing was typed.
fn address(visit: &Visit<'_>, form: &mut Form) -> Option<EmailAddress> {
    let text = form.text("email");
    let parsed = EmailAddress::parse(&text).ok();
    if parsed.is_none() && !text.is_empty() {
        form.refuse("email", visit.say("wrong.email"));
    }
    parsed
}

/// Notes what is wrong with a new password.
fn refuse_rules(visit: &Visit<'_>, form: &mut Form, name: &'static str, broken: &[RuleBroken]) {
    for rule in broken {
        form.refuse(
            name,
            match rule {
                RuleBroken::TooSimilar(attribute) => {
                    let attribute = visit.say(match attribute {
                        Attribute::Username => "field.username",
                        Attribute::FirstName => "field.first_name",
                        Attribute::LastName => "field.last_name",
                        Attribute::Email => "field.email",
                    });
                    visit.say_with("wrong.too_similar", &[("attribute", &attribute.to_lowercase())])
                }
                RuleBroken::TooShort { minimum } => {
                    visit.say_with("wrong.too_short", &[("minimum", &minimum.to_string())])
                }
                RuleBroken::TooCommon => visit.say("wrong.too_common"),
                RuleBroken::EntirelyNumeric => visit.say("wrong.numeric"),
                RuleBroken::Breached => visit.say("wrong.breached"),
            },
        );
    }
}

/// Whether somebody acts as the account, and so may make nothing that goes on after it; noted where so.
fn acts(visit: &Visit<'_>, form: &mut Form) -> Result<bool, Error> {
    let acts = visit.session()?.acting().is_some();
    if acts {
        form.refuse_all(visit.say("wrong.acting"));
    }
    Ok(acts)
}

/// A form with more for its template.
fn with_form(form: &Form, mut view: Value) -> Value {
    view["form"] = form.view();
    view
}

//! Making an account, where the site lets people do that on a page.

use serde_json::json;

use super::{address, name, new_password, refuse_rules, required, with_form};
use crate::flow::links::{LinkKind, UidForm};
use crate::flow::register::{self, NotRegistered, Registration, RegistrationRules};
use crate::flow::{Context, Error, emails};
use crate::http::pages::{Reply, Visit};
use crate::mail::message::Message;
use crate::page::form::Form;
use crate::token::link::Purpose;

/// The form, and what comes of it.
pub(super) async fn register(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.site.renderer.look.registration {
        return Ok(visit.not_found());
    }
    if !visit.is_post() {
        return Ok(shown(visit, &Form::default()));
    }
    let mut form = visit.take_form();
    let by_email = visit.context().accounts.email_login;
    let username = (!by_email).then(|| required(visit, &mut form, "username"));
    if by_email || visit.context().accounts.activation {
        required(visit, &mut form, "email");
    }
    let email = address(visit, &mut form);
    let (first_name, last_name) = names(visit, &mut form);
    let password = new_password(visit, &mut form, "password");
    let context = visit.context();
    // Names that differ by the case of letters alone are mistaken for each other.
    if let Some(username) = username.as_ref().filter(|_| form.is_fine())
        && register::is_taken(context, username, true).await?
    {
        form.refuse("username", visit.say("wrong.username_taken"));
    }
    if context.accounts.unique_email
        && let Some(email) = email.as_ref().filter(|_| form.is_fine())
        && emails::is_of_another(context, email, None).await?
    {
        form.refuse("email", visit.say("wrong.email_taken"));
    }
    if !form.is_fine() {
        return Ok(shown(visit, &form));
    }
    let mailed = email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default();
    let language = Some(visit.language);
    let registration = Registration { username, email, password, first_name, last_name, language };
    match register::register(context, &visit.caller, registration, &rules(context)).await? {
        Ok(_) if context.accounts.activation => {
            let text = visit.say_with("register.mailed", &[("email", &mailed)]);
            Ok(visit.message("register.mailed_title", &text, None))
        }
        Ok(_) => {
            let action = Some(("sign_in.button", visit.at("/login/")));
            Ok(visit.message("register.done_title", &visit.say("register.done"), action))
        }
        Err(NotRegistered::BadUsername) => {
            form.refuse("username", visit.say("wrong.username"));
            Ok(shown(visit, &form))
        }
        Err(NotRegistered::Taken) => {
            form.refuse("username", visit.say("wrong.username_taken"));
            Ok(shown(visit, &form))
        }
        Err(NotRegistered::EmailTaken) => {
            form.refuse("email", visit.say("wrong.email_taken"));
            Ok(shown(visit, &form))
        }
        Err(NotRegistered::Password(broken)) => {
            refuse_rules(visit, &mut form, "password", &broken);
            Ok(shown(visit, &form))
        }
    }
}

/// First and last name, which the site may insist on.
fn names(visit: &Visit<'_>, form: &mut Form) -> (String, String) {
    let needed = visit.site.needs_names;
    let one = |form: &mut Form, field| {
        if needed {
            required(visit, form, field);
        }
        name(visit, form, field)
    };
    (one(form, "first_name"), one(form, "last_name"))
}

fn shown(visit: &Visit<'_>, form: &Form) -> Reply {
    let accounts = &visit.context().accounts;
    let view = json!({
        "by_email": accounts.email_login,
        "needs_email": accounts.email_login || accounts.activation,
        "needs_names": visit.site.needs_names,
        "minimum": accounts.passwords.minimum,
    });
    Reply::page("register.html", with_form(form, view))
}

fn rules(context: &Context) -> RegistrationRules<'_> {
    let accounts = &context.accounts;
    let notice = !accounts.activation && accounts.confirm_activation;
    RegistrationRules {
        active: !accounts.activation,
        link: accounts.activation.then(|| activation(context)),
        notice: notice.then_some(Message::ActivationDone),
        verifies_email: false,
        with_key: false,
        judges_password: true,
    }
}

/// What the mail that switches an account on holds.
pub(super) fn activation(context: &Context) -> LinkKind<'_> {
    LinkKind {
        purpose: Purpose::Activation,
        message: Message::Activation,
        pattern: &context.accounts.activation_url,
        uid: UidForm::Base64,
    }
}

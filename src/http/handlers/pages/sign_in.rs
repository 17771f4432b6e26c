//! Signing in and out, and the language.

use http::StatusCode;
use serde_json::json;

use super::{required_as, required_secret, with_form};
use crate::base::clock::Timestamp;
use crate::flow::sessions::{self, BegunSession};
use crate::flow::{Credentials, Error, Refusal, choose_language};
use crate::http::pages::{Reply, Visit, is_local};
use crate::locale::Language;
use crate::page::form::Form;
use crate::page::{Page, cookie};

/// The form, and what comes of it. The administration's asks for staff.
pub(super) async fn sign_in(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let for_staff = visit.page == Page::AdministrationSignIn;
    if !visit.is_post() {
        let next = next(visit, visit.asked("next"));
        return Ok(match &visit.session {
            Some(session) if !for_staff || visit.context().may_administer(session.account()) => {
                Reply::redirect(next)
            }
            _ => shown(visit, &Form::default().with("next", visit.asked("next")), for_staff),
        });
    }
    let mut form = visit.take_form();
    // Django's form calls it so, whatever people sign in with.
    let by_email = visit.context().accounts.email_login;
    let label = if by_email { "field.email" } else { "field.username" };
    let name = required_as(visit, &mut form, "username", label);
    let password = required_secret(visit, &mut form, "password");
    if !form.is_fine() {
        return Ok(shown(visit, &form, for_staff));
    }
    let credentials = Credentials { name, password };
    let (context, caller) = (visit.context(), &visit.caller);
    let replaced = visit.session.as_ref();
    let begun = sessions::begin(context, caller, credentials, replaced, |account| {
        !for_staff || context.may_administer(account)
    });
    match begun.await {
        Ok(Some(begun)) => {
            let next = next(visit, &form.text("next"));
            Ok(keep(visit, Reply::redirect(next), &begun))
        }
        Ok(None) => {
            form.refuse_all(visit.say("sign_in.staff_only"));
            Ok(shown(visit, &form, for_staff))
        }
        Err(Error::Refused(Refusal::WrongCredentials)) => {
            form.refuse_all(visit.say(if by_email {
                "sign_in.wrong_email"
            } else {
                "sign_in.wrong"
            }));
            Ok(shown(visit, &form, for_staff))
        }
        Err(Error::Refused(Refusal::TooMany { retry_after })) => {
            form.refuse_all(wait(visit, retry_after));
            let status = StatusCode::TOO_MANY_REQUESTS;
            Ok(shown(visit, &form, for_staff).status(status).retry_after(retry_after))
        }
        Err(Error::Refused(Refusal::Busy { retry_after })) => {
            form.refuse_all(visit.say("sign_in.busy"));
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Ok(shown(visit, &form, for_staff).status(status).retry_after(retry_after))
        }
        Err(error) => Err(error),
    }
}

fn shown(visit: &Visit<'_>, form: &Form, administration: bool) -> Reply {
    let next = form.text("next");
    let view = json!({
        "next": if is_local(&next) { next } else { String::new() },
        "administration": administration,
        "by_email": visit.context().accounts.email_login,
    });
    Reply::page("sign_in.html", with_form(form, view))
}

/// When to try again, in seconds or by the clock.
pub(super) fn wait(visit: &Visit<'_>, seconds: u64) -> String {
    if seconds < 120 {
        return visit.say_with("sign_in.throttled_seconds", &[("seconds", &seconds.to_string())]);
    }
    let now = visit.context().now();
    let at = Timestamp::from_seconds(now.seconds() + i64::try_from(seconds).unwrap_or(0));
    let at = visit.site.renderer.look.time_zone.local_text(at);
    let time = at.split_once(' ').map_or(at.as_str(), |(_, time)| time);
    let minutes = seconds.div_ceil(60).to_string();
    visit.say_with("sign_in.throttled_minutes", &[("minutes", &minutes), ("time", time)])
}

/// Where to go after signing in: where somebody wanted to, if that is here.
fn next(visit: &Visit<'_>, asked: &str) -> String {
    if is_local(asked) {
        return asked.to_owned();
    }
    match (visit.page, &visit.site.mounts.administration) {
        (Page::AdministrationSignIn, Some(mount)) => format!("{mount}/"),
        _ => visit.site.after_sign_in.clone(),
    }
}

/// Lets the browser keep a session that has begun.
pub(super) fn keep(visit: &Visit<'_>, reply: Reply, begun: &BegunSession) -> Reply {
    let BegunSession { secret, given_at, ends_at } = begun;
    let names = &visit.site.cookies;
    let csrf = sessions::csrf_secret(visit.context(), &secret.digest());
    reply
        .cookie(cookie::session(&names.session, secret.expose(), *given_at, *ends_at))
        .csrf_cookie(cookie::csrf(&names.csrf, &csrf, *given_at))
}

/// Asks whether to sign out, and does. (Django 2.2 signs out on GET; from 5.0 on it asks for POST, as any
/// picture on any page could sign somebody out.)
pub(super) async fn sign_out(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() && visit.session.is_some() {
        return Ok(Reply::page("sign_out.html", json!({})));
    }
    if let Some(session) = visit.session.take() {
        let (context, caller) = (visit.context(), &visit.caller);
        if session.is_djangos() {
            let presented = visit.presented.as_deref().unwrap_or_default();
            sessions::end_djangos(context, caller, &session, presented).await?;
        } else {
            sessions::end(context, caller, &session).await?;
        }
    }
    let text = visit.say("sign_out.done");
    let action = Some(("sign_in.button", visit.at("/login/")));
    let gone = cookie::gone(&visit.site.cookies.session);
    Ok(visit.message("sign_out.done_title", &text, action).cookie(gone))
}

/// Keeps a language, in a cookie and with the account of whoever is signed in, and goes back.
pub(super) async fn language(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let form = visit.take_form();
    let next = form.text("next");
    let back = Reply::redirect(if is_local(&next) { next } else { visit.at("/") });
    let chosen = Language::parse(&form.text("language"));
    let offered = &visit.site.renderer.look.languages;
    let chosen = chosen.filter(|chosen| visit.is_post() && offered.contains(chosen));
    let Some(chosen) = chosen else { return Ok(back) };
    let context = visit.context();
    if let Some(account) = visit.caller.actor {
        choose_language::choose(context, account, chosen).await?;
    }
    Ok(back.cookie(cookie::language(chosen.as_str(), context.now())))
}

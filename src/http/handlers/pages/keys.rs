//! One's API keys: making, looking at, changing, replacing and taking them back. A key is shown once, in the
//! answer to the form that makes it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{acts, parts, required, with_form};
use crate::base::clock::Timestamp;
use crate::flow::obtain_key;
use crate::flow::personal_keys::{self, IssuedKey, NotDone, StoredKey, Wish};
use crate::flow::{Error, Fault};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;
use crate::token::credential::Scheme;
use crate::token::opaque::ClassicKey;
use crate::token::personal::PersonalKeyId;
use crate::token::scope::Scopes;
use crate::token::terms::{HIGHEST_RATE, Networks, Terms};

const DAY: u64 = 86_400;
/// Lives that are offered, in seconds.
const LIVES: [u64; 4] = [7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];
/// The life of a key that somebody makes without a thought, where the site lets it be so long.
const USUAL_LIFE: u64 = 90 * DAY;
/// Overlaps that are offered, in seconds.
const OVERLAPS: [u64; 4] = [0, 3600, DAY, 7 * DAY];
/// What stands for a life that has no end.
const FOR_EVER: &str = "never";
/// Keys that have ended and are listed.
const MOST_ENDED: usize = 10;

/// All keys of one's account.
pub(super) async fn keys(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return all(visit, &Form::default(), None).await;
    }
    let mut form = visit.take_form();
    let account = visit.account()?.id;
    match form.text("do").as_str() {
        "revoke_classic" => {
            visit.context().cabinet(&visit.caller).revoke_classic(account).await?;
            Ok(Reply::redirect(visit.at("/keys/?revoked")))
        }
        _ if acts(visit, &mut form)? => all(visit, &form, None).await,
        "make_classic" => {
            let own = visit.account()?;
            let key = obtain_key::make(visit.context(), &visit.caller, own).await?;
            all(visit, &form, key.map(|key| classic(visit, &key))).await
        }
        _ => match make(visit, &mut form).await? {
            Some(issued) => all(visit, &Form::default(), Some(made(visit, &issued))).await,
            None => all(visit, &form, None).await,
        },
    }
}

/// Bearer tokens for scripts, as Metax has them: keys, with a name and an end alone.
pub(super) async fn bearer_tokens(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let (mut form, mut issued) = (Form::default(), None);
    if visit.is_post() {
        form = visit.take_form();
        if let Ok(id) = form.text("revoke").parse() {
            let (id, account) = (PersonalKeyId::new(id), visit.account()?.id);
            let revoked = visit.context().cabinet(&visit.caller).revoke(account, id).await?;
            let back = format!("{}?revoked", visit.path);
            return Ok(if revoked { Reply::redirect(back) } else { visit.not_found() });
        }
        if !acts(visit, &mut form)? {
            issued = make(visit, &mut form).await?;
            form = if issued.is_some() { Form::default() } else { form };
        }
    }
    let cabinet = visit.context().cabinet(&visit.caller);
    let listed = cabinet.list(visit.account()?.id).await?;
    let in_force = listed.iter().filter(|key| !key.terms.have_ended(cabinet.now)).map(shown);
    let view = json!({
        "keys": in_force.collect::<Vec<_>>(),
        "made": issued.as_ref().map(|issued| made(visit, issued)),
        "revoked": visit.has_asked("revoked"),
        "lives": lives(visit),
    });
    Ok(Reply::page("tokens.html", with_form(&with_usual_life(visit, form), view)))
}

/// One key.
pub(super) async fn key(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Ok(id) = visit.place("id").parse().map(PersonalKeyId::new) else {
        return Ok(visit.not_found());
    };
    let account = visit.account()?.id;
    let found = visit.context().cabinet(&visit.caller).find(account, id).await?;
    let Some(found) = found else { return Ok(visit.not_found()) };
    if !visit.is_post() {
        return Ok(one(visit, &found, Form::default()));
    }
    let mut form = visit.take_form();
    let does = form.text("do");
    if does == "revoke" {
        let revoked = visit.context().cabinet(&visit.caller).revoke(account, id).await?;
        let back = Reply::redirect(visit.at("/keys/?revoked"));
        return Ok(if revoked { back } else { visit.not_found() });
    }
    if acts(visit, &mut form)? {
        return Ok(one(visit, &found, form));
    }
    if does == "rotate" {
        let overlap = overlap(visit, &mut form);
        if !form.is_fine() {
            return Ok(one(visit, &found, form));
        }
        let cabinet = visit.context().own_cabinet(&visit.caller, visit.account()?);
        return match cabinet.rotate(account, id, overlap, None).await? {
            Ok(issued) => all(visit, &Form::default(), Some(made(visit, &issued))).await,
            Err(why) => Ok(not_done(visit, &found, form, why)),
        };
    }
    let name = required(visit, &mut form, "name");
    let terms = terms(visit, &mut form);
    if !form.is_fine() {
        return Ok(one(visit, &found, form));
    }
    let cabinet = visit.context().own_cabinet(&visit.caller, visit.account()?);
    match cabinet.edit(account, id, Wish { name, terms }).await? {
        Ok(key) => {
            Ok(Reply::redirect(format!("{}?saved", visit.at(&format!("/keys/{}/", key.id)))))
        }
        Err(why) => Ok(not_done(visit, &found, form, why)),
    }
}

fn not_done(visit: &Visit<'_>, key: &StoredKey, mut form: Form, why: NotDone) -> Reply {
    if refuse(visit, &mut form, why) { one(visit, key, form) } else { visit.not_found() }
}

/// Makes the key that a form asks for; `None`, and noted, where it is not to be.
async fn make(visit: &Visit<'_>, form: &mut Form) -> Result<Option<IssuedKey>, Error> {
    let name = required(visit, form, "name");
    let mut terms = terms(visit, form);
    terms.expires_at = end(visit, form);
    if !form.is_fine() {
        return Ok(None);
    }
    let own = visit.account()?;
    let (cabinet, account) = (visit.context().own_cabinet(&visit.caller, own), own.id);
    // Whoever loads the answer once more sends the form once more, and wants no second key.
    let goes_by = |key: &StoredKey| {
        key.name == name && key.replaced_by.is_none() && !key.terms.have_ended(cabinet.now)
    };
    if cabinet.list(account).await?.iter().any(goes_by) {
        form.refuse("name", visit.say("wrong.key_name_taken"));
        return Ok(None);
    }
    match cabinet.make(account, Wish { name, terms }, None).await? {
        Ok(issued) => Ok(Some(issued)),
        Err(why) if refuse(visit, form, why) => Ok(None),
        Err(_) => Err(Error::Fault(Fault::Broken("a key vanished while it was made"))),
    }
}

/// Notes why nothing was done; `false` where there is no such key.
fn refuse(visit: &Visit<'_>, form: &mut Form, why: NotDone) -> bool {
    match why {
        NotDone::NoSuchKey | NotDone::NoClassicKey => return false,
        NotDone::Name => form.refuse("name", visit.say("wrong.key_name")),
        NotDone::Replaced => form.refuse_all(visit.say("wrong.key_replaced")),
        NotDone::TooMany(most) => {
            form.refuse_all(visit.say_with("wrong.key_most", &[("most", &most.to_string())]));
        }
        NotDone::OverlapTooLong => form.refuse("overlap", visit.say("wrong.choice")),
        NotDone::Over => form.refuse("life", visit.say("wrong.choice")),
        // The end of a key that is replaced comes from how long it was made for.
        NotDone::TooLong(longest) if form.has("overlap") => {
            form.refuse_all(visit.say_with("wrong.key_life", &[("span", &span(visit, longest))]));
        }
        NotDone::TooLong(longest) => {
            form.refuse(
                "life",
                visit.say_with("wrong.key_life", &[("span", &span(visit, longest))]),
            );
        }
    }
    true
}

/// What was typed for scope, networks and rate; noted where it cannot be read.
fn terms(visit: &Visit<'_>, form: &mut Form) -> Terms {
    let scopes = Scopes::parse(&form.text("scope")).unwrap_or_else(|_| {
        form.refuse("scope", visit.say("wrong.scope"));
        Scopes::default()
    });
    let networks = Networks::parse(&form.text("networks")).unwrap_or_else(|_| {
        form.refuse("networks", visit.say("wrong.networks"));
        Networks::default()
    });
    let rate = form.text("rate");
    let given = (!rate.is_empty()).then(|| rate.parse().ok());
    let given = given.map(|rate| rate.filter(|rate| (1..=HIGHEST_RATE).contains(rate)));
    if given == Some(None) {
        let most = HIGHEST_RATE.to_string();
        form.refuse("rate", visit.say_with("wrong.rate", &[("most", &most)]));
    }
    Terms { scopes, networks, rate: given.flatten(), expires_at: None }
}

/// When a key ends that lives as long as was chosen; noted where that is none of the choices.
fn end(visit: &Visit<'_>, form: &mut Form) -> Option<Timestamp> {
    let life = form.text("life");
    if life == FOR_EVER {
        return None;
    }
    let mut offered = offered_lives(visit).into_iter();
    let chosen = offered.find(|offered| offered.as_secs().to_string() == life);
    if chosen.is_none() {
        form.refuse("life", visit.say("wrong.choice"));
    }
    chosen.map(|life| visit.context().now().plus(life))
}

fn overlap(visit: &Visit<'_>, form: &mut Form) -> Option<Duration> {
    let chosen = form.text("overlap");
    let mut offered = offered_overlaps(visit).into_iter();
    let overlap = offered.find(|offered| offered.as_secs().to_string() == chosen);
    if overlap.is_none() {
        form.refuse("overlap", visit.say("wrong.choice"));
    }
    overlap
}

/// The lives that may be chosen where the site has a longest one: that too.
fn offered_lives(visit: &Visit<'_>) -> Vec<Duration> {
    let longest = visit.context().key_rules.longest_life;
    let fits = |life: &Duration| longest.is_none_or(|longest| *life < longest);
    let lives = LIVES.into_iter().map(Duration::from_secs).filter(fits);
    lives.chain(longest).collect()
}

fn offered_overlaps(visit: &Visit<'_>) -> Vec<Duration> {
    let usual = visit.context().key_rules.overlap;
    let mut offered: Vec<_> = OVERLAPS.into_iter().map(Duration::from_secs).collect();
    offered.push(usual);
    offered.sort_unstable();
    offered.dedup();
    offered
}

fn lives(visit: &Visit<'_>) -> Value {
    let choice =
        |life: Duration| json!({ "value": life.as_secs().to_string(), "text": span(visit, life) });
    let mut choices: Vec<Value> = offered_lives(visit).into_iter().map(choice).collect();
    if visit.context().key_rules.longest_life.is_none() {
        choices.push(json!({ "value": FOR_EVER, "text": visit.say("keys.never") }));
    }
    choices.into()
}

fn overlaps(visit: &Visit<'_>) -> Value {
    let choice = |overlap: Duration| {
        let text = if overlap.is_zero() { visit.say("key.at_once") } else { span(visit, overlap) };
        json!({ "value": overlap.as_secs().to_string(), "text": text })
    };
    offered_overlaps(visit).into_iter().map(choice).collect()
}

/// A length of time in words, in the largest unit that it is a whole number of.
fn span(visit: &Visit<'_>, span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds == 365 * DAY {
        return visit.say("span.year");
    }
    let units = [(DAY, "span.day", "span.days"), (3600, "span.hour", "span.hours")];
    let units = units.into_iter().chain([(60, "span.minute", "span.minutes")]);
    let whole =
        units.into_iter().find(|(unit, ..)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, one, many) = whole.unwrap_or((1, "span.second", "span.seconds"));
    match seconds / unit {
        1 => visit.say(one),
        count => visit.say_with(many, &[("n", &count.to_string())]),
    }
}

/// A form in which a life is chosen already.
fn with_usual_life(visit: &Visit<'_>, form: Form) -> Form {
    let longest =
        visit.context().key_rules.longest_life.map_or(u64::MAX, |longest| longest.as_secs());
    form.or("life", &USUAL_LIFE.min(longest).to_string())
}

/// The page of all keys, with one that was made just now.
async fn all(visit: &Visit<'_>, form: &Form, made: Option<Value>) -> Result<Reply, Error> {
    let (account, context) = (visit.account()?, visit.context());
    let cabinet = context.cabinet(&visit.caller);
    let listed = cabinet.list(account.id).await?;
    let (ended, in_force): (Vec<_>, Vec<_>) =
        listed.iter().partition(|key| key.terms.have_ended(cabinet.now));
    let classic = personal_keys::classic_beginning(context, account).await?;
    let narrows = ["scope", "networks", "rate"].iter().any(|name| !form.text(name).is_empty());
    let view = json!({
        "parts": parts(),
        "keys": in_force.into_iter().map(shown).collect::<Vec<_>>(),
        "ended": ended.into_iter().rev().take(MOST_ENDED).map(shown).collect::<Vec<_>>(),
        "made": made,
        "revoked": visit.has_asked("revoked"),
        "classic": classic,
        "lives": lives(visit),
        "narrows": narrows,
        "known_scopes": known_scopes(visit),
    });
    let form = with_usual_life(visit, form.clone());
    Ok(Reply::page("keys.html", with_form(&form, view)))
}

/// The page of one key.
fn one(visit: &Visit<'_>, key: &StoredKey, form: Form) -> Reply {
    let usual = visit.context().key_rules.overlap.as_secs().to_string();
    let rate = key.terms.rate.map(|rate| rate.to_string()).unwrap_or_default();
    let form = form
        .or("name", &key.name)
        .or("scope", &key.terms.scopes.to_string())
        .or("networks", &key.terms.networks.to_string())
        .or("rate", &rate)
        .or("overlap", &usual);
    let view = json!({
        "parts": parts(),
        "key": shown(key),
        "saved": visit.has_asked("saved"),
        "overlaps": overlaps(visit),
        "known_scopes": known_scopes(visit),
    });
    Reply::page("key.html", with_form(&form, view))
}

/// A key as templates show it.
fn shown(key: &StoredKey) -> Value {
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::seconds);
    json!({
        "id": key.id.get(),
        "name": key.name,
        "begins": key.beginning,
        "scope": key.terms.scopes.to_string(),
        "networks": key.terms.networks.to_string(),
        "rate": key.terms.rate,
        "created_at": key.created_at.seconds(),
        "expires_at": seconds(key.terms.expires_at),
        "last_used_at": seconds(key.last_used_at),
        "revoked_at": seconds(key.revoked_at),
        "is_replaced": key.replaced_by.is_some(),
    })
}

/// A key that was made, this once in clear.
fn made(visit: &Visit<'_>, issued: &IssuedKey) -> Value {
    let schemes = &visit.service.gate.schemes;
    let bearer = schemes.accepted.contains(&Scheme::Bearer);
    let scheme = if bearer { schemes.bearer_prefix.as_str() } else { "Token" };
    json!({ "name": issued.stored.name, "key": issued.key.expose(), "scheme": scheme })
}

fn classic(visit: &Visit<'_>, key: &ClassicKey) -> Value {
    json!({ "name": visit.say("keys.classic"), "key": key.expose(), "scheme": "Token" })
}

/// The scopes that the gate's policies ask for, between spaces.
fn known_scopes(visit: &Visit<'_>) -> String {
    visit.service.gate.policies.load().scopes().join(" ")
}

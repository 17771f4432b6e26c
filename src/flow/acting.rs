//! Acting as somebody else, to see what they see: a session of its own on top of one's own. It is short, says
//! so on every page and in every token (`act`, RFC 8693 4.1), is recorded, and ends with one's own session or
//! right.

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::flow::audit::{self, Event};
use crate::flow::sessions::{self, BegunSession};
use crate::flow::{Caller, Context, Error};
use crate::store::refresh_families::EndReason;
use crate::store::{accounts, sessions as stored};
use crate::token::session::{LiveSession, SessionSecret};

/// Who may act as somebody else, and for how long.
#[derive(Debug)]
pub struct ActingRules {
    /// User names of staff who may; superusers always may.
    pub staff: Vec<String>,
    /// For how long at a time.
    pub lifetime: Duration,
}

/// Why somebody may not act as an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotActing {
    /// They may not at all, or not as this account, or there is none such: which, is not told.
    Refused,
    /// They act as somebody else already, or are signed in with Django alone.
    NotOneself,
}

/// Whether somebody has the right to act as others at all.
#[must_use]
pub fn has_right(context: &Context, actor: &Account) -> bool {
    context.sessions.acting.as_ref().is_some_and(|rules| {
        actor.is_superuser || (actor.is_staff && rules.staff.contains(&actor.username))
    })
}

/// Whether a name gives the right to act as others: staff could take one that nobody has, so that only an
/// operator gives it to an account.
pub(super) fn is_reserved(context: &Context, username: &str) -> bool {
    let rules = context.sessions.acting.as_ref();
    rules.is_some_and(|rules| rules.staff.iter().any(|name| name == username))
}

/// Whether somebody may act as this account: it can be used, and is less powerful.
#[must_use]
pub fn may_act(context: &Context, actor: &Account, account: &Account) -> bool {
    has_right(context, actor) && account.may_hold_tokens() && power(account) < power(actor)
}

/// How much somebody may do: superusers more than staff, staff more than members.
pub(super) fn power(account: &Account) -> u8 {
    match (account.is_superuser, account.is_staff) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// Begins to act as the account of that user name; one's own session goes on beneath.
pub async fn begin(
    context: &Context,
    caller: &Caller,
    session: &LiveSession,
    username: &str,
) -> Result<Result<(AccountId, BegunSession), NotActing>, Error> {
    if session.actor().is_some() || session.is_djangos() {
        return Ok(Err(NotActing::NotOneself));
    }
    let actor = session.account();
    let account = accounts::find_by_username(&context.store, username).await?;
    let Some(rules) = &context.sessions.acting else { return Ok(Err(NotActing::Refused)) };
    let Some(account) = account.filter(|account| may_act(context, actor, account)) else {
        return Ok(Err(NotActing::Refused));
    };
    let now = context.now();
    let ends_at = now.plus(rules.lifetime).min(session.ends_at());
    let mut tx = context.store.begin("begin to act").await?;
    // As both stand now: a right that was taken away meanwhile begins nothing.
    let held = accounts::hold_both_in(&mut tx, actor, account.id).await?;
    let Some((_, account)) = held.filter(|(actor, account)| may_act(context, actor, account))
    else {
        return Ok(Err(NotActing::Refused));
    };
    if !stored::hold_in(&mut tx, session.digest()).await? {
        return Ok(Err(NotActing::Refused));
    }
    let acting = Some((session, ends_at));
    let begun = sessions::begin_in(context, &mut tx, caller, &account, acting, now).await?;
    audit::event(Event::ImpersonationBegun, caller, now)
        .about(&account)
        .detail("actor", &actor.username)
        .record(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(Ok((account.id, begun)))
}

/// Ceases to act as somebody else: that session ends with its tokens, and one's own goes on under a new
/// secret, as the browser has given the old one up. `None` where there is nothing to go back to.
pub async fn end(
    context: &Context,
    caller: &Caller,
    session: &LiveSession,
) -> Result<Option<BegunSession>, Error> {
    let Some(actor) = session.actor() else { return Ok(None) };
    let (account, now) = (session.account(), context.now());
    let mut tx = context.store.begin("cease to act").await?;
    let (digest, reason) = (session.digest(), EndReason::SignOut);
    stored::end_in(&mut tx, digest, account.id, reason, now).await?;
    let secret = SessionSecret::generate(context.random.as_ref());
    let ends_at = stored::renew_in(&mut tx, actor.digest(), &secret).await?;
    audit::event(Event::ImpersonationEnded, caller, now)
        .about(account)
        .detail("actor", &actor.account().username)
        .record(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(ends_at.map(|ends_at| BegunSession { secret, given_at: now, ends_at }))
}

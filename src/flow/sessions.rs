//! Browser sessions: signing in and out, who sits there, what else they have open, and tokens for them.

use std::time::Duration;

use crate::account::account::Account;
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, DigestKey};
use crate::base::encode::hex;
use crate::flow::acting::{self, ActingRules};
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Credentials, Error, LayoutRules, Refusal, TokenPair, sign_in};
use crate::store::refresh_families::{self, EndReason, InSession, NewFamily};
use crate::store::sessions::{self, ListedSession, NewSession};
use crate::store::{StoreError, Tx, accounts};
use crate::token::authenticated::Authenticated;
use crate::token::claims::FamilyId;
use crate::token::credential::Denial;
use crate::token::django_session::{self, DjangoSessions};
use crate::token::refresh::{BegunWith, Family};
use crate::token::session::{LiveSession, SessionSecret, password_state};

/// How sessions are kept.
#[derive(Debug)]
pub struct SessionRules {
    /// How long one lives, used or not.
    pub lifetime: Duration,
    /// How long one may go unused; `None`: until it ends.
    pub idle: Option<Duration>,
    /// What it takes to verify Django's; `None`: they are not honoured.
    pub django: Option<DjangoSessions>,
    /// Makes what forms must send back.
    pub csrf: DigestKey,
    /// Who may act as somebody else; `None`: nobody.
    pub acting: Option<ActingRules>,
}

/// That a session is used is written once in so long.
const TOUCH: Duration = Duration::from_mins(1);
/// Sessions of one account that are listed.
const MOST: i64 = 100;
/// How long the key of a row of Django's may be (`django_session.session_key`).
const LONGEST_DJANGO_KEY: usize = 40;

/// A session that has just begun: what the browser is to keep, and for how long.
#[derive(Debug)]
pub struct BegunSession {
    /// What goes into the cookie.
    pub secret: SessionSecret,
    /// When it was handed out: a cookie's `Max-Age` counts from here.
    pub given_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

/// A session for a name and a password, in place of the one that the browser has. Unknown, wrong and
/// switched off are all alike. The secret is always new (OWASP ASVS 7.2.4). `None` for an account that may
/// not enter where it wants to.
pub async fn begin(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
    replaced: Option<&LiveSession>,
    may_enter: impl Fn(&Account) -> bool + Send,
) -> Result<Option<BegunSession>, Error> {
    let checked = sign_in::check_password(context, caller, credentials).await?;
    if !may_enter(checked.account()) {
        return Ok(None);
    }
    if let Some(replaced) = replaced {
        end(context, caller, replaced).await?;
    }
    let account = checked.into_account();
    let now = context.now();
    let mut tx = context.store.begin("begin session").await?;
    if !accounts::hold_in(&mut tx, &account).await? {
        return Err(Refusal::WrongCredentials.into());
    }
    let begun = begin_in(context, &mut tx, caller, &account, None, now).await?;
    let caller = caller.as_owner(account.id);
    audit::event(Event::SignIn, &caller, now).about(&account).record(&mut tx).await?;
    tx.commit().await?;
    accounts::touch_last_login(&context.store, account.id, now).await?;
    Ok(Some(begun))
}

/// A new session of the same account after its password has become `password`, which has ended all others.
/// `None` where the account is gone, or somebody has changed its password since.
pub async fn begin_anew(
    context: &Context,
    caller: &Caller,
    session: &LiveSession,
    password: StoredPassword,
) -> Result<Option<BegunSession>, Error> {
    let account = Account { password, ..session.account().clone() };
    let mut tx = context.store.begin("begin session anew").await?;
    if !accounts::hold_in(&mut tx, &account).await? {
        return Ok(None);
    }
    let begun = begin_in(context, &mut tx, caller, &account, None, context.now()).await?;
    tx.commit().await?;
    Ok(Some(begun))
}

/// Part of a transaction: begins a session, or one of somebody who acts as `account` until the moment that
/// is given.
pub(super) async fn begin_in(
    context: &Context,
    tx: &mut Tx,
    caller: &Caller,
    account: &Account,
    acting: Option<(&LiveSession, Timestamp)>,
    now: Timestamp,
) -> Result<BegunSession, Error> {
    // As with refresh families: never before the moment at which the account was signed out everywhere.
    let revoked_before = accounts::revoked_before(&context.store, account.id).await?;
    let begun_at = now.max(revoked_before.unwrap_or(now));
    let secret = SessionSecret::generate(context.random.as_ref());
    let ends_at = match acting {
        Some((_, ends_at)) => ends_at,
        None => begun_at.plus(context.sessions.lifetime),
    };
    let new = NewSession {
        digest: secret.digest(),
        account: account.id,
        password: password_state(&account.password),
        begun_at,
        ends_at,
        address: caller.address,
        program: program_of(caller),
        actor: acting.map(|(actor, _)| *actor.digest()),
    };
    sessions::begin_in(tx, &new).await?;
    Ok(BegunSession { secret, given_at: now, ends_at })
}

/// The session of a presented cookie, where it is alive: one of ours, or of Django's.
pub async fn find(
    context: &Context,
    caller: &Caller,
    presented: &str,
) -> Result<Option<LiveSession>, Error> {
    let now = context.now();
    let Some(secret) = SessionSecret::presented(presented) else {
        return find_djangos(context, presented, now).await;
    };
    let Some(found) = sessions::find(&context.store, &secret.digest()).await? else {
        return Ok(None);
    };
    let actor = match &found.session.actor {
        Some(actor) => sessions::find(&context.store, actor).await?.map(|actor| actor.session),
        None => None,
    };
    let used_at = found.session.used_at;
    let idle = context.sessions.idle;
    let Some(live) = LiveSession::of(&secret, found.session, actor, idle, now) else {
        return Ok(None);
    };
    if let Some(actor) = live.actor()
        && !acting::may_act(context, actor.account(), live.account())
    {
        return Ok(None);
    }
    let since = now.minus(TOUCH);
    if used_at < since {
        let program = program_of(caller);
        for session in std::iter::once(&live).chain(live.actor()) {
            let (store, digest) = (&context.store, session.digest());
            sessions::touch(store, digest, caller.address, program, now, since).await?;
        }
    }
    Ok(Some(live))
}

async fn find_djangos(
    context: &Context,
    key: &str,
    now: Timestamp,
) -> Result<Option<LiveSession>, Error> {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let Some(djangos) = &context.sessions.django else { return Ok(None) };
    if !plain || key.len() > LONGEST_DJANGO_KEY {
        return Ok(None);
    }
    let Some(row) = sessions::find_djangos(&context.store, key, now).await? else {
        return Ok(None);
    };
    let Some(claimed) = djangos.read(&row.data) else { return Ok(None) };
    let Some(account) = accounts::find_by_id(&context.store, claimed.account()).await? else {
        return Ok(None);
    };
    let digest = django_session::digest_of(key);
    let ended = accounts::djangos_ended(&context.store, account.id).await?;
    let verified = djangos.verify(&claimed, account, digest, row.ends_at, ended.as_ref());
    Ok(verified.map(LiveSession::of_django))
}

/// What forms of this session must send back, and `csrftoken` holds: 32 characters. It is made from the
/// session, so that nobody can bring one along.
#[must_use]
pub fn csrf_secret(context: &Context, session: &Digest) -> String {
    let digest = context.sessions.csrf.of_parts(&[session.as_bytes()]);
    hex(digest.as_bytes().get(..16).unwrap_or_default())
}

/// Signs out: ends the session, what was done from it as somebody else, and the refresh families that began
/// with either.
pub async fn end(context: &Context, caller: &Caller, session: &LiveSession) -> Result<(), Error> {
    let session = session.actor().unwrap_or(session);
    end_of(context, caller, session.account(), session.digest()).await.map(drop)
}

/// Signs out of a session of Django's, by its key: ends it, and the refresh families that began in it.
pub async fn end_djangos(
    context: &Context,
    caller: &Caller,
    session: &LiveSession,
    presented: &str,
) -> Result<(), Error> {
    let now = context.now();
    let mut tx = context.store.begin("end session of Django's").await?;
    sessions::end_djangos_in(&mut tx, presented).await?;
    refresh_families::end_of_django_session_in(&mut tx, session.digest(), now).await?;
    audit::event(Event::SignOut, caller, now).about(session.account()).record(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The sessions that the account has open, the last used first.
pub async fn list(context: &Context, account: &Account) -> Result<Vec<ListedSession>, Error> {
    let now = context.now();
    let all = sessions::of_account(&context.store, account.id, now, MOST).await?;
    let alive = |listed: &ListedSession| listed.session.is_alive(context.sessions.idle, now);
    Ok(all.into_iter().filter(alive).collect())
}

/// Ends one of the account's sessions, by its digest. `false` where it has none such.
pub async fn end_of(
    context: &Context,
    caller: &Caller,
    account: &Account,
    digest: &Digest,
) -> Result<bool, Error> {
    let now = context.now();
    let mut tx = context.store.begin("end session").await?;
    let ended = end_of_in(&mut tx, caller, account, digest, now).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Part of a transaction: as [`end_of`].
pub(super) async fn end_of_in(
    tx: &mut Tx,
    caller: &Caller,
    account: &Account,
    digest: &Digest,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = sessions::end_in(tx, digest, account.id, EndReason::SignOut, now).await?;
    if ended {
        audit::event(Event::SignOut, caller, now).about(account).record(tx).await?;
    }
    Ok(ended)
}

/// Signs the account out everywhere but in this session: ends all other sessions, and every refresh family
/// that did not begin with this one. Tokens from before the change-over that were not used yet end with
/// those that were issued before it began.
pub async fn end_others(
    context: &Context,
    caller: &Caller,
    session: &LiveSession,
) -> Result<(), Error> {
    let (account, digest, now) = (session.account(), session.digest(), context.now());
    let mut tx = context.store.begin("end other sessions").await?;
    // When a session of Django's began is not known: it goes on as the one that it is.
    let (before, but) = if session.is_djangos() {
        (Timestamp::from_millis(0), Some(digest))
    } else {
        (session.begun_at(), None)
    };
    accounts::revoke_before_in(&mut tx, account.id, before, but, now).await?;
    sessions::end_others_in(&mut tx, account.id, digest, EndReason::SignOut, now).await?;
    audit::event(Event::SignOutEverywhere, caller, now).about(account).record(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Families that go on in one session, where refresh tokens are replaced and each tab needs one of its own.
const MOST_FAMILIES: i64 = 50;

/// A token pair for a session; begins a refresh family, which ends when the session is signed out. Front
/// ends ask for one with every page that they load: only what somebody does as somebody else is recorded.
///
/// Where refresh tokens are not replaced, all tabs of a session are given the one that there is, until half
/// of its life is over. Where they are, the families that were used last go on.
pub async fn tokens(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    session: &LiveSession,
) -> Result<TokenPair, Error> {
    let now = context.now();
    let account = session.account();
    let digest = session.digest();
    let place =
        if session.is_djangos() { InSession::Djangos(digest) } else { InSession::Ours(digest) };
    let begun_at = sign_in::family_begin(context, account.id, now).await?;
    let mut tx = context.store.begin("begin refresh family of session").await?;
    // It was alive when it was found: what has ended it since is committed, or waits for this.
    let holds = if session.is_djangos() {
        accounts::hold_in(&mut tx, account).await?
            && !accounts::djangos_ended_in(&mut tx, account.id)
                .await?
                .is_some_and(|ended| ended.includes(digest, session.begun_at(), account))
    } else {
        accounts::hold_in(&mut tx, account).await? && sessions::hold_in(&mut tx, digest).await?
    };
    if !holds {
        return Err(Refusal::Denied(Denial::NoCredentials).into());
    }
    if !layout.tokens.rotation
        && let Some(family) = refresh_families::in_session_in(&mut tx, place, layout.name).await?
        && is_fresh(&family, account, now)
    {
        tx.commit().await?;
        return go_on(context, layout, session, &family, now).await;
    }
    let family = FamilyId::begin(begun_at, context.random.as_ref());
    let ends_at = context.family_end(begun_at);
    let who = Authenticated::by_session(session, &context.shape, &layout.tokens, family, ends_at);
    let ring = context.ring.load();
    let issuer = context.issuer(&ring, &layout.tokens, now);
    let stamp = issuer.refresh_stamp(who.ends_at());
    let pair = TokenPair { access: issuer.access(&who)?, refresh: issuer.refresh(&who, &stamp)? };
    let new = NewFamily {
        who: &who,
        layout: layout.name,
        password: &account.password,
        begun_at,
        stamp: &stamp,
        origin: caller.origin(),
        django_session: session.is_djangos().then_some(*digest),
    };
    refresh_families::begin_in(&mut tx, &new).await?;
    if !session.is_djangos() {
        sessions::bind_family_in(&mut tx, digest, family).await?;
    }
    refresh_families::end_beyond_in(&mut tx, place, MOST_FAMILIES, now).await?;
    if let Some(actor) = session.acting() {
        let caller = Caller { actor: Some(actor), ..caller.clone() };
        audit::event(Event::SignIn, &caller, now)
            .about(account)
            .detail("family", family.to_string())
            .record(&mut tx)
            .await?;
    }
    tx.commit().await?;
    Ok(pair)
}

/// Whether a family of this account lives on for half of the time that its token was given, and more.
fn is_fresh(family: &Family, account: &Account, now: Timestamp) -> bool {
    let token = &family.successor;
    family.account == account.id
        && family.begun_with == BegunWith::ThisPassword
        && 2 * (token.expires_at - now.seconds()) > token.expires_at - token.issued_at
}

/// The tokens of a family that goes on in a session, once more: another access token, the same refresh token.
async fn go_on(
    context: &Context,
    layout: &LayoutRules,
    session: &LiveSession,
    family: &Family,
    now: Timestamp,
) -> Result<TokenPair, Error> {
    let (shape, rules) = (&context.shape, &layout.tokens);
    let who = Authenticated::by_session(session, shape, rules, family.id, family.ends_at);
    let ring = context.ring.load();
    let issuer = context.issuer(&ring, rules, now);
    refresh_families::touch(&context.store, family.id, now, now.minus(TOUCH)).await?;
    let refresh = issuer.refresh(&who, &family.successor)?;
    Ok(TokenPair { access: issuer.access(&who)?, refresh })
}

/// What the client's program says it is; empty where it says nothing.
fn program_of(caller: &Caller) -> &str {
    caller.user_agent.as_deref().unwrap_or_default()
}

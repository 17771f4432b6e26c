//! Mails that carry a one-time link, and using such links up.

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::flow::{Context, Error, Fault, audit, choose_language};
use crate::mail::message::{Draft, Link, MailUser, Message};
use crate::store::one_time_links::{self, NewLink};
use crate::store::{Tx, accounts, email_addresses};
use crate::token::link::{self, LinkToken, Purpose};

/// How an account is named in a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UidForm {
    /// base64url of the decimal id, as djoser writes it.
    Base64,
    /// base 36 of the id, as allauth writes it.
    Base36,
}

/// A link that a mail asks to follow: what it is for, and the pattern of its address.
#[derive(Clone, Debug)]
pub struct LinkKind<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The mail that carries it.
    pub message: Message,
    /// `#/activate/{uid}/{token}`, behind protocol and domain of the site.
    pub pattern: &'a str,
    /// How the account is named in it.
    pub uid: UidForm,
}

/// Sends a link to each of these accounts, at its address. Where there are none, the same is done for nobody:
/// who has asked for it cannot tell by the time it takes. `event` is recorded about each of them, or about
/// nobody. Gives whether there were any.
pub(super) async fn send_to_all(
    context: &Context,
    name: &'static str,
    accounts: &[(Account, EmailAddress)],
    kind: &LinkKind<'_>,
    event: Option<audit::Draft>,
) -> Result<bool, Error> {
    let now = context.now();
    let mut tx = context.store.begin(name).await?;
    for (account, address) in accounts {
        send_link(context, &mut tx, account, address, kind, now).await?;
        if let Some(event) = event.clone() {
            event.about(account).record(&mut tx).await?;
        }
    }
    if accounts.is_empty() {
        send_nothing(context, &mut tx, kind, now).await?;
        if let Some(event) = event {
            event.record(&mut tx).await?;
        }
    }
    tx.commit().await?;
    Ok(!accounts.is_empty())
}

/// No account has this id.
const NOBODY: AccountId = AccountId::new(0);

/// Part of a transaction: does what [`send_link`] does, for nobody.
async fn send_nothing(
    context: &Context,
    tx: &mut Tx,
    kind: &LinkKind<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let token = LinkToken::generate(now, context.random.as_ref());
    one_time_links::create_none(tx, kind.purpose).await?;
    let url = kind.pattern.replace("{token}", token.expose());
    let nobody = EmailAddress::parse("nobody@localhost")
        .map_err(|_| Error::Fault(Fault::Broken("nobody has no address")))?;
    let draft = Draft {
        message: kind.message,
        to: &nobody,
        language: choose_language::of_mail(context, tx, NOBODY).await?,
        user: MailUser {
            username: "nobody",
            first_name: "",
            last_name: "",
            email: nobody.as_str(),
        },
        link: Some(Link { url: &url, uid: "", token: token.expose() }),
    };
    let done = context.mailer.enqueue_nothing(tx, &draft, now).await;
    done.map_err(|error| Error::Fault(Fault::Mail(error.to_string())))
}

/// Part of a transaction: makes a link for `account` and puts the mail that carries it into the outbox. It
/// goes to `address`, which is the account's own as it is stored, never one that merely looks like it.
pub async fn send_link(
    context: &Context,
    tx: &mut Tx,
    account: &Account,
    address: &EmailAddress,
    kind: &LinkKind<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let token = LinkToken::generate(now, context.random.as_ref());
    let new = NewLink {
        digest: token.digest(kind.purpose, account.id),
        purpose: kind.purpose,
        account: account.id,
        address: address.as_str(),
        state: link::state_of(account, address.as_str(), kind.purpose),
        issued_at: now,
        expires_at: now.plus(context.accounts.link_lifetime),
    };
    one_time_links::create(tx, &new).await?;
    let uid = match kind.uid {
        UidForm::Base64 => link::uid(account.id),
        UidForm::Base36 => link::uid36(account.id),
    };
    // One word for links that hold no account beside the secret (allauth's confirmation key).
    let key = format!("{}:{}", link::uid36(account.id), token.expose());
    let url = kind
        .pattern
        .replace("{uid}", &uid)
        .replace("{token}", token.expose())
        .replace("{key}", &key);
    let link = Link { url: &url, uid: &uid, token: token.expose() };
    send(context, tx, account, address, kind.message, Some(link), now).await
}

/// Part of a transaction: puts a mail without a link into the outbox.
pub async fn send_notice(
    context: &Context,
    tx: &mut Tx,
    account: &Account,
    address: &EmailAddress,
    message: Message,
    now: Timestamp,
) -> Result<(), Error> {
    send(context, tx, account, address, message, None, now).await
}

async fn send(
    context: &Context,
    tx: &mut Tx,
    account: &Account,
    address: &EmailAddress,
    message: Message,
    link: Option<Link<'_>>,
    now: Timestamp,
) -> Result<(), Error> {
    let draft = Draft {
        message,
        to: address,
        language: choose_language::of_mail(context, tx, account.id).await?,
        user: MailUser {
            username: &account.username,
            first_name: &account.first_name,
            last_name: &account.last_name,
            email: address.as_str(),
        },
        link,
    };
    context
        .mailer
        .enqueue(tx, &draft, now)
        .await
        .map_err(|error| Error::Fault(Fault::Mail(error.to_string())))
}

/// The address of an account that mail can go to; `None` where it has none, or one that is no address.
#[must_use]
pub fn address_of(account: &Account) -> Option<EmailAddress> {
    EmailAddress::parse(&account.email).ok()
}

/// An account and the address that mail to it goes to; `None` where it has none.
pub(super) fn addressed(account: Account) -> Option<(Account, EmailAddress)> {
    address_of(&account).map(|address| (account, address))
}

/// How a presented link stands.
#[derive(Debug)]
pub enum Presented {
    /// There is no account that it could be for.
    NoAccount,
    /// It is none of ours, has ended, was used, or the account has changed since.
    Bad(Account),
    /// It was used before and nothing has changed since.
    Used(Account),
    /// It can be used.
    Good(Account, GoodLink),
}

/// A link that can be used: [`GoodLink::use_up`] decides who does.
#[derive(Debug)]
pub struct GoodLink {
    maker: Maker,
    digest: Digest,
    purpose: Purpose,
    account: AccountId,
    /// The address that it was sent to.
    pub address: String,
    state: Digest,
}

/// Who has made a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// We have: the store knows it.
    Avain,
    /// Django has, before the change-over: the store knows only those that were used.
    Django,
}

/// Looks at a presented link without using it.
pub async fn look_at(
    context: &Context,
    account: Option<AccountId>,
    token: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Presented, Error> {
    let Some(id) = account else { return Ok(Presented::NoAccount) };
    let Some(account) = accounts::find_by_id(&context.store, id).await? else {
        return Ok(Presented::NoAccount);
    };
    let Some(token) = LinkToken::presented(token) else { return Ok(Presented::Bad(account)) };
    let digest = token.digest(purpose, id);
    let found = one_time_links::find(&context.store, &digest, purpose, now).await?;
    Ok(match found {
        Some(found) if found.state == link::state_of(&account, &found.address, purpose) => {
            if found.used {
                Presented::Used(account)
            } else {
                let (maker, state, address) = (Maker::Avain, found.state, found.address);
                let good = GoodLink { maker, digest, purpose, account: id, address, state };
                Presented::Good(account, good)
            }
        }
        None if purpose.was_djangos() => look_at_django(context, account, &token, now).await?,
        _ => Presented::Bad(account),
    })
}

/// Looks at a link that Django may have sent. It does not tell for what: it is good for one thing in all.
async fn look_at_django(
    context: &Context,
    account: Account,
    token: &LinkToken,
    now: Timestamp,
) -> Result<Presented, Error> {
    let Some(links) = &context.accounts.django_links else { return Ok(Presented::Bad(account)) };
    let kept = email_addresses::of_account(&context.store, account.id).await?;
    let addresses: Vec<&str> = kept.iter().map(|kept| kept.address.as_str()).collect();
    if !links.verify(&account, &addresses, token.expose(), now) {
        return Ok(Presented::Bad(account));
    }
    let digest = token.digest(Purpose::Django, account.id);
    if one_time_links::find(&context.store, &digest, Purpose::Django, now).await?.is_some() {
        return Ok(Presented::Used(account));
    }
    let good = GoodLink {
        maker: Maker::Django,
        digest,
        purpose: Purpose::Django,
        account: account.id,
        address: account.email.clone(),
        state: link::state_of(&account, &account.email, Purpose::Django),
    };
    Ok(Presented::Good(account, good))
}

/// Looks at a key that allauth has mailed before the change-over. It is for the row of one address, as long as mail
/// to that was not shown to arrive, and good for one use.
pub(super) async fn look_at_allauth(
    context: &Context,
    key: &str,
    now: Timestamp,
) -> Result<Presented, Error> {
    let row = context.accounts.django_links.as_ref();
    let Some(row) = row.and_then(|links| links.allauth_address(key, now)) else {
        return Ok(Presented::NoAccount);
    };
    let kept = email_addresses::by_allauth_id(&context.store, row).await?;
    let (Some(kept), Some(token)) = (kept, LinkToken::presented(key)) else {
        return Ok(Presented::NoAccount);
    };
    let Some(account) = accounts::find_by_id(&context.store, kept.account).await? else {
        return Ok(Presented::NoAccount);
    };
    let purpose = Purpose::EmailVerification;
    let digest = token.digest(purpose, account.id);
    let used = one_time_links::find(&context.store, &digest, purpose, now).await?.is_some();
    if used || kept.verified {
        return Ok(Presented::Used(account));
    }
    let state = link::state_of(&account, &kept.address, purpose);
    let (maker, address) = (Maker::Django, kept.address);
    let good = GoodLink { maker, digest, purpose, account: account.id, address, state };
    Ok(Presented::Good(account, good))
}

/// How long is kept that a link of Django's was used, beyond its life: its days are whole, and clocks are
/// put back.
const DJANGO_SLACK: Duration = Duration::from_hours(48);

impl GoodLink {
    /// Part of a transaction: uses the link up, if the account is still in the state that it depends on; the
    /// account stays so until the transaction changes it. Of several at once exactly one succeeds.
    pub async fn use_up(
        &self,
        context: &Context,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Self { digest, purpose, account, address, state, .. } = self;
        let locked = accounts::lock_in(tx, *account).await?;
        if locked.is_none_or(|now| link::state_of(&now, address, *purpose) != *state) {
            return Ok(false);
        }
        Ok(match self.maker {
            Maker::Avain => one_time_links::use_up(tx, digest, *purpose, *account, now).await?,
            Maker::Django => {
                let lifetime = context.accounts.django_links.as_ref().map(|links| links.lifetime);
                let used = NewLink {
                    digest: self.digest,
                    purpose: self.purpose,
                    account: self.account,
                    address: &self.address,
                    state: self.state,
                    issued_at: now,
                    expires_at: now.plus(lifetime.unwrap_or_default() + DJANGO_SLACK),
                };
                one_time_links::use_up_foreign(tx, &used).await?
            }
        })
    }
}

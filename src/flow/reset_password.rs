//! Resetting a forgotten password: asking for a link, and following it.

use crate::account::account::{Account, AccountId};
use crate::account::rules::RuleBroken;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::change_password;
use crate::flow::links::{self, LinkKind, Presented};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, attempt};
use crate::store::accounts;
use crate::token::link::Purpose;

/// How addresses are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// To the letter.
    Exact,
    /// Without case, and no further: what merely looks alike is another address.
    AnyCase,
}

impl Matching {
    /// Whether an account with an address is meant by what was typed; the two differ in case at the most.
    pub(super) fn admits(self, stored: &str, typed: &str) -> bool {
        match self {
            Self::Exact => stored == typed,
            Self::AnyCase => true,
        }
    }
}

/// Sends a link to every active account with a usable password that has this address. The mail goes to
/// the address as the account has it. Gives whether there was one; a client learns that only where the
/// site wants it to.
pub async fn request(
    context: &Context,
    caller: &Caller,
    email: &str,
    matching: Matching,
    kind: &LinkKind<'_>,
) -> Result<bool, Error> {
    quota::spend(context, caller, Quota::Reset(email)).await?;
    let found = accounts::find_by_email(&context.store, email).await?.into_iter();
    let able = found.filter(|account| {
        matching.admits(&account.email, email)
            && account.may_hold_tokens()
            && account.password.is_usable()
    });
    let addressed: Vec<_> = able.filter_map(links::addressed).collect();
    let event = audit::event(Event::ResetRequest, caller, context.now());
    let event = event.detail("what", kind.purpose.as_str());
    links::send_to_all(context, "request reset", &addressed, kind, Some(event)).await
}

/// Why a reset was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum NotReset {
    /// The link names no account.
    NoAccount,
    /// The link is none of ours, was used, has ended, or the account has changed since.
    BadToken,
    /// The new password breaks rules.
    Rules(Vec<RuleBroken>),
}

/// Looks at a reset link without using it. `None`: it can be used.
pub async fn look_at(
    context: &Context,
    account: Option<AccountId>,
    token: &str,
) -> Result<Option<NotReset>, Error> {
    let now = context.now();
    Ok(match links::look_at(context, account, token, Purpose::PasswordReset, now).await? {
        Presented::NoAccount => Some(NotReset::NoAccount),
        Presented::Bad(_) | Presented::Used(_) => Some(NotReset::BadToken),
        Presented::Good(..) => None,
    })
}

/// In which order a layout judges a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The password's rules before the link (djoser 2.x).
    RulesFirst,
    /// The link before the password's rules (dj-rest-auth).
    LinkFirst,
    /// No rules at all (djoser 0.x).
    NoRules,
}

/// Sets another password for the account of a reset link. The link is good for one use, for this one
/// purpose, and as long as the account's password and address stay as they were.
pub async fn confirm(
    context: &Context,
    caller: &Caller,
    account: Option<AccountId>,
    token: &str,
    new: Secret<String>,
    order: Order,
    notice: bool,
) -> Result<Result<Account, NotReset>, Error> {
    let now = context.now();
    let presented = links::look_at(context, account, token, Purpose::PasswordReset, now).await?;
    let (account, link) = match presented {
        Presented::NoAccount => return Ok(Err(NotReset::NoAccount)),
        Presented::Bad(account) | Presented::Used(account) => (account, None),
        Presented::Good(account, link) => (account, Some(link)),
    };
    if link.is_none() && order != Order::RulesFirst {
        return Ok(Err(NotReset::BadToken));
    }
    if order != Order::NoRules {
        let broken = change_password::judge(context, &account, &new).await?;
        if !broken.is_empty() {
            return Ok(Err(NotReset::Rules(broken)));
        }
    }
    let Some(link) = link else { return Ok(Err(NotReset::BadToken)) };
    let password = context.hashing.hash(new).await?;
    let same = |now: &Account| now.password == account.password;
    let link = Some(&link);
    if change_password::store(context, caller, &account, &password, notice, link, same).await? {
        attempt::recovered(context, caller, &account.username).await?;
        Ok(Ok(account))
    } else {
        Ok(Err(NotReset::BadToken))
    }
}

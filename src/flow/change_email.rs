//! Changing the mail address by a link that was sent to the new one.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::flow::links::{self, Presented};
use crate::flow::{Context, Error, emails};
use crate::mail::message::Message;
use crate::store::StoreError;
use crate::token::link::Purpose;

/// Why an address was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMoved {
    /// The link names no account.
    NoAccount,
    /// The link is none of ours, was used, has ended, or the account has changed since.
    BadToken,
    /// The address is another account's meanwhile.
    Taken,
}

/// Makes the address that a link was sent to the account's. The link is good for one use; a notice goes to
/// the old address. Links that went to the old address end, as the account is another than they were made for.
pub async fn confirm(
    context: &Context,
    account: Option<AccountId>,
    token: &str,
) -> Result<Result<Account, NotMoved>, Error> {
    let now = context.now();
    let presented = links::look_at(context, account, token, Purpose::EmailChange, now).await?;
    let (mut account, link) = match presented {
        Presented::NoAccount => return Ok(Err(NotMoved::NoAccount)),
        Presented::Good(account, link) if account.is_active => (account, link),
        Presented::Bad(_) | Presented::Used(_) | Presented::Good(..) => {
            return Ok(Err(NotMoved::BadToken));
        }
    };
    let Ok(new) = EmailAddress::parse(&link.address) else { return Ok(Err(NotMoved::BadToken)) };
    if emails::is_of_another(context, &new, account.id).await? {
        return Ok(Err(NotMoved::Taken));
    }
    let old = links::address_of(&account);
    let mut tx = context.store.begin("confirm new address").await?;
    if !link.use_up(context, &mut tx, now).await? {
        return Ok(Err(NotMoved::BadToken));
    }
    match emails::adopt(context, &mut tx, &account, &new, now).await {
        Ok(()) => {}
        Err(Error::Fault(crate::flow::Fault::Store(StoreError::Unique(_)))) => {
            return Ok(Err(NotMoved::Taken));
        }
        Err(error) => return Err(error),
    }
    if let Some(old) = old {
        links::send_notice(context, &mut tx, &account, &old, Message::EmailChanged, now).await?;
    }
    tx.commit().await?;
    new.as_str().clone_into(&mut account.email);
    Ok(Ok(account))
}

//! Passwords that others have changed, in Django's own tables: what began with the one before ends.
//!
//! Triggers end it at once (`sql/postgres/triggers.sql`). Where there are none, each refresh family keeps the
//! digest of the password that it began with, and whoever looks at the account or the family next notices.

use crate::account::account::AccountId;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Error};
use crate::store::{accounts, refresh_families, sessions};
use crate::token::claims::FamilyId;

/// Ends the families of an account that began with another password than it has, and what is done from it or
/// with it as somebody else. Who has changed the password, and from where, is not known.
pub async fn end_outdated(context: &Context, account: AccountId) -> Result<(), Error> {
    let now = context.now();
    let mut tx = context.store.begin("end outdated families").await?;
    let Some(account) = accounts::lock_in(&mut tx, account).await? else { return Ok(()) };
    let (id, password) = (account.id, &account.password);
    let ended = refresh_families::end_outdated_in(&mut tx, id, password, now).await?;
    if ended == 0 {
        return Ok(());
    }
    sessions::end_acting_in(&mut tx, id, now).await?;
    audit::event(Event::PasswordChangedElsewhere, &Caller::default(), now)
        .about(&account)
        .detail("ended", ended.to_string())
        .record(&mut tx)
        .await?;
    Ok(tx.commit().await?)
}

/// Lets a family from before that was kept have begun with the password that its account has now.
pub(super) async fn take_on(
    context: &Context,
    account: AccountId,
    family: FamilyId,
) -> Result<(), Error> {
    let mut tx = context.store.begin("take on password of family").await?;
    let Some(account) = accounts::lock_in(&mut tx, account).await? else { return Ok(()) };
    refresh_families::take_on_password_in(&mut tx, family, &account.password).await?;
    Ok(tx.commit().await?)
}

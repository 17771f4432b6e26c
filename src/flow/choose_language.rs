//! The language that somebody is addressed in, on pages and in mails.

use crate::account::account::AccountId;
use crate::flow::{Context, Error};
use crate::locale::Language;
use crate::store::{StoreError, Tx, preferences};

/// The language that an account's owner has chosen; `None` where they have not, or one that we do not write
/// any more.
pub async fn chosen(context: &Context, account: AccountId) -> Result<Option<Language>, Error> {
    let tag = preferences::language(&context.store, account).await?;
    Ok(tag.and_then(|tag| Language::parse(&tag)))
}

/// Keeps the language that somebody chooses.
pub async fn choose(
    context: &Context,
    account: AccountId,
    language: Language,
) -> Result<(), Error> {
    let mut tx = context.store.begin("choose language").await?;
    preferences::choose_language_in(&mut tx, account, language.as_str()).await?;
    Ok(tx.commit().await?)
}

/// Part of a transaction: the language of a mail to the owner of an account. Nobody has none, and costs the
/// same.
pub(super) async fn of_mail(
    context: &Context,
    tx: &mut Tx,
    account: AccountId,
) -> Result<Language, StoreError> {
    let tag = preferences::language_in(tx, account).await?;
    let chosen = tag.and_then(|tag| Language::parse(&tag));
    Ok(chosen.unwrap_or_else(|| context.mailer.language(None)))
}

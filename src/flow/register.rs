//! Registering: making an account by its owner.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::rules::{About, RuleBroken};
use crate::account::username::Username;
use crate::base::secret::Secret;
use crate::flow::links::{self, LinkKind};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, Fault};
use crate::mail::message::Message;
use crate::store::accounts::{self, NewAccount};
use crate::store::{StoreError, email_addresses};
use crate::token::opaque::ClassicKey;

/// What somebody who registers says.
#[derive(Debug)]
pub struct Registration {
    /// The wished name, as it was typed.
    pub username: String,
    /// The address, if one was given.
    pub email: Option<EmailAddress>,
    /// The password.
    pub password: Secret<String>,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
}

/// How a layout registers.
#[derive(Clone, Debug)]
pub struct RegistrationRules<'a> {
    /// Whether the account is active from the start.
    pub active: bool,
    /// The mail that asks to follow a link, if one is sent.
    pub link: Option<LinkKind<'a>>,
    /// The mail that only tells, if one is sent.
    pub notice: Option<Message>,
    /// Whether the address is kept as one to be verified (allauth).
    pub verifies_email: bool,
    /// Whether an API key is made at once.
    pub with_key: bool,
    /// Whether passwords are held against the rules.
    pub judges_password: bool,
}

/// Why somebody could not register.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRegistered {
    /// The name may not be used at all.
    BadUsername,
    /// The password breaks rules.
    Password(Vec<RuleBroken>),
    /// The name is taken once it is folded, or was taken meanwhile.
    Taken,
}

/// Whether a name is taken. Compared with its case, or without where the layout does.
pub async fn is_taken(context: &Context, username: &str, any_case: bool) -> Result<bool, Error> {
    if any_case {
        return Ok(accounts::find_by_username_in_any_case(&context.store, username)
            .await?
            .is_some());
    }
    Ok(accounts::find_by_username(&context.store, username).await?.is_some())
}

/// Whether a name is another account's, whatever the case of its letters.
pub async fn is_taken_by_another(
    context: &Context,
    username: &str,
    account: AccountId,
) -> Result<bool, Error> {
    let found = accounts::find_by_username_in_any_case(&context.store, username).await?;
    Ok(found.is_some_and(|found| found.id != account))
}

/// Whether some account has this address.
pub async fn is_email_taken(context: &Context, email: &EmailAddress) -> Result<bool, Error> {
    Ok(!accounts::find_by_email(&context.store, email.as_str()).await?.is_empty())
}

/// What is wrong with the password of a registration.
pub async fn judge(
    context: &Context,
    registration: &Registration,
) -> Result<Vec<RuleBroken>, Error> {
    let about = About {
        username: &registration.username,
        first_name: &registration.first_name,
        last_name: &registration.last_name,
        email: registration.email.as_ref().map_or("", EmailAddress::as_str),
    };
    judge_password(context, &registration.password, &about).await
}

/// What is wrong with a password for somebody.
pub(super) async fn judge_password(
    context: &Context,
    password: &Secret<String>,
    about: &About<'_>,
) -> Result<Vec<RuleBroken>, Error> {
    let judged = context.accounts.passwords.check(password, about).await;
    judged.map_err(|error| Error::Fault(Fault::Unreadable(error)))
}

/// Whether some account has shown that mail to this address reaches it.
pub async fn is_verified_elsewhere(context: &Context, email: &EmailAddress) -> Result<bool, Error> {
    let folded = email.folded();
    let found = email_addresses::by_folded(&context.store, &folded).await?;
    Ok(found.iter().any(|address| address.verified))
}

/// Makes the account and puts its mail into the outbox, in one transaction.
pub async fn register(
    context: &Context,
    caller: &Caller,
    registration: Registration,
    rules: &RegistrationRules<'_>,
) -> Result<Result<(Account, Option<ClassicKey>), NotRegistered>, Error> {
    let Ok(username) = Username::parse(&registration.username) else {
        return Ok(Err(NotRegistered::BadUsername));
    };
    let email = registration.email.as_ref().map_or("", EmailAddress::as_str);
    if rules.judges_password {
        let about = About {
            username: username.as_str(),
            first_name: &registration.first_name,
            last_name: &registration.last_name,
            email,
        };
        let broken = judge_password(context, &registration.password, &about).await?;
        if !broken.is_empty() {
            return Ok(Err(NotRegistered::Password(broken)));
        }
    }
    quota::spend(context, caller, Quota::Registration).await?;
    let password = context.hashing.hash(registration.password).await?;
    let now = context.now();
    let new = NewAccount {
        username: username.as_str(),
        email,
        first_name: &registration.first_name,
        last_name: &registration.last_name,
        password: &password,
        is_active: rules.active,
        is_staff: false,
        is_superuser: false,
        joined: now,
    };
    let mut tx = context.store.begin("register").await?;
    let id = match accounts::create_in(&mut tx, &new).await {
        Ok(id) => id,
        Err(StoreError::Unique(_)) => return Ok(Err(NotRegistered::Taken)),
        Err(error) => return Err(error.into()),
    };
    let account = Account {
        id,
        username: username.as_str().to_owned(),
        email: email.to_owned(),
        first_name: registration.first_name,
        last_name: registration.last_name,
        is_active: rules.active,
        is_staff: false,
        is_superuser: false,
        password,
        date_joined: now,
        last_login: None,
    };
    if let Some(email) = &registration.email {
        if rules.verifies_email {
            let forms = (email.as_str(), email.folded());
            email_addresses::add(&mut tx, id, (forms.0, &forms.1), false, true, now).await?;
        }
        if let Some(kind) = &rules.link {
            links::send_link(context, &mut tx, &account, email, kind, now).await?;
        }
        if let Some(message) = rules.notice {
            links::send_notice(context, &mut tx, &account, email, message, now).await?;
        }
    }
    tx.commit().await?;
    let key = if rules.with_key && account.is_active {
        let random = context.random.as_ref();
        Some(crate::flow::obtain_key::key_of(&context.store, id, random, now).await?)
    } else {
        None
    };
    Ok(Ok((account, key)))
}

//! Registering: making an account by its owner.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::rules::{About, RuleBroken};
use crate::account::username::Username;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, LinkKind};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, Fault, acting, emails, obtain_key};
use crate::locale::Language;
use crate::mail::message::Message;
use crate::store::accounts::{self, NewAccount};
use crate::store::{StoreError, api_keys, email_addresses, preferences};
use crate::token::opaque::ClassicKey;

/// What somebody who registers says.
#[derive(Debug)]
pub struct Registration {
    /// The wished name, as it was typed; `None`: one is made from the address.
    pub username: Option<String>,
    /// The address, if one was given.
    pub email: Option<EmailAddress>,
    /// The password.
    pub password: Secret<String>,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// The language that they read; `None` where that is not known.
    pub language: Option<Language>,
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
    /// The address is another account's, and no two may share one.
    EmailTaken,
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

/// What is wrong with the password of a registration.
pub async fn judge(
    context: &Context,
    registration: &Registration,
) -> Result<Vec<RuleBroken>, Error> {
    let about = About {
        username: registration.username.as_deref().unwrap_or_default(),
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

/// Makes the account and puts its mail into the outbox, in one transaction.
pub async fn register(
    context: &Context,
    caller: &Caller,
    registration: Registration,
    rules: &RegistrationRules<'_>,
) -> Result<Result<(Account, Option<ClassicKey>), NotRegistered>, Error> {
    let given = registration.username.as_deref().map(Username::parse).transpose();
    let Ok(given) = given else { return Ok(Err(NotRegistered::BadUsername)) };
    if rules.judges_password {
        let broken = judge(context, &registration).await?;
        if !broken.is_empty() {
            return Ok(Err(NotRegistered::Password(broken)));
        }
    }
    quota::spend(context, caller, Quota::Registration).await?;
    let password = context.hashing.hash(registration.password).await?;
    let mut account = Account {
        id: AccountId::new(0),
        username: String::new(),
        email: registration.email.as_ref().map_or("", EmailAddress::as_str).to_owned(),
        first_name: registration.first_name,
        last_name: registration.last_name,
        is_active: rules.active,
        is_staff: false,
        is_superuser: false,
        password,
        date_joined: context.now(),
        last_login: None,
    };
    let told = Told { email: registration.email.as_ref(), language: registration.language };
    let made = match given {
        Some(name) => make(context, caller, &mut account, &name, told, rules).await?,
        None => make_with_free_name(context, caller, &mut account, told, rules).await?,
    };
    if let Err(why) = made {
        return Ok(Err(why));
    }
    let key = if rules.with_key && account.is_active {
        let (random, owner) = (context.random.as_ref(), caller.as_owner(account.id));
        let (store, now) = (&context.store, account.date_joined);
        Some(obtain_key::key_of(store, &owner, account.id, random, now).await?)
    } else {
        None
    };
    Ok(Ok((account, key)))
}

/// What somebody who registers says beside what the account holds.
#[derive(Clone, Copy)]
struct Told<'a> {
    email: Option<&'a EmailAddress>,
    language: Option<Language>,
}

/// As [`make`], with a name that is made from the address and that nobody has.
async fn make_with_free_name(
    context: &Context,
    caller: &Caller,
    account: &mut Account,
    told: Told<'_>,
    rules: &RegistrationRules<'_>,
) -> Result<Result<(), NotRegistered>, Error> {
    let Some(address) = told.email else { return Ok(Err(NotRegistered::BadUsername)) };
    let plain = Username::of_address(address);
    let mut name = plain.clone();
    // Two digits at first, and more as they turn out to be taken: this ends.
    for digits in 2..=LONGEST_NUMBER {
        if !is_taken(context, name.as_str(), true).await? {
            match make(context, caller, account, &name, told, rules).await? {
                Err(NotRegistered::Taken) => {}
                made => return Ok(made),
            }
        }
        name = plain.numbered(digits, context.random.as_ref());
    }
    make(context, caller, account, &name, told, rules).await
}

/// So many digits make any name free.
const LONGEST_NUMBER: u8 = 12;

/// One try to make the account under a name.
async fn make(
    context: &Context,
    caller: &Caller,
    account: &mut Account,
    username: &Username,
    told: Told<'_>,
    rules: &RegistrationRules<'_>,
) -> Result<Result<(), NotRegistered>, Error> {
    if acting::is_reserved(context, username.as_str()) {
        return Ok(Err(NotRegistered::Taken));
    }
    username.as_str().clone_into(&mut account.username);
    let now = account.date_joined;
    let new = NewAccount {
        username: &account.username,
        email: &account.email,
        first_name: &account.first_name,
        last_name: &account.last_name,
        password: &account.password,
        is_active: account.is_active,
        is_staff: account.is_staff,
        is_superuser: account.is_superuser,
        joined: now,
    };
    let mut tx = context.store.begin("register").await?;
    if let Some(email) = told.email
        && context.accounts.unique_email
        && emails::is_of_another_in(context, &mut tx, email, None).await?
    {
        return Ok(Err(NotRegistered::EmailTaken));
    }
    account.id = match accounts::create_in(&mut tx, &new).await {
        Ok(id) => id,
        Err(StoreError::Unique(_)) => return Ok(Err(NotRegistered::Taken)),
        Err(error) => return Err(error.into()),
    };
    audit::event(Event::Registration, caller, now).about(account).record(&mut tx).await?;
    if context.accounts.classic_keys {
        let key = ClassicKey::generate(context.random.as_ref());
        api_keys::create_in(&mut tx, &key, account.id, now).await?;
    }
    if let Some(language) = told.language {
        preferences::choose_language_in(&mut tx, account.id, language.as_str()).await?;
    }
    if let Some(email) = told.email {
        if rules.verifies_email {
            let folded = email.folded();
            let forms = (email.as_str(), folded.as_str());
            email_addresses::add(&mut tx, account.id, forms, false, true, now).await?;
        }
        if let Some(kind) = &rules.link {
            links::send_link(context, &mut tx, account, email, kind, now).await?;
        }
        if let Some(message) = rules.notice {
            links::send_notice(context, &mut tx, account, email, message, now).await?;
        }
    }
    tx.commit().await?;
    Ok(Ok(()))
}

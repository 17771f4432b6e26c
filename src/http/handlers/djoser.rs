//! Accounts as djoser's clients ask for them, of any generation.

use http::{Method, StatusCode};
use serde_json::json;

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::base::secret::Secret;
use crate::dialect::djoser::{
    BAD_EMAIL, Djoser, Generation, LoginChange, PasswordChange, PasswordReset, TAKEN_EMAIL,
    WRONG_PASSWORD,
};
use crate::dialect::form::{Reader, Submission};
use crate::dialect::{Answer, Endpoint, LoginField, drf};
use crate::flow::change_email::{self, EmailChange};
use crate::flow::change_password::{self, ChangeRules, NotChanged};
use crate::flow::links::{LinkKind, UidForm};
use crate::flow::profile::{self, Changes};
use crate::flow::register::{self, RegistrationRules};
use crate::flow::reset_password::{self, Matching, Order};
use crate::flow::{
    Context, Error, Fault, Refusal, activate, change_username, emails, log_in, obtain_key,
};
use crate::http::handlers::{Ask, Stop};
use crate::mail::message::Message;
use crate::store::accounts;
use crate::token::link::{self, Purpose};

/// Answers a request of one of djoser's layouts.
pub async fn answer(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    match ask.endpoint {
        Endpoint::Register if *ask.method == Method::POST => {
            register(context, djoser, ask, submission).await
        }
        Endpoint::Register | Endpoint::ListAccounts => list(context, djoser, ask.caller()?).await,
        Endpoint::Activate => activate(context, djoser, ask, submission).await,
        Endpoint::ResendActivation => resend_activation(context, djoser, ask, submission).await,
        Endpoint::OwnAccount => own(context, djoser, ask, submission).await,
        Endpoint::AccountById => by_id(context, djoser, ask, submission).await,
        Endpoint::SetPassword => set_password(context, djoser, ask, submission).await,
        Endpoint::ResetPassword => reset_password(context, djoser, ask, submission).await,
        Endpoint::ResetPasswordConfirm => confirm_password(context, djoser, ask, submission).await,
        Endpoint::SetUsername => set_username(context, djoser, ask, submission).await,
        Endpoint::ResetUsername | Endpoint::ResetEmail => {
            reset_username(context, djoser, ask, submission).await
        }
        Endpoint::ResetUsernameConfirm => confirm_username(context, djoser, ask, submission).await,
        Endpoint::SetEmail => set_email(context, djoser, ask, submission).await,
        Endpoint::ResetEmailConfirm => reset_email_confirm(context, djoser, ask, submission).await,
        Endpoint::ConfirmEmail => confirm_email(context, djoser, ask, submission).await,
        Endpoint::LogIn => log_in(context, djoser, ask, submission).await,
        Endpoint::LogOut => {
            log_in::end_key(context, &ask.client, ask.caller()?, ask.key.as_ref()).await?;
            Ok(djoser.nothing())
        }
        Endpoint::ObtainPair
        | Endpoint::Families
        | Endpoint::FamilyById
        | Endpoint::RefreshPair
        | Endpoint::VerifyToken
        | Endpoint::BlacklistToken
        | Endpoint::ObtainKey
        | Endpoint::VerifyEmail
        | Endpoint::OpenVerification
        | Endpoint::ResendVerification
        | Endpoint::Addresses
        | Endpoint::AddressById
        | Endpoint::VerifyAddress
        | Endpoint::PrimaryAddress
        | Endpoint::IssueToken
        | Endpoint::IntrospectToken
        | Endpoint::RevokeToken
        | Endpoint::KeySet
        | Endpoint::ServerMetadata
        | Endpoint::ApiKeys
        | Endpoint::ApiKeyById
        | Endpoint::RotateApiKey
        | Endpoint::UpgradeApiKey => Ok(drf::not_found(&crate::dialect::words::CURRENT)),
    }
}

fn activation(context: &Context) -> LinkKind<'_> {
    LinkKind {
        purpose: Purpose::Activation,
        message: Message::Activation,
        pattern: &context.accounts.activation_url,
        uid: UidForm::Base64,
    }
}

/// The same account as a record.
fn shown(djoser: &Djoser, account: &Account) -> Answer {
    Answer::json(StatusCode::OK, djoser.record(account))
}

/// Passwords are held against rules from 2.x on.
fn judges(djoser: &Djoser) -> bool {
    djoser.generation == Generation::V2
}

async fn register(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let (mut reader, registration) = djoser.read_registration(submission)?;
    if let Some(username) = registration.username.as_ref().filter(|_| reader.is_fine("username"))
        && register::is_taken(context, username, false).await?
    {
        reader.refuse("username", djoser.taken_username());
    }
    if context.accounts.unique_email
        && let Some(email) = registration.email.as_ref().filter(|_| reader.is_fine("email"))
        && emails::is_of_another(context, email, None).await?
    {
        reader.refuse("email", TAKEN_EMAIL);
    }
    reader.finish()?;
    let options = &context.accounts;
    let mismatch = reader.repeats_differ();
    if mismatch {
        // The rules are told before that the two typings differ.
        let broken = register::judge(context, &registration).await?;
        return Ok(if broken.is_empty() {
            crate::dialect::djoser::field(
                "non_field_errors",
                "The two password fields didn't match.",
            )
        } else {
            djoser.not_registered(&register::NotRegistered::Password(broken))
        });
    }
    // Only 0.1 lets people in before they have followed the link.
    let active = !options.activation || djoser.generation == Generation::V0_1;
    let rules = RegistrationRules {
        active,
        link: options.activation.then(|| activation(context)),
        notice: (!options.activation && options.confirm_activation)
            .then_some(Message::ActivationDone),
        verifies_email: false,
        with_key: options.log_in_after_registration && djoser.generation == Generation::V0_1,
        judges_password: judges(djoser),
    };
    Ok(match register::register(context, &ask.client, registration, &rules).await? {
        Ok((account, key)) => djoser.registered(&account, key.as_ref()),
        Err(why) => djoser.not_registered(&why),
    })
}

async fn list(context: &Context, djoser: &Djoser, caller: &Account) -> Result<Answer, Stop> {
    let seen = if caller.is_staff {
        accounts::page_after(&context.store, 0, 1000).await?
    } else {
        vec![caller.clone()]
    };
    let records: Vec<_> = seen
        .iter()
        .filter(|account| !account.is_nobody())
        .map(|account| djoser.record(account))
        .collect();
    Ok(Answer::json(StatusCode::OK, json!(records)))
}

async fn activate(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let (uid, token) = djoser.read_link(submission)?;
    let notice = context.accounts.confirm_activation.then_some(Message::ActivationDone);
    let account = link::account_of_uid(&uid);
    let old = djoser.generation == Generation::V0_1;
    match activate::activate(context, &ask.client, account, &token, notice, old).await? {
        Err(why) => Ok(djoser.not_activated(why)),
        Ok(account) => {
            let key = if context.accounts.log_in_after_activation && old {
                let (random, now) = (context.random.as_ref(), context.now());
                let owner = ask.client.as_owner(account.id);
                Some(obtain_key::key_of(&context.store, &owner, account.id, random, now).await?)
            } else {
                None
            };
            Ok(djoser.activated(key.as_ref()))
        }
    }
}

async fn resend_activation(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let email = djoser.read_email(submission)?;
    // Where activation is not in use there is nothing to send, which djoser tells.
    if !context.accounts.activation {
        let waiting = activate::waiting(context, &email, Matching::Exact).await?;
        return Ok(if djoser.options.show_unknown && waiting.is_empty() {
            djoser.unknown_email()
        } else {
            Answer::empty(StatusCode::BAD_REQUEST)
        });
    }
    let kind = activation(context);
    let sent = activate::resend(context, &ask.client, &email, matching(djoser), &kind).await?;
    Ok(if sent || !djoser.options.show_unknown { djoser.nothing() } else { djoser.unknown_email() })
}

async fn own(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    match *ask.method {
        Method::PUT | Method::PATCH => edit(context, djoser, ask, caller, submission).await,
        Method::DELETE => {
            let password = djoser.read_deletion(submission)?;
            Ok(if profile::delete(context, &ask.client, caller, caller, password).await? {
                djoser.nothing()
            } else {
                crate::dialect::djoser::field("current_password", "Invalid password.")
            })
        }
        _ => Ok(shown(djoser, caller)),
    }
}

async fn edit(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    account: &Account,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let email = djoser.read_profile(submission)?;
    let email = email.map(|email| EmailAddress::parse(&email).ok());
    let change = match email_change(context) {
        EmailChange::AtOnce
            if context.accounts.activation && djoser.generation == Generation::V2 =>
        {
            EmailChange::Reactivate(activation(context))
        }
        change => change,
    };
    let changes = Changes { email, ..Changes::default() };
    let actor = ask.caller()?;
    Ok(match profile::edit(context, &ask.client, actor, account, changes, &change).await? {
        Ok(changed) => shown(djoser, &changed),
        Err(why) => djoser.not_moved(why),
    })
}

/// What another address entails.
fn email_change(context: &Context) -> EmailChange<'_> {
    if !context.accounts.confirm_email_change {
        return EmailChange::AtOnce;
    }
    EmailChange::Confirm(LinkKind {
        purpose: Purpose::EmailChange,
        message: Message::EmailChange,
        pattern: &context.accounts.email_change_url,
        uid: UidForm::Base64,
    })
}

async fn confirm_email(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let (uid, token) = djoser.read_link(submission)?;
    let account = link::account_of_uid(&uid);
    Ok(match change_email::confirm(context, &ask.client, account, &token).await? {
        Ok(_) => djoser.nothing(),
        Err(why) => djoser.not_moved(why),
    })
}

async fn by_id(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    let not_found = Answer::detail(StatusCode::NOT_FOUND, "Not found.");
    let nobody = Answer::detail(StatusCode::NOT_FOUND, "No User matches the given query.");
    let asked = ask.id.unwrap_or_default();
    let Some(id) = asked.parse::<i32>().ok().map(AccountId::new) else {
        // A number that no account can have is a number still.
        let is_number = !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit());
        return Ok(if is_number { nobody } else { not_found });
    };
    if id == caller.id {
        return own(context, djoser, ask, submission).await;
    }
    let found = accounts::find_by_id(&context.store, id).await?;
    let Some(found) = found.filter(|account| !account.is_nobody()) else {
        return Ok(nobody);
    };
    let may_change = profile::may_change(caller, &found);
    let forbidden = || {
        Answer::detail(StatusCode::FORBIDDEN, "You do not have permission to perform this action.")
    };
    Ok(match *ask.method {
        Method::GET | Method::HEAD if caller.is_staff => shown(djoser, &found),
        Method::PUT | Method::PATCH if may_change => {
            return edit(context, djoser, ask, &found, submission).await;
        }
        Method::PUT | Method::PATCH if caller.is_staff => forbidden(),
        Method::DELETE if may_change => {
            let password = djoser.read_deletion(submission)?;
            if !profile::delete(context, &ask.client, caller, &found, password).await? {
                return Ok(crate::dialect::djoser::field("current_password", WRONG_PASSWORD));
            }
            djoser.nothing()
        }
        Method::DELETE => forbidden(),
        _ => not_found,
    })
}

async fn set_password(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    let change = djoser.read_password_change(submission)?;
    let PasswordChange { mut reader, new, current, mismatch } = change;
    judge_current(context, ask, caller, &mut reader, current).await?;
    reader.finish()?;
    if let Some(mismatch) = mismatch {
        return told_after_rules(context, djoser, caller, &new, mismatch).await;
    }
    let rules =
        ChangeRules { judges_password: judges(djoser), notice: context.accounts.confirm_password };
    Ok(
        match change_password::change_password(context, &ask.client, caller, None, new, rules)
            .await?
        {
            Ok(_) => djoser.nothing(),
            Err(why) => djoser.not_changed(&why),
        },
    )
}

/// Holds the present password against the account; a wrong one is told together with whatever else is
/// wrong with the form.
async fn judge_current(
    context: &Context,
    ask: &Ask<'_>,
    caller: &Account,
    reader: &mut Reader<'_>,
    current: Secret<String>,
) -> Result<(), Error> {
    if reader.is_fine("current_password")
        && !change_password::is_current(context, &ask.client, caller, current).await?
    {
        reader.refuse("current_password", WRONG_PASSWORD);
    }
    Ok(())
}

/// That two typings of a new password differ is told once the rules have nothing to say.
async fn told_after_rules(
    context: &Context,
    djoser: &Djoser,
    account: &Account,
    new: &Secret<String>,
    mismatch: Answer,
) -> Result<Answer, Stop> {
    if judges(djoser) {
        let broken = change_password::judge(context, account, new).await?;
        if !broken.is_empty() {
            return Ok(djoser.not_changed(&NotChanged::Rules(broken)));
        }
    }
    Ok(mismatch)
}

async fn reset_password(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let kind = LinkKind {
        purpose: Purpose::PasswordReset,
        message: Message::PasswordReset,
        pattern: &context.accounts.password_reset_url,
        uid: UidForm::Base64,
    };
    request_link(context, djoser, ask, submission, &kind).await
}

async fn reset_username(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let kind = LinkKind {
        purpose: Purpose::UsernameReset,
        message: Message::UsernameReset,
        pattern: &context.accounts.username_reset_url,
        uid: UidForm::Base64,
    };
    request_link(context, djoser, ask, submission, &kind).await
}

async fn request_link(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
    kind: &LinkKind<'_>,
) -> Result<Answer, Stop> {
    let email = djoser.read_email(submission)?;
    let matching = matching(djoser);
    let sent = reset_password::request(context, &ask.client, &email, matching, kind).await?;
    Ok(if sent || !djoser.options.show_unknown { djoser.nothing() } else { djoser.unknown_email() })
}

/// How addresses are compared that mails are asked for at. Whoever logs in with one in any case asks with it
/// in any case.
fn matching(djoser: &Djoser) -> Matching {
    match (djoser.generation, djoser.options.login) {
        (Generation::V2, LoginField::Username) => Matching::Exact,
        _ => Matching::AnyCase,
    }
}

async fn confirm_password(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let PasswordReset { link: (uid, token), new, mismatch } = djoser.read_reset(submission)?;
    let account = link::account_of_uid(&uid);
    if let Some(mismatch) = mismatch {
        let known = match account {
            Some(id) => accounts::find_by_id(&context.store, id).await?,
            None => None,
        };
        return match known {
            Some(known) => told_after_rules(context, djoser, &known, &new, mismatch).await,
            None => Ok(mismatch),
        };
    }
    let order = if judges(djoser) { Order::RulesFirst } else { Order::NoRules };
    let notice = context.accounts.confirm_password;
    Ok(
        match reset_password::confirm(context, &ask.client, account, &token, new, order, notice)
            .await?
        {
            Ok(_) => djoser.nothing(),
            Err(why) => djoser.not_reset(&why),
        },
    )
}

async fn set_username(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    let change = djoser.read_login_change(submission)?;
    let LoginChange { mut reader, new, proof: current, mismatch } = change;
    if reader.is_fine("new_username") && register::is_taken(context, &new, false).await? {
        reader.refuse("new_username", djoser.taken_username());
    }
    judge_current(context, ask, caller, &mut reader, current).await?;
    reader.finish()?;
    if let Some(mismatch) = mismatch {
        return Ok(mismatch);
    }
    let notice = context.accounts.confirm_username;
    Ok(match change_username::rename(context, &ask.client, caller, &new, notice, None).await? {
        Ok(_) => djoser.nothing(),
        Err(why) => djoser.not_renamed(why),
    })
}

async fn confirm_username(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let change = djoser.read_login_reset(submission)?;
    let LoginChange { mut reader, new, proof: (uid, token), mismatch } = change;
    if reader.is_fine("new_username") && register::is_taken(context, &new, false).await? {
        reader.refuse("new_username", djoser.taken_username());
    }
    reader.finish()?;
    if let Some(mismatch) = mismatch {
        return Ok(mismatch);
    }
    let account = link::account_of_uid(&uid);
    let notice = context.accounts.confirm_username;
    Ok(
        match change_username::confirm(context, &ask.client, account, &token, &new, notice).await? {
            Ok(()) => djoser.nothing(),
            Err(why) => djoser.not_renamed(why),
        },
    )
}

async fn set_email(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    let change = djoser.read_login_change(submission)?;
    let LoginChange { mut reader, new, proof: current, mismatch } = change;
    let new = judge_new_email(context, djoser, &mut reader, &new, Some(caller)).await?;
    judge_current(context, ask, caller, &mut reader, current).await?;
    reader.finish()?;
    if let Some(mismatch) = mismatch {
        return Ok(mismatch);
    }
    let new = new.ok_or(UNREAD_EMAIL)?;
    let how = email_change(context);
    let notice = context.accounts.confirm_username;
    Ok(match change_email::change(context, &ask.client, caller, &new, &how, None, notice).await? {
        Ok(()) => djoser.nothing(),
        Err(why) => djoser.not_set(djoser.new_login(), why),
    })
}

async fn reset_email_confirm(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let change = djoser.read_login_reset(submission)?;
    let LoginChange { mut reader, new, proof: (uid, token), mismatch } = change;
    let new = judge_new_email(context, djoser, &mut reader, &new, None).await?;
    reader.finish()?;
    if let Some(mismatch) = mismatch {
        return Ok(mismatch);
    }
    let new = new.ok_or(UNREAD_EMAIL)?;
    let account = link::account_of_uid(&uid);
    let how = email_change(context);
    let notice = context.accounts.confirm_username;
    Ok(
        match change_email::change_by_link(
            context,
            &ask.client,
            account,
            &token,
            &new,
            &how,
            notice,
        )
        .await?
        {
            Ok(()) => djoser.nothing(),
            Err(why) => djoser.not_set(djoser.new_login(), why),
        },
    )
}

/// An address that is none was complained about before it is used.
const UNREAD_EMAIL: Error = Error::Fault(Fault::Broken("an address was not complained about"));

/// A new address to log in with; complaints are noted. Not one's own, and not another's: but where it
/// has to be confirmed, that is told to who follows the link.
async fn judge_new_email(
    context: &Context,
    djoser: &Djoser,
    reader: &mut Reader<'_>,
    new: &str,
    own: Option<&Account>,
) -> Result<Option<EmailAddress>, Error> {
    let name = djoser.new_login();
    if !reader.is_fine(name) {
        return Ok(None);
    }
    let Ok(new) = EmailAddress::parse(new) else {
        reader.refuse(name, BAD_EMAIL);
        return Ok(None);
    };
    if own.is_some_and(|own| own.email == new.as_str())
        || (!context.accounts.confirm_email_change
            && emails::is_of_another(context, &new, own.map(|own| own.id)).await?)
    {
        reader.refuse(name, TAKEN_EMAIL);
    }
    Ok(Some(new))
}

async fn log_in(
    context: &Context,
    djoser: &Djoser,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let Some(credentials) = djoser.read_login(submission)? else {
        return Ok(djoser.not_logged_in());
    };
    match log_in::by_name(context, &ask.client, credentials).await {
        Ok(account) if account.may_hold_tokens() => {
            let key = log_in::with_key(context, &ask.client, &account).await?;
            Ok(djoser.logged_in(&key))
        }
        Ok(_) => Ok(djoser.disabled()),
        Err(Error::Refused(Refusal::WrongCredentials)) => Ok(djoser.not_logged_in()),
        Err(error) => Err(error.into()),
    }
}

//! Accounts as dj-rest-auth's clients ask for them.

use http::{Method, StatusCode};

use crate::account::email::EmailAddress;
use crate::account::rules::RuleBroken;
use crate::base::secret::Secret;
use crate::dialect::dj_rest_auth::{DjRestAuth, Mode, PasswordChange};
use crate::dialect::form::Submission;
use crate::dialect::{Answer, Endpoint, TAKEN_USERNAME, drf, password_rules};
use crate::flow::change_email::{self, EmailChange};
use crate::flow::change_password::{self, ChangeRules};
use crate::flow::links::{LinkKind, UidForm};
use crate::flow::profile::{self, Changes};
use crate::flow::register::{self, NotRegistered, RegistrationRules};
use crate::flow::reset_password::{self, Matching, Order};
use crate::flow::{
    Caller, Context, Credentials, Error, LayoutRules, Refusal, change_username, emails, log_in,
    refresh, revoke, sign_in, verify,
};
use crate::http::handlers::{Ask, Stop, addresses};
use crate::mail::message::Message;
use crate::token::link::{self, Purpose};

/// Answers a request of dj-rest-auth's layout.
pub async fn answer(
    context: &Context,
    layout: &LayoutRules,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    match ask.endpoint {
        Endpoint::LogIn => log_in(context, layout, dialect, ask, submission).await,
        Endpoint::LogOut if *ask.method == Method::POST => {
            log_out(context, layout, dialect, ask, submission).await
        }
        Endpoint::LogOut => {
            Ok(drf::method_not_allowed(&crate::dialect::words::CURRENT, ask.method.as_str()))
        }
        Endpoint::Register => register(context, dialect, ask, submission).await,
        Endpoint::VerifyEmail => verify_email(context, dialect, ask, submission).await,
        Endpoint::OpenVerification => open_verification(context, dialect, ask).await,
        Endpoint::ResendVerification => resend(context, dialect, ask, submission).await,
        Endpoint::ConfirmEmail => confirm_email(context, dialect, ask, submission).await,
        Endpoint::Addresses
        | Endpoint::AddressById
        | Endpoint::VerifyAddress
        | Endpoint::PrimaryAddress => addresses::answer(context, dialect, ask, submission).await,
        Endpoint::OwnAccount => own(context, dialect, ask, submission).await,
        Endpoint::SetPassword => set_password(context, dialect, ask, submission).await,
        Endpoint::ResetPassword => reset_password(context, dialect, ask, submission).await,
        Endpoint::ResetPasswordConfirm => confirm(context, dialect, ask, submission).await,
        Endpoint::RefreshPair => refresh(context, layout, dialect, ask, submission).await,
        Endpoint::VerifyToken => {
            let token = crate::dialect::Dialect::read_token(dialect, submission)?;
            verify::verify_token(context, &token).await?;
            Ok(crate::dialect::Dialect::done(dialect))
        }
        Endpoint::ObtainPair
        | Endpoint::Families
        | Endpoint::FamilyById
        | Endpoint::BlacklistToken
        | Endpoint::ObtainKey
        | Endpoint::ListAccounts
        | Endpoint::Activate
        | Endpoint::ResendActivation
        | Endpoint::AccountById
        | Endpoint::SetUsername
        | Endpoint::ResetUsername
        | Endpoint::ResetUsernameConfirm
        | Endpoint::SetEmail
        | Endpoint::ResetEmail
        | Endpoint::ResetEmailConfirm
        | Endpoint::IssueToken
        | Endpoint::IntrospectToken
        | Endpoint::RevokeToken
        | Endpoint::KeySet
        | Endpoint::ServerMetadata
        | Endpoint::ApiKeys
        | Endpoint::ApiKeyById
        | Endpoint::RotateApiKey
        | Endpoint::UpgradeApiKey => Ok(dialect.not_found()),
    }
}

async fn confirm_email(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let (uid, token) = dialect.read_link(submission)?;
    let account = link::account_of_uid(&uid);
    Ok(match change_email::confirm(context, &ask.client, account, &token).await? {
        Ok(_) => dialect.sentence("ok"),
        Err(why) => dialect.not_moved(why),
    })
}

/// What the mail that verifies an address holds.
pub(super) fn verification(context: &Context) -> LinkKind<'_> {
    LinkKind {
        purpose: Purpose::EmailVerification,
        message: Message::EmailVerification,
        pattern: &context.accounts.email_verification_url,
        uid: UidForm::Base36,
    }
}

async fn log_in(
    context: &Context,
    layout: &LayoutRules,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let form = dialect.read_login(submission)?;
    let checked = match (form.email, form.username) {
        (Some(email), _) => match EmailAddress::parse(&email) {
            Ok(email) => log_in::check_email(context, &ask.client, &email, form.password).await?,
            Err(_) => return Err(Refusal::WrongCredentials.into()),
        },
        (None, username) => {
            let username = username.unwrap_or_default();
            // What is no user's name may be an address, as allauth takes it.
            let known = register::is_taken(context, &username, true).await?;
            if let (false, Ok(email)) = (known, EmailAddress::parse(&username)) {
                log_in::check_email(context, &ask.client, &email, form.password).await?
            } else {
                let credentials = Credentials { name: username, password: form.password };
                log_in::check_username(context, &ask.client, credentials).await?
            }
        }
    };
    let account = checked.account().clone();
    if !account.may_hold_tokens() {
        return Err(Refusal::WrongCredentials.into());
    }
    if !emails::has_verified(context, account.id).await? {
        // allauth sends another mail with every such try; the limits on mails hold here too.
        if let Some(address) = crate::flow::links::address_of(&account) {
            emails::send_again(context, &account, &address, &verification(context)).await?;
        }
        return Ok(dialect.not_verified());
    }
    if dialect.mode == Mode::Key {
        let key = log_in::with_key(context, &ask.client, &account).await?;
        return Ok(dialect.logged_in_with_key(&key));
    }
    let pair = sign_in::begin(context, layout, &ask.client, &checked).await?;
    Ok(dialect.logged_in(&account, &pair))
}

async fn log_out(
    context: &Context,
    layout: &LayoutRules,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    if dialect.mode == Mode::Key {
        if let Some(caller) = &ask.caller {
            log_in::end_key(context, &ask.client, caller, ask.key.as_ref()).await?;
        }
        return Ok(dialect.logged_out());
    }
    let refresh = match dialect.mode {
        Mode::Cookie => ask.cookie("refresh-token"),
        Mode::Jwt | Mode::Key => dialect.read_refresh_to_end(submission)?,
    };
    let Some(refresh) = refresh else { return Ok(dialect.not_logged_out(None)) };
    match revoke::revoke_refresh_token(context, layout, &ask.client, &refresh).await {
        Ok(()) => Ok(dialect.logged_out()),
        Err(Error::Refused(Refusal::Token(rejection))) => {
            Ok(dialect.not_logged_out(Some(rejection)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn register(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let (mut reader, registration, repeated) = dialect.read_registration(submission)?;
    if let Some(username) = registration.username.as_ref().filter(|_| reader.is_fine("username"))
        && register::is_taken(context, username, true).await?
    {
        reader.refuse("username", TAKEN_USERNAME);
    }
    if let Some(email) = registration.email.as_ref().filter(|_| reader.is_fine("email"))
        && emails::is_of_another(context, email, None).await?
    {
        reader.refuse("email", DjRestAuth::TAKEN_EMAIL);
    }
    // The rules that need nothing but the password are told with its field; likeness comes later.
    let (similar, broken): (Vec<_>, Vec<_>) = if reader.is_fine("password1") {
        let broken = register::judge(context, &registration).await?;
        broken.into_iter().partition(|rule| matches!(rule, RuleBroken::TooSimilar(_)))
    } else {
        (Vec::new(), Vec::new())
    };
    for text in password_rules(&broken) {
        reader.refuse("password1", &text);
    }
    reader.finish()?;
    if *registration.password.expose() != repeated {
        return Ok(dialect.registration_mismatch());
    }
    if !similar.is_empty() {
        return Ok(dialect.too_similar(&similar));
    }
    let rules = RegistrationRules {
        active: true,
        link: Some(verification(context)),
        notice: None,
        verifies_email: true,
        with_key: false,
        judges_password: false,
    };
    Ok(match register::register(context, &ask.client, registration, &rules).await? {
        Ok(_) => Answer::detail(StatusCode::CREATED, "Verification e-mail sent."),
        Err(NotRegistered::Taken) => dialect.bad_username(true),
        Err(NotRegistered::EmailTaken) => dialect.taken_email(),
        Err(NotRegistered::BadUsername) => dialect.bad_username(false),
        Err(NotRegistered::Password(broken)) => dialect.too_similar(&broken),
    })
}

async fn verify_email(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let key = dialect.read_key(submission)?;
    verified(context, dialect, &ask.client, &key).await
}

async fn open_verification(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
) -> Result<Answer, Stop> {
    // HEAD is what programs ask that look whether a link is dead.
    if !context.accounts.confirm_on_get || *ask.method != Method::GET {
        return Ok(dialect.not_found());
    }
    let key = ask.id.unwrap_or_default().replace("%3A", ":").replace("%3a", ":");
    verified(context, dialect, &ask.client, &key).await
}

async fn verified(
    context: &Context,
    dialect: &DjRestAuth,
    caller: &Caller,
    key: &str,
) -> Result<Answer, Stop> {
    Ok(if emails::verify(context, caller, key).await? {
        dialect.sentence("ok")
    } else {
        dialect.not_found()
    })
}

async fn resend(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let email = dialect.read_email(submission)?;
    if let Ok(email) = EmailAddress::parse(&email) {
        emails::resend(context, &ask.client, &email, &verification(context)).await?;
    }
    Ok(dialect.sentence("ok"))
}

async fn own(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    if !matches!(*ask.method, Method::PUT | Method::PATCH) {
        return Ok(Answer::json(StatusCode::OK, dialect.profile(caller)));
    }
    let whole = *ask.method == Method::PUT;
    let (mut reader, wished) = dialect.read_profile(submission, whole)?;
    let new_name = wished.username.filter(|name| *name != caller.username);
    if let Some(name) = new_name.as_ref().filter(|_| reader.is_fine("username"))
        && register::is_taken_by_another(context, name, caller.id).await?
    {
        reader.refuse("username", TAKEN_USERNAME);
    }
    reader.finish()?;
    let changes =
        Changes { email: None, first_name: wished.first_name, last_name: wished.last_name };
    let (client, how) = (&ask.client, EmailChange::AtOnce);
    let edited = profile::edit(context, client, caller, caller, changes, &how).await?;
    let mut changed = match edited {
        Ok(changed) => changed,
        Err(why) => return Ok(dialect.not_moved(why)),
    };
    if let Some(name) = new_name {
        match change_username::rename(context, &ask.client, caller, &name, false, None).await? {
            Ok(new) => changed.username = new,
            Err(change_username::NotRenamed::BadUsername) => return Ok(dialect.bad_username(false)),
            Err(_) => return Ok(dialect.bad_username(true)),
        }
    }
    Ok(Answer::json(StatusCode::OK, dialect.profile(&changed)))
}

async fn set_password(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let caller = ask.caller()?;
    let change = dialect.read_password_change(submission)?;
    let PasswordChange { mut reader, new, repeated, old } = change;
    if let Some(old) = old.filter(|_| reader.is_fine("old_password"))
        && !change_password::is_current(context, &ask.client, caller, Secret::new(old)).await?
    {
        reader.refuse(
            "old_password",
            "Your old password was entered incorrectly. Please enter it again.",
        );
    }
    reader.finish()?;
    if new != repeated {
        return Ok(dialect.mismatch());
    }
    let rules = ChangeRules { judges_password: true, notice: context.accounts.confirm_password };
    let new = Secret::new(new);
    Ok(
        match change_password::change_password(context, &ask.client, caller, None, new, rules)
            .await?
        {
            Ok(_) => dialect.sentence("New password has been saved."),
            Err(change_password::NotChanged::Rules(broken)) => dialect.weak(&broken),
            Err(change_password::NotChanged::WrongPassword) => dialect.mismatch(),
        },
    )
}

async fn reset_password(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let email = dialect.read_email(submission)?;
    let kind = LinkKind {
        purpose: Purpose::PasswordReset,
        message: Message::PasswordReset,
        pattern: &context.accounts.allauth_password_reset_url,
        uid: UidForm::Base36,
    };
    reset_password::request(context, &ask.client, &email, Matching::AnyCase, &kind).await?;
    Ok(dialect.sentence("Password reset e-mail has been sent."))
}

async fn confirm(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let ((uid, token), new, repeated) = dialect.read_reset(submission)?;
    let account = link::account_of_uid36(&uid);
    if let Some(why) = reset_password::look_at(context, account, &token).await? {
        return Ok(dialect.not_reset(&why));
    }
    if new != repeated {
        return Ok(dialect.mismatch());
    }
    let notice = context.accounts.confirm_password;
    let new = Secret::new(new);
    Ok(
        match reset_password::confirm(
            context,
            &ask.client,
            account,
            &token,
            new,
            Order::LinkFirst,
            notice,
        )
        .await?
        {
            Ok(_) => dialect.sentence("Password has been reset with the new password."),
            Err(why) => dialect.not_reset(&why),
        },
    )
}

async fn refresh(
    context: &Context,
    layout: &LayoutRules,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let in_body = dialect.read_refresh_if_any(submission)?;
    let in_cookie = if dialect.mode == Mode::Cookie { ask.cookie("refresh-token") } else { None };
    let Some(presented) = in_body.or(in_cookie) else { return Ok(dialect.no_refresh_token()) };
    let renewed = refresh::refresh(context, layout, &ask.client, &presented).await?;
    Ok(dialect.refreshed(&renewed))
}

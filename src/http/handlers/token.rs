//! Tokens and API keys.

use http::{Method, StatusCode};

use crate::dialect::form::Submission;
use crate::dialect::{Answer, Endpoint};
use crate::flow::{Error, Fault, Refusal, obtain_key, refresh, revoke, sessions, sign_in, verify};
use crate::http::Service;
use crate::http::handlers::{Ask, Stop};
use crate::http::router::Route;
use crate::http::routes::Methods;
use crate::page::cookie;
use crate::page::csrf::CsrfSecret;
use crate::token::credential::Denial;

/// A token pair for a user name and a password.
pub async fn obtain_pair(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let credentials = route.dialect.read_credentials(submission)?;
    let pair = sign_in::sign_in(&service.context, &route.rules, &ask.client, credentials).await?;
    Ok(route.dialect.pair(&pair))
}

/// A token pair for a browser session. A credential in `Authorization` does not count here. A cookie that
/// is no session's is taken back.
pub async fn obtain_pair_by_session(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
) -> Result<Answer, Stop> {
    let name = &service.cookies.session;
    let Some(presented) = ask.cookie(name) else {
        return Err(Refusal::Denied(Denial::NoCredentials).into());
    };
    let context = &service.context;
    let Some(session) = sessions::find(context, &ask.client, &presented).await? else {
        let mut answer = route.dialect.deny(Denial::NoCredentials);
        answer.set_cookie(&cookie::gone(name));
        return Ok(answer);
    };
    if *ask.method == Method::HEAD {
        // Nobody would see the tokens.
        return Ok(route.dialect.done());
    }
    Ok(route.dialect.pair(&sessions::tokens(context, &route.rules, &ask.client, &session).await?))
}

/// Why a POST that brings a browser session along is refused; `None` where it brings none, or shows that a
/// page of ours was looked at (`rest_framework.authentication.SessionAuthentication`).
async fn refused_with_session(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
) -> Result<Option<Answer>, Error> {
    let Some(presented) = ask.cookie(&service.cookies.session) else { return Ok(None) };
    let context = &service.context;
    let Some(session) = sessions::find(context, &ask.client, &presented).await? else {
        return Ok(None);
    };
    let words = route.dialect.words();
    let secret = CsrfSecret::presented(&sessions::csrf_secret(context, session.digest()));
    let why = match ask.headers.get("x-csrftoken").map(|sent| sent.to_str()) {
        None => words.csrf_missing,
        Some(Ok(sent)) if secret.is_some_and(|secret| secret.fits(sent)) => return Ok(None),
        Some(_) => words.csrf_incorrect,
    };
    Ok(Some(Answer::detail(StatusCode::FORBIDDEN, why)))
}

/// New tokens for a refresh token.
pub async fn refresh_pair(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let presented = route.dialect.read_refresh(submission)?;
    let renewed = refresh::refresh(&service.context, &route.rules, &ask.client, &presented).await?;
    Ok(route.dialect.renewed(&renewed))
}

/// Whether a token is good.
pub async fn verify_token(
    service: &Service,
    route: &Route,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let presented = route.dialect.read_token(submission)?;
    verify::verify_token(&service.context, &presented).await?;
    Ok(route.dialect.done())
}

/// Takes back a refresh token.
pub async fn blacklist_token(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let presented = route.dialect.read_refresh(submission)?;
    revoke::revoke_refresh_token(&service.context, &route.rules, &ask.client, &presented).await?;
    Ok(route.dialect.done())
}

/// The API key of an account for a user name and a password.
pub async fn obtain_key(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let credentials = route.dialect.read_credentials(submission)?;
    let key = obtain_key::obtain_key(&service.context, &ask.client, credentials).await?;
    Ok(route.dialect.api_key(&key))
}

/// Answers a request for tokens.
pub async fn answer(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    match route.endpoint {
        Endpoint::ObtainPair if *ask.method == Method::POST => {
            // Only where sessions count at all.
            if route.methods == Methods::GetPost
                && let Some(refusal) = refused_with_session(service, route, ask).await?
            {
                return Ok(refusal);
            }
            obtain_pair(service, route, ask, submission).await
        }
        Endpoint::ObtainPair => obtain_pair_by_session(service, route, ask).await,
        Endpoint::RefreshPair => refresh_pair(service, route, ask, submission).await,
        Endpoint::VerifyToken => verify_token(service, route, submission).await,
        Endpoint::BlacklistToken => blacklist_token(service, route, ask, submission).await,
        Endpoint::ObtainKey => obtain_key(service, route, ask, submission).await,
        Endpoint::Register
        | Endpoint::ListAccounts
        | Endpoint::Activate
        | Endpoint::ResendActivation
        | Endpoint::OwnAccount
        | Endpoint::AccountById
        | Endpoint::SetPassword
        | Endpoint::ResetPassword
        | Endpoint::ResetPasswordConfirm
        | Endpoint::SetUsername
        | Endpoint::ResetUsername
        | Endpoint::ResetUsernameConfirm
        | Endpoint::SetEmail
        | Endpoint::ResetEmail
        | Endpoint::ResetEmailConfirm
        | Endpoint::LogIn
        | Endpoint::LogOut
        | Endpoint::VerifyEmail
        | Endpoint::OpenVerification
        | Endpoint::ResendVerification
        | Endpoint::ConfirmEmail
        | Endpoint::Addresses
        | Endpoint::AddressById
        | Endpoint::VerifyAddress
        | Endpoint::PrimaryAddress
        | Endpoint::Families
        | Endpoint::FamilyById
        | Endpoint::IssueToken
        | Endpoint::IntrospectToken
        | Endpoint::RevokeToken
        | Endpoint::KeySet
        | Endpoint::ServerMetadata
        | Endpoint::ApiKeys
        | Endpoint::ApiKeyById
        | Endpoint::RotateApiKey
        | Endpoint::UpgradeApiKey => {
            Err(Fault::Broken("a layout of tokens has an endpoint of accounts").into())
        }
    }
}

//! Tokens and API keys.

use http::Method;

use crate::dialect::form::Submission;
use crate::dialect::{Answer, Endpoint};
use crate::flow::{Error, Fault, Refusal, obtain_key, refresh, revoke, sign_in, verify};
use crate::http::Service;
use crate::http::handlers::Ask;
use crate::http::router::Route;
use crate::token::credential::Denial;

/// A token pair for a user name and a password.
pub async fn obtain_pair(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Error> {
    let credentials = match route.dialect.read_credentials(submission) {
        Ok(credentials) => credentials,
        Err(answer) => return Ok(answer),
    };
    let pair = sign_in::sign_in(&service.context, &route.rules, &ask.client, credentials).await?;
    Ok(route.dialect.pair(&pair))
}

/// A token pair for a browser session. A credential in `Authorization` does not count here.
pub fn obtain_pair_by_session() -> Result<Answer, Error> {
    // Browser sessions come with the pages; until then nobody can have one.
    Err(Refusal::Denied(Denial::NoCredentials).into())
}

/// New tokens for a refresh token.
pub async fn refresh_pair(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Error> {
    let presented = match route.dialect.read_refresh(submission) {
        Ok(presented) => presented,
        Err(answer) => return Ok(answer),
    };
    let renewed = refresh::refresh(&service.context, &route.rules, &ask.client, &presented).await?;
    Ok(route.dialect.renewed(&renewed))
}

/// Whether a token is good.
pub async fn verify_token(
    service: &Service,
    route: &Route,
    submission: &Submission,
) -> Result<Answer, Error> {
    let presented = match route.dialect.read_token(submission) {
        Ok(presented) => presented,
        Err(answer) => return Ok(answer),
    };
    verify::verify_token(&service.context, &presented).await?;
    Ok(route.dialect.done())
}

/// Takes back a refresh token.
pub async fn blacklist_token(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Error> {
    let presented = match route.dialect.read_refresh(submission) {
        Ok(presented) => presented,
        Err(answer) => return Ok(answer),
    };
    revoke::revoke_refresh_token(&service.context, &route.rules, &ask.client, &presented).await?;
    Ok(route.dialect.done())
}

/// The API key of an account for a user name and a password.
pub async fn obtain_key(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Error> {
    let credentials = match route.dialect.read_credentials(submission) {
        Ok(credentials) => credentials,
        Err(answer) => return Ok(answer),
    };
    let key = obtain_key::obtain_key(&service.context, &ask.client, credentials).await?;
    Ok(route.dialect.api_key(&key))
}

/// Answers a request for tokens.
pub async fn answer(
    service: &Service,
    route: &Route,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Error> {
    match route.endpoint {
        Endpoint::ObtainPair if *ask.method == Method::POST => {
            obtain_pair(service, route, ask, submission).await
        }
        Endpoint::ObtainPair => obtain_pair_by_session(),
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
        | Endpoint::ServerMetadata => {
            Err(Error::Fault(Fault::Broken("a layout of tokens has an endpoint of accounts")))
        }
    }
}

//! The endpoints of the OAuth standards.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::base::digest::Digest;
use crate::base::encode::base64url;
use crate::dialect::oauth::{Form, OAuth, TokenRequest};
use crate::dialect::{Answer, Dialect as _, Endpoint};
use crate::flow::authenticate_client::authenticate_client;
use crate::flow::client_credentials::client_credentials;
use crate::flow::introspect::{Asker, introspect, may_introspect};
use crate::flow::{Caller, ClientRefusal, Context, Error, Fault, Refusal, refresh, revoke};
use crate::http::router::Route;
use crate::token::client::{AuthenticatedClient, Grant};

/// A request as it came.
pub struct Asked<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its body.
    pub body: &'r Bytes,
    /// Where it comes from.
    pub client: &'r Caller,
}

impl Asked<'_> {
    fn header(&self, name: &http::HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }
}

/// Answers a request.
pub async fn answer(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
) -> Result<Answer, Error> {
    match route.endpoint {
        Endpoint::KeySet => return Ok(key_set(context, dialect, asked)),
        Endpoint::ServerMetadata => return Ok(dialect.metadata()),
        _ => {}
    }
    let form = match Form::read(asked.header(&CONTENT_TYPE).unwrap_or_default(), asked.body) {
        Ok(form) => form,
        Err(answer) => return Ok(answer),
    };
    let answered = match route.endpoint {
        Endpoint::IssueToken => issue_token(context, route, dialect, asked, &form).await?,
        Endpoint::IntrospectToken => {
            introspect_token(context, route, dialect, asked, &form).await?
        }
        Endpoint::RevokeToken => revoke_token(context, route, dialect, asked, &form).await?,
        _ => {
            return Err(Error::Fault(Fault::Broken("the layout oauth has an endpoint of others")));
        }
    };
    // What a form lacks is answered as it is.
    Ok(answered.unwrap_or_else(|answer| answer))
}

async fn issue_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Result<Answer, Answer>, Error> {
    let client = match authenticate(context, asked, form).await? {
        Ok(client) => client,
        Err(answer) => return Ok(Err(answer)),
    };
    let refused = |refusal| Error::Refused(Refusal::Client(refusal));
    match (form.token_request(), client) {
        (Err(answer), _) => Ok(Err(answer)),
        (Ok(TokenRequest::ClientCredentials(_)), None) => {
            Err(refused(ClientRefusal::Unauthenticated))
        }
        (Ok(TokenRequest::ClientCredentials(scopes)), Some(client)) => {
            let issued = client_credentials(context, &route.rules, &client, scopes).await?;
            Ok(Ok(dialect.client_token(&issued)))
        }
        (Ok(TokenRequest::RefreshToken(_)), Some(client))
            if !client.client().may(Grant::RefreshToken) =>
        {
            Err(refused(ClientRefusal::Grant))
        }
        // Refresh tokens are issued to people's programs, which have no secret to keep (RFC 6749 2.1).
        (Ok(TokenRequest::RefreshToken(presented)), _) => {
            let renewed = refresh::refresh(context, &route.rules, asked.client, &presented).await?;
            Ok(Ok(dialect.renewed(&renewed)))
        }
    }
}

async fn introspect_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Result<Answer, Answer>, Error> {
    let authorization = asked.header(&AUTHORIZATION);
    let asker = match form.client(authorization) {
        Ok(Some(client)) => Asker::Client(client),
        Ok(None) => Asker::Credential(
            route
                .schemes
                .read(authorization)
                .map_err(|denial| Error::Refused(Refusal::Denied(denial)))?,
        ),
        Err(answer) => return Ok(Err(answer)),
    };
    may_introspect(context, asked.client, &asker).await?;
    match form.token() {
        Ok(presented) => Ok(Ok(dialect.introspected(&introspect(context, presented).await?))),
        Err(answer) => Ok(Err(answer)),
    }
}

async fn revoke_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Result<Answer, Answer>, Error> {
    let client = match authenticate(context, asked, form).await? {
        Ok(client) => client,
        Err(answer) => return Ok(Err(answer)),
    };
    match form.token() {
        Ok(presented) => {
            revoke::revoke_token(context, &route.rules, asked.client, client.as_ref(), presented)
                .await?;
            Ok(Ok(dialect.done()))
        }
        Err(answer) => Ok(Err(answer)),
    }
}

/// The client that authenticates; `None` where none tries to.
async fn authenticate(
    context: &Context,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Result<Option<AuthenticatedClient>, Answer>, Error> {
    match form.client(asked.header(&AUTHORIZATION)) {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(presented)) => {
            authenticate_client(context, asked.client, &presented).await.map(Some).map(Ok)
        }
        Err(answer) => Ok(Err(answer)),
    }
}

fn key_set(context: &Context, dialect: &OAuth, asked: &Asked<'_>) -> Answer {
    let keys = context.ring.load().key_set();
    let digest = base64url(Digest::of(keys.to_string().as_bytes()).as_bytes());
    let tag = format!("\"{digest}\"");
    let known = asked.headers.get_all(IF_NONE_MATCH).iter().any(|line| {
        let mut tags = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|known| {
            known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes()
        })
    });
    let tag = HeaderValue::from_str(&tag).expect("base64url and quotation marks are ASCII");
    dialect.key_set(keys, tag, known)
}

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
use crate::flow::{Caller, ClientRefusal, Context, Fault, Refusal, refresh, revoke};
use crate::http::handlers::Stop;
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
) -> Result<Answer, Stop> {
    match route.endpoint {
        Endpoint::KeySet => return Ok(key_set(context, dialect, asked)),
        Endpoint::ServerMetadata => return Ok(dialect.metadata()),
        _ => {}
    }
    let form = Form::read(asked.header(&CONTENT_TYPE).unwrap_or_default(), asked.body)?;
    match route.endpoint {
        Endpoint::IssueToken => issue_token(context, route, dialect, asked, &form).await,
        Endpoint::IntrospectToken => introspect_token(context, route, dialect, asked, &form).await,
        Endpoint::RevokeToken => revoke_token(context, route, dialect, asked, &form).await,
        _ => Err(Fault::Broken("the layout oauth has an endpoint of others").into()),
    }
}

async fn issue_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Answer, Stop> {
    let client = authenticate(context, asked, form).await?;
    match (form.token_request()?, client) {
        (TokenRequest::ClientCredentials(_), None) => {
            Err(Refusal::Client(ClientRefusal::Unauthenticated).into())
        }
        (TokenRequest::ClientCredentials(scopes), Some(client)) => {
            let issued = client_credentials(context, &route.rules, &client, scopes).await?;
            Ok(dialect.client_token(&issued))
        }
        (TokenRequest::RefreshToken(_), Some(client))
            if !client.client().may(Grant::RefreshToken) =>
        {
            Err(Refusal::Client(ClientRefusal::Grant).into())
        }
        // Refresh tokens are issued to people's programs, which have no secret to keep (RFC 6749 2.1).
        (TokenRequest::RefreshToken(presented), _) => {
            let renewed = refresh::refresh(context, &route.rules, asked.client, &presented).await?;
            Ok(dialect.renewed(&renewed))
        }
    }
}

async fn introspect_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Answer, Stop> {
    let authorization = asked.header(&AUTHORIZATION);
    let asker = match form.client(authorization)? {
        Some(client) => Asker::Client(client),
        None => Asker::Credential(route.schemes.read(authorization).map_err(Refusal::Denied)?),
    };
    may_introspect(context, asked.client, &asker).await?;
    let found = introspect(context, form.token()?).await?;
    Ok(dialect.introspected(&found))
}

async fn revoke_token(
    context: &Context,
    route: &Route,
    dialect: &OAuth,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Answer, Stop> {
    let client = authenticate(context, asked, form).await?;
    let (rules, presented) = (&route.rules, form.token()?);
    revoke::revoke_token(context, rules, asked.client, client.as_ref(), presented).await?;
    Ok(dialect.done())
}

/// The client that authenticates; `None` where none tries to.
async fn authenticate(
    context: &Context,
    asked: &Asked<'_>,
    form: &Form,
) -> Result<Option<AuthenticatedClient>, Stop> {
    match form.client(asked.header(&AUTHORIZATION))? {
        Some(presented) => Ok(Some(authenticate_client(context, asked.client, &presented).await?)),
        None => Ok(None),
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

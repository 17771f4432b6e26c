//! The OAuth standards, as the layout `oauth` speaks them.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | token (RFC 6749 4.4, 6) | 200 `{"access_token","token_type","expires_in"}`, with `scope` or `refresh_token` | 400 `{"error","error_description"}` |
//! | introspect (RFC 7662) | 200 `{"active":true,…}` or `{"active":false}` | 401, 403 |
//! | revoke (RFC 7009) | 200 `{}`, also for what is no token | 400 |
//! | key set (RFC 7517 5), metadata (RFC 8414) | 200 | – |
//!
//! A method or a body that is refused unread, and a fault of ours, keep the status of HTTP (405, 413, 500, 503) and
//! have the body of the standard.
//!
//! A client that does not authenticate gets 401 `invalid_client` with `WWW-Authenticate: Basic` (RFC 6749 5.2),
//! whoever comes with a bad bearer token 401 with `WWW-Authenticate: Bearer` (RFC 6750 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, ETAG, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::base::secret::Secret;
use crate::dialect::words::{CURRENT, Words};
use crate::dialect::{Answer, Dialect, Endpoint};
use crate::flow::authenticate_client::ClientCredentials;
use crate::flow::client_credentials::ClientToken;
use crate::flow::introspect::{ActiveToken, Introspected};
use crate::flow::personal_keys::KeyFacts;
use crate::flow::{ClientRefusal, Refusal, RenewedTokens};
use crate::token::claims::Kind;
use crate::token::client::{ClientScopes, Grant};
use crate::token::credential::Denial;
use crate::token::issue::Signed;

/// What the layout `oauth` says of itself.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// The word before an access token in `Authorization`.
    pub token_type: String,
    /// The claim that holds the id of the account.
    pub user_claim: String,
    /// The authorization server's metadata (RFC 8414 2).
    pub metadata: Value,
    /// For how many seconds others may keep a copy of the key set.
    pub key_set_age: u64,
}

/// For how many seconds others may keep a copy of the metadata: it changes with the settings alone.
const METADATA_AGE: u64 = 3600;

/// Where an authorization server's endpoints are.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Its name (RFC 8414 2).
    pub issuer: &'a str,
    /// Protocol, host and mount of the layout.
    pub base: &'a str,
    /// Protocol and host.
    pub origin: &'a str,
}

/// The metadata of an authorization server (RFC 8414 2).
#[must_use]
pub fn metadata(places: &Places<'_>) -> Value {
    let Places { issuer, base, origin } = places;
    let secrets = ["client_secret_basic", "client_secret_post"];
    let all = ["client_secret_basic", "client_secret_post", "none"];
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/token"),
        "token_endpoint_auth_methods_supported": all,
        "jwks_uri": format!("{origin}/.well-known/jwks.json"),
        "introspection_endpoint": format!("{base}/introspect"),
        "introspection_endpoint_auth_methods_supported": secrets,
        "revocation_endpoint": format!("{base}/revoke"),
        "revocation_endpoint_auth_methods_supported": all,
        "grant_types_supported": Grant::ALL.map(Grant::as_str),
        // Required, and empty: there is no authorization endpoint.
        "response_types_supported": [],
    })
}

/// The parameters of a request (RFC 6749 3.2). Those without a value count as left out.
#[derive(Debug)]
pub struct Form(Vec<(String, String)>);

/// Parameters of one request at most.
const MOST_PARAMETERS: usize = 100;

impl Form {
    /// Reads a body. Refuses another media type, and parameters that stand twice.
    pub fn read(content_type: &[u8], body: &[u8]) -> Result<Self, Answer> {
        let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        if !body.is_empty()
            && !media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
        {
            return Err(invalid_request("send application/x-www-form-urlencoded"));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.len() >= MOST_PARAMETERS {
                return Err(invalid_request("too many parameters"));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(invalid_request("a parameter stands twice"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The token that a request is about.
    pub fn token(&self) -> Result<&str, Answer> {
        self.get("token").ok_or_else(|| invalid_request("token is missing"))
    }

    /// The client that presents its secret, in `Authorization` or in the form (RFC 6749 2.3.1). In both is
    /// refused: two answers to one question.
    pub fn client(
        &self,
        authorization: Option<&[u8]>,
    ) -> Result<Option<ClientCredentials>, Answer> {
        let in_form = match (self.get("client_id"), self.get("client_secret")) {
            (Some(id), Some(secret)) => Some((id.to_owned(), secret.to_owned())),
            (None, Some(_)) => return Err(invalid_request("client_id is missing")),
            // An id alone names a client and authenticates nobody.
            (_, None) => None,
        };
        let presented = match (authorization.and_then(basic), in_form) {
            (Some(_), Some(_)) => {
                return Err(invalid_request("authenticate the client in one way, not in two"));
            }
            (Some(Err(())), None) => return Err(unauthenticated()),
            (Some(Ok(pair)), None) => Some(pair),
            (None, in_form) => in_form,
        };
        Ok(presented.map(|(id, secret)| ClientCredentials { id, secret: Secret::new(secret) }))
    }

    /// What the token endpoint is asked for.
    pub fn token_request(&self) -> Result<TokenRequest, Answer> {
        let Some(name) = self.get("grant_type") else {
            return Err(invalid_request("grant_type is missing"));
        };
        let scopes = match self.get("scope").map(ClientScopes::parse) {
            None => None,
            Some(Some(scopes)) => Some(scopes).filter(|scopes| !scopes.is_empty()),
            Some(None) => return Err(error("invalid_scope", "scope holds odd characters")),
        };
        match Grant::parse(name) {
            Some(Grant::ClientCredentials) => Ok(TokenRequest::ClientCredentials(scopes)),
            // No scopes were granted with it, so none can be asked for (RFC 6749 6).
            Some(Grant::RefreshToken) if scopes.is_some() => {
                Err(error("invalid_scope", "a refresh token was granted no scopes"))
            }
            Some(Grant::RefreshToken) => match self.get("refresh_token") {
                Some(token) => Ok(TokenRequest::RefreshToken(token.to_owned())),
                None => Err(invalid_request("refresh_token is missing")),
            },
            None => Err(error(
                "unsupported_grant_type",
                "grant_type is neither client_credentials nor refresh_token",
            )),
        }
    }
}

/// What the token endpoint is asked for.
#[derive(Debug)]
pub enum TokenRequest {
    /// A token for the client itself, with these scopes, or with all that it has.
    ClientCredentials(Option<ClientScopes>),
    /// New tokens for this refresh token.
    RefreshToken(String),
}

/// The id and the secret in `Authorization: Basic`, each encoded as in a form (RFC 6749 2.3.1). `None` for
/// another scheme.
fn basic(header: &[u8]) -> Option<Result<(String, String), ()>> {
    let (scheme, rest) = header.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"basic") || rest.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    let decode = || {
        let pair = STANDARD.decode(rest.trim_ascii()).ok()?;
        let at = pair.iter().position(|byte| *byte == b':')?;
        let (id, secret) = pair.split_at(at);
        Some((form_decoded(id)?, form_decoded(secret.get(1..)?)?))
    };
    Some(decode().ok_or(()))
}

fn form_decoded(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// `{"error", "error_description"}` (RFC 6749 5.2).
fn error(code: &str, description: &str) -> Answer {
    let body = json!({ "error": code, "error_description": description });
    Answer::json(StatusCode::BAD_REQUEST, body)
}

fn invalid_request(description: &str) -> Answer {
    error("invalid_request", description)
}

const BASIC: &str = "Basic realm=\"avain\", charset=\"UTF-8\"";

fn challenged(status: StatusCode, code: &str, description: &str, challenge: &str) -> Answer {
    let mut answer = Answer { status, ..error(code, description) };
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        answer.headers.push((WWW_AUTHENTICATE, challenge));
    }
    answer
}

fn unauthenticated() -> Answer {
    let status = StatusCode::UNAUTHORIZED;
    challenged(status, "invalid_client", "the client did not authenticate, or not well", BASIC)
}

/// Something that everybody may keep a copy of.
fn cacheable(body: Value, seconds: u64) -> Answer {
    let mut answer = Answer::json(StatusCode::OK, body);
    answer.headers.push((CACHE_CONTROL, public_for(seconds)));
    answer
}

fn public_for(seconds: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("public, max-age={seconds}"))
        .expect("words and a number are a header value")
}

fn token_answer(token_type: &str, access: &Signed) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), access.expose().into());
    body.insert("token_type".to_owned(), token_type.into());
    body.insert("expires_in".to_owned(), access.seconds().into());
    body
}

impl OAuth {
    /// A token for a client itself. It gets no refresh token: it has its secret (RFC 6749 4.4.3).
    #[must_use]
    pub fn client_token(&self, issued: &ClientToken) -> Answer {
        let mut body = token_answer(&self.token_type, &issued.access);
        body.insert("scope".to_owned(), issued.scopes.to_string().into());
        Answer::json(StatusCode::OK, Value::Object(body))
    }

    /// What a token is worth (RFC 7662 2.2): its own claims, and the members of the standard.
    #[must_use]
    pub fn introspected(&self, found: &Introspected) -> Answer {
        let body = match found {
            Introspected::Inactive => json!({ "active": false }),
            Introspected::Token(token) => self.active(token),
            Introspected::Key(key) => self.active_key(key),
        };
        Answer::json(StatusCode::OK, body)
    }

    /// A key that says what it may (RFC 7662 2.2). Who asks is the one that sees where it is presented from:
    /// networks and rate are for them to hold, and members of our own.
    fn active_key(&self, key: &KeyFacts) -> Value {
        let KeyFacts { owner, terms, created_at } = key;
        let mut body = json!({
            "active": true,
            "token_type": "Token",
            "sub": owner.id.to_string(),
            "username": owner.username,
            self.user_claim.as_str(): owner.id.to_string(),
        });
        let scope = terms.scopes.to_string();
        let networks = terms.networks.to_string();
        for (name, value) in [
            ("scope", Some(scope).filter(|scope| !scope.is_empty()).map(Value::from)),
            ("iat", created_at.map(|at| at.seconds().into())),
            ("exp", terms.expires_at.map(|at| at.seconds().into())),
            ("networks", Some(networks).filter(|list| !list.is_empty()).map(Value::from)),
            ("rate", terms.rate.map(Value::from)),
        ] {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }

    fn active(&self, token: &ActiveToken) -> Value {
        let mut body = Map::new();
        body.insert("active".to_owned(), true.into());
        // A refresh token opens nothing: who asks must be able to tell.
        let token_type = match token.kind {
            Kind::Access => self.token_type.as_str(),
            Kind::Refresh => Grant::RefreshToken.as_str(),
        };
        body.insert("token_type".to_owned(), token_type.into());
        let subject = match (&token.owner, &token.client) {
            (Some(owner), _) => Some(owner.id.to_string()),
            (None, client) => client.clone(),
        };
        if let Some(subject) = subject {
            body.insert("sub".to_owned(), subject.into());
        }
        if let Some(owner) = &token.owner {
            body.insert("username".to_owned(), owner.username.as_str().into());
        }
        let claims: Map<String, Value> = serde_json::from_slice(&token.payload).unwrap_or_default();
        for (name, value) in claims {
            body.entry(name).or_insert(value);
        }
        Value::Object(body)
    }

    /// The key set, which `tag` names; 304 to somebody who has it already (RFC 9110 13.1.2).
    #[must_use]
    pub fn key_set(&self, keys: Value, tag: HeaderValue, is_known: bool) -> Answer {
        let mut answer = cacheable(keys, self.key_set_age);
        if is_known {
            answer.status = StatusCode::NOT_MODIFIED;
            answer.body = None;
        }
        answer.headers.push((ETAG, tag));
        answer
    }

    /// The authorization server's metadata.
    #[must_use]
    pub fn metadata(&self) -> Answer {
        cacheable(self.metadata.clone(), METADATA_AGE)
    }
}

impl Dialect for OAuth {
    fn words(&self) -> &'static Words {
        &CURRENT
    }

    fn challenge(&self) -> &'static str {
        BASIC
    }

    fn renewed(&self, renewed: &RenewedTokens) -> Answer {
        let mut body = token_answer(&self.token_type, &renewed.access);
        if let Some(refresh) = &renewed.refresh {
            body.insert("refresh_token".to_owned(), refresh.expose().into());
        }
        Answer::json(StatusCode::OK, Value::Object(body))
    }

    /// With the status of HTTP, as the peers have it, and a body that OAuth's clients can read (RFC 6749 5.2; the
    /// codes of faults are of 4.1.2.1).
    fn around(&self, answer: Answer) -> Answer {
        let (code, description) = match answer.status {
            StatusCode::METHOD_NOT_ALLOWED => ("invalid_request", "the method is none of Allow"),
            StatusCode::PAYLOAD_TOO_LARGE => ("invalid_request", "the request body is too large"),
            StatusCode::REQUEST_TIMEOUT => {
                ("invalid_request", "the request body did not arrive in time")
            }
            StatusCode::SERVICE_UNAVAILABLE => ("temporarily_unavailable", "try again later"),
            status if status.is_server_error() => ("server_error", "a server error occurred"),
            _ => ("invalid_request", "the request cannot be read"),
        };
        Answer { body: error(code, description).body, ..answer }
    }

    fn refuse(&self, _: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Token(_) | Refusal::OwnerInactive | Refusal::WrongCredentials => {
                error("invalid_grant", "the refresh token is expired, taken back, or none of ours")
            }
            Refusal::TooMany { retry_after } => {
                later(StatusCode::TOO_MANY_REQUESTS, "too many failures", *retry_after)
            }
            Refusal::Busy { retry_after } => {
                later(StatusCode::SERVICE_UNAVAILABLE, "too much to do", *retry_after)
            }
        }
    }

    fn refuse_client(&self, why: ClientRefusal) -> Answer {
        match why {
            ClientRefusal::Unauthenticated => unauthenticated(),
            ClientRefusal::Grant => {
                error("unauthorized_client", "the client is not registered for this grant_type")
            }
            ClientRefusal::Scope => {
                error("invalid_scope", "the client is not registered for a scope that it asks for")
            }
            ClientRefusal::Account => {
                error("unauthorized_client", "the account that the client acts as is switched off")
            }
            ClientRefusal::Lacks(scope) => challenged(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                &format!("this takes the scope {scope}"),
                &format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""),
            ),
            ClientRefusal::OtherClient => {
                error("unauthorized_client", "the token was issued to another client")
            }
            ClientRefusal::Unsupported => error(
                "unsupported_token_type",
                "an access token from before the change-over ends with its refresh token",
            ),
        }
    }

    fn deny(&self, denial: Denial) -> Answer {
        match denial {
            Denial::NoCredentials => unauthenticated(),
            _ => challenged(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the credential is expired, taken back, or none of ours",
                "Bearer error=\"invalid_token\"",
            ),
        }
    }
}

fn later(status: StatusCode, description: &str, retry_after: u64) -> Answer {
    Answer {
        status,
        retry_after: Some(retry_after),
        ..error("temporarily_unavailable", description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        authorization: Option<&str>,
        body: &str,
    ) -> Result<Option<(String, String)>, StatusCode> {
        let form = Form::read(b"application/x-www-form-urlencoded", body.as_bytes());
        let client = form.and_then(|form| form.client(authorization.map(str::as_bytes)));
        client
            .map(|client| client.map(|client| (client.id, client.secret.expose().clone())))
            .map_err(|answer| answer.status)
    }

    fn pair(id: &str, secret: &str) -> (String, String) {
        (id.to_owned(), secret.to_owned())
    }

    #[test]
    fn a_client_authenticates_in_one_of_two_ways() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(read(Some(&basic("a:b")), ""), Ok(Some(pair("a", "b"))));
        assert_eq!(
            read(Some(&basic("a:b").replace("Basic", "bAsIc")), ""),
            Ok(Some(pair("a", "b")))
        );
        assert_eq!(
            read(Some(&basic("a%3A+b:c%2Bd:e")), ""),
            Ok(Some(pair("a: b", "c+d:e"))),
            "RFC 6749 B"
        );
        assert_eq!(read(None, "client_id=a&client_secret=b"), Ok(Some(pair("a", "b"))));
        assert_eq!(read(None, "client_id=a"), Ok(None), "names, and authenticates nobody");
        assert_eq!(read(None, "client_id=a&client_secret="), Ok(None));
        assert_eq!(read(Some("Bearer x"), ""), Ok(None));
        let both = read(Some(&basic("a:b")), "client_id=a&client_secret=b");
        assert_eq!(both, Err(StatusCode::BAD_REQUEST));
        assert_eq!(read(None, "client_secret=b"), Err(StatusCode::BAD_REQUEST));
        for wrong in ["Basic", "Basic ", "Basic !", &basic("no colon"), &basic("a:%ff")] {
            assert_eq!(read(Some(wrong), ""), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
    }

    #[test]
    fn parameters_stand_once_and_in_a_form() {
        let read =
            |media_type: &str, body: &str| Form::read(media_type.as_bytes(), body.as_bytes());
        let form = "application/x-www-form-urlencoded";
        let many: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let many = many.join("&");
        assert!(read("Application/X-WWW-Form-urlencoded; charset=utf-8", "a=1").is_ok());
        assert!(read("", "").is_ok());
        for (media_type, body) in [
            ("application/json", "{}"),
            ("", "a=1"),
            (form, "a=1&a=1"),
            (form, &"a&".repeat(200)),
            (form, &many),
        ] {
            let answer = read(media_type, body).err();
            assert_eq!(answer.map(|answer| answer.status), Some(StatusCode::BAD_REQUEST), "{body}");
        }
    }
}

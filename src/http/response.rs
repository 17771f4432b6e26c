//! From an answer to bytes and headers.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::dialect::{Answer, Dialect};
use crate::http::router::Route;
use crate::http::routes::Methods;

/// The body of every answer.
pub type Body = Full<Bytes>;

/// The id of a request, from nginx through to the backend.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// An answer of `route`, with the headers that Django's middleware sets and `no-store`, since answers
/// hold tokens or depend on them.
#[must_use]
pub fn render(answer: &Answer, route: &Route) -> Response<Body> {
    let body = match &answer.body {
        Some(body) => Bytes::from(body.to_string()),
        None => Bytes::new(),
    };
    let has_body = answer.body.is_some();
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(ALLOW, HeaderValue::from_static(route.methods.allow()));
    let vary = match route.methods {
        Methods::GetPost => "Accept, Cookie",
        _ => "Accept",
    };
    headers.insert(VARY, HeaderValue::from_static(vary));
    if answer.challenge
        && let Ok(challenge) = HeaderValue::from_str(route.dialect.challenge())
    {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    protect(&mut response);
    for (name, value) in &answer.headers {
        let headers = response.headers_mut();
        // Cookies are several headers of one name (RFC 6265 3).
        if *name == SET_COOKIE {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
    response
}

/// The page for a path that nothing is served at.
#[must_use]
pub fn not_found() -> Response<Body> {
    page(StatusCode::NOT_FOUND, "Not Found", "There is nothing at this address.")
}

/// 500 or 503 for a fault of ours: the request's id and no detail, as the dialect of the route has it.
#[must_use]
pub fn fault(
    status: StatusCode,
    request_id: &str,
    dialect: Option<&dyn Dialect>,
) -> Response<Body> {
    let detail = if status == StatusCode::SERVICE_UNAVAILABLE {
        "Service temporarily unavailable, try again later."
    } else {
        "A server error occurred."
    };
    let answer = Answer::detail(status, detail);
    let answer = match dialect {
        Some(dialect) => dialect.around(answer),
        None => answer,
    };
    let mut body = answer.body.unwrap_or_default();
    body["request_id"] = request_id.into();
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    protect(&mut response);
    response
}

/// Plain text, for operators.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    protect(&mut response);
    response
}

fn page(status: StatusCode, title: &str, sentence: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <h1>{title}</h1><p>{sentence}</p></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    protect(&mut response);
    response
}

/// Lets browsers send cookies back by https alone.
pub(super) fn secure_cookies(response: &mut Response<Body>) {
    if let http::header::Entry::Occupied(mut cookies) = response.headers_mut().entry(SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let secured = [cookie.as_bytes(), b"; Secure"].concat();
            if let Ok(secured) = HeaderValue::from_bytes(&secured) {
                *cookie = secured;
            }
        }
    }
}

/// The headers that all answers have, as Django sets them, and `no-store`.
pub(super) fn protect(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(COOP, HeaderValue::from_static("same-origin"));
}

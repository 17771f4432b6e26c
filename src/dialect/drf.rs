//! What Django REST framework answers before a view gets to see the request, and to bad credentials.

use http::StatusCode;
use serde_json::json;

use crate::dialect::Answer;
use crate::dialect::words::Words;
use crate::token::credential::Denial;
use crate::token::verify::Rejection;

/// 405 for a method that the endpoint does not know.
#[must_use]
pub fn method_not_allowed(words: &Words, method: &str) -> Answer {
    Answer::detail(StatusCode::METHOD_NOT_ALLOWED, &Words::with(words.method, method))
}

/// 415 for a body of another media type.
#[must_use]
pub fn unsupported_media_type(words: &Words, media_type: &str) -> Answer {
    let detail = Words::with(words.media_type, media_type);
    Answer::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail)
}

/// 406 for an `Accept` that admits nothing we have.
#[must_use]
pub fn not_acceptable(words: &Words) -> Answer {
    Answer::detail(StatusCode::NOT_ACCEPTABLE, words.not_acceptable)
}

/// 404 for an unknown `?format=`.
#[must_use]
pub fn not_found(words: &Words) -> Answer {
    Answer::detail(StatusCode::NOT_FOUND, words.not_found)
}

/// 400 for a body that does not parse; `at` names the place and is not part of the contract.
#[must_use]
pub fn parse_error(at: &str) -> Answer {
    Answer::detail(StatusCode::BAD_REQUEST, &format!("JSON parse error - {at}"))
}

/// 400 for multipart bodies that do not parse.
#[must_use]
pub fn multipart_error(at: &str) -> Answer {
    Answer::detail(StatusCode::BAD_REQUEST, &format!("Multipart form parse error - {at}"))
}

/// 413 for a body over the limit. (The peers read on; see `tests/contract/README.md`.)
#[must_use]
pub fn too_large() -> Answer {
    Answer::detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large.")
}

/// 408 for a body that does not arrive in time.
#[must_use]
pub fn too_slow() -> Answer {
    Answer::detail(StatusCode::REQUEST_TIMEOUT, "Request body did not arrive in time.")
}

/// 503: come back later.
#[must_use]
pub fn unavailable(retry_after: u64) -> Answer {
    let mut answer = Answer::detail(
        StatusCode::SERVICE_UNAVAILABLE,
        "Service temporarily unavailable, try again later.",
    );
    answer.retry_after = Some(retry_after);
    answer
}

/// 429: too often (`rest_framework.exceptions.Throttled`).
#[must_use]
pub fn throttled(words: &Words, retry_after: u64) -> Answer {
    let plural = if retry_after == 1 { "second" } else { "seconds" };
    let detail = format!("{} Expected available in {retry_after} {plural}.", words.throttled);
    let mut answer = Answer::detail(StatusCode::TOO_MANY_REQUESTS, &detail);
    answer.retry_after = Some(retry_after);
    answer
}

/// The message for a refused JWT (CONTRACT.md 2.2).
#[must_use]
pub fn rejection(words: &Words, rejection: Rejection) -> &str {
    match rejection {
        Rejection::Invalid(_) => words.jwt_invalid,
        Rejection::Expired => words.jwt_expired,
        Rejection::Revoked => "Token is blacklisted",
        Rejection::NoExpiry => "Token has no 'exp' claim",
        Rejection::NoTokenId => "Token has no id",
        Rejection::NoKind => "Token has no type",
        Rejection::WrongKind => "Token has wrong type",
    }
}

/// The answer to a refused credential (CONTRACT.md 2.1, 2.2).
#[must_use]
pub fn deny(words: &Words, denial: Denial) -> Answer {
    let detail = |text: &str| json!({ "detail": text });
    let coded = |text: &str, code: &str| json!({ "detail": text, "code": code });
    Answer::unauthenticated(match denial {
        Denial::NoCredentials => detail(words.no_credentials),
        Denial::BearerHeader => coded(
            "Authorization header must contain two space-delimited values",
            "bad_authorization_header",
        ),
        Denial::Bearer(why) => json!({
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [{
                "token_class": "AccessToken",
                "token_type": "access",
                "message": rejection(words, why),
            }],
        }),
        Denial::NoSubject => {
            coded("Token contained no recognizable user identification", "token_not_valid")
        }
        Denial::SubjectNotFound => coded("User not found", "user_not_found"),
        Denial::SubjectInactive => coded("User is inactive", "user_inactive"),
        Denial::TokenHeaderEmpty => detail(words.token_empty),
        Denial::TokenHeaderSpaces => detail(words.token_spaces),
        Denial::TokenHeaderCharacters => detail(words.token_characters),
        Denial::UnknownApiKey => detail(words.token_unknown),
        Denial::ApiKeyOwnerInactive => detail(words.owner_inactive),
        Denial::Forbidden => return Answer::detail(StatusCode::FORBIDDEN, words.forbidden),
    })
}

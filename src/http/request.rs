//! From bytes and headers to a submission: negotiation, media types, bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as HttpBody;

use crate::dialect::form::{Given, Submission};
use crate::dialect::words::Words;
use crate::dialect::{Answer, drf};
use crate::http::Limits;

/// Fields of one form at most (`DATA_UPLOAD_MAX_NUMBER_FIELDS`).
const MOST_FIELDS: usize = 1000;
/// Media ranges of one `Accept` that are looked at.
const MOST_RANGES: usize = 64;

/// Refuses what Django REST framework's content negotiation refuses: an `Accept` that admits neither
/// JSON nor HTML (which is answered in JSON too), and an unknown `?format=`.
pub fn negotiate(words: &Words, parts: &Parts) -> Result<(), Answer> {
    let query = parts.uri.query().unwrap_or_default();
    let format = form_urlencoded::parse(query.as_bytes())
        .take(MOST_FIELDS)
        .filter(|(name, _)| name == "format")
        .last();
    if format.is_some_and(|(_, format)| !matches!(format.as_ref(), "json" | "api" | "")) {
        return Err(drf::not_found(words));
    }
    let mut ranges = parts
        .headers
        .get_all(ACCEPT)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|range| range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii())
        .filter(|range| !range.is_empty())
        .take(MOST_RANGES)
        .peekable();
    let admits = |range: &[u8]| {
        let range = range.to_ascii_lowercase();
        matches!(
            range.as_slice(),
            b"*/*" | b"*" | b"application/*" | b"application/json" | b"text/*" | b"text/html"
        )
    };
    if ranges.peek().is_none() || ranges.any(admits) {
        Ok(())
    } else {
        Err(drf::not_acceptable(words))
    }
}

/// Reads the whole body, within limits of size and time.
pub async fn read_body<B>(parts: &Parts, body: B, limits: &Limits) -> Result<Bytes, Answer>
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let mut body = std::pin::pin!(body);
    if announced > u64::try_from(limits.body).unwrap_or(u64::MAX) {
        discard(body).await;
        return Err(drf::too_large());
    }
    let whole = Limited::new(body.as_mut(), limits.body).collect();
    match tokio::time::timeout(limits.body_timeout, whole).await {
        Err(_) => Err(drf::too_slow()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            discard(body).await;
            Err(drf::too_large())
        }
        // The connection broke off: nobody reads the answer.
        Ok(Err(_)) => Err(drf::parse_error("the body broke off")),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
    }
}

/// Reads on for a while without keeping anything: a connection that is closed with bytes unread is reset,
/// and the reset can overtake the answer.
async fn discard<B>(body: Pin<&mut B>)
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    const MOST: usize = 4 << 20;
    const LONGEST: Duration = Duration::from_secs(2);
    let mut rest = Limited::new(body, MOST);
    let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
    // Whatever comes of it, the answer is the same.
    drop(tokio::time::timeout(LONGEST, reading).await);
}

/// Understands a body by its media type. An empty one counts as `{}` whatever its type.
pub async fn submission(words: &Words, parts: &Parts, body: &Bytes) -> Result<Submission, Answer> {
    if body.is_empty() {
        return Ok(Submission::default());
    }
    let content_type = parts.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let content_type = String::from_utf8_lossy(content_type.unwrap_or_default());
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/json" => Submission::from_json(body).map_err(|place| drf::parse_error(&place)),
        "application/x-www-form-urlencoded" => {
            if body.split(|byte| *byte == b'&').count() > MOST_FIELDS {
                return Err(drf::multipart_error("too many fields"));
            }
            Ok(Submission::from_form(body))
        }
        "multipart/form-data" => multipart(&content_type, body).await,
        _ => Err(drf::unsupported_media_type(words, &content_type)),
    }
}

async fn multipart(content_type: &str, body: &Bytes) -> Result<Submission, Answer> {
    let wrong = |error: multer::Error| drf::multipart_error(&error.to_string());
    let boundary = multer::parse_boundary(content_type).map_err(wrong)?;
    let whole = futures_util::stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut fields = Vec::new();
    while let Some(field) = parts.next_field().await.map_err(wrong)? {
        if fields.len() >= MOST_FIELDS {
            return Err(drf::multipart_error("too many fields"));
        }
        let Some(name) = field.name().map(str::to_owned) else { continue };
        let is_file = field.file_name().is_some();
        let value = field.bytes().await.map_err(wrong)?;
        let given = if is_file {
            Given::NotText
        } else {
            Given::Text(String::from_utf8_lossy(&value).into_owned())
        };
        fields.push((name, given));
    }
    Ok(Submission::Fields(fields))
}

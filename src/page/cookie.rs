//! The cookies of pages (CONTRACT.md 4): the session, the secret of forms, the language. `Secure` is added
//! where a request came by https, for all cookies in one place.

use std::time::Duration;

use crate::base::clock::Timestamp;

/// For how long a browser keeps the secret of forms (Django's `CSRF_COOKIE_AGE`) and the language.
const A_YEAR: Duration = Duration::from_hours(24 * 364);
/// The cookie that keeps the language somebody has chosen.
pub const LANGUAGE: &str = "language";

/// What the cookies are called.
#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The session's.
    pub session: String,
    /// That of the secret of forms.
    pub csrf: String,
}

/// The cookie of a session that was handed out at `given_at`: no script reads it.
#[must_use]
pub fn session(name: &str, secret: &str, given_at: Timestamp, ends_at: Timestamp) -> String {
    let seconds = (ends_at.seconds() - given_at.seconds()).max(0);
    let expires = ends_at.http_date();
    format!("{name}={secret}; expires={expires}; HttpOnly; Max-Age={seconds}; Path=/; SameSite=Lax")
}

/// The cookie with the secret of forms, which front ends read to send it back as `X-CSRFToken`.
#[must_use]
pub fn csrf(name: &str, secret: &str, now: Timestamp) -> String {
    for_a_year(name, secret, now)
}

/// The cookie that keeps a chosen language.
#[must_use]
pub fn language(tag: &str, now: Timestamp) -> String {
    for_a_year(LANGUAGE, tag, now)
}

fn for_a_year(name: &str, value: &str, now: Timestamp) -> String {
    let (expires, seconds) = (now.plus(A_YEAR).http_date(), A_YEAR.as_secs());
    format!("{name}={value}; expires={expires}; Max-Age={seconds}; Path=/; SameSite=Lax")
}

/// A cookie that is to be forgotten.
#[must_use]
pub fn gone(name: &str) -> String {
    format!("{name}=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax")
}

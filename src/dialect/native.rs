//! Our own way of speaking, for what the peers do not have: API keys.
//!
//! | Endpoint | Asked with | Good | Refused |
//! |---|---|---|---|
//! | keys | | 200 `{"keys":[KEY…],"classic_key":{"begins"}}` or `null` | 401 |
//! | make | `name`, and `scope networks rate expires_in` or `expires_at` where wished | 201 KEY with `"key":"avn_…"`, shown this once | 400 by field; 409 too many |
//! | one | | 200 KEY | 404 |
//! | change | any of `name scope networks rate` | 200 KEY | 400, 404 |
//! | revoke | | 204 | 404 |
//! | rotate | `overlap` in seconds where wished | 201 KEY with `"key"` | 404; 409 rotated already |
//! | upgrade | as make | 201 KEY with `"key"` | 404 no classic key |
//!
//! KEY is `{"id","name","begins","scope","networks","rate","created_at","expires_at","last_used_at",
//! "replaced_by","revoked_at","active"}`. `scope` is a list of words between spaces (RFC 6749 3.3), `networks`
//! too, `rate` is requests a minute, `expires_in` and `overlap` are seconds, moments are RFC 3339.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::dialect::form::{Reader, Submission, TextField};
use crate::dialect::words::{CURRENT, Words};
use crate::dialect::{Answer, Dialect, Endpoint, drf};
use crate::flow::Refusal;
use crate::flow::personal_keys::{
    IssuedKey, LONGEST_NAME, LONGEST_OVERLAP, NotDone, StoredKey, Wish,
};
use crate::token::personal::PersonalKeyId;
use crate::token::scope::Scopes;
use crate::token::terms::{HIGHEST_RATE, Networks, Terms};

/// Our own way of speaking.
#[derive(Clone, Debug)]
pub struct Native {
    challenge: String,
}

/// A hundred years: longer is a slip.
const LONGEST_LIFE: i64 = 36_525 * 86_400;

impl Native {
    /// Names `prefix` in its challenge.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { challenge: format!("{prefix} realm=\"api\"") }
    }

    /// What somebody wishes who asks for a key at `now`.
    pub fn read_wish(&self, submission: &Submission, now: Timestamp) -> Result<Wish, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let name = reader.text(&TextField::required("name"));
        let mut terms = Terms::default();
        read_terms(&mut reader, &mut terms);
        let expires_in = number(&mut reader, "expires_in", 1..=LONGEST_LIFE).given();
        let expires_at = reader.optional(&TextField::required("expires_at"), |_| Vec::new());
        terms.expires_at = match expires_at.as_deref() {
            None | Some("") => expires_in
                .map(|seconds| Timestamp::from_seconds(now.seconds().saturating_add(seconds))),
            Some(_) if expires_in.is_some() => {
                reader.refuse("expires_at", "Give expires_in or expires_at, not both.");
                None
            }
            Some(text) => {
                let moment = Timestamp::parse_rfc3339(text);
                if moment.is_none() {
                    reader.refuse("expires_at", "Write a moment as 2030-01-31T12:00:00Z.");
                }
                moment
            }
        };
        reader.finish()?;
        Ok(Wish { name, terms })
    }

    /// What becomes of a key where somebody changes it.
    pub fn read_change(&self, submission: &Submission, key: &StoredKey) -> Result<Wish, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let name = if reader.has("name") {
            reader.text(&TextField::required("name"))
        } else {
            key.name.clone()
        };
        let mut terms = key.terms.clone();
        read_terms(&mut reader, &mut terms);
        reader.finish()?;
        Ok(Wish { name, terms })
    }

    /// For how long an old key goes on, where somebody says so.
    pub fn read_overlap(&self, submission: &Submission) -> Result<Option<Duration>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let overlap = number(&mut reader, "overlap", 0..=LONGEST_LIFE).given();
        reader.finish()?;
        Ok(overlap.map(|seconds| Duration::from_secs(seconds.unsigned_abs())))
    }

    /// A key as it is shown.
    #[must_use]
    pub fn key(&self, key: &StoredKey, now: Timestamp) -> Value {
        let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
        json!({
            "id": key.id.get(),
            "name": key.name,
            "begins": key.beginning,
            "scope": key.terms.scopes.to_string(),
            "networks": key.terms.networks.to_string(),
            "rate": key.terms.rate,
            "created_at": key.created_at.rfc3339(),
            "expires_at": moment(key.terms.expires_at),
            "last_used_at": moment(key.last_used_at),
            "replaced_by": key.replaced_by.map(PersonalKeyId::get),
            "revoked_at": moment(key.revoked_at),
            "active": !key.terms.have_ended(now),
        })
    }

    /// All keys of an account; of the classic one its first characters.
    #[must_use]
    pub fn keys(&self, keys: &[StoredKey], classic: Option<&str>, now: Timestamp) -> Answer {
        let keys: Vec<Value> = keys.iter().map(|key| self.key(key, now)).collect();
        let classic = classic.map(|begins| json!({ "begins": begins }));
        Answer::json(StatusCode::OK, json!({ "keys": keys, "classic_key": classic }))
    }

    /// A key that was made: the one answer that holds it.
    #[must_use]
    pub fn issued(&self, issued: &IssuedKey, now: Timestamp) -> Answer {
        let mut body = self.key(&issued.stored, now);
        if let Value::Object(members) = &mut body {
            members.insert("key".to_owned(), issued.key.expose().into());
        }
        Answer::json(StatusCode::CREATED, body)
    }

    /// Why nothing was done.
    #[must_use]
    pub fn not_done(&self, why: NotDone) -> Answer {
        let field = |name: &str, complaint: String| {
            Answer::json(StatusCode::BAD_REQUEST, json!({ name: [complaint] }))
        };
        match why {
            NotDone::NoSuchKey => drf::not_found(self.words()),
            NotDone::NoClassicKey => {
                Answer::detail(StatusCode::NOT_FOUND, "The account has no classic key.")
            }
            NotDone::Replaced => {
                Answer::detail(StatusCode::CONFLICT, "Another key has taken its place already.")
            }
            NotDone::TooMany(most) => Answer::detail(
                StatusCode::CONFLICT,
                &format!("An account may have {most} keys: revoke one that is not needed."),
            ),
            NotDone::Name => field(
                "name",
                format!(
                    "Between 1 and {LONGEST_NAME} characters, none of them a control character."
                ),
            ),
            NotDone::Over => field("expires_at", "This moment lies in the past.".to_owned()),
            NotDone::OverlapTooLong => field(
                "overlap",
                format!("A key goes on for {} seconds at most.", LONGEST_OVERLAP.as_secs()),
            ),
            NotDone::TooLong(longest) => field(
                "expires_in",
                format!("A key may live for {} seconds at most.", longest.as_secs()),
            ),
        }
    }
}

/// Reads scope, networks and rate: what is not given stays as it is.
fn read_terms(reader: &mut Reader<'_>, terms: &mut Terms) {
    let judged = |why: Option<String>| why.into_iter().collect::<Vec<_>>();
    let scope = reader.optional(&TextField::required("scope"), |text| {
        judged(Scopes::parse(text).err().map(|why| why.to_string()))
    });
    if let Some(Ok(scopes)) = scope.as_deref().map(Scopes::parse) {
        terms.scopes = scopes;
    }
    let networks = reader.optional(&TextField::required("networks"), |text| {
        judged(Networks::parse(text).err().map(|why| why.to_string()))
    });
    if let Some(Ok(networks)) = networks.as_deref().map(Networks::parse) {
        terms.networks = networks;
    }
    match number(reader, "rate", 1..=i64::from(HIGHEST_RATE)) {
        Number::Absent => {}
        Number::Blank => terms.rate = None,
        Number::Is(rate) => terms.rate = u32::try_from(rate).ok(),
    }
}

/// What was given for a number.
enum Number {
    /// Nothing.
    Absent,
    /// `null`, or a blank text: there shall be none.
    Blank,
    /// This one.
    Is(i64),
}

impl Number {
    const fn given(self) -> Option<i64> {
        match self {
            Self::Is(number) => Some(number),
            Self::Absent | Self::Blank => None,
        }
    }
}

/// A whole number within a range; absent, and noted, where it is another.
fn number(reader: &mut Reader<'_>, name: &'static str, range: RangeInclusive<i64>) -> Number {
    if reader.has(name) && !reader.is_given(name) {
        return Number::Blank;
    }
    match reader.optional(&TextField::required(name), |_| Vec::new()) {
        None => Number::Absent,
        Some(text) if text.is_empty() => Number::Blank,
        Some(text) => {
            let number = text.parse().ok().filter(|number| range.contains(number));
            let Some(number) = number else {
                let (least, most) = (range.start(), range.end());
                reader.refuse(name, &format!("A whole number between {least} and {most}."));
                return Number::Absent;
            };
            Number::Is(number)
        }
    }
}

impl Dialect for Native {
    fn words(&self) -> &'static Words {
        &CURRENT
    }

    fn challenge(&self) -> &str {
        &self.challenge
    }

    fn refuse(&self, _: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::WrongCredentials | Refusal::OwnerInactive => Answer::unauthenticated(
                json!({ "detail": "No active account found with the given credentials" }),
            ),
            Refusal::Token(rejection) => Answer::unauthenticated(
                json!({ "detail": drf::rejection(self.words(), *rejection) }),
            ),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::TooMany { retry_after } => drf::throttled(self.words(), *retry_after),
            Refusal::Busy { retry_after } => drf::unavailable(*retry_after),
        }
    }
}

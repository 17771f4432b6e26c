//! The verifier: the only place that makes a [`VerifiedToken`], and allocates nothing on the way.
//!
//! The order of the checks decides which refusal a client reads; it is the order of
//! djangorestframework-simplejwt 5.5 over `PyJWT`: signature, `iat`, `nbf`, `exp`, `iss`, `aud`, then
//! (for refresh tokens, at the store) revocation, then presence of `exp`, `jti` and `token_type`.

use std::borrow::Cow;

use crate::base::clock::Timestamp;
use crate::base::encode::unbase64url;
use crate::token::algorithm::Algorithm;
use crate::token::claims::{Audience, Claims, FamilyId, Found, Kind};
use crate::token::jws;
use crate::token::key::KeyId;
use crate::token::key_ring::{KeyRing, RingKey};

/// The longest token that is looked at, in bytes. nginx passes header lines of up to 8 KiB.
pub const LONGEST: usize = 8 * 1024;
/// 9999-12-31T23:59:59Z: times beyond it are no times.
const LAST_SECOND: i64 = 253_402_300_799;

/// Why a token is refused: the wording of the peers' answers (CONTRACT.md 2.2) hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// `Token is invalid`.
    Invalid(Flaw),
    /// `Token is expired`: good but for its time (RFC 7519 4.1.4: "on or after").
    Expired,
    /// `Token is blacklisted`: taken back.
    Revoked,
    /// `Token has no 'exp' claim`.
    NoExpiry,
    /// `Token has no id`.
    NoTokenId,
    /// `Token has no type`.
    NoKind,
    /// `Token has wrong type`.
    WrongKind,
}

/// What exactly makes a token invalid: for `token inspect` and metrics, never for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Not three parts of canonical base64url, or too long.
    Malformed,
    /// The header is no JSON object, or asks for an extension (`crit`, RFC 7515 4.1.11).
    Header,
    /// None of our algorithms, `none` included.
    Algorithm,
    /// No key of ours made the signature.
    Signature,
    /// The payload is no JSON object, or a claim stands twice.
    Payload,
    /// A time claim is no number, or no time.
    Time,
    /// `iat` or `nbf` lies in the future.
    NotYet,
    /// `iss` is not ours.
    Issuer,
    /// `aud` does not name us, or names somebody where nobody is expected.
    Audience,
    /// `jti` or `sub` is no text.
    Text,
}

impl Flaw {
    /// A sentence for operators.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Malformed => "it is not three parts of canonical base64url, or it is too long",
            Self::Header => "its header is no JSON object, or asks for an extension (crit)",
            Self::Algorithm => "its algorithm is none of ours",
            Self::Signature => "no key of ours made its signature",
            Self::Payload => "its payload is no JSON object, or a claim stands in it twice",
            Self::Time => "a time in it is no number, or lies beyond the year 9999",
            Self::NotYet => "it is dated in the future (iat or nbf)",
            Self::Issuer => "its issuer (iss) is not the configured one",
            Self::Audience => "its audience (aud) is not the configured one",
            Self::Text => "its jti or sub is no text",
        }
    }
}

/// What a verifier expects beside a good signature.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// The only `iss` that is accepted, where configured.
    pub issuer: Option<String>,
    /// The `aud` that must be among the token's, where configured.
    pub audience: Option<String>,
    /// Refuse tokens that name an audience where none is configured (the pinned generation does).
    pub refuse_unexpected_audience: bool,
    /// How many seconds clocks may differ.
    pub leeway: i64,
    /// The name of the claim that holds the id of the account.
    pub user_claim: String,
    /// Life of an access token, to tell when a token without `iat` was issued at the earliest.
    pub access_lifetime: i64,
    /// The same for refresh tokens.
    pub refresh_lifetime: i64,
}

/// Room to decode a token into. Lives on the caller's stack, since the [`VerifiedToken`] borrows it.
#[derive(Default)]
pub struct Scratch {
    header: Room<128, 1024>,
    payload: Room<512, { LONGEST * 3 / 4 }>,
}

/// Room for the few bytes that are usual, and for the many that are allowed, which is cleared only where
/// it is needed.
struct Room<const FEW: usize, const MANY: usize> {
    few: [u8; FEW],
    many: Option<[u8; MANY]>,
}

impl<const FEW: usize, const MANY: usize> Default for Room<FEW, MANY> {
    fn default() -> Self {
        Self { few: [0; FEW], many: None }
    }
}

impl<const FEW: usize, const MANY: usize> Room<FEW, MANY> {
    /// As [`unbase64url`].
    fn decode(&mut self, text: &[u8]) -> Option<&[u8]> {
        if text.len().div_ceil(4) * 3 <= FEW {
            unbase64url(text, &mut self.few)
        } else {
            unbase64url(text, self.many.get_or_insert([0; MANY]))
        }
    }
}

/// A token whose signature, times, issuer and audience were found good. Made only in this file:
///
/// ```compile_fail
/// let forged = avain::token::verify::VerifiedToken { payload: b"{}" };
/// ```
#[derive(Debug)]
pub struct VerifiedToken<'s> {
    payload: &'s [u8],
    claims: Claims<'s>,
    held: &'s RingKey,
    expires_at: Option<i64>,
    issued_at: Option<i64>,
    lifetimes: (i64, i64),
}

/// Whom a token is about: the claim that holds the id of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An id that an account could have.
    Account(i32),
    /// Something else: no account can have it.
    Nobody,
    /// No such claim.
    Absent,
}

/// Verifies `presented` at `now`. `scratch` is overwritten.
///
/// Looks at the signature, `iat`, `nbf`, `exp`, `iss` and `aud`; what kind of token it is and whether it
/// was taken back, the caller asks of the result.
pub fn verify<'s>(
    ring: &'s KeyRing,
    expect: &Expectations,
    presented: &[u8],
    now: Timestamp,
    scratch: &'s mut Scratch,
) -> Result<VerifiedToken<'s>, Rejection> {
    let (held, payload) = verify_signature(ring, presented, scratch).map_err(Rejection::Invalid)?;
    let claims = Claims::read(payload, &expect.user_claim, expect.audience.as_deref())
        .ok_or(Rejection::Invalid(Flaw::Payload))?;
    let mut token = VerifiedToken {
        payload,
        claims,
        held,
        expires_at: None,
        issued_at: None,
        lifetimes: (expect.access_lifetime, expect.refresh_lifetime),
    };
    token.judge_times(expect.leeway, now)?;
    token.judge_parties(expect).map_err(Rejection::Invalid)?;
    Ok(token)
}

/// Splits, decodes, and finds the key that made the signature. Gives that key and the payload.
fn verify_signature<'r, 's>(
    ring: &'r KeyRing,
    presented: &[u8],
    scratch: &'s mut Scratch,
) -> Result<(&'r RingKey, &'s [u8]), Flaw> {
    if presented.len() > LONGEST {
        return Err(Flaw::Malformed);
    }
    // A further dot between these two is none of base64url's characters.
    let is_dot = |byte: &u8| *byte == b'.';
    let (first, second) = (presented.iter().position(is_dot), presented.iter().rposition(is_dot));
    let (Some(first), Some(second)) = (first, second.filter(|second| first < Some(*second))) else {
        return Err(Flaw::Malformed);
    };
    let (message, rest) = presented.split_at(second);
    let (header, payload) = message.split_at(first);
    let (payload, signature) = (payload.get(1..), rest.get(1..));
    let (Some(payload), Some(signature)) = (payload, signature) else {
        return Err(Flaw::Malformed);
    };

    let Scratch { header: header_room, payload: payload_room } = scratch;
    let foreign;
    let (algorithm, key_id) = if let Some((algorithm, key_id)) = ring.read_own_header(header) {
        (algorithm, Some(key_id))
    } else {
        let header = header_room.decode(header).ok_or(Flaw::Malformed)?;
        foreign = jws::parse_header(header).map_err(|_| Flaw::Header)?;
        let algorithm = Algorithm::parse(&foreign.algorithm).ok_or(Flaw::Algorithm)?;
        (algorithm, foreign.key_id.as_deref())
    };
    let mut signature_room = Room::<72, { jws::LONGEST_SIGNATURE }>::default();
    let signature = signature_room.decode(signature).ok_or(Flaw::Malformed)?;
    let held = ring
        .candidates(algorithm, key_id)
        .find(|held| held.key.verify_signature(message, signature))
        .ok_or(if ring.candidates(algorithm, None).next().is_some() {
            Flaw::Signature
        } else {
            Flaw::Algorithm
        })?;
    // Decoded after the signature: nothing reads what nobody has signed.
    let payload = payload_room.decode(payload).ok_or(Flaw::Malformed)?;
    Ok((held, payload))
}

impl VerifiedToken<'_> {
    fn judge_times(&mut self, leeway: i64, now: Timestamp) -> Result<(), Rejection> {
        let now = now.seconds();
        let invalid = |flaw| Err(Rejection::Invalid(flaw));
        let Ok(issued_at) = seconds(&self.claims.issued_at) else { return invalid(Flaw::Time) };
        if issued_at.is_some_and(|issued_at| issued_at > now.saturating_add(leeway)) {
            return invalid(Flaw::NotYet);
        }
        let Ok(not_before) = seconds(&self.claims.not_before) else { return invalid(Flaw::Time) };
        if not_before.is_some_and(|not_before| not_before > now.saturating_add(leeway)) {
            return invalid(Flaw::NotYet);
        }
        let Ok(expires_at) = seconds(&self.claims.expires_at) else { return invalid(Flaw::Time) };
        if expires_at.is_some_and(|expires_at| expires_at <= now.saturating_sub(leeway)) {
            return Err(Rejection::Expired);
        }
        self.expires_at = expires_at;
        self.issued_at = issued_at;
        Ok(())
    }

    fn judge_parties(&self, expect: &Expectations) -> Result<(), Flaw> {
        if let Some(issuer) = &expect.issuer
            && !matches!(&self.claims.issuer, Found::Text(found) if found == issuer)
        {
            return Err(Flaw::Issuer);
        }
        let expected = expect.audience.is_some();
        if (expected && self.claims.audience != Audience::Includes)
            || (!expected
                && expect.refuse_unexpected_audience
                && self.claims.audience != Audience::Absent)
        {
            return Err(Flaw::Audience);
        }
        for claim in [&self.claims.token_id, &self.claims.subject] {
            if !matches!(claim, Found::Absent | Found::Text(_)) {
                return Err(Flaw::Text);
            }
        }
        Ok(())
    }

    /// Refuses a token without `exp` or `jti`: no token of ours, and one that never ends.
    pub fn require_identity(&self) -> Result<(), Rejection> {
        if self.expires_at.is_none() {
            return Err(Rejection::NoExpiry);
        }
        if self.token_id().is_none() {
            return Err(Rejection::NoTokenId);
        }
        Ok(())
    }

    /// Refuses all but complete tokens of `kind`.
    pub fn require(&self, kind: Kind) -> Result<(), Rejection> {
        self.require_identity()?;
        match &self.claims.token_type {
            Found::Absent => Err(Rejection::NoKind),
            Found::Text(found) if found == kind.as_str() => Ok(()),
            _ => Err(Rejection::WrongKind),
        }
    }

    /// `exp`, Unix seconds.
    #[must_use]
    pub const fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// `jti`.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        text(&self.claims.token_id)
    }

    /// Whether `token_type` says so. (Says nothing about completeness; see [`Self::require`].)
    #[must_use]
    pub fn is(&self, kind: Kind) -> bool {
        text(&self.claims.token_type) == Some(kind.as_str())
    }

    /// Its scopes, separated by spaces (RFC 9068 2.2.3). Where the claim is no text there are none.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        text(&self.claims.scope).filter(|scope| !scope.is_empty())
    }

    /// The client that it was issued to, if it was issued to one (RFC 8693 4.3).
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        text(&self.claims.client)
    }

    /// Whether somebody acts as whom it is about (`act`, RFC 8693 4.1). Reads the payload once more, and so is
    /// not for the gate; what cannot be read says yes.
    #[must_use]
    pub fn is_acted(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Acted {
            act: Option<serde::de::IgnoredAny>,
        }
        serde_json::from_slice::<Acted>(self.payload).map_or(true, |read| read.act.is_some())
    }

    /// Whom it is about. The id may be written as a number or as decimal text; text around which there
    /// is anything else names nobody.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let id = match &self.claims.user {
            Found::Absent => return Subject::Absent,
            Found::Integer(id) => i32::try_from(*id).ok(),
            Found::Text(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => id.parse().ok(),
            Found::Text(_) | Found::Number(_) | Found::Other => None,
        };
        id.map_or(Subject::Nobody, Subject::Account)
    }

    /// The refresh family that it belongs to: `sid`, else the one that a token from before the
    /// change-over would be adopted into.
    #[must_use]
    pub fn family(&self) -> Option<FamilyId> {
        if let Some(family) = text(&self.claims.family).and_then(FamilyId::parse) {
            return Some(family);
        }
        self.token_id().map(|token_id| FamilyId::adopt(self.issued_at(), token_id))
    }

    /// When its family began: what is judged against "signed out everywhere at".
    #[must_use]
    pub fn begun_at(&self) -> Timestamp {
        text(&self.claims.family)
            .and_then(FamilyId::parse)
            .map_or_else(|| self.issued_at(), FamilyId::begun_at)
    }

    /// When it was issued: `iat`, else the earliest moment at which it can have been.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        let lifetime = if self.is(Kind::Refresh) { self.lifetimes.1 } else { self.lifetimes.0 };
        Timestamp::from_seconds(self.issued_at.unwrap_or_else(|| {
            self.expires_at.map_or(0, |expires_at| expires_at.saturating_sub(lifetime))
        }))
    }

    /// When the key that signed it was imported from a service that ours takes over from.
    #[must_use]
    pub const fn imported_at(&self) -> Option<Timestamp> {
        self.held.imported_at
    }

    /// The key that signed it.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        self.held.key.id()
    }

    /// All its claims, a JSON object.
    #[must_use]
    pub const fn payload(&self) -> &[u8] {
        self.payload
    }
}

/// A time claim in whole seconds: `Ok(None)` where absent, `Err` where it is no time.
fn seconds(claim: &Found<'_>) -> Result<Option<i64>, ()> {
    let seconds = match claim {
        Found::Absent => return Ok(None),
        Found::Integer(seconds) => *seconds,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range is judged below; `as` saturates"
        )]
        Found::Number(number) if number.is_finite() => number.trunc() as i64,
        Found::Number(_) | Found::Text(_) | Found::Other => return Err(()),
    };
    if (-LAST_SECOND..=LAST_SECOND).contains(&seconds) { Ok(Some(seconds)) } else { Err(()) }
}

fn text<'c>(claim: &'c Found<'_>) -> Option<&'c str> {
    match claim {
        Found::Text(text) => Some(Cow::as_ref(text)),
        _ => None,
    }
}

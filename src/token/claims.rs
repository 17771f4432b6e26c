//! Claims: their names on the wire, their shape, and reading them without allocating.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use crate::account::account::Account;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::{hex, unhex};
use crate::base::random::{self, Random};
use crate::token::client::{Client, ClientScopes};

/// What a token is for: the claim `token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens resources.
    Access,
    /// Obtains new access tokens.
    Refresh,
}

impl Kind {
    /// The value of the claim `token_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// The id of a refresh family: the claim `sid`, 32 hex digits on the wire. Its first six bytes are the
/// Unix milliseconds at which the family began, so that "everything before this moment" can be judged
/// from a token alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId([u8; 16]);

impl FamilyId {
    /// A new family that begins at `at`.
    pub fn begin(at: Timestamp, random: &dyn Random) -> Self {
        Self::compose(at, random::bytes::<10>(random))
    }

    /// The family of a token that was issued elsewhere, before the change-over: the same for every
    /// look at the same token.
    #[must_use]
    pub fn adopt(issued_at: Timestamp, token_id: &str) -> Self {
        let mut tail = [0; 10];
        for (to, from) in tail.iter_mut().zip(Digest::of(token_id.as_bytes()).as_bytes()) {
            *to = *from;
        }
        Self::compose(issued_at, tail)
    }

    fn compose(at: Timestamp, tail: [u8; 10]) -> Self {
        let millis = u64::try_from(at.millis()).unwrap_or(0).to_be_bytes();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(millis.iter().skip(2).chain(&tail)) {
            *to = *from;
        }
        Self(id)
    }

    /// When the family began, to the millisecond.
    #[must_use]
    pub fn begun_at(self) -> Timestamp {
        let millis = self.0.iter().take(6).fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        Timestamp::from_millis(millis)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// An id read back from the store.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The text of the claim.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the id of the account is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserIdAs {
    /// `"7"`, as djangorestframework-simplejwt 5.5 writes it.
    Text,
    /// `7`, as its older releases write it.
    Number,
}

/// Where a further claim comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    /// The account's user name.
    Username,
    /// The account's e-mail address.
    Email,
    /// Whether the account is staff.
    IsStaff,
    /// The account's id as text.
    UserId,
    /// The same value in every token.
    Fixed(Value),
}

/// What claims look like: the settings `tokens.*` that every layout shares.
#[derive(Clone, Debug)]
pub struct ClaimsShape {
    /// `iss`, where configured.
    pub issuer: Option<String>,
    /// `aud`, where configured.
    pub audience: Option<String>,
    /// The name of the claim that holds the id of the account.
    pub user_claim: String,
    /// How that id is written.
    pub user_id_as: UserIdAs,
    /// Whether `iat` is written (the pinned generation has none).
    pub issued_at: bool,
    /// Claims beside the recorded ones.
    pub further: Vec<(String, ClaimSource)>,
}

/// What differs by layout: how long its tokens live, and what goes into them.
#[derive(Clone, Copy, Debug)]
pub struct TokenRules {
    /// Life of an access token.
    pub access_lifetime: Duration,
    /// Life of a refresh token.
    pub refresh_lifetime: Duration,
    /// Whether `first_name` and `last_name` are written.
    pub names: bool,
    /// Whether each refresh gives a new refresh token.
    pub rotation: bool,
}

/// The claims that belong to one token and are not copied to the next.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// `token_type`.
    pub kind: Kind,
    /// `exp`, Unix seconds.
    pub expires_at: i64,
    /// `iat`, Unix seconds.
    pub issued_at: i64,
    /// `jti`, 32 hex digits.
    pub token_id: String,
}

impl ClaimsShape {
    /// The claims that a family begins with: all but those of a [`Stamp`].
    #[must_use]
    pub fn of_account(
        &self,
        account: &Account,
        rules: &TokenRules,
        family: FamilyId,
    ) -> Map<String, Value> {
        let mut claims = Map::new();
        let id = account.id.get();
        let user_id = match self.user_id_as {
            UserIdAs::Text => Value::from(id.to_string()),
            UserIdAs::Number => Value::from(id),
        };
        claims.insert(self.user_claim.clone(), user_id);
        if rules.names {
            claims.insert("first_name".to_owned(), Value::from(account.first_name.as_str()));
            claims.insert("last_name".to_owned(), Value::from(account.last_name.as_str()));
        }
        if let Some(audience) = &self.audience {
            claims.insert("aud".to_owned(), Value::from(audience.as_str()));
        }
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), Value::from(issuer.as_str()));
        }
        for (name, source) in &self.further {
            let value = match source {
                ClaimSource::Username => Value::from(account.username.as_str()),
                ClaimSource::Email => Value::from(account.email.as_str()),
                ClaimSource::IsStaff => Value::from(account.is_staff),
                ClaimSource::UserId => Value::from(id.to_string()),
                ClaimSource::Fixed(value) => value.clone(),
            };
            claims.insert(name.clone(), value);
        }
        claims.insert("sid".to_owned(), Value::from(family.to_string()));
        claims
    }

    /// The claims of a token that a client is issued: those of the account that it acts as, if it acts as one,
    /// and beside them `client_id` and `scope` (RFC 9068 2.2). Without an account nobody is named.
    #[must_use]
    pub fn of_client(
        &self,
        client: &Client,
        scopes: &ClientScopes,
        account: Option<&Account>,
        rules: &TokenRules,
        family: FamilyId,
    ) -> Map<String, Value> {
        let mut claims = match account {
            Some(account) => self.of_account(account, rules, family),
            None => Map::from_iter([("sid".to_owned(), Value::from(family.to_string()))]),
        };
        claims.insert("client_id".to_owned(), Value::from(client.id.as_str()));
        claims.insert("scope".to_owned(), Value::from(scopes.to_string()));
        claims
    }

    /// Puts `stamp` in front of `claims`, in the order in which djangorestframework-simplejwt writes.
    #[must_use]
    pub fn stamped(&self, stamp: &Stamp, claims: &Map<String, Value>) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("token_type".to_owned(), Value::from(stamp.kind.as_str()));
        out.insert("exp".to_owned(), Value::from(stamp.expires_at));
        if self.issued_at {
            out.insert("iat".to_owned(), Value::from(stamp.issued_at));
        }
        out.insert("jti".to_owned(), Value::from(stamp.token_id.as_str()));
        for (name, value) in claims {
            if !matches!(name.as_str(), "token_type" | "exp" | "iat" | "jti") {
                out.insert(name.clone(), value.clone());
            }
        }
        // Written anew where they are configured: a token that was presented may name further audiences.
        for (name, configured) in [("aud", &self.audience), ("iss", &self.issuer)] {
            if let Some(value) = configured {
                out.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        out
    }
}

/// A claim as it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Found<'p> {
    /// Not there.
    #[default]
    Absent,
    /// A JSON number.
    Number(f64),
    /// An integer of at most 64 bits.
    Integer(i64),
    /// A JSON string.
    Text(Cow<'p, str>),
    /// `null`, a boolean, a list or an object.
    Other,
}

/// The claims that a verifier looks at.
#[derive(Debug, Default)]
pub(super) struct Claims<'p> {
    pub(super) token_type: Found<'p>,
    pub(super) expires_at: Found<'p>,
    pub(super) issued_at: Found<'p>,
    pub(super) not_before: Found<'p>,
    pub(super) token_id: Found<'p>,
    pub(super) issuer: Found<'p>,
    pub(super) subject: Found<'p>,
    pub(super) family: Found<'p>,
    pub(super) user: Found<'p>,
    pub(super) scope: Found<'p>,
    pub(super) client: Found<'p>,
    pub(super) audience: Audience,
}

/// What `aud` says about the audience that we expect (RFC 7519 4.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Audience {
    /// No such claim.
    #[default]
    Absent,
    /// The expected one is among them.
    Includes,
    /// Others.
    Others,
}

impl<'p> Claims<'p> {
    /// Reads a JSON object. Errors on anything else and on a claim of ours that stands twice (RFC 7519
    /// 4 lets us choose; two readers of one token must not see two values).
    pub(super) fn read(
        payload: &'p [u8],
        user_claim: &str,
        audience: Option<&str>,
    ) -> Option<Self> {
        let mut from = serde_json::Deserializer::from_slice(payload);
        let claims = ClaimsSeed { user_claim, audience }.deserialize(&mut from).ok()?;
        from.end().ok()?;
        Some(claims)
    }
}

struct ClaimsSeed<'s> {
    user_claim: &'s str,
    audience: Option<&'s str>,
}

impl<'p> DeserializeSeed<'p> for ClaimsSeed<'_> {
    type Value = Claims<'p>;

    fn deserialize<D: Deserializer<'p>>(self, from: D) -> Result<Claims<'p>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'p> Visitor<'p> for ClaimsSeed<'_> {
    type Value = Claims<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<Claims<'p>, A::Error> {
        let mut claims = Claims::default();
        while let Some(Name(name)) = map.next_key()? {
            let slot = match name.as_ref() {
                "aud" => {
                    if claims.audience != Audience::Absent {
                        return Err(A::Error::custom("twice"));
                    }
                    claims.audience = map.next_value_seed(AudienceSeed(self.audience))?;
                    continue;
                }
                "token_type" => &mut claims.token_type,
                "exp" => &mut claims.expires_at,
                "iat" => &mut claims.issued_at,
                "nbf" => &mut claims.not_before,
                "jti" => &mut claims.token_id,
                "iss" => &mut claims.issuer,
                "sub" if self.user_claim != "sub" => &mut claims.subject,
                "sid" => &mut claims.family,
                "scope" if self.user_claim != "scope" => &mut claims.scope,
                "client_id" if self.user_claim != "client_id" => &mut claims.client,
                other if other == self.user_claim => &mut claims.user,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if *slot != Found::Absent {
                return Err(A::Error::custom("twice"));
            }
            *slot = map.next_value_seed(FoundSeed)?;
        }
        Ok(claims)
    }
}

/// A member's name: borrowed unless it is written with escapes.
struct Name<'p>(Cow<'p, str>);

impl<'p> serde::Deserialize<'p> for Name<'p> {
    fn deserialize<D: Deserializer<'p>>(from: D) -> Result<Self, D::Error> {
        match FoundSeed.deserialize(from)? {
            Found::Text(name) => Ok(Self(name)),
            _ => Err(D::Error::custom("not a name")),
        }
    }
}

struct FoundSeed;

impl<'p> DeserializeSeed<'p> for FoundSeed {
    type Value = Found<'p>;

    fn deserialize<D: Deserializer<'p>>(self, from: D) -> Result<Found<'p>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for FoundSeed {
    type Value = Found<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claim")
    }

    fn visit_borrowed_str<E>(self, text: &'p str) -> Result<Found<'p>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'p>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found<'p>, E> {
        Ok(Found::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found<'p>, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond i64 only its size counts")]
        Ok(i64::try_from(number).map_or(Found::Number(number as f64), Found::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found<'p>, E> {
        Ok(Found::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'p>, E> {
        Ok(Found::Other)
    }

    fn visit_unit<E>(self) -> Result<Found<'p>, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut seq: A) -> Result<Found<'p>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<Found<'p>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }
}

/// Reads `aud`, a string or a list of strings, and compares on the way.
struct AudienceSeed<'s>(Option<&'s str>);

impl<'p> DeserializeSeed<'p> for AudienceSeed<'_> {
    type Value = Audience;

    fn deserialize<D: Deserializer<'p>>(self, from: D) -> Result<Audience, D::Error> {
        from.deserialize_any(self)
    }
}

impl AudienceSeed<'_> {
    fn judge(&self, found: &Found<'_>) -> Audience {
        match (found, self.0) {
            (Found::Text(audience), Some(expected)) if audience == expected => Audience::Includes,
            _ => Audience::Others,
        }
    }
}

impl<'p> Visitor<'p> for AudienceSeed<'_> {
    type Value = Audience;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an audience or a list of them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Audience, E> {
        Ok(self.judge(&Found::Text(Cow::Borrowed(text))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Audience, E> {
        Ok(Audience::Others)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Audience, E> {
        Ok(Audience::Others)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Audience, E> {
        Ok(Audience::Others)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Audience, E> {
        Ok(Audience::Others)
    }

    fn visit_unit<E>(self) -> Result<Audience, E> {
        Ok(Audience::Others)
    }

    fn visit_map<A: MapAccess<'p>>(self, map: A) -> Result<Audience, A::Error> {
        FoundSeed.visit_map(map).map(|_| Audience::Others)
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut seq: A) -> Result<Audience, A::Error> {
        let (mut includes, mut all_texts) = (false, true);
        while let Some(found) = seq.next_element_seed(FoundSeed)? {
            includes |= self.judge(&found) == Audience::Includes;
            all_texts &= matches!(found, Found::Text(_));
        }
        // A list with anything else in it is no list of audiences (RFC 7519 4.1.3).
        Ok(if includes && all_texts { Audience::Includes } else { Audience::Others })
    }
}

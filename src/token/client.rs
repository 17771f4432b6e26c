//! Registered clients: programs with a name and a secret of their own (RFC 6749 2). What they may ask for, and
//! the proof that one of them has shown its secret.

use std::fmt;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::base64url;
use crate::base::random::{self, Random};
use crate::base::secret::{Secret, same_bytes};

/// The scope of clients that may introspect tokens.
pub const INTROSPECT: &str = "introspect";

/// The name that a client authenticates with: 1 to 64 letters, digits, `-`, `.`, `_` and `~`. These characters
/// stand for themselves in a form and in `Authorization: Basic` (RFC 6749 2.3.1, appendix B).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// An id as somebody gives it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
        ((1..=64).contains(&text.len()) && text.bytes().all(known)).then(|| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a client authenticates with: `avcs_` and 256 random bits in base64url. Leak scanners find it.
#[derive(Clone, Debug)]
pub struct ClientSecret(Secret<String>);

/// What every secret begins with.
const SECRET_PREFIX: &str = "avcs_";

impl ClientSecret {
    /// A new secret.
    pub fn generate(random: &dyn Random) -> Self {
        let bytes = zeroize::Zeroizing::new(random::bytes::<32>(random));
        Self(Secret::new(format!("{SECRET_PREFIX}{}", base64url(&*bytes))))
    }

    /// The text to hand out, once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept in its place. One round of SHA-256 is enough: nobody can try 2^256 secrets, and a slow
    /// hash would only let strangers spend our time.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(self.expose())
    }
}

fn digest(secret: &str) -> Digest {
    Digest::of_parts(&[b"client secret ", secret.as_bytes()])
}

/// What a client may ask tokens with (RFC 6749 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Its own authentication (RFC 6749 4.4).
    ClientCredentials,
    /// A refresh token (RFC 6749 6).
    RefreshToken,
}

impl Grant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ClientCredentials, Self::RefreshToken];

    /// The value of `grant_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// The grant of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// The plain scopes of a client, or of what it asks for (RFC 6749 3.3). None of them twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientScopes(Vec<String>);

/// Characters of a list of scopes at most: it travels in every token and in a header.
const LONGEST_SCOPES: usize = 1000;

impl ClientScopes {
    /// Reads words between spaces; `None` where there is a character that no scope may have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |c: u8| c.is_ascii_graphic() && c != b'"' && c != b'\\';
        let mut scopes = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !word.bytes().all(known) {
                return None;
            }
            if !scopes.iter().any(|scope| scope == word) {
                scopes.push(word.to_owned());
            }
        }
        (text.len() <= LONGEST_SCOPES).then_some(Self(scopes))
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.0.iter().any(|found| found == scope)
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub fn include(&self, other: &Self) -> bool {
        other.0.iter().all(|scope| self.has(scope))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Words between spaces.
impl fmt::Display for ClientScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(" "))
    }
}

/// A client as it is kept.
#[derive(Clone, Debug)]
pub struct Client {
    /// The name that it authenticates with.
    pub id: ClientId,
    /// The name that people know it by.
    pub name: String,
    /// What it may ask for.
    pub scopes: ClientScopes,
    /// How it may ask.
    pub grants: Vec<Grant>,
    /// The account that it acts as, if it acts as one.
    pub account: Option<AccountId>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was switched off, if it was.
    pub disabled_at: Option<Timestamp>,
    /// When a token was last issued to it.
    pub last_used_at: Option<Timestamp>,
    /// Its secrets: one, or several while one takes the place of another.
    pub secrets: Vec<KnownSecret>,
}

/// A secret as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct KnownSecret {
    /// Its digest.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if another one has taken its place.
    pub ends_at: Option<Timestamp>,
}

/// A client that has shown its secret. Made only in this file.
///
/// ```compile_fail
/// let anybody = avain::token::client::AuthenticatedClient { client: todo!() };
/// ```
#[derive(Debug)]
pub struct AuthenticatedClient {
    client: Client,
    secret: KnownSecret,
}

impl Client {
    /// Whether `presented` is one of its secrets at `now`, and it is not switched off. All its secrets are
    /// compared, in time that depends on nothing secret.
    #[must_use]
    pub fn authenticate(self, presented: &str, now: Timestamp) -> Option<AuthenticatedClient> {
        let presented = digest(presented);
        let mut found = None;
        for secret in &self.secrets {
            let same = same_bytes(secret.digest.as_bytes(), presented.as_bytes());
            if same && secret.ends_at.is_none_or(|ends_at| now < ends_at) {
                found = Some(*secret);
            }
        }
        let secret = found.filter(|_| self.disabled_at.is_none())?;
        Some(AuthenticatedClient { client: self, secret })
    }

    /// Whether it may use a grant.
    #[must_use]
    pub fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }
}

impl AuthenticatedClient {
    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The secret that it has shown.
    #[must_use]
    pub const fn secret(&self) -> &KnownSecret {
        &self.secret
    }
}

/// Whether a text can be a secret of a client: anything else is wrong without a look.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    text.strip_prefix(SECRET_PREFIX).is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn client(secrets: &[(&ClientSecret, Option<i64>)]) -> Client {
        Client {
            id: ClientId::parse("reports").expect("is an id"),
            name: "Reports".to_owned(),
            scopes: ClientScopes::parse("read introspect").expect("are scopes"),
            grants: vec![Grant::ClientCredentials],
            account: None,
            created_at: NOW,
            disabled_at: None,
            last_used_at: None,
            secrets: secrets
                .iter()
                .map(|(secret, ends_in)| KnownSecret {
                    digest: secret.digest(),
                    created_at: NOW,
                    ends_at: ends_in
                        .map(|seconds| Timestamp::from_seconds(NOW.seconds() + seconds)),
                })
                .collect(),
        }
    }

    #[test]
    fn a_secret_authenticates_until_it_ends_and_while_the_client_is_on() {
        let random = SeededRandom::new(1);
        let (old, new) = (ClientSecret::generate(&random), ClientSecret::generate(&random));
        let client = client(&[(&old, Some(60)), (&new, None)]);
        let later = Timestamp::from_seconds(NOW.seconds() + 60);
        let shows = |secret: &str, now| client.clone().authenticate(secret, now).is_some();
        assert!(shows(old.expose(), NOW) && shows(new.expose(), NOW));
        assert!(!shows(old.expose(), later) && shows(new.expose(), later));
        for wrong in ["", "avcs_", &new.expose()[..47], &new.expose().to_uppercase()] {
            assert!(!shows(wrong, NOW), "{wrong}");
        }
        let off = Client { disabled_at: Some(NOW), ..client };
        assert!(off.authenticate(new.expose(), NOW).is_none());
    }

    #[test]
    fn secrets_have_a_form_and_are_not_shown() {
        let secret = ClientSecret::generate(&SeededRandom::new(1));
        assert!(is_secret(secret.expose()));
        assert!(!format!("{secret:?}").contains(secret.expose()));
        for wrong in
            ["", "avcs_", "secret", &secret.expose()[1..], &format!("{}=", secret.expose())]
        {
            assert!(!is_secret(wrong), "{wrong}");
        }
    }

    #[test]
    fn scopes_are_words_and_stand_once() {
        let scopes = ClientScopes::parse(" read  write read ").expect("are scopes");
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.include(&ClientScopes::parse("write").expect("is one")));
        assert!(scopes.include(&ClientScopes::default()));
        assert!(!scopes.include(&ClientScopes::parse("read admin").expect("are two")));
        for wrong in ["a\"b", "a\\b", "ä", "a\tb", "a\nb", &"x".repeat(1001)] {
            assert_eq!(ClientScopes::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ids_stand_for_themselves_in_forms() {
        for right in ["a", "reports-2.x_y~z", &"x".repeat(64)] {
            assert!(ClientId::parse(right).is_some(), "{right}");
        }
        for wrong in ["", "a b", "a:b", "a+b", "a%20b", "ä", &"x".repeat(65)] {
            assert!(ClientId::parse(wrong).is_none(), "{wrong}");
        }
    }
}

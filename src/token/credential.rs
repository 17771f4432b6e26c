//! What arrives in `Authorization`: splitting the header as the peers do, and every way to refuse it.

use crate::token::verify::Rejection;

/// How a credential was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Bearer <jwt>` (RFC 6750 2.1), or another word in its place where a setting says so.
    Bearer,
    /// `Token <key>`, Django REST framework's scheme for API keys.
    Token,
}

/// A presented credential: syntactically in order, otherwise unverified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'h> {
    /// No header, an empty one, or a scheme that nobody handles.
    None,
    /// The text behind the bearer prefix.
    Bearer(&'h [u8]),
    /// The text behind `Token`.
    ApiKey(&'h str),
}

/// Why a request may not pass, in the detail that the peers' answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Nothing usable was presented and the request needs an account.
    NoCredentials,
    /// `Bearer` without a token, or with more than one word behind it.
    BearerHeader,
    /// The bearer token does not verify.
    Bearer(Rejection),
    /// The bearer token names no account (djangorestframework-simplejwt `get_user`).
    NoSubject,
    /// The account that the bearer token names does not exist.
    SubjectNotFound,
    /// The account that the bearer token names is switched off.
    SubjectInactive,
    /// `Token` without a key.
    TokenHeaderEmpty,
    /// More than one word behind `Token`.
    TokenHeaderSpaces,
    /// The key is not UTF-8.
    TokenHeaderCharacters,
    /// No such API key.
    UnknownApiKey,
    /// The owner of the API key is switched off.
    ApiKeyOwnerInactive,
    /// Known, but not allowed to do this.
    Forbidden,
}

impl Denial {
    /// Whether the answer is 401 (who are you?) and not 403 (RFC 9110 15.5.2, 15.5.4).
    #[must_use]
    pub const fn is_unauthenticated(self) -> bool {
        !matches!(self, Self::Forbidden)
    }
}

/// Which schemes count, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Schemes {
    /// Tried one after the other; the first also names the `WWW-Authenticate` challenge.
    pub accepted: Vec<Scheme>,
    /// The word for [`Scheme::Bearer`], compared with its case as djangorestframework-simplejwt does.
    pub bearer_prefix: String,
}

impl Schemes {
    /// Splits the value of an `Authorization` header. White space around and between words does not
    /// count; what behind it is malformed is refused as the peers refuse it (`TokenAuthentication` and
    /// `JWTAuthentication.get_raw_token`).
    pub fn read<'h>(&self, header: Option<&'h [u8]>) -> Result<Credential<'h>, Denial> {
        let Some(header) = header else { return Ok(Credential::None) };
        let mut words = Words(header);
        let Some(word) = words.next() else { return Ok(Credential::None) };
        let (value, more) = (words.next(), words.next().is_some());
        for scheme in &self.accepted {
            match scheme {
                Scheme::Bearer if word == self.bearer_prefix.as_bytes() => {
                    return match (value, more) {
                        (Some(token), false) => Ok(Credential::Bearer(token)),
                        _ => Err(Denial::BearerHeader),
                    };
                }
                Scheme::Token if word.eq_ignore_ascii_case(b"token") => {
                    return match (value, more) {
                        (None, _) => Err(Denial::TokenHeaderEmpty),
                        (Some(_), true) => Err(Denial::TokenHeaderSpaces),
                        (Some(key), false) => std::str::from_utf8(key)
                            .map(Credential::ApiKey)
                            .map_err(|_| Denial::TokenHeaderCharacters),
                    };
                }
                Scheme::Bearer | Scheme::Token => {}
            }
        }
        Ok(Credential::None)
    }
}

/// The words of a text, between white space.
struct Words<'h>(&'h [u8]);

impl<'h> Iterator for Words<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let text = self.0.trim_ascii_start();
        // A token is long: blocks of characters beyond the space are passed over with one comparison each.
        let plain = |block: &&[u8]| block.iter().fold(u8::MAX, |least, b| least.min(*b)) > b' ';
        let plain = text.chunks_exact(32).take_while(plain).count() * 32;
        let rest = text.get(plain..)?;
        let end = plain + rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<Credential<'_>, Denial> {
        let schemes = Schemes {
            accepted: vec![Scheme::Bearer, Scheme::Token],
            bearer_prefix: "Bearer".into(),
        };
        // The header outlives the call; the schemes do not appear in the result.
        schemes.read(Some(header.as_bytes()))
    }

    #[test]
    fn words_are_split_as_the_peers_split_them() {
        assert!(matches!(read("Bearer a.b.c"), Ok(Credential::Bearer(b"a.b.c"))));
        assert!(matches!(read("Bearer \t a.b.c "), Ok(Credential::Bearer(b"a.b.c"))));
        assert!(matches!(read("tOKEN abc"), Ok(Credential::ApiKey("abc"))));
        assert!(matches!(read("bearer a.b.c"), Ok(Credential::None)));
        assert!(matches!(read("Bearer,a"), Ok(Credential::None)));
        assert!(matches!(read("Basic YTpi"), Ok(Credential::None)));
        assert!(matches!(read("  "), Ok(Credential::None)));
        assert!(matches!(read("Bearer"), Err(Denial::BearerHeader)));
        assert!(matches!(read("Bearer a b"), Err(Denial::BearerHeader)));
        assert!(matches!(read("Token"), Err(Denial::TokenHeaderEmpty)));
        assert!(matches!(read("Token a b c"), Err(Denial::TokenHeaderSpaces)));
    }
}

//! Stored passwords: Django's encoded hashes, read and written.
//!
//! | Stored | Written by |
//! | --- | --- |
//! | `pbkdf2_sha256$rounds$salt$base64` | Django's default; we, where Django shares the row |
//! | `pbkdf2_sha1$rounds$salt$base64` | Django |
//! | `argon2$argon2id$v=19$m=KiB,t=passes,p=lanes$salt$hash` | Django with argon2-cffi; we |
//! | `argon2$argon2i$…`, `argon2$argon2d$…`, `v=16`, no `v` | Django 1.10 to 3.0 |
//! | `bcrypt$$2b$cost$salt and hash` | Django with bcrypt |
//! | `bcrypt_sha256$$2b$cost$salt and hash` | Django with bcrypt |
//! | `scrypt$N$salt$r$p$base64` | Django from 4.0 |
//! | `!…` | Django: no password can match |
//!
//! Anything else never matches. Django compares the text of a hash computed anew with the stored
//! text, so only the text that it would write itself can match: numbers without a sign or leading
//! zeros, base64 in its canonical form.

use std::collections::BTreeMap;

use argon2::{Algorithm, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{NO_PAD, STANDARD, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose};

use crate::account::cost::{CostLimits, Parameters, Scheme};
use crate::account::derive::{BCRYPT_HASH, BCRYPT_SALT, Memory};
use crate::base::random::{Random, bytes};
use crate::base::secret::Secret;

/// What is stored in the place of a password: Django's encoded hash, the column `password`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPassword(Secret<String>);

impl StoredPassword {
    /// Wraps the column as it is stored.
    #[must_use]
    pub fn new(encoded: String) -> Self {
        Self(Secret::new(encoded))
    }

    /// What Django stores for an account that cannot sign in with a password: `!` and 40 characters
    /// (`UNUSABLE_PASSWORD_SUFFIX_LENGTH`).
    #[must_use]
    pub fn unusable(random: &dyn Random) -> Self {
        Self::new(format!("!{}", random_text::<40>(random)))
    }

    /// The hash of `password` as `scheme` writes it, with a new salt.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it does not: see `Scheme::parameters`")]
    pub fn hash(
        password: &Secret<String>,
        scheme: Scheme,
        random: &dyn Random,
        memory: &mut Memory,
    ) -> Self {
        let parameters = scheme.parameters();
        let salt = random_text::<22>(random);
        let hash = parameters
            .derive(password, salt.as_bytes(), 32, memory)
            .expect("a scheme has parameters that its algorithm takes");
        let hash = hash.expose();
        Self::new(match parameters {
            Parameters::Argon2 { memory_kib, iterations, lanes, .. } => format!(
                "argon2$argon2id$v=19$m={memory_kib},t={iterations},p={lanes}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(hash)
            ),
            Parameters::Pbkdf2Sha256 { iterations } => {
                format!("pbkdf2_sha256${iterations}${salt}${}", STANDARD.encode(hash))
            }
            other => unreachable!("no scheme writes {other:?}"),
        })
    }

    /// Whether somebody could sign in with it (`AbstractBaseUser.has_usable_password`).
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.0.expose().starts_with('!')
    }

    /// The text for the column.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A stored password, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordHash {
    /// A hash in one of Django's forms.
    Known {
        /// The algorithm and its cost.
        parameters: Parameters,
        /// The salt.
        salt: Vec<u8>,
        /// What the right password gives.
        hash: Secret<Vec<u8>>,
    },
    /// Django's `!…`: the account has no password.
    Unusable,
    /// Anything else.
    Malformed,
}

/// What comparing a stored hash with a presented password found, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is the password.
    Right(Parameters),
    /// It is another.
    Wrong(Parameters),
}

/// Why a stored password was not compared with the one presented. It does not match then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotComputed {
    /// The account has no password.
    Unusable,
    /// What is stored is not a hash in a form of Django's.
    Malformed,
    /// Its cost is above the limits.
    TooCostly(Parameters),
}

impl PasswordHash {
    /// Reads Django's encoded form.
    #[must_use]
    pub fn parse(encoded: &str) -> Self {
        if encoded.starts_with('!') {
            Self::Unusable
        } else {
            parse(encoded).unwrap_or(Self::Malformed)
        }
    }

    /// Its algorithm and cost, if there is a hash.
    #[must_use]
    pub fn parameters(&self) -> Option<Parameters> {
        match self {
            Self::Known { parameters, .. } => Some(*parameters),
            Self::Unusable | Self::Malformed => None,
        }
    }

    /// Whether `password` is the right one. Slow by design: for the hashing threads.
    pub fn verify(
        &self,
        password: &Secret<String>,
        limits: &CostLimits,
        memory: &mut Memory,
    ) -> Result<Verified, NotComputed> {
        match self {
            Self::Unusable => Err(NotComputed::Unusable),
            Self::Malformed => Err(NotComputed::Malformed),
            Self::Known { parameters, .. } if !parameters.within(limits) => {
                Err(NotComputed::TooCostly(*parameters))
            }
            Self::Known { parameters, salt, hash } => {
                let (parameters, length) = (*parameters, hash.expose().len());
                let computed = parameters.derive(password, salt, length, memory);
                Ok(if computed.is_some_and(|computed| computed == *hash) {
                    Verified::Right(parameters)
                } else {
                    Verified::Wrong(parameters)
                })
            }
        }
    }
}

/// The parameters that most of these stored passwords have; of several, the costlier. `None` where
/// none has any.
pub fn most_common_parameters<'a>(
    encoded: impl IntoIterator<Item = &'a str>,
) -> Option<Parameters> {
    let mut counts = BTreeMap::new();
    for parameters in encoded.into_iter().filter_map(|each| PasswordHash::parse(each).parameters())
    {
        *counts.entry(parameters).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(parameters, _)| parameters)
}

/// `N` characters of A-Z, a-z and 0-9, as Django's `get_random_string` draws them.
fn random_text<const N: usize>(random: &dyn Random) -> String {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = String::with_capacity(N);
    while text.len() < N {
        // 248 is the greatest multiple of 62 in a byte; more would favour the first letters.
        let usable = bytes::<N>(random).into_iter().filter(|byte| *byte < 248);
        for byte in usable.take(N - text.len()) {
            text.push(char::from(LETTERS[usize::from(byte % 62)]));
        }
    }
    text
}

fn parse(encoded: &str) -> Option<PasswordHash> {
    let (algorithm, rest) = encoded.split_once('$')?;
    let (parameters, salt, hash) = match algorithm {
        "pbkdf2_sha256" => pbkdf2(rest, 32, |iterations| Parameters::Pbkdf2Sha256 { iterations })?,
        "pbkdf2_sha1" => pbkdf2(rest, 20, |iterations| Parameters::Pbkdf2Sha1 { iterations })?,
        "argon2" => argon2(rest)?,
        "bcrypt" => bcrypt(rest, |cost| Parameters::Bcrypt { cost })?,
        "bcrypt_sha256" => bcrypt(rest, |cost| Parameters::BcryptSha256 { cost })?,
        "scrypt" => scrypt(rest)?,
        _ => return None,
    };
    let hash = Secret::new(hash);
    parameters.are_possible().then_some(PasswordHash::Known { parameters, salt, hash })
}

type Parsed = (Parameters, Vec<u8>, Vec<u8>);

fn pbkdf2(rest: &str, length: usize, parameters: fn(u32) -> Parameters) -> Option<Parsed> {
    let [iterations, salt, hash] = fields(rest)?;
    let hash = STANDARD.decode(hash).ok().filter(|hash| hash.len() == length)?;
    let parameters = parameters(number(iterations)?);
    (!salt.is_empty()).then(|| (parameters, salt.into(), hash))
}

fn argon2(rest: &str) -> Option<Parsed> {
    // Version 1.0 wrote no version.
    let (version, [algorithm, cost, salt, hash]) = match fields::<5>(rest) {
        Some([algorithm, "v=19", cost, salt, hash]) => {
            (Version::V0x13, [algorithm, cost, salt, hash])
        }
        Some([algorithm, "v=16", cost, salt, hash]) => {
            (Version::V0x10, [algorithm, cost, salt, hash])
        }
        Some(_) => return None,
        None => (Version::V0x10, fields::<4>(rest)?),
    };
    let algorithm = match algorithm {
        "argon2d" => Algorithm::Argon2d,
        "argon2i" => Algorithm::Argon2i,
        "argon2id" => Algorithm::Argon2id,
        _ => return None,
    };
    let (memory_kib, cost) = cost.strip_prefix("m=")?.split_once(",t=")?;
    let (iterations, lanes) = cost.split_once(",p=")?;
    let [memory_kib, iterations, lanes] =
        [number(memory_kib)?, number(iterations)?, number(lanes)?];
    // RFC 9106 3.1 asks for 8 bytes of salt; argon2-cffi wrote hashes of 16 bytes, then of 32.
    let salt =
        STANDARD_NO_PAD.decode(salt).ok().filter(|salt| salt.len() >= argon2::MIN_SALT_LEN)?;
    let hash = STANDARD_NO_PAD.decode(hash).ok().filter(|hash| (16..=64).contains(&hash.len()))?;
    let parameters = Parameters::Argon2 { algorithm, version, memory_kib, iterations, lanes };
    Some((parameters, salt, hash))
}

fn bcrypt(rest: &str, parameters: fn(u32) -> Parameters) -> Option<Parsed> {
    const BCRYPT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::BCRYPT,
        NO_PAD.with_decode_padding_mode(DecodePaddingMode::RequireNone),
    );
    let ["", "2a" | "2b" | "2x" | "2y", cost, rest] = fields(rest)? else { return None };
    // Two digits always: 04 to 31. The library that Django uses computes all four alike.
    let cost = match cost.as_bytes() {
        [b'0', digit] => number(std::str::from_utf8(&[*digit]).ok()?)?,
        [_, _] => number(cost)?,
        _ => return None,
    };
    let (salt, hash) = rest.split_at_checked(22)?;
    let salt = BCRYPT.decode(salt).ok().filter(|salt| salt.len() == BCRYPT_SALT)?;
    let hash = BCRYPT.decode(hash).ok().filter(|hash| hash.len() == BCRYPT_HASH)?;
    Some((parameters(cost), salt, hash))
}

fn scrypt(rest: &str) -> Option<Parsed> {
    let [n, salt, block_size, lanes, hash] = fields(rest)?;
    let n = digits(n)?;
    let log_n = if n.is_power_of_two() { u8::try_from(n.ilog2()).ok()? } else { return None };
    let hash = STANDARD.decode(hash).ok().filter(|hash| hash.len() == 64)?;
    let (block_size, lanes) = (number(block_size)?, number(lanes)?);
    let parameters = Parameters::Scrypt { log_n, block_size, lanes };
    (!salt.is_empty()).then(|| (parameters, salt.into(), hash))
}

/// Exactly `N` fields between dollar signs.
fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut parts = text.split('$');
    let mut fields = [""; N];
    for field in &mut fields {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(fields)
}

/// A number as Python writes it; beyond 32 bits the greatest, which no limit allows.
fn number(text: &str) -> Option<u32> {
    digits(text).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;

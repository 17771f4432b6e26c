//! Computing password hashes: parameters, a password and a salt give bytes. The slow part, and the
//! only place that calls the hashing crates.
//!
//! Passwords are taken byte by byte, as Django takes them: of any length, any Unicode, NUL
//! included. Two facts of the algorithms remain visible, in Django as here. Plain bcrypt sees the
//! first 72 bytes alone (as Django with bcrypt before 5.0; with 5.0 it answers 500) and repeats a
//! shorter password with a NUL after it; and HMAC fills a key of up to 64 bytes with NULs, so that
//! PBKDF2 cannot tell a password from the same one with NULs after it. Whoever reads passwords from
//! clients therefore refuses NUL, as Django's forms and serializers do.

use argon2::{Argon2, Block};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::account::cost::Parameters;
use crate::base::digest::Digest;
use crate::base::encode::hex;
use crate::base::secret::Secret;

/// The length of the salt of bcrypt.
pub(super) const BCRYPT_SALT: usize = 16;

/// The length of a bcrypt hash: 24 bytes are computed, 23 are kept.
pub(super) const BCRYPT_HASH: usize = 23;

/// Working memory for Argon2, kept from one hash to the next: a fresh block costs a quarter of the
/// time in page faults.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// glibc gives an allocation above 32 MiB a mapping of its own, and so back to the system when
    /// it is freed. What is not used of it is never touched, thus takes no memory.
    const OWN_MAPPING: usize = 33 * 1024;

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.capacity() < count {
            self.release();
            self.0.reserve_exact(count.max(Self::OWN_MAPPING));
        }
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        self.0.get_mut(..count).unwrap_or_default()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the memory back.
    pub fn release(&mut self) {
        self.0 = Vec::new();
    }
}

impl Parameters {
    /// Computes the hash of `length` bytes. `None` where the algorithm refuses these parameters or
    /// this salt; never for a password.
    pub(super) fn derive(
        self,
        password: &Secret<String>,
        salt: &[u8],
        length: usize,
        memory: &mut Memory,
    ) -> Option<Secret<Vec<u8>>> {
        let password = password.expose().as_bytes();
        let mut out = vec![0; length];
        match self {
            Self::Pbkdf2Sha1 { iterations } => {
                pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut out);
            }
            Self::Pbkdf2Sha256 { iterations } => {
                pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out);
            }
            Self::Bcrypt { cost } => out = bcrypt(password, salt, cost)?,
            Self::BcryptSha256 { cost } => {
                let digits = Zeroizing::new(hex(Digest::of(password).as_bytes()));
                out = bcrypt(digits.as_bytes(), salt, cost)?;
            }
            Self::Scrypt { log_n, block_size, lanes } => {
                let params = scrypt_params(log_n, block_size, lanes)?;
                scrypt::scrypt(password, salt, &params, &mut out).ok()?;
            }
            Self::Argon2 { algorithm, version, memory_kib, iterations, lanes } => {
                let params =
                    argon2::Params::new(memory_kib, iterations, lanes, Some(length)).ok()?;
                let blocks = memory.blocks(params.block_count());
                Argon2::new(algorithm, version, params)
                    .hash_password_into_with_memory(password, salt, &mut out, blocks)
                    .ok()?;
            }
        }
        Some(Secret::new(out))
    }

    /// Computes for nothing: costs what a hash with these parameters costs, and tells nothing.
    pub(super) fn spend(self, password: &Secret<String>, memory: &mut Memory) {
        // 16 bytes are a salt that every algorithm takes.
        let hash = self.derive(password, &[0; BCRYPT_SALT], 32, memory);
        std::hint::black_box(hash.is_some());
    }

    /// Whether the algorithm can be run with these parameters, at whatever cost.
    pub(super) fn are_possible(self) -> bool {
        match self {
            Self::Pbkdf2Sha1 { iterations } | Self::Pbkdf2Sha256 { iterations } => iterations > 0,
            Self::Bcrypt { cost } | Self::BcryptSha256 { cost } => (4..=31).contains(&cost),
            Self::Scrypt { log_n, block_size, lanes } => {
                scrypt_params(log_n, block_size, lanes).is_some()
            }
            Self::Argon2 { memory_kib, iterations, lanes, .. } => {
                argon2::Params::new(memory_kib, iterations, lanes, None).is_ok()
            }
        }
    }
}

fn bcrypt(password: &[u8], salt: &[u8], cost: u32) -> Option<Vec<u8>> {
    let salt = <[u8; BCRYPT_SALT]>::try_from(salt).ok()?;
    let mut key = Zeroizing::new([0; 72]);
    for (to, from) in key.iter_mut().zip(password) {
        *to = *from;
    }
    // The NUL at the end belongs to the key, unless the password fills it.
    let key = key.get(..(password.len() + 1).min(72))?;
    let hash =
        if (4..=31).contains(&cost) { bcrypt::bcrypt(cost, salt, key) } else { return None };
    hash.get(..BCRYPT_HASH).map(<[u8]>::to_vec)
}

/// RFC 7914 2: `N` above 1, and `r` times `p` below 2^30 (which the crate multiplies unchecked).
fn scrypt_params(log_n: u8, block_size: u32, lanes: u32) -> Option<scrypt::Params> {
    block_size.checked_mul(lanes).filter(|product| *product < 1 << 30)?;
    if log_n == 0 { None } else { scrypt::Params::new(log_n, block_size, lanes).ok() }
}

//! What a password hash costs to compute: the parameters of each algorithm, what we write, what we
//! refuse to compute, and when a stored hash is too cheap to be kept.

use argon2::{Algorithm, Version};

/// The algorithm of a password hash and its cost, everything but the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameters {
    /// Django's `pbkdf2_sha1`: PBKDF2 (RFC 8018 5.2) with HMAC-SHA-1.
    Pbkdf2Sha1 {
        /// How many rounds.
        iterations: u32,
    },
    /// Django's `pbkdf2_sha256`: PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256.
    Pbkdf2Sha256 {
        /// How many rounds.
        iterations: u32,
    },
    /// Django's `bcrypt`, which sees only the first 72 bytes of a password.
    Bcrypt {
        /// The binary logarithm of the rounds.
        cost: u32,
    },
    /// Django's `bcrypt_sha256`: bcrypt over the hex digits of the password's SHA-256.
    BcryptSha256 {
        /// The binary logarithm of the rounds.
        cost: u32,
    },
    /// Django's `scrypt` (RFC 7914).
    Scrypt {
        /// The binary logarithm of `N`.
        log_n: u8,
        /// The block size `r`.
        block_size: u32,
        /// The parallelization `p`.
        lanes: u32,
    },
    /// Django's `argon2` (RFC 9106), all variants and both versions.
    Argon2 {
        /// Argon2d, Argon2i or Argon2id.
        algorithm: Algorithm,
        /// 1.0 or 1.3.
        version: Version,
        /// The memory in KiB.
        memory_kib: u32,
        /// The passes over the memory.
        iterations: u32,
        /// The lanes; computed one after the other.
        lanes: u32,
    },
}

impl Parameters {
    /// Whether these parameters may be computed at all.
    #[must_use]
    pub fn within(self, limits: &CostLimits) -> bool {
        match self {
            Self::Pbkdf2Sha1 { iterations } | Self::Pbkdf2Sha256 { iterations } => {
                iterations <= limits.pbkdf2_iterations
            }
            Self::Bcrypt { cost } | Self::BcryptSha256 { cost } => cost <= limits.bcrypt_cost,
            Self::Scrypt { log_n, block_size, lanes } => {
                let (n, block, lanes) =
                    (1_u128 << log_n.min(63), u128::from(block_size), u128::from(lanes));
                log_n < 64
                    && n * block * lanes <= u128::from(limits.scrypt_work)
                    && 128 * block * (n + lanes) <= 1024 * u128::from(limits.memory_kib)
            }
            Self::Argon2 { memory_kib, iterations, .. } => {
                memory_kib <= limits.memory_kib
                    && argon2_work(memory_kib, iterations) <= limits.argon2_work
            }
        }
    }

    /// What is missing to the cost of `full`, where the algorithm lets work be added up: PBKDF2 with
    /// the same digest. So a row with an old, low count takes as long to refuse as the others
    /// (Django's `harden_runtime`).
    #[must_use]
    pub fn short_of(self, full: Self) -> Option<Self> {
        let missing = |has: u32, full: u32| full.checked_sub(has).filter(|missing| *missing > 0);
        match (self, full) {
            (Self::Pbkdf2Sha1 { iterations: has }, Self::Pbkdf2Sha1 { iterations: full }) => {
                missing(has, full).map(|iterations| Self::Pbkdf2Sha1 { iterations })
            }
            (Self::Pbkdf2Sha256 { iterations: has }, Self::Pbkdf2Sha256 { iterations: full }) => {
                missing(has, full).map(|iterations| Self::Pbkdf2Sha256 { iterations })
            }
            _ => None,
        }
    }

    /// Whether a hash with these parameters should be written anew: it costs less than the floor,
    /// and what `scheme` writes instead is worth more. Never downwards, never to a weaker algorithm
    /// (every rewrite ends the account's Django sessions, and two services that both insist on
    /// their own count would end them for ever).
    ///
    /// `floor_iterations` is the floor of PBKDF2; those of the other algorithms are the least of
    /// the settings that OWASP's Password Storage Cheat Sheet recommends.
    #[must_use]
    pub fn needs_rehash(self, scheme: Scheme, floor_iterations: u32) -> bool {
        self.is_below_floor(floor_iterations)
            && match (self, scheme.parameters()) {
                (
                    Self::Pbkdf2Sha1 { iterations: has } | Self::Pbkdf2Sha256 { iterations: has },
                    Self::Pbkdf2Sha256 { iterations },
                ) => iterations > has,
                (
                    Self::Argon2 { memory_kib: had_memory, iterations: had, .. },
                    Self::Argon2 { memory_kib, iterations, .. },
                ) => argon2_work(memory_kib, iterations) > argon2_work(had_memory, had),
                // From another algorithm to Argon2: costs cannot be compared, so it must be a good one.
                (_, written @ Self::Argon2 { .. }) => !written.is_below_floor(0),
                _ => false,
            }
    }

    fn is_below_floor(self, floor_iterations: u32) -> bool {
        match self {
            Self::Pbkdf2Sha1 { iterations } | Self::Pbkdf2Sha256 { iterations } => {
                iterations < floor_iterations
            }
            Self::Bcrypt { cost } | Self::BcryptSha256 { cost } => cost < 10,
            // N = 2^14, r = 8, p = 5: OWASP's smallest, and what Django writes.
            Self::Scrypt { log_n, block_size, lanes } => {
                (u128::from(block_size) * u128::from(lanes)) << log_n.min(63) < (8 * 5) << 14
            }
            // 7 MiB, 5 passes.
            Self::Argon2 { memory_kib, iterations, .. } => {
                argon2_work(memory_kib, iterations) < argon2_work(7_168, 5)
            }
        }
    }
}

/// KiB times passes: what the time of Argon2 is proportional to.
fn argon2_work(memory_kib: u32, iterations: u32) -> u64 {
    u64::from(memory_kib) * u64::from(iterations)
}

/// What we write when a password is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Argon2id, version 1.3.
    Argon2id {
        /// The memory in KiB; at least 8 for each lane, less is raised to that.
        memory_kib: u32,
        /// The passes over the memory; at least 1.
        iterations: u32,
        /// The lanes, 1 to 255.
        lanes: u32,
    },
    /// PBKDF2 with HMAC-SHA-256, which every Django can read.
    Pbkdf2Sha256 {
        /// How many rounds; at least 1.
        iterations: u32,
    },
}

/// Argon2id with 19 MiB and 2 passes: OWASP's recommendation.
impl Default for Scheme {
    fn default() -> Self {
        Self::Argon2id { memory_kib: 19_456, iterations: 2, lanes: 1 }
    }
}

impl Scheme {
    /// The parameters that are written: always ones that can be computed.
    #[must_use]
    pub fn parameters(self) -> Parameters {
        match self {
            Self::Argon2id { memory_kib, iterations, lanes } => {
                let lanes = lanes.clamp(1, 255);
                Parameters::Argon2 {
                    algorithm: Algorithm::Argon2id,
                    version: Version::V0x13,
                    memory_kib: memory_kib.max(8 * lanes),
                    iterations: iterations.max(1),
                    lanes,
                }
            }
            Self::Pbkdf2Sha256 { iterations } => {
                Parameters::Pbkdf2Sha256 { iterations: iterations.max(1) }
            }
        }
    }
}

/// The most that a stored hash may cost. One imported from elsewhere with more is refused without
/// being computed, so that it cannot stall the service. The defaults are about one second each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostLimits {
    /// The most rounds of PBKDF2.
    pub pbkdf2_iterations: u32,
    /// The most for bcrypt, whose work doubles with each step.
    pub bcrypt_cost: u32,
    /// The most memory, in KiB, of Argon2 and of scrypt.
    pub memory_kib: u32,
    /// The most for Argon2: KiB times passes.
    pub argon2_work: u64,
    /// The most for scrypt: `N` times `r` times `p`.
    pub scrypt_work: u64,
}

impl Default for CostLimits {
    fn default() -> Self {
        Self {
            pbkdf2_iterations: 5_000_000,
            bcrypt_cost: 14,
            memory_kib: 256 * 1024,
            argon2_work: 1024 * 1024,
            scrypt_work: 4 * 1024 * 1024,
        }
    }
}

impl CostLimits {
    /// These limits, raised where `scheme` writes more: what we write, we read.
    #[must_use]
    pub fn covering(mut self, scheme: Scheme) -> Self {
        match scheme.parameters() {
            Parameters::Pbkdf2Sha256 { iterations } => {
                self.pbkdf2_iterations = self.pbkdf2_iterations.max(iterations);
            }
            Parameters::Argon2 { memory_kib, iterations, .. } => {
                self.memory_kib = self.memory_kib.max(memory_kib);
                self.argon2_work = self.argon2_work.max(argon2_work(memory_kib, iterations));
            }
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: fn(u32) -> Parameters = |iterations| Parameters::Pbkdf2Sha1 { iterations };
    const SHA256: fn(u32) -> Parameters = |iterations| Parameters::Pbkdf2Sha256 { iterations };
    const PBKDF2: fn(u32) -> Scheme = |iterations| Scheme::Pbkdf2Sha256 { iterations };

    fn argon2(memory_kib: u32, iterations: u32) -> Parameters {
        Scheme::Argon2id { memory_kib, iterations, lanes: 1 }.parameters()
    }

    fn scrypt(log_n: u8, block_size: u32, lanes: u32) -> Parameters {
        Parameters::Scrypt { log_n, block_size, lanes }
    }

    #[test]
    fn rehashes_only_below_the_floor_and_only_upwards() {
        let owasp = Scheme::default();
        let weak = Scheme::Argon2id { memory_kib: 64, iterations: 1, lanes: 1 };
        let cases = [
            (SHA256(24_000), PBKDF2(150_000), 100_000, true),
            (SHA1(24_000), PBKDF2(150_000), 100_000, true),
            (SHA256(99_999), PBKDF2(150_000), 100_000, true),
            (SHA256(100_000), PBKDF2(150_000), 100_000, false),
            // At or above what would be written, whatever the floor.
            (SHA256(150_000), PBKDF2(150_000), 600_000, false),
            (SHA1(150_000), PBKDF2(150_000), 600_000, false),
            (SHA256(260_000), PBKDF2(150_000), 600_000, false),
            // To Argon2id.
            (SHA256(150_000), owasp, 600_000, true),
            (SHA256(600_000), owasp, 600_000, false),
            (SHA256(150_000), weak, 600_000, false),
            (Parameters::Bcrypt { cost: 9 }, owasp, 0, true),
            (Parameters::BcryptSha256 { cost: 10 }, owasp, 0, false),
            (scrypt(14, 8, 1), owasp, 0, true),
            (scrypt(14, 8, 5), owasp, 0, false),
            (argon2(512, 2), owasp, 0, true),
            (argon2(512, 2), weak, 0, false),
            (argon2(7_168, 5), owasp, 0, false),
            (argon2(102_400, 2), owasp, 0, false),
            // Never to PBKDF2 from what is stronger in kind.
            (argon2(512, 2), PBKDF2(1_000_000), 600_000, false),
            (Parameters::Bcrypt { cost: 4 }, PBKDF2(1_000_000), 600_000, false),
            (scrypt(4, 8, 1), PBKDF2(1_000_000), 600_000, false),
        ];
        for (stored, scheme, floor, expected) in cases {
            assert_eq!(stored.needs_rehash(scheme, floor), expected, "{stored:?} {scheme:?}");
        }
    }

    #[test]
    fn limits_allow_what_django_and_owasp_write_and_little_more() {
        let limits = CostLimits::default();
        let sane = [
            SHA256(5_000_000),
            SHA1(1_300_000),
            Parameters::Bcrypt { cost: 14 },
            scrypt(14, 8, 5),
            scrypt(17, 8, 1),
            argon2(102_400, 2),
            argon2(256 * 1024, 4),
        ];
        for parameters in sane {
            assert!(parameters.within(&limits), "{parameters:?}");
        }
        let absurd = [
            SHA256(5_000_001),
            SHA1(u32::MAX),
            Parameters::BcryptSha256 { cost: 15 },
            scrypt(63, u32::MAX, u32::MAX),
            scrypt(22, 8, 1),
            scrypt(1, 1, 1 << 21),
            argon2(256 * 1024 + 1, 1),
            argon2(256 * 1024, 5),
            argon2(8, u32::MAX),
        ];
        for parameters in absurd {
            assert!(!parameters.within(&limits), "{parameters:?}");
        }
    }

    #[test]
    fn limits_cover_what_we_write() {
        let huge = Scheme::Argon2id { memory_kib: 512 * 1024, iterations: 9, lanes: 4 };
        for scheme in [huge, PBKDF2(9_000_000)] {
            assert!(!scheme.parameters().within(&CostLimits::default()));
            assert!(scheme.parameters().within(&CostLimits::default().covering(scheme)));
        }
    }

    #[test]
    fn low_counts_are_topped_up() {
        assert_eq!(SHA256(24_000).short_of(SHA256(150_000)), Some(SHA256(126_000)));
        assert_eq!(SHA1(1).short_of(SHA1(2)), Some(SHA1(1)));
        assert_eq!(SHA256(150_000).short_of(SHA256(150_000)), None);
        assert_eq!(SHA256(260_000).short_of(SHA256(150_000)), None);
        assert_eq!(SHA1(24_000).short_of(SHA256(150_000)), None);
        assert_eq!(argon2(64, 1).short_of(argon2(128, 1)), None);
    }
}

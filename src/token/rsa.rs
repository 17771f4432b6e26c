//! RSA: making keys, which ring cannot do, and telling weak public keys.

use std::convert::Infallible;

use crypto_bigint::rand_core::{TryCryptoRng, TryRng};
use crypto_bigint::{NonZero, Odd, U1024, U2048};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use zeroize::Zeroizing;

use super::der::{self, Damaged, Reader};
use super::key_error::KeyError;
use crate::base::random::Random;

/// The public exponent of every key that is made here (FIPS 186-5 A.1.1).
const EXPONENT: u32 = 65_537;

/// A new key of 2048 bits as `RSAPrivateKey` (RFC 8017 A.1.2).
pub(super) fn generate(random: &dyn Random) -> Zeroizing<Vec<u8>> {
    loop {
        let (p, q) = (prime(random), prime(random));
        // ring wants the greater prime first. Primes this close never occur (FIPS 186-5 A.1.3).
        let (p, q) = if *p > *q { (p, q) } else { (q, p) };
        if p.wrapping_sub(&q).bits_vartime() > 1024 - 100
            && let Some(key) = assemble(&p, &q)
        {
            return key;
        }
    }
}

/// A prime of 1024 bits whose two highest bits are set, so that the product has 2048.
fn prime(random: &dyn Random) -> Zeroizing<U1024> {
    let sieve = SmallFactorsSieveFactory::<U1024>::new(Flavor::Any, 1024, SetBits::TwoMsb)
        .expect("1024 bits are enough for a prime");
    let found =
        sieve_and_find(&mut Source(random), sieve, |_, candidate| is_prime(Flavor::Any, candidate));
    Zeroizing::new(found.expect("1024 bits fit").expect("primes do not run out"))
}

/// The DER of the key of these primes; `None` where the exponent has no inverse.
fn assemble(p: &U1024, q: &U1024) -> Option<Zeroizing<Vec<u8>>> {
    let less_one = |prime: &U1024| Zeroizing::new(prime.wrapping_sub(&U1024::ONE));
    let (p1, q1) = (less_one(p), less_one(q));
    let exponent = U1024::from(EXPONENT);
    let n = U2048::from(p.widening_mul(q));
    // λ(n) = lcm(p-1, q-1), of which the private exponent is taken (FIPS 186-5 A.1.1).
    let gcd = NonZero::new(U2048::from(&p1.gcd(&q1))).into_option()?;
    let product = Zeroizing::new(U2048::from(p1.widening_mul(&q1)));
    let lambda = NonZero::new(product.wrapping_div(&gcd)).into_option()?;
    let d = Zeroizing::new(U2048::from(&exponent).invert_mod(&lambda).into_option()?);
    let inverse = |of: &U1024, modulus: &U1024| {
        let modulus = NonZero::new(*modulus).into_option()?;
        of.invert_mod(&modulus).into_option().map(Zeroizing::new)
    };
    let (dp, dq) = (inverse(&exponent, &p1)?, inverse(&exponent, &q1)?);
    let q_inverse = Zeroizing::new(q.invert_odd_mod(&Odd::new(*p).into_option()?).into_option()?);
    let narrow = |value: &U1024| der::unsigned(Zeroizing::new(value.to_be_bytes()).as_ref());
    let wide = |value: &U2048| der::unsigned(Zeroizing::new(value.to_be_bytes()).as_ref());
    Some(der::element(
        der::SEQUENCE,
        &[
            &der::unsigned(&[0]),
            &wide(&n),
            &narrow(&exponent),
            &wide(&d),
            &narrow(p),
            &narrow(q),
            &narrow(&dp),
            &narrow(&dq),
            &narrow(&q_inverse),
        ],
    ))
}

/// Our randomness as the big-integer crates take it.
struct Source<'a>(&'a dyn Random);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(crate::base::random::bytes(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(crate::base::random::bytes(self.0)))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(to);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

/// The modulus and the exponent of an `RSAPublicKey` (RFC 8017 A.1.1).
pub(super) fn parts_of_public(bytes: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    let mut key = Reader::enter_only(bytes, der::SEQUENCE)?;
    let parts = (key.unsigned()?, key.unsigned()?);
    key.end()?;
    Ok(parts)
}

/// The modulus and the exponent of an `RSAPrivateKey` of two primes (RFC 8017 A.1.2).
pub(super) fn parts_of_private(bytes: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    let mut key = Reader::enter_only(bytes, der::SEQUENCE)?;
    if !key.unsigned()?.is_empty() {
        return Err(Damaged);
    }
    let parts = (key.unsigned()?, key.unsigned()?);
    for _ in ["d", "p", "q", "dP", "dQ", "qInv"] {
        key.unsigned()?;
    }
    key.end()?;
    Ok(parts)
}

/// An `RSAPublicKey` (RFC 8017 A.1.1).
pub(super) fn public_der(n: &[u8], e: &[u8]) -> Zeroizing<Vec<u8>> {
    der::element(der::SEQUENCE, &[&der::unsigned(n), &der::unsigned(e)])
}

/// How many bits a big-endian number without leading zeros has.
pub(super) fn bits(number: &[u8]) -> usize {
    let top = number.first().map_or(0, |first| first.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(top)
}

/// Refuses moduli below 2048 and above 8192 bits, even ones and ones with the mark of
/// CVE-2017-15361; exponents that are even, below 65537 or above 33 bits (what ring can take).
pub(super) fn refuse_weak(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let size = bits(n);
    if !(2048..=8192).contains(&size) {
        return Err(KeyError::RsaSize(size));
    }
    if !odd(n) {
        return Err(KeyError::Malformed("RSA modulus"));
    }
    if !odd(e) || !(17..=33).contains(&bits(e)) {
        return Err(KeyError::RsaExponent);
    }
    if is_factorable(n) { Err(KeyError::RsaFactorable) } else { Ok(()) }
}

/// Whether `n` looks like the product of primes of the form k·M + (65537^a mod M), M a product of small
/// primes: then, modulo each of these, it is a power of 65537 (Nemec et al. 2017, "ROCA").
fn is_factorable(n: &[u8]) -> bool {
    const SMALL_PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    SMALL_PRIMES.iter().all(|&prime| {
        let rest = n.iter().fold(0, |rest, &byte| (rest << 8 | u32::from(byte)) % prime);
        let mut power = 1;
        (1..prime).any(|_| {
            power = power * (EXPONENT % prime) % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{SeededRandom, SystemRandom};

    #[test]
    fn generated_keys_satisfy_ring_and_follow_the_seed() {
        let key = generate(&SystemRandom::new());
        let pair = ring::signature::RsaKeyPair::from_der(&key).expect("ring takes the key");
        assert_eq!(pair.public().modulus_len(), 256);
        let (n, e) = parts_of_private(&key).expect("a private key");
        assert_eq!(refuse_weak(n, e), Ok(()));
        assert_ne!(*key, *generate(&SystemRandom::new()));
        assert_eq!(*generate(&SeededRandom::new(7)), *generate(&SeededRandom::new(7)));
    }

    #[test]
    fn weak_numbers_are_refused() {
        let mut n = vec![0xff; 256];
        let e = [1, 0, 1];
        assert_eq!(refuse_weak(&n, &e), Ok(()));
        for exponent in [&[][..], &[1], &[3], &[1, 0], &[0xff, 0xff], &[1, 0, 2], &[2, 0, 0, 0, 1]]
        {
            assert_eq!(refuse_weak(&n, exponent), Err(KeyError::RsaExponent), "{exponent:?}");
        }
        n[0] = 0x7f;
        assert_eq!(refuse_weak(&n, &e), Err(KeyError::RsaSize(2047)));
        assert_eq!(refuse_weak(&[0xff; 128], &e), Err(KeyError::RsaSize(1024)));
        assert_eq!(refuse_weak(&[0xff; 1025], &e), Err(KeyError::RsaSize(8200)));
        assert_eq!(refuse_weak(&[0xfe; 256], &e), Err(KeyError::Malformed("RSA modulus")));
    }

    #[test]
    fn the_mark_of_the_faulty_generator_is_seen() {
        // 65537^a modulo every small prime, for any a: the number itself will do.
        assert!(is_factorable(&[1, 0, 1]));
        assert!(is_factorable(&[1, 0, 2, 0, 1]), "65537²");
        assert!(!is_factorable(&[1, 0, 3]));
    }
}

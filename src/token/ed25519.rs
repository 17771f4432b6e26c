//! Public Ed25519 keys that anybody can forge for. ring takes any 32 bytes that are a point.

/// The encodings of all points whose order divides 8, without the sign of x (RFC 8032 5.1.3): y is 0, ±1,
/// or one of the two that belong to points of order 8; 0 and 1 also as p and p + 1, which are not canonical.
const SMALL: [[u8; 32]; 7] = [
    [0; 32],
    y(1, 0, 0),
    y(0xec, 0xff, 0x7f),
    y(0xed, 0xff, 0x7f),
    y(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn y(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether a public key is a point of small order: under such a key one signature fits many messages, and
/// whoever chose it can deny having signed.
pub(super) fn has_small_order(public: &[u8; 32]) -> bool {
    let mut without_sign = *public;
    without_sign[31] &= 0x7f;
    SMALL.contains(&without_sign)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

    use super::*;
    use crate::token::key_error::KeyError;
    use crate::token::verification_key::VerificationKey;

    #[test]
    fn keys_that_anybody_can_forge_for_are_refused_with_either_sign() {
        for mut public in SMALL {
            for sign in [0, 0x80] {
                public[31] ^= sign;
                assert_eq!(
                    VerificationKey::from_ed25519(&public).err(),
                    Some(KeyError::SmallOrder),
                    "{public:02x?}"
                );
            }
        }
    }

    /// Why they are: ring itself finds a signature made without any private key good.
    #[test]
    fn ring_accepts_a_forgery_under_the_neutral_element() {
        let neutral = y(1, 0, 0);
        let mut forgery = [0; 64];
        forgery[0] = 1;
        let key = UnparsedPublicKey::new(&ED25519, neutral);
        assert!(key.verify(b"anything at all", &forgery).is_ok());
    }

    #[test]
    fn keys_of_real_people_are_taken() {
        for seed in 0..20 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed will do");
            assert!(VerificationKey::from_ed25519(pair.public_key().as_ref()).is_ok());
        }
    }
}

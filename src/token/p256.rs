//! Whether a public point is on P-256. ring tells only when it verifies, and then gives no reason.

use crypto_bigint::{NonZero, U256};

/// The field's prime and the curve's b, with a = -3 (FIPS 186-5, SP 800-186 3.2.1.3).
const PRIME: U256 =
    U256::from_be_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
const B: U256 =
    U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/// Whether y² = x³ - 3x + b (SEC 1 2.3.4), for an uncompressed point with its leading 4.
pub(super) fn is_on_curve(point: &[u8; 65]) -> bool {
    let Some((4, coordinates)) = point.split_first() else { return false };
    let (x, y) = coordinates.split_at(32);
    let (x, y) = (U256::from_be_slice(x), U256::from_be_slice(y));
    if x >= PRIME || y >= PRIME {
        return false;
    }
    let prime = NonZero::new(PRIME).expect("the prime is not zero");
    let cube = x.mul_mod(&x, &prime).mul_mod(&x, &prime);
    let three_x = x.add_mod(&x, &prime).add_mod(&x, &prime);
    y.mul_mod(&y, &prime) == cube.sub_mod(&three_x, &prime).add_mod(&B, &prime)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::base::random::for_ring;

    #[test]
    fn points_of_real_keys_are_and_their_neighbours_are_not() {
        let random = for_ring();
        for _ in 0..20 {
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("ring makes keys");
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).expect("its own");
            let mut point = [0; 65];
            point.copy_from_slice(pair.public_key().as_ref());
            assert!(is_on_curve(&point));
            point[64] ^= 1;
            assert!(!is_on_curve(&point));
        }
        assert!(!is_on_curve(&[0; 65]));
        assert!(!is_on_curve(&[4; 65]));
    }
}

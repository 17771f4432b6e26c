//! What forms send back to show that a page of ours was looked at (`django.middleware.csrf`): a secret of 32
//! letters and digits, in a cookie or made from the session, and in each page masked anew, so that
//! compression does not give it away (BREACH).

use crate::base::random::{self, Random};
use crate::base::secret::{Secret, same_bytes};

/// The field of a form that holds it.
pub const FIELD: &str = "csrfmiddlewaretoken";

/// Django's letters: `string.ascii_letters + string.digits`.
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// How long a secret is; masked it is twice that.
const LENGTH: usize = 32;

/// A secret of forms.
#[derive(Clone, Debug)]
pub struct CsrfSecret(Secret<String>);

impl CsrfSecret {
    /// A new one.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(letters(random)))
    }

    /// One that a cookie brings, or that was made from a session, bare or masked; `None` for what is
    /// none.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        match text.len() {
            LENGTH if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Some(Self(text.into()))
            }
            _ => unmask(text).map(|secret| Self(Secret::new(secret))),
        }
    }

    /// As it stands in the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// As it stands in a page: another text each time.
    #[must_use]
    pub fn masked(&self, random: &dyn Random) -> String {
        let mask = letters(random);
        let sum = mask
            .bytes()
            .zip(self.expose().bytes())
            .map(|(mask, secret)| letter(index(mask).unwrap_or(0) + index(secret).unwrap_or(0)));
        let sum: String = sum.collect();
        mask + &sum
    }

    /// Whether a form, or the header `X-CSRFToken`, sends it back, bare or masked.
    #[must_use]
    pub fn fits(&self, sent: &str) -> bool {
        Self::presented(sent)
            .is_some_and(|sent| same_bytes(sent.expose().as_bytes(), self.expose().as_bytes()))
    }
}

fn letters(random: &dyn Random) -> String {
    // 256 is no multiple of 62; what it leans by leaves more than 180 of 190 bits.
    random::bytes::<LENGTH>(random).into_iter().map(|byte| letter(usize::from(byte))).collect()
}

fn letter(index: usize) -> char {
    char::from(LETTERS.get(index % LETTERS.len()).copied().unwrap_or(b'a'))
}

fn index(letter: u8) -> Option<usize> {
    LETTERS.iter().position(|found| *found == letter)
}

fn unmask(text: &str) -> Option<String> {
    let (mask, sum) = text.split_at_checked(LENGTH).filter(|(_, sum)| sum.len() == LENGTH)?;
    let pairs = mask.bytes().zip(sum.bytes());
    pairs.map(|(mask, sum)| Some(letter(index(sum)? + LETTERS.len() - index(mask)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    #[test]
    fn masks_differ_and_come_off() {
        let random = SeededRandom::new(1);
        let secret = CsrfSecret::generate(&random);
        let (one, two) = (secret.masked(&random), secret.masked(&random));
        assert_ne!(one, two);
        assert_eq!((secret.expose().len(), one.len()), (32, 64));
        assert!(secret.fits(&one) && secret.fits(&two) && secret.fits(secret.expose()));
        assert!(!CsrfSecret::generate(&random).fits(&one));
    }

    /// Django adds the places of the letters (`_mask_cipher_secret`), so that its forms and ours can share a
    /// cookie.
    #[test]
    fn masks_are_djangos() {
        let mask = "ABCDEFGHIJKLMNOPQRSTUVWXYZ678901";
        let secret = CsrfSecret::presented("abcdefghijklmnopqrstuvwxyz012345").expect("is one");
        // a + A = 0 + 26 = 26 = A; b + B = 1 + 27 = 28 = C; and so on.
        let sum: String = mask
            .bytes()
            .zip(secret.expose().bytes())
            .map(|(a, b)| letter(index(a).expect("known") + index(b).expect("known")))
            .collect();
        assert!(sum.starts_with("ACEG"), "{sum}");
        assert!(secret.fits(&format!("{mask}{sum}")));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in
            ["", "short", &"ä".repeat(16), &"a".repeat(63), &"-".repeat(32), &"-".repeat(64)]
        {
            assert!(CsrfSecret::presented(text).is_none(), "{text}");
        }
    }
}

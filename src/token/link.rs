//! One-time links: what mails carry, and what the store keeps of them.

use std::fmt;

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::{base64url, hex, unbase64url_vec};
use crate::base::random::{self, Random};
use crate::base::secret::Secret;

/// What a link is for. A link of one purpose never serves another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Switches a new account on.
    Activation,
    /// Sets another password.
    PasswordReset,
    /// Sets another user name.
    UsernameReset,
    /// Shows that mail to an address arrives.
    EmailVerification,
    /// Makes an address the account's.
    EmailChange,
    /// What Django has sent: it does not tell an activation from a reset.
    Django,
}

impl Purpose {
    /// Whether Django and djoser send links for it that are not kept anywhere.
    #[must_use]
    pub const fn was_djangos(self) -> bool {
        matches!(self, Self::Activation | Self::PasswordReset | Self::UsernameReset)
    }

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::PasswordReset => "password_reset",
            Self::UsernameReset => "username_reset",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
            Self::Django => "django",
        }
    }
}

/// The secret part of a link: `<base-36 seconds>-<32 hex digits>`, the shape of Django's
/// `PasswordResetTokenGenerator`, with 128 random bits in place of a keyed hash.
#[derive(Clone)]
pub struct LinkToken(Secret<String>);

impl LinkToken {
    /// A new token.
    pub fn generate(now: Timestamp, random: &dyn Random) -> Self {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let text = format!("{}-{}", base36(seconds), hex(&random::bytes::<16>(random)));
        Self(Secret::new(text))
    }

    /// A presented token: anything short enough to be one.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        (text.len() <= 200).then(|| Self(text.into()))
    }

    /// The text to put into the mail, once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What the store keeps: bound to the purpose and the account, so that neither can be exchanged.
    #[must_use]
    pub fn digest(&self, purpose: Purpose, account: AccountId) -> Digest {
        Digest::of_parts(&[
            purpose.as_str().as_bytes(),
            b" ",
            &account.get().to_be_bytes(),
            self.expose().as_bytes(),
        ])
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

/// The state of an account that a link depends on: it dies with a change of password or address, and
/// one that is for somebody who cannot log in dies with a log-in.
#[must_use]
pub fn state_of(account: &Account, address: &str, purpose: Purpose) -> Digest {
    let for_the_locked_out = matches!(purpose, Purpose::PasswordReset | Purpose::UsernameReset);
    let last_login = account.last_login.filter(|_| for_the_locked_out).map(Timestamp::micros);
    Digest::of_parts(&[
        account.password.expose().as_bytes(),
        b"\0",
        account.email.as_bytes(),
        b"\0",
        address.as_bytes(),
        last_login.map_or_else(String::new, |at| format!("\0{at}")).as_bytes(),
    ])
}

/// The account's part of a link as djoser and Django write it: base64url of the decimal id.
#[must_use]
pub fn uid(account: AccountId) -> String {
    base64url(account.to_string().as_bytes())
}

/// The account that a `uid` of djoser or Django names.
#[must_use]
pub fn account_of_uid(uid: &str) -> Option<AccountId> {
    let decimal = unbase64url_vec(uid.trim_end_matches('=').as_bytes())?;
    account_of_digits(&decimal, 10)
}

/// The account's part of a link as allauth writes it: base 36 of the id.
#[must_use]
pub fn uid36(account: AccountId) -> String {
    base36(u64::from(account.get().unsigned_abs()))
}

/// The account that a `uid` of allauth names.
#[must_use]
pub fn account_of_uid36(uid: &str) -> Option<AccountId> {
    account_of_digits(uid.as_bytes(), 36)
}

fn account_of_digits(digits: &[u8], radix: u32) -> Option<AccountId> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    i32::from_str_radix(digits, radix).ok().map(AccountId::new)
}

pub(super) fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut out = Vec::new();
    loop {
        let digit = usize::try_from(number % 36).unwrap_or(0);
        out.extend(DIGITS.get(digit).copied().map(char::from));
        number /= 36;
        if number == 0 {
            return out.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    #[test]
    fn uids_go_both_ways() {
        for id in [1, 4, 36, 123_456_789, i32::MAX] {
            let id = AccountId::new(id);
            assert_eq!(account_of_uid(&uid(id)), Some(id));
            assert_eq!(account_of_uid36(&uid36(id)), Some(id));
        }
        assert_eq!(uid(AccountId::new(4)), "NA");
        for wrong in ["", "!", "MTIzNDU2Nzg5MDEy", "LTQ", "Kw"] {
            assert_eq!(account_of_uid(wrong), None, "{wrong}");
        }
        for wrong in ["", "!!", "-4", "+4", "zzzzzzz", "zzzzzzzzzzz"] {
            assert_eq!(account_of_uid36(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_of_one_purpose_and_one_account() {
        let token = LinkToken::generate(Timestamp::from_seconds(1), &SeededRandom::new(1));
        let of = |purpose, id| token.digest(purpose, AccountId::new(id));
        assert_ne!(of(Purpose::Activation, 1), of(Purpose::PasswordReset, 1));
        assert_ne!(of(Purpose::Activation, 1), of(Purpose::Activation, 2));
    }
}

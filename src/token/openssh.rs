//! OpenSSH's own format of private keys (`PROTOCOL.key` in its source), as far as it holds one Ed25519
//! key without a passphrase. For everything else the refusal names the line that converts it.

use super::key::SigningKey;
use super::key_error::KeyError;
use super::key_import::shell_word;

const DAMAGED: KeyError = KeyError::Malformed("OpenSSH key");
const ED25519: &[u8] = b"ssh-ed25519";

/// Reads the contents of an `OPENSSH PRIVATE KEY` block; `file` is for the refusal.
pub(super) fn read(bytes: &[u8], file: &str) -> Result<SigningKey, KeyError> {
    let mut outer = Fields(bytes.strip_prefix(b"openssh-key-v1\0").ok_or(DAMAGED)?);
    let cipher = outer.string().ok_or(DAMAGED)?;
    let (_derivation, _its_options) = (outer.string().ok_or(DAMAGED)?, outer.string());
    let count = outer.number().ok_or(DAMAGED)?;
    if count != 1 {
        return Err(KeyError::SeveralKeys(count as usize));
    }
    let mut public = Fields(outer.string().ok_or(DAMAGED)?);
    let private = outer.string().ok_or(DAMAGED)?;
    let kind = public.string().ok_or(DAMAGED)?;
    let file = shell_word(file);
    if cipher != b"none" && kind == ED25519 {
        return Err(KeyError::Encrypted(format!("ssh-keygen -p -N '' -f {file}")));
    }
    if cipher != b"none" {
        return Err(KeyError::Encrypted(format!("ssh-keygen -p -m PEM -N '' -f {file}")));
    }
    match kind {
        ED25519 => ed25519(private).ok_or(DAMAGED)?,
        b"ssh-rsa" | b"ecdsa-sha2-nistp256" => Err(KeyError::Convert {
            what: "a key of this type in OpenSSH's own format",
            command: format!("ssh-keygen -p -m PEM -N '' -f {file}"),
        }),
        _ => Err(KeyError::Unsupported("this type of OpenSSH key")),
    }
}

/// The private section of an Ed25519 key: a doubled check number, the type, the public half, seed and
/// public half, a comment, and the padding 1, 2, 3 and so on.
fn ed25519(section: &[u8]) -> Option<Result<SigningKey, KeyError>> {
    let mut fields = Fields(section);
    let (one, two) = (fields.number()?, fields.number()?);
    if one != two || fields.string()? != ED25519 {
        return None;
    }
    let public = fields.string()?;
    let (seed, again) = fields.string()?.split_at_checked(32)?;
    let _comment = fields.string()?;
    let padded = fields.0.iter().zip(1..).all(|(&byte, expected)| byte == expected);
    let sound = public == again && fields.0.len() < 8 && padded;
    sound.then(|| SigningKey::from_ed25519(seed, Some(public)))
}

/// SSH's encoding of fields (RFC 4251 5).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&[b"openssh-key-v1\0", &*bytes].concat(), "key").is_err());
            prop_assert!(ed25519(&bytes).is_none());
        }
    }
}

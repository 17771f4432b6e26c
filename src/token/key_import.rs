//! Keys as files and settings bring them.

use super::key::SigningKey;
use super::key_error::KeyError;
use super::verification_key::VerificationKey;
use super::{openssh, pem, pkcs8};

/// What stands before a plain secret.
const SECRET_PREFIX: &str = "hs256:";

impl SigningKey {
    /// A key as people have it: a PEM file of `openssl` or `ssh-keygen` (PKCS#8, PKCS#1, SEC 1, and
    /// OpenSSH's own format for Ed25519), or `hs256:` and a secret such as Django's `SECRET_KEY`, of
    /// which one line end is dropped. `file` is the name to put into the command lines of refusals.
    pub fn import(text: &str, file: &str) -> Result<Self, KeyError> {
        if let Some(secret) = secret_of(text) {
            return Self::from_secret(secret.as_bytes());
        }
        if looks_public(text) {
            return Err(KeyError::PublicOnly);
        }
        let blocks = pem::blocks(text)?;
        let private: Vec<_> = blocks.iter().filter(|block| is_private(block.label)).collect();
        match *private.as_slice() {
            [block] => private_key(block, file),
            [] if blocks.is_empty() => Err(KeyError::Unrecognised),
            [] => Err(KeyError::PublicOnly),
            _ => Err(KeyError::SeveralKeys(private.len())),
        }
    }
}

/// The public half of what `text` holds: a public or private PEM file, or `hs256:` and a secret.
pub(super) fn public(text: &str, file: &str) -> Result<VerificationKey, KeyError> {
    let blocks = if secret_of(text).is_some() { Vec::new() } else { pem::blocks(text)? };
    for block in &blocks {
        match block.label {
            "PUBLIC KEY" => return pkcs8::read_public(&block.contents),
            "RSA PUBLIC KEY" => return pkcs8::read_rsa_public(&block.contents),
            _ => {}
        }
    }
    match SigningKey::import(text, file) {
        Ok(key) => Ok(key.verification_key()),
        Err(KeyError::PublicOnly) if text.contains("-----BEGIN CERTIFICATE") => {
            Err(KeyError::Certificate)
        }
        Err(KeyError::PublicOnly) => Err(KeyError::Convert {
            what: "this form of a public key",
            command: format!("ssh-keygen -e -m PKCS8 -f {}", shell_word(file)),
        }),
        Err(error) => Err(error),
    }
}

fn secret_of(text: &str) -> Option<&str> {
    let secret = text.strip_prefix(SECRET_PREFIX)?;
    let secret = secret.strip_suffix('\n').unwrap_or(secret);
    Some(secret.strip_suffix('\r').unwrap_or(secret))
}

/// A line of `authorized_keys`, or what `ssh-keygen -e` makes of it (RFC 4716).
fn looks_public(text: &str) -> bool {
    let starts = ["ssh-", "ecdsa-sha2-", "sk-", "---- BEGIN SSH2 PUBLIC"];
    starts.iter().any(|start| text.trim_start().starts_with(start))
}

fn is_private(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

fn private_key(block: &pem::Block<'_>, file: &str) -> Result<SigningKey, KeyError> {
    let decrypt = || {
        let (from, to) = (shell_word(file), shell_word(&format!("{file}.plain")));
        KeyError::Encrypted(format!("openssl pkey -in {from} -out {to}"))
    };
    match block.label {
        "ENCRYPTED PRIVATE KEY" => Err(decrypt()),
        _ if block.has_headers => Err(decrypt()),
        "PRIVATE KEY" => pkcs8::read_private(&block.contents),
        "RSA PRIVATE KEY" => SigningKey::from_rsa(&block.contents),
        "EC PRIVATE KEY" => pkcs8::read_sec1(&block.contents, None),
        "OPENSSH PRIVATE KEY" => openssh::read(&block.contents, file),
        _ => Err(KeyError::Unsupported("this type of key")),
    }
}

/// `text` as one word of a command line.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    let dash = if text.starts_with('-') { "./" } else { "" };
    format!("'{dash}{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;

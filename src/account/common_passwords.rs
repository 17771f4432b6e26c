//! Django's list of about 20,000 common passwords, embedded in a compact form: five bytes of each
//! password's SHA-256, sorted (`tests/setup/common_passwords.py`).
//!
//! A listed password is always found; any other by mistake with a chance of 1 in 50 million.

use crate::base::digest::Digest;

/// Bytes that are kept of a digest.
const WIDTH: usize = 5;
static LIST: &[u8] = include_bytes!("common_passwords.bin");

/// Whether `password`, which must be in lower case and trimmed, is on the list.
#[must_use]
pub fn contains(password: &str) -> bool {
    let digest = Digest::of(password.as_bytes());
    let (entries, _) = LIST.as_chunks::<WIDTH>();
    entries.binary_search_by(|entry| entry.as_slice().cmp(&digest.as_bytes()[..WIDTH])).is_ok()
}

#[cfg(test)]
mod tests;

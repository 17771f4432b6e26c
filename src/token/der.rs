//! The little of DER (X.690) that keys need: a reader that accepts the one encoding only, and a writer
//! whose buffers are wiped.

use zeroize::Zeroizing;

use super::key_error::KeyError;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub(super) const CONTEXT_1: u8 = 0xa1;
/// `[1]`, primitive: how RFC 5958 tags the public key.
pub(super) const IMPLICIT_1: u8 = 0x81;

/// What was read is not the DER that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl From<Damaged> for KeyError {
    fn from(_: Damaged) -> Self {
        Self::Malformed("key")
    }
}

/// Reads elements one after the other, in the one encoding that DER has for each.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Damaged> {
        let (&found, rest) = self.0.split_first().ok_or(Damaged)?;
        let (length, rest) = length(rest).ok_or(Damaged)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(Damaged)?;
        if found != tag {
            return Err(Damaged);
        }
        self.0 = rest;
        Ok(content)
    }

    /// As [`take`](Self::take) when the next element has this tag; else nothing is read.
    pub(super) fn take_optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Damaged> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// A reader of what is inside the next element.
    pub(super) fn enter(&mut self, tag: u8) -> Result<Self, Damaged> {
        self.take(tag).map(Self)
    }

    /// A reader of what is inside the only element of `bytes`.
    pub(super) fn enter_only(bytes: &'a [u8], tag: u8) -> Result<Self, Damaged> {
        let mut outer = Self(bytes);
        let inner = outer.enter(tag)?;
        outer.end()?;
        Ok(inner)
    }

    /// A non-negative `INTEGER`, big-endian without leading zeros (zero is the empty string).
    pub(super) fn unsigned(&mut self) -> Result<&'a [u8], Damaged> {
        match self.take(INTEGER)? {
            [0] => Ok(&[]),
            [0, rest @ ..] if rest.first().is_some_and(|&first| first >= 0x80) => Ok(rest),
            bytes if bytes.first().is_some_and(|first| (1..0x80).contains(first)) => Ok(bytes),
            _ => Err(Damaged),
        }
    }

    /// The bytes of a `BIT STRING` without unused bits.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Damaged> {
        self.take(BIT_STRING)?.strip_prefix(&[0]).ok_or(Damaged)
    }

    /// Confirms that everything was read.
    pub(super) fn end(self) -> Result<(), Damaged> {
        if self.0.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}

/// A definite length in its shortest form, of at most three octets: keys are smaller than 16 MiB.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let octets = usize::from(first & 0x7f);
    if !(1..=3).contains(&octets) {
        return None;
    }
    let (octets, rest) = rest.split_at_checked(octets)?;
    let length = octets.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
    let shortest = *octets.first()? != 0 && length >= 0x80;
    shortest.then_some((length, rest))
}

/// One element with this tag around `parts`, one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // Room for everything at once: a vector that grows leaves copies behind that are not wiped.
    let mut out = Zeroizing::new(Vec::with_capacity(length + 1 + 1 + size_of::<usize>()));
    out.push(tag);
    let octets = length.to_be_bytes();
    let significant = octets.iter().skip_while(|&&octet| octet == 0);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let count = significant.clone().count();
            out.push(0x80 | u8::try_from(count).expect("a usize has at most eight bytes"));
            out.extend(significant);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An `INTEGER` from big-endian bytes, leading zeros or not.
pub(super) fn unsigned(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    match bytes.first() {
        Some(first) if first & 0x80 == 0 => element(INTEGER, &[bytes]),
        _ => element(INTEGER, &[&[0], bytes]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_have_one_spelling() {
        for (bytes, content) in [
            (&b"\x04\x01a"[..], Some(&b"a"[..])),
            (b"\x04\x81\x01a", None),
            (b"\x04\x80a\0\0", None),
            (b"\x04\x82\0\x01a", None),
            (b"\x04\x02a", None),
            (b"\x04", None),
            (b"\x05\x01a", None),
        ] {
            assert_eq!(Reader::new(bytes).take(OCTET_STRING).ok(), content, "{bytes:?}");
        }
    }

    #[test]
    fn integers_have_one_spelling() {
        for (bytes, value) in [
            (&b"\x02\x01\0"[..], Some(&b""[..])),
            (b"\x02\x01\x7f", Some(b"\x7f")),
            (b"\x02\x02\0\x80", Some(b"\x80")),
            (b"\x02\x02\0\x7f", None),
            (b"\x02\x01\x80", None),
            (b"\x02\0", None),
        ] {
            assert_eq!(Reader::new(bytes).unsigned().ok(), value, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let written = element(SEQUENCE, &[&element(OCTET_STRING, &[&value]), &unsigned(&value)]);
            let mut outer = Reader::new(&written);
            let mut inner = outer.enter(SEQUENCE).expect("a sequence");
            prop_assert_eq!(inner.take(OCTET_STRING), Ok(&value[..]));
            let zeros = value.iter().take_while(|&&byte| byte == 0).count();
            prop_assert_eq!(inner.unsigned(), Ok(&value[zeros..]));
            prop_assert!(inner.end().is_ok() && outer.end().is_ok());
        }
    }
}

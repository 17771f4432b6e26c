//! Text forms: lower-case hex, base64url as JOSE wants it, flat JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Lower-case hex digits, two for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// The bytes of lower-case hex digits; `None` for anything else, upper case included.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (to, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *to = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
    }
    Some(out)
}

/// base64url without padding (RFC 7515 2).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes canonical base64url without padding into the front of `buffer` and returns that part.
///
/// `None` for padding, white space, other alphabets, non-zero trailing bits, or when `buffer` is too
/// small: one byte string has one text, so a token cannot be respelt (RFC 7515 2, RFC 4648 3.5).
pub fn unbase64url<'b>(text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..length)
}

/// As [`unbase64url`], into a new vector.
#[must_use]
pub fn unbase64url_vec(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A flat JSON object of texts, in the given order.
#[must_use]
pub fn json_object(pairs: &[(&str, String)]) -> String {
    let mut out = String::from("{");
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_json_text(&mut out, name);
        out.push(':');
        push_json_text(&mut out, value);
    }
    out.push('}');
    out
}

/// RFC 8259 7: quotes, backslashes and control characters are escaped.
fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\x1f' => {
                out.push_str("\\u00");
                out.push_str(&hex(&[u8::try_from(u32::from(c)).unwrap_or_default()]));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped() {
        assert_eq!(json_object(&[]), "{}");
        let pairs = [("a", "\"x\\y\"".to_owned()), ("b", "é\n\0".to_owned())];
        assert_eq!(json_object(&pairs), r#"{"a":"\"x\\y\"","b":"é\u000a\u0000"}"#);
    }
}

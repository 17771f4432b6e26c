//! The protected header of a JWS: strict JSON, and nothing allocated for the usual one.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::jws::JwsError;

/// The most members of one object, and the deepest nesting of a header that is still read.
const MOST_MEMBERS: usize = 16;
const DEEPEST: usize = 4;

/// A protected header (RFC 7515 4). Its members are distinct, at every level; neither `crit` nor
/// `b64: false` is among them. Strings are borrowed unless they are written with escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `alg`.
    pub algorithm: Cow<'a, str>,
    /// `kid`.
    pub key_id: Option<Cow<'a, str>>,
    /// `typ`.
    pub typ: Option<Cow<'a, str>>,
}

/// Everything of a header that decides something.
#[derive(Default)]
struct Found<'a> {
    algorithm: Option<Cow<'a, str>>,
    key_id: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    is_critical: bool,
    is_unencoded: bool,
}

pub(super) fn parse(decoded: &[u8]) -> Result<Header<'_>, JwsError> {
    let mut json = serde_json::Deserializer::from_slice(decoded);
    let found = json.deserialize_map(Top).map_err(|_| JwsError::Header)?;
    json.end().map_err(|_| JwsError::Header)?;
    if found.is_critical {
        return Err(JwsError::Critical);
    }
    if found.is_unencoded {
        return Err(JwsError::Unencoded);
    }
    let algorithm = found.algorithm.ok_or(JwsError::Header)?;
    Ok(Header { algorithm, key_id: found.key_id, typ: found.typ })
}

struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::default();
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Text)? {
            match &*name {
                "alg" => found.algorithm = Some(map.next_value_seed(Text)?),
                "kid" => found.key_id = Some(map.next_value_seed(Text)?),
                "typ" => found.typ = Some(map.next_value_seed(Text)?),
                "b64" => found.is_unencoded = !map.next_value::<bool>()?,
                other => {
                    found.is_critical |= other == "crit";
                    map.next_value_seed(Skipped { levels: DEEPEST - 1 })?;
                }
            }
            names.add(name)?;
        }
        Ok(found)
    }
}

/// The names of one object so far.
#[derive(Default)]
struct Names<'a> {
    seen: [Option<Cow<'a, str>>; MOST_MEMBERS],
}

impl<'a> Names<'a> {
    /// Refuses a name that is there already, and one too many.
    fn add<E: serde::de::Error>(&mut self, name: Cow<'a, str>) -> Result<(), E> {
        for place in &mut self.seen {
            match place {
                Some(seen) if *seen == name => return Err(E::custom("a member appears twice")),
                Some(_) => {}
                None => {
                    *place = Some(name);
                    return Ok(());
                }
            }
        }
        Err(E::custom("too many members"))
    }
}

/// A string, borrowed where the text allows it. (serde's own `Cow` is always owned.)
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Any value, read for nothing but its form.
#[derive(Clone, Copy)]
struct Skipped {
    levels: usize,
}

impl Skipped {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Skipped {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while sequence.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Text)? {
            names.add(name)?;
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_header_is_borrowed() {
        let header = parse(br#"{"typ":"JWT","alg":"HS256","kid":"a-b"}"#).expect("a header");
        assert!(matches!(header.algorithm, Cow::Borrowed("HS256")));
        assert!(matches!(header.key_id, Some(Cow::Borrowed("a-b"))));
        assert!(matches!(header.typ, Some(Cow::Borrowed("JWT"))));
    }

    #[test]
    fn other_members_are_skipped_and_escapes_are_read() {
        let header = parse(
            b" { \"\\u0061lg\" : \"RS\\u0032\\u00356\",\n\"jwk\":{\"k\":[1,{}],\"e\":\"\\n\"},\"b64\":true,\"x\":null} ",
        );
        let header = header.expect("a header");
        assert_eq!((&*header.algorithm, header.key_id), ("RS256", None));
    }

    #[test]
    fn odd_headers_are_refused() {
        let many: Vec<_> = (0..MOST_MEMBERS).map(|number| format!(r#","{number}":0"#)).collect();
        let cases = [
            ("", JwsError::Header),
            ("{}", JwsError::Header),
            ("[]", JwsError::Header),
            (r#""alg""#, JwsError::Header),
            (r#"{"alg":"HS256"}x"#, JwsError::Header),
            (r#"{"alg":"HS256"}{}"#, JwsError::Header),
            ("\u{feff}{\"alg\":\"HS256\"}", JwsError::Header),
            (r#"{"alg":"HS256",}"#, JwsError::Header),
            (r#"{"alg":null}"#, JwsError::Header),
            (r#"{"alg":["HS256"]}"#, JwsError::Header),
            (r#"{"alg":"HS256","kid":1}"#, JwsError::Header),
            (r#"{"alg":"HS256","typ":{}}"#, JwsError::Header),
            (r#"{"alg":"HS256","alg":"HS256"}"#, JwsError::Header),
            (r#"{"alg":"none","\u0061lg":"HS256"}"#, JwsError::Header),
            (r#"{"alg":"HS256","kid":"a","kid":"b"}"#, JwsError::Header),
            (r#"{"alg":"HS256","x":1,"x":2}"#, JwsError::Header),
            (r#"{"alg":"HS256","x":{"y":1,"y":2}}"#, JwsError::Header),
            (r#"{"alg":"HS256","kid":"\ud800"}"#, JwsError::Header),
            (r#"{"alg":"HS256","x":[[[[]]]]}"#, JwsError::Header),
            (r#"{"alg":"HS256","b64":"no"}"#, JwsError::Header),
            (&format!(r#"{{"alg":"HS256"{}}}"#, many.concat()), JwsError::Header),
            (&format!(r#"{{"alg":"HS256","x":{}"#, "[".repeat(60_000)), JwsError::Header),
            (r#"{"alg":"HS256","crit":["exp"]}"#, JwsError::Critical),
            (r#"{"alg":"HS256","crit":[]}"#, JwsError::Critical),
            (r#"{"alg":"HS256","crit":null}"#, JwsError::Critical),
            (r#"{"crit":["b64"],"b64":false,"alg":"HS256"}"#, JwsError::Critical),
            (r#"{"alg":"HS256","b64":false}"#, JwsError::Unencoded),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text:.80}");
        }
        assert_eq!(parse(b"{\"alg\":\"HS256\",\"kid\":\"\xff\"}"), Err(JwsError::Header));
        assert!(parse(br#"{"alg":"HS256","x":[[[]]]}"#).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_panics(text in r#"([{}\[\],:]|"alg"|"kid"|"HS256"|"crit"|1e999|true|\\u|.){0,30}"#) {
            let _ = parse(text.as_bytes());
        }
    }
}

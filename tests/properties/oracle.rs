//! Our verifier and `jsonwebtoken` see the same tokens and say the same, but where we mean to differ.

use std::collections::HashSet;

use avain::token::verify::Expectations;
use jsonwebtoken::Validation;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use serde::de::IgnoredAny;

use crate::tokens::{KEYS, RING, judge, lenient, signed};

/// A token before it is signed: members as raw JSON, so that they may stand twice or be of any type.
#[derive(Clone, Debug)]
struct Draft {
    header: Vec<(&'static str, String)>,
    claims: Vec<(&'static str, String)>,
    signer: usize,
    mutation: Mutation,
}

#[derive(Clone, Debug)]
enum Mutation {
    None,
    /// Puts another character at a place.
    Replace(prop::sample::Index, char),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, char),
    /// Cuts the token there.
    Cut(prop::sample::Index),
}

impl Mutation {
    fn apply(&self, token: &str) -> String {
        let mut characters: Vec<char> = token.chars().collect();
        match self {
            Self::None => {}
            Self::Replace(at, with) => characters[at.index(token.len())] = *with,
            Self::Remove(at) => drop(characters.remove(at.index(token.len()))),
            Self::Insert(at, with) => characters.insert(at.index(token.len()), *with),
            Self::Cut(at) => characters.truncate(at.index(token.len())),
        }
        characters.into_iter().collect()
    }
}

impl Draft {
    fn token(&self) -> String {
        let object = |members: &[(&str, String)]| {
            let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let token = signed(&object(&self.header), &object(&self.claims), &KEYS[self.signer]);
        self.mutation.apply(&token)
    }

    fn values<'d>(members: &'d [(&str, String)], name: &str) -> Vec<&'d str> {
        members.iter().filter(|(found, _)| *found == name).map(|(_, value)| &**value).collect()
    }

    fn times(&self, name: &str) -> impl Iterator<Item = Option<f64>> {
        Self::values(&self.claims, name).into_iter().map(|value| value.parse().ok())
    }

    /// Why we refuse what `jsonwebtoken` accepts. Each line is a decision of ours.
    fn stricter(&self, expect: &Expectations, now: i64) -> Vec<&'static str> {
        #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
        let (now, leeway) = (now as f64, expect.leeway as f64);
        let is_text = |value: &&str| value.starts_with('"');
        let header = |name| Self::values(&self.header, name);
        let claims = |name| Self::values(&self.claims, name);
        let twice = |members: &[(&str, String)]| {
            let mut seen = HashSet::new();
            members.iter().any(|(name, _)| *name != "else" && !seen.insert(*name))
        };
        let named = header("kid").first().is_some_and(|kid| {
            let is_named = |key: &usize| *kid == format!("\"{}\"", KEYS[*key].id());
            let algorithm = KEYS[self.signer].algorithm();
            (0..KEYS.len())
                .filter(is_named)
                .any(|other| other != self.signer && KEYS[other].algorithm() == algorithm)
        });
        let no_time = |time: Option<f64>| time.is_none_or(|time| time.abs() > 253_402_300_799.0);
        [
            // RFC 7515 4.1.11, RFC 7797 6.
            (!header("crit").is_empty() || header("b64") == ["false"], "an extension"),
            // RFC 7515 4, RFC 7519 4: two readers must not see two values.
            (twice(&self.header) || twice(&self.claims), "a member twice"),
            // RFC 7515 4.1.4: another key's name.
            (named, "the kid of another key"),
            // PyJWT refuses tokens from the future.
            (self.times("iat").flatten().any(|time| time.trunc() > now + leeway), "iat ahead"),
            (["exp", "nbf", "iat"].iter().any(|name| self.times(name).any(no_time)), "no time"),
            // PyJWT: `jti` and `sub` are texts.
            (!claims("jti").iter().all(is_text) || !claims("sub").iter().all(is_text), "no text"),
            // PyJWT: one issuer, not a list.
            (expect.issuer.is_some() && !claims("iss").iter().all(is_text), "issuers"),
            // An audience of another type is one, and not ours.
            (expect.refuse_unexpected_audience && !claims("aud").is_empty(), "an audience"),
            // RFC 7519 4.1.4: "on or after". Half seconds are cut off, as PyJWT does.
            (self.times("exp").flatten().any(|time| time.trunc() <= now - leeway), "expired"),
        ]
        .into_iter()
        .filter_map(|(differs, why)| differs.then_some(why))
        .collect()
    }

    /// Why we accept what `jsonwebtoken` refuses.
    fn laxer(&self) -> Vec<&'static str> {
        [
            // A time before 1970 is one (RFC 7519 2).
            (self.times("nbf").flatten().any(|time| time < 0.0), "nbf before 1970"),
            (self.times("nbf").flatten().any(|time| time.fract() != 0.0), "nbf with a fraction"),
            // What is not looked at may be of any type.
            (Self::values(&self.header, "jku").iter().any(|v| !v.starts_with('"')), "jku"),
        ]
        .into_iter()
        .filter_map(|(differs, why)| differs.then_some(why))
        .collect()
    }
}

/// Whether `jsonwebtoken` accepts it under any key of the ring.
fn second_opinion(token: &str, expect: &Expectations) -> bool {
    KEYS.iter().any(|key| {
        let mut validation = Validation::new(key.algorithm().for_jsonwebtoken());
        validation.leeway = u64::try_from(expect.leeway).expect("leeways are not negative");
        validation.validate_nbf = true;
        validation.required_spec_claims.clear();
        validation.validate_aud = expect.audience.is_some() || expect.refuse_unexpected_audience;
        if let Some(audience) = &expect.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        if let Some(issuer) = &expect.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        jsonwebtoken::decode::<IgnoredAny>(token, &key.decoding_key(), &validation).is_ok()
    })
}

fn now() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).expect("this century")
}

/// A time claim: mostly around the edges, sometimes no time at all. `@` stands for the present.
fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["@+3600", "@+60", "@+11", "@-3600"]).prop_map(str::to_owned),
        8 => (-12..=12_i64).prop_map(|offset| format!("@{offset:+}")),
        1 => (-2..=2_i64).prop_map(|offset| format!("@{offset:+}.5")),
        1 => select(vec![
            "0", "-1", "1e12", "253402300799", "253402300800", "1e300", "18446744073709551615",
            "18446744073709551616", "9223372036854775807", "-9223372036854775809", "\"99999999999\"",
            "\"\"", "null", "true", "[]", "{}", "[4102444800]",
        ])
        .prop_map(str::to_owned),
    ]
}

fn member(
    name: &'static str,
    often: f64,
    value: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = Option<(&'static str, String)>> {
    prop::option::weighted(often, value.prop_map(move |value| (name, value)))
}

fn texts(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(values).prop_map(str::to_owned)
}

fn draft() -> impl Strategy<Value = Draft> {
    let header = (
        prop::option::weighted(
            0.05,
            select(vec!["HS256", "RS256", "ES256", "none", "hs256", "PS256", "HS512"]),
        ),
        member("typ", 0.9, texts(&["\"JWT\"", "\"at+jwt\"", "\"\"", "7"])),
        prop::option::weighted(0.7, 0..KEYS.len() + 1),
        member("crit", 0.03, texts(&["[\"exp\"]", "[]", "null"])),
        member("b64", 0.03, texts(&["true", "false"])),
        member("jku", 0.05, texts(&["\"https://evil.example/keys\"", "7"])),
    );
    let claims = (
        member("token_type", 0.9, texts(&["\"access\"", "\"refresh\"", "7"])),
        member("exp", 0.95, time()),
        member("iat", 0.5, time()),
        member("nbf", 0.3, time()),
        member("jti", 0.9, texts(&["\"0011\"", "\"0011\"", "\"0011\"", "\"\"", "7", "null"])),
        member("sub", 0.3, texts(&["\"7\"", "\"7\"", "7", "[]"])),
        member("iss", 0.6, texts(&["\"avain\"", "\"avain\"", "\"other\"", "[\"avain\"]", "7"])),
        member(
            "aud",
            0.5,
            texts(&[
                "\"api\"",
                "[\"api\"]",
                "[\"x\",\"api\"]",
                "\"x\"",
                "[]",
                "[\"api\",7]",
                "7",
                "null",
            ]),
        ),
        member("user_id", 0.9, texts(&["\"7\"", "7", "null", "{\"a\":[1]}"])),
        member("else", 0.3, texts(&["1e999", "[[[{}]]]", "\"\\u00e4\"", "\"ä\""])),
    );
    let mutation = prop_oneof![
        12 => Just(Mutation::None),
        1 => (any::<prop::sample::Index>(), character()).prop_map(|(at, c)| Mutation::Replace(at, c)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Remove),
        1 => (any::<prop::sample::Index>(), character()).prop_map(|(at, c)| Mutation::Insert(at, c)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Cut),
    ];
    let twice = prop::option::weighted(0.05, any::<prop::sample::Index>());
    (0..KEYS.len(), header, claims, mutation, twice).prop_map(
        |(signer, (alg, typ, kid, crit, b64, jku), claims, mutation, twice)| {
            let alg = alg.unwrap_or(KEYS[signer].algorithm().name());
            let kid = kid.map(|at| {
                let id =
                    KEYS.get(at).map_or_else(|| "foreign".to_owned(), |key| key.id().to_string());
                ("kid", format!("\"{id}\""))
            });
            let alg = Some(("alg", format!("\"{alg}\"")));
            let header: Vec<_> = [typ, alg, kid, crit, b64, jku].into_iter().flatten().collect();
            let (token_type, exp, iat, nbf, jti, sub, iss, aud, user, other) = claims;
            let mut claims: Vec<_> = [token_type, exp, iat, nbf, jti, sub, iss, aud, user, other]
                .into_iter()
                .flatten()
                .collect();
            if let Some(at) = twice.filter(|_| !claims.is_empty()) {
                claims.push(claims[at.index(claims.len())].clone());
            }
            Draft { header, claims, signer, mutation }
        },
    )
}

fn character() -> impl Strategy<Value = char> {
    select("AZaz09-_.=+/ \n".chars().collect::<Vec<_>>())
}

fn expectations() -> impl Strategy<Value = Expectations> {
    (any::<bool>(), any::<bool>(), any::<bool>(), select(vec![0, 10])).prop_map(
        |(issuer, audience, refuse, leeway)| Expectations {
            issuer: issuer.then(|| "avain".to_owned()),
            audience: audience.then(|| "api".to_owned()),
            refuse_unexpected_audience: refuse && !audience,
            leeway,
            ..lenient()
        },
    )
}

/// Puts the present in place of `@`: `@+60` becomes a number.
fn dated(mut draft: Draft, now: i64) -> Draft {
    for (_, value) in &mut draft.claims {
        if let Some(offset) = value.strip_prefix('@') {
            let (whole, fraction) = offset.split_once('.').map_or((offset, ""), |parts| parts);
            let whole: i64 = whole.parse().expect("the generator writes numbers");
            let point = if fraction.is_empty() { "" } else { "." };
            *value = format!("{}{point}{fraction}", now + whole);
        }
    }
    draft
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn jsonwebtoken_says_the_same(draft in draft(), expect in expectations()) {
        // jsonwebtoken reads the machine's clock: both must see the same second.
        let (draft, token, ours, theirs, now) = loop {
            let before = now();
            let draft = dated(draft.clone(), before);
            let token = draft.token();
            let ours = judge(&RING, &expect, &token, before);
            let theirs = second_opinion(&token, &expect);
            if now() == before {
                break (draft, token, ours, theirs, before);
            }
        };
        let (stricter, laxer) = (draft.stricter(&expect, now), draft.laxer());
        match (ours, theirs) {
            (Ok(()), true) => prop_assert!(
                stricter.is_empty(), "accepted in spite of {stricter:?}: {draft:?}"
            ),
            (Ok(()), false) => prop_assert!(!laxer.is_empty(), "accepted alone: {token} {draft:?}"),
            (Err(why), true) => prop_assert!(
                !stricter.is_empty(), "refused alone, {why:?}: {token} {draft:?}"
            ),
            (Err(_), false) => {}
        }
    }
}

/// A thousand, unless `PROPTEST_CASES` says otherwise; RSA is slow.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(1000)
}

/// That the property above has something to compare: of the tokens it makes, many pass and many do not.
#[test]
fn good_and_bad_tokens_are_made() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..300 {
        let made = draft().new_tree(&mut runner).expect("drafts can be made").current();
        if second_opinion(&dated(made, now()).token(), &lenient()) {
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(good > 60 && bad > 60, "{good} good, {bad} bad");
}

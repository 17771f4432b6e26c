//! The value of `Authorization`, the keys in it, and the terms of keys.
#![no_main]

use avain::token::credential::{Credential, Scheme, Schemes};
use avain::token::opaque::ClassicKey;
use avain::token::personal::{self, PersonalKeyDigest};
use avain::token::scope::Scopes;
use avain::token::terms::Networks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let schemes =
        Schemes { accepted: vec![Scheme::Bearer, Scheme::Token], bearer_prefix: "Bearer".to_owned() };
    match schemes.read(Some(bytes)) {
        Ok(Credential::Bearer(token)) => assert!(!token.iter().any(u8::is_ascii_whitespace)),
        Ok(Credential::ApiKey(key)) => {
            // One kind or the other, or none.
            let own = PersonalKeyDigest::of_presented(key.as_bytes()).is_some();
            assert!(!own || (personal::is_claimed(key.as_bytes()) && ClassicKey::parse(key).is_none()));
        }
        Ok(Credential::None) | Err(_) => {}
    }
    // The terms of a key, as its owner may write them: what is read reads back as itself.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(scopes) = Scopes::parse(text) {
        assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes));
    }
    if let Ok(networks) = Networks::parse(text) {
        assert_eq!(Networks::parse(&networks.to_string()), Ok(networks));
    }
});

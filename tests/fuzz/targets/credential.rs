//! The value of `Authorization`.
#![no_main]

use avain::token::credential::{Credential, Scheme, Schemes};
use avain::token::opaque::ClassicKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let schemes =
        Schemes { accepted: vec![Scheme::Bearer, Scheme::Token], bearer_prefix: "Bearer".to_owned() };
    match schemes.read(Some(bytes)) {
        Ok(Credential::Bearer(token)) => assert!(!token.iter().any(u8::is_ascii_whitespace)),
        Ok(Credential::ApiKey(key)) => drop(ClassicKey::parse(key)),
        Ok(Credential::None) | Err(_) => {}
    }
});

//! The header of a JWS.
#![no_main]

use avain::token::algorithm::Algorithm;
use avain::token::jws::parse_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = parse_header(bytes) {
        let _ = Algorithm::parse(&header.algorithm);
        assert!(std::str::from_utf8(bytes).is_ok(), "JSON is UTF-8");
    }
});

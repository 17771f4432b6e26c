//! Patterns, and paths held against them: what matches must match from end to end in linear time.
#![no_main]

use avain::base::pattern::Pattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, path) = input;
    let Ok(pattern) = Pattern::parse(text) else { return };
    assert_eq!(pattern.as_str(), text);
    if pattern.matches(path.as_bytes()) {
        assert!(text.starts_with('~') || path.starts_with('/'));
        if let Ok(overlap) = pattern.overlap(&pattern) {
            assert_eq!((overlap.first_alone, overlap.second_alone), (None, None));
        }
    }
});

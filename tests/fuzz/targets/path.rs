//! The path that the gate judges.
#![no_main]

use avain::gate::path::{Room, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut room = Room::default();
    if let Ok(path) = read(bytes, &mut room) {
        for view in [path.raw, path.decoded] {
            assert!(view.starts_with('/') && !view.contains("//") && !view.contains('\\'));
            assert!(view.split('/').all(|segment| !matches!(segment, "." | "..")));
        }
    }
});

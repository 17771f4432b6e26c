//! Bodies: JSON and forms.
#![no_main]

use avain::dialect::form::{Reader, Submission, TextField};
use avain::dialect::words::CURRENT;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let submissions = [Submission::from_json(bytes).ok(), Some(Submission::from_form(bytes))];
    for submission in submissions.iter().flatten() {
        if let Ok(mut reader) = Reader::new(&CURRENT, submission) {
            let value = reader.text(&TextField::required("username"));
            assert!(reader.finish().is_err() || !value.is_empty());
        }
    }
});

//! Django itself, from `target/venv`, on a database of a test's (`django_site.py`).

use std::process::Command;

/// Runs Django on the database at `url`; panics with what it says where it fails.
pub(crate) fn django(url: &str, arguments: &[&str]) {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/django_site.py");
    let words = url.trim_start_matches("postgresql://").split([':', '@', '/']);
    let [user, password, host, port, name] = words.collect::<Vec<_>>()[..] else {
        panic!("another kind of URL: {url}");
    };
    let mut command = Command::new(python);
    command.arg(script).args([host, port, user, password, name]).args(arguments);
    let done = tokio::task::block_in_place(|| command.output());
    let done = done.expect("target/venv is there: tests/setup/install.sh venv");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {said}");
}

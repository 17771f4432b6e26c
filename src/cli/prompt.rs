//! Asking a person.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::base::secret::Secret;
use crate::cli::Failure;

/// Asks for a line; the default where it is empty.
pub(super) fn line(question: &str, default: &str) -> Result<String, Failure> {
    let mut out = std::io::stderr();
    if default.is_empty() {
        write!(out, "{question}: ")?;
    } else {
        write!(out, "{question} [{default}]: ")?;
    }
    out.flush()?;
    let answer = read_line()?;
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}

/// Asks for a password twice, without showing it.
pub(super) fn new_password() -> Result<Secret<String>, Failure> {
    loop {
        let first = hidden("Password")?;
        if first.expose().is_empty() {
            writeln!(std::io::stderr(), "A password must not be empty.")?;
            continue;
        }
        if hidden("Password again")? == first {
            return Ok(first);
        }
        writeln!(std::io::stderr(), "The two passwords differ.")?;
    }
}

/// The password on standard input, without its line end.
pub(super) fn password_from_stdin() -> Result<Secret<String>, Failure> {
    let password = Secret::new(read_line()?);
    if password.expose().is_empty() {
        return Err(Failure::usage("there is no password on standard input"));
    }
    Ok(password)
}

fn hidden(question: &str) -> Result<Secret<String>, Failure> {
    write!(std::io::stderr(), "{question}: ")?;
    std::io::stderr().flush()?;
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(Secret::new(read_line()?));
    }
    let shown = tcgetattr(&stdin).map_err(Failure::fault)?;
    let mut quiet = shown.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(Failure::fault)?;
    let answer = read_line();
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(Failure::fault)?;
    writeln!(std::io::stderr())?;
    answer.map(Secret::new)
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    if read == 0 {
        return Err(Failure::usage("standard input ended before the answer"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

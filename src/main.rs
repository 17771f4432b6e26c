//! The program: hands the arguments and the environment to [`avain::cli`] and its word to the shell.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    avain::cli::run(std::env::args_os().collect(), &environment)
}

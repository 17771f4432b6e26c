//! The command line as a process: what it prints, what it exits with, and what it does to a running service.

mod accounts;
mod audit;
mod clients;
mod configuration;
mod failover;
mod inspect;
mod keys;
mod policies;
mod serving;
mod triggers;

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Database, Engine};
use crate::support::block_on;

/// A master key for PostgreSQL, where none is made beside the database.
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A database and the program on it.
struct Program {
    database: Database,
    folder: tempfile::TempDir,
    settings: Vec<String>,
}

/// What a run of the program gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints UTF-8");
        let code = output.status.code().expect("it exits");
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The lines on standard output as JSON.
    #[track_caller]
    fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}", self.err);
        let lines = self.out.lines();
        lines.map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// The one line on standard output as JSON.
    #[track_caller]
    fn json(&self) -> Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1, "{}", self.out);
        lines.remove(0)
    }

    /// Asserts that it was refused with one clear line.
    #[track_caller]
    fn refused(&self, code: i32, part: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(part), "{part:?} in {}", self.err);
        assert_eq!(self.err.lines().count(), 1, "one line: {}", self.err);
        assert!(self.err.starts_with("avain: "), "{}", self.err);
        assert_eq!(self.out, "");
    }

    /// Asserts that it ended with this code.
    #[track_caller]
    fn code_is(&self, code: i32) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
    }

    /// Asserts that it went well, and gives what it printed.
    #[track_caller]
    fn good(&self) -> &str {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        assert_eq!(self.err, "");
        &self.out
    }
}

impl Program {
    fn new(engine: Engine) -> Self {
        Self {
            database: block_on(Database::fresh(engine)),
            folder: tempfile::TempDir::new().expect("a temporary folder can be made"),
            settings: Vec::new(),
        }
    }

    /// With one more setting.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("{name}={value}"));
        self
    }

    /// The program with these arguments, in a folder of its own and with nothing in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.current_dir(self.folder.path());
        command.env("AVAIN_DATABASE_URL", &self.database.url);
        if self.database.url.starts_with("postgres") {
            command.env("AVAIN_KEYS_MASTER", MASTER);
        }
        for setting in [
            "passwords.algorithm=pbkdf2_sha256",
            "passwords.pbkdf2_iterations=1000",
            "database.durability=normal",
        ] {
            command.args(["--set", setting]);
        }
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        finish(self.command(arguments).spawn().expect("it starts"), input)
    }

    /// Makes an account whose password is `password`.
    fn user(&self, name: &str) {
        self.run_with(&["user", "create", name, "--password-stdin", "--force"], "password\n")
            .good();
    }

    /// Writes a file into its folder and gives the path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.display().to_string()
    }
}

/// The program with nothing around it.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avain"));
    command.args(arguments).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Gives the program its input and waits for its end.
fn finish(mut child: Child, input: &str) -> Ran {
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may have ended without reading.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    Ran::of(&child.wait_with_output().expect("it ends"))
}

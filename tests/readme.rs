//! The README against the code. Four parts of it are written by this test, between `<!-- name -->` and
//! `<!-- /name -->`: the session of `make run`, the endpoints, the settings, the metrics. Where one is
//! not what the code says the test prints the right one; `UPDATE=1 cargo test --test readme` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use avain::dialect::Endpoint;
use avain::http::routes::{self, Audience, Methods, PageMount};
use avain::page::Page;
use avain::page::section::Section;
use avain::settings::{Declaration, GROUPS, LAYOUTS};

#[test]
fn the_session_is_the_one_that_make_run_prints() {
    compare("session", &session());
}

#[test]
fn the_endpoints_are_those_of_the_route_table() {
    compare("endpoints", &endpoints());
}

#[test]
fn the_settings_are_those_that_are_declared() {
    compare("settings", &settings());
}

#[test]
fn the_metrics_are_those_that_are_declared() {
    compare("metrics", &metrics());
}

/// Every `avain …` in a README is a command that there is.
#[test]
fn the_commands_exist() {
    let mut commands = BTreeSet::new();
    for file in ["README.md", "nginx/README.md", "deploy/README.md", "tests/README.md"] {
        commands.extend(commands_in(&read(file)));
    }
    assert!(commands.len() > 10, "so few commands are found that the search must be broken");
    for words in commands {
        let help = Command::new(env!("CARGO_BIN_EXE_avain"))
            .args(&words)
            .arg("--help")
            .env_clear()
            .stdout(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(help.success(), "a README names `avain {}`, which is no command", words.join(" "));
    }
}

/// Every file and folder that a README names in backticks, below the top level, is there.
#[test]
fn the_files_exist() {
    let top = ["src/", "sql/", "deploy/", "nginx/", "tests/"];
    for file in ["README.md", "tests/README.md"] {
        let text = read(file);
        for name in text.split('`').skip(1).step_by(2) {
            let plain = !name.contains([' ', '*', '<', '…', '{']);
            if plain && top.iter().any(|folder| name.starts_with(folder)) {
                assert!(root().join(name).exists(), "{file} names {name}, which is not there");
            }
        }
    }
}

/// Everything under `tests/` is explained in its README.
#[test]
fn every_test_folder_is_listed() {
    let text = read("tests/README.md");
    for entry in std::fs::read_dir(root().join("tests")).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let name = entry.file_name().into_string().expect("the name is text");
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let listed = name.starts_with('_') || text.contains(&format!("`{name}{slash}`"));
        assert!(listed || name == "README.md", "tests/README.md does not say what {name} is");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Holds the part of that name against what it should be, or writes it where `UPDATE` is set.
fn compare(name: &str, right: &str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let text = read("README.md");
    let part = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    let (found, _) = part.unwrap_or_else(|| panic!("README.md has no part `{name}`"));
    if found == right {
        return;
    }
    if std::env::vars().any(|(variable, value)| variable == "UPDATE" && value == "1") {
        // One test at a time: each reads the file anew.
        static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _writing = WRITING.lock();
        let text = read("README.md");
        let text =
            text.replacen(&format!("{begin}{found}{end}"), &format!("{begin}{right}{end}"), 1);
        std::fs::write(root().join("README.md"), text).expect("README.md can be written");
        return;
    }
    panic!(
        "the part `{name}` of README.md is not what the code says. Run `UPDATE=1 cargo test --test readme`, \
         or put this there:\n{right}"
    );
}

/// What `tests/setup/stack.py` prints to try, with the default ports and without what differs each time.
fn session() -> String {
    let script = read("tests/setup/stack.py");
    let (_, rest) = script.split_once("Try, in this shell:\n\n").expect("the script prints lines");
    let (lines, _) = rest.split_once("\n\n").expect("they end with an empty line");
    let mut out = String::from("```sh\n");
    for line in lines.lines() {
        let line = line.strip_prefix("    ").unwrap_or(line);
        let filled = line
            .replace("{https}", "8443")
            .replace("{certificate}", "target/run/certificate.pem")
            .replace("{password}", "PASSWORD")
            .replace("{key}", "KEY")
            .replace("{{", "{")
            .replace("}}", "}")
            .replace("\\\\", "\\");
        let _ = writeln!(out, "{filled}");
    }
    out + "```\n"
}

fn endpoints() -> String {
    let mut out =
        String::from("| Layout | Method | Path | What | Answers |\n|---|---|---|---|---|\n");
    for layout in routes::LAYOUTS {
        let defaults = LAYOUTS.iter().find(|(name, _)| *name == layout.name);
        let (_, defaults) = defaults.expect("every layout has settings");
        let mount =
            defaults.iter().find(|(key, _)| *key == "mount").map_or("/", |(_, value)| value);
        let mount = mount.trim_end_matches('/');
        for row in layout.rows {
            let rotates = defaults.contains(&("rotation", "on"));
            let (what, answers) = about(row.endpoint, rotates);
            let path = row.under(mount);
            let name = layout.name;
            let methods = match row.methods {
                Methods::Post | Methods::PostHead | Methods::GetPost => "POST",
                Methods::GetPutPatch => "GET, PUT, PATCH",
                Methods::GetPatchDelete => "GET, PATCH, DELETE",
                Methods::Delete => "DELETE",
                Methods::Get => "GET",
                Methods::GetDelete => "GET, DELETE",
                Methods::GetPutPatchDelete => "GET, PUT, PATCH, DELETE",
            };
            let _ = writeln!(out, "| `{name}` | {methods} | `{path}` | {what} | {answers} |");
            let also = match (row.methods, row.endpoint) {
                (Methods::GetPost, Endpoint::ObtainPair) => {
                    Some(("the same for a browser session", "200 `refresh`, `access`; 401"))
                }
                (Methods::GetPost, Endpoint::Register) => {
                    Some(("the accounts one may see: oneself, staff all", "200; 401"))
                }
                (Methods::GetPost, Endpoint::ApiKeys) => Some((
                    "one's own API keys, by their beginnings",
                    "200 `keys`, `classic_key`; 401",
                )),
                (Methods::GetPost, Endpoint::Addresses) => {
                    Some(("the addresses of one's account", "200; 401"))
                }
                _ => None,
            };
            if let Some((what, answers)) = also {
                let _ = writeln!(out, "| `{name}` | GET | `{path}` | {what} | {answers} |");
            }
        }
    }
    for row in routes::PAGES {
        let (name, mount) = match row.mount {
            PageMount::Account => ("pages.mount", "/accounts"),
            PageMount::Administration => ("pages.administration", "/sysadmin"),
            PageMount::ApiKeys => ("pages.authtoken", "/sysadmin/authtoken"),
            PageMount::Metax => ("metax", "/v3"),
        };
        let (what, methods) = about_page(row.page);
        let path = format!("{mount}{}", row.path);
        let answers = match row.audience {
            Audience::Anybody => "a page",
            Audience::SignedIn => "a page; 302 to the sign-in",
            Audience::Staff => "a page; 302 to the sign-in of the administration; 403",
        };
        let _ = writeln!(out, "| `{name}` | {methods} | `{path}` | {what} | {answers} |");
    }
    out += "| – | GET | `/gate`, `/gate/{policy}` | for nginx's `auth_request`: may this request pass? | 204, 401, 403, 429, 503, always \
        without a body; 400: nginx is set up wrongly |\n";
    for (path, what, answers) in [
        ("/live", "the process answers", "200"),
        ("/ready", "it serves: the database answers, and no stop has begun", "200, 503"),
        ("/metrics", "Prometheus", "200"),
    ] {
        let _ = writeln!(out, "| operations | GET | `{path}` | {what} | {answers} |");
    }
    out
}

/// What a page is for, and which methods it answers.
fn about_page(page: Page) -> (&'static str, &'static str) {
    let form = "GET, POST";
    match page {
        Page::SignIn => ("signing in; `next` is a path to go on to", form),
        Page::SignOut => ("signing out: ends the session and the tokens that it gave", form),
        Page::Account => ("one's account: names", form),
        Page::Email => ("another mail address", form),
        Page::Addresses => ("one's mail addresses, and adding one", form),
        Page::Address => {
            ("one of them: another link to verify it, making it one's own, removing it", form)
        }
        Page::Password => ("another password; ends all other sessions and all tokens", form),
        Page::Devices => {
            ("where one is signed in, with browsers and with programs, and ending that", form)
        }
        Page::Activity => ("what happened lately to one's account", "GET"),
        Page::ApiKeys => ("one's API keys, the classic one too: making and taking back", form),
        Page::ApiKey => ("one of them: its name and terms, replacing it, taking it back", form),
        Page::BearerTokens => ("bearer tokens for scripts: API keys with a name and an end", form),
        Page::Acting => ("acting as somebody else, where `sessions.acting` is on", form),
        Page::ActingEnd => ("ceasing to", "POST"),
        Page::Language => ("another language", "POST"),
        Page::Register => ("making an account, where `pages.registration` is on", form),
        Page::Activate => ("following the link of an activation mail", form),
        Page::ResendActivation => ("another activation mail", form),
        Page::ResetRequest => ("a link for a forgotten password", form),
        Page::Reset => ("following that link, Django's too", form),
        Page::AllauthReset => ("following that link as dj-rest-auth sends it", form),
        Page::UsernameReset => ("following the link for a forgotten user name", form),
        Page::VerifyEmail => ("following the link that shows that mail arrives", form),
        Page::ConfirmEmail => ("following the link to another mail address", form),
        Page::AdministrationSignIn => ("signing in as staff", form),
        Page::Administration(section) => about_section(section),
    }
}

/// As [`about_page`], of the administration.
fn about_section(section: Section) -> (&'static str, &'static str) {
    let form = "GET, POST";
    match section {
        Section::Front => ("the administration", "GET"),
        Section::ApiKeys => {
            ("classic API keys of all accounts: by user name, making and taking back", form)
        }
        Section::Clients => ("registered clients", "GET"),
        Section::NewClient => ("registering a client; its secret is shown once", form),
        Section::Client => ("one client: scopes, grants, another secret, off, deleted", form),
        Section::SigningKeys => ("signing keys: rotating now, killing one", form),
        Section::Mail => ("mails that wait or were given up: retrying, dropping", form),
        Section::Audit => ("what happened, by account, event, address and day", "GET"),
        Section::Throttles => ("who was slowed down lately, and letting them go", form),
        Section::NewAccount => ("making an account", form),
        Section::Account => ("one account: names, state, rank, signing it out everywhere", form),
        Section::AccountAccess => ("its keys, sign-ins and sessions, and ending them", form),
        Section::AccountPassword => ("another password for it", form),
        Section::AccountDeletion => ("deleting it, with what hangs on it", form),
        Section::Accounts => {
            ("all accounts: by the beginning of user name or mail address, and by state", "GET")
        }
    }
}

/// What an endpoint is for, and what it answers.
fn about(endpoint: Endpoint, rotates: bool) -> (&'static str, &'static str) {
    match endpoint {
        Endpoint::ObtainPair => {
            ("a token pair for `username` and `password`", "200 `refresh`, `access`; 401")
        }
        Endpoint::RefreshPair if rotates => {
            ("a new pair for `refresh`, which is used up by it", "200 `access`, `refresh`; 401")
        }
        Endpoint::RefreshPair => ("a new access token for `refresh`", "200 `access`; 401"),
        Endpoint::VerifyToken => {
            ("whether `token`, of either kind, is good", "200; 401; 400 where it was taken back")
        }
        Endpoint::BlacklistToken => {
            ("signing out: `refresh` and every token that came of the same sign-in end", "200; 401")
        }
        Endpoint::ObtainKey => {
            ("the account's API key for `username` and `password`", "200 `token`; 400")
        }
        Endpoint::Register => ("making an account", "201; 400"),
        Endpoint::ListAccounts => ("the accounts one may see", "200; 401"),
        Endpoint::Activate => ("following the link of an activation mail", "200 or 204; 400, 403"),
        Endpoint::ResendActivation => ("another activation mail for `email`", "204; 400"),
        Endpoint::OwnAccount => ("one's own account", "200; 401, 400, 429"),
        Endpoint::AccountById => (
            "an account by its id: one's own; staff see any, and change members'; superusers change any",
            "200; 401, 403, 404, 429",
        ),
        Endpoint::SetPassword => ("another password; ends all tokens", "200 or 204; 400, 401"),
        Endpoint::ResetPassword => (
            "a mail with a link for a forgotten password, if there is such an account",
            "200 or 204; 400",
        ),
        Endpoint::ResetPasswordConfirm => ("following that link", "200 or 204; 400"),
        Endpoint::SetUsername => ("another user name", "200 or 204; 400, 401"),
        Endpoint::SetEmail => {
            ("another address to log in with; with `account.email_login`", "204; 400, 401, 429")
        }
        Endpoint::ResetEmail => (
            "a mail with a link for another address to log in with; with `account.email_login`",
            "204; 400",
        ),
        Endpoint::ResetUsername => ("a mail with a link for a forgotten user name", "204; 400"),
        Endpoint::ResetUsernameConfirm | Endpoint::ResetEmailConfirm => {
            ("following that link", "204; 400")
        }
        Endpoint::LogIn => ("logging in: an API key, or tokens", "200; 400"),
        Endpoint::LogOut => ("logging out", "200 or 204; 401"),
        Endpoint::VerifyEmail => ("following the link of a verification mail", "200; 400, 404"),
        Endpoint::OpenVerification => {
            ("the same by opening the link, where `account.confirm_on_get` is on", "200; 404")
        }
        Endpoint::ConfirmEmail => ("following the link to another address", "200 or 204; 400"),
        Endpoint::Addresses => ("another address for one's account", "201; 400, 401, 429"),
        Endpoint::AddressById => {
            ("removing an address that is not the primary one", "204; 400, 401, 404")
        }
        Endpoint::VerifyAddress => {
            ("another verification mail for an address", "200; 401, 404, 429")
        }
        Endpoint::PrimaryAddress => {
            ("making a verified address the primary one", "200; 400, 401, 404")
        }
        Endpoint::Families => (
            "where one is signed in: since when, from which address and program, last used; DELETE signs out \
             everywhere else",
            "200 `sessions`; 204; 401",
        ),
        Endpoint::FamilyById => ("signing out in one of these places", "204; 401, 404"),
        Endpoint::ApiKeys => (
            "making an API key of one's own: `name`, and `scope`, `networks`, `rate`, `expires_in` where wished",
            "201 `key`, shown this once; 400, 401, 403, 409",
        ),
        Endpoint::ApiKeyById => (
            "one of them; `DELETE` revokes it, and with `classic` in place of the id the classic key",
            "200 or 204; 400, 401, 403, 404",
        ),
        Endpoint::RotateApiKey => (
            "another key on the same terms; the old one goes on for `overlap` seconds",
            "201 `key`; 401, 403, 404, 409",
        ),
        Endpoint::UpgradeApiKey => (
            "a key of one's own in place of the classic one, asked with as for making one",
            "201 `key`; 400, 401, 403, 404, 409",
        ),
        Endpoint::ResendVerification => ("another verification mail for `email`", "200; 400"),
        Endpoint::IssueToken => (
            "tokens by `grant_type`: `client_credentials` for a client itself, `refresh_token` for a new pair",
            "200 `access_token`, `token_type`, `expires_in`; 400, 401",
        ),
        Endpoint::IntrospectToken => (
            "what `token` is worth, for clients with the scope `introspect` and for staff (RFC 7662)",
            "200 `active`; 401, 403",
        ),
        Endpoint::RevokeToken => ("ending `token`, whatever it is (RFC 7009)", "200; 400, 401"),
        Endpoint::KeySet => ("the public keys that tokens verify with (RFC 7517)", "200, 304"),
        Endpoint::ServerMetadata => {
            ("where the endpoints are, and what they take (RFC 8414)", "200")
        }
    }
}

fn settings() -> String {
    let mut out = String::from("| Setting | Default | Secret | What for |\n|---|---|---|---|\n");
    for (group, declarations) in GROUPS {
        for setting in *declarations {
            let secret = if setting.secret { "yes" } else { "" };
            let doc = setting.doc.trim().replace('|', "\\|");
            let _ = writeln!(
                out,
                "| `{group}.{}` | {} | {secret} | {doc} |",
                setting.key,
                default(group, setting)
            );
        }
    }
    out
}

/// The default of a setting; of a layout's setting, those of the layouts that have another one.
fn default(group: &str, setting: &Declaration) -> String {
    let code = |value: &str| if value.is_empty() { String::new() } else { format!("`{value}`") };
    if !group.contains("<layout>") {
        return code(setting.default);
    }
    let own = LAYOUTS.iter().filter_map(|(name, defaults)| {
        let (_, value) = defaults.iter().find(|(key, _)| *key == setting.key)?;
        Some(format!("{name}: `{value}`"))
    });
    let mut parts: Vec<String> = own.collect();
    if parts.len() < LAYOUTS.len() {
        parts.insert(0, code(setting.default));
    }
    parts.join("; ")
}

/// The declarations of `src/metrics.rs`: doc comment, name, labels. (A metric that was never counted is not
/// in the text that Prometheus gets, so the text cannot be asked.)
fn metrics() -> String {
    let mut out = String::from("| Metric | Labels | What |\n|---|---|---|\n");
    let source = read("src/metrics.rs");
    let mut doc = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text);
            continue;
        }
        let mut quoted = line.split('"').skip(1).step_by(2);
        if let Some(name) = quoted.next().filter(|name| name.starts_with("avain_")) {
            let labels: Vec<String> = quoted.map(|label| format!("`{label}`")).collect();
            let _ = writeln!(out, "| `{name}` | {} | {} |", labels.join(", "), doc.join(" "));
        }
        doc.clear();
    }
    out
}

/// The commands that a text names, as their words: in backticks, or at the start of a line of code.
fn commands_in(text: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            found.extend(command(line));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).filter_map(command));
        }
    }
    found
}

/// The words of a command line of ours; variables may be set before it.
fn command(line: &str) -> Option<Vec<String>> {
    // What follows two spaces is said about the command.
    let line = line.trim().split("  ").next().unwrap_or_default();
    let mut words = line.split_whitespace().skip_while(|word| word.contains('='));
    if words.next() != Some("avain") {
        return None;
    }
    let is_plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let words = words.take_while(|word| is_plain(word) && !word.starts_with('-')).take(2);
    let words: Vec<String> = words.map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

//! What strangers reach: TLS, the gate, the operations, the backend, the API under other prefixes.

use std::fmt::Write as _;

use crate::doctor::Scene;
use crate::doctor::checks::{
    BACKEND_DIRECT, GATE_OUTSIDE, NESTED_ROOT, OPERATIONS_OUTSIDE, PLAIN_HTTP, SERVER_TOKENS, TLS,
};
use crate::doctor::client::{Answer, Ask, Client, Target};
use crate::doctor::report::{Outcome, Report};

/// Headers of the gate's answers.
pub(super) const GATE_HEADERS: &[&str] = &[
    "x-upstream-authorization",
    "x-auth-error",
    "x-auth-via",
    "x-auth-user-id",
    "x-auth-username",
    "x-auth-scope",
];

/// What the gate says to a question that asks nothing; where it is asked by `forward_auth`, in the body.
const ASKED_NOTHING: &str = "The gateway does not say what it asks about.";

/// Prefixes that backends often serve without a gate.
const OPEN: &[&str] =
    &["/accounts/", "/admin/", "/sysadmin/", "/static/", "/media/", "/monitor/", "/x/"];

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    tls(scene, report).await;
    let server = scene.anonymous.headers.get("server").and_then(|server| server.to_str().ok());
    let version = server.filter(|server| server.starts_with("nginx/"));
    report.judge(SERVER_TOKENS, version.map(|version| format!("answers say `Server: {version}`")));
    gate(scene, report).await;
    operations(scene, report).await;
    nested_root(scene, report).await;
    backend(scene, report).await;
}

async fn tls(scene: &Scene<'_>, report: &Report) {
    let target = &scene.options.target;
    if !target.is_tls {
        report.judge(TLS, Some("the gateway is called with http://".to_owned()));
        return report.not_checked(PLAIN_HTTP, "the gateway is called without TLS anyway");
    }
    report.judge(TLS, None);
    let plain = match (&scene.options.plain, target.port) {
        (Some(plain), _) => plain.clone(),
        (None, None | Some(443)) => Target { is_tls: false, port: None, ..target.clone() },
        (None, Some(_)) => {
            return report.not_checked(
                PLAIN_HTTP,
                "the URL names a port: say with --plain where http:// is, if anywhere",
            );
        }
    };
    let shown = format!("http://{}", plain.authority());
    let Ok(client) = Client::new(plain, None) else { return };
    let found = match client.send(Ask::get(&target.path)).await {
        // Nobody listens: nothing is served.
        Err(_) => None,
        Ok(answer) if redirects_to_tls(&answer) => None,
        // nginx to whoever speaks HTTP to a port that wants TLS.
        Ok(answer) if answer.status == 400 => None,
        Ok(answer) => Some(format!("{shown}{} is answered {}", target.path, answer.status)),
    };
    report.judge(PLAIN_HTTP, found);
}

fn redirects_to_tls(answer: &Answer) -> bool {
    let location = answer.headers.get("location").and_then(|location| location.to_str().ok());
    answer.status.is_redirection() && location.is_some_and(|to| to.starts_with("https://"))
}

/// Ways to spell a path that an exact location may miss.
fn spellings(path: &str, beside: &str) -> Vec<String> {
    let mut encoded = String::new();
    for (at, letter) in path.char_indices() {
        // The second character is the first behind the slash.
        let written = if at == 1 {
            write!(encoded, "%{:02x}", u32::from(letter))
        } else {
            write!(encoded, "{letter}")
        };
        written.expect("a string takes everything");
    }
    let name = path.trim_start_matches('/');
    vec![
        path.to_owned(),
        format!("{path}/"),
        encoded,
        format!("/{path}"),
        format!("{beside}../{name}"),
        format!("{beside}..%2f{name}"),
        format!("{beside}%2e%2e/{name}"),
    ]
}

async fn gate(scene: &Scene<'_>, report: &Report) {
    let options = scene.options;
    let mut paths = spellings(&options.gate_path, &sign_in_folder(&options.sign_in));
    paths.extend(["/_avain_gate".to_owned(), "/auth".to_owned() + &options.gate_path]);
    let mut reached = Vec::new();
    for path in paths {
        let plain = Ask::get(&path).credential(Some(scene.bad()));
        let dressed = plain
            .clone()
            .header("x-original-method", "GET")
            .header("x-original-uri", scene.path())
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-uri", scene.path());
        let mut is_reached = false;
        for ask in [plain, dressed] {
            match scene.client.send(ask).await {
                Ok(answer) => is_reached |= is_gate(&answer),
                Err(why) => return report.not_checked(GATE_OUTSIDE, &why),
            }
        }
        if is_reached {
            reached.push(path);
        }
    }
    report.judge(GATE_OUTSIDE, list(&reached).map(|paths| format!("the gate answers at {paths}")));
}

fn is_gate(answer: &Answer) -> bool {
    GATE_HEADERS.iter().any(|name| answer.has(name)) || answer.text().contains(ASKED_NOTHING)
}

async fn operations(scene: &Scene<'_>, report: &Report) {
    let beside = sign_in_folder(&scene.options.sign_in);
    let mut reached = Vec::new();
    for name in ["/metrics", "/ready", "/live"] {
        for path in spellings(name, &beside) {
            match scene.client.send(Ask::get(&path)).await {
                Ok(answer) if is_operations(&answer) => reached.push(path),
                Ok(_) => {}
                Err(why) => return report.not_checked(OPERATIONS_OUTSIDE, &why),
            }
        }
    }
    report.judge(OPERATIONS_OUTSIDE, list(&reached).map(|paths| format!("{paths} can be read")));
}

fn is_operations(answer: &Answer) -> bool {
    let text = answer.text();
    text.contains("avain_http_requests_total")
        || text.contains("avain_gate_decisions_total")
        || matches!(text.as_str(), "live\n" | "ready\n" | "/live, /ready, /metrics\n")
}

fn sign_in_folder(sign_in: &str) -> String {
    let first = sign_in.trim_start_matches('/').split('/').next().unwrap_or_default();
    format!("/{first}/")
}

/// Whether the API answers behind prefixes that nobody protects: a backend whose roots are not anchored
/// finds `api/` anywhere in a path.
async fn nested_root(scene: &Scene<'_>, report: &Report) {
    let Some((root, rest)) = scene.root_and_rest() else {
        return report.not_checked(NESTED_ROOT, "the path is under no root of gate.roots");
    };
    let open = scene.options.open.iter().map(String::as_str);
    let mut reached = Vec::new();
    for prefix in open.chain(OPEN.iter().copied()) {
        let prefix = prefix.trim_end_matches('/');
        let nowhere = format!("avain-doctor-{}/{rest}", scene.nonce);
        let api = format!("{}{rest}", &root[1..]);
        // A %0a ends what `.` matches; nginx chooses its location by what is before a #.
        for joint in ["/", "/x%0a", "/#"] {
            let ask = |path: &str| {
                Ask::get(format!("{prefix}{joint}{path}")).credential(Some(scene.bad()))
            };
            let control = match scene.client.send(ask(&nowhere)).await {
                Ok(answer) => answer,
                Err(why) if joint == "/" => return report.not_checked(NESTED_ROOT, &why),
                // Hanging up is a refusal, too.
                Err(_) => continue,
            };
            let Ok(answer) = scene.client.send(ask(&api)).await else { continue };
            // A front end that answers everything with its one page says nothing.
            let differs = answer.status != control.status
                || answer.headers.get("content-type") != control.headers.get("content-type");
            if differs
                && !answer.status.is_redirection()
                && answer.status != 404
                && answer.status != 400
            {
                reached.push(format!("{prefix}{joint}{api}"));
            }
        }
    }
    report.judge(NESTED_ROOT, list(&reached).map(|paths| format!("the API answers at {paths}")));
}

async fn backend(scene: &Scene<'_>, report: &Report) {
    let Some(backend) = &scene.options.backend else {
        return report.not_checked(BACKEND_DIRECT, "say with --backend where the backend listens");
    };
    let client = match Client::new(backend.clone(), scene.options.authorities.as_deref()) {
        Ok(client) => client,
        Err(why) => return report.not_checked(BACKEND_DIRECT, &why),
    };
    let outcome = match client.send(Ask::get(&backend.path)).await {
        Ok(answer) => Outcome::Found(format!(
            "{} answers {} to whoever asks it from here",
            backend.authority(),
            answer.status
        )),
        Err(why) if why.contains("cannot connect") || why.contains("no answer within") => {
            Outcome::Good
        }
        Err(why) => Outcome::Found(format!("{} accepts connections ({why})", backend.authority())),
    };
    report.write(BACKEND_DIRECT, outcome);
}

/// The first few, and how many more.
pub(super) fn list(found: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let shown = found.get(..SHOWN).unwrap_or(found).join(", ");
    match found.len() {
        0 => None,
        number if number > SHOWN => Some(format!("{shown} and {} more", number - SHOWN)),
        _ => Some(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_spelt_in_the_ways_that_locations_miss() {
        let spelt = spellings("/gate", "/auth/");
        let expected = [
            "/gate",
            "/gate/",
            "/%67ate",
            "//gate",
            "/auth/../gate",
            "/auth/..%2fgate",
            "/auth/%2e%2e/gate",
        ];
        assert_eq!(spelt, expected);
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<String> = (0..5).map(|number| number.to_string()).collect();
        assert_eq!(list(&many).as_deref(), Some("0, 1, 2 and 2 more"));
        assert_eq!(list(&many[..1]).as_deref(), Some("0"));
        assert_eq!(list(&[]), None);
    }
}

//! What clients get: who is refused, how it is worded, what the gate judged.

use http::Method;

use crate::doctor::Scene;
use crate::doctor::checks::{
    CHALLENGE_DOUBLED, CHALLENGE_MISSING, CORS_ERRORS, CORS_ORIGIN, Check, GATE_BODY, JSON_ERRORS,
    METHOD, PATH, PHANTOM_LEAKED, PROTECTED, UPLOADS,
};
use crate::doctor::client::{Answer, Ask};
use crate::doctor::outside::{GATE_HEADERS, list};
use crate::doctor::report::Report;

/// More than nginx lets through by default.
const LARGE: usize = 1_500_000;

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    let every: &[(&'static Check, Result<(), String>)] = &[
        (PROTECTED, protected(scene, report).await),
        (METHOD, method(scene, report).await),
        (PATH, path(scene, report).await),
        (PHANTOM_LEAKED, leaked(scene, report).await),
        (UPLOADS, large(scene, report).await),
        (CORS_ORIGIN, origins(scene, report).await),
    ];
    for (check, done) in every {
        if let Err(why) = done {
            report.not_checked(check, why);
        }
    }
}

/// A bad credential is refused by every method, and how.
async fn protected(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    let nowhere = scene.nowhere();
    let mut passed = Vec::new();
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        let verb = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        // What only reads may go where something is.
        let path = if verb.is_safe() { scene.path() } else { &nowhere };
        let answer = scene.client.send(Ask::new(verb, path).credential(Some(scene.bad()))).await?;
        if answer.status == 401 {
            judge_refusal(report, &answer, method, method != "HEAD");
        } else if answer.status != 403 {
            passed.push(format!("{method} (answered {})", answer.status.as_u16()));
        }
    }
    let found = list(&passed);
    report
        .judge(PROTECTED, found.map(|what| format!("a bad credential is not refused for {what}")));
    for check in [CHALLENGE_MISSING, CHALLENGE_DOUBLED, JSON_ERRORS] {
        if !report.knows(check) {
            report.not_checked(check, "no request was answered 401");
        }
    }
    Ok(())
}

fn judge_refusal(report: &Report, answer: &Answer, what: &str, has_body: bool) {
    let challenges = answer.headers.get_all("www-authenticate").iter().count();
    report.judge(
        CHALLENGE_MISSING,
        (challenges == 0).then(|| format!("{what}: 401 without WWW-Authenticate")),
    );
    report.judge(
        CHALLENGE_DOUBLED,
        (challenges > 1).then(|| format!("{what}: 401 with {challenges} of them")),
    );
    if has_body {
        judge_json(report, answer, what);
    }
}

fn judge_json(report: &Report, answer: &Answer, what: &str) {
    let kind =
        answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("no type");
    let found =
        (!answer.is_json()).then(|| format!("{what}: {} comes as {kind}", answer.status.as_u16()));
    report.judge(JSON_ERRORS, found);
}

/// Anonymous writing stays refused however the client dresses it up.
async fn method(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    if scene.options.anybody_writes {
        report.not_checked(METHOD, "the policy lets anybody write");
        return Ok(());
    }
    if scene.nowhere.is_none() {
        let why = "no path was found that the gate lets through and the backend does not have";
        report.not_checked(METHOD, why);
        return Ok(());
    }
    let plain = || Ask::new(Method::POST, scene.nowhere()).body("x");
    let dressed = [
        ("plain POST", plain()),
        (
            "POST with X-Original-Method: GET",
            plain().header("x-original-method", "GET").header("x-original-uri", scene.path()),
        ),
        (
            "POST with X-Forwarded-Method: GET",
            plain().header("x-forwarded-method", "GET").header("x-forwarded-uri", scene.path()),
        ),
        ("POST with X-HTTP-Method-Override: GET", plain().header("x-http-method-override", "GET")),
        // A preflight is OPTIONS; a POST is none, whatever else it says.
        (
            "POST dressed as a preflight",
            plain()
                .header("origin", &format!("https://{}.example", scene.nonce))
                .header("access-control-request-method", "GET"),
        ),
    ];
    let mut passed = Vec::new();
    for (what, ask) in dressed {
        let answer = scene.client.send(ask).await?;
        if answer.status == 401 {
            judge_refusal(report, &answer, what, true);
        } else if answer.status != 403 {
            passed.push(format!("{what} (answered {})", answer.status.as_u16()));
        }
    }
    report.judge(METHOD, list(&passed).map(|what| format!("passes without a credential: {what}")));
    Ok(())
}

/// A path that nginx, avain and the backend could read differently is refused by the gate itself. Each of
/// these is one that nginx takes for a protected one; what the backend answers to it is not 403 with a
/// challenge-free JSON document but its own 404 or 200.
async fn path(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    let reading = scene.reading()?;
    let Some((root, rest)) = scene.root_and_rest() else {
        return Err("the path is under no root of gate.roots".to_owned());
    };
    let name = root.trim_matches('/');
    let mut odd = vec![
        format!("{root}avain-doctor/..%2f{rest}"),
        format!("{root}%2e/{rest}"),
        format!("{root}avain-doctor/%2e%2e/{rest}"),
        format!("{root}./{rest}"),
        format!("{root}{rest}%5c"),
        format!("{root}..;/{rest}"),
        format!("{root}{rest}#avain-doctor"),
    ];
    if !name.is_empty() {
        odd.push(format!("/avain-doctor/..%2f{name}/{rest}"));
        odd.push(format!("{root}avain-doctor%0a{name}/{rest}"));
    }
    let mut passed = Vec::new();
    for path in odd {
        let answer = match scene.client.send(Ask::get(&path).credential(reading)).await {
            Ok(answer) => answer,
            // Hanging up is a refusal, too.
            Err(_) if path.contains('#') => continue,
            Err(why) => return Err(why),
        };
        match answer.status.as_u16() {
            403 => judge_json(report, &answer, &path),
            400 | 401 => {}
            // A second root may be refused by nginx.
            404 if path.contains("%0a") => {}
            status => passed.push(format!("{path} (answered {status})")),
        }
    }
    report.judge(PATH, list(&passed).map(|paths| format!("not refused by the gate: {paths}")));
    Ok(())
}

/// What the gate says to nginx stays between the two.
async fn leaked(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    let mut leaked = Vec::new();
    for credential in [None, Some(scene.bad()), scene.credential()] {
        let answer = scene.client.send(Ask::get(scene.path()).credential(credential)).await?;
        leaked.extend(
            GATE_HEADERS.iter().filter(|name| answer.has(name)).map(|&name| name.to_owned()),
        );
    }
    leaked.dedup();
    if leaked.is_empty() && scene.credential().is_none() {
        return Err("the token for the backend is made only for a good credential: give one with \
                    --credential"
            .to_owned());
    }
    report.judge(PHANTOM_LEAKED, list(&leaked).map(|names| format!("clients are told {names}")));
    Ok(())
}

/// A large body is refused for its credential, not for its size.
async fn large(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    let ask = Ask::new(Method::POST, scene.nowhere())
        .credential(Some(scene.bad()))
        .body(vec![b'x'; LARGE]);
    let answer = match scene.client.send(ask).await {
        Ok(answer) => answer,
        Err(why) => {
            report.not_checked(GATE_BODY, &why);
            return Err(why);
        }
    };
    let status = answer.status.as_u16();
    let megabytes = "a body of 1.5 MB with a bad credential";
    report.judge(UPLOADS, (status == 413).then(|| format!("{megabytes} is answered 413")));
    if status == 413 {
        report.not_checked(GATE_BODY, "the body is refused before the gate is asked");
    } else {
        let lost = answer.status.is_server_error();
        report.judge(GATE_BODY, lost.then(|| format!("{megabytes} is answered {status}")));
    }
    Ok(())
}

/// Strange origins get nothing, and the front end's own may read refusals.
async fn origins(scene: &Scene<'_>, report: &Report) -> Result<(), String> {
    let strange = format!("https://{}.example", scene.nonce);
    let mut allowed = None;
    let preflight = Ask::new(Method::OPTIONS, scene.path())
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    for (what, ask) in [("a preflight", preflight), ("GET", Ask::get(scene.path()))] {
        for origin in [strange.as_str(), "null"] {
            let answer = scene.client.send(ask.clone().header("origin", origin)).await?;
            let told = answer.headers.get("access-control-allow-origin");
            let told = told.and_then(|told| told.to_str().ok()).unwrap_or_default();
            if told == origin || told == "*" {
                allowed.get_or_insert(format!("{what} from {origin} is answered with {told}"));
            }
        }
    }
    report.judge(CORS_ORIGIN, allowed);
    let Some(origin) = &scene.options.origin else {
        report.not_checked(CORS_ERRORS, "name an origin of a front end with --origin");
        return Ok(());
    };
    for credential in [Some(scene.bad()), scene.reading().unwrap_or_default()] {
        let ask = Ask::get(scene.path()).header("origin", origin).credential(credential);
        let answer = scene.client.send(ask).await?;
        let told: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
        let found = match told.as_slice() {
            [one] if *one == origin.as_str() => None,
            other => Some(format!(
                "{} for {origin} has {} Access-Control-Allow-Origin that names it",
                answer.status.as_u16(),
                if other.is_empty() { "no" } else { "not one" }
            )),
        };
        report.judge(CORS_ERRORS, found);
    }
    Ok(())
}

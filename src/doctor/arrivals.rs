//! What reaches the backend, as an endpoint of its own shows it.

use crate::doctor::Scene;
use crate::doctor::checks::{
    ADDRESS_BELIEVED, CREDENTIAL_PASSED, Check, HOST_BELIEVED, IDENTITY_INVALID, IDENTITY_PLAIN,
    IDENTITY_UNDERSCORES, PHANTOM_MISSING, REQUEST_ID, UPGRADE,
};
use crate::doctor::client::Ask;
use crate::doctor::outside::list;
use crate::doctor::report::Report;

/// Headers that some program believes about who asks, or where a request came from. Those that a gateway
/// sets itself are attacked by themselves.
pub(super) const IDENTITY: &[&str] = &[
    "X-Auth-User-Id",
    "X-Auth-Username",
    "X-Auth-Scope",
    "X-Auth-Via",
    "X-Auth-Mode",
    "X-Auth-Error",
    "X-Upstream-Authorization",
    "X-Avain-Identity",
    "X-Auth-User",
    "X-Auth-Name",
    "X-Auth-Email",
    "X-Auth-Groups",
    "X-Auth-Roles",
    "X-Auth-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-Access-Token",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Remote-User",
    "Remote-User",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "X-Webauth-User",
    "X-User",
    "X-User-Id",
    "X-Username",
    "Forwarded",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Port",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Original-Url",
    "X-Original-Uri",
    "X-Original-Method",
    "X-Original-Host",
    "X-Rewrite-Url",
    "X-Http-Method-Override",
    "Proxy",
];

/// Addresses that nobody has (RFC 5737).
const MADE_UP: &[&str] = &["192.0.2.66", "192.0.2.67"];

/// All that an echo is needed for.
const ALL: &[&Check] = &[
    IDENTITY_PLAIN,
    IDENTITY_UNDERSCORES,
    IDENTITY_INVALID,
    CREDENTIAL_PASSED,
    PHANTOM_MISSING,
    ADDRESS_BELIEVED,
    HOST_BELIEVED,
    REQUEST_ID,
    UPGRADE,
];

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    if scene.options.echoes.is_empty() {
        let why =
            "name a path whose answer shows the headers that reached the backend: --echo PATH";
        return not_checked(report, why);
    }
    for echo in &scene.options.echoes {
        if let Err(why) = look(scene, report, echo).await {
            not_checked(report, &why);
        }
    }
}

fn not_checked(report: &Report, why: &str) {
    for check in ALL {
        report.not_checked(check, why);
    }
}

async fn look(scene: &Scene<'_>, report: &Report, echo: &str) -> Result<(), String> {
    // An endpoint that nobody protects may be read without what the target asks for.
    let open = see(scene, Ask::get(echo)).await?;
    let reading = if open.is_some() { None } else { scene.reading()? };
    if open.is_none() && see(scene, Ask::get(echo).credential(reading)).await?.is_none() {
        return Err(format!("{echo} does not show the headers that it gets"));
    }
    identity(scene, report, echo, reading).await?;
    route(scene, report, echo, reading).await?;
    credential(scene, report, echo, open.is_some()).await
}

/// What the backend got; `None` where the answer does not show it.
async fn see(scene: &Scene<'_>, ask: Ask) -> Result<Option<String>, String> {
    let proof = format!("{}-seen", scene.nonce);
    let answer = scene.client.send(ask.header("X-Avain-Doctor", &proof)).await?;
    Ok(Some(answer.text()).filter(|text| text.contains(&proof)))
}

/// What the backend got of a request that it shows otherwise. That it shows nothing is no all-clear.
async fn shown(scene: &Scene<'_>, ask: Ask) -> Result<String, String> {
    let text = see(scene, ask).await?;
    text.ok_or_else(|| "the request with made-up headers was refused as a whole".to_owned())
}

async fn identity(
    scene: &Scene<'_>,
    report: &Report,
    echo: &str,
    reading: Option<&str>,
) -> Result<(), String> {
    let spellings = [(IDENTITY_PLAIN, "-"), (IDENTITY_UNDERSCORES, "_"), (IDENTITY_INVALID, ".")];
    let value = |number: usize| format!("{}-{number}-", scene.nonce);
    for (check, joint) in spellings {
        // A name of one word has no other spelling.
        let names = IDENTITY.iter().filter(|name| joint == "-" || name.contains('-'));
        let names: Vec<String> = names.map(|name| name.replace('-', joint)).collect();
        let mut arrived = Vec::new();
        // A few at a time: a request has room for so many headers.
        for names in names.chunks(16) {
            let mut ask = Ask::get(echo).credential(reading);
            for (number, name) in names.iter().enumerate() {
                // Twice: a proxy that takes one away may leave the other.
                ask = ask.header(name, &value(number)).header(name, &value(number));
            }
            let text = shown(scene, ask).await?;
            let marked = names.iter().enumerate();
            let marked = marked.filter(|(number, _)| text.contains(&value(*number)));
            arrived.extend(marked.map(|(_, name)| name.clone()));
        }
        report.judge(check, list(&arrived).map(|names| format!("{names} reach {echo}")));
    }
    Ok(())
}

async fn route(
    scene: &Scene<'_>,
    report: &Report,
    echo: &str,
    reading: Option<&str>,
) -> Result<(), String> {
    let made_up = format!("{}.example", scene.nonce);
    let ask = Ask::get(echo).credential(reading);
    let text = shown(
        scene,
        ask.clone()
            .header("X-Forwarded-For", MADE_UP[0])
            .header("X-Real-IP", MADE_UP[1])
            .header("X-Forwarded-Host", &made_up)
            .header("X-Forwarded-Proto", &format!("{}-proto", scene.nonce))
            .header("X-Request-ID", &format!("{}-id", scene.nonce)),
    )
    .await?;
    let believed = MADE_UP.iter().any(|address| text.contains(address));
    report.judge(
        ADDRESS_BELIEVED,
        believed.then(|| format!("an address that we made up reaches {echo}")),
    );
    let believed = text.contains(&made_up) || text.contains(&format!("{}-proto", scene.nonce));
    report.judge(HOST_BELIEVED, believed.then(|| format!("what we made up reaches {echo}")));
    let chosen = text.contains(&format!("{}-id", scene.nonce));
    report.judge(REQUEST_ID, chosen.then(|| format!("the id that we chose reaches {echo}")));
    let upgrade = ask.header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c");
    // Refusing it as a whole is right, too.
    let text = see(scene, upgrade.header("HTTP2-Settings", "AAMAAABkAAQAAP__")).await?;
    let text = text.unwrap_or_default();
    let passed = text.to_ascii_lowercase().contains("h2c");
    report.judge(UPGRADE, passed.then(|| format!("Upgrade: h2c reaches {echo}")));
    Ok(())
}

async fn credential(
    scene: &Scene<'_>,
    report: &Report,
    echo: &str,
    anybody: bool,
) -> Result<(), String> {
    let mut passed = false;
    if anybody {
        // A scheme that the gate does not count is no credential to it, but may be one to the backend.
        let made_up = format!("Basic {}", scene.nonce);
        let text = see(scene, Ask::get(echo).credential(Some(&made_up))).await?;
        passed = text.is_some_and(|text| text.contains(&made_up));
    }
    let Some(credential) = scene.credential() else {
        report.judge(CREDENTIAL_PASSED, passed.then(|| format!("Authorization reaches {echo}")));
        if !report.knows(PHANTOM_MISSING) {
            report.not_checked(PHANTOM_MISSING, "give a good credential with --credential");
        }
        return Ok(());
    };
    let text = shown(scene, Ask::get(echo).credential(Some(credential))).await?;
    let own = credential.split_whitespace().last().unwrap_or(credential);
    passed |= text.contains(own);
    report.judge(CREDENTIAL_PASSED, passed.then(|| format!("Authorization reaches {echo}")));
    // An endpoint that is not protected gets none.
    if scene.options.roots.iter().any(|root| echo.starts_with(root.as_str())) {
        let found = (!text.contains("Bearer ")).then(|| format!("{echo} gets no token from avain"));
        report.judge(PHANTOM_MISSING, found);
    } else if !report.knows(PHANTOM_MISSING) {
        report.not_checked(PHANTOM_MISSING, "no path of --echo is protected");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `nginx/identity.conf` empties is what is tried.
    #[test]
    fn all_that_the_configuration_empties_is_attacked() {
        let text = include_str!("../../nginx/identity.conf");
        let emptied = text.lines().filter_map(|line| line.strip_prefix("proxy_set_header "));
        let emptied: Vec<&str> = emptied.filter_map(|line| line.strip_suffix(" \"\";")).collect();
        assert_eq!(emptied, IDENTITY);
    }
}

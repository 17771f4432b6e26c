//! Who asks too often: whether that is noticed, by whose address, and how it is worded.

use futures_util::future::join_all;
use http::Method;

use crate::base::digest::Digest;
use crate::base::encode::hex;
use crate::doctor::Scene;
use crate::doctor::checks::{ADDRESS_TRUSTED, SIGN_IN_LIMIT, STATUS_429};
use crate::doctor::client::{Answer, Ask, Client};
use crate::doctor::report::Report;

/// Connections that ask at once.
const AT_ONCE: usize = 8;
/// Sign-in attempts: more than any burst that makes sense.
const ATTEMPTS: u32 = 60;
/// Unknown credentials at most: a limit above it is not reached.
const MOST_MISSES: u32 = 400;
/// The number of an address that is none of those before.
const CONSTANT: u32 = 10_000;

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    sign_ins(scene, report).await;
    misses(scene, report).await;
}

/// Incomplete sign-ins, so that no account counts a failure, each from another address that is made up.
async fn sign_ins(scene: &Scene<'_>, report: &Report) {
    let path = &scene.options.sign_in;
    let ask = |number| from(Ask::new(Method::POST, path).json("{}"), number);
    let answers = match flood(scene, ATTEMPTS, ask).await {
        Ok(answers) => answers,
        Err(why) => return report.not_checked(SIGN_IN_LIMIT, &why),
    };
    let refused: Vec<&Answer> = answers.iter().filter(|answer| is_throttled(answer)).collect();
    for answer in &refused {
        judge_throttled(report, answer, path);
    }
    if answers.iter().any(|answer| matches!(answer.status.as_u16(), 404 | 405)) {
        let why = format!("{path} is no sign-in endpoint: name one with --sign-in");
        return report.not_checked(SIGN_IN_LIMIT, &why);
    }
    let found = format!("{ATTEMPTS} attempts at once at {path} were all let through");
    report.judge(SIGN_IN_LIMIT, refused.is_empty().then_some(found));
}

/// Credentials that nobody has, until avain throttles: first each from another made-up address, then all
/// from one.
async fn misses(scene: &Scene<'_>, report: &Report) {
    let number = scene.options.misses.saturating_add(20);
    if number > MOST_MISSES {
        let why = format!("gate.misses is {}: too many to try", scene.options.misses);
        report.not_checked(ADDRESS_TRUSTED, &why);
        return report.not_checked(STATUS_429, &why);
    }
    let key = |number: u32| {
        let digest = hex(Digest::of(format!("{} {number}", scene.nonce).as_bytes()).as_bytes());
        format!("Token {}", digest.get(..40).unwrap_or_default())
    };
    let ask = |number| Ask::get(scene.path()).credential(Some(&key(number)));
    // Dressed twice: the first time may fall into two of avain's windows, half into each.
    for (turn, is_dressed) in [(0, true), (1, true), (2, false)] {
        let dressed = |at| {
            let ask = ask(turn * number + at);
            from(ask, if is_dressed { at } else { CONSTANT })
        };
        let answers = match flood(scene, number, dressed).await {
            Ok(answers) => answers,
            Err(why) => {
                report.not_checked(ADDRESS_TRUSTED, &why);
                return report.not_checked(STATUS_429, &why);
            }
        };
        let mut throttled = answers.iter().filter(|answer| is_throttled(answer));
        if let Some(answer) = throttled.next() {
            judge_throttled(report, answer, "the throttled gate");
            let found = "X-Forwarded-For of a client decides whose attempts are counted".to_owned();
            return report.judge(ADDRESS_TRUSTED, (!is_dressed).then_some(found));
        }
    }
    let why = format!(
        "{number} unknown credentials were not throttled: several instances, or another gate.misses"
    );
    report.not_checked(ADDRESS_TRUSTED, &why);
    report.not_checked(STATUS_429, &why);
}

/// 429, or what nginx makes of it where nobody told it better.
fn is_throttled(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 429 | 500 | 503)
}

fn judge_throttled(report: &Report, answer: &Answer, what: &str) {
    let status = answer.status.as_u16();
    let found = if status != 429 {
        Some(format!("{what} answers {status}, not 429"))
    } else if !answer.is_json() {
        Some(format!("{what}: 429 is not JSON"))
    } else if !answer.has("retry-after") {
        Some(format!("{what}: 429 has no Retry-After"))
    } else {
        None
    };
    report.judge(STATUS_429, found);
}

/// The request as from another address, if a client is believed.
fn from(ask: Ask, number: u32) -> Ask {
    // Out of 198.18.0.0/15, which nobody has (RFC 2544).
    let address = format!("198.18.{}.{}", number / 250 % 250, number % 250 + 1);
    ask.header("x-forwarded-for", &address).header("x-real-ip", &address)
}

/// Sends `number` requests over a few connections at once.
async fn flood(
    scene: &Scene<'_>,
    number: u32,
    ask: impl Fn(u32) -> Ask + Sync,
) -> Result<Vec<Answer>, String> {
    let lanes = (0..AT_ONCE).map(|lane| {
        let (client, ask) = (scene.client.another(), &ask);
        async move { lane_of(&client, number, lane, ask).await }
    });
    let answers: Result<Vec<Vec<Answer>>, String> = join_all(lanes).await.into_iter().collect();
    Ok(answers?.into_iter().flatten().collect())
}

async fn lane_of(
    client: &Client,
    number: u32,
    lane: usize,
    ask: impl Fn(u32) -> Ask + Sync,
) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    for number in (0..number).skip(lane).step_by(AT_ONCE) {
        answers.push(client.send(ask(number)).await?);
    }
    Ok(answers)
}

//! `inside CONFIG CALLS SECRET AUTHORIZATION…`: what the gate costs without a server around it. Asks the gate of a
//! service with these settings so often about each of these headers (one may be empty: nobody), from the headers of
//! nginx's question to the answer, and prints a JSON list of nanoseconds of CPU a call; last about tokens never seen,
//! which are the first header's, signed anew with that HS256 secret.

mod signer;

use std::env::args;
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use avain::app::{App, Plan};
use avain::base::clock::SystemClock;
use avain::base::random::SystemRandom;
use avain::http::Peer;
use avain::http::handlers::gate;
use avain::settings::{Settings, Sources};
use http::{HeaderMap, HeaderValue, StatusCode};
use rustix::time::{ClockId, clock_gettime};
use signer::Signer;

/// Tokens that are signed before they are timed.
const BATCH: u32 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args().skip(1);
    let config = PathBuf::from(arguments.next().ok_or("CONFIG is missing")?);
    let calls: u32 = arguments.next().ok_or("CALLS is missing")?.parse()?;
    let secret = arguments.next().ok_or("SECRET is missing")?;
    let toml = Some((std::fs::read_to_string(&config)?, config.display().to_string()));
    let settings =
        Settings::read(&Sources { toml, ..Sources::default() }).map_err(|why| why.0.join("\n"))?;
    let plan = Plan::new(settings).map_err(|why| why.join("\n"))?;
    let app = App::start(plan, Arc::new(SystemClock), Arc::new(SystemRandom::new())).await;
    let service = app.map_err(|_| "it does not start")?.service;
    // Nobody tells of changes here.
    service.gate.link.heard(Duration::MAX);
    let mut costs = Vec::new();
    let authorizations: Vec<String> = arguments.collect();
    for authorization in &authorizations {
        let headers = question(authorization)?;
        let first = match gate::answer_at_once(&service, "", &headers, Peer::Local) {
            Ok(answer) => answer,
            Err(unknown) => gate::look_up(&service, "", &headers, Peer::Local, unknown).await,
        };
        if first.status() != StatusCode::NO_CONTENT {
            return Err(format!("{} for {authorization}", first.status()).into());
        }
        let began = spent();
        for _ in 0..calls {
            let answer = gate::answer_at_once(&service, "", black_box(&headers), Peer::Local);
            black_box(answer.map_err(|_| "what is known needs no look-up")?);
        }
        costs.push((spent() - began) * 1e9 / f64::from(calls));
    }
    let token = authorizations.first().and_then(|header| header.strip_prefix("Bearer "));
    let signer = token.and_then(|token| Signer::new(token, &secret)).ok_or("no token")?;
    let mut all = 0.0;
    for _ in 0..calls.div_ceil(BATCH) {
        let fresh = || question(&format!("Bearer {}", signer.next()));
        let batch = (0..BATCH).map(|_| fresh()).collect::<Result<Vec<_>, _>>()?;
        let began = spent();
        for headers in &batch {
            let answer = gate::answer_at_once(&service, "", headers, Peer::Local);
            black_box(answer.map_err(|_| "the account is known")?);
        }
        all += spent() - began;
    }
    costs.push(all * 1e9 / f64::from(calls.next_multiple_of(BATCH)));
    println!("{costs:.0?}");
    Ok(())
}

/// What nginx asks, as nginx/ask.conf has it.
fn question(authorization: &str) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("api.example.org"));
    if !authorization.is_empty() {
        headers.insert("authorization", HeaderValue::from_str(authorization)?);
    }
    headers.insert("x-original-method", HeaderValue::from_static("GET"));
    headers.insert("x-original-uri", HeaderValue::from_static("/api/v1/hobbies/?page=2"));
    headers.insert("x-original-host", HeaderValue::from_static("api.example.org"));
    headers.insert("x-real-ip", HeaderValue::from_static("192.0.2.7"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    headers.insert("x-request-id", HeaderValue::from_static("5b4f9f0f3e1e4bd1b2c0a1d2e3f40516"));
    Ok(headers)
}

/// Seconds of CPU that this thread has used.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}

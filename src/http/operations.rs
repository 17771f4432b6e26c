//! What operators ask, on a listener of its own: `/live` (the process answers), `/ready` (it serves),
//! `/metrics`.

use std::sync::atomic::Ordering;

use http::{Method, Response, StatusCode};

use crate::gate::link::Mode;
use crate::http::Service;
use crate::http::response::{self, Body};

/// Answers an operator.
pub async fn handle(service: &Service, method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return response::text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match path {
        "/live" => response::text(StatusCode::OK, "live\n"),
        "/ready" => ready(service).await,
        "/metrics" => {
            let metrics = &service.metrics;
            let (link, at) = (&service.gate.link, service.context.clock.uptime());
            metrics.staleness.set(i64::try_from(link.age(at).as_secs()).unwrap_or(i64::MAX));
            for mode in Mode::ALL {
                let is_on = i64::from(link.mode(at) == mode);
                metrics.mode.with_label_values(&[mode.word()]).set(is_on);
            }
            let known = service.gate.memory.len();
            metrics.known_credentials.set(i64::try_from(known).unwrap_or(i64::MAX));
            let queued = service.context.hashing.queued();
            metrics.hashing_queue.set(i64::try_from(queued).unwrap_or(i64::MAX));
            response::text(StatusCode::OK, metrics.text())
        }
        _ => response::text(StatusCode::NOT_FOUND, "/live, /ready, /metrics\n"),
    }
}

async fn ready(service: &Service) -> Response<Body> {
    if service.draining.load(Ordering::Acquire) {
        return response::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    let answers = service.context.store.ping().await.is_ok();
    let (link, at) = (&service.gate.link, service.context.clock.uptime());
    let (age, left) = (link.age(at).as_secs(), link.reading_left(at).as_secs());
    match (link.mode(at), answers) {
        (Mode::Live, true) => response::text(StatusCode::OK, "ready\n"),
        // What is said of an outage ends with the next news, which are not far.
        (_, true) => {
            let sentence = format!(
                "ready, but strict: no news of changes for {age} s, so every credential is looked up\n"
            );
            response::text(StatusCode::OK, sentence)
        }
        (_, false) if left > 0 => {
            let sentence = format!(
                "outage: the database does not answer; known credentials may read for {left} s more\n"
            );
            response::text(StatusCode::SERVICE_UNAVAILABLE, sentence)
        }
        (_, false) => {
            let sentence = format!(
                "outage: the database has not answered for {age} s; only anonymous reading passes\n"
            );
            response::text(StatusCode::SERVICE_UNAVAILABLE, sentence)
        }
    }
}

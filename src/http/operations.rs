//! What operators ask, on a listener of its own: `/live` (the process answers), `/ready` (it serves),
//! `/metrics`.

use std::sync::atomic::Ordering;

use http::{Method, Response, StatusCode};

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
    match service.context.store.ping().await {
        Ok(()) => response::text(StatusCode::OK, "ready\n"),
        Err(_) => response::text(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}

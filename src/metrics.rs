//! Every metric, declared once: its doc comment is its help text.

pub mod history;

use std::sync::Arc;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::base::clock::Timestamp;
use crate::metrics::history::{Counts, History};

/// Seconds: from a look-up in memory to a slow password hash.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Declares the metrics and registers them.
macro_rules! metrics {
    ($( $(#[doc = $help:literal])+ $field:ident: $kind:ident $name:literal $([$($label:literal),+])?; )+) => {
        /// All metrics of one service.
        #[derive(Clone, Debug)]
        pub struct Metrics {
            registry: Registry,
            /// What was counted lately.
            pub history: Arc<History>,
            $( $(#[doc = $help])+ pub $field: $kind, )+
        }

        impl Metrics {
            /// New metrics, all at zero.
            #[must_use]
            pub fn new() -> Self {
                let registry = Registry::new();
                $(
                    let help = concat!($($help),+).trim();
                    let $field: $kind = metrics!(@make $kind, $name, help $(, [$($label),+])?);
                    registry.register(Box::new($field.clone())).expect("the names above differ");
                )+
                Self { registry, history: Arc::default(), $($field,)+ }
            }
        }
    };
    (@make IntCounter, $name:literal, $help:ident) => {
        IntCounter::new($name, $help).expect("the name is well-formed")
    };
    (@make IntGauge, $name:literal, $help:ident) => {
        IntGauge::new($name, $help).expect("the name is well-formed")
    };
    (@make IntCounterVec, $name:literal, $help:ident, [$($label:literal),+]) => {
        IntCounterVec::new(Opts::new($name, $help), &[$($label),+]).expect("the name is well-formed")
    };
    (@make IntGaugeVec, $name:literal, $help:ident, [$($label:literal),+]) => {
        IntGaugeVec::new(Opts::new($name, $help), &[$($label),+]).expect("the name is well-formed")
    };
    (@make HistogramVec, $name:literal, $help:ident, [$($label:literal),+]) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()), &[$($label),+])
            .expect("the name is well-formed")
    };
}

metrics! {
    /// Answered requests, by endpoint and status; the gate is counted by itself.
    requests: IntCounterVec "avain_http_requests_total" ["endpoint", "status"];
    /// Time to answer, by endpoint.
    request_seconds: HistogramVec "avain_http_request_duration_seconds" ["endpoint"];
    /// Requests in work.
    in_flight: IntGauge "avain_http_requests_in_flight";
    /// Open connections.
    connections: IntGauge "avain_http_connections";
    /// Connections that nginx and clients opened.
    connections_accepted: IntCounter "avain_http_connections_total";
    /// Decisions of the gate: allow, anonymous, deny, throttled, unavailable, misconfigured.
    decisions: IntCounterVec "avain_gate_decisions_total" ["verdict"];
    /// Questions to the gate that announced a body: nginx lacks `proxy_set_header Content-Length ""`.
    promised_bodies: IntCounter "avain_gate_promised_bodies_total";
    /// What the gate did not know and looked up: an account, or an API key.
    look_ups: IntCounterVec "avain_gate_look_ups_total" ["what"];
    /// Credentials that the gate knows.
    known_credentials: IntGauge "avain_gate_known_credentials";
    /// Seconds since the gate last heard that nothing changed without it.
    staleness: IntGauge "avain_gate_staleness_seconds";
    /// 1 for how far the gate believes its memory: live; strict (no news of changes, so it looks up every
    /// credential); outage (no database: known credentials may read); closed (for too long).
    mode: IntGaugeVec "avain_gate_mode" ["mode"];
    /// Changes of accounts and keys that reached this instance: its own, or another's by notice or poll.
    changes: IntCounterVec "avain_changes_total" ["heard"];
    /// Whether this instance is told of changes (LISTEN); it polls in any case.
    listening: IntGauge "avain_link_listening";
    /// Connections that are told of changes which were lost.
    links_lost: IntCounter "avain_link_lost_total";
    /// Whether the settings that were read last were taken: 1, or 0 where they were wrong and the old ones stay.
    settings_taken: IntGauge "avain_settings_last_reload_successful";
    /// When settings were last taken, Unix seconds.
    settings_taken_at: IntGauge "avain_settings_last_reload_success_timestamp_seconds";
    /// Time of statements and transactions, by name and outcome.
    store_seconds: HistogramVec "avain_store_duration_seconds" ["name", "outcome"];
    /// Passwords that wait to be hashed.
    hashing_queue: IntGauge "avain_hashing_queue";
    /// Attempts to send a mail, by message and outcome: sent, deferred, failed (given up).
    mails: IntCounterVec "avain_mail_attempts_total" ["message", "outcome"];
    /// Time from writing a mail to the mail server's taking it, by message.
    mail_seconds: HistogramVec "avain_mail_delivery_seconds" ["message"];
    /// Mails in the outbox that wait to be sent.
    mails_waiting: IntGauge "avain_mail_waiting";
    /// Mails in the outbox that were given up.
    mails_failed: IntGauge "avain_mail_failed";
    /// For how many seconds the oldest mail has been waiting.
    mail_age: IntGauge "avain_mail_oldest_seconds";
    /// Refusals, by endpoint and reason.
    refusals: IntCounterVec "avain_refusals_total" ["endpoint", "reason"];
    /// Audit events, by what happened.
    audit_events: IntCounterVec "avain_audit_events_total" ["event"];
    /// Faults of ours, by endpoint.
    faults: IntCounterVec "avain_faults_total" ["endpoint"];
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Notes in the history what was counted up to now.
    pub fn note_history(&self, now: Timestamp) {
        let decided = |verdict| self.decisions.with_label_values(&[verdict]).get();
        let happened = |event| self.audit_events.with_label_values(&[event]).get();
        let totals = Counts {
            allowed: decided("allow"),
            anonymous: decided("anonymous"),
            denied: decided("deny") + decided("throttled"),
            unavailable: decided("unavailable") + decided("misconfigured"),
            sign_ins: happened("sign_in"),
            failures: happened("sign_in_failed") + happened("throttled"),
        };
        self.history.note(totals, now);
    }

    /// All metrics in Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("a vector takes everything");
        text
    }
}

//! How nginx asks avain, as avain's own metrics count it.

use http::Method;

use crate::doctor::Scene;
use crate::doctor::checks::{CACHED, CONTENT_LENGTH, Check, KEEP_ALIVE};
use crate::doctor::client::{Ask, Client};
use crate::doctor::report::Report;

/// Questions for one measurement.
const ASKED: u64 = 16;

const ALL: &[&Check] = &[CACHED, KEEP_ALIVE, CONTENT_LENGTH];

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    if scene.options.operations.is_empty() {
        let why = "name avain's operations listener, of each instance, with --operations";
        return not_checked(report, why);
    }
    let mut clients = Vec::new();
    for target in &scene.options.operations {
        match Client::new(target.clone(), scene.options.authorities.as_deref()) {
            Ok(client) => clients.push(client),
            Err(why) => return not_checked(report, &why),
        }
    }
    if let Err(why) = count(scene, report, &clients).await {
        not_checked(report, &why);
    }
}

fn not_checked(report: &Report, why: &str) {
    for check in ALL {
        report.not_checked(check, why);
    }
}

async fn count(scene: &Scene<'_>, report: &Report, clients: &[Client]) -> Result<(), String> {
    let before = Counts::read(clients).await?;
    for _ in 0..ASKED {
        scene.client.send(Ask::get(scene.path()).credential(Some(scene.bad()))).await?;
    }
    let between = Counts::read(clients).await?;
    for _ in 0..ASKED {
        let ask = Ask::new(Method::POST, scene.nowhere()).credential(Some(scene.bad())).body("x");
        scene.client.send(ask).await?;
    }
    let after = Counts::read(clients).await?;

    // Others ask meanwhile too: fewer than ours is certain, more says nothing.
    let denied = between.denied - before.denied;
    let found = format!("of {ASKED} requests avain was asked about {denied}");
    report.judge(CACHED, (denied < ASKED).then_some(found));
    let (opened, decided) = (between.opened - before.opened, between.decided - before.decided);
    if decided == 0 {
        report.not_checked(KEEP_ALIVE, "avain was not asked at all");
    } else {
        let found = format!("{opened} connections for {decided} questions");
        report.judge(KEEP_ALIVE, (opened * 2 > decided).then_some(found));
    }
    let promised = after.promised - between.promised;
    let found = format!("{promised} questions announced a body");
    report.judge(CONTENT_LENGTH, (promised > 0).then_some(found));
    Ok(())
}

/// Counters of all instances together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    denied: u64,
    decided: u64,
    opened: u64,
    promised: u64,
}

impl Counts {
    async fn read(clients: &[Client]) -> Result<Self, String> {
        let mut counts = Self::default();
        for client in clients {
            let path = format!("{}/metrics", client.target().path.trim_end_matches('/'));
            let answer = client.send(Ask::get(path)).await?;
            let text = answer.text();
            if !text.contains("avain_http_connections_total") {
                let shown = client.target().authority();
                return Err(format!("{shown} is not avain's server.operations of this version"));
            }
            counts.add(&text);
        }
        Ok(counts)
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            match name {
                "avain_http_connections_total" => self.opened += value,
                "avain_gate_promised_bodies_total" => self.promised += value,
                _ if name.starts_with("avain_gate_decisions_total{") => {
                    self.decided += value;
                    if name.contains("\"deny\"") {
                        self.denied += value;
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// The names are those of the metrics.
    #[test]
    fn the_counters_are_found() {
        let metrics = Metrics::new();
        metrics.decisions.with_label_values(&["deny"]).inc_by(3);
        metrics.decisions.with_label_values(&["allow"]).inc_by(4);
        metrics.connections_accepted.inc_by(5);
        metrics.promised_bodies.inc_by(6);
        let mut counts = Counts::default();
        counts.add(&String::from_utf8_lossy(&metrics.text()));
        assert_eq!(counts, Counts { denied: 3, decided: 7, opened: 5, promised: 6 });
    }
}

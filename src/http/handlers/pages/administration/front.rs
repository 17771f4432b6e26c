//! The front page: how the service is, and what it did in the last hour.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::list;
use crate::flow::{Error, outbox};
use crate::gate::link::Mode;
use crate::http::pages::{Reply, Visit};
use crate::metrics::history::Counts;
use crate::store::migrate::{self, Status};

/// Seconds after which the page is loaded anew, where somebody wants that.
const LIVE: u64 = 10;
/// Height of a chart, and width of a minute in it.
const HEIGHT: u64 = 100;
const WIDTH: u64 = 10;

/// What a chart shows: its name, and what of a minute.
type Series = (&'static str, fn(&Counts) -> u64);

/// How the service is.
pub(super) async fn front(visit: &Visit<'_>) -> Result<Reply, Error> {
    let (service, context) = (visit.service, visit.context());
    let (store, now, at) = (&context.store, context.now(), context.clock.uptime());
    let schema = match migrate::status(store).await? {
        Status::Current => "current",
        Status::Pending(_) => "pending",
        Status::Newer(_) => "newer",
    };
    let answered = context.clock.uptime().saturating_sub(at);
    let (link, ring) = (&service.gate.link, context.ring.load());
    let mode = link.mode(at);
    let depth = outbox::depth(store).await?;
    let metrics = &service.metrics;
    metrics.note_history(now);
    let minutes = metrics.history.minutes(now);
    let is_live = visit.has_asked("live");
    let view = json!({
        "current": "front",
        "is_well": mode == Mode::Live && schema == "current",
        "mode": visit.say(&format!("administration.mode.{}", mode.word())),
        "mode_age": link.age(at).as_secs(),
        "engine": if store.is_postgres() { "PostgreSQL" } else { "SQLite" },
        "schema": visit.say(&format!("administration.schema.{schema}")),
        "answered": format!("{:.1}", answered.as_secs_f64() * 1000.0),
        "version": env!("CARGO_PKG_VERSION"),
        "signing": { "id": ring.signing().id().as_str(), "algorithm": ring.signing().algorithm().to_string() },
        "known": service.gate.memory.len(),
        "hashing": context.hashing.queued(),
        "mail": {
            "waiting": depth.waiting,
            "failed": depth.failed,
            "oldest": list::moment(depth.oldest)["moment"],
        },
        "is_live": is_live,
        "live": LIVE,
        "charts": [gate_chart(visit, &minutes), sign_in_chart(visit, &minutes)],
    });
    let reply = Reply::page("administration/front.html", view);
    Ok(if is_live { reply.refresh(LIVE) } else { reply })
}

fn gate_chart(visit: &Visit<'_>, minutes: &[Counts]) -> Value {
    let series: [Series; 4] = [
        ("allowed", |counts| counts.allowed),
        ("anonymous", |counts| counts.anonymous),
        ("denied", |counts| counts.denied),
        ("unavailable", |counts| counts.unavailable),
    ];
    chart(visit, "gate", minutes, &series)
}

fn sign_in_chart(visit: &Visit<'_>, minutes: &[Counts]) -> Value {
    let series: [Series; 2] =
        [("sign_ins", |counts| counts.sign_ins), ("failures", |counts| counts.failures)];
    chart(visit, "sign_ins", minutes, &series)
}

/// Bars of minutes, what belongs to one on top of each other.
fn chart(visit: &Visit<'_>, name: &str, minutes: &[Counts], series: &[Series]) -> Value {
    let sum = |counts: &Counts| series.iter().map(|(_, of)| of(counts)).sum::<u64>();
    let most = minutes.iter().map(sum).max().unwrap_or_default();
    let mut below = vec![0; minutes.len()];
    let mut shown = Vec::new();
    for (name, of) in series {
        let (mut path, mut total) = (String::new(), 0);
        for (at, (counts, below)) in (0_u64..).zip(minutes.iter().zip(&mut below)) {
            let count = of(counts);
            total += count;
            // What happened at all can be seen.
            let height = if count == 0 { 0 } else { (count * HEIGHT / most.max(1)).max(1) };
            if height > 0 {
                let (x, y) = (at * WIDTH, HEIGHT.saturating_sub(*below));
                let _ = write!(path, "M{x} {y}v-{height}h{bar}v{height}z", bar = WIDTH - 2);
            }
            *below += height;
        }
        let text = visit.say(&format!("administration.chart.{name}"));
        shown.push(json!({ "name": name, "text": text, "total": total, "path": path }));
    }
    json!({ "title": visit.say(&format!("administration.chart.{name}_title")), "most": most, "series": shown })
}

//! A real primary is killed and its real standby promoted: the service, which knows both, goes on without a restart.

use serde_json::json;

use super::{Mode, answer, gate, is_listening, met, mode, revoke, server_of, until};
use crate::harness::{Database, Pair, START, TestService};
use crate::support::{Cluster, block_on, connect};

#[test]
fn a_promoted_standby_takes_over() {
    let cluster = Cluster::start();
    block_on(async {
        let tell = |command: &str| tokio::task::block_in_place(|| cluster.tell(command));
        let database = Database::fresh_on(&cluster).await;
        let primary = server_of(&cluster).to_string();
        let standby = format!("127.0.0.1:{}", tell("standby")["port"]);
        let url = database.url.replace(&primary, &format!("{primary},{standby}"));
        let there = database.url.replace(&primary, &standby);
        let both = Database::at(format!("{url}?target_session_attrs=read-write"));
        let settings = [
            ("database.connect_timeout", "1s"),
            ("database.timeout", "2s"),
            ("gate.misses", "1000000"),
        ];
        let service = TestService::on(both, &settings, START).await;
        until("it listens", async || is_listening(&service)).await;
        let bystander = met(&service, "bystander").await;
        let pair = service.sign_in("bystander").await;
        let before = met(&service, "before").await;
        let meanwhile = met(&service, "meanwhile").await;
        let later = met(&service, "later").await;
        // Committed there as well, but the gate may not have heard of it when the primary is gone.
        revoke(&connect(&database.url).await, &before, true).await;
        tell("stop");

        let refused = async || {
            let (status, _) = gate(&service, "POST", &before.bearer).await;
            assert!(matches!(status, 401 | 503), "what was revoked is admitted: {status}");
        };
        until("it is refused", async || gate(&service, "POST", &before.bearer).await.0 != 204)
            .await;
        let gone = until("it notices", async || {
            refused().await;
            mode(&service) != Mode::Live
        })
        .await;
        tell("promote");
        let beside = connect(&there).await;
        // Nobody is told of this one: the service has not found its way there, or only just.
        revoke(&beside, &meanwhile, true).await;
        let back = until("the new primary is asked", async || {
            refused().await;
            mode(&service) == Mode::Live && is_listening(&service)
        })
        .await;
        println!("noticed after {gone:?}, live again {back:?} after the promotion");

        for revoked in [&before, &meanwhile] {
            service.refuses_soon(&revoked.bearer).await;
            assert_eq!(gate(&service, "POST", &revoked.key).await, answer(401, ""));
        }
        assert_eq!(gate(&service, "POST", &bystander.bearer).await, answer(204, ""));
        assert_eq!(gate(&service, "POST", &bystander.key).await, answer(204, ""));
        let renewed =
            service.post("/api/token/refresh/", &json!({ "refresh": pair.refresh })).await;
        let renewed = Pair::of(&renewed);
        assert!(service.admits(&renewed.bearer()).await);
        assert!(service.admits(&service.sign_in("bystander").await.bearer()).await);
        revoke(&beside, &later, true).await;
        service.refuses_soon(&later.bearer).await;
        service.refuses_soon(&later.key).await;
    });
}

//! Two instances on one PostgreSQL, of which one is killed: the other goes on with all that they did in turns.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Program;
use super::serving::Serving;
use crate::harness::{Engine, Pair};
use crate::jwt::{claim, header};
use crate::support::block_on;

fn kid(pair: &Pair) -> Value {
    header(&pair.access)["kid"].clone()
}

/// Waits until another key signs than before.
async fn rotates(serving: &Serving, before: &Value) -> Value {
    let started = Instant::now();
    loop {
        let kid = kid(&serving.sign_in("aino").await);
        if kid != *before {
            return kid;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "no other key signs: {}",
            serving.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn what_a_killed_instance_did_the_other_goes_on_with() {
    block_on(async {
        let program = tokio::task::block_in_place(|| {
            let program = Program::new(Engine::Postgres)
                .set("keys.rotation", "3s")
                .set("keys.publish_ahead", "1s")
                .set("throttle.enabled", "off");
            program.user("aino");
            program
        });
        let (first, second) = (Serving::start(&program).await, Serving::start(&program).await);
        let pair = first.sign_in("aino").await;
        let idle = second.sign_in("aino").await;
        assert!(first.admits(&pair.bearer()).await && second.admits(&pair.bearer()).await);
        assert!(first.admits(&idle.bearer()).await);
        // Whichever of the two has rotated the keys: the one that is left does from now on.
        let before = rotates(&first, &kid(&pair)).await;
        drop(first);
        let after = rotates(&second, &before).await;
        rotates(&second, &after).await;

        // Nobody is signed out, and what was handed out on the one is followed on the other.
        assert!(second.admits(&pair.bearer()).await);
        let renewed = second.post("/api/token/refresh/", &json!({ "refresh": pair.refresh })).await;
        let renewed = Pair::of(&renewed);
        assert_eq!(claim(&renewed.access, "sid"), claim(&pair.access, "sid"));
        let run = |arguments: &[&str]| tokio::task::block_in_place(|| program.run(arguments));
        run(&["user", "sign-out", "aino"]).good();
        second.refuses_soon(&renewed.bearer(), "sign-out").await;

        // A new instance takes the place of the killed one.
        let third = Serving::start(&program).await;
        let pair = third.sign_in("aino").await;
        assert!(second.admits(&pair.bearer()).await && third.admits(&pair.bearer()).await);
        assert!(!second.log().contains("\"ERROR\""), "{}", second.log());
    });
}

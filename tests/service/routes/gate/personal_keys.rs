//! API keys of our own at the gate: what they may, from where, how often and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avain::base::random::SystemRandom;
use avain::flow::{Caller, administer};
use avain::token::personal::PersonalKey;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::harness::{Database, Engine, START, TestService, gate_request};
use crate::routes::auth::keys::{make, token};

on_both_engines! {
    they_pass_behind_either_word
    scopes_say_what_a_key_may
    networks_say_from_where
    a_rate_says_how_often
    an_end_is_kept_without_a_look
    what_takes_them_away_counts_everywhere
    garbage_asks_nothing
    made_up_keys_do_not_drain_the_store
    the_last_use_is_noted
}

/// A well-formed key that nobody has made.
fn made_up() -> String {
    format!("Token {}", PersonalKey::generate(&SystemRandom::new()).expose())
}

/// The answer about a request of a client at `address`.
async fn from(service: &TestService, address: &str, key: &str) -> Answer {
    service.ask(&gate_request("GET", "/api/v1/", key).header("X-Real-IP", address)).await
}

/// Counts what the store is asked from now on.
fn counted(service: &TestService) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    service.store().observe(Arc::new(move |observed| {
        // The feed is read now and then, whatever happens.
        if !observed.name.starts_with("changes.") {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    }));
    count
}

async fn aino(service: &TestService) -> String {
    service.account("aino").await;
    service.sign_in("aino").await.bearer()
}

async fn they_pass_behind_either_word(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let aino = service.sign_in("aino").await.bearer();
    let key = make(&service, &aino, &json!({ "name": "x" })).await["key"].clone();
    let key = key.as_str().expect("is text");
    for (word, via) in [("Token", "token"), ("Bearer", "bearer"), ("token", "token")] {
        for _ in 0..2 {
            let answer = service.gate("POST", "/api/v1/hobbies/", &format!("{word} {key}")).await;
            assert_eq!((answer.status, answer.header("x-auth-via")), (204, via));
            assert_eq!(answer.header("x-auth-user-id"), account.get().to_string());
            assert_eq!(answer.header("x-auth-scope"), "");
            assert!(answer.header("x-upstream-authorization").starts_with("Bearer ey"));
        }
    }
    // Each word is refused as the peers refuse what stands behind it.
    let unknown = made_up();
    let answer = service.gate("GET", "/api/v1/", &unknown).await;
    assert_eq!(
        (answer.status, super::error(&answer)),
        (401, json!({ "detail": "Invalid token." }))
    );
    let answer = service.gate("GET", "/api/v1/", &unknown.replace("Token", "Bearer")).await;
    assert_eq!((answer.status, &super::error(&answer)["code"]), (401, &json!("token_not_valid")));
    // A good key behind another's account that is switched off.
    let store = service.store();
    administer::set_active(store, &Caller::default(), account, false, service.now())
        .await
        .expect("runs");
    for (word, detail) in [("Token", "User inactive or deleted."), ("Bearer", "User is inactive")] {
        let answer = service.gate("GET", "/api/v1/", &format!("{word} {key}")).await;
        assert_eq!((answer.status, &super::error(&answer)["detail"]), (401, &json!(detail)));
    }
}

async fn scopes_say_what_a_key_may(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = aino(&service).await;
    let scope = "hobbies:read GET,POST:/api/v1/hobbies/{id} openid";
    let key = token(&make(&service, &aino, &json!({ "name": "x", "scope": scope })).await);
    for (method, uri, status) in [
        ("GET", "/api/v1/hobbies/7/", 204),
        ("POST", "/api/v1/hobbies/7", 204),
        ("HEAD", "/api/v1/hobbies/7/?x=/y", 204),
        ("DELETE", "/api/v1/hobbies/7/", 403),
        ("GET", "/api/v1/hobbies/", 403),
        ("GET", "/api/v1/hobbies/7/edit/", 403),
        ("GET", "/mobile-api/v1/hobbies/7/", 403),
        // What the views of which disagree is nobody's.
        ("GET", "/api/v1/hobb%69es/7/", 403),
        ("GET", "/api/v1/hobbies/..%2f7/", 403),
    ] {
        let answer = service.gate(method, uri, &key).await;
        assert_eq!(answer.status, status, "{method} {uri}");
        let shown = if status == 204 { "hobbies:read openid" } else { "" };
        assert_eq!(answer.header("x-auth-scope"), shown);
        if status == 403 {
            let detail = "You do not have permission to perform this action.";
            assert_eq!(super::error(&answer), json!({ "detail": detail }));
        }
    }
    // A name alone permits nothing by itself, not even what anybody may.
    let names = token(&make(&service, &aino, &json!({ "name": "x", "scope": "openid" })).await);
    assert_eq!(service.gate("GET", "/api/v1/hobbies/", &names).await.status, 403);
}

async fn networks_say_from_where(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = aino(&service).await;
    let terms = json!({ "name": "x", "networks": "192.0.2.0/24 2001:db8:1::/48" });
    let key = token(&make(&service, &aino, &terms).await);
    for (address, status) in [
        ("192.0.2.255", 204),
        ("::ffff:192.0.2.1", 204),
        ("2001:db8:1:2::3", 204),
        ("192.0.3.1", 403),
        ("2001:db8:2::1", 403),
        // Not an address: it is nginx's own then.
        ("nonsense", 403),
    ] {
        // Twice: looked up, and known.
        for _ in 0..2 {
            assert_eq!(from(&service, address, &key).await.status, status, "{address}");
        }
    }
}

async fn a_rate_says_how_often(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = aino(&service).await;
    let key = token(&make(&service, &aino, &json!({ "name": "x", "rate": 6 })).await);
    for _ in 0..6 {
        assert_eq!(service.gate("GET", "/api/v1/", &key).await.status, 204);
    }
    let refused = service.gate("GET", "/api/v1/", &key).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "10"));
    assert_eq!(super::error(&refused), json!({ "detail": "Request was throttled." }));
    let counted = service.service.metrics.decisions.with_label_values(&["throttled"]).get();
    assert_eq!(counted, 1);
    // Nothing that happens to the account refills it.
    make(&service, &aino, &json!({ "name": "another" })).await;
    service.service.gate.memory.forget_all();
    assert_eq!(service.gate("GET", "/api/v1/", &key).await.status, 429);
    service.pass(10);
    assert_eq!(service.gate("GET", "/api/v1/", &key).await.status, 204);
    assert_eq!(service.gate("GET", "/api/v1/", &key).await.status, 429);
    // What its terms forbid costs nothing.
    let narrow = json!({ "name": "x", "rate": 1, "scope": "GET:/api/**" });
    let narrow = token(&make(&service, &aino, &narrow).await);
    for expected in [403, 403] {
        assert_eq!(service.gate("POST", "/api/v1/", &narrow).await.status, expected);
    }
    assert_eq!(service.gate("GET", "/api/v1/", &narrow).await.status, 204);
}

async fn an_end_is_kept_without_a_look(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = aino(&service).await;
    let key = token(&make(&service, &aino, &json!({ "name": "x", "expires_in": 100 })).await);
    assert!(service.admits(&key).await);
    let count = counted(&service);
    service.pass(99);
    assert!(service.admits(&key).await);
    service.pass(1);
    assert!(!service.admits(&key).await);
    let answer = service.gate("GET", "/api/v1/", &key.replace("Token", "Bearer")).await;
    let message = &super::error(&answer)["messages"][0]["message"];
    assert_eq!((answer.status, message), (401, &json!("Token is expired")));
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

async fn what_takes_them_away_counts_everywhere(engine: Engine) {
    let service = TestService::start(engine).await;
    let database = Database::alike(&service.database);
    // SQLite is for one serving process; its command line is another opening.
    let command_line = service.database.open();
    let other = match engine {
        Engine::Postgres => Some(TestService::on(database, &[], START).await),
        Engine::Sqlite => None,
    };
    for measure in ["revoke", "narrow", "replace", "deactivate", "delete", "all"] {
        let account = service.account(measure).await;
        let owner = service.sign_in(measure).await.bearer();
        let made = make(&service, &owner, &json!({ "name": "x" })).await;
        let bystander = token(
            &make(&service, &aino_of(&service, measure).await, &json!({ "name": "x" })).await,
        );
        let key = token(&made);
        for instance in std::iter::once(&service).chain(&other) {
            assert!(instance.admits(&key).await && instance.admits(&bystander).await);
        }
        let id = avain::token::personal::PersonalKeyId::new(made["id"].as_i64().expect("is one"));
        let now = service.now();
        let (context, caller) = (&service.service.context, Caller::default());
        let cabinet = avain::flow::personal_keys::Cabinet {
            store: &command_line,
            ..context.cabinet(&caller)
        };
        match measure {
            "revoke" => assert!(cabinet.revoke(account, id).await.expect("runs")),
            "all" => assert_eq!(cabinet.revoke_all(account).await.expect("runs"), 1),
            "replace" => {
                let overlap = Some(std::time::Duration::ZERO);
                let rotated = cabinet.rotate(account, id, overlap, None).await.expect("runs");
                rotated.expect("it is rotated");
            }
            "narrow" => {
                let scopes = avain::token::scope::Scopes::parse("x").expect("is one");
                let terms = avain::token::terms::Terms { scopes, ..Default::default() };
                let wish = avain::flow::personal_keys::Wish { name: "x".to_owned(), terms };
                cabinet.edit(account, id, wish).await.expect("runs").expect("it is changed");
            }
            "deactivate" => {
                let store = &command_line;
                assert!(
                    administer::set_active(store, &caller, account, false, now)
                        .await
                        .expect("runs")
                );
            }
            "delete" => {
                let random = context.random.as_ref();
                let owner = avain::store::accounts::Owner::Avain;
                administer::delete(&command_line, &caller, owner, account, now, random)
                    .await
                    .expect("runs");
            }
            other => panic!("{other}?"),
        }
        for instance in std::iter::once(&service).chain(&other) {
            let started = tokio::time::Instant::now();
            while instance.gate("POST", "/api/v1/", &key).await.status == 204 {
                assert!(started.elapsed().as_secs() < 2, "{measure}: it is still admitted");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            assert!(instance.admits(&bystander).await, "{measure}");
        }
    }
}

async fn aino_of(service: &TestService, measure: &str) -> String {
    let name = format!("{measure}-bystander");
    service.account(&name).await;
    service.sign_in(&name).await.bearer()
}

async fn garbage_asks_nothing(engine: Engine) {
    let service = TestService::with(engine, &[("gate.misses", "1")]).await;
    let aino = aino(&service).await;
    let good = token(&make(&service, &aino, &json!({ "name": "x" })).await);
    let count = counted(&service);
    for at in ["Token avn_".len(), good.len() - 1] {
        for other in ["A", "b"] {
            let mut key = good.clone();
            key.replace_range(at..=at, other);
            if key != good {
                assert!(!service.admits(&key).await, "its checksum is wrong");
            }
        }
    }
    for odd in ["avn_", "avn_x", &"avn_".repeat(10), &good[6..40]] {
        for word in ["Token", "Bearer"] {
            assert!(!service.admits(&format!("{word} {odd}")).await);
        }
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert!(service.admits(&good).await, "and it has cost nobody's budget");
}

async fn made_up_keys_do_not_drain_the_store(engine: Engine) {
    let settings = [("gate.misses", "1000"), ("gate.key_look_ups", "1")];
    let service = TestService::with(engine, &settings).await;
    let aino = aino(&service).await;
    let good = token(&make(&service, &aino, &json!({ "name": "x" })).await);
    service.settled().await;
    let count = counted(&service);
    // The same one, by many at once and again: hardly more than one look.
    let unknown = made_up();
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (mut connection, key) = (service.connect().await, unknown.clone());
        clients.spawn(async move {
            connection.ask(&gate_request("GET", "/api/v1/", &key)).await.status
        });
    }
    assert!(clients.join_all().await.iter().all(|status| *status == 401));
    for _ in 0..10 {
        assert!(!service.admits(&unknown).await);
    }
    let looked = count.load(Ordering::Relaxed);
    assert!((1..=3).contains(&looked), "{looked}");
    // Many different ones at once, with room for one at a time: each waits for its turn.
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let mut connection = service.connect().await;
        clients.spawn(async move {
            connection.ask(&gate_request("GET", "/api/v1/", &made_up())).await.status
        });
    }
    assert!(clients.join_all().await.iter().all(|status| *status == 401));
    assert_eq!(from(&service, "192.0.2.9", &good).await.status, 204, "a good one has its turn too");
    // A client's budget is one for keys of either kind.
    let service = TestService::with(engine, &[("gate.misses", "3")]).await;
    for number in 0..3 {
        let key = if number == 1 { format!("Token {number:040}") } else { made_up() };
        assert_eq!(from(&service, "2001:db8::1", &key).await.status, 401);
    }
    assert_eq!(from(&service, "2001:db8::2", &made_up()).await.status, 429, "one /64");
    assert_eq!(from(&service, "2001:db8:0:1::2", &made_up()).await.status, 401);
}

async fn the_last_use_is_noted(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = aino(&service).await;
    let made = make(&service, &aino, &json!({ "name": "x" })).await;
    let (key, target) = (token(&made), format!("/auth/keys/{}", made["id"]));
    let last_use = async || {
        service.background.note_uses_now().await.expect("the store answers");
        let request = crate::client::Request::new("GET", &target).header("Authorization", &aino);
        service.ask(&request).await.json()["last_used_at"].clone()
    };
    assert_eq!(last_use().await, json!(null));
    assert!(service.admits(&key).await);
    assert_eq!(last_use().await, "2026-11-18T11:06:40Z");
    service.pass(59);
    assert!(service.admits(&key).await);
    assert_eq!(last_use().await, "2026-11-18T11:06:40Z", "once a minute");
    service.pass(1);
    assert!(service.admits(&key).await);
    assert_eq!(last_use().await, "2026-11-18T11:07:40Z");
    // A use of our own endpoints is one too; a refusal is none.
    service.pass(60);
    let request =
        crate::client::Request::new("GET", "/auth/users/me/").header("Authorization", &key);
    assert_eq!(service.ask(&request).await.status, 200);
    assert_eq!(last_use().await, "2026-11-18T11:08:40Z");
}

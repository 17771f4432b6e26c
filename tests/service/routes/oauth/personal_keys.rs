//! API keys of our own at the OAuth endpoints: what others are told of them, and who ends them.

use avain::base::random::SystemRandom;
use avain::flow::{Caller, administer};
use avain::token::personal::PersonalKey;
use serde_json::{Value, json};

use super::{Registered, introspect, is_error, post, register};
use crate::client::Answer;
use crate::harness::{Database, Engine, START, TestService};
use crate::routes::auth::keys::{ask, make};

on_both_engines! {
    they_say_what_they_may_and_until_when
    those_that_open_nothing_are_inactive
    a_rotated_one_is_active_for_the_overlap
    staff_ask_with_a_key_that_is_not_narrow
    holding_one_is_enough_to_end_it
}

fn text(made: &Value) -> &str {
    made["key"].as_str().expect("there is a key")
}

fn inactive() -> Value {
    json!({ "active": false })
}

async fn they_say_what_they_may_and_until_when(engine: Engine) {
    let service = TestService::start(engine).await;
    let asker = register(&service, "asker", "introspect", None).await;
    let id = service.account("aino").await.to_string();
    let aino = service.sign_in("aino").await.bearer();
    let plain = make(&service, &aino, &json!({ "name": "plain" })).await;
    let common = json!({
        "active": true, "token_type": "Token", "sub": id, "username": "aino", "user_id": id,
        "iat": START.seconds(),
    });
    assert_eq!(introspect(&service, &asker, text(&plain)).await, common);
    let wish = json!({
        "name": "narrow", "scope": "GET:/api/v1/** hobbies:read", "networks": "192.0.2.0/24",
        "rate": 60, "expires_in": 100,
    });
    let narrow = make(&service, &aino, &wish).await;
    let mut expected = common;
    expected["scope"] = json!("hobbies:read GET:/api/v1/**");
    expected["networks"] = json!("192.0.2.0/24");
    expected["rate"] = json!(60);
    expected["exp"] = json!(START.seconds() + 100);
    assert_eq!(introspect(&service, &asker, text(&narrow)).await, expected);
    let listed = ask(&service, &aino, "GET", "/auth/keys", &Value::Null).await.json();
    assert_eq!(listed["keys"][0]["last_used_at"], Value::Null, "to ask about one is not to use it");
}

async fn those_that_open_nothing_are_inactive(engine: Engine) {
    let service = TestService::start(engine).await;
    let asker = register(&service, "asker", "introspect", None).await;
    let account = service.account("aino").await;
    let aino = service.sign_in("aino").await.bearer();
    let short = make(&service, &aino, &json!({ "name": "short", "expires_in": 100 })).await;
    let taken = make(&service, &aino, &json!({ "name": "taken" })).await;
    let good = make(&service, &aino, &json!({ "name": "good" })).await;
    for key in [&short, &taken, &good] {
        assert_eq!(introspect(&service, &asker, text(key)).await["active"], true);
    }
    service.pass(99);
    assert_eq!(introspect(&service, &asker, text(&short)).await["active"], true);
    service.pass(1);
    assert_eq!(introspect(&service, &asker, text(&short)).await, inactive(), "on its last second");
    let target = format!("/auth/keys/{}", taken["id"]);
    assert_eq!(ask(&service, &aino, "DELETE", &target, &Value::Null).await.status, 204);
    assert_eq!(introspect(&service, &asker, text(&taken)).await, inactive());

    let unknown = PersonalKey::generate(&SystemRandom::new());
    let mut damaged = text(&good).to_owned();
    damaged.replace_range(10..11, if damaged.as_bytes()[10] == b'x' { "y" } else { "x" });
    let lower = text(&good).to_ascii_lowercase();
    let odd = ["avn_", "avn_x", &text(&good)[4..], &text(&good)[..41], &lower, &damaged];
    for odd in odd.into_iter().chain([unknown.expose()]) {
        assert_eq!(introspect(&service, &asker, odd).await, inactive(), "{odd}");
    }

    let store = service.store();
    for (is_active, expected) in [(false, false), (true, true)] {
        administer::set_active(store, &Caller::default(), account, is_active, service.now())
            .await
            .expect("it is changed");
        let found = introspect(&service, &asker, text(&good)).await;
        assert_eq!(found["active"], json!(expected));
    }
}

async fn a_rotated_one_is_active_for_the_overlap(engine: Engine) {
    let service = TestService::start(engine).await;
    let asker = register(&service, "asker", "introspect", None).await;
    service.account("aino").await;
    let aino = service.sign_in("aino").await.bearer();
    let old = make(&service, &aino, &json!({ "name": "x", "scope": "hobbies:read" })).await;
    let target = format!("/auth/keys/{}/rotate", old["id"]);
    let new = ask(&service, &aino, "POST", &target, &json!({ "overlap": 60 })).await.json();
    let exp = introspect(&service, &asker, text(&old)).await["exp"].clone();
    assert_eq!(exp, START.seconds() + 60, "who caches the answer knows for how long");
    service.pass(60);
    assert_eq!(introspect(&service, &asker, text(&old)).await, inactive());
    assert_eq!(introspect(&service, &asker, text(&new)).await["scope"], "hobbies:read");
}

async fn staff_ask_with_a_key_that_is_not_narrow(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    service.account_with("chief", |draft| draft.is_staff = true).await;
    let chief = service.sign_in("chief").await.bearer();
    let whole = make(&service, &chief, &json!({ "name": "whole" })).await;
    let about = async |authorization: String| -> Answer {
        let form = format!("token={}", pair.access);
        post(&service, "/oauth/introspect", &authorization, &form).await
    };
    for word in ["Token", "Bearer"] {
        let answer = about(format!("{word} {}", text(&whole))).await;
        assert_eq!(answer.json()["username"], "aino", "{word}");
    }
    let mine = make(&service, &pair.bearer(), &json!({ "name": "no staff" })).await;
    is_error(&about(format!("Token {}", text(&mine))).await, 403, "insufficient_scope");
    for terms in [
        json!({ "name": "x", "scope": "introspect" }),
        json!({ "name": "x", "scope": "POST:/oauth/**" }),
        json!({ "name": "x", "networks": "127.0.0.0/8" }),
        json!({ "name": "x", "rate": 60 }),
    ] {
        let narrow = make(&service, &chief, &terms).await;
        let answer = about(format!("Token {}", text(&narrow))).await;
        is_error(&answer, 403, "insufficient_scope");
    }
    let unknown = PersonalKey::generate(&SystemRandom::new());
    for word in ["Token", "Bearer"] {
        is_error(&about(format!("{word} {}", unknown.expose())).await, 401, "invalid_token");
    }
}

async fn holding_one_is_enough_to_end_it(engine: Engine) {
    let service = TestService::start(engine).await;
    let asker = register(&service, "asker", "introspect", None).await;
    let account = service.account("aino").await;
    let aino = service.sign_in("aino").await.bearer();
    let other = match engine {
        Engine::Postgres => {
            Some(TestService::on(Database::alike(&service.database), &[], START).await)
        }
        Engine::Sqlite => None,
    };
    let revoke = async |client: Option<&Registered>, key: &str| {
        let authorization = client.map(Registered::basic).unwrap_or_default();
        let form = format!("token={key}&token_type_hint=access_token");
        post(&service, "/oauth/revoke", &authorization, &form).await
    };
    let keys = [
        make(&service, &aino, &json!({ "name": "by nobody" })).await,
        make(&service, &aino, &json!({ "name": "narrow", "scope": "hobbies:read" })).await,
        make(&service, &aino, &json!({ "name": "by a client" })).await,
    ];
    let bystander = make(&service, &aino, &json!({ "name": "bystander" })).await;
    let as_token = |key: &Value| format!("Token {}", text(key));
    // A key belongs to an account and to no client: whoever has found one may end it.
    for (key, client) in keys.iter().zip([None, None, Some(&asker)]) {
        let presented = as_token(key);
        let everywhere = || std::iter::once(&service).chain(&other);
        for instance in everywhere() {
            assert_ne!(instance.gate("POST", "/api/v1/hobbies/", &presented).await.status, 401);
        }
        revoke(client, text(key)).await.is(200, json!({}));
        for instance in everywhere() {
            let started = tokio::time::Instant::now();
            while instance.gate("POST", "/api/v1/hobbies/", &presented).await.status != 401 {
                assert!(started.elapsed().as_secs() < 1, "it is still known");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        assert_eq!(introspect(&service, &asker, text(key)).await, inactive());
        revoke(client, text(key)).await.is(200, json!({}));
    }
    // A client whose secret is wrong ends nothing.
    let wrong = Registered { id: "asker", secret: "wrong".to_owned() };
    is_error(&revoke(Some(&wrong), text(&bystander)).await, 401, "invalid_client");
    let (most, last) = text(&bystander).split_at(41);
    let damaged = format!("{most}{}", if last == "x" { "y" } else { "x" });
    revoke(None, &damaged).await.is(200, json!({}));
    assert!(service.admits(&as_token(&bystander)).await);

    let search = avain::flow::audit::Search {
        event: Some(avain::flow::audit::Event::ApiKeyRevoked),
        ..Default::default()
    };
    let events = avain::flow::audit::search(service.store(), &search, None, 10).await;
    let events = events.expect("the store answers");
    assert_eq!(events.len(), 3, "each once");
    assert!(events.iter().all(|entry| entry.account == Some(account)));
}

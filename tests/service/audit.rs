//! What is recorded of what people and operators do, and what never is.

use avain::flow::audit::{self, Entry, Search};
use avain::flow::{Caller, administer};
use avain::store::signing_keys::Purpose;
use avain::token::algorithm::Algorithm;
use avain::token::key::{KeyId, SigningKey};
use serde_json::{Value, json};

use crate::client::Request;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    signing_in_and_out_is_recorded_with_where_from
    a_failure_names_accounts_alone
    guessing_does_not_fill_the_table
    reuse_is_recorded_and_counted
    refreshes_are_recorded_where_that_is_wanted
    what_operators_do_outlives_the_account
    staff_acts_on_others
    what_people_change_is_recorded_with_who_and_where
    what_happens_to_signing_keys_is_recorded
    old_events_are_swept
}

/// All events, oldest first.
async fn events(service: &TestService) -> Vec<Entry> {
    let mut events = audit::search(service.store(), &Search::default(), None, 1000)
        .await
        .expect("the store answers");
    events.reverse();
    // Accounts that the harness makes, and the keys of the first start.
    events.retain(|entry| entry.event != "account_created" && entry.event != "signing_key_created");
    events.retain(|entry| entry.event != "signing_key_rotated");
    events
}

async fn names(service: &TestService) -> Vec<String> {
    events(service).await.into_iter().map(|entry| entry.event).collect()
}

fn counted(service: &TestService, event: &str) -> u64 {
    service.service.metrics.audit_events.with_label_values(&[event]).get()
}

async fn signing_in_and_out_is_recorded_with_where_from(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let sign_in = Request::new("POST", "/api/token/")
        .header("X-Real-IP", "192.0.2.7")
        .header("X-Request-ID", "r-4711")
        .header("User-Agent", b"Mozilla/5.0 \xff\tend")
        .json(&json!({ "username": "aino", "password": PASSWORD }));
    let pair = service.ask(&sign_in).await.json();
    let ended = service.post("/api/token/blacklist/", &json!({ "refresh": pair["refresh"] })).await;
    assert_eq!(ended.status, 200);

    let all = events(&service).await;
    let [signed_in, signed_out] = all.as_slice() else { panic!("two events: {all:?}") };
    assert_eq!(signed_in.event, "sign_in");
    assert_eq!((signed_in.account, signed_in.actor), (Some(aino), Some(aino)));
    assert_eq!(signed_in.username.as_deref(), Some("aino"));
    assert_eq!(signed_in.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(signed_in.request_id.as_deref(), Some("r-4711"));
    assert_eq!(signed_in.user_agent.as_deref(), Some("Mozilla/5.0 \u{fffd}end"));
    assert_eq!(signed_in.layout.as_deref(), Some("simplejwt"));
    assert_eq!((signed_out.event.as_str(), signed_out.account), ("sign_out", Some(aino)));
    assert_eq!(signed_out.username.as_deref(), Some("aino"));
    assert_eq!(counted(&service, "sign_in"), 1);
}

/// What is typed as a name may be a password in the wrong field.
async fn a_failure_names_accounts_alone(engine: Engine) {
    let service = TestService::start(engine).await;
    let off = service.account_with("off", |draft| draft.is_active = false).await;
    service.account("aino").await;
    for (name, password) in [("aino", "wrong"), ("Hunter2-secret", "x"), ("off", PASSWORD)] {
        let credentials = json!({ "username": name, "password": password });
        assert_eq!(service.post("/api/token/", &credentials).await.status, 401);
    }
    let all = events(&service).await;
    assert!(all.iter().all(|entry| entry.event == "sign_in_failed" && entry.actor.is_none()));
    let details: Vec<_> = all.iter().map(|entry| entry.details.as_str()).collect();
    let reasons = ["wrong_password", "unknown_account", "inactive"];
    assert_eq!(details, reasons.map(|reason| format!("{{\"reason\":\"{reason}\"}}")));
    let named: Vec<_> = all.iter().map(|entry| entry.username.as_deref()).collect();
    assert_eq!(named, [Some("aino"), None, Some("off")]);
    assert_eq!(all.last().and_then(|entry| entry.account), Some(off));
    let secret = |entry: &Entry| format!("{entry:?}").contains("Hunter2");
    assert!(!all.iter().any(secret));
}

async fn guessing_does_not_fill_the_table(engine: Engine) {
    let settings = [("throttle.enabled", "on"), ("throttle.account_failures", "3")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let credentials = json!({ "username": "aino", "password": "wrong" });
    for _ in 0..20 {
        service.post("/api/token/", &credentials).await;
    }
    let kept = names(&service).await;
    assert_eq!(kept.len(), 10, "one address has ten rows a minute");
    assert_eq!(kept.iter().filter(|name| *name == "throttled").count(), 7);
    assert_eq!((counted(&service, "sign_in_failed"), counted(&service, "throttled")), (3, 17));
    service.pass(60);
    service.post("/api/token/", &credentials).await;
    let all = events(&service).await;
    let last = all.last().expect("there are events");
    assert_eq!(last.event, "sign_in_failed");
    assert_eq!(last.details, r#"{"reason":"wrong_password","left_out_before":"10"}"#);
}

async fn reuse_is_recorded_and_counted(engine: Engine) {
    let service = TestService::with(engine, &[("layouts.simplejwt.rotation", "on")]).await;
    let aino = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    assert_eq!(service.refresh(&pair.refresh).await.status, 200);
    service.pass(11);
    assert_eq!(service.refresh(&pair.refresh).await.status, 401);
    assert_eq!(service.refresh(&pair.refresh).await.status, 401);
    let all = events(&service).await;
    let reuse: Vec<_> = all.iter().filter(|entry| entry.event == "refresh_reuse").collect();
    assert_eq!(reuse.len(), 1, "once for the family: {all:?}");
    assert_eq!(reuse.first().and_then(|entry| entry.account), Some(aino));
    assert_eq!(counted(&service, "refresh_reuse"), 1);
}

async fn refreshes_are_recorded_where_that_is_wanted(engine: Engine) {
    for (wanted, count) in [("off", 0), ("on", 2)] {
        let rotation = ("layouts.simplejwt.rotation", "on");
        let service = TestService::with(engine, &[("audit.refreshes", wanted), rotation]).await;
        service.account("aino").await;
        let pair = service.sign_in("aino").await;
        for _ in 0..2 {
            assert_eq!(service.refresh(&pair.refresh).await.status, 200);
        }
        let names = names(&service).await;
        assert_eq!(names.iter().filter(|name| *name == "refresh").count(), count, "{names:?}");
    }
}

async fn what_operators_do_outlives_the_account(engine: Engine) {
    let service = TestService::start(engine).await;
    let (store, now) = (service.store(), service.now());
    let aino = service.account("aino").await;
    let operator = Caller::command_line();
    let hash = service.hash("another").await;
    let random = service.service.context.random.as_ref();
    let owner = service.service.context.owner;
    administer::set_password(store, &operator, aino, &hash, now).await.expect("it is set");
    administer::set_active(store, &operator, aino, false, now).await.expect("it is off");
    administer::set_active(store, &operator, aino, false, now).await.expect("it was off");
    administer::sign_out_everywhere(store, &operator, aino, now).await.expect("done");
    administer::delete(store, &operator, owner, aino, now, random).await.expect("it is gone");
    let about = Search { account: Some(aino), ..Search::default() };
    let all = audit::search(store, &about, None, 100).await.expect("the store answers");
    let told: Vec<_> = all.iter().map(|entry| entry.event.as_str()).collect();
    let expected =
        ["deletion", "sign_out_everywhere", "deactivation", "password_change", "account_created"];
    assert_eq!(told, expected);
    assert!(all.iter().all(|entry| entry.username.as_deref() == Some("aino")));
    let by_operator = all.iter().filter(|entry| entry.layout.as_deref() == Some("command-line"));
    assert_eq!(by_operator.count(), 4);
}

async fn staff_acts_on_others(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let staff = service.account_with("staff", |draft| draft.is_staff = true).await;
    let key = format!("Token {}", service.api_key(staff).await);
    let change = Request::new("PATCH", &format!("/auth/users/{aino}/"))
        .header("Authorization", &key)
        .json(&json!({ "email": "new@example.org" }));
    assert_eq!(service.ask(&change).await.status, 200);
    let remove = Request::new("DELETE", &format!("/auth/users/{aino}/"))
        .header("Authorization", &key)
        .json(&json!({ "current_password": PASSWORD }));
    assert_eq!(service.ask(&remove).await.status, 204);
    let all = events(&service).await;
    let told: Vec<_> = all
        .iter()
        .filter(|entry| entry.account == Some(aino))
        .map(|entry| (entry.event.as_str(), entry.actor, entry.layout.as_deref()))
        .collect();
    let djoser = Some("djoser");
    assert_eq!(told, [("email_change", Some(staff), djoser), ("deletion", Some(staff), djoser)]);
}

/// From registering to leaving, over HTTP.
async fn what_people_change_is_recorded_with_who_and_where(engine: Engine) {
    let settings = [("mail.transport", "log"), ("layouts.dj-rest-auth.enabled", "on")];
    let service = TestService::with(engine, &settings).await;
    let ask = async |who: &str, method: &str, target: &str, body: Value, status: u16| {
        let request = Request::new(method, target).header("X-Real-IP", "192.0.2.7").json(&body);
        let request = if who.is_empty() { request } else { request.header("Authorization", who) };
        let answer = service.ask(&request).await;
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    };
    let registration =
        json!({ "username": "aino", "email": "aino@example.org", "password": PASSWORD });
    ask("", "POST", "/auth/users/", registration, 201).await;
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    let pair = ask("", "POST", "/api/token/", credentials, 200).await;
    let aino = format!("Bearer {}", pair["access"].as_str().expect("is text"));
    let renamed = json!({ "current_password": PASSWORD, "new_username": "aino2" });
    ask(&aino, "POST", "/auth/users/set_username/", renamed, 204).await;
    let reset = json!({ "email": "aino@example.org" });
    ask("", "POST", "/auth/users/reset_password/", reset, 204).await;
    let key = ask(&aino, "POST", "/auth/keys/", json!({ "name": "x" }), 201).await;
    let by_key = format!("Token {}", key["key"].as_str().expect("is text"));
    ask(&by_key, "PATCH", "/users/user/", json!({ "first_name": "Aino" }), 200).await;
    let target = format!("/auth/keys/{}", key["id"]);
    ask(&aino, "PATCH", &target, json!({ "name": "y" }), 200).await;
    let key = ask(&aino, "POST", &format!("{target}/rotate"), json!({}), 201).await;
    ask(&aino, "DELETE", &format!("/auth/keys/{}", key["id"]), Value::Null, 204).await;
    ask(&aino, "DELETE", "/auth/sessions", Value::Null, 204).await;
    let changed = json!({ "current_password": PASSWORD, "new_password": "Corr3ct-horse-10" });
    ask(&aino, "POST", "/auth/users/set_password/", changed, 204).await;
    let credentials = json!({ "username": "aino2", "password": "Corr3ct-horse-10" });
    let pair = ask("", "POST", "/api/token/", credentials, 200).await;
    let aino = format!("Bearer {}", pair["access"].as_str().expect("is text"));
    let goodbye = json!({ "current_password": "Corr3ct-horse-10" });
    ask(&aino, "DELETE", "/auth/users/me/", goodbye, 204).await;

    let all = events(&service).await;
    let told: Vec<&str> = all.iter().map(|entry| entry.event.as_str()).collect();
    let expected = [
        "registration",
        "sign_in",
        "username_change",
        "reset_request",
        "api_key_created",
        "account_changed",
        "api_key_changed",
        "api_key_rotated",
        "api_key_revoked",
        "sign_out_everywhere",
        "password_change",
        "sign_in",
        "deletion",
    ];
    assert_eq!(told, expected);
    let one = all[0].account;
    assert!(one.is_some());
    for entry in &all {
        assert_eq!(
            (entry.account, entry.address.as_deref()),
            (one, Some("192.0.2.7")),
            "{entry:?}"
        );
        let asked_by_nobody = ["registration", "reset_request"].contains(&entry.event.as_str());
        assert_eq!(entry.actor, one.filter(|_| !asked_by_nobody), "{entry:?}");
        for secret in [PASSWORD, "Corr3ct-horse-10", "avn_", "eyJ"] {
            let shown = entry.details.replace(&format!("{secret}\""), "");
            let begins = entry.event.starts_with("api_key") && secret == "avn_";
            assert!(begins || !shown.contains(secret), "{entry:?}");
        }
    }
}

async fn what_happens_to_signing_keys_is_recorded(engine: Engine) {
    let service = TestService::start(engine).await;
    let context = &service.service.context;
    let room = context.key_room();
    let all = async || {
        let all = audit::search(service.store(), &Search::default(), None, 100).await;
        all.expect("the store answers")
    };
    let first = all().await.len();
    let mut ids = vec![context.ring.load().signing().id().to_string()];
    for _ in 0..2 {
        let key = SigningKey::generate(Algorithm::Es256, context.random.as_ref());
        room.add(Purpose::Token, &key, false).await.expect("it signs");
        ids.push(key.id().to_string());
    }
    room.retire(&ids[0]).await.expect("another one signs");
    let leaked = KeyId::parse(&ids[2]).expect("is an id");
    room.kill(&leaked, Algorithm::EdDsa).await.expect("it is killed");
    let all = all().await;
    let told: Vec<_> = all.iter().rev().skip(first).map(|entry| entry.event.as_str()).collect();
    let [made, rotated] = ["signing_key_created", "signing_key_rotated"];
    let expected =
        [made, rotated, made, rotated, "signing_key_retired", made, "signing_key_killed"];
    assert_eq!(told, expected);
    assert!(ids.iter().all(|id| all.iter().any(|entry| entry.details.contains(id))));
}

async fn old_events_are_swept(engine: Engine) {
    for (retention, left) in [("1d", 0), ("0", 1)] {
        let service = TestService::with(engine, &[("audit.retention", retention)]).await;
        service.account("aino").await;
        service.sign_in("aino").await;
        let context = &service.service.context;
        service.pass(86_000);
        audit::sweep(context, 100).await.expect("the store answers");
        assert_eq!(names(&service).await, ["sign_in"]);
        service.pass(1_000);
        audit::sweep(context, 100).await.expect("the store answers");
        assert_eq!(names(&service).await.len(), left);
    }
}

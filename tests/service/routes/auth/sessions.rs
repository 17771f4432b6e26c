//! `/auth/sessions`: where one is signed in, and signing out there.

use avain::flow::audit::{self, Search};
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::harness::{Engine, PASSWORD, Pair, TestService};

on_both_engines! {
    they_are_listed_with_where_from
    using_one_is_noted_once_a_minute
    one_is_ended
    all_others_are_ended
    a_key_ends_all
    somebody_must_be_signed_in
}

const ROTATION: &[(&str, &str)] = &[("layouts.simplejwt.rotation", "on")];

async fn sign_in_from(service: &TestService, name: &str, address: &str, program: &str) -> Pair {
    let request = Request::new("POST", "/api/token/")
        .header("X-Real-IP", address)
        .header("User-Agent", program)
        .json(&json!({ "username": name, "password": PASSWORD }));
    Pair::of(&service.ask(&request).await)
}

async fn ask(service: &TestService, method: &str, path: &str, credential: &str) -> Answer {
    let request = Request::new(method, &format!("/auth/sessions{path}"));
    service.ask(&request.header("Authorization", credential)).await
}

async fn listed(service: &TestService, credential: &str) -> Vec<Value> {
    let answer = ask(service, "GET", "/", credential).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["sessions"].as_array().expect("a list").clone()
}

fn id(session: &Value) -> String {
    session["id"].as_str().expect("a text").to_owned()
}

async fn they_are_listed_with_where_from(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let phone = sign_in_from(&service, "aino", "192.0.2.7", "Phone/1").await;
    service.pass(10);
    let laptop = sign_in_from(&service, "aino", "2001:db8::1", "Laptop/2").await;
    service.sign_in("eino").await;
    let all = listed(&service, &phone.bearer()).await;
    let told: Vec<_> = all
        .iter()
        .map(|one| (one["address"].clone(), one["user_agent"].clone(), one["current"].clone()))
        .collect();
    let expected = [
        (json!("2001:db8::1"), json!("Laptop/2"), json!(false)),
        (json!("192.0.2.7"), json!("Phone/1"), json!(true)),
    ];
    assert_eq!(told, expected, "the one used last first, and nobody else's");
    let first = &all[1];
    assert_eq!(
        first["begun_at"],
        service.now().minus(std::time::Duration::from_secs(10)).rfc3339()
    );
    assert_eq!((&first["used_at"], &first["layout"]), (&first["begun_at"], &json!("simplejwt")));
    let sid = crate::jwt::claims(&phone.access)["sid"].clone();
    assert_eq!(first["id"], sid);
    assert_eq!(listed(&service, &laptop.bearer()).await[0]["current"], true);
    service.pass(86_400);
    let pair = service.sign_in("aino").await;
    assert_eq!(listed(&service, &pair.bearer()).await.len(), 1, "the others have expired");
}

async fn using_one_is_noted_once_a_minute(engine: Engine) {
    for rotation in ["on", "off"] {
        let service = TestService::with(engine, &[("layouts.simplejwt.rotation", rotation)]).await;
        service.account("aino").await;
        let pair = service.sign_in("aino").await;
        let used = async || listed(&service, &pair.bearer()).await[0]["used_at"].clone();
        let begun = service.now();
        service.pass(59);
        let answer = service.refresh(&pair.refresh).await;
        assert_eq!(answer.status, 200);
        let noted = if rotation == "on" { service.now() } else { begun };
        assert_eq!(used().await, noted.rfc3339(), "{rotation}");
        service.pass(1);
        let newest = answer.json()["refresh"].as_str().map_or(pair.refresh.clone(), str::to_owned);
        assert_eq!(service.refresh(&newest).await.status, 200);
        assert_eq!(used().await, service.now().rfc3339(), "{rotation}");
    }
}

async fn one_is_ended(engine: Engine) {
    let service = TestService::with(engine, ROTATION).await;
    let aino = service.account("aino").await;
    service.account("eino").await;
    let (here, there) = (service.sign_in("aino").await, service.sign_in("aino").await);
    let other = service.sign_in("eino").await;
    let family = id(&listed(&service, &there.bearer())
        .await
        .into_iter()
        .find(|one| one["current"] == true)
        .expect("one is in use"));
    assert!(service.admits(&there.bearer()).await);
    let path = format!("/{family}/");
    let not_found = json!({ "detail": "Not found." });
    ask(&service, "DELETE", &path, &other.bearer()).await.is(404, not_found.clone());
    assert!(service.admits(&there.bearer()).await, "nobody else ends it");
    assert_eq!(ask(&service, "DELETE", &path, &here.bearer()).await.status, 204);
    assert!(!service.admits(&there.bearer()).await);
    assert_eq!(service.refresh(&there.refresh).await.status, 401);
    assert!(service.admits(&here.bearer()).await);
    assert_eq!(listed(&service, &here.bearer()).await.len(), 1);
    for path in [path.as_str(), "/nonsense", "/00000000000000000000000000000000"] {
        ask(&service, "DELETE", path, &here.bearer()).await.is(404, not_found.clone());
    }
    let about = Search { account: Some(aino), ..Search::default() };
    let newest = audit::search(service.store(), &about, None, 1).await.expect("it reads");
    let newest = newest.first().expect("it is recorded");
    assert_eq!((newest.event.as_str(), newest.actor), ("sign_out", Some(aino)));
    assert_eq!(newest.details, json!({ "family": family }).to_string());
}

async fn all_others_are_ended(engine: Engine) {
    let service = TestService::with(engine, ROTATION).await;
    service.account("aino").await;
    service.account("eino").await;
    let other = service.sign_in("eino").await;
    let before = service.sign_in("aino").await;
    service.pass(1);
    let here = service.sign_in("aino").await;
    service.pass(1);
    let after = service.sign_in("aino").await;
    for pair in [&before, &here, &after] {
        assert!(service.admits(&pair.bearer()).await);
    }
    assert_eq!(ask(&service, "DELETE", "/", &here.bearer()).await.status, 204);
    for pair in [&before, &after] {
        assert!(!service.admits(&pair.bearer()).await);
        assert_eq!(service.refresh(&pair.refresh).await.status, 401);
    }
    assert!(service.admits(&here.bearer()).await && service.admits(&other.bearer()).await);
    assert_eq!(service.refresh(&here.refresh).await.status, 200);
    assert_eq!(listed(&service, &here.bearer()).await.len(), 1);
    assert!(service.admits(&service.sign_in("aino").await.bearer()).await);
}

async fn a_key_ends_all(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let key = format!("Token {}", service.api_key(aino).await);
    assert_eq!(listed(&service, &key).await[0]["current"], false);
    assert_eq!(ask(&service, "DELETE", "", &key).await.status, 204);
    assert!(!service.admits(&pair.bearer()).await);
    assert!(service.admits(&key).await);
    assert_eq!(listed(&service, &key).await, Vec::<Value>::new());
}

async fn somebody_must_be_signed_in(engine: Engine) {
    let service = TestService::start(engine).await;
    for (method, path) in [("GET", ""), ("DELETE", "/"), ("DELETE", "/0123")] {
        let answer = service.ask(&Request::new(method, &format!("/auth/sessions{path}"))).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    assert_eq!(ask(&service, "POST", "", &pair.bearer()).await.status, 405);
    assert_eq!(ask(&service, "DELETE", "", &format!("Bearer {}", pair.refresh)).await.status, 401);
}

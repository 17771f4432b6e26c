//! `/api/token`: a pair as djangorestframework-simplejwt gives it (CONTRACT.md 5).

mod blacklist;
mod refresh;
mod verify;

use serde_json::{Value, json};

use crate::client::Request;
use crate::harness::{Database, Engine, PASSWORD, START, TestService};
use crate::jwt::{claim, claims, header};

on_both_engines! {
    a_pair_without_names
    fields_are_refused_together
    issuer_and_audience_are_written_and_demanded
    every_algorithm_signs_and_verifies
}

async fn a_pair_without_names(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in_at("/api/token", "aino").await;
    assert_eq!(claim(&pair.access, "exp"), json!(START.seconds() + 300));
    assert_eq!(claim(&pair.refresh, "exp"), json!(START.seconds() + 86_400));
    let names: Vec<_> = claims(&pair.access).keys().cloned().collect();
    assert_eq!(names, ["token_type", "exp", "iat", "jti", "user_id", "sid"]);
    let wrong = json!({ "username": "aino", "password": "x" });
    let refused = json!({ "detail": "No active account found with the given credentials" });
    service.post("/api/token/", &wrong).await.is(401, refused);
}

async fn fields_are_refused_together(engine: Engine) {
    let service = TestService::start(engine).await;
    for (body, username, password) in [
        (r"{}", "This field is required.", "This field is required."),
        (
            r#"{"username":"","password":null}"#,
            "This field may not be blank.",
            "This field may not be null.",
        ),
        (
            r#"{"username":" \n","password":[]}"#,
            "This field may not be blank.",
            "Not a valid string.",
        ),
        (r#"{"username":{},"password":true}"#, "Not a valid string.", "Not a valid string."),
        (
            r#"{"username":"a\u0000","password":"\u0000"}"#,
            "Null characters are not allowed.",
            "Null characters are not allowed.",
        ),
        (
            r#"{"username":"\ud800x","password":"x\uDFFF"}"#,
            "Surrogate characters are not allowed: U+D800.",
            "Surrogate characters are not allowed: U+DFFF.",
        ),
        (
            r#"{"username":"x","username":null,"password":"x","password":""}"#,
            "This field may not be null.",
            "This field may not be blank.",
        ),
    ] {
        let request = Request::new("POST", "/api/token/").body("application/json", body);
        let answer = service.ask(&request).await;
        answer.is(400, json!({ "username": [username], "password": [password] }));
        assert_eq!(answer.header("www-authenticate"), "", "only 401 challenges");
    }
    let answer = service.post("/api/token/", &json!({ "username": "a" })).await;
    answer.is(400, json!({ "password": ["This field is required."] }));
}

async fn issuer_and_audience_are_written_and_demanded(engine: Engine) {
    let ours = [("tokens.issuer", "us"), ("tokens.audience", "them")];
    let service = TestService::with(engine, &ours).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    for token in [&pair.access, &pair.refresh] {
        assert_eq!(claim(token, "iss"), json!("us"));
        assert_eq!(claim(token, "aud"), json!("them"));
    }
    assert!(service.admits(&pair.bearer()).await);
    for (settings, admitted) in [
        (vec![("tokens.issuer", "us"), ("tokens.audience", "others")], false),
        (vec![("tokens.issuer", "others"), ("tokens.audience", "them")], false),
        (vec![("tokens.issuer", "us")], true),
        (vec![("tokens.issuer", "us"), ("tokens.unexpected_audience", "refuse")], false),
        (vec![], true),
    ] {
        let database = Database::alike(&service.database);
        let other = TestService::on(database, &settings, START).await;
        assert_eq!(other.admits(&pair.bearer()).await, admitted, "{settings:?}");
        let verified = other.post("/api/token/verify/", &json!({ "token": pair.refresh })).await;
        assert_eq!(verified.status == 200, admitted, "{settings:?}");
    }
}

async fn every_algorithm_signs_and_verifies(engine: Engine) {
    // RSA keys take long to make in an unoptimised build: one engine is enough for them.
    let algorithms = ["HS256", "ES256", "EdDSA", "RS256"];
    let most = if engine == Engine::Sqlite { 4 } else { 3 };
    for algorithm in &algorithms[..most] {
        let service = TestService::with(engine, &[("tokens.algorithm", algorithm)]).await;
        service.account("aino").await;
        let pair = service.sign_in("aino").await;
        assert_eq!(header(&pair.access)["alg"], json!(algorithm));
        assert!(service.admits(&pair.bearer()).await, "{algorithm}");
        let answer = service.refresh(&pair.refresh).await;
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text());
        // One flipped bit of the signature is one too many.
        let (rest, signature) = pair.access.rsplit_once('.').expect("three parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("Bearer {rest}.{flipped}{}", &signature[1..]);
        assert!(!service.admits(&forged).await, "{algorithm}");
    }
}

/// The same database is opened a second time, as by another instance.
#[test]
fn two_instances_share_keys() {
    crate::support::block_on(async {
        let one = TestService::start(Engine::Postgres).await;
        one.account("aino").await;
        let other = TestService::on(Database::alike(&one.database), &[], START).await;
        let pair = one.sign_in("aino").await;
        assert!(other.admits(&pair.bearer()).await);
        let answer = other.refresh(&pair.refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let successor = answer.json()["refresh"].clone();
        assert_ne!(successor, Value::Null);
        let credentials = json!({ "username": "aino", "password": PASSWORD });
        assert_eq!(other.post("/api/token/", &credentials).await.status, 200);
    });
}

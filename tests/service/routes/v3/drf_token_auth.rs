//! `/v3/drf-token-auth`: the account's API key (CONTRACT.md 9).

use serde_json::json;

use crate::client::Request;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    the_same_key_each_time
    every_wrong_credential_gets_one_answer
    the_password_is_not_trimmed
    a_bad_authorization_is_refused_first
}

const TARGET: &str = "/v3/drf-token-auth/";

async fn the_same_key_each_time(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let mut keys = Vec::new();
    for (target, name) in [(TARGET, "aino"), ("/v3/drf-token-auth", " aino "), (TARGET, "eino")] {
        let answer = service.post(target, &json!({ "username": name, "password": PASSWORD })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body.as_object().expect("is one").len(), 1);
        let key = body["token"].as_str().expect("is text").to_owned();
        assert!(key.len() == 40 && key.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
        assert!(service.admits(&format!("Token {key}")).await);
        keys.push(key);
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

async fn every_wrong_credential_gets_one_answer(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account_with("off", |draft| draft.is_active = false).await;
    let refused = json!({ "non_field_errors": ["Unable to log in with provided credentials."] });
    for (username, password) in
        [("aino", "wrong"), ("nobody", PASSWORD), ("off", PASSWORD), ("Aino", PASSWORD)]
    {
        let answer =
            service.post(TARGET, &json!({ "username": username, "password": password })).await;
        answer.is(400, refused.clone());
        assert_eq!(answer.header("www-authenticate"), "");
    }
    let answer = service.post(TARGET, &json!({ "password": "" })).await;
    answer.is(
        400,
        json!({
            "username": ["This field is required."],
            "password": ["This field may not be blank."],
        }),
    );
}

async fn the_password_is_not_trimmed(engine: Engine) {
    let service = TestService::start(engine).await;
    let spaced = service.hash(" spaced ").await;
    service.account_with("aino", |draft| draft.password = spaced).await;
    let status = async |password: &str| {
        service.post(TARGET, &json!({ "username": "aino", "password": password })).await.status
    };
    assert_eq!(status(" spaced ").await, 200);
    assert_eq!(status("spaced").await, 400);
    let other = json!({ "username": "aino", "password": " spaced " });
    assert_eq!(service.post("/api/token/", &other).await.status, 401, "the others trim");
}

async fn a_bad_authorization_is_refused_first(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let key = service.api_key(account).await;
    service.account_with("off", |draft| draft.is_active = false).await;
    let off = avain::flow::administer::find(service.store(), "off").await.expect("is there").id;
    let dead = service.api_key(off).await;
    for (authorization, detail) in [
        ("Token", "Invalid token header. No credentials provided."),
        ("token a b", "Invalid token header. Token string should not contain spaces."),
        ("Token nonsense", "Invalid token."),
        (&format!("Token {}", "0".repeat(40)), "Invalid token."),
        (&format!("Token {}", key.to_uppercase()), "Invalid token."),
        (&format!("Token {dead}"), "User inactive or deleted."),
    ] {
        let request = Request::new("POST", TARGET)
            .header("Authorization", authorization)
            .json(&json!({ "username": "aino", "password": PASSWORD }));
        let answer = service.ask(&request).await;
        answer.is(401, json!({ "detail": detail }));
        assert_eq!(answer.header("www-authenticate"), "Token");
    }
    // No UTF-8 behind the word.
    let request =
        Request::new("POST", TARGET).header("Authorization", b"Token \xff\xfe").json(&json!({}));
    let detail = "Invalid token header. Token string should not contain invalid characters.";
    service.ask(&request).await.is(401, json!({ "detail": detail }));
    for fine in [format!("Token {key}"), "Bearer x y".to_owned(), "Basic YTpi".to_owned()] {
        let request = Request::new("POST", TARGET)
            .header("Authorization", fine.as_str())
            .json(&json!({ "username": "aino", "password": PASSWORD }));
        assert_eq!(service.ask(&request).await.status, 200, "{fine:.8}");
    }
}

//! `/api/token/refresh`: the next pair for a refresh token (CONTRACT.md 5, DESIGN.md 8).

mod adoption;
mod families;
mod passwords;
mod races;

use avain::flow::Caller;
use avain::flow::administer;
use avain::store::accounts::Owner;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::harness::{Engine, Pair, START, TestService};
use crate::jwt::{claim, claims, sign, sign_with};

on_both_engines! {
    a_new_pair_with_the_same_claims
    every_flawed_token_is_refused_as_the_peer_refuses_it
    owners_that_are_off_or_gone
}

/// A secret that another service signed with.
const SECRET: &str = "another-service-signed-with-this-secret";

async fn a_new_pair_with_the_same_claims(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    service.pass(60);
    let answer = service.refresh(&first.refresh).await;
    let members: Vec<String> = answer.json().as_object().expect("is one").keys().cloned().collect();
    assert_eq!(members, ["access", "refresh"]);
    let second = Pair::of(&answer);
    for (old, new, lifetime) in
        [(&first.refresh, &second.refresh, 86_400), (&first.refresh, &second.access, 300)]
    {
        let (mut old, mut new) = (claims(old), claims(new));
        assert_eq!(new["exp"], json!(START.seconds() + 60 + lifetime));
        assert_eq!(new["iat"], json!(START.seconds() + 60));
        assert_ne!(new["jti"], old["jti"]);
        for own in ["token_type", "exp", "iat", "jti"] {
            old.remove(own);
            new.remove(own);
        }
        assert_eq!(old, new, "everything else is copied");
    }
    assert!(service.admits(&first.bearer()).await, "the access token lives as long as it says");
    assert!(service.admits(&second.bearer()).await);
    let refused = service.refresh("").await;
    refused.is(400, json!({ "refresh": ["This field may not be blank."] }));
    let padded = format!(" {}\n", second.refresh);
    assert_eq!(service.refresh(&padded).await.status, 200, "values are trimmed");
}

fn refused(answer: &Answer, detail: &str) {
    answer.is(401, json!({ "detail": detail, "code": "token_not_valid" }));
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
}

async fn every_flawed_token_is_refused_as_the_peer_refuses_it(engine: Engine) {
    let import = format!("hs256:{SECRET}");
    let service = TestService::with(engine, &[("keys.import", &import)]).await;
    let account = service.account("aino").await;
    let now = START.seconds();
    let good = json!({
        "token_type": "refresh", "exp": now + 60, "iat": now - 5,
        "jti": "0123456789abcdef0123456789abcdef", "user_id": account.get().to_string(),
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        let members = claims.as_object_mut().expect("is one");
        if value == json!("(absent)") {
            members.remove(name);
        } else {
            members.insert(name.into(), value);
        }
        sign(SECRET, &claims)
    };
    let absent = || json!("(absent)");
    for (token, detail) in [
        (with("token_type", json!("access")), "Token has wrong type"),
        (with("token_type", json!("sliding")), "Token has wrong type"),
        (with("token_type", json!(7)), "Token has wrong type"),
        (with("token_type", absent()), "Token has no type"),
        (with("jti", absent()), "Token has no id"),
        (with("exp", absent()), "Token has no 'exp' claim"),
        (with("exp", json!(now)), "Token is expired"),
        (with("exp", json!(now - 1)), "Token is expired"),
        (with("exp", json!("99999999999")), "Token is invalid"),
        (with("exp", json!(1e300)), "Token is invalid"),
        (with("exp", Value::Null), "Token is invalid"),
        (with("iat", json!(now + 1)), "Token is invalid"),
        (with("nbf", json!(now + 1)), "Token is invalid"),
        (with("jti", json!(7)), "Token is invalid"),
    ] {
        refused(&service.refresh(&token).await, detail);
    }
    let own = sign(SECRET, &good);
    let (rest, signature) = own.rsplit_once('.').expect("has three parts");
    let flip = |text: &str| if text.starts_with('A') { "B" } else { "A" }.to_owned() + &text[1..];
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{own}."),
        format!("{own}="),
        format!(".{own}"),
        rest.to_owned(),
        format!("{rest}."),
        format!("{rest}.{}", flip(signature)),
        sign("some other secret of enough length.", &good),
        sign_with(SECRET, &json!({ "alg": "none" }), &good),
        sign_with(SECRET, &json!({ "alg": "hs256" }), &good),
        sign_with(SECRET, &json!({ "alg": "HS512" }), &good),
        sign_with(SECRET, &json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }), &good),
        sign_with(SECRET, &json!({ "alg": ["HS256"] }), &good),
        sign_with(SECRET, &json!({ "typ": "JWT" }), &good),
        sign(SECRET, &json!([good])),
        sign(SECRET, &json!("text")),
        "x".repeat(9000),
    ] {
        refused(&service.refresh(&token).await, "Token is invalid");
    }
    // After all these refusals the good one is as good as ever; `kid` and `typ` are not looked at.
    let odd = json!({ "alg": "HS256", "kid": "nonsense", "typ": "at+jwt" });
    assert_eq!(service.refresh(&sign_with(SECRET, &odd, &good)).await.status, 200);
}

async fn owners_that_are_off_or_gone(engine: Engine) {
    let service = TestService::start(engine).await;
    let gone = json!({ "detail": "No active account found for the given token." });
    let off = service.account("off").await;
    let pair = service.sign_in("off").await;
    administer::set_active(service.store(), &Caller::default(), off, false, service.now())
        .await
        .expect("it is off");
    let answer = service.refresh(&pair.refresh).await;
    answer.is(401, gone.clone());
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    let same = service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await;
    same.is(401, gone.clone());

    let deleted = service.account("deleted").await;
    let pair = service.sign_in("deleted").await;
    let random = avain::base::random::SeededRandom::new(1);
    administer::delete(
        service.store(),
        &Caller::default(),
        Owner::Avain,
        deleted,
        service.now(),
        &random,
    )
    .await
    .expect("it is deleted");
    service.refresh(&pair.refresh).await.is(401, gone);
}

/// Whoever has not used the endpoint for its purpose gets the same treatment as elsewhere.
#[test]
fn an_access_token_is_no_refresh_token() {
    crate::support::block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        let pair = service.sign_in("aino").await;
        refused(&service.refresh(&pair.access).await, "Token has wrong type");
        let answer = service.gate("GET", "/api/v1/", &format!("Bearer {}", pair.refresh)).await;
        let error: Value = serde_json::from_str(answer.header("x-auth-error")).expect("is JSON");
        assert_eq!(error["messages"][0]["message"], "Token has wrong type");
        assert_eq!(claim(&pair.refresh, "token_type"), json!("refresh"));
        let request = Request::new("POST", "/api/token/refresh/")
            .header("Authorization", pair.bearer())
            .json(&json!({}));
        service.ask(&request).await.is(400, json!({ "refresh": ["This field is required."] }));
    });
}

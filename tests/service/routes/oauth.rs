//! The OAuth standards, as resource servers and programs ask.

mod personal_keys;

use std::time::Duration;

use avain::base::encode::{base64url, unbase64url_vec};
use avain::flow::clients::{ClientDraft, ClientRoom};
use avain::flow::{Caller, administer};
use avain::store::signing_keys::Purpose;
use avain::token::algorithm::Algorithm;
use avain::token::client::{ClientId, ClientScopes, Grant};
use avain::token::key::{KeyId, SigningKey};
use avain::token::verification_key::VerificationKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::harness::{Database, Engine, START, TestService};
use crate::jwt::{claim, claims, header, sign, sign_with};

on_both_engines! {
    a_client_gets_a_token_and_acts_as_its_account
    a_client_without_an_account_is_nobody_at_the_gate
    scopes_and_grants_are_those_of_the_registration
    a_client_that_does_not_authenticate_is_told_so
    requests_are_forms
    a_fault_of_ours_is_told_as_the_standard_has_it
    an_ended_client_ends_everywhere
    another_secret_takes_over
    a_client_whose_account_ends_is_refused
    a_refresh_token_follows_the_rules_of_its_family
    whoever_may_learns_what_tokens_are_worth
    whoever_may_not_learns_nothing
    what_is_no_token_is_inactive
    whatever_is_held_can_be_taken_back
    a_token_of_a_client_is_taken_back_by_that_client
    the_key_set_has_what_verifies
    wrong_secrets_are_slowed_down_and_right_ones_are_not
}

/// A registered client and its secret.
pub(crate) struct Registered {
    id: &'static str,
    secret: String,
}

impl Registered {
    fn basic(&self) -> String {
        basic(self.id, &self.secret)
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn room(service: &TestService) -> ClientRoom<'_> {
    let random = service.service.context.random.as_ref();
    let (store, now) = (service.store(), service.now());
    ClientRoom { store, random, now, caller: Caller::SERVICE, superuser: None }
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).expect("is an id")
}

/// Registers a client with both grants.
pub(crate) async fn register(
    service: &TestService,
    name: &'static str,
    scopes: &str,
    account: Option<&str>,
) -> Registered {
    let account = match account {
        Some(name) => Some(service.account(name).await),
        None => None,
    };
    let draft = ClientDraft {
        id: id(name),
        name: name.to_owned(),
        scopes: ClientScopes::parse(scopes).expect("are scopes"),
        grants: Grant::ALL.to_vec(),
        account,
    };
    let secret = room(service).create(draft).await.expect("it is registered");
    Registered { id: name, secret: secret.expose().to_owned() }
}

/// A POST of a form.
async fn post(service: &TestService, target: &str, authorization: &str, form: &str) -> Answer {
    let request = Request::new("POST", target).body("application/x-www-form-urlencoded", form);
    let request = if authorization.is_empty() {
        request
    } else {
        request.header("Authorization", authorization)
    };
    let answer = service.ask(&request).await;
    assert_eq!(answer.header("cache-control"), "no-store", "{target}");
    answer
}

async fn ask_token(service: &TestService, client: &Registered, form: &str) -> Answer {
    post(service, "/oauth/token", &client.basic(), form).await
}

/// A token for a client itself.
pub(crate) async fn token(service: &TestService, client: &Registered) -> String {
    let answer = ask_token(service, client, "grant_type=client_credentials").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("is text").to_owned()
}

async fn introspect(service: &TestService, asker: &Registered, token: &str) -> Value {
    let form = format!("token={token}");
    let answer = post(service, "/oauth/introspect", &asker.basic(), &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn is_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(code)), "{answer:?}");
    assert!(answer.json()["error_description"].as_str().is_some_and(str::is_ascii));
}

async fn a_client_gets_a_token_and_acts_as_its_account(engine: Engine) {
    let settings = [("tokens.issuer", "https://auth.example.org"), ("tokens.audience", "api")];
    let service = TestService::with(engine, &settings).await;
    let client = register(&service, "reports", "reports:read reports:write", Some("robot")).await;
    let answer =
        ask_token(&service, &client, "grant_type=client_credentials&scope=reports%3Aread").await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(900), &json!("reports:read"))
    );
    assert_eq!(body.get("refresh_token"), None, "RFC 6749 4.4.3");
    let token = body["access_token"].as_str().expect("is text");
    let found = claims(token);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["token_type", "exp", "iat", "jti", "user_id", "aud", "iss", "sid", "client_id", "scope"]
    );
    assert_eq!(found["client_id"], "reports");
    assert_eq!(found["scope"], "reports:read");

    let bearer = format!("Bearer {token}");
    let passed = service.gate("POST", "/api/v1/hobbies/", &bearer).await;
    assert_eq!((passed.status, passed.header("x-auth-username")), (204, "robot"));
    assert_eq!(passed.header("x-auth-user-id"), claim(token, "user_id").as_str().expect("is text"));
    let form =
        format!("client_id=reports&client_secret={}&grant_type=client_credentials", client.secret);
    let in_form = post(&service, "/oauth/token", "", &form).await;
    assert_eq!(in_form.json()["scope"], "reports:read reports:write", "all, where none is named");
    service.pass(900);
    assert!(!service.admits(&bearer).await, "it has expired");
    let shown = room(&service).find(&id("reports")).await.expect("it is there");
    assert_eq!(shown.last_used_at, Some(START));
}

async fn a_client_without_an_account_is_nobody_at_the_gate(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "shop", "introspect", None).await;
    let token = token(&service, &client).await;
    let refused = service.gate("POST", "/api/v1/hobbies/", &format!("Bearer {token}")).await;
    assert_eq!(refused.status, 401);
    let told: Value = serde_json::from_str(refused.header("x-auth-error")).expect("is JSON");
    assert_eq!(told["detail"], "Token contained no recognizable user identification");
    let found = introspect(&service, &client, &token).await;
    assert_eq!(found["sub"], "shop");
    assert_eq!(found.get("username"), None);
}

async fn scopes_and_grants_are_those_of_the_registration(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read write", None).await;
    for (form, code) in [
        ("grant_type=client_credentials&scope=admin", "invalid_scope"),
        ("grant_type=client_credentials&scope=read+admin", "invalid_scope"),
        ("grant_type=client_credentials&scope=re%22ad", "invalid_scope"),
        ("grant_type=refresh_token&refresh_token=x&scope=read", "invalid_scope"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=garbage", "invalid_grant"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=authorization_code&code=x", "unsupported_grant_type"),
        ("grant_type=", "invalid_request"),
        ("", "invalid_request"),
        ("scope=read", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
    ] {
        is_error(&ask_token(&service, &client, form).await, 400, code);
    }
    let draft = ClientDraft {
        id: id("nothing"),
        name: "Nothing".to_owned(),
        scopes: ClientScopes::default(),
        grants: Vec::new(),
        account: None,
    };
    let secret = room(&service).create(draft).await.expect("it is registered");
    let none = Registered { id: "nothing", secret: secret.expose().to_owned() };
    for form in ["grant_type=client_credentials", "grant_type=refresh_token&refresh_token=x"] {
        is_error(&ask_token(&service, &none, form).await, 400, "unauthorized_client");
    }
    let taken = ClientDraft {
        id: id("nothing"),
        name: String::new(),
        scopes: ClientScopes::default(),
        grants: Vec::new(),
        account: None,
    };
    let refused = room(&service).create(taken).await.expect_err("its id is taken");
    assert_eq!(refused.to_string(), "there is a client nothing already");
}

async fn a_client_that_does_not_authenticate_is_told_so(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read", None).await;
    let grant = "grant_type=client_credentials";
    let in_form = |id: &str, secret: &str| format!("{grant}&client_id={id}&client_secret={secret}");
    let mut answers = vec![
        post(&service, "/oauth/token", "", grant).await,
        post(&service, "/oauth/token", "", &format!("{grant}&client_id=reports")).await,
        post(&service, "/oauth/token", "", &in_form("reports", "wrong")).await,
        post(&service, "/oauth/token", "", &in_form("nobody", &client.secret)).await,
        post(&service, "/oauth/introspect", "", "token=x").await,
        post(&service, "/oauth/revoke", &basic("reports", "wrong"), "token=x").await,
        post(&service, "/oauth/token", &basic("reports", "wrong"), grant).await,
    ];
    for odd in ["Basic", "Basic !", "Basic YQ==", "Basic  ", &basic("a:b", "ä"), &basic("", "")] {
        for target in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
            answers.push(post(&service, target, odd, &format!("{grant}&token=x")).await);
        }
    }
    let almost = format!("{}x", &client.secret[..client.secret.len() - 1]);
    answers.push(post(&service, "/oauth/token", &basic("reports", &almost), grant).await);
    for answer in answers {
        is_error(&answer, 401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"avain\", charset=\"UTF-8\"");
    }
    let both = post(&service, "/oauth/token", &client.basic(), &in_form("reports", "x")).await;
    is_error(&both, 400, "invalid_request");
}

async fn requests_are_forms(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read introspect", None).await;
    for target in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for (media_type, body) in [
            ("application/json", "{\"grant_type\":\"client_credentials\",\"token\":\"x\"}"),
            ("", "grant_type=client_credentials&token=x"),
            ("multipart/form-data; boundary=x", "--x--"),
        ] {
            let request = Request::new("POST", target).header("Authorization", client.basic());
            let answer = service.ask(&request.body(media_type, body)).await;
            is_error(&answer, 400, "invalid_request");
        }
        is_error(&post(&service, target, &client.basic(), "").await, 400, "invalid_request");
        for method in ["GET", "PUT", "DELETE"] {
            let answer = service.ask(&Request::new(method, target)).await;
            is_error(&answer, 405, "invalid_request");
            assert_eq!(answer.header("allow"), "POST, OPTIONS");
        }
        let large = format!("token={}", "a".repeat(2 << 20));
        is_error(&post(&service, target, &client.basic(), &large).await, 413, "invalid_request");
        // OAuth clients name media types of their own.
        let request = Request::new("POST", target).header("Authorization", client.basic());
        let request = request.header("Accept", "application/token-introspection+jwt");
        let form = "grant_type=client_credentials&token=x";
        let answer = service.ask(&request.body("application/x-www-form-urlencoded", form)).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
}

/// What ends a client, and whether its tokens end with it.
/// Whoever speaks OAuth can read it all the same.
async fn a_fault_of_ours_is_told_as_the_standard_has_it(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read introspect", None).await;
    let away = "-- name: rename\nALTER TABLE clients RENAME TO elsewhere;";
    let store = service.database.open_as_django(away);
    store.write("django.rename", &[]).await.expect("it is renamed");
    for target in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let form = "grant_type=client_credentials&token=x";
        let answer = post(&service, target, &client.basic(), form).await;
        is_error(&answer, 500, "server_error");
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
        assert!(!answer.text().contains("clients"), "no detail: {}", answer.text());
    }
}

async fn an_ended_client_ends_everywhere(engine: Engine) {
    let one = TestService::start(engine).await;
    let other = TestService::on(Database::alike(&one.database), &[], START).await;
    let asker = register(&one, "asker", "introspect", None).await;
    for (measure, name, account) in
        [("disable", "first", "one"), ("delete", "second", "two"), ("rotate", "third", "three")]
    {
        let client = register(&one, name, "introspect", Some(account)).await;
        let nobody = ["nobody-1", "nobody-2", "nobody-3"].into_iter().find(|name| {
            name.ends_with(match measure {
                "disable" => '1',
                "delete" => '2',
                _ => '3',
            })
        });
        let nobody = register(&one, nobody.expect("is one"), "introspect", None).await;
        let (acting, alone) = (token(&one, &client).await, token(&one, &nobody).await);
        let bearer = format!("Bearer {acting}");
        assert!(one.admits(&bearer).await && other.admits(&bearer).await, "{measure}");
        assert_eq!(introspect(&one, &asker, &acting).await["active"], true);
        assert_eq!(introspect(&other, &asker, &alone).await["active"], true);
        for ended in [&client, &nobody] {
            let (room, id) = (room(&one), id(ended.id));
            match measure {
                "disable" => room.disable(&id).await.expect("it is off"),
                "delete" => room.delete(&id).await.expect("it is gone"),
                _ => {
                    room.rotate(&id, Duration::ZERO, Duration::ZERO).await.expect("it rotates");
                }
            }
        }
        assert!(!one.admits(&bearer).await, "{measure}: at once where it was done");
        other.refuses_soon(&bearer).await;
        for ended in [&acting, &alone] {
            for service in [&one, &other] {
                let found = introspect(service, &asker, ended).await;
                assert_eq!(found, json!({ "active": false }), "{measure}");
            }
        }
        let grant = "grant_type=client_credentials";
        is_error(&ask_token(&one, &client, grant).await, 401, "invalid_client");
    }
    let room = room(&one);
    assert!(room.disable(&id("first")).await.expect_err("off").to_string().ends_with("already"));
    room.enable(&id("first")).await.expect("it is on again");
    assert!(room.enable(&id("first")).await.is_err());
    for gone in [room.disable(&id("second")).await, room.delete(&id("second")).await] {
        let told = gone.expect_err("it is gone").to_string();
        assert_eq!(told, "there is no client second; `avain client list` lists them");
    }
}

async fn another_secret_takes_over(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read introspect", Some("robot")).await;
    let before = format!("Bearer {}", token(&service, &client).await);
    let (day, lifetime) = (Duration::from_hours(24), Duration::from_mins(15));
    let short = room(&service).rotate(&id("reports"), Duration::from_mins(5), lifetime).await;
    assert!(short.expect_err("tokens would outlive it").to_string().contains("900 s"));
    let new = room(&service).rotate(&id("reports"), day, lifetime).await.expect("it rotates");
    let new = Registered { id: "reports", secret: new.expose().to_owned() };
    assert!(service.admits(&before).await, "the old one overlaps, and what came of it goes on");
    service.pass(24 * 3600 - 60);
    let late = ask_token(&service, &client, "grant_type=client_credentials").await.json();
    assert_eq!(late["expires_in"], 60, "no token outlives the secret that it was obtained with");
    assert_eq!(
        ask_token(&service, &new, "grant_type=client_credentials").await.json()["expires_in"],
        900
    );
    service.pass(60);
    let grant = "grant_type=client_credentials";
    is_error(&ask_token(&service, &client, grant).await, 401, "invalid_client");
    token(&service, &new).await;
}

async fn a_client_whose_account_ends_is_refused(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read", Some("robot")).await;
    let bearer = format!("Bearer {}", token(&service, &client).await);
    let robot = room(&service).find(&id("reports")).await.expect("is there").account;
    let robot = robot.expect("it acts as one");
    let now = service.now();
    administer::set_active(service.store(), Caller::SERVICE, robot, false, now)
        .await
        .expect("is off");
    assert!(!service.admits(&bearer).await);
    let grant = "grant_type=client_credentials";
    is_error(&ask_token(&service, &client, grant).await, 400, "unauthorized_client");
    // Signed out everywhere: tokens from before end, those from after do not.
    administer::set_active(service.store(), Caller::SERVICE, robot, true, now)
        .await
        .expect("is on");
    let before = format!("Bearer {}", token(&service, &client).await);
    service.pass(1);
    let now = service.now();
    administer::sign_out_everywhere(service.store(), Caller::SERVICE, robot, now)
        .await
        .expect("runs");
    assert!(!service.admits(&before).await);
    service.pass(1);
    assert!(service.admits(&format!("Bearer {}", token(&service, &client).await)).await);
}

async fn a_refresh_token_follows_the_rules_of_its_family(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let refresh = async |token: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        post(&service, "/oauth/token", "", &form).await
    };
    let first = refresh(&pair.refresh).await.json();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(900)));
    let text = |body: &Value, name: &str| body[name].as_str().expect("is text").to_owned();
    let bearer = format!("Bearer {}", text(&first, "access_token"));
    assert!(service.admits(&bearer).await);
    let again = refresh(&pair.refresh).await.json();
    let id = |body: &Value| claim(&text(body, "refresh_token"), "jti");
    assert_eq!(id(&first), id(&again), "a lost answer is given again");
    let second = refresh(&text(&first, "refresh_token")).await.json();
    assert_ne!(id(&first), id(&second));
    is_error(&refresh(&pair.refresh).await, 400, "invalid_grant");
    is_error(&refresh(&text(&second, "refresh_token")).await, 400, "invalid_grant");
    assert!(!service.admits(&bearer).await, "reuse ends the family and its access tokens");
    is_error(&refresh(&pair.access).await, 400, "invalid_grant");
    // A client may refresh as well, if it is registered for that and shows its secret.
    let client = register(&service, "front", "", None).await;
    let pair = service.sign_in("aino").await;
    let form = format!("grant_type=refresh_token&refresh_token={}", pair.refresh);
    let wrong = post(&service, "/oauth/token", &basic("front", "wrong"), &form).await;
    is_error(&wrong, 401, "invalid_client");
    assert_eq!(ask_token(&service, &client, &form).await.status, 200);
}

async fn whoever_may_learns_what_tokens_are_worth(engine: Engine) {
    let service = TestService::with(engine, &[("tokens.issuer", "https://a.example")]).await;
    let asker = register(&service, "asker", "introspect", None).await;
    let aino = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let found = introspect(&service, &asker, &pair.access).await;
    let sid = claim(&pair.access, "sid");
    let expected = json!({
        "active": true, "token_type": "Bearer", "sub": aino.to_string(), "username": "aino",
        "exp": START.seconds() + 300, "iat": START.seconds(), "jti": claim(&pair.access, "jti"),
        "user_id": aino.to_string(), "iss": "https://a.example", "sid": sid,
    });
    assert_eq!(found, expected);
    let found = introspect(&service, &asker, &pair.refresh).await;
    assert_eq!((&found["active"], &found["token_type"]), (&json!(true), &json!("refresh_token")));
    let key = service.api_key(aino).await;
    let found = introspect(&service, &asker, &key).await;
    let expected = json!({
        "active": true, "token_type": "Token", "sub": aino.to_string(), "username": "aino",
        "user_id": aino.to_string(),
    });
    assert_eq!(found, expected);

    // By other credentials than a secret: a token of a client, and staff.
    let own = format!("Bearer {}", token(&service, &asker).await);
    service.account_with("chief", |draft| draft.is_staff = true).await;
    let chief = service.sign_in("chief").await.bearer();
    for authorization in [&own, &chief] {
        let form = format!("token={}&token_type_hint=whatever", pair.access);
        let answer = post(&service, "/oauth/introspect", authorization, &form).await;
        assert_eq!(answer.json()["username"], "aino");
    }
    // A refresh changes what its predecessor is worth; introspecting changes nothing.
    let next = crate::harness::Pair::of(&service.refresh(&pair.refresh).await);
    service.pass(10);
    assert_eq!(introspect(&service, &asker, &pair.refresh).await, json!({ "active": false }));
    assert_eq!(introspect(&service, &asker, &next.refresh).await["active"], true);
    administer::sign_out_everywhere(service.store(), Caller::SERVICE, aino, service.now())
        .await
        .expect("it is signed out");
    for ended in [&pair.access, &next.access, &next.refresh] {
        assert_eq!(introspect(&service, &asker, ended).await, json!({ "active": false }));
    }
    administer::set_active(service.store(), Caller::SERVICE, aino, false, service.now())
        .await
        .expect("it is off");
    assert_eq!(introspect(&service, &asker, &key).await, json!({ "active": false }));
}

async fn whoever_may_not_learns_nothing(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "read", Some("robot")).await;
    service.account_with("chief", |draft| draft.is_staff = true).await;
    let aino = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let ask = async |authorization: &str| {
        post(&service, "/oauth/introspect", authorization, &format!("token={}", pair.access)).await
    };
    let token = format!("Bearer {}", token(&service, &client).await);
    let key = format!("Token {}", service.api_key(aino).await);
    for lacking in [&client.basic(), &token, &pair.bearer(), &key] {
        let answer = ask(lacking).await;
        is_error(&answer, 403, "insufficient_scope");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer error=\"insufficient_scope\", scope=\"introspect\""
        );
    }
    let chief = service.sign_in("chief").await;
    let refresh = format!("Bearer {}", chief.refresh);
    let unknown = format!("Token {}", "0".repeat(40));
    for bad in ["Bearer x", "Bearer x.y.z", "Bearer", "Token", "Token x", &refresh, &unknown] {
        let answer = ask(bad).await;
        is_error(&answer, 401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{bad}");
    }
    for none in ["", "Digest x", "bearer x"] {
        is_error(&ask(none).await, 401, "invalid_client");
    }
    // In the address nothing counts: it stands in logs.
    let target = format!("/oauth/introspect?client_id=reports&client_secret={}", client.secret);
    is_error(&post(&service, &target, "", "token=x").await, 401, "invalid_client");
}

const SECRET: &str = "a secret that signed before the change-over";

fn good(aino: &str, kind: &str) -> Value {
    let now = START.seconds();
    json!({ "token_type": kind, "exp": now + 300, "iat": now - 10, "jti": "j", "user_id": aino })
}

/// Tokens whose header says what it should not, and the same bytes spelt otherwise.
fn with_odd_headers(fine: &str, claims: &Value, other: &SigningKey) -> Vec<String> {
    let parts: Vec<&str> = fine.split('.').collect();
    let [head, payload, signature] = parts.as_slice() else { panic!("three parts") };
    let mut tokens: Vec<String> =
        ["", "x", ".", "..", "a.b", "a.b.c", "....", "é.é.é", "\u{0}"].map(str::to_owned).to_vec();
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "None", "typ": "JWT" }),
        json!({ "alg": "hs256" }),
        json!({ "alg": "HS512" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": null }),
        json!({ "typ": "JWT" }),
        json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }),
        json!({ "alg": "HS256", "crit": [] }),
    ] {
        tokens.push(sign_with(SECRET, &header, claims));
    }
    tokens.push(format!("{}.{payload}.", base64url(b"{\"alg\":\"none\"}")));
    // RS256 taken for HS256, under what everybody can read; and keys that a token brings along.
    let public = other.public_pem().expect("RSA has a public half");
    let rsa = json!({ "alg": "HS256", "kid": other.id().as_str() });
    for known in [public.as_str(), public.trim_end(), ""] {
        tokens.push(sign_with(&format!("{known:32}"), &rsa, claims));
    }
    for (name, value) in [
        ("jwk", json!({ "kty": "oct", "k": base64url(&[7; 32]) })),
        ("jku", json!("http://127.0.0.1:9/keys")),
        ("x5u", json!("http://127.0.0.1:9/certificate")),
        ("x5c", json!(["AAAA"])),
        ("kid", json!("../../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
    ] {
        let header = json!({ "alg": "HS256", name: value });
        tokens.push(sign_with(&"\u{7}".repeat(32), &header, claims));
    }
    tokens.extend([
        format!("{fine}="),
        format!(" {fine}"),
        format!("{fine}\n"),
        format!("{fine}.{signature}"),
        format!("{head}.{payload}=.{signature}"),
        format!("{head}.{payload}.{}+", signature.replace(['-', '_'], "+")),
        format!("{head}.{payload}.{}", &signature[1..]),
        format!("{head}.{payload}"),
        format!("{head}.{}.{signature}", "a".repeat(9000)),
    ]);
    tokens
}

/// Well-signed tokens with claims that are none.
fn with_odd_claims(aino: &str) -> Vec<String> {
    let now = START.seconds();
    let mut tokens = Vec::new();
    for (name, value) in [
        ("exp", json!("1795000300")),
        ("exp", json!(null)),
        ("exp", json!(1e300)),
        ("exp", json!(now)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(253_402_300_800_i64)),
        ("iat", json!("now")),
        ("iat", json!(now + 1)),
        ("nbf", json!(now + 1)),
        ("nbf", json!([])),
        ("jti", json!(7)),
        ("token_type", json!("phantom")),
        ("token_type", json!(1)),
        ("token_type", json!(null)),
        ("user_id", json!("0x1")),
        ("user_id", json!(" 1")),
        ("user_id", json!(1.5)),
        ("user_id", json!(2_147_483_648_i64)),
        ("user_id", json!({ "id": 1 })),
        ("sub", json!(1)),
    ] {
        let mut claims = good(aino, "access");
        claims[name] = value;
        tokens.push(sign(SECRET, &claims));
    }
    for left_out in ["exp", "jti", "token_type", "user_id"] {
        let mut claims = good(aino, "access");
        claims.as_object_mut().expect("is one").remove(left_out);
        tokens.push(sign(SECRET, &claims));
    }
    let text = good(aino, "access").to_string();
    let body = &text[..text.len() - 1];
    for payload in [
        format!("{body},\"exp\":{}}}", now + 9999),
        format!("{body},\"user_id\":\"1\"}}"),
        format!("{body},\"token_type\":\"access\"}}"),
        "[]".to_owned(),
        "null".to_owned(),
        format!("{text} {{}}"),
        String::new(),
    ] {
        let head = base64url(br#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", base64url(payload.as_bytes()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = ring::hmac::sign(&key, signed.as_bytes());
        tokens.push(format!("{signed}.{}", base64url(tag.as_ref())));
    }
    tokens
}

/// The paragraph on bad input: none of it is a token, a fault, or told apart.
async fn what_is_no_token_is_inactive(engine: Engine) {
    let import = format!("hs256:{SECRET}");
    let service = TestService::with(engine, &[("keys.import", &import)]).await;
    let asker = register(&service, "asker", "introspect", None).await;
    let aino = service.account("aino").await.to_string();
    let fine = sign(SECRET, &good(&aino, "access"));
    assert_eq!(introspect(&service, &asker, &fine).await["active"], true, "the attacks start here");
    let context = &service.service.context;
    let other = SigningKey::generate(Algorithm::Rs256, context.random.as_ref());
    context.key_room().keep(Purpose::Token, &other, false).await.expect("it verifies");
    let mut tokens = with_odd_headers(&fine, &good(&aino, "access"), &other);
    tokens.extend(with_odd_claims(&aino));
    tokens.extend(["a".repeat(9000), "g".repeat(40), "0".repeat(40), "avn_garbage".to_owned()]);

    for token in &tokens {
        let encoded: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let form = format!("token={encoded}");
        let answer = post(&service, "/oauth/introspect", &asker.basic(), &form).await;
        if token.is_empty() {
            is_error(&answer, 400, "invalid_request");
            continue;
        }
        answer.is(200, json!({ "active": false }));
        post(&service, "/oauth/revoke", "", &form).await.is(200, json!({}));
        let refresh = format!("grant_type=refresh_token&refresh_token={encoded}");
        is_error(&post(&service, "/oauth/token", "", &refresh).await, 400, "invalid_grant");
        if token.is_ascii() && !token.contains(['\n', '\0', ' ']) {
            let bearer = format!("Bearer {token}");
            let answer = post(&service, "/oauth/introspect", &bearer, &form).await;
            is_error(&answer, 401, "invalid_token");
            let secret = basic("asker", token);
            let answer = post(&service, "/oauth/introspect", &secret, &form).await;
            is_error(&answer, 401, "invalid_client");
        }
    }
    assert_eq!(introspect(&service, &asker, &fine).await["active"], true, "nothing was taken back");
    // A refresh token that nobody has adopted yet would be answered, and one of another kind not.
    let refresh = sign(SECRET, &good(&aino, "refresh"));
    assert_eq!(introspect(&service, &asker, &refresh).await["token_type"], "refresh_token");
}

async fn whatever_is_held_can_be_taken_back(engine: Engine) {
    let one = TestService::start(engine).await;
    let other = TestService::on(Database::alike(&one.database), &[], START).await;
    let aino = one.account("aino").await;
    let revoke = async |token: &str| {
        post(&one, "/oauth/revoke", "", &format!("token={token}&token_type_hint=x")).await
    };
    let [by_refresh, by_access, bystander] =
        [one.sign_in("aino").await, one.sign_in("aino").await, one.sign_in("aino").await];
    for (pair, held) in [(&by_refresh, &by_refresh.refresh), (&by_access, &by_access.access)] {
        assert!(one.admits(&pair.bearer()).await && other.admits(&pair.bearer()).await);
        revoke(held).await.is(200, json!({}));
        assert!(!one.admits(&pair.bearer()).await);
        other.refuses_soon(&pair.bearer()).await;
        assert_eq!(other.refresh(&pair.refresh).await.status, 401);
        revoke(held).await.is(200, json!({}));
    }
    let key = format!("Token {}", one.api_key(aino).await);
    assert!(other.admits(&key).await);
    revoke(&key["Token ".len()..]).await.is(200, json!({}));
    other.refuses_soon(&key).await;
    assert!(one.admits(&bystander.bearer()).await && other.admits(&bystander.bearer()).await);
}

async fn a_token_of_a_client_is_taken_back_by_that_client(engine: Engine) {
    let service = TestService::start(engine).await;
    let client = register(&service, "reports", "introspect", Some("robot")).await;
    let stranger = register(&service, "stranger", "introspect", None).await;
    let (first, second) = (token(&service, &client).await, token(&service, &client).await);
    let bearer = format!("Bearer {first}");
    assert!(service.admits(&bearer).await);
    let form = format!("token={first}");
    is_error(&post(&service, "/oauth/revoke", "", &form).await, 401, "invalid_client");
    let by_stranger = post(&service, "/oauth/revoke", &stranger.basic(), &form).await;
    is_error(&by_stranger, 400, "unauthorized_client");
    assert!(service.admits(&bearer).await);
    for _ in 0..2 {
        post(&service, "/oauth/revoke", &client.basic(), &form).await.is(200, json!({}));
        assert!(!service.admits(&bearer).await);
        assert_eq!(introspect(&service, &stranger, &first).await, json!({ "active": false }));
    }
    assert!(service.admits(&format!("Bearer {second}")).await, "one token, and not the others");
    let alone = token(&service, &stranger).await;
    let verify = async || service.post("/api/token/verify/", &json!({ "token": alone })).await;
    verify().await.is(200, json!({}));
    let form = format!("token={alone}");
    post(&service, "/oauth/revoke", &stranger.basic(), &form).await.is(200, json!({}));
    assert_eq!(introspect(&service, &client, &alone).await, json!({ "active": false }));
    verify().await.is(400, json!({ "non_field_errors": ["Token is blacklisted"] }));
}

async fn the_key_set_has_what_verifies(engine: Engine) {
    let service = TestService::with(engine, &[("tokens.algorithm", "ES256")]).await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::new("GET", "/.well-known/jwks.json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        service.ask(&request).await
    };
    let kids = |answer: &Answer| {
        let keys = answer.json()["keys"].as_array().expect("is a list").clone();
        let mut kids: Vec<_> = keys.iter().map(|key| key["kid"].clone()).collect();
        kids.sort_by_key(ToString::to_string);
        (kids, keys)
    };
    let answer = ask(&[("Accept", "application/jwk-set+json")]).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let tag = answer.header("etag").to_owned();
    let (signing, keys) = kids(&answer);
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    assert_eq!(signing, [header(&pair.access)["kid"].clone()]);
    let key = VerificationKey::from_jwk(&keys[0]).expect("it reads back");
    let (signed, signature) = pair.access.rsplit_once('.').expect("has a signature");
    let signature = unbase64url_vec(signature.as_bytes()).expect("is base64");
    assert!(key.verify_signature(signed.as_bytes(), &signature));
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = ask(&[("If-None-Match", &known)]).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{known}");
        assert_eq!(unchanged.header("etag"), tag);
    }

    let context = &service.service.context;
    let mut expected = signing.clone();
    for algorithm in [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256] {
        let key = SigningKey::generate(algorithm, context.random.as_ref());
        context.key_room().keep(Purpose::Token, &key, false).await.expect("it is published");
        if algorithm != Algorithm::Hs256 {
            expected.push(json!(key.id().as_str()));
        }
    }
    expected.sort_by_key(ToString::to_string);
    // The ring is read anew beside.
    let shows = async |expected: &[Value]| {
        for _ in 0..500 {
            let (found, keys) = kids(&ask(&[]).await);
            if found == expected {
                return keys;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the key set does not become {expected:?}: {}", ask(&[]).await.text());
    };
    let keys = shows(&expected).await;
    assert_eq!(ask(&[("If-None-Match", &tag)]).await.status, 200, "published keys, and no secret");
    for key in &keys {
        let members: Vec<_> = key.as_object().expect("is one").keys().collect();
        assert!(!members.iter().any(|name| ["d", "p", "q", "k", "dp"].contains(&name.as_str())));
        assert_eq!((&key["use"], key["alg"].is_string()), (&json!("sig"), true));
    }
    let id = KeyId::parse(signing[0].as_str().expect("is text")).expect("is an id");
    context.key_room().kill(&id, Algorithm::Es256).await.expect("it is killed");
    expected.retain(|kid| *kid != signing[0]);
    shows(&expected).await;
    let head = service.ask(&Request::new("HEAD", "/.well-known/jwks.json/")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// As `tests/guessing.rs` has it for passwords.
async fn wrong_secrets_are_slowed_down_and_right_ones_are_not(engine: Engine) {
    let settings = [("throttle.enabled", "on"), ("throttle.account_failures", "3")];
    let service = TestService::with(engine, &settings).await;
    let client = register(&service, "reports", "introspect", None).await;
    let grant = "grant_type=client_credentials";
    for _ in 0..3 {
        let wrong = post(&service, "/oauth/token", &basic("reports", "wrong"), grant).await;
        is_error(&wrong, 401, "invalid_client");
    }
    for target in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let form = format!("{grant}&token=x");
        let wrong = post(&service, target, &basic("reports", "wrong"), &form).await;
        is_error(&wrong, 429, "temporarily_unavailable");
        assert_eq!(wrong.header("retry-after"), "60");
    }
    token(&service, &client).await;
    assert_eq!(introspect(&service, &client, "x").await, json!({ "active": false }));
    let other = post(&service, "/oauth/token", &basic("another", "wrong"), grant).await;
    is_error(&other, 401, "invalid_client");
    service.pass(60);
    let wrong = post(&service, "/oauth/token", &basic("reports", "wrong"), grant).await;
    is_error(&wrong, 401, "invalid_client");
}

#[test]
fn the_metadata_say_where_everything_is() {
    crate::support::block_on(async {
        let settings =
            [("tokens.issuer", "https://auth.example.org/path"), ("layouts.oauth.mount", "/o/")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let target = "/.well-known/oauth-authorization-server";
        let answer = service.ask(&Request::new("GET", target).header("Host", "evil.example")).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=3600");
        let secrets = ["client_secret_basic", "client_secret_post"];
        let all = ["client_secret_basic", "client_secret_post", "none"];
        answer.is(
            200,
            json!({
                "issuer": "https://auth.example.org/path",
                "token_endpoint": "https://auth.example.org/o/token",
                "token_endpoint_auth_methods_supported": all,
                "jwks_uri": "https://auth.example.org/.well-known/jwks.json",
                "introspection_endpoint": "https://auth.example.org/o/introspect",
                "introspection_endpoint_auth_methods_supported": secrets,
                "revocation_endpoint": "https://auth.example.org/o/revoke",
                "revocation_endpoint_auth_methods_supported": all,
                "grant_types_supported": ["client_credentials", "refresh_token"],
                "response_types_supported": [],
            }),
        );
        let settings = [("site.domain", "hobbies.example")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let answer = service.ask(&Request::new("GET", target)).await;
        assert_eq!(answer.json()["issuer"], "https://hobbies.example");
        let off = TestService::with(Engine::Sqlite, &[("layouts.oauth.enabled", "off")]).await;
        assert_eq!(off.ask(&Request::new("GET", target)).await.status, 404);
    });
}

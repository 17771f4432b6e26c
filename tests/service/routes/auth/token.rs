//! `/auth/token`: a pair for a user name and a password (CONTRACT.md 4).

mod refresh;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::Request;
use crate::harness::{Engine, PASSWORD, Pair, START, TestService};
use crate::jwt::{claim, claims, header};

on_both_engines! {
    a_pair_for_the_right_password
    claims_are_those_of_the_recorded_peer
    the_pinned_generation_has_other_claims
    every_wrong_credential_gets_one_answer
    values_come_as_json_form_and_multipart
    values_are_read_as_django_reads_them
    a_stored_hash_below_the_floor_is_written_anew
}

async fn a_pair_for_the_right_password(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    for target in ["/auth/token/", "/auth/token"] {
        let credentials = json!({ "username": "aino", "password": PASSWORD });
        let answer = service.post(target, &credentials).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let members: Vec<String> =
            answer.json().as_object().expect("an object").keys().cloned().collect();
        assert_eq!(members, ["refresh", "access"]);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(service.admits(&Pair::of(&answer).bearer()).await);
    }
}

async fn claims_are_those_of_the_recorded_peer(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    for (token, kind, lifetime) in
        [(&pair.access, "access", 18_000), (&pair.refresh, "refresh", 86_400)]
    {
        assert_eq!(header(token)["typ"], "JWT");
        assert_eq!(header(token)["alg"], "HS256");
        assert_eq!(header(token).len(), 3, "typ, alg and our kid");
        let mut claims = claims(token);
        let now = START.seconds();
        assert_eq!(claims.remove("token_type"), Some(json!(kind)));
        assert_eq!(claims.remove("exp"), Some(json!(now + lifetime)));
        assert_eq!(claims.remove("iat"), Some(json!(now)));
        assert_eq!(claims.remove("user_id"), Some(json!(account.get().to_string())));
        assert_eq!(claims.remove("first_name"), Some(json!("Aino")));
        assert_eq!(claims.remove("last_name"), Some(json!("Mäkelä")));
        for hex in ["jti", "sid"] {
            let value = claims.remove(hex).expect("is there");
            let value = value.as_str().expect("is text");
            assert!(value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()), "{value}");
        }
        assert!(claims.is_empty(), "{claims:?}");
    }
    assert_ne!(claim(&pair.access, "jti"), claim(&pair.refresh, "jti"));
    assert_eq!(claim(&pair.access, "sid"), claim(&pair.refresh, "sid"));
}

async fn the_pinned_generation_has_other_claims(engine: Engine) {
    let settings = [
        ("tokens.issued_at", "off"),
        ("tokens.user_id", "number"),
        ("tokens.further", "email=email, sub=fixed:avain"),
    ];
    let service = TestService::with(engine, &settings).await;
    let account = service.account("aino").await;
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    for token in [&pair.access, &pair.refresh] {
        assert_eq!(claim(token, "iat"), Value::Null);
        assert_eq!(claim(token, "user_id"), json!(account.get()));
        assert_eq!(claim(token, "email"), json!("aino@example.org"));
        assert_eq!(claim(token, "sub"), json!("avain"));
    }
    assert!(service.admits(&pair.bearer()).await);
}

async fn every_wrong_credential_gets_one_answer(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account_with("off", |draft| draft.is_active = false).await;
    // The row that django-guardian keeps for nobody.
    service.account("AnonymousUser").await;
    let random = avain::base::random::SeededRandom::new(1);
    let unusable = avain::account::password::StoredPassword::unusable(&random);
    service.account_with("keyless", |draft| draft.password = unusable).await;
    let refused = json!({ "detail": "No active account found with the given credentials" });
    let long = "x".repeat(5000);
    for (username, password) in [
        ("nobody", PASSWORD),
        ("aino", "wrong"),
        ("aino", &PASSWORD.to_uppercase()),
        ("Aino", PASSWORD),
        ("aino@example.org", PASSWORD),
        ("off", PASSWORD),
        ("off", "wrong"),
        ("keyless", PASSWORD),
        ("keyless", "!"),
        ("AnonymousUser", PASSWORD),
        (&long, PASSWORD),
        ("aino", &long),
    ] {
        let credentials = json!({ "username": username, "password": password });
        let answer = service.post("/auth/token/", &credentials).await;
        answer.is(401, refused.clone());
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"", "{username:.9}");
    }
}

async fn values_come_as_json_form_and_multipart(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("äinö+1").await;
    let json = json!({ "username": "äinö+1", "password": PASSWORD, "unknown": [1] }).to_string();
    let escaped = json.replace('ä', "\\u00e4").replace("\"password\"", "\n \"p\\u0061ssword\"");
    let form = format!("username=%C3%A4in%C3%B6%2B1&password={PASSWORD}&other=1");
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\näinö+1\r\n--b\r\n\
         Content-Disposition: form-data; name=\"password\"\r\n\r\n{PASSWORD}\r\n--b--\r\n"
    );
    for (media_type, body) in [
        ("application/json", &json),
        ("application/json", &escaped),
        ("APPLICATION/Json; charset=latin-1", &json),
        ("application/x-www-form-urlencoded", &form),
        ("application/x-www-form-urlencoded; charset=utf-8", &form),
        ("multipart/form-data; boundary=b", &multipart),
        ("Multipart/Form-Data; boundary=\"b\"", &multipart),
    ] {
        let request = Request::new("POST", "/auth/token/").body(media_type, body);
        let answer = service.ask(&request).await;
        assert_eq!(answer.status, 200, "{media_type}: {}", answer.text());
    }
    // The query string never supplies fields; the body of a form is no query string either.
    let target = format!("/auth/token/?{form}");
    let answer = service.ask(&Request::new("POST", &target).json(&json!({}))).await;
    assert_eq!(answer.status, 400);
}

async fn values_are_read_as_django_reads_them(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("7").await;
    for body in [
        r#"{"username": " aino\u001c\n", "password": "\t PASSWORD\u3000"}"#,
        r#"{"username": "x", "username": "aino", "password": null, "password": "PASSWORD"}"#,
        r#"{"username": 7, "password": "PASSWORD"}"#,
        "  {\"username\": \"aino\", \"password\": \"PASSWORD\"} \n",
        r#"{"\ud800": 1, "username": "aino", "password": "PASSWORD"}"#,
    ] {
        let body = body.replace("PASSWORD", PASSWORD);
        let request = Request::new("POST", "/auth/token").body("application/json", &body);
        let answer = service.ask(&request).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    }
    // Of repeated form fields the last wins; `a[]` is just another name; `;` does not separate.
    let form = |body: &str| {
        let body = body.replace("PASSWORD", PASSWORD);
        Request::new("POST", "/auth/token").body("application/x-www-form-urlencoded", body)
    };
    let answer =
        service.ask(&form("username=x&username=+aino+&password=PASSWORD&username[]=x")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = service.ask(&form("username=aino;password=PASSWORD")).await;
    answer.is(400, json!({ "password": ["This field is required."] }));
}

async fn a_stored_hash_below_the_floor_is_written_anew(engine: Engine) {
    let service = TestService::with(engine, &[("passwords.rehash_below", "1000")]).await;
    let weak = service.hash("x").await.expose().replace("$1000$", "$999$");
    assert!(weak.starts_with("pbkdf2_sha256$999$"), "{weak}");
    let stored = async |name: &str| {
        let found = avain::store::accounts::find_by_username(service.store(), name).await;
        found.expect("the store answers").expect("is there").password.expose().to_owned()
    };
    service.account("aino").await;
    let before = stored("aino").await;
    service.sign_in("aino").await;
    assert_eq!(stored("aino").await, before, "a hash at the floor stays");

    // Django's own vector of 150,000 iterations stays as it is; one of few is written anew.
    let few = weak_hash_of_password();
    let few = avain::account::password::StoredPassword::new(few);
    service.account_with("weak", |draft| draft.password = few).await;
    service.sign_in("weak").await;
    assert!(stored("weak").await.starts_with("pbkdf2_sha256$1000$"), "{}", stored("weak").await);
    service.sign_in("weak").await;
}

/// [`PASSWORD`] hashed with 500 iterations.
fn weak_hash_of_password() -> String {
    let mut out = [0; 32];
    let iterations = std::num::NonZeroU32::new(500).expect("is not zero");
    let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
    ring::pbkdf2::derive(algorithm, iterations, b"salt", PASSWORD.as_bytes(), &mut out);
    format!("pbkdf2_sha256$500$salt${}", STANDARD.encode(out))
}

/// GET is for browser sessions, which come with the pages: nobody has one yet.
#[test]
fn reading_needs_a_browser_session() {
    crate::support::block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        let pair = service.sign_in_at("/auth/token/", "aino").await;
        let get = Request::new("GET", "/auth/token/");
        let refused = json!({ "detail": "Authentication credentials were not provided." });
        service.ask(&get).await.is(401, refused.clone());
        // A bearer token does not count, nor does an unknown session.
        service
            .ask(&get.clone().header("Authorization", pair.bearer()))
            .await
            .is(401, refused.clone());
        let answer = service.ask(&get.header("Cookie", "sessionid=abc")).await;
        answer.is(401, refused);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
        let answer = service.ask(&Request::new("HEAD", "/auth/token/")).await;
        assert_eq!((answer.status, answer.body.len()), (401, 0));
    });
}

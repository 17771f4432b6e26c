//! `/auth/keys`: the API keys of one's own account.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    made_shown_once_listed_and_revoked
    bad_wishes_are_told_what_to_write
    terms_are_changed_and_hold_at_once
    a_rotated_key_goes_on_for_the_overlap
    a_classic_key_is_upgraded
    nobody_touches_anothers_keys
    a_narrow_key_cannot_shed_its_terms
    nothing_that_comes_of_a_key_outlives_it
    an_account_has_so_many_keys_and_they_live_so_long
    keys_that_are_made_at_once_are_counted
    a_password_change_ends_them_where_the_site_wants_that
    every_account_gets_a_classic_key_where_the_site_wants_that
    logging_out_ends_the_key_that_asks
}

/// Asks as somebody.
pub(crate) async fn ask(
    service: &TestService,
    who: &str,
    method: &str,
    target: &str,
    body: &Value,
) -> Answer {
    let request = Request::new(method, target).header("Authorization", who);
    let request = if body.is_null() { request } else { request.json(body) };
    service.ask(&request).await
}

/// Makes a key, and gives what was answered.
pub(crate) async fn make(service: &TestService, who: &str, wish: &Value) -> Value {
    let answer = ask(service, who, "POST", "/auth/keys/", wish).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// How a key of an answer is presented.
pub(crate) fn token(answer: &Value) -> String {
    format!("Token {}", answer["key"].as_str().expect("there is a key"))
}

async fn signed_in(service: &TestService, name: &str) -> String {
    service.account(name).await;
    service.sign_in(name).await.bearer()
}

async fn made_shown_once_listed_and_revoked(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    let empty = ask(&service, &aino, "GET", "/auth/keys", &Value::Null).await;
    empty.is(200, json!({ "keys": [], "classic_key": null }));
    let made = make(
        &service,
        &aino,
        &json!({
            "name": " Nightly import ",
            "scope": "hobbies:read  GET:/api/v1/** hobbies:read",
            "networks": "192.0.2.7/24, 2001:db8::1",
            "rate": 60,
            "expires_in": 3600,
        }),
    )
    .await;
    let key = made["key"].as_str().expect("is text").to_owned();
    assert!(key.starts_with("avn_") && key.len() == 42, "{key}");
    let shown = json!({
        "id": made["id"],
        "name": "Nightly import",
        "begins": key[..10],
        "scope": "hobbies:read GET:/api/v1/**",
        "networks": "192.0.2.0/24 2001:db8::1/128",
        "rate": 60,
        "created_at": "2026-11-18T11:06:40Z",
        "expires_at": "2026-11-18T12:06:40Z",
        "last_used_at": null,
        "replaced_by": null,
        "revoked_at": null,
        "active": true,
    });
    let mut expected = shown.clone();
    expected["key"] = json!(key);
    assert_eq!(made, expected);
    let plain =
        make(&service, &aino, &json!({ "name": "x", "expires_at": "2026-11-18T13:07:00+02:00" }))
            .await;
    assert_eq!(
        (&plain["scope"], &plain["networks"], &plain["rate"]),
        (&json!(""), &json!(""), &Value::Null)
    );
    assert_eq!(plain["expires_at"], "2026-11-18T11:07:00Z");

    let listed = ask(&service, &aino, "GET", "/auth/keys/", &Value::Null).await;
    assert!(!listed.text().contains(&key), "it is shown once");
    assert_eq!(listed.json()["keys"][0], shown);
    assert_eq!(listed.json()["keys"][1]["id"], plain["id"]);
    let target = format!("/auth/keys/{}/", made["id"]);
    ask(&service, &aino, "GET", &target, &Value::Null).await.is(200, shown);
    assert!(service.admits(&token(&plain)).await);

    let gone =
        ask(&service, &aino, "DELETE", &format!("/auth/keys/{}", plain["id"]), &Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert!(!service.admits(&token(&plain)).await, "at once");
    for method in ["GET", "DELETE", "PATCH"] {
        let again =
            ask(&service, &aino, method, &format!("/auth/keys/{}", plain["id"]), &json!({})).await;
        again.is(404, json!({ "detail": "Not found." }));
    }
    let listed = ask(&service, &aino, "GET", "/auth/keys/", &Value::Null).await.json();
    assert_eq!(
        (&listed["keys"][1]["active"], &listed["keys"][1]["revoked_at"]),
        (&json!(false), &json!("2026-11-18T11:06:40Z"))
    );

    let nobody = service.ask(&Request::new("GET", "/auth/keys/")).await;
    nobody.is(401, json!({ "detail": "Authentication credentials were not provided." }));
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"api\"");
}

async fn bad_wishes_are_told_what_to_write(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    for (wish, field, sentence) in [
        (json!({}), "name", "This field is required."),
        (json!({ "name": " " }), "name", "This field may not be blank."),
        (json!({ "name": "a\tb" }), "name", "none of them a control character"),
        (json!({ "name": "a".repeat(101) }), "name", "Between 1 and 100 characters"),
        (json!({ "name": "x", "scope": ["a"] }), "scope", "Not a valid string."),
        (json!({ "name": "x", "scope": "a ä" }), "scope", "no scope may"),
        (json!({ "name": "x", "scope": "/api/" }), "scope", "write \"*:/api/\""),
        (json!({ "name": "x", "scope": "GET:/api/../x" }), "scope", "write the path itself"),
        (json!({ "name": "x", "scope": "a ".repeat(51) }), "scope", "at most 50 scopes"),
        (json!({ "name": "x", "networks": "10.0.0.0/33" }), "networks", "write 192.0.2.0/24"),
        (json!({ "name": "x", "rate": 0 }), "rate", "A whole number between 1 and 1000000."),
        (json!({ "name": "x", "rate": 1.5 }), "rate", "A whole number"),
        (json!({ "name": "x", "expires_in": -1 }), "expires_in", "A whole number"),
        (json!({ "name": "x", "expires_in": 99_999_999_999_i64 }), "expires_in", "A whole number"),
        (json!({ "name": "x", "expires_at": "tomorrow" }), "expires_at", "Write a moment as"),
        (json!({ "name": "x", "expires_at": "2026-11-18T11:06:40Z" }), "expires_at", "in the past"),
        (
            json!({ "name": "x", "expires_at": "2030-01-01T00:00:00Z", "expires_in": 5 }),
            "expires_at",
            "not both",
        ),
    ] {
        let answer = ask(&service, &aino, "POST", "/auth/keys/", &wish).await;
        assert_eq!(answer.status, 400, "{wish}: {}", answer.text());
        let told = answer.json()[field][0].as_str().unwrap_or_default().to_owned();
        assert!(told.contains(sentence), "{wish}: {}", answer.text());
    }
    let listed = ask(&service, &aino, "GET", "/auth/keys/", &Value::Null).await.json();
    assert_eq!(listed["keys"], json!([]));
    for id in ["x", "0", "99999999999999999999", "-1", "%00"] {
        let answer = ask(&service, &aino, "GET", &format!("/auth/keys/{id}"), &Value::Null).await;
        answer.is(404, json!({ "detail": "Not found." }));
    }
}

async fn terms_are_changed_and_hold_at_once(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    let made = make(&service, &aino, &json!({ "name": "x", "rate": 1000 })).await;
    let (key, target) = (token(&made), format!("/auth/keys/{}", made["id"]));
    assert!(service.admits(&key).await);
    let change = json!({ "scope": "GET:/api/**", "rate": null });
    let changed = ask(&service, &aino, "PATCH", &target, &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!(
        (&changed["name"], &changed["scope"], &changed["rate"]),
        (&json!("x"), &json!("GET:/api/**"), &Value::Null)
    );
    assert_eq!(service.gate("POST", "/api/v1/hobbies/", &key).await.status, 403);
    assert_eq!(service.gate("GET", "/api/v1/hobbies/", &key).await.status, 204);
    let back = ask(&service, &aino, "PATCH", &target, &json!({ "name": "y", "scope": "" })).await;
    assert_eq!((back.status, &back.json()["name"]), (200, &json!("y")));
    assert!(service.admits(&key).await);
    let wrong = ask(&service, &aino, "PATCH", &target, &json!({ "name": "" })).await;
    wrong.is(400, json!({ "name": ["This field may not be blank."] }));
}

async fn a_rotated_key_goes_on_for_the_overlap(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    let terms = json!({ "name": "x", "scope": "*:/api/**", "expires_in": 86_400 });
    let first = make(&service, &aino, &terms).await;
    service.pass(100);
    let target = |key: &Value| format!("/auth/keys/{}/rotate/", key["id"]);
    let second = ask(&service, &aino, "POST", &target(&first), &json!({ "overlap": 50 })).await;
    assert_eq!(second.status, 201, "{}", second.text());
    let second = second.json();
    assert_eq!((&second["name"], &second["scope"]), (&json!("x"), &json!("*:/api/**")));
    assert_eq!(
        second["expires_at"], "2026-11-19T11:08:20Z",
        "it lives as long as the first was to"
    );
    assert!(service.admits(&token(&first)).await && service.admits(&token(&second)).await);
    let again = ask(&service, &aino, "POST", &target(&first), &Value::Null).await;
    again.is(409, json!({ "detail": "Another key has taken its place already." }));
    let old = ask(&service, &aino, "GET", &format!("/auth/keys/{}", first["id"]), &Value::Null)
        .await
        .json();
    assert_eq!(
        (&old["replaced_by"], &old["expires_at"]),
        (&second["id"], &json!("2026-11-18T11:09:10Z"))
    );
    service.pass(49);
    assert!(service.admits(&token(&first)).await);
    service.pass(1);
    assert!(!service.admits(&token(&first)).await, "the overlap is over");
    assert!(service.admits(&token(&second)).await);
    // At once, and an hour where nobody says otherwise.
    let third =
        ask(&service, &aino, "POST", &target(&second), &json!({ "overlap": 0 })).await.json();
    assert!(!service.admits(&token(&second)).await && service.admits(&token(&third)).await);
    let aino = service.sign_in("aino").await.bearer();
    let fourth = ask(&service, &aino, "POST", &target(&third), &Value::Null).await.json();
    service.pass(3599);
    assert!(service.admits(&token(&third)).await);
    service.pass(1);
    assert!(!service.admits(&token(&third)).await && service.admits(&token(&fourth)).await);
}

async fn a_classic_key_is_upgraded(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let classic = service.api_key(account).await;
    let who = format!("Token {classic}");
    let listed = ask(&service, &who, "GET", "/auth/keys/", &Value::Null).await;
    listed.is(200, json!({ "keys": [], "classic_key": { "begins": classic[..8] } }));
    assert!(service.admits(&who).await);
    let upgraded =
        ask(&service, &who, "POST", "/auth/keys/upgrade/", &json!({ "name": "script" })).await;
    assert_eq!(upgraded.status, 201, "{}", upgraded.text());
    let own = token(&upgraded.json());
    assert!(!service.admits(&who).await && service.admits(&own).await);
    let again = ask(&service, &own, "POST", "/auth/keys/upgrade/", &json!({ "name": "x" })).await;
    again.is(404, json!({ "detail": "The account has no classic key." }));
    // Making one first and taking the classic one back later leaves time in between.
    let classic = format!("Token {}", service.api_key(account).await);
    let second = make(&service, &classic, &json!({ "name": "second" })).await;
    assert!(service.admits(&classic).await && service.admits(&token(&second)).await);
    let ended = ask(&service, &own, "DELETE", "/auth/keys/classic/", &Value::Null).await;
    assert_eq!(ended.status, 204);
    assert!(!service.admits(&classic).await);
    let ended = ask(&service, &own, "DELETE", "/auth/keys/classic/", &Value::Null).await;
    assert_eq!(ended.status, 404);
}

async fn nobody_touches_anothers_keys(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    let eino = signed_in(&service, "eino").await;
    let made = make(&service, &aino, &json!({ "name": "mine" })).await;
    let target = format!("/auth/keys/{}", made["id"]);
    for (method, target) in [
        ("GET", target.clone()),
        ("PATCH", target.clone()),
        ("DELETE", target.clone()),
        ("POST", format!("{target}/rotate")),
    ] {
        let answer = ask(&service, &eino, method, &target, &json!({ "name": "yours" })).await;
        answer.is(404, json!({ "detail": "Not found." }));
    }
    assert!(service.admits(&token(&made)).await);
    let listed = ask(&service, &eino, "GET", "/auth/keys/", &Value::Null).await;
    listed.is(200, json!({ "keys": [], "classic_key": null }));
}

async fn a_narrow_key_cannot_shed_its_terms(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let classic = service.api_key(account).await;
    let aino = service.sign_in("aino").await.bearer();
    let refused = json!({ "detail": "You do not have permission to perform this action." });
    for terms in [
        json!({ "name": "x", "scope": "*:/auth/** *:/users/**" }),
        json!({ "name": "x", "networks": "127.0.0.0/8" }),
        json!({ "name": "x", "rate": 1000 }),
    ] {
        let made = make(&service, &aino, &terms).await;
        let own = format!("/auth/keys/{}", made["id"]);
        for credential in [token(&made), token(&made).replace("Token", "Bearer")] {
            for (method, target, body) in [
                ("POST", "/auth/keys/", json!({ "name": "wider" })),
                ("POST", "/auth/keys/upgrade/", json!({ "name": "wider" })),
                ("PATCH", &own, json!({ "scope": "" })),
                ("POST", &format!("{own}/rotate"), json!({})),
                ("DELETE", "/auth/keys/classic", Value::Null),
                (
                    "POST",
                    "/auth/users/set_password/",
                    json!({ "new_password": "N3w-password-9", "current_password": PASSWORD }),
                ),
                (
                    "POST",
                    "/auth/users/set_username/",
                    json!({ "new_username": "other", "current_password": PASSWORD }),
                ),
                ("PATCH", "/auth/users/me/", json!({ "email": "other@example.org" })),
                ("DELETE", "/auth/users/me/", json!({ "current_password": PASSWORD })),
                ("POST", "/auth/token/logout/", Value::Null),
                ("POST", "/auth/token/login/", json!({ "username": "aino", "password": PASSWORD })),
            ] {
                let answer = ask(&service, &credential, method, target, &body).await;
                assert_eq!(
                    (answer.status, answer.json()),
                    (403, refused.clone()),
                    "{terms} {method} {target}"
                );
            }
            // It may look, where its scopes say so.
            let me = ask(&service, &credential, "GET", "/auth/users/me/", &Value::Null).await;
            assert_eq!((me.status, &me.json()["username"]), (200, &json!("aino")), "{terms}");
        }
    }
    let elsewhere = make(&service, &aino, &json!({ "name": "x", "scope": "GET:/api/**" })).await;
    let me = ask(&service, &token(&elsewhere), "GET", "/auth/users/me/", &Value::Null).await;
    me.is(403, refused.clone());
    let bound = make(&service, &aino, &json!({ "name": "x", "networks": "192.0.2.0/24" })).await;
    let me = ask(&service, &token(&bound), "GET", "/auth/users/me/", &Value::Null).await;
    me.is(403, refused);
    // A rate counts here too.
    let slow = token(&make(&service, &aino, &json!({ "name": "x", "rate": 2 })).await);
    for expected in [200, 200, 429] {
        let me = ask(&service, &slow, "GET", "/auth/users/me/", &Value::Null).await;
        assert_eq!(me.status, expected);
    }
    assert!(service.admits(&format!("Token {classic}")).await, "nothing was taken");
    // A key without terms is as good as its owner.
    let whole = token(&make(&service, &aino, &json!({ "name": "x" })).await);
    make(&service, &whole, &json!({ "name": "made with a key" })).await;
}

async fn nothing_that_comes_of_a_key_outlives_it(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = signed_in(&service, "aino").await;
    let parent = make(&service, &aino, &json!({ "name": "x", "expires_in": 1000 })).await;
    let who = token(&parent);
    for wish in [json!({ "name": "y" }), json!({ "name": "y", "expires_in": 5000 })] {
        let child = make(&service, &who, &wish).await;
        assert_eq!(child["expires_at"], parent["expires_at"]);
    }
    let shorter = make(&service, &who, &json!({ "name": "y", "expires_in": 10 })).await;
    assert_eq!(shorter["expires_at"], "2026-11-18T11:06:50Z");
    service.pass(500);
    let rotated =
        ask(&service, &who, "POST", &format!("/auth/keys/{}/rotate", parent["id"]), &Value::Null)
            .await;
    assert_eq!(rotated.json()["expires_at"], parent["expires_at"], "not by rotating itself either");
    service.pass(500);
    for dead in [who, token(&rotated.json())] {
        let answer = ask(&service, &dead, "GET", "/auth/keys/", &Value::Null).await;
        answer.is(401, json!({ "detail": "Invalid token." }));
    }
}

async fn an_account_has_so_many_keys_and_they_live_so_long(engine: Engine) {
    let settings = [("api_keys.per_account", "2"), ("api_keys.longest_life", "1h")];
    let service = TestService::with(engine, &settings).await;
    let aino = signed_in(&service, "aino").await;
    for wish in [json!({ "name": "x" }), json!({ "name": "x", "expires_in": 3601 })] {
        let answer = ask(&service, &aino, "POST", "/auth/keys/", &wish).await;
        answer.is(400, json!({ "expires_in": ["A key may live for 3600 seconds at most."] }));
    }
    let wish = json!({ "name": "x", "expires_in": 3600 });
    let first = make(&service, &aino, &wish).await;
    make(&service, &aino, &wish).await;
    let third = ask(&service, &aino, "POST", "/auth/keys/", &wish).await;
    third
        .is(409, json!({ "detail": "An account may have 2 keys: revoke one that is not needed." }));
    let rotated =
        ask(&service, &aino, "POST", &format!("/auth/keys/{}/rotate", first["id"]), &Value::Null)
            .await;
    assert_eq!(rotated.status, 201, "a rotation is no new key");
    // But keys are not made without end by rotating what came of rotating.
    let rotate = async |key: &Value, overlap: i64| {
        let target = format!("/auth/keys/{}/rotate", key["id"]);
        ask(&service, &aino, "POST", &target, &json!({ "overlap": overlap })).await
    };
    let next = rotate(&rotated.json(), 3600).await;
    assert_eq!(next.status, 201, "{}", next.text());
    rotate(&next.json(), 3600)
        .await
        .is(409, json!({ "detail": "An account may have 2 keys: revoke one that is not needed." }));
    let next = rotate(&next.json(), 0).await;
    assert_eq!(next.status, 201, "what ends at once is not too many");
    rotate(&next.json(), 30 * 86_400 + 1)
        .await
        .is(400, json!({ "overlap": ["A key goes on for 2592000 seconds at most."] }));
    service.pass(3600);
    let aino = service.sign_in("aino").await.bearer();
    make(&service, &aino, &wish).await;
}

async fn keys_that_are_made_at_once_are_counted(engine: Engine) {
    let service = TestService::with(engine, &[("api_keys.per_account", "2")]).await;
    let aino = signed_in(&service, "aino").await;
    let wish = json!({ "name": "x" });
    let make = async || ask(&service, &aino, "POST", "/auth/keys/", &wish).await.status;
    let made = tokio::join!(make(), make(), make(), make(), make(), make());
    let mut made = [made.0, made.1, made.2, made.3, made.4, made.5];
    made.sort_unstable();
    assert_eq!(made, [201, 201, 409, 409, 409, 409]);
}

async fn a_password_change_ends_them_where_the_site_wants_that(engine: Engine) {
    for (setting, survives) in [("off", true), ("on", false)] {
        let settings = [("account.end_keys_on_password_change", setting)];
        let service = TestService::with(engine, &settings).await;
        let account = service.account("aino").await;
        let aino = service.sign_in("aino").await.bearer();
        let keys = [
            token(&make(&service, &aino, &json!({ "name": "x" })).await),
            format!("Token {}", service.api_key(account).await),
        ];
        for key in &keys {
            assert!(service.admits(key).await);
        }
        let change = json!({ "new_password": "N3w-password-9", "current_password": PASSWORD });
        let changed = ask(&service, &aino, "POST", "/auth/users/set_password/", &change).await;
        assert_eq!(changed.status, 204, "{}", changed.text());
        for key in &keys {
            assert_eq!(service.admits(key).await, survives, "{setting}");
        }
    }
}

async fn every_account_gets_a_classic_key_where_the_site_wants_that(engine: Engine) {
    let registration =
        json!({ "username": "aino", "email": "a@example.org", "password": PASSWORD });
    for (setting, keys) in [("off", 0), ("on", 1)] {
        let service = TestService::with(engine, &[("account.classic_keys", setting)]).await;
        assert_eq!(service.post("/auth/users/", &registration).await.status, 201);
        let found = avain::store::api_keys::page_after(service.store(), 0, 10).await;
        assert_eq!(found.expect("it runs").len(), keys, "{setting}");
    }
}

async fn logging_out_ends_the_key_that_asks(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let classic = format!("Token {}", service.api_key(account).await);
    let aino = service.sign_in("aino").await.bearer();
    let (one, other) = (
        token(&make(&service, &aino, &json!({ "name": "x" })).await),
        token(&make(&service, &aino, &json!({ "name": "y" })).await),
    );
    let out = ask(&service, &one, "POST", "/auth/token/logout/", &Value::Null).await;
    assert_eq!(out.status, 204, "{}", out.text());
    assert!(!service.admits(&one).await);
    assert!(service.admits(&other).await && service.admits(&classic).await);
    ask(&service, &classic, "POST", "/auth/token/logout/", &Value::Null).await;
    assert!(!service.admits(&classic).await && service.admits(&other).await);
}

//! `account.email_login`: accounts sign in with their mail addresses, and nobody is asked for a user name.

use serde_json::{Value, json};

use crate::site::{Engine, PASSWORD, Site, after};

on_both_engines! {
    an_account_is_registered_and_signs_in_with_its_address
    names_are_made_from_addresses
    an_address_is_one_accounts
    of_many_at_once_one_gets_an_address
    the_address_is_changed_with_the_password
    the_address_is_changed_by_a_link_to_the_old_one
    a_new_address_is_confirmed_where_the_site_wants_that
    the_old_djoser_has_its_own_paths
    dj_rest_auth_needs_no_user_name
    endpoints_for_user_names_are_gone
}

const EMAIL_LOGIN: [(&str, &str); 2] =
    [("account.email_login", "on"), ("account.unique_email", "on")];

async fn site(engine: Engine, further: &[(&'static str, &'static str)]) -> Site {
    Site::with(engine, &[&EMAIL_LOGIN[..], further].concat()).await
}

impl Site {
    async fn post(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        let answer = self.ask("POST", path, key, &body).await;
        let body = if answer.text().is_empty() { Value::Null } else { answer.json() };
        (answer.status, body)
    }

    async fn log_in(&self, email: &str) -> (u16, Value) {
        self.post("/auth/token/login/", "", json!({ "email": email, "password": PASSWORD })).await
    }
}

async fn an_account_is_registered_and_signs_in_with_its_address(engine: Engine) {
    let site = site(engine, &[]).await;
    let required = json!(["This field is required."]);
    let empty = site.post("/auth/users/", "", json!({})).await;
    assert_eq!(empty, (400, json!({ "email": required, "password": required })));
    let new = json!({ "email": "Aino@Example.org", "password": PASSWORD, "username": "ignored" });
    let (status, record) = site.post("/auth/users/", "", new).await;
    assert_eq!(status, 201, "{record}");
    assert_eq!(record, json!({ "id": record["id"], "email": "Aino@example.org" }));

    let (status, answer) = site.log_in("aINO@example.ORG").await;
    assert_eq!(status, 200, "{answer}");
    let key = answer["auth_token"].as_str().expect("there is a key").to_owned();
    let me = site.ask("GET", "/auth/users/me/", &key, &Value::Null).await;
    me.is(200, record.clone());
    for path in ["/auth/jwt/create/", "/api/token/", "/auth/token/"] {
        let good = json!({ "email": "aino@example.org", "password": PASSWORD });
        let (status, pair) = site.post(path, "", good).await;
        assert_eq!(status, 200, "{path}: {pair}");
        assert!(pair["access"].is_string());
        let (status, refusal) = site.post(path, "", json!({ "username": "aino" })).await;
        assert_eq!((status, &refusal["email"]), (400, &required), "{path}: {refusal}");
    }
    // Django REST framework's own view calls it a user name whatever it is.
    let body = json!({ "username": "aino@example.org", "password": PASSWORD });
    assert_eq!(site.post("/v3/drf-token-auth/", "", body).await.0, 200);

    for wrong in ["aino", "nobody@example.org", "@", ""] {
        let (status, _) = site.log_in(wrong).await;
        assert_eq!(status, 400, "{wrong}");
    }
    // The address is what one logs in with: the record does not change it.
    let patched = json!({ "email": "other@example.org" });
    site.ask("PATCH", "/auth/users/me/", &key, &patched).await.is(200, record);
}

async fn names_are_made_from_addresses(engine: Engine) {
    let site = site(engine, &[]).await;
    for (email, begins) in [
        ("Aino.M@one.example", "aino.m"),
        ("aino.m@two.example", "aino.m"),
        ("AINO.M@three.example", "aino.m"),
        ("!#$%@four.example", "user"),
    ] {
        let body = json!({ "email": email, "password": PASSWORD });
        let (status, record) = site.post("/auth/users/", "", body).await;
        assert_eq!(status, 201, "{record}");
        let id = record["id"].as_i64().and_then(|id| id.try_into().ok()).expect("an id");
        let account = site.stored(avain::account::account::AccountId::new(id)).await;
        let number = account.username.strip_prefix(begins).expect("it begins so");
        assert!(number.chars().all(|c| c.is_ascii_digit()), "{}", account.username);
        assert_eq!(number.is_empty(), !email.contains("two") && !email.contains("three"));
    }
}

async fn an_address_is_one_accounts(engine: Engine) {
    let site = site(engine, &[]).await;
    site.account("aino", "aino@example.org").await;
    let (_, key) = site.account("eero", "eero@example.org").await;
    let taken = json!(["A user with that email already exists."]);
    let body = json!({ "email": "AINO@example.org", "password": PASSWORD });
    assert_eq!(site.post("/auth/users/", "", body).await, (400, json!({ "email": taken })));
    let body = json!({
        "email": "Aino@example.org", "password1": "Quite-new-7-horse", "password2": "Quite-new-7-horse",
    });
    let (status, refusal) = site.post("/users/register/", "", body).await;
    assert_eq!(
        (status, refusal),
        (400, json!({ "email": ["User is already registered with this e-mail address."] }))
    );
    let body = json!({ "new_email": "AIno@example.org", "current_password": PASSWORD });
    let set = site.post("/auth/users/set_email/", &key, body).await;
    assert_eq!(set, (400, json!({ "new_email": taken })));
    let body = json!({ "new_email": "eero@example.org", "current_password": PASSWORD });
    let set = site.post("/auth/users/set_email/", &key, body).await;
    assert_eq!(set, (400, json!({ "new_email": taken })), "one's own");
}

async fn of_many_at_once_one_gets_an_address(engine: Engine) {
    let site = std::sync::Arc::new(site(engine, &[]).await);
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..8 {
        let site = std::sync::Arc::clone(&site);
        tries.spawn(async move {
            let email = if number % 2 == 0 { "aino@example.org" } else { "AINO@example.org" };
            let body = json!({ "email": email, "password": PASSWORD });
            site.post("/auth/users/", "", body).await
        });
    }
    let answers = tries.join_all().await;
    let made = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    let taken = json!({ "email": ["A user with that email already exists."] });
    assert!(answers.iter().all(|(status, body)| *status == 201 || *body == taken), "{answers:?}");
}

async fn the_address_is_changed_with_the_password(engine: Engine) {
    let site = site(engine, &[("account.retype_username", "on")]).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    let path = "/auth/users/set_email/";
    let body = json!({ "new_email": "odd", "re_new_email": "odd", "current_password": "wrong" });
    assert_eq!(
        site.post(path, &key, body).await,
        (
            400,
            json!({
                "new_email": ["Enter a valid email address."],
                "current_password": ["Invalid password."],
            })
        )
    );
    let body = json!({
        "new_email": "new@example.org", "re_new_email": "other@example.org", "current_password": PASSWORD,
    });
    assert_eq!(
        site.post(path, &key, body).await,
        (400, json!({ "non_field_errors": ["The two email fields didn't match."] }))
    );
    let body = json!({
        "new_email": "new@Example.org", "re_new_email": "new@Example.org", "current_password": PASSWORD,
    });
    assert_eq!(site.post(path, &key, body).await, (204, Value::Null));
    assert_eq!(site.stored(id).await.email, "new@example.org");
    assert_eq!(site.stored(id).await.username, "aino");
    assert_eq!(site.log_in("new@example.org").await.0, 200);
    assert_eq!(site.log_in("old@example.org").await.0, 400);
    site.mail("old@example.org", 1).await;
}

async fn the_address_is_changed_by_a_link_to_the_old_one(engine: Engine) {
    let site = site(engine, &[]).await;
    let (id, _) = site.account("aino", "old@example.org").await;
    site.account("eero", "eero@example.org").await;
    let asked = json!({ "email": "Old@example.org" });
    assert_eq!(site.post("/auth/users/reset_email/", "", asked).await, (204, Value::Null));
    let mail = site.mail("old@example.org", 1).await;
    let uid = after(&mail, "#/username/reset/confirm/");
    let token = after(&mail, &format!("#/username/reset/confirm/{uid}/"));
    let body = |new: &str| json!({ "uid": uid, "token": token, "new_email": new });
    let path = "/auth/users/reset_email_confirm/";
    assert_eq!(site.post(path, "", body("EERO@example.org")).await.0, 400, "another's");
    assert_eq!(site.post(path, "", body("new@example.org")).await, (204, Value::Null));
    assert_eq!(site.stored(id).await.email, "new@example.org");
    let again = site.post(path, "", body("third@example.org")).await;
    assert_eq!(again, (400, json!({ "token": ["Invalid token for given user."] })));
}

async fn a_new_address_is_confirmed_where_the_site_wants_that(engine: Engine) {
    let site = site(engine, &[("account.email_change", "confirm")]).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    let body = json!({ "new_email": "new@example.org", "current_password": PASSWORD });
    assert_eq!(site.post("/auth/users/set_email/", &key, body).await, (204, Value::Null));
    assert_eq!(site.stored(id).await.email, "old@example.org");
    let mail = site.mail("new@example.org", 1).await;
    let uid = after(&mail, "#/email/confirm/");
    let token = after(&mail, &format!("#/email/confirm/{uid}/"));
    let body = json!({ "uid": uid, "token": token });
    assert_eq!(site.post("/auth/users/confirm_email/", "", body).await.0, 204);
    assert_eq!(site.log_in("new@example.org").await.0, 200);
}

async fn the_old_djoser_has_its_own_paths(engine: Engine) {
    let settings = [("layouts.djoser.enabled", "off"), ("layouts.djoser-legacy.wording", "0.5")];
    let site = site(engine, &settings).await;
    let body = json!({ "email": "aino@example.org", "password": PASSWORD });
    let (status, record) = site.post("/auth/register/", "", body.clone()).await;
    assert_eq!(status, 201, "{record}");
    let (status, answer) = site.post("/auth/login/", "", body).await;
    assert_eq!(status, 200, "{answer}");
    let key = answer["auth_token"].as_str().expect("there is a key");
    let body = json!({ "new_email": "new@example.org", "current_password": PASSWORD });
    assert_eq!(site.post("/auth/email/", key, body).await.0, 204);
    assert_eq!(site.ask("POST", "/auth/username/", key, &json!({})).await.status, 404);
}

async fn dj_rest_auth_needs_no_user_name(engine: Engine) {
    let site = site(engine, &[]).await;
    let password = "Quite-new-7-horse";
    let new = |email: &str| json!({ "email": email, "password1": password, "password2": password });
    let made = site.post("/users/register/", "", new("aino@example.org")).await;
    assert_eq!(made, (201, json!({ "detail": "Verification e-mail sent." })));
    let mail = site.mail("aino@example.org", 1).await;
    let key = after(&mail, "confirm-email/");
    assert_eq!(site.post("/users/register/verify-email/", "", json!({ "key": key })).await.0, 200);
    let login = |name: &str, with: &str| json!({ name: with, "password": "Quite-new-7-horse" });
    let (status, answer) = site.post("/users/login/", "", login("email", "Aino@example.org")).await;
    assert_eq!(status, 200, "{answer}");
    let key = answer["key"].as_str().expect("there is a key");
    let profile = site.ask("GET", "/users/user/", key, &Value::Null).await.json();
    assert_eq!(
        (&profile["username"], &profile["email"]),
        (&json!("aino"), &json!("aino@example.org"))
    );
    let by_name = site.post("/users/login/", "", login("username", "aino")).await;
    let must = json!({ "non_field_errors": ["Must include \"email\" and \"password\"."] });
    assert_eq!(by_name, (400, must));
    // A name that is given is taken, and judged.
    let mut named = new("eero@example.org");
    named["username"] = json!("AINO");
    let (status, refusal) = site.post("/users/register/", "", named).await;
    assert_eq!(status, 400);
    assert_eq!(refusal["username"], json!(["A user with that username already exists."]));
}

async fn endpoints_for_user_names_are_gone(engine: Engine) {
    let site = site(engine, &[]).await;
    let (_, key) = site.account("aino", "aino@example.org").await;
    for name in ["set_username", "reset_username", "reset_username_confirm"] {
        let answer = site.ask("POST", &format!("/auth/users/{name}/"), &key, &json!({})).await;
        assert!(matches!(answer.status, 404 | 405), "{name}: {}", answer.status);
    }
    drop(site);
    let usual = Site::with(engine, &[]).await;
    let (_, key) = usual.account("aino", "aino@example.org").await;
    for name in ["set_email", "reset_email", "reset_email_confirm"] {
        let answer = usual.ask("POST", &format!("/auth/users/{name}/"), &key, &json!({})).await;
        assert!(matches!(answer.status, 404 | 405), "{name}: {}", answer.status);
    }
}

//! `/accounts/acting/`: acting as somebody else.

use avain::account::account::AccountId;
use avain::flow::Caller;
use avain::flow::administer::{self, Deleted};
use avain::flow::audit::{self, Search};
use avain::store::accounts::{self, Owner};
use serde_json::json;

use crate::browser::Browser;
use crate::client::Request;
use crate::harness::{Engine, PASSWORD, Pair, TestService};
use crate::jwt::claims;

on_both_engines! {
    a_superuser_acts_as_a_member_and_goes_back
    only_the_less_powerful_are_acted_as
    acting_ends_with_time_right_and_sign_out
    nobody_takes_a_name_that_gives_the_right
    tokens_of_acting_end_with_what_the_actor_loses
}

const ON: &[(&str, &str)] = &[("sessions.acting", "on"), ("sessions.acting_staff", "helper")];

async fn act(browser: &mut Browser<'_>, username: &str) -> u16 {
    browser.get("/accounts/acting/").await;
    browser.send("/accounts/acting/", &[("username", username)]).await.status
}

/// A superuser, two of staff, and a member.
async fn people(engine: Engine, settings: &[(&str, &str)]) -> TestService {
    let service = TestService::with(engine, settings).await;
    service.account("aino").await;
    for (name, is_superuser) in
        [("root", true), ("root2", true), ("helper", false), ("clerk", false)]
    {
        let make = service.account_with(name, |draft| {
            (draft.is_staff, draft.is_superuser) = (true, is_superuser);
        });
        make.await;
    }
    service
}

async fn a_superuser_acts_as_a_member_and_goes_back(engine: Engine) {
    let service = people(engine, ON).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let own = browser.cookies["sessionid"].clone();
    assert_eq!(act(&mut browser, "aino").await, 302);
    let page = browser.get("/accounts/").await.text();
    assert!(page.contains("You (root) are acting as aino."), "{page}");
    assert!(page.contains("aino@example.org"), "{page}");
    assert_eq!(browser.get("/sysadmin/").await.status, 403, "who acts as a member is no staff");

    let body = browser.get("/auth/token/").await.json();
    let access = body["access"].as_str().expect("a token");
    let told = claims(access);
    assert_eq!(told["user_id"], "1");
    assert_eq!(told["act"], json!({ "sub": "2" }));
    let seconds = |token: &str| {
        let told = claims(token);
        let of = |name: &str| told[name].as_i64().expect("a time");
        of("exp") - of("iat")
    };
    assert_eq!(seconds(access), 30 * 60, "it ends with the acting");
    let refresh = body["refresh"].as_str().expect("a token").to_owned();
    assert_eq!(seconds(&refresh), 30 * 60);
    let renewed = service.post("/auth/token/refresh/", &json!({ "refresh": refresh })).await.json();
    assert_eq!(claims(renewed["access"].as_str().expect("a token"))["act"], json!({ "sub": "2" }));
    let bearer = format!("Bearer {access}");
    assert!(service.admits(&bearer).await);

    // The token is for the backend: of ours it only looks at what is theirs.
    let ask = async |method: &str, target: &str, body: serde_json::Value| {
        let request = Request::new(method, target).json(&body);
        service.ask(&request.header("Authorization", bearer.as_str())).await.status
    };
    assert_eq!(ask("GET", "/auth/users/me/", json!({})).await, 200);
    for (method, target, body) in [
        ("POST", "/auth/keys/", json!({ "name": "for ever" })),
        ("PATCH", "/auth/users/me/", json!({ "email": "root@example.org" })),
        ("POST", "/auth/token/logout/", json!({})),
        ("DELETE", "/auth/sessions/", json!({})),
    ] {
        assert_eq!(ask(method, target, body).await, 403, "{method} {target}");
    }

    // What is theirs alone to change stays.
    for target in ["/accounts/password_change/", "/accounts/email/"] {
        browser.get(target).await;
        let fields = [
            ("email", "x@example.org"),
            ("current_password", crate::harness::PASSWORD),
            ("new_password", "another-0ne-altogether"),
            ("repeated_password", "another-0ne-altogether"),
        ];
        let answer = browser.send(target, &fields).await;
        assert!(answer.text().contains("for them alone to change"), "{}", answer.text());
    }
    browser.get("/accounts/").await;
    let answer = browser.send("/accounts/acting/end/", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/accounts/"));
    let page = browser.get("/accounts/").await.text();
    assert!(page.contains("root@example.org") && !page.contains("acting as"), "{page}");
    assert_ne!(browser.cookies["sessionid"], own, "one's own has another secret");
    service.refuses_soon(&bearer).await;

    let all = audit::search(service.store(), &Search::default(), None, 50).await.expect("answers");
    let told: Vec<_> = all
        .iter()
        .filter(|entry| entry.actor == Some(AccountId::new(2)))
        .map(|entry| (entry.event.as_str(), entry.account.map(AccountId::get)))
        .collect();
    let want = [
        ("impersonation_ended", Some(1)),
        ("sign_in", Some(1)),
        ("impersonation_begun", Some(1)),
        ("sign_in", Some(2)),
    ];
    assert_eq!(told, want);
}

async fn only_the_less_powerful_are_acted_as(engine: Engine) {
    let service = people(engine, ON).await;
    service.account_with("off", |draft| draft.is_active = false).await;
    for (actor, account, status) in [
        ("root", "helper", 302),
        ("root", "root2", 403),
        ("root", "root", 403),
        ("root", "off", 403),
        ("root", "nobody", 403),
        ("helper", "aino", 302),
        ("helper", "clerk", 403),
        ("helper", "root", 403),
        ("clerk", "aino", 404),
        ("aino", "clerk", 404),
    ] {
        let mut browser = Browser::new(&service);
        browser.sign_in(actor).await;
        assert_eq!(act(&mut browser, account).await, status, "{actor} as {account}");
        if status == 302 {
            assert_eq!(act(&mut browser, "aino").await, 409, "one at a time");
        }
    }
    let database = service.stop().await;
    let service = TestService::on(database, &[], crate::harness::START).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    assert_eq!(act(&mut browser, "aino").await, 404, "it is off by default");
}

async fn acting_ends_with_time_right_and_sign_out(engine: Engine) {
    let service = people(engine, ON).await;
    let store = service.store();
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    assert_eq!(act(&mut browser, "aino").await, 302);
    service.pass(30 * 60);
    assert_eq!(browser.get("/accounts/").await.status, 302, "the time is over");

    browser.sign_in("root").await;
    assert_eq!(act(&mut browser, "aino").await, 302);
    let params = [2.into(), false.into(), false.into()];
    let django = service.database.open_as_django(
        "-- name: flags\nUPDATE auth_user SET is_staff = $2, is_superuser = $3 WHERE id = $1;",
    );
    django.write("django.flags", &params).await.expect("is written");
    assert_eq!(browser.get("/accounts/").await.status, 302, "the right is gone");
    let params = [2.into(), true.into(), true.into()];
    django.write("django.flags", &params).await.expect("is written");

    assert_eq!(browser.get("/accounts/").await.status, 200);
    let bearer = browser.get("/auth/token/").await.json();
    let bearer = format!("Bearer {}", bearer["access"].as_str().expect("a token"));
    browser.get("/accounts/").await;
    assert_eq!(browser.send("/accounts/logout/", &[]).await.status, 200);
    service.refuses_soon(&bearer).await;
    let left = store
        .read("sessions.of_account", &[1.into(), service.now().seconds().into(), 10.into()])
        .await;
    assert_eq!(left.expect("answers").len(), 0);
    let left = store
        .read("sessions.of_account", &[2.into(), service.now().seconds().into(), 10.into()])
        .await;
    assert_eq!(left.expect("answers").len(), 1, "the first one, whose cookie is gone");
}

/// The right goes by name: who is of staff and takes a name that is free would have it.
async fn nobody_takes_a_name_that_gives_the_right(engine: Engine) {
    let settings = &[("sessions.acting", "on"), ("sessions.acting_staff", "helper,vacant")];
    let service = people(engine, settings).await;
    let pair = service.sign_in("clerk").await;
    let rename = json!({ "new_username": "vacant", "current_password": PASSWORD });
    let request = Request::new("POST", "/auth/users/set_username/").json(&rename);
    let answer = service.ask(&request.header("Authorization", pair.bearer())).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let newcomer = json!({ "username": "vacant", "email": "v@example.org", "password": PASSWORD });
    let answer = service.post("/auth/users/", &newcomer).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let mut browser = Browser::new(&service);
    browser.sign_in("clerk").await;
    let path = "/sysadmin/auth/user/add/";
    browser.get(path).await;
    let made = browser.send(path, &[("username", "vacant")]).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let aino = "/sysadmin/auth/user/1/change/";
    browser.get(aino).await;
    let renamed = browser.send(aino, &[("do", "edit"), ("username", "vacant")]).await;
    let text = renamed.text();
    assert!(renamed.status == 409 && text.contains("This user name is taken."), "{text}");
    let found = accounts::find_by_username(service.store(), "vacant").await;
    assert_eq!(found.expect("it answers"), None);
    // Superusers are operators.
    browser = Browser::new(&service);
    browser.sign_in("root").await;
    browser.get(path).await;
    assert_eq!(browser.send(path, &[("username", "vacant")]).await.status, 302);
}

async fn tokens_of_acting_end_with_what_the_actor_loses(engine: Engine) {
    let service = people(engine, ON).await;
    let (store, caller) = (service.store(), Caller::default());
    let random = service.service.context.random.as_ref();
    let [root, aino] = [2, 1].map(AccountId::new);
    for measure in ["password", "signed out", "off", "demoted", "promoted", "deleted"] {
        service.pass(1);
        let now = service.now();
        let mut browser = Browser::new(&service);
        browser.sign_in("root").await;
        assert_eq!(act(&mut browser, "aino").await, 302, "{measure}");
        let pair = Pair::of(&browser.get("/auth/token/").await);
        let other = service.sign_in("aino").await;
        assert!(service.admits(&pair.bearer()).await, "{measure}");
        match measure {
            "password" => {
                let hash = service.hash(PASSWORD).await;
                let set = administer::set_password(store, &caller, root, &hash, now);
                set.await.expect("it is set");
            }
            "signed out" => {
                let done = administer::sign_out_everywhere(store, &caller, root, now);
                done.await.expect("it is done");
            }
            "off" => {
                let off = administer::set_active(store, &caller, root, false, now);
                assert!(off.await.expect("it is off"));
            }
            "demoted" => {
                let set = administer::set_rank(store, &caller, root, true, false, now);
                assert!(set.await.expect("it is set"));
            }
            "promoted" => {
                let set = administer::set_rank(store, &caller, aino, true, true, now);
                assert!(set.await.expect("it is set"));
            }
            _ => {
                let gone = administer::delete(store, &caller, Owner::Avain, root, now, random);
                assert_eq!(gone.await.expect("it is gone"), Deleted::Removed);
            }
        }
        service.refuses_soon(&pair.bearer()).await;
        let answer =
            service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await;
        assert_eq!(answer.status, 401, "{measure}: {}", answer.text());
        assert_eq!(browser.get("/auth/token/").await.status, 401, "{measure}");
        assert!(service.admits(&other.bearer()).await, "{measure}: their own go on");
        administer::set_active(store, &caller, root, true, now).await.expect("it is on");
        administer::set_rank(store, &caller, root, true, true, now).await.expect("it is set");
        administer::set_rank(store, &caller, aino, false, false, now).await.expect("it is set");
    }
}

//! What was judged a moment ago counts no more when it has changed since: each test judges, lets somebody
//! else change it, and goes on.

use std::time::Duration;

use avain::account::account::{Account, AccountId};
use avain::account::email::EmailAddress;
use avain::account::password::StoredPassword;
use avain::base::clock::Timestamp;
use avain::base::secret::Secret;
use avain::flow::change_email::EmailChange;
use avain::flow::change_password::{self, ChangeRules, NotChanged};
use avain::flow::profile::{self, Changes};
use avain::flow::{
    Caller, Context, Credentials, Error, Fault, LayoutRules, Refusal, administer, log_in, sessions,
    sign_in,
};
use avain::store::refresh_families::EndReason;
use avain::store::{StoreError, accounts, api_keys};
use avain::token::claims::TokenRules;
use avain::token::credential::Denial;
use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    a_password_that_was_changed_begins_nothing
    a_session_that_was_ended_begins_nothing
    a_password_is_changed_once_on_the_strength_of_the_old_one
    names_and_addresses_do_not_overwrite_each_other
    passwords_hashed_anew_side_by_side_all_count
    a_sign_out_is_never_undone
    signing_out_elsewhere_ends_browser_sessions
}

const LAYOUT: LayoutRules = LayoutRules {
    name: "simplejwt",
    tokens: TokenRules {
        access_lifetime: Duration::from_mins(5),
        refresh_lifetime: Duration::from_hours(1),
        names: false,
        rotation: true,
    },
};

fn credentials(name: &str) -> Credentials {
    Credentials { name: name.to_owned(), password: Secret::new(PASSWORD.to_owned()) }
}

async fn stored(service: &TestService, id: AccountId) -> Account {
    accounts::find_by_id(service.store(), id).await.expect("it reads").expect("it is there")
}

async fn a_password_that_was_changed_begins_nothing(engine: Engine) {
    let service = TestService::start(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let aino = service.account("aino").await;
    let hash = service.hash("another-0ne-altogether").await;
    for (name, id) in [("aino", aino), ("eino", service.account("eino").await)] {
        let check = sign_in::check_password(context, &caller, credentials(name));
        let checked = check.await.expect("it is right");
        let (store, now) = (service.store(), service.now());
        if name == "aino" {
            administer::set_password(store, &caller, id, &hash, now).await.expect("it is set");
        } else {
            administer::set_active(store, &caller, id, false, now).await.expect("it is off");
        }
        let begun = sign_in::begin(context, &LAYOUT, &caller, &checked).await;
        assert!(matches!(begun, Err(Error::Refused(Refusal::WrongCredentials))), "{begun:?}");
        let key = log_in::with_key(context, &caller, checked.account()).await;
        assert!(matches!(key, Err(Error::Refused(Refusal::WrongCredentials))), "{key:?}");
        assert!(api_keys::find_of_account(store, id).await.expect("it reads").is_none());
        let families = avain::flow::families::list(store, id, now).await.expect("it reads");
        assert!(families.is_empty(), "{families:?}");
    }
}

async fn a_session_that_was_ended_begins_nothing(engine: Engine) {
    let service = TestService::start(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let aino = service.account("aino").await;
    for measure in ["password", "signed out everywhere", "signed out", "switched off"] {
        service.pass(1);
        let mut browser = Browser::new(&service);
        browser.sign_in("aino").await;
        let cookie = browser.cookies["sessionid"].clone();
        let found = sessions::find(context, &caller, &cookie).await.expect("it reads");
        let session = found.expect("it is alive");
        let (store, now) = (service.store(), service.now());
        match measure {
            "password" => {
                let hash = service.hash(PASSWORD).await;
                let set = administer::set_password(store, &caller, aino, &hash, now);
                set.await.expect("it is set");
            }
            "signed out everywhere" => {
                let done = administer::sign_out_everywhere(store, &caller, aino, now);
                done.await.expect("it is done");
            }
            "signed out" => {
                sessions::end(context, &caller, &session).await.expect("it ends");
            }
            _ => {
                let off = administer::set_active(store, &caller, aino, false, now);
                assert!(off.await.expect("it is off"));
            }
        }
        let tokens = sessions::tokens(context, &LAYOUT, &caller, &session).await;
        let refused = Refusal::Denied(Denial::NoCredentials);
        assert!(matches!(&tokens, Err(Error::Refused(why)) if *why == refused), "{measure}");
        let families = avain::flow::families::list(store, aino, now).await.expect("it reads");
        assert!(families.is_empty(), "{measure}: {families:?}");
    }
}

async fn change(
    context: &Context,
    judged: &Account,
    to: &str,
) -> Result<StoredPassword, NotChanged> {
    let rules = ChangeRules { judges_password: false, notice: false };
    let (caller, new) = (Caller::default(), Secret::new(to.to_owned()));
    let changed = change_password::change_password(context, &caller, judged, None, new, rules);
    changed.await.expect("it is answered")
}

async fn a_password_is_changed_once_on_the_strength_of_the_old_one(engine: Engine) {
    let service = TestService::start(engine).await;
    let context = &service.service.context;
    let aino = service.account("aino").await;
    let judged = stored(&service, aino).await;
    let owners = change(context, &judged, "the-0wners").await.expect("it is set");
    let thiefs = change(context, &judged, "the-thief5").await;
    assert_eq!(thiefs, Err(NotChanged::WrongPassword));
    assert_eq!(stored(&service, aino).await.password, owners);

    // Nor does a page that has changed it go on when somebody has changed it since.
    let mut browser = Browser::new(&service);
    let judged = stored(&service, aino).await;
    let again = change(context, &judged, PASSWORD).await.expect("it is set");
    browser.sign_in("aino").await;
    let caller = Caller::default();
    let cookie = browser.cookies["sessionid"].clone();
    let session = sessions::find(context, &caller, &cookie).await.expect("it reads");
    let session = session.expect("it is alive");
    let begun = sessions::begin_anew(context, &caller, &session, owners).await;
    assert!(begun.expect("it is answered").is_none());
    let begun = sessions::begin_anew(context, &caller, &session, again).await;
    assert!(begun.expect("it is answered").is_some());
}

async fn names_and_addresses_do_not_overwrite_each_other(engine: Engine) {
    let service = TestService::start(engine).await;
    let context = &service.service.context;
    let caller = Caller::default();
    let aino = service.account("aino").await;
    let before = stored(&service, aino).await;
    let edit = async |changes| {
        profile::edit(context, &caller, &before, &before, changes, &EmailChange::AtOnce).await
    };
    let email = |text| Changes {
        email: Some(Some(EmailAddress::parse(text).expect("an address"))),
        ..Changes::default()
    };
    edit(email("new@example.org")).await.expect("it is answered").expect("it is done");
    let names = Changes { first_name: Some("Aina".to_owned()), ..Changes::default() };
    edit(names).await.expect("it is answered").expect("it is done");
    let now = stored(&service, aino).await;
    assert_eq!((now.first_name.as_str(), now.email.as_str()), ("Aina", "new@example.org"));

    let late = edit(email("late@example.org")).await;
    let lost = matches!(&late, Err(Error::Fault(Fault::Store(StoreError::Retry(_)))));
    assert!(lost, "the address that was judged is gone: {late:?}");
    assert_eq!(stored(&service, aino).await.email, "new@example.org");
}

async fn passwords_hashed_anew_side_by_side_all_count(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let old = stored(&service, aino).await.password;
    // Below this floor: everybody who signs in has it hashed anew.
    let floor = [("passwords.pbkdf2_iterations", "2000"), ("passwords.rehash_below", "2000")];
    let service = TestService::on(service.stop().await, &floor, crate::harness::START).await;
    let context = &service.service.context;
    let caller = Caller::default();
    let one = || sign_in::sign_in(context, &LAYOUT, &caller, credentials("aino"));
    let (a, b, c) = tokio::join!(one(), one(), one());
    for signed_in in [a, b, c] {
        assert!(signed_in.is_ok(), "{signed_in:?}");
    }
    assert_ne!(stored(&service, aino).await.password, old);
}

async fn a_sign_out_is_never_undone(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let (store, now) = (service.store(), service.now());
    let later = now.plus(Duration::from_secs(5));
    for at in [later, now] {
        let mut tx = store.begin("test").await.expect("it begins");
        let ended = accounts::revoke_all_in(&mut tx, aino, EndReason::SignOut, at);
        ended.await.expect("it ends");
        tx.commit().await.expect("it commits");
        let moment = accounts::revoked_before(store, aino).await.expect("it reads");
        assert_eq!(moment.map(Timestamp::millis), Some(later.millis() + 1));
    }
}

async fn signing_out_elsewhere_ends_browser_sessions(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let (mut here, mut there) = (Browser::new(&service), Browser::new(&service));
    here.sign_in("aino").await;
    there.sign_in("aino").await;
    let access = here.get("/auth/token/").await.json()["access"].clone();
    let bearer = format!("Bearer {}", access.as_str().expect("a token"));
    let elsewhere = async |credential: &str| {
        let request = crate::client::Request::new("DELETE", "/auth/sessions/").json(&json!({}));
        let answer = service.ask(&request.header("Authorization", credential)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    };
    elsewhere(&bearer).await;
    assert_eq!(there.get("/auth/token/").await.status, 401, "it is somewhere else");
    assert_eq!(here.get("/auth/token/").await.status, 200, "the one that was kept");
    assert!(service.admits(&bearer).await);

    // A sign-in outside of browsers keeps no session at all, nor does a key.
    let pair = service.sign_in("aino").await;
    elsewhere(&pair.bearer()).await;
    assert_eq!(here.get("/auth/token/").await.status, 401);
    assert!(service.admits(&pair.bearer()).await);
    here.sign_in("aino").await;
    elsewhere(&format!("Token {}", service.api_key(aino).await)).await;
    assert_eq!(here.get("/auth/token/").await.status, 401);
}

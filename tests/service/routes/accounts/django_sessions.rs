//! Sessions that Django keeps in `django_session`: what they are good for here, and what ends them.

use std::time::Duration;

use avain::account::account::AccountId;
use avain::flow::{Caller, Error, LayoutRules, Refusal, administer, families, sessions};
use avain::store::{Store, accounts};
use avain::token::claims::{FamilyId, TokenRules};
use avain::token::credential::Denial;
use serde_json::json;

use crate::browser::Browser;
use crate::client::Request;
use crate::harness::{Engine, Pair, TestService};
use crate::jwt::claims;

on_both_engines! {
    django_s_sessions_count
    they_end_with_all_that_an_account_is_signed_in_to
    one_of_them_goes_on_when_all_others_end
    one_that_has_ended_begins_nothing
    tokens_end_with_the_session_that_gave_them
}

/// The recording is of the account with this id.
const MATTI: AccountId = AccountId::new(4);
const HOUR: u64 = 3600;
/// `SESSION_COOKIE_AGE`, and our own.
const LIFETIME: u64 = 14 * 24 * HOUR;

/// Keys of rows.
const ONE: &str = "1123456789abcdefghijklmnopqrstuv";
const TWO: &str = "2123456789abcdefghijklmnopqrstuv";

/// A service beside a Django that keeps sessions.
struct Beside {
    service: TestService,
    django: Store,
    data: String,
}

impl Beside {
    async fn django(engine: Engine) -> Self {
        let recorded = include_str!("../../../data/django_sessions.json");
        let recorded: serde_json::Value = serde_json::from_str(recorded).expect("our own file");
        let recorded = &recorded["sessions"][0];
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let key = text(&recorded["secret_keys"][0]);
        let secrets = format!("another key of Django's that is no longer used\n{key}");
        let settings = [("account.django_secret_keys", secrets.as_str())];
        let service = TestService::with(engine, &settings).await;
        for name in ["one", "two", "three", "matti"] {
            service.account(name).await;
        }
        let params = [MATTI.get().into(), text(&recorded["password"]).into()];
        service.store().write("accounts.set_password", &params).await.expect("is written");
        let django = service.database.open_as_django(
            "-- name: put\nINSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3) \
                ON CONFLICT (session_key) DO UPDATE SET expire_date = excluded.expire_date;",
        );
        Self { service, django, data: text(&recorded["session_data"]) }
    }

    /// Writes a row that ends in so many seconds.
    async fn put(&self, key: &str, data: &str, ends_in: u64) {
        let ends_at = self.service.now().plus(Duration::from_secs(ends_in));
        let params = [key.into(), data.into(), ends_at.into()];
        self.django.write("django.put", &params).await.expect("is written");
    }

    /// Somebody signs in to Django: a row, and the moment.
    async fn sign_in(&self, key: &str) {
        let (store, now) = (self.service.store(), self.service.now());
        accounts::touch_last_login(store, MATTI, now).await.expect("is noted");
        self.write(key).await;
    }

    /// Django writes a session, or writes it anew.
    async fn write(&self, key: &str) {
        self.put(key, &self.data, LIFETIME).await;
    }

    /// The answer to who asks for tokens in a session.
    async fn tokens(&self, key: &str) -> Option<Pair> {
        let answer = with(&mut Browser::new(&self.service), key).get("/auth/token/").await;
        (answer.status != 401).then(|| Pair::of(&answer))
    }

    async fn sign_out_elsewhere(&self, credential: &str) {
        let request = Request::new("DELETE", "/auth/sessions/").json(&json!({}));
        let answer = self.service.ask(&request.header("Authorization", credential)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}

/// A browser that has this session.
fn with<'b, 's>(browser: &'b mut Browser<'s>, key: &str) -> &'b mut Browser<'s> {
    browser.cookies.insert("sessionid".to_owned(), key.to_owned());
    browser
}

async fn django_s_sessions_count(engine: Engine) {
    let beside = Beside::django(engine).await;
    let (service, data) = (&beside.service, &beside.data);
    beside.put(ONE, data, HOUR).await;
    let forged = "forgedforgedforgedforgedforgedfo";
    beside.put(forged, &data.replace("Njg3", "Njg4"), HOUR).await;
    for unknown in [forged, "x", "../../etc/passwd", "''--"] {
        assert!(beside.tokens(unknown).await.is_none(), "{unknown}");
    }
    let mut browser = Browser::new(service);
    let answer = with(&mut browser, ONE).get("/auth/token/").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(claims(answer.json()["access"].as_str().expect("a token"))["user_id"], "4");
    let again = beside.tokens(ONE).await.expect("it is alive");
    assert_eq!(again.refresh, Pair::of(&answer).refresh, "tabs share it");
    assert!(browser.get("/accounts/").await.text().contains("matti"));
    browser.send("/accounts/logout/", &[]).await;
    assert!(beside.tokens(ONE).await.is_none(), "it is signed out in Django, too");
    beside.put(ONE, data, 10).await;
    service.pass(10);
    assert!(beside.tokens(ONE).await.is_none(), "it has ended");
}

async fn they_end_with_all_that_an_account_is_signed_in_to(engine: Engine) {
    let beside = Beside::django(engine).await;
    let (service, caller) = (&beside.service, Caller::default());
    beside.sign_in(ONE).await;
    assert!(beside.tokens(ONE).await.is_some());
    service.pass(60);
    let (store, now) = (service.store(), service.now());
    administer::sign_out_everywhere(store, &caller, MATTI, now).await.expect("is done");
    assert!(beside.tokens(ONE).await.is_none());
    let answer = with(&mut Browser::new(service), ONE).get("/accounts/").await;
    assert_eq!(answer.header("location"), "/accounts/login/?next=/accounts/");
    // Something in it changes, and Django writes it anew: that is no sign-in.
    service.pass(60);
    beside.write(ONE).await;
    assert!(beside.tokens(ONE).await.is_none(), "nobody has signed in since");

    // Where somebody has, their session counts, and what was not written since does not.
    beside.put(ONE, &beside.data, LIFETIME - 2 * 60).await;
    beside.sign_in(TWO).await;
    assert!(beside.tokens(TWO).await.is_some());
    assert!(beside.tokens(ONE).await.is_none());

    // Off and on again: whoever was signed in before is not.
    service.pass(60);
    for active in [false, true] {
        let set = administer::set_active(store, &caller, MATTI, active, service.now());
        assert!(set.await.expect("is done"));
    }
    assert!(beside.tokens(TWO).await.is_none());
}

async fn one_of_them_goes_on_when_all_others_end(engine: Engine) {
    let beside = Beside::django(engine).await;
    let (service, context) = (&beside.service, &beside.service.service.context);
    beside.sign_in(ONE).await;
    beside.sign_in(TWO).await;
    let pair = beside.tokens(ONE).await.expect("it is alive");
    // By the token that the session gave: that session goes on.
    service.pass(60);
    beside.sign_out_elsewhere(&pair.bearer()).await;
    assert!(beside.tokens(TWO).await.is_none());
    let same = beside.tokens(ONE).await.expect("it was kept");
    assert_eq!(same.refresh, pair.refresh);
    assert!(service.admits(&same.bearer()).await);

    // In the session itself.
    service.pass(60);
    beside.sign_in(TWO).await;
    let other = beside.tokens(TWO).await.expect("it is alive");
    let caller = Caller::default();
    let session = sessions::find(context, &caller, ONE).await.expect("it reads");
    sessions::end_others(context, &caller, &session.expect("alive")).await.expect("is done");
    assert!(beside.tokens(TWO).await.is_none());
    assert_eq!(service.refresh(&other.refresh).await.status, 401);
    let same = beside.tokens(ONE).await.expect("it was kept");
    assert_eq!(same.refresh, pair.refresh);

    // By a sign-in that has nothing to do with Django, and began before.
    let begun_at = service.now().minus(Duration::from_hours(2));
    let kept = Some(FamilyId::begin(begun_at, context.random.as_ref()));
    let ended = families::end_others(service.store(), &caller, MATTI, kept, service.now()).await;
    ended.expect("is done");
    assert!(beside.tokens(ONE).await.is_none());
}

async fn one_that_has_ended_begins_nothing(engine: Engine) {
    let beside = Beside::django(engine).await;
    let (service, context) = (&beside.service, &beside.service.service.context);
    let caller = Caller::default();
    beside.sign_in(ONE).await;
    service.pass(60);
    let found = sessions::find(context, &caller, ONE).await.expect("it reads");
    let session = found.expect("it is alive");
    let (store, now) = (service.store(), service.now());
    administer::sign_out_everywhere(store, &caller, MATTI, now).await.expect("is done");
    let layout = LayoutRules {
        name: "harrastuspassi",
        tokens: TokenRules {
            access_lifetime: Duration::from_mins(5),
            refresh_lifetime: Duration::from_hours(1),
            names: false,
            rotation: false,
        },
    };
    let tokens = sessions::tokens(context, &layout, &caller, &session).await;
    let refused = Refusal::Denied(Denial::NoCredentials);
    assert!(matches!(&tokens, Err(Error::Refused(why)) if *why == refused), "{tokens:?}");
    assert!(families::list(store, MATTI, now).await.expect("it reads").is_empty());
}

async fn tokens_end_with_the_session_that_gave_them(engine: Engine) {
    let beside = Beside::django(engine).await;
    let service = &beside.service;
    beside.sign_in(ONE).await;
    beside.sign_in(TWO).await;
    let (one, two) = (beside.tokens(ONE).await, beside.tokens(TWO).await);
    let (one, two) = (one.expect("it is alive"), two.expect("it is alive"));
    let mut browser = Browser::new(service);
    with(&mut browser, ONE).get("/accounts/").await;
    assert_eq!(browser.send("/accounts/logout/", &[]).await.status, 200);
    service.refuses_soon(&one.bearer()).await;
    assert!(service.admits(&two.bearer()).await);
}

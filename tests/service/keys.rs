//! Signing keys follow the calendar, and nobody notices; an emergency is noticed by those it is about.

use std::time::Duration;

use avain::flow::keys::KeysError;
use avain::store::signing_keys::{KeyState, Purpose};
use avain::token::algorithm::Algorithm;
use avain::token::key::{KeyId, SigningKey};
use serde_json::json;

use crate::harness::{Database, Engine, Pair, START, TestService};
use crate::jwt::{claim, header, sign};

on_both_engines! {
    keys_follow_the_calendar
    of_several_instances_one_takes_each_step
    the_calendar_leaves_imported_keys_alone
    a_key_that_began_by_command_gets_its_time
    from_a_shared_secret_to_a_key_pair_without_signing_anybody_out
    a_killed_key_ends_its_tokens_everywhere
}

const DAY: u64 = 86_400;

/// The keys for tokens: state by id, oldest first.
async fn keys(service: &TestService) -> Vec<(String, KeyState)> {
    let room = service.service.context.key_room();
    let keys = room.list().await.expect("the store answers");
    let of_tokens = keys.into_iter().filter(|key| key.purpose == Purpose::Token);
    of_tokens.map(|key| (key.id, key.state)).collect()
}

async fn states(service: &TestService) -> Vec<KeyState> {
    keys(service).await.into_iter().map(|(_, state)| state).collect()
}

/// The id of the key in force in the memory of the service.
fn in_force(service: &TestService) -> String {
    service.service.context.ring.load().signing().id().to_string()
}

/// Waits until the service signs with another key than `before`.
async fn signs_anew(service: &TestService, before: &str) {
    for _ in 0..200 {
        if in_force(service) != before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{before} goes on signing");
}

async fn keys_follow_the_calendar(engine: Engine) {
    let service = TestService::with(engine, &[("layouts.simplejwt.refresh_lifetime", "30d")]).await;
    service.account("aino").await;
    let first = in_force(&service);
    let pair = service.sign_in("aino").await;
    assert_eq!(header(&pair.access)["kid"], json!(first));

    service.pass(89 * DAY - 1);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Signing], "nothing is due");
    service.pass(1);
    service.background.rotate_now().await;
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Signing, KeyState::Published]);
    let late = service.sign_in("aino").await;
    assert_eq!(header(&late.refresh)["kid"], json!(first), "it does not sign yet");

    service.pass(DAY - 1);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Signing, KeyState::Published]);
    service.pass(1);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Verifying, KeyState::Signing]);
    signs_anew(&service, &first).await;
    let renewed = Pair::of(&service.refresh(&late.refresh).await);
    assert_ne!(header(&renewed.access)["kid"], json!(first));
    assert!(service.admits(&renewed.bearer()).await);

    // The last token of the first key lives for 30 days; five minutes later the key goes.
    service.pass(30 * DAY);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Verifying, KeyState::Signing]);
    service.pass(5 * 60);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Retired, KeyState::Signing]);
}

async fn of_several_instances_one_takes_each_step(engine: Engine) {
    let one = TestService::start(engine).await;
    let other = TestService::on(Database::alike(&one.database), &[], START).await;
    assert_eq!(in_force(&one), in_force(&other));
    let mut at = 0;
    for (day, expected) in [
        (89, vec![KeyState::Signing, KeyState::Published]),
        (90, vec![KeyState::Verifying, KeyState::Signing]),
        (179, vec![KeyState::Retired, KeyState::Signing, KeyState::Published]),
        (180, vec![KeyState::Retired, KeyState::Verifying, KeyState::Signing]),
    ] {
        for service in [&one, &other] {
            service.pass((day - at) * DAY);
        }
        at = day;
        let before = in_force(&one);
        tokio::join!(one.background.rotate_now(), other.background.rotate_now());
        assert_eq!(states(&one).await, expected, "day {day}");
        if expected.contains(&KeyState::Verifying) {
            signs_anew(&one, &before).await;
            signs_anew(&other, &before).await;
            assert_eq!(in_force(&one), in_force(&other));
        }
    }
}

const SECRET: &str = "the secret that Django signs with, long enough";

async fn the_calendar_leaves_imported_keys_alone(engine: Engine) {
    let import = format!("hs256:{SECRET}");
    let service = TestService::with(engine, &[("keys.import", &import)]).await;
    service.pass(1000 * DAY);
    service.background.rotate_now().await;
    assert_eq!(states(&service).await, [KeyState::Signing]);
}

async fn a_key_that_began_by_command_gets_its_time(engine: Engine) {
    let service = TestService::start(engine).await;
    service.pass(89 * DAY);
    service.background.rotate_now().await;
    let context = &service.service.context;
    let by_command = SigningKey::generate(Algorithm::EdDsa, context.random.as_ref());
    context.key_room().add(Purpose::Token, &by_command, false).await.expect("it signs");
    service.pass(DAY);
    service.background.rotate_now().await;
    let signing = async || {
        let keys = keys(&service).await;
        let mut signing = keys.into_iter().filter(|(_, state)| *state == KeyState::Signing);
        signing.next().expect("one signs").0
    };
    assert_eq!(signing().await, by_command.id().as_str(), "though another one was to sign today");
    service.pass(89 * DAY);
    service.background.rotate_now().await;
    assert_ne!(signing().await, by_command.id().as_str());
}

async fn from_a_shared_secret_to_a_key_pair_without_signing_anybody_out(engine: Engine) {
    // What Django has signed, and where it has signed it, is there before we are.
    let import = format!("hs256:{SECRET}");
    let settings = [("keys.import", import.as_str())];
    let service = TestService::with(engine, &settings).await;
    let account = service.account("aino").await;
    let begun = START.seconds() - 60;
    let django = json!({
        "token_type": "refresh", "exp": begun + 3600, "iat": begun, "jti": "of Django",
        "user_id": account.get().to_string(),
    });
    let django = sign(SECRET, &django);
    let ours = service.sign_in("aino").await;
    let before = in_force(&service);

    let context = &service.service.context;
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let before = in_force(&service);
        let key = SigningKey::generate(algorithm, context.random.as_ref());
        context.key_room().add(Purpose::Token, &key, false).await.expect("it signs");
        signs_anew(&service, &before).await;
    }
    assert!(service.admits(&ours.bearer()).await, "access tokens go on");
    for old in [&django, &ours.refresh] {
        let renewed = Pair::of(&service.refresh(old).await);
        assert_eq!(header(&renewed.access)["alg"], json!("RS256"));
        assert!(service.admits(&renewed.bearer()).await);
        let renewed = Pair::of(&service.refresh(&renewed.refresh).await);
        assert!(service.admits(&renewed.bearer()).await);
    }
    service.pass(20 * 365 * DAY);
    service.background.rotate_now().await;
    let imported = keys(&service).await.into_iter().find(|(id, _)| *id == before);
    let (_, state) = imported.expect("it is listed");
    assert_eq!(state, KeyState::Verifying, "only its owner knows when Django's tokens have ended");
}

async fn a_killed_key_ends_its_tokens_everywhere(engine: Engine) {
    let one = TestService::start(engine).await;
    let other = TestService::on(Database::alike(&one.database), &[], START).await;
    one.account("aino").await;
    let pair = one.sign_in("aino").await;
    let leaked = in_force(&one);
    assert!(one.admits(&pair.bearer()).await && other.admits(&pair.bearer()).await);
    let id = KeyId::parse(&leaked).expect("is an id");
    // As the command line does it: through another opening of the database.
    let store = one.database.open();
    let mut room = one.service.context.key_room();
    room.store = &store;
    let successor = room.kill(&id, Algorithm::Es256).await.expect("it is killed");
    let successor = successor.expect("another one signs").to_string();
    for service in [&one, &other] {
        let took = service.refuses_soon(&pair.bearer()).await;
        println!("{engine:?}: what a killed key signed is refused within {took:?}");
        assert!(took < Duration::from_millis(250), "{took:?}");
        let invalid = json!({ "detail": "Token is invalid", "code": "token_not_valid" });
        service.refresh(&pair.refresh).await.is(401, invalid);
        let anew = service.sign_in("aino").await;
        assert_eq!(header(&anew.access)["kid"], json!(successor));
        assert_ne!(claim(&anew.access, "sid"), claim(&pair.access, "sid"));
    }
    match room.kill(&id, Algorithm::Es256).await {
        Err(KeysError::Refused(why)) => assert!(why.ends_with("in use"), "{why}"),
        other => panic!("{other:?}"),
    }
    let mut expected = [(leaked, KeyState::Retired), (successor, KeyState::Signing)];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(keys(&one).await, expected, "made in the same second: by their ids");
}

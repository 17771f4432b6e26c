//! The pool, with what it computed counted instead of timed.

use futures_util::future::poll_immediate;

use super::*;
use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::random::SeededRandom;

const CHEAP: Scheme = Scheme::Argon2id { memory_kib: 64, iterations: 1, lanes: 1 };

fn rules() -> HashingRules {
    HashingRules {
        threads: 2,
        queue: 8,
        scheme: CHEAP,
        floor_iterations: 1_000,
        limits: CostLimits::default(),
    }
}

fn start(rules: HashingRules) -> Arc<Hashing> {
    Hashing::start(rules, Arc::new(SeededRandom::new(1)))
}

/// A stored password without threads and their rules.
fn stored(password: &str, scheme: Scheme) -> StoredPassword {
    let (random, mut memory) = (SeededRandom::new(2), Memory::default());
    StoredPassword::hash(&Secret::from(password), scheme, &random, &mut memory)
}

fn account(password: StoredPassword) -> Account {
    Account {
        id: AccountId::new(3),
        username: "maija".to_owned(),
        email: "maija@example.org".to_owned(),
        first_name: "Maija".to_owned(),
        last_name: "Meikäläinen".to_owned(),
        is_active: true,
        is_staff: false,
        is_superuser: false,
        password,
        date_joined: Timestamp::from_seconds(0),
        last_login: None,
    }
}

async fn check(hashing: &Hashing, password: &str, account: Option<Account>) -> PasswordCheck {
    hashing.check(Secret::from(password), account).await.expect("there is room")
}

#[tokio::test]
async fn the_right_password_proves_itself_and_a_wrong_one_does_not() {
    let hashing = start(rules());
    let maija = account(stored("mattipass", CHEAP));
    let PasswordCheck::Right(checked) = check(&hashing, "mattipass", Some(maija.clone())).await
    else {
        panic!("the password is right")
    };
    assert_eq!(checked.account(), &maija);
    assert_eq!(checked.rehashed(), None);
    assert_eq!(checked.into_account(), maija);
    assert!(matches!(check(&hashing, "Mattipass", Some(maija)).await, PasswordCheck::Wrong));
    assert_eq!(hashing.counts(), HashingCounts { verified: 2, ..HashingCounts::default() });
}

#[tokio::test]
async fn what_cannot_be_compared_costs_a_dummy() {
    let hashing = start(rules());
    let costly =
        "pbkdf2_sha256$5000001$kiinteasuola22merkkia0$+1R+Onlt7PjpuhvGffNejNptQwO1xdpCsHZ3v4ZJj+w=";
    let accounts = [None]
        .into_iter()
        .chain(["!abc", "", "plain", costly].map(|each| Some(StoredPassword::new(each.to_owned()))))
        .map(|stored| stored.map(account));
    for (number, account) in (1..).zip(accounts) {
        assert!(matches!(check(&hashing, "plain", account).await, PasswordCheck::Wrong));
        let expected = HashingCounts { dummies: number, ..HashingCounts::default() };
        assert_eq!(hashing.counts(), expected);
    }
}

#[tokio::test]
async fn a_dummy_does_the_work_of_its_parameters() {
    let hashing = Hashing::idle(rules(), Arc::new(SeededRandom::new(1)));
    let password = Secret::from("mattipass");
    let mut memory = Memory::default();

    // The scheme's Argon2 leaves memory behind; PBKDF2 needs none.
    hashing.0.check(&password, None, &mut memory);
    assert!(!memory.is_empty());
    memory.release();
    hashing.set_dummy(Parameters::Pbkdf2Sha256 { iterations: 1_000 }).expect("a sane cost");
    hashing.0.check(&password, None, &mut memory);
    assert!(memory.is_empty());
    assert_eq!(hashing.counts().dummies, 2);

    let costly = Parameters::Bcrypt { cost: 15 };
    assert_eq!(hashing.set_dummy(costly), Err(NotComputed::TooCostly(costly)));
}

#[tokio::test]
async fn cheaper_rows_are_topped_up_when_the_password_is_wrong() {
    let hashing = start(rules());
    let maija = account(stored("mattipass", Scheme::Pbkdf2Sha256 { iterations: 1_000 }));
    for (dummy, topped_up) in [(1_000, 0), (500, 0), (1_500, 1)] {
        hashing.set_dummy(Parameters::Pbkdf2Sha256 { iterations: dummy }).expect("a sane cost");
        assert!(matches!(check(&hashing, "x", Some(maija.clone())).await, PasswordCheck::Wrong));
        assert_eq!(hashing.counts().topped_up, topped_up);
    }
    assert_eq!(hashing.counts().dummies, 0);
}

#[tokio::test]
async fn a_hash_below_the_floor_is_written_anew_in_the_same_job() {
    let written = Scheme::Pbkdf2Sha256 { iterations: 1_500 };
    let hashing = start(HashingRules { scheme: written, ..rules() });
    let low = account(stored("mattipass", Scheme::Pbkdf2Sha256 { iterations: 999 }));
    assert!(matches!(check(&hashing, "x", Some(low.clone())).await, PasswordCheck::Wrong));
    assert_eq!(hashing.counts().written, 0);
    let PasswordCheck::Right(checked) = check(&hashing, "mattipass", Some(low.clone())).await
    else {
        panic!("the password is right")
    };
    let rehashed = checked.rehashed().expect("999 rounds are below the floor").clone();
    assert!(rehashed.expose().starts_with("pbkdf2_sha256$1500$"));
    assert_eq!(checked.account().password, low.password, "the account is as it was given");

    let raised = Some(account(rehashed));
    let PasswordCheck::Right(checked) = check(&hashing, "mattipass", raised).await else {
        panic!("the new hash is of the same password")
    };
    assert_eq!(checked.rehashed(), None);
}

#[tokio::test]
async fn new_passwords_are_hashed_as_the_rules_say() {
    let hashing = start(rules());
    let stored = hashing.hash(Secret::from("sälasana ☃")).await.expect("there is room");
    assert!(stored.expose().starts_with("argon2$argon2id$v=19$m=64,t=1,p=1$"));
    let checked = check(&hashing, "sälasana ☃", Some(account(stored))).await;
    assert!(matches!(checked, PasswordCheck::Right(_)));
    assert_eq!(hashing.counts().written, 1);
}

#[tokio::test]
async fn what_the_rules_write_is_never_too_costly() {
    let limits = CostLimits { memory_kib: 8, argon2_work: 8, ..CostLimits::default() };
    let hashing = start(HashingRules { limits, ..rules() });
    let stored = hashing.hash(Secret::from("mattipass")).await.expect("there is room");
    let checked = check(&hashing, "mattipass", Some(account(stored))).await;
    assert!(matches!(checked, PasswordCheck::Right(_)));
}

#[tokio::test]
async fn a_full_queue_says_busy_and_forgets_who_left() {
    let hashing =
        Hashing::idle(HashingRules { queue: 2, ..rules() }, Arc::new(SeededRandom::new(1)));
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut check = Box::pin(hashing.check(Secret::from("x"), None));
        assert!(poll_immediate(&mut check).await.is_none());
        waiting.push(check);
    }
    assert_eq!(hashing.queued(), 2);
    assert!(matches!(hashing.check(Secret::from("x"), None).await, Err(Busy)));
    assert_eq!(hashing.hash(Secret::from("x")).await, Err(Busy));

    // One leaves: its job is dropped, and its place is free.
    drop(waiting.pop());
    let mut late = Box::pin(hashing.hash(Secret::from("x")));
    assert!(poll_immediate(&mut late).await.is_none());
    // Another leaves: its job is not computed.
    drop(waiting.pop());
    hashing.spawn();
    assert!(late.await.is_ok());
    assert_eq!(
        hashing.counts(),
        HashingCounts { written: 1, abandoned: 2, ..HashingCounts::default() }
    );
    assert_eq!(hashing.queued(), 0);
}

#[test]
fn dropping_the_pool_ends_its_threads() {
    let hashing = Hashing::idle(rules(), Arc::new(SeededRandom::new(1)));
    let threads = [hashing.spawn(), hashing.spawn()];
    drop(hashing);
    for thread in threads {
        thread.join().expect("a thread of the pool does not panic");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn only_the_hashing_thread_gets_the_lowest_priority() {
    let priority = || rustix::process::getpriority_process(None).expect("priorities can be read");
    let before = priority();
    let lowered = thread::spawn(move || {
        lower_priority();
        priority()
    });
    assert_eq!(lowered.join().expect("reading a priority does not panic"), 19);
    assert_eq!(priority(), before);
}

//! `/sysadmin/auth/user/…/`: one account, and who may change what of whom.

use avain::account::account::{Account, AccountId};
use avain::flow::audit::{self, Search};
use avain::store::accounts;

use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    accounts_are_made_and_changed
    staff_changes_members_alone
    nobody_locks_oneself_out
    keys_sign_ins_and_sessions_are_seen_and_ended
    deleting_shows_first_what_goes
    what_is_not_there_looks_like_the_rest
    stale_forms_are_offered_again
}

/// A superuser, two of staff and a member; signed in as one of them.
pub(super) async fn people(engine: Engine) -> TestService {
    let service = TestService::start(engine).await;
    for (name, is_staff, is_superuser) in [
        ("root", true, true),
        ("boss", true, false),
        ("clerk", true, false),
        ("aino", false, false),
    ] {
        let make = service.account_with(name, |draft| {
            (draft.is_staff, draft.is_superuser) = (is_staff, is_superuser);
        });
        make.await;
    }
    service
}

pub(super) async fn named(service: &TestService, name: &str) -> Account {
    let found = accounts::find_by_username(service.store(), name).await.expect("it answers");
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

pub(super) fn page(id: AccountId, page: &str) -> String {
    format!("/sysadmin/auth/user/{id}/{page}/")
}

/// What happened to an account, newest first: the event, who did it, and details.
pub(super) async fn events(
    service: &TestService,
    account: AccountId,
) -> Vec<(String, Option<i32>, String)> {
    let search = Search { account: Some(account), ..Search::default() };
    let found = audit::search(service.store(), &search, None, 50).await.expect("it answers");
    let told = |entry: audit::Entry| (entry.event, entry.actor.map(AccountId::get), entry.details);
    found.into_iter().map(told).collect()
}

/// Sends a form of a page that was just looked at.
pub(super) async fn send(
    browser: &mut Browser<'_>,
    target: &str,
    fields: &[(&str, &str)],
) -> (u16, String) {
    browser.get(target).await;
    let answer = browser.send(target, fields).await;
    let location = answer.headers.get("location").and_then(|to| to.to_str().ok());
    (answer.status, location.map_or_else(|| answer.text(), str::to_owned))
}

const AINO: &[(&str, &str)] = &[
    ("do", "edit"),
    ("username", "aino2"),
    ("email", "new@example.org"),
    ("first_name", "Helmi"),
    ("last_name", "Virtanen"),
];

async fn accounts_are_made_and_changed(engine: Engine) {
    let service = people(engine).await;
    let root = named(&service, "root").await.id.get();
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let add = "/sysadmin/auth/user/add/";
    let fields = [("username", "uusi"), ("email", "uusi@example.org"), ("is_staff", "on")];
    let (status, to) = send(&mut browser, add, &fields).await;
    let uusi = named(&service, "uusi").await;
    assert_eq!((status, to), (302, format!("{}?done=created", page(uusi.id, "change"))));
    assert!(uusi.is_staff && uusi.is_active && !uusi.is_superuser);
    assert!(uusi.password.expose().starts_with('!'), "it has no password");
    let made = events(&service, uusi.id).await;
    assert_eq!((made[0].0.as_str(), made[0].1), ("account_created", Some(root)));

    // What cannot be made says why, and keeps what was typed.
    for (fields, why) in [
        (vec![("username", "AINO")], "This user name is taken."),
        (vec![("username", "a b")], "at most 150 letters"),
        (vec![("username", ""), ("email", "x@example.org")], "User name: fill this in."),
        (vec![("username", "x"), ("email", "nonsense")], "not an e-mail address"),
        (vec![("username", "x"), ("new_password", "12345")], "The two passwords differ."),
        (
            vec![("username", "x"), ("new_password", "12345"), ("repeated_password", "12345")],
            "too short",
        ),
    ] {
        let (status, text) = send(&mut browser, add, &fields).await;
        assert!(status == 200 && text.contains(why), "{fields:?}: {status} {text}");
        assert!(text.contains(&format!("value=\"{}\"", fields[0].1)) || fields[0].1.is_empty());
        assert!(!text.contains("value=\"12345\""), "{text}");
    }
    let password =
        [("username", "toinen"), ("new_password", PASSWORD), ("repeated_password", PASSWORD)];
    assert_eq!(send(&mut browser, add, &password).await.0, 302);
    Browser::new(&service).sign_in("toinen").await;

    let aino = named(&service, "aino").await;
    let change = page(aino.id, "change");
    assert_eq!(send(&mut browser, &change, AINO).await, (302, format!("{change}?done=saved")));
    let changed = named(&service, "aino2").await;
    assert_eq!(
        (changed.email.as_str(), changed.last_name.as_str()),
        ("new@example.org", "Virtanen")
    );
    let told: Vec<_> = events(&service, aino.id).await.into_iter().take(3).collect();
    let names: std::collections::BTreeSet<_> = told.iter().map(|told| told.0.as_str()).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["account_changed", "email_change", "username_change"]
    );
    assert!(told.iter().all(|told| told.1 == Some(root)), "{told:?}");
    let taken = [("do", "edit"), ("username", "boss"), ("email", "other@example.org")];
    let (status, text) = send(&mut browser, &change, &taken).await;
    assert!(status == 409 && text.contains("This user name is taken."), "{text}");
    assert_eq!(named(&service, "aino2").await.email, "new@example.org", "all or nothing");

    // Off and on, out everywhere, another password.
    let pair = service.sign_in("aino2").await;
    let (status, _) = send(&mut browser, &change, &[("do", "deactivate")]).await;
    assert_eq!((status, named(&service, "aino2").await.is_active), (302, false));
    service.refuses_soon(&pair.bearer()).await;
    send(&mut browser, &change, &[("do", "activate")]).await;
    let pair = service.sign_in("aino2").await;
    let (_, to) = send(&mut browser, &change, &[("do", "sign_out")]).await;
    assert_eq!(to, format!("{change}?done=sign_out"));
    assert!(browser.get(&to).await.text().contains("signed out everywhere"));
    service.refuses_soon(&pair.bearer()).await;
    let new = [
        ("new_password", "another-0ne-altogether"),
        ("repeated_password", "another-0ne-altogether"),
    ];
    let (_, to) = send(&mut browser, &page(aino.id, "password"), &new).await;
    assert_eq!(to, format!("{change}?done=password"));
    let told = events(&service, aino.id).await;
    assert_eq!((told[0].0.as_str(), told[0].1), ("password_change", Some(root)));
    let (_, to) = send(&mut browser, &change, &[("do", "rank"), ("is_staff", "on")]).await;
    assert_eq!(to, format!("{change}?done=rank"));
    assert!(named(&service, "aino2").await.is_staff);
    let told = events(&service, aino.id).await;
    assert_eq!(
        told[0],
        ("account_changed".to_owned(), Some(root), "{\"rank\":\"staff\"}".to_owned())
    );
}

/// Who may do what to whom: every form of every page of an account.
async fn staff_changes_members_alone(engine: Engine) {
    let service = people(engine).await;
    service.account("bertta").await;
    let forms: [(&str, &[(&str, &str)]); 9] = [
        ("change", AINO),
        ("change", &[("do", "deactivate")]),
        ("change", &[("do", "activate")]),
        ("change", &[("do", "sign_out")]),
        ("change", &[("do", "unlock")]),
        ("change", &[("do", "rank"), ("is_staff", "on"), ("is_superuser", "on")]),
        ("access", &[("key", "classic")]),
        (
            "password",
            &[
                ("new_password", "another-0ne-altogether"),
                ("repeated_password", "another-0ne-altogether"),
            ],
        ),
        ("delete", &[]),
    ];
    let (root, clerk, aino) = (
        named(&service, "root").await,
        named(&service, "clerk").await,
        named(&service, "aino").await,
    );
    let mut staff = Browser::new(&service);
    staff.sign_in("boss").await;
    let mut member = Browser::new(&service);
    member.sign_in("bertta").await;
    let mut nobody = Browser::new(&service);
    for subject in [&root, &clerk, &aino] {
        service.api_key(subject.id).await;
        for (name, fields) in forms {
            let target = page(subject.id, name);
            let login = format!("/sysadmin/login/?next={target}");
            assert_eq!(send(&mut nobody, &target, fields).await, (302, login));
            assert_eq!(send(&mut member, &target, fields).await.0, 403);
            if subject.id == aino.id && fields.first() != Some(&("do", "rank")) {
                continue;
            }
            let (status, text) = send(&mut staff, &target, fields).await;
            assert_eq!(status, 403, "{} {name} {fields:?}", subject.username);
            assert!(text.contains("That is for a superuser to do."), "{text}");
        }
        let kept = named(&service, &subject.username).await;
        assert!(kept == *subject, "{} stays as it was", subject.username);
        assert_eq!(staff.get(&page(subject.id, "change")).await.status, 200, "looking is allowed");
    }
    let text = staff.get(&page(root.id, "change")).await.text();
    assert!(text.contains("only a superuser may change it"), "{text}");
    assert!(!text.contains("value=\"rank\"") && !text.contains("value=\"deactivate\""), "{text}");
    let new = [("username", "mole"), ("is_superuser", "on")];
    assert_eq!(send(&mut staff, "/sysadmin/auth/user/add/", &new).await.0, 403);
    assert_eq!(send(&mut staff, "/sysadmin/auth/user/add/", &new[..1]).await.0, 302);
    assert!(!named(&service, "mole").await.is_superuser);
    // Members are staff's to change, in each of these ways.
    for (name, fields) in &forms[1..8] {
        if fields.first() != Some(&("do", "rank")) {
            let (status, text) = send(&mut staff, &page(aino.id, name), fields).await;
            assert_eq!(status, 302, "{name} {fields:?} {text}");
        }
    }
    assert_eq!(send(&mut staff, &page(aino.id, "delete"), &[]).await.0, 302);
    assert!(accounts::find_by_id(service.store(), aino.id).await.expect("answers").is_none());
}

async fn nobody_locks_oneself_out(engine: Engine) {
    let service = people(engine).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let root = named(&service, "root").await;
    let change = page(root.id, "change");
    for (target, fields) in [
        (&change, vec![("do", "deactivate")]),
        (&change, vec![("do", "rank"), ("is_staff", "on")]),
        (&change, vec![("do", "rank"), ("is_superuser", "on")]),
        (&page(root.id, "delete"), vec![]),
    ] {
        let (status, text) = send(&mut browser, target, &fields).await;
        assert_eq!(status, 409, "{fields:?}");
        assert!(text.contains("cannot be done to your own account"), "{text}");
    }
    let new = [
        ("new_password", "another-0ne-altogether"),
        ("repeated_password", "another-0ne-altogether"),
    ];
    let target = page(root.id, "password");
    browser.get(&change).await;
    assert_eq!(browser.send(&target, &new).await.status, 409);
    assert!(named(&service, "root").await == root);
}

async fn keys_sign_ins_and_sessions_are_seen_and_ended(engine: Engine) {
    let service = people(engine).await;
    let aino = named(&service, "aino").await;
    let key = service.api_key(aino.id).await;
    let pair = service.sign_in("aino").await;
    let mut theirs =
        Browser::new(&service).header("User-Agent", "Mozilla/5.0 (X11; Linux) Firefox/140.0");
    theirs.sign_in("aino").await;
    theirs.get("/accounts/keys/").await;
    let made = theirs.send("/accounts/keys/", &[("name", "Laptop"), ("life", "604800")]).await;
    assert!(made.text().contains("avn_"), "{}", made.text());
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let access = page(aino.id, "access");
    let text = browser.get(&access).await.text();
    assert!(text.contains("Laptop") && text.contains("Firefox, Linux"), "{text}");
    assert!(text.contains(&key[..8]) && !text.contains(&key), "a key is never shown again");
    let value = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\"")).expect("a button");
        rest.split('"').next().expect("a value").to_owned()
    };
    let (family, session) = (value(&text, "family"), value(&text, "session"));
    let own = text.split("name=\"key\" value=\"").nth(2).expect("two keys");
    let own = own.split('"').next().expect("an id").to_owned();
    for (name, id) in
        [("key", "classic"), ("key", &own), ("family", &family), ("session", &session)]
    {
        let (status, to) = send(&mut browser, &access, &[(name, id)]).await;
        assert_eq!((status, to), (302, format!("{access}?done=ended")), "{name}");
        let (status, _) = send(&mut browser, &access, &[(name, id)]).await;
        assert_eq!(status, 404, "{name}: once");
    }
    service.refuses_soon(&pair.bearer()).await;
    service.refuses_soon(&format!("Token {key}")).await;
    assert_eq!(theirs.get("/accounts/").await.status, 302);
    for odd in [vec![], vec![("key", "x")], vec![("family", "x")], vec![("session", "00")]] {
        assert_eq!(send(&mut browser, &access, &odd).await.0, 404, "{odd:?}");
    }
    let boss = named(&service, "boss").await.id.get();
    let ended: Vec<_> = events(&service, aino.id).await.into_iter().take(4).collect();
    assert!(ended.iter().all(|event| event.1 == Some(boss)), "{ended:?}");
}

async fn deleting_shows_first_what_goes(engine: Engine) {
    let service = people(engine).await;
    let aino = named(&service, "aino").await;
    let key = service.api_key(aino.id).await;
    service.sign_in("aino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let target = page(aino.id, "delete");
    let text = browser.get(&target).await.text();
    assert!(text.contains("Deleting aino cannot be undone."), "{text}");
    assert!(text.contains(&format!("<code>{}", &key[..8])), "{text}");
    let (status, to) = send(&mut browser, &target, &[]).await;
    assert_eq!((status, to.as_str()), (302, "/sysadmin/auth/user/?done=deleted"));
    assert!(browser.get(&to).await.text().contains("The account is deleted."));
    assert_eq!(browser.get(&target).await.status, 404);
}

async fn what_is_not_there_looks_like_the_rest(engine: Engine) {
    let service = people(engine).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    for id in ["999999", "0", "-1", "x", "99999999999999999999", "1%00"] {
        for name in ["change", "access", "password", "delete"] {
            let answer = browser.get(&format!("/sysadmin/auth/user/{id}/{name}/")).await;
            assert_eq!(answer.status, 404, "{id} {name}");
            assert!(answer.text().contains("There is nothing here"), "{}", answer.text());
        }
    }
    assert_eq!(browser.get("/sysadmin/none/").await.status, 404);
}

async fn stale_forms_are_offered_again(engine: Engine) {
    let service = people(engine).await;
    let aino = named(&service, "aino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let change = page(aino.id, "change");
    for stale in [vec![], vec![("csrfmiddlewaretoken", "x")]] {
        let fields: Vec<_> = stale.iter().chain(AINO).copied().collect();
        let answer = browser.send_bare(&change, &fields).await;
        assert_eq!(answer.status, 403);
        let text = answer.text();
        assert!(text.contains("Please send the form once more"), "{text}");
        assert!(text.contains("value=\"aino2\"") && text.contains("value=\"Helmi\""), "{text}");
        assert!(text.contains("type=\"hidden\" name=\"do\" value=\"edit\""), "{text}");
    }
    let new = [
        ("new_password", "another-0ne-altogether"),
        ("repeated_password", "another-0ne-altogether"),
    ];
    let answer = browser.send_bare(&page(aino.id, "password"), &new).await;
    assert!(answer.status == 403 && !answer.text().contains("altogether"), "{}", answer.text());
    assert!(named(&service, "aino").await == aino);
    // Sent again from that page it counts.
    browser.send_bare(&change, AINO).await;
    assert_eq!(browser.send(&change, AINO).await.status, 302);
}

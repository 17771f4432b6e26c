//! A right that was taken away while somebody was about to use it does nothing: each test judges who may do
//! something, lets somebody else change that, and goes on.

use avain::account::account::Account;
use avain::account::email::EmailAddress;
use avain::base::secret::Secret;
use avain::flow::change_email::{self, EmailChange};
use avain::flow::clients::{ClientDraft, ClientError};
use avain::flow::profile::{self, Changes};
use avain::flow::steward::{Newcomer, NotDone, Particulars, Steward};
use avain::flow::{
    Caller, Error, Refusal, acting, administer, change_username, families, obtain_key,
    personal_keys, sessions,
};
use avain::store::{accounts, api_keys};
use avain::token::client::{ClientId, ClientScopes, Grant};
use avain::token::credential::Denial;
use avain::token::terms::Terms;

use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, START, TestService};

on_both_engines! {
    who_is_of_staff_no_more_changes_nothing
    who_has_risen_meanwhile_is_left_alone
    of_two_who_demote_each_other_one_is_left
    staff_of_djosers_endpoints_is_judged_alike
    who_has_lost_the_password_changes_nothing_of_their_own
    who_may_act_no_more_does_not_begin_to
}

async fn named(service: &TestService, name: &str) -> Account {
    let found = accounts::find_by_username(service.store(), name).await.expect("it reads");
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

async fn rank(service: &TestService, account: &Account, is_staff: bool, is_superuser: bool) {
    let (store, caller, now) = (service.store(), Caller::default(), service.now());
    let set = administer::set_rank(store, &caller, account.id, is_staff, is_superuser, now);
    assert!(set.await.expect("it is set"), "it was another");
}

/// A superuser, somebody of staff, and a member who has one of everything.
async fn people(engine: Engine) -> TestService {
    let service = TestService::start(engine).await;
    for (name, is_staff, is_superuser) in
        [("root", true, true), ("boss", true, false), ("aino", false, false)]
    {
        let ranked = |draft: &mut administer::AccountDraft| {
            (draft.is_staff, draft.is_superuser) = (is_staff, is_superuser);
        };
        service.account_with(name, ranked).await;
    }
    let aino = named(&service, "aino").await;
    service.api_key(aino.id).await;
    let wish = personal_keys::Wish { name: "laptop".to_owned(), terms: Terms::default() };
    let (context, caller) = (&service.service.context, Caller::default());
    let made = context.cabinet(&caller).make(aino.id, wish, None).await.expect("it is answered");
    made.expect("it is made");
    service.sign_in("aino").await;
    Browser::new(&service).sign_in("aino").await;
    service
}

/// Everything that a steward could do to an account; all of it is refused.
async fn all_is_refused(steward: &Steward<'_>, service: &TestService, account: &Account) {
    let belongings = steward.belongings(account).await.expect("it reads");
    let (family, key) = (belongings.families[0].id, belongings.keys[0].id);
    let session = belongings.sessions[0].session.digest;
    let refused = Err(NotDone::NotAllowed);
    let particulars = Particulars {
        username: "renamed".to_owned(),
        email: EmailAddress::parse("moved@example.org").ok(),
        first_name: "Helmi".to_owned(),
        last_name: "Virtanen".to_owned(),
    };
    let password = || Secret::new("another-0ne-altogether".to_owned());
    let answered = "the store answers";
    assert_eq!(steward.edit(account, particulars).await.expect(answered), refused);
    assert_eq!(steward.set_rank(account, true, true).await.expect(answered), refused);
    assert_eq!(steward.set_active(account, false).await.expect(answered), refused);
    assert_eq!(steward.set_active(account, true).await.expect(answered), refused);
    assert_eq!(steward.set_password(account, password()).await.expect(answered), refused);
    assert_eq!(steward.sign_out_everywhere(account).await.expect(answered), refused);
    let unlocked = steward.unlock(account).await.expect(answered);
    assert_eq!(unlocked, Err(NotDone::NotAllowed));
    let ended = steward.revoke_classic_key(account).await.expect(answered);
    assert_eq!(ended, Err(NotDone::NotAllowed));
    let ended = steward.revoke_key(account, key).await.expect(answered);
    assert_eq!(ended, Err(NotDone::NotAllowed));
    let ended = steward.end_family(account, family).await.expect(answered);
    assert_eq!(ended, Err(NotDone::NotAllowed));
    let ended = steward.end_session(account, &session).await.expect(answered);
    assert_eq!(ended, Err(NotDone::NotAllowed));
    let deleted = steward.delete(account).await.expect(answered);
    assert_eq!(deleted, Err(NotDone::NotAllowed));
    let made = steward.make_classic_key(account).await.expect(answered);
    assert!(matches!(made, Err(NotDone::NotAllowed)), "{made:?}");

    let (store, context) = (service.store(), &service.service.context);
    let kept = accounts::find_by_id(store, account.id).await.expect("it reads");
    let kept = kept.expect("it is there");
    assert_eq!((&kept.username, &kept.email), (&account.username, &account.email));
    assert_eq!((kept.is_active, &kept.password), (true, &account.password));
    assert!(api_keys::find_of_account(store, account.id).await.expect("it reads").is_some());
    assert_eq!(families::list(store, account.id, service.now()).await.expect("it reads").len(), 1);
    assert_eq!(sessions::list(context, account).await.expect("it reads").len(), 1);
}

async fn who_is_of_staff_no_more_changes_nothing(engine: Engine) {
    let service = people(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let (boss, aino) = (named(&service, "boss").await, named(&service, "aino").await);
    for lost in ["rank", "password", "account"] {
        let boss = accounts::find_by_id(service.store(), boss.id).await.expect("it reads");
        let boss = boss.expect("it is there");
        let steward = context.steward(&caller, &boss).expect("boss is of staff");
        let (store, now) = (service.store(), service.now());
        match lost {
            "rank" => rank(&service, &boss, false, false).await,
            "password" => {
                let hash = service.hash("another-0ne-altogether").await;
                let set = administer::set_password(store, &caller, boss.id, &hash, now);
                set.await.expect("it is set");
            }
            _ => {
                let off = administer::set_active(store, &caller, boss.id, false, now);
                assert!(off.await.expect("it is off"));
            }
        }
        all_is_refused(&steward, &service, &aino).await;
        let particulars = Particulars {
            username: "mole".to_owned(),
            email: None,
            first_name: String::new(),
            last_name: String::new(),
        };
        let mole = Newcomer { particulars, password: None, rank: (false, false) };
        let made = steward.create(mole).await.expect("the store answers");
        assert_eq!(made, Err(NotDone::NotAllowed), "{lost}");
        if lost == "rank" {
            rank(&service, &boss, true, false).await;
        }
    }

    // A superuser who is of staff alone by now makes nobody powerful, and drops no mail.
    let root = named(&service, "root").await;
    let steward = context.steward(&caller, &root).expect("root is of staff");
    let room = steward.clients().expect("root is a superuser");
    let id = ClientId::parse("reports").expect("it is an id");
    let client = ClientDraft {
        id: id.clone(),
        name: "Reports".to_owned(),
        scopes: ClientScopes::default(),
        grants: vec![Grant::ClientCredentials],
        account: None,
    };
    room.create(client.clone()).await.expect("root is a superuser yet");
    rank(&service, &root, true, false).await;
    let powerful = ClientDraft { account: Some(root.id), ..client };
    assert!(matches!(room.edit(powerful).await, Err(ClientError::NotAllowed)));
    assert_eq!(
        steward.set_rank(&aino, true, true).await.expect("the store answers"),
        Err(NotDone::NotAllowed)
    );
    let particulars = Particulars {
        username: "mole".to_owned(),
        email: None,
        first_name: String::new(),
        last_name: String::new(),
    };
    let mole = Newcomer { particulars, password: None, rank: (true, true) };
    let made = steward.create(mole).await.expect("the store answers");
    assert_eq!(made, Err(NotDone::NotAllowed));
    assert!(matches!(room.disable(&id).await, Err(ClientError::NotAllowed)));
    let dropped = steward.drop_mail("0").await.expect("the store answers");
    assert_eq!(dropped, Err(NotDone::NotAllowed));
    assert!(!named(&service, "aino").await.is_staff);
}

async fn who_has_risen_meanwhile_is_left_alone(engine: Engine) {
    let service = people(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let (boss, aino) = (named(&service, "boss").await, named(&service, "aino").await);
    let steward = context.steward(&caller, &boss).expect("boss is of staff");
    for (is_staff, is_superuser) in [(true, false), (true, true), (false, true)] {
        rank(&service, &aino, is_staff, is_superuser).await;
        all_is_refused(&steward, &service, &aino).await;
    }
    rank(&service, &aino, false, false).await;
    assert_eq!(steward.set_active(&aino, false).await.expect("the store answers"), Ok(()));
    assert!(!named(&service, "aino").await.is_active);
}

/// Whoever is first has taken the other's right away; were both judged before, none would be left.
async fn of_two_who_demote_each_other_one_is_left(engine: Engine) {
    let service = people(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let (one, two) = (named(&service, "root").await, named(&service, "boss").await);
    rank(&service, &two, true, true).await;
    for _ in 0..10 {
        let (root, boss) = (named(&service, "root").await, named(&service, "boss").await);
        let by_root = context.steward(&caller, &root).expect("root is of staff");
        let by_boss = context.steward(&caller, &boss).expect("boss is of staff");
        let both = tokio::join!(
            by_root.set_rank(&boss, false, false),
            by_boss.set_rank(&root, false, false),
        );
        let both = [both.0.expect("it is answered"), both.1.expect("it is answered")];
        assert_eq!(both.iter().filter(|done| done.is_ok()).count(), 1, "{both:?}");
        let demoted = if both[0].is_ok() { &two } else { &one };
        rank(&service, demoted, true, true).await;
    }
}

/// `PATCH` and `DELETE` of `/auth/users/<id>/`.
async fn staff_of_djosers_endpoints_is_judged_alike(engine: Engine) {
    let service = people(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let (boss, aino) = (named(&service, "boss").await, named(&service, "aino").await);
    let both_refused = async || {
        let email = EmailAddress::parse("moved@example.org").ok();
        let changes = Changes { email: Some(email), ..Changes::default() };
        let how = EmailChange::AtOnce;
        let edited = profile::edit(context, &caller, &boss, &aino, changes, &how).await;
        let refusal =
            |done| matches!(done, Err(Error::Refused(Refusal::Denied(Denial::Forbidden))));
        assert!(refusal(edited.map(drop)));
        let password = Secret::new(PASSWORD.to_owned());
        let deleted = profile::delete(context, &caller, &boss, &aino, password).await;
        assert!(refusal(deleted.map(drop)));
        assert_eq!(named(&service, "aino").await.email, "aino@example.org");
    };
    rank(&service, &aino, true, false).await;
    both_refused().await;
    rank(&service, &aino, false, false).await;
    rank(&service, &boss, false, false).await;
    both_refused().await;
    rank(&service, &boss, true, false).await;
    let password = Secret::new(PASSWORD.to_owned());
    let deleted = profile::delete(context, &caller, &boss, &aino, password).await;
    assert!(deleted.expect("it is answered"));
}

/// A password that was judged a moment ago is no proof once it is another: whoever had it does not delete the
/// account that its owner has just saved.
async fn who_has_lost_the_password_changes_nothing_of_their_own(engine: Engine) {
    let service = people(engine).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let judged = named(&service, "aino").await;
    let hash = service.hash("the-0wners-choice").await;
    let (store, now) = (service.store(), service.now());
    let set = administer::set_password(store, &caller, judged.id, &hash, now);
    set.await.expect("it is set");
    let refused =
        |done| matches!(done, Err(Error::Refused(Refusal::Denied(Denial::NoCredentials))));
    let password = Secret::new(PASSWORD.to_owned());
    let deleted = profile::delete(context, &caller, &judged, &judged, password).await;
    assert!(refused(deleted.map(drop)));
    let email = EmailAddress::parse("moved@example.org").ok();
    let changes = Changes { email: Some(email), ..Changes::default() };
    let how = EmailChange::AtOnce;
    let edited = profile::edit(context, &caller, &judged, &judged, changes, &how).await;
    assert!(refused(edited.map(drop)));
    let new = EmailAddress::parse("moved@example.org").expect("an address");
    let moved = change_email::change(context, &caller, &judged, &new, &how, None, false).await;
    assert!(refused(moved.map(drop)));
    let renamed = change_username::rename(context, &caller, &judged, "other", false, None).await;
    assert!(refused(renamed.map(drop)));
    let cabinet = context.own_cabinet(&caller, &judged);
    let key = cabinet.list(judged.id).await.expect("it reads")[0].id;
    let wish = || personal_keys::Wish { name: "thief's".to_owned(), terms: Terms::default() };
    assert!(refused(cabinet.make(judged.id, wish(), None).await.map(drop)));
    assert!(refused(cabinet.upgrade(judged.id, wish(), None).await.map(drop)));
    assert!(refused(cabinet.rotate(judged.id, key, None, None).await.map(drop)));
    assert!(refused(cabinet.edit(judged.id, key, wish()).await.map(drop)));
    assert!(refused(obtain_key::make(context, &caller, &judged).await.map(drop)));
    assert_eq!(cabinet.list(judged.id).await.expect("it reads").len(), 1);
    assert!(api_keys::find_of_account(store, judged.id).await.expect("it reads").is_some());
    let kept = named(&service, "aino").await;
    assert_eq!((kept.email.as_str(), kept.is_active), ("aino@example.org", true));
    assert_eq!(kept.username, "aino");

    let password = Secret::new("the-0wners-choice".to_owned());
    let deleted = profile::delete(context, &caller, &kept, &kept, password).await;
    assert!(deleted.expect("it is answered"));
}

async fn who_may_act_no_more_does_not_begin_to(engine: Engine) {
    let settings = [("sessions.acting", "on")];
    let service = TestService::on(people(engine).await.stop().await, &settings, START).await;
    let (context, caller) = (&service.service.context, Caller::default());
    let (root, aino) = (named(&service, "root").await, named(&service, "aino").await);
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let found = sessions::find(context, &caller, &browser.cookies["sessionid"]).await;
    let session = found.expect("it reads").expect("it is alive");
    rank(&service, &root, true, false).await;
    let begun = acting::begin(context, &caller, &session, "aino").await.expect("it is answered");
    assert!(matches!(begun, Err(acting::NotActing::Refused)), "{begun:?}");
    // Nor does it begin once they may again.
    rank(&service, &root, true, true).await;
    assert_eq!(sessions::list(context, &aino).await.expect("it reads").len(), 1);
}

//! A service beside a Django that goes on changing accounts and keys in its own tables.

use avain::account::account::AccountId;
use avain::store::triggers;
use serde_json::json;

use crate::django_site::django;
use crate::harness::{Database, Engine, PASSWORD, Pair, START, TestService, plan};
use crate::support::block_on;

/// How long what the gate knows is believed where Django has no triggers, in seconds.
const RECHECK: u64 = 5;

/// A site of Django's, and a service beside it.
async fn beside_django(has_triggers: bool) -> TestService {
    let database = Database::fresh(Engine::Postgres).await;
    django(&database.url, &["migrate"]);
    let service = TestService::on(database, &[("accounts.recheck", "5s")], START).await;
    if has_triggers {
        let plan = plan(&service.database, &[]);
        triggers::install(plan.options()).await.expect("the owner may");
    }
    // The service looks for triggers now and then, and at its start.
    TestService::on(service.stop().await, &[("accounts.recheck", "5s")], START).await
}

/// An account that the gate has met, by a token and by a classic key.
struct Met {
    account: AccountId,
    pair: Pair,
    key: String,
}

async fn met(service: &TestService, name: &str) -> Met {
    let account = service.account_with(name, |draft| draft.is_staff = true).await;
    let pair = service.sign_in(name).await;
    let key = format!("Token {}", service.api_key(account).await);
    assert!(service.admits(&pair.bearer()).await && service.admits(&key).await);
    Met { account, pair, key }
}

const DEACTIVATE: &str = "matti.is_active = False; matti.save(update_fields=['is_active'])";
const DELETE: &str = "matti.delete()";
const DELETE_KEY: &str = "Token.objects.filter(user=matti).delete()";
const PASSWORD_CHANGE: &str = "matti.set_password('another'); matti.save()";

async fn forgotten(service: &TestService, met: Met) {
    let beside = crate::support::connect(&service.database.url).await;
    let id = met.account.get();
    let rename = format!("UPDATE auth_user SET username = 'former-{id}' WHERE id = {id}");
    beside.batch_execute(&rename).await.expect("it is renamed");
}

#[test]
fn what_django_changes_counts_at_once_where_it_has_triggers() {
    block_on(async {
        let service = beside_django(true).await;
        let bystander = met(&service, "bystander").await;
        for (change, ends_token, ends_key) in [
            (PASSWORD_CHANGE, true, false),
            (DEACTIVATE, true, true),
            (DELETE_KEY, false, true),
            ("matti.last_name = 'x'; matti.save()", false, false),
            (DELETE, true, true),
        ] {
            let matti = met(&service, "matti").await;
            django(&service.database.url, &["do", change]);
            if ends_token {
                service.refuses_soon(&matti.pair.bearer()).await;
            }
            if ends_key {
                service.refuses_soon(&matti.key).await;
            }
            assert_eq!(service.admits(&matti.pair.bearer()).await, !ends_token, "{change}");
            assert_eq!(service.admits(&matti.key).await, !ends_key, "{change}");
            let refreshed = service.refresh(&matti.pair.refresh).await.status;
            assert_eq!(refreshed, if ends_token { 401 } else { 200 }, "{change}");
            assert!(service.admits(&bystander.key).await, "{change}");
            forgotten(&service, matti).await;
        }
    });
}

/// What a look at the account and at the key shows is seen, and that a password is another one than a token began with.
#[test]
fn without_triggers_it_counts_when_it_is_looked_at_again() {
    block_on(async {
        let service = beside_django(false).await;
        for (change, ends_token, ends_key) in [
            (PASSWORD_CHANGE, true, false),
            (DEACTIVATE, true, true),
            (DELETE_KEY, false, true),
            (DELETE, true, true),
        ] {
            let matti = met(&service, "matti").await;
            django(&service.database.url, &["do", change]);
            service.pass(RECHECK + 1);
            assert_eq!(service.admits(&matti.pair.bearer()).await, !ends_token, "{change}");
            assert_eq!(service.admits(&matti.key).await, !ends_key, "{change}");
            let refreshed = service.refresh(&matti.pair.refresh).await.status;
            assert_eq!(refreshed, if ends_token { 401 } else { 200 }, "{change}");
            forgotten(&service, matti).await;
        }
        // What Django gives counts as well, and its passwords do.
        let create = format!("User.objects.create_user('liisa', password='{PASSWORD}')");
        django(&service.database.url, &["do", &create]);
        let credentials = json!({ "username": "liisa", "password": PASSWORD });
        assert_eq!(service.post("/api/token/", &credentials).await.status, 200);
    });
}

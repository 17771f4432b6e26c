//! What staff may do with the accounts of others.

use serde_json::{Value, json};

use crate::site::{Engine, PASSWORD, Site};

on_both_engines! {
    staff_changes_members_alone
}

/// Whoever could move somebody's mail address could then reset the password: djoser lets all of staff.
async fn staff_changes_members_alone(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (plain, key) = site.account("aino", "aino@example.org").await;
    let (root, chief) = site.account_with("root", "root@example.org", true, true).await;
    let (_, staff) = site.account_with("eero", "eero@example.org", true, false).await;
    let (peer, _) = site.account_with("ilta", "ilta@example.org", true, false).await;
    let of = |id| format!("/auth/users/{id}/");
    let moved = json!({ "email": "moved@example.org" });
    let deletion = json!({ "current_password": PASSWORD });

    for (id, email) in [(root, "root@example.org"), (peer, "ilta@example.org")] {
        assert_eq!(site.ask("GET", &of(id), &staff, &Value::Null).await.status, 200);
        for (method, body) in [("PATCH", &moved), ("PUT", &moved), ("DELETE", &deletion)] {
            let answer = site.ask(method, &of(id), &staff, body).await;
            let why = "You do not have permission to perform this action.";
            answer.is(403, json!({ "detail": why }));
        }
        assert_eq!(site.stored(id).await.email, email);
    }
    assert_eq!(site.ask("PATCH", &of(peer), &chief, &moved).await.status, 200);

    assert_eq!(site.ask("PATCH", &of(root), &key, &moved).await.status, 404);
    assert_eq!(site.ask("PATCH", &of(plain), &staff, &moved).await.status, 200);
    assert_eq!(site.ask("DELETE", &of(plain), &chief, &deletion).await.status, 204);
}

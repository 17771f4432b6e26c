//! What staff may do with the accounts of others.

use serde_json::{Value, json};

use crate::site::{Engine, PASSWORD, Site};

on_both_engines! {
    staff_changes_others_but_no_superuser
}

/// Whoever could move a superuser's mail address could then reset the password: djoser lets them.
async fn staff_changes_others_but_no_superuser(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (plain, key) = site.account("aino", "aino@example.org").await;
    let (root, chief) = site.account_with("root", "root@example.org", true, true).await;
    let (_, staff) = site.account_with("eero", "eero@example.org", true, false).await;
    let of = |id| format!("/auth/users/{id}/");
    let moved = json!({ "email": "moved@example.org" });
    let deletion = json!({ "current_password": PASSWORD });

    assert_eq!(site.ask("GET", &of(root), &staff, &Value::Null).await.status, 200);
    for (method, body) in [("PATCH", &moved), ("PUT", &moved), ("DELETE", &deletion)] {
        let answer = site.ask(method, &of(root), &staff, body).await;
        answer.is(403, json!({ "detail": "You do not have permission to perform this action." }));
    }
    assert_eq!(site.stored(root).await.email, "root@example.org");

    assert_eq!(site.ask("PATCH", &of(root), &key, &moved).await.status, 404);
    assert_eq!(site.ask("PATCH", &of(plain), &staff, &moved).await.status, 200);
    assert_eq!(site.ask("DELETE", &of(plain), &chief, &deletion).await.status, 204);
}

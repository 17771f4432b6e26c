//! Samples of what the templates of the administration are given.

use serde_json::{Value, json};

/// As [`super::samples`], of the administration.
pub(super) fn samples() -> Vec<(&'static str, Value)> {
    let form = json!({ "values": {}, "errors": {}, "summary": [] });
    let button = json!({ "name": "", "value": "", "text": "", "label": "" });
    let table = json!({
        "columns": ["", "", "", "", ""],
        "rows": [[{ "text": "", "href": "" }, { "tags": [""] }, { "moment": 0 }, { "code": "" }, { "buttons": [button] }]],
    });
    let with = |more: &Value| {
        let mut view = json!({ "current": "accounts", "done": "", "form": form });
        for (name, value) in more.as_object().into_iter().flatten() {
            view[name] = value.clone();
        }
        view
    };
    let of_account = |more: &Value| {
        let mut view = with(more);
        view["subject"] = json!({
            "id": 1, "username": "", "is_active": true, "is_staff": true, "is_superuser": true,
            "joined": 0, "last_login": 0,
        });
        for name in ["may_change", "may_rank"] {
            view[name] = true.into();
        }
        view["act"] = "/".into();
        view["is_oneself"] = false.into();
        view
    };
    let choice = json!({ "value": "", "text": "", "chosen": true });
    let belongings = json!({
        "classic_key": "0123abcd", "keys": [""], "families": 1, "sessions": 1, "addresses": 1,
        "clients": [""],
    });
    vec![
        (
            "administration/front.html",
            with(&json!({
                "is_well": true, "mode": "", "mode_age": 0, "engine": "", "schema": "", "answered": "0.1",
                "version": "", "signing": { "id": "", "algorithm": "" }, "known": 0, "hashing": 0,
                "mail": { "waiting": 0, "failed": 0, "oldest": 0 }, "is_live": false, "live": 10,
                "charts": [{ "title": "", "most": 0, "series": [{ "name": "allowed", "text": "", "total": 0, "path": "M0 0" }] }],
            })),
        ),
        (
            "administration/list.html",
            with(&json!({
                "title": "", "table": table, "actions": [{ "text": "", "href": "" }],
                "asks": [{ "do": "", "text": "", "name": "", "label": "" }],
                "secret": { "text": "", "secret": "" },
                "filters": [{ "name": "", "label": "", "value": "" }, { "name": "", "label": "", "options": [choice] }],
                "previous": "", "next": "",
            })),
        ),
        ("administration/account.html", of_account(&json!({ "page": "change" }))),
        (
            "administration/account_new.html",
            with(&json!({ "may_rank": true, "needs_email": true, "minimum": 8 })),
        ),
        (
            "administration/account_access.html",
            of_account(
                &json!({ "page": "access", "keys": table, "families": table, "sessions": table }),
            ),
        ),
        (
            "administration/account_password.html",
            of_account(&json!({ "page": "password", "minimum": 8 })),
        ),
        (
            "administration/client.html",
            with(&json!({
                "title": "", "client": { "id": "", "is_on": true, "created": 0, "used": 0 },
                "grants": [{ "name": "grant_", "text": "", "is_ticked": true }], "secret": "",
                "may_change": true, "overlaps": [choice],
            })),
        ),
        (
            "administration/account_delete.html",
            of_account(&json!({ "page": "delete", "belongings": belongings })),
        ),
    ]
}

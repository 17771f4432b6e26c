//! `/sysadmin/keys/`: the keys that sign tokens.

use super::account::{people, send};
use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    another_key_signs_and_a_key_is_killed
}

const KEYS: &str = "/sysadmin/keys/";

/// The id of the key that signs.
fn signing(service: &TestService) -> String {
    service.service.context.ring.load().signing().id().to_string()
}

async fn another_key_signs_and_a_key_is_killed(engine: Engine) {
    let service = people(engine).await;
    let old = signing(&service);
    let pair = service.sign_in("aino").await;
    let mut staff = Browser::new(&service);
    staff.sign_in("boss").await;
    assert!(staff.get(KEYS).await.text().contains(&old));
    let kill = [("do", "kill"), ("key_id", old.as_str())];
    for fields in [&[("do", "rotate")][..], &kill] {
        assert_eq!(send(&mut staff, KEYS, fields).await.0, 403);
    }
    let mut root = Browser::new(&service);
    root.sign_in("root").await;
    let rotated = send(&mut root, KEYS, &[("do", "rotate")]).await;
    assert_eq!(rotated, (302, format!("{KEYS}?done=rotated")));
    service.settled().await;
    assert_ne!(signing(&service), old);
    assert!(service.admits(&pair.bearer()).await, "nobody is signed out");
    assert_eq!(send(&mut root, KEYS, &kill).await, (302, format!("{KEYS}?done=killed")));
    service.refuses_soon(&pair.bearer()).await;
    let (status, text) = send(&mut root, KEYS, &kill).await;
    assert!(status == 409 && text.contains("not in the state for that"), "{text}");
    let (status, text) = send(&mut root, KEYS, &[("do", "kill")]).await;
    assert!(status == 200 && text.contains("Write the id of the key"), "{text}");
}

//! `avain mail …` and what `avain check` says about mail.

use std::path::Path;
use std::process::{Command, Output};

use avain::store::outbox;
use tempfile::TempDir;

use crate::harness::{Engine, block_on};
use crate::office::{MASTER, Office, person};

fn avain(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_avain"))
        .env_clear()
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
    (output.status.code().expect("it exits"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn mails_are_listed_retried_and_dropped() {
    block_on(async {
        let office = Office::new(Engine::Sqlite).await;
        office.write_many(2).await;
        // An address that Django accepts and no mail can be sent to.
        office.write(&format!("{}@example.org", "a".repeat(70))).await;
        let folder = TempDir::new().expect("a folder can be made");
        let url = format!("database.url={}", office.options.url.expose());
        let master = format!("keys.master={MASTER}");
        let run = |arguments: &[&str]| {
            let common = ["--set", &url, "--set", &master, "mail"];
            said(&avain(folder.path(), &[&common, arguments].concat()))
        };
        let (code, list, _) = run(&["list", "--json"]);
        assert_eq!((code, list.lines().count()), (0, 3), "{list}");
        assert!(!list.contains("example.org"), "addresses are not shown: {list}");
        let mails: Vec<serde_json::Value> =
            list.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        let failed = mails.iter().find(|mail| mail["state"] == "failed").expect("there is one");
        assert_eq!(failed["last_error"], "the address cannot stand in a mail");
        let (_, list, _) = run(&["list", "--state", "queued"]);
        assert_eq!(list.lines().count(), 2, "{list}");
        assert!(list.contains("password_reset"), "{list}");

        let id = mails.iter().find(|mail| mail["state"] == "queued").expect("there is one");
        let id = id["id"].as_str().expect("a text");
        assert_eq!(run(&["retry", id]).0, 0);
        assert_eq!(run(&["retry", failed["id"].as_str().expect("a text")]).0, 1);
        let (code, out, _) = run(&["retry", "--all"]);
        assert_eq!((code, out.starts_with("2 mails")), (0, true), "{out}");
        assert_eq!(run(&["drop", id]).0, 0);
        assert_eq!(run(&["drop", id]).0, 1);
        assert_eq!(outbox::depth(&office.store).await.expect("tells").waiting, 1);
        office.write_decoy().await;
        for format in [&["list"][..], &["list", "--json"]] {
            let (_, list, _) = run(format);
            assert!(list.contains("decoy") && !list.contains("nothing"), "{list}");
        }
        for wrong in [
            &["retry"][..],
            &["list", "--state", "x"],
            &["render", "--out", "x", "--language", "de"],
        ] {
            assert_eq!(run(wrong).0, 64, "{wrong:?}");
        }
        drop(person(0));
    });
}

#[test]
fn every_mail_is_rendered_for_a_look() {
    let folder = TempDir::new().expect("a folder can be made");
    let (code, out, _) = said(&avain(folder.path(), &["mail", "render", "--out", "look"]));
    assert_eq!((code, out.starts_with("30 mails")), (0, true), "{out}");
    let text = std::fs::read_to_string(folder.path().join("look/sv/activation.txt"));
    assert!(text.expect("it is there").starts_with("Subject: Aktivera ditt konto på localhost\n"));
    assert!(folder.path().join("look/fi/email_changed.html").exists());
    assert!(!folder.path().join("avain.db").exists(), "no database is needed");
}

#[test]
fn broken_templates_are_told_by_check_and_do_not_stop_the_service() {
    let folder = TempDir::new().expect("a folder can be made");
    std::fs::create_dir_all(folder.path().join("own/fi")).expect("can be made");
    std::fs::write(folder.path().join("own/fi/activation.txt"), "Moi\n{{ user.nmae }}\n")
        .expect("can be written");
    let arguments = ["--set", "mail.templates=own", "check", "--offline"];
    let (code, _, errors) = said(&avain(folder.path(), &arguments));
    assert_eq!(code, 64);
    assert!(
        errors.contains("mail.templates: own/fi/activation.txt, line 2: undefined value"),
        "{errors}"
    );
    let arguments = ["--set", "mail.templates=nowhere", "check", "--offline"];
    let (code, _, errors) = said(&avain(folder.path(), &arguments));
    assert_eq!(code, 64);
    assert!(errors.contains("mail.templates: cannot read nowhere"), "{errors}");
}

#[test]
fn wrong_settings_are_told_at_once() {
    let folder = TempDir::new().expect("a folder can be made");
    let wrong = [
        "mail.transport=sendmail",
        "mail.tls=ssl",
        "mail.from=nobody\r\nBcc: evil@example.net",
        "mail.language=de",
        "mail.user=avain",
        "site.domain=example.org/path",
        "site.protocol=ftp",
        "site.name=a\nb",
    ];
    let mut arguments = Vec::new();
    for setting in wrong {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["check", "--offline"]);
    let (code, _, errors) = said(&avain(folder.path(), &arguments));
    assert_eq!(code, 64);
    for setting in wrong {
        let name = setting.split('=').next().expect("it has a name");
        assert!(errors.contains(&format!("avain: {name}: ")), "{name}: {errors}");
    }
}

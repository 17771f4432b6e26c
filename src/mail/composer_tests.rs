//! Tests of the composer: see `composer.rs`.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn site() -> Site {
    Site {
        name: "Harrastuspassi".to_owned(),
        domain: "harrastuspassi.example".to_owned(),
        protocol: "https".to_owned(),
    }
}

fn user() -> MailUser<'static> {
    SAMPLES[0]
}

fn compose(composer: &Composer, message: Message, user: &MailUser<'_>) -> Rendered {
    composer.compose(&sample(message, Language::English, user)).expect("can be written")
}

fn overridden(files: &[(&str, &str)]) -> (Composer, Vec<String>) {
    let folder = TempDir::new().expect("a folder can be made");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("can be made");
        std::fs::write(path, text).expect("can be written");
    }
    let (composer, faults) =
        Composer::with_overrides(site(), folder.path()).expect("the folder can be read");
    let told = faults.iter().map(|fault| {
        let name = fault.file.strip_prefix(folder.path()).map(PathBuf::from);
        TemplateFault { file: name.expect("it lies there"), ..fault.clone() }.to_string()
    });
    (composer, told.collect())
}

#[test]
fn every_mail_can_be_written_in_every_language() {
    let composer = Composer::new(site());
    for language in Language::ALL {
        for message in Message::ALL {
            for user in &SAMPLES {
                let draft = sample(message, language, user);
                let mail = composer.compose(&draft).expect("can be written");
                let place = format!("{language}/{message}");
                for part in [&mail.subject, &mail.text, &mail.html] {
                    assert!(part.contains("Harrastuspassi"), "{place}: {part}");
                    assert!(!part.contains("{{") && !part.contains("{%"), "{place}: {part}");
                }
                for part in [&mail.text, &mail.html] {
                    assert_eq!(message.has_link(), part.contains("sample-token"), "{place}");
                }
                assert!(!mail.subject.contains('\n') && !mail.text.contains("\n\n\n"), "{place}");
                assert!(mail.html.contains(&format!("<html lang=\"{language}\">")), "{place}");
            }
        }
    }
}

/// CONTRACT.md 6.
#[test]
fn english_subjects_are_those_of_djoser() {
    let composer = Composer::new(site());
    for (message, subject) in [
        (Message::Activation, "Account activation on Harrastuspassi"),
        (
            Message::ActivationDone,
            "Harrastuspassi - Your account has been successfully created and activated!",
        ),
        (Message::PasswordReset, "Password reset on Harrastuspassi"),
        (Message::PasswordChanged, "Harrastuspassi - Your password has been successfully changed!"),
        (Message::UsernameReset, "Username reset on Harrastuspassi"),
        (Message::UsernameChanged, "Harrastuspassi - Your username has been successfully changed!"),
    ] {
        assert_eq!(compose(&composer, message, &user()).subject, subject);
    }
}

#[test]
fn links_lead_to_the_configured_site() {
    let composer = Composer::new(site());
    let mail = compose(&composer, Message::PasswordReset, &user());
    let link = "https://harrastuspassi.example/#/password/reset/confirm/MQ/sample-token";
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    assert!(mail.html.contains(&format!("<a href=\"{link}\"")), "{}", mail.html);

    let mut draft = sample(Message::Activation, Language::English, &SAMPLES[0]);
    let url = "https://app.example/activate?uid=MQ&token=t";
    draft.link = Some(Link { url, uid: "MQ", token: "t" });
    let mail = composer.compose(&draft).expect("can be written");
    assert!(mail.text.lines().any(|line| line == url), "a whole URL stays: {}", mail.text);
    assert!(mail.html.contains("href=\"https://app.example/activate?uid=MQ&amp;token=t\""));
}

#[test]
fn the_contracts_variables_are_there() {
    let (composer, faults) = overridden(&[(
        "en/activation.txt",
        "{{ user.username }}|{{ user.first_name }}|{{ user.last_name }}|{{ user.email }}|{{ domain }}|\
         {{ site_name }}|{{ url }}|{{ uid }}|{{ token }}|{{ protocol }}",
    )]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(
        compose(&composer, Message::Activation, &user()).text,
        "maija.meikalainen|Maija|Meikäläinen|maija@example.org|harrastuspassi.example|Harrastuspassi|\
         #/activate/MQ/sample-token|MQ|sample-token|https\n"
    );
}

#[test]
fn html_is_escaped_and_text_is_not() {
    let (composer, faults) = overridden(&[
        ("en/activation.txt", "{{ user.first_name }} {{ site_name }}"),
        ("en/activation.html", "{{ user.first_name }} <b title='{{ user.last_name }}'>"),
    ]);
    assert_eq!(faults, [""; 0]);
    let name = "<script>alert(1)</script>&\"'";
    let user = MailUser { first_name: name, last_name: "' onclick='x", ..user() };
    let mail = compose(&composer, Message::Activation, &user);
    assert_eq!(mail.text, format!("{name} Harrastuspassi\n"));
    assert_eq!(
        mail.html,
        "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39; <b title='&#39; onclick=&#39;x'>"
    );
}

#[test]
fn nothing_that_people_choose_breaks_a_line() {
    let odd = "Maija\r\nBcc: evil@example.net\u{2028}\u{202e}\u{0}x";
    let site = Site { name: format!("Site\r\nBcc: e@x.y{odd}"), ..site() };
    let folder = TempDir::new().expect("a folder can be made");
    std::fs::create_dir(folder.path().join("en")).expect("can be made");
    let subject = "{{ site_name }} {{ user.username }}\n{{ user.first_name }}\r\nX: y";
    std::fs::write(folder.path().join("en/activation.subject"), subject).expect("can be written");
    let (composer, faults) =
        Composer::with_overrides(site, folder.path()).expect("the folder can be read");
    assert_eq!(faults, []);
    let user = MailUser { username: odd, first_name: odd, last_name: odd, email: odd };
    for message in Message::ALL {
        let mail = compose(&composer, message, &user);
        assert!(!mail.subject.contains(char::is_control), "{:?}", mail.subject);
        for line in mail.text.lines().chain(mail.html.lines()) {
            assert!(!line.starts_with("Bcc:"), "{line}");
        }
        assert!(!mail.text.contains(['\u{2028}', '\u{202e}', '\0']), "{}", mail.text);
    }
    assert!(compose(&composer, Message::Activation, &user).subject.ends_with("X: y"));
}

#[test]
fn people_are_greeted_by_what_is_a_name_and_nothing_else() {
    let composer = Composer::new(site());
    let greeting = |first_name: &str| {
        let user = MailUser { first_name, ..user() };
        let mail = compose(&composer, Message::Activation, &user);
        mail.text.lines().next().expect("it has lines").to_owned()
    };
    assert_eq!(greeting("Maija"), "Hello Maija,");
    assert_eq!(greeting("  Jean-Luc O'Neill "), "Hello Jean-Luc O'Neill,");
    let long = "a".repeat(41);
    for odd in ["", "Win at evil.example", "https://evil.example", "100 €", "a@b", "x\ny", &long]
    {
        assert_eq!(greeting(odd), "Hello,", "{odd}");
    }
}

#[test]
fn one_file_can_be_replaced_and_the_rest_stays() {
    let (composer, faults) = overridden(&[
        ("fi/activation.subject", "Moi {{ user.username }}"),
        ("parts/words.txt", "Osa {{ site_name }}"),
        ("fi/activation.txt", "{% include 'parts/words.txt' %}"),
        (".hidden", "{% nonsense"),
        ("fi/activation.txt~", "{% nonsense"),
    ]);
    assert_eq!(faults, [""; 0]);
    let draft = sample(Message::Activation, Language::Finnish, &SAMPLES[0]);
    let mail = composer.compose(&draft).expect("can be written");
    assert_eq!(
        (mail.subject.as_str(), mail.text.as_str()),
        ("Moi maija.meikalainen", "Osa Harrastuspassi\n")
    );
    assert!(mail.html.contains("Aktivoi tili"));
    assert_eq!(
        compose(&composer, Message::Activation, &user()).subject,
        "Account activation on Harrastuspassi"
    );
}

#[test]
fn a_base_can_be_replaced() {
    let (composer, faults) =
        overridden(&[("base.txt", "{% block content %}{% endblock %} / {{ domain }}")]);
    assert_eq!(faults, [""; 0]);
    let mail = compose(&composer, Message::ActivationDone, &user());
    assert!(mail.text.ends_with("Welcome! / harrastuspassi.example\n"), "{}", mail.text);
}

#[test]
fn broken_templates_are_told_with_their_line_and_left_out() {
    let plain = Composer::new(site());
    for (name, text, told) in [
        (
            "en/activation.txt",
            "a\nb {{ user.username \n",
            "en/activation.txt, line 2: syntax error: ",
        ),
        (
            "en/activation.txt",
            "\n\n{{ user.nickname }}",
            "en/activation.txt, line 3: undefined value",
        ),
        ("en/activation.html", "\n{{ usr }}", "en/activation.html, line 2: undefined value"),
        ("en/activation.html", "{{ uid | shout }}", "en/activation.html, line 1: unknown filter: "),
        (
            "en/activation.txt",
            "{% extends 'nowhere.txt' %}",
            "en/activation.txt, line 1: template not found",
        ),
        (
            "en/activation.txt",
            "a\n{% for x in 5 %}{% endfor %}",
            "en/activation.txt, line 2: invalid operation",
        ),
        (
            "en/activation.subject",
            " \n{# nothing #}\n",
            "en/activation.subject: invalid operation: the subject is empty",
        ),
        ("base.txt", "\n{{ oops }}", "base.txt, line 2: undefined value"),
        (
            "en/base.html",
            "{% extends 'base.html' %}\n{% block footer %}{{ oops }}{% endblock %}",
            "en/base.html, line 2: undefined value",
        ),
        ("en/activaton.txt", "x", "en/activaton.txt: no mail is made of `activaton.txt`; "),
    ] {
        let (composer, faults) = overridden(&[(name, text), ("fi/activation.subject", "Moi")]);
        let [fault] = faults.as_slice() else { panic!("{name}: {faults:?}") };
        assert!(fault.starts_with(told), "{fault}");
        for message in Message::ALL {
            let mails = [&composer, &plain].map(|composer| compose(composer, message, &user()));
            assert_eq!(mails[0], mails[1], "{name}: the built-in one takes its place");
        }
        let draft = sample(Message::Activation, Language::Finnish, &SAMPLES[0]);
        assert_eq!(composer.compose(&draft).expect("can be written").subject, "Moi", "{name}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let (_, faults) = overridden(&[
        ("base.html", "{{ one }}"),
        ("en/activation.txt", "{% two"),
        ("sv/password_reset.subject", "{{ three }}"),
        ("sv/password_reset.html", "{{ site_name }} {{ user.four }}"),
    ]);
    assert_eq!(faults.len(), 4, "{faults:?}");
}

/// A fault that samples do not show.
#[test]
fn a_template_that_fails_at_a_mail_is_replaced_for_that_mail() {
    let text = "{% if user.username == 'boom' %}{{ oops }}{% endif %}mine";
    let (composer, faults) = overridden(&[("en/activation.txt", text)]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(compose(&composer, Message::Activation, &user()).text, "mine\n");
    let user = MailUser { username: "boom", ..user() };
    assert!(compose(&composer, Message::Activation, &user).text.contains("Welcome"));
}

#[test]
fn files_that_are_no_text_are_told() {
    let folder = TempDir::new().expect("a folder can be made");
    std::fs::write(folder.path().join("base.txt"), b"\xff\xfe").expect("can be written");
    std::fs::write(folder.path().join("big.html"), vec![b'x'; 1 << 21]).expect("can be written");
    let (_, faults) = Composer::with_overrides(site(), folder.path()).expect("can be read");
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(Composer::with_overrides(site(), &folder.path().join("missing")).is_err());
}

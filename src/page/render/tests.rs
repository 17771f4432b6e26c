use std::collections::BTreeSet;

use super::*;

fn look() -> Look {
    Look {
        site: "Site & Co".to_owned(),
        colour: Colour::parse("#1a5f8a").expect("is one"),
        time_zone: TimeZone::named("Europe/Helsinki").expect("is one"),
        languages: Language::ALL.to_vec(),
        places: Places {
            account: "/accounts".to_owned(),
            administration: "/sysadmin".to_owned(),
            authtoken: "/sysadmin/authtoken".to_owned(),
        },
        registration: true,
    }
}

fn frame(language: Language) -> Frame<'static> {
    let (csrf, path) = ("secret", "/accounts/login/");
    Frame { language, csrf, path, account: None, actor: None, may_administer: false }
}

#[test]
fn all_texts_that_templates_name_are_there() {
    for (file, text) in templates::BUILT_IN {
        for named in text.split("t(\"").skip(1) {
            let name = named.split('"').next().unwrap_or_default();
            // `t("rules." ~ name)` is put together.
            let whole = !name.ends_with(['.', '_']);
            assert!(!whole || texts::text(Language::English, name).is_some(), "{file}: {name}");
        }
    }
}

#[test]
fn samples_are_shown_in_every_language() {
    let (renderer, account) = (Renderer::new(look()), sample_account());
    for (template, view) in samples() {
        for language in Language::ALL {
            let frame = Frame { account: Some(&account), ..frame(language) };
            let page = renderer.page(template, &frame, &view);
            let page = page.unwrap_or_else(|error| panic!("{template}: {error}"));
            assert!(page.contains(&format!("<html lang=\"{language}\">")), "{template}");
            assert!(page.contains("Site &amp; Co"), "{template}");
            assert!(page.len() < 30_000, "{template}: {} bytes", page.len());
            for forbidden in ["<script", " style=\"", " onclick", "javascript:"] {
                assert!(!page.contains(forbidden), "{template}: {forbidden}");
            }
        }
    }
}

/// Whatever page for members an operator writes anew is tried before it is shown.
#[test]
fn every_page_has_a_sample() {
    let sampled: BTreeSet<&str> = samples().into_iter().map(|(name, _)| name).collect();
    let is_part = |name: &&str| {
        *name == "base.html" || name.ends_with("parts.html") || name.ends_with("frame.html")
    };
    let pages = templates::BUILT_IN.iter().map(|(name, _)| *name);
    let pages: BTreeSet<&str> = pages.filter(|name| !is_part(name)).collect();
    assert_eq!(sampled, pages);
}

/// What rendering each page takes: `cargo test --lib cost_of_pages -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and shows"]
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement to be read")]
fn cost_of_pages() {
    const ROUNDS: u32 = 200;
    let (renderer, account) = (Renderer::new(look()), sample_account());
    let frame = Frame { account: Some(&account), ..frame(Language::Finnish) };
    for (template, view) in samples() {
        let started = std::time::Instant::now();
        for _ in 0..ROUNDS {
            renderer.page(template, &frame, &view).expect("is shown");
        }
        println!("{template:24} {:?}", started.elapsed() / ROUNDS);
    }
}

#[test]
fn the_policy_allows_the_style_that_is_there() {
    let renderer = Renderer::new(look());
    let (template, view) = samples().remove(2);
    let page = renderer.page(template, &frame(Language::English), &view).expect("is shown");
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let (style, _) = style.expect("there is one");
    let digest = STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
    let policy = renderer.content_policy(Some("https://ui.example.org"));
    assert!(policy.contains(&format!("style-src 'sha256-{digest}'")), "{policy}");
    assert!(policy.contains("form-action 'self' https://ui.example.org;"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(style.contains("--accent: #1a5f8a;") && !style.contains("/*"), "{style}");
}

#[test]
fn what_somebody_typed_stays_text() {
    let renderer = Renderer::new(look());
    let view = json!({
        "next": "\"><script>alert(1)</script>",
        "administration": false,
        "by_email": false,
        "form": {
            "values": { "username": "\" autofocus onfocus=\"x" },
            "errors": { "username": ["<b>"] },
            "summary": [],
        },
    });
    let page = renderer.page("sign_in.html", &frame(Language::English), &view).expect("is shown");
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("value=\"&quot; autofocus onfocus=&quot;x\""), "{page}");
    assert!(page.contains("&lt;b&gt;"), "{page}");
    assert!(page.contains("aria-invalid=\"true\""), "{page}");
}

#[test]
fn moments_are_told_in_local_time() {
    let mut environment = templates::built_in(&look().time_zone);
    environment.add_template("x.html", "{{ at | when }} {{ at | moment }}").expect("compiles");
    let at = Timestamp::from_seconds(1_795_000_000);
    let shown = environment
        .get_template("x.html")
        .and_then(|found| found.render(context! { at => at.seconds() }));
    assert_eq!(shown.expect("is shown"), "2026-11-18 13:06 2026-11-18T11:06:40Z");
}

#[test]
fn an_operators_template_takes_the_place_of_ours_and_one_that_fails_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("can be written");
    };
    write("sign_out.html", "Goodbye {{ site }}");
    write("sign_in.html", "fine so far\n{% if %}");
    write("stale.html", "one\ntwo {{ no_such_thing.at_all }}");
    write("unknown.html", "");
    std::fs::create_dir(folder.path().join("parts")).expect("can be made");
    std::fs::write(folder.path().join("parts/mine.html"), "mine").expect("can be written");
    let (renderer, faults) =
        Renderer::with_overrides(look(), folder.path()).expect("the folder can be read");
    let told: BTreeSet<String> = faults
        .iter()
        .map(|fault| {
            let file = fault.file.file_name().expect("a name").to_string_lossy().into_owned();
            format!("{file}:{}", fault.line.unwrap_or(0))
        })
        .collect();
    let want = ["sign_in.html:2", "stale.html:2", "unknown.html:0"].map(str::to_owned);
    assert_eq!(told, BTreeSet::from(want), "{faults:?}");
    let page = |template: &str| {
        let view = samples().into_iter().find(|(name, _)| *name == template).expect("a sample").1;
        renderer.page(template, &frame(Language::English), &view).expect("is shown")
    };
    assert_eq!(page("sign_out.html"), "Goodbye Site &amp; Co");
    assert!(page("sign_in.html").contains("<h1>Sign in</h1>"));
    assert!(page("stale.html").contains("<h1>"));
}

//! What holds for every row of the layouts of tokens (CONTRACT.md 1): methods, slashes, negotiation, bodies.

use std::fmt::Write as _;

use avain::dialect::Endpoint;
use avain::http::routes::Methods;
use serde_json::{Value, json};

use crate::client::Request;
use crate::harness::{Engine, TestService};
use crate::support::block_on;

/// The paths in the route table, each with the value of its `Allow`.
fn rows(service: &TestService) -> Vec<(String, Methods, Endpoint)> {
    let layouts = ["harrastuspassi", "simplejwt", "metax"];
    let routes = service.service.router.routes().iter();
    let routes = routes.filter(|route| layouts.contains(&route.rules.name));
    let rows: Vec<_> =
        routes.map(|route| (route.path.clone(), route.methods, route.endpoint)).collect();
    assert_eq!(rows.len(), 7, "a new row needs its own test under routes/, too");
    rows
}

/// Both spellings of a path.
fn spellings(path: &str) -> [String; 2] {
    [path.to_owned(), format!("{path}/")]
}

fn every_row(test: &impl AsyncFn(&TestService, &str, Methods, Endpoint)) {
    every_row_with(&[], test);
}

fn every_row_with(
    settings: &[(&str, &str)],
    test: &impl AsyncFn(&TestService, &str, Methods, Endpoint),
) {
    block_on(async {
        let service = TestService::with(Engine::Sqlite, settings).await;
        for (path, methods, endpoint) in rows(&service) {
            for target in spellings(&path) {
                test(&service, &target, methods, endpoint).await;
            }
        }
    });
}

/// What is said about the fields that an endpoint requires.
fn required(endpoint: Endpoint, sentence: &str) -> Value {
    let fields: &[&str] = match endpoint {
        Endpoint::ObtainPair | Endpoint::ObtainKey => &["username", "password"],
        Endpoint::RefreshPair | Endpoint::BlacklistToken => &["refresh"],
        Endpoint::VerifyToken => &["token"],
        other => panic!("{other:?} belongs to no layout of tokens"),
    };
    fields
        .iter()
        .map(|field| ((*field).to_owned(), json!([sentence])))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn other_methods_are_not_allowed() {
    every_row(&async |service, target, methods, _| {
        let allow = match methods {
            Methods::Post => "POST, OPTIONS",
            Methods::GetPost => "GET, POST, HEAD, OPTIONS",
            other => panic!("{other:?} belongs to no layout of tokens"),
        };
        for method in ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post"] {
            if method == "GET" && methods == Methods::GetPost {
                continue;
            }
            let answer = service.ask(&Request::new(method, target).json(&json!({}))).await;
            answer.is(405, json!({ "detail": format!("Method \"{method}\" not allowed.") }));
            assert_eq!(answer.header("allow"), allow, "{method} {target}");
        }
        let head = service.ask(&Request::new("HEAD", target)).await;
        let expected = if methods == Methods::GetPost { 401 } else { 405 };
        assert_eq!((head.status, head.body.len()), (expected, 0), "{target}");
        assert_eq!(head.header("allow"), allow);
        let options = service.ask(&Request::new("OPTIONS", target)).await;
        assert_eq!((options.status, options.header("allow")), (200, allow), "{target}");
    });
}

#[test]
fn answers_are_protected_and_numbered() {
    every_row(&async |service, target, methods, _| {
        let request = Request::new("POST", target).json(&json!({}));
        let answer = service.ask(&request.clone().header("X-Request-ID", "abc-1.2_3")).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-request-id", "abc-1.2_3"),
            ("vary", if methods == Methods::GetPost { "Accept, Cookie" } else { "Accept" }),
        ] {
            assert_eq!(answer.header(name), value, "{name} {target}");
        }
        for odd in ["", "a b", "<script>", &"x".repeat(65)] {
            let answer = service.ask(&request.clone().header("X-Request-ID", odd)).await;
            let id = answer.header("x-request-id");
            assert!(id.len() == 32 && id != odd, "a new one in place of {odd:?}: {id}");
        }
    });
    every_row_with(&[("server.trusted_proxies", "")], &async |service, target, _, _| {
        let request = Request::new("POST", target).header("X-Request-ID", "mine");
        assert_ne!(service.ask(&request).await.header("x-request-id"), "mine");
    });
}

#[test]
fn accept_is_honoured() {
    every_row(&async |service, target, _, endpoint| {
        let ask = async |accept: &str| {
            let request = Request::new("POST", target).header("Accept", accept).json(&json!({}));
            service.ask(&request).await
        };
        for accept in ["image/png", "application/xml, text/plain;q=0.9", "x", "application/json+x"]
        {
            let refused = json!({ "detail": "Could not satisfy the request Accept header." });
            ask(accept).await.is(406, refused);
        }
        let many = "x/y, ".repeat(5000);
        for accept in [
            "*/*",
            "application/json",
            "text/html",
            "x/y, */*;q=0.1",
            "APPLICATION/JSON",
            "",
            &many[..60],
        ] {
            let status = ask(accept).await.status;
            assert_eq!(status, if accept.starts_with("x/y, x") { 406 } else { 400 }, "{accept}");
        }
        let fields = required(endpoint, "This field is required.");
        for query in ["?format=json", "?format=api", "?format=", "?x=y", "?format=xml&format=json"]
        {
            let request = Request::new("POST", &format!("{target}{query}")).json(&json!({}));
            service.ask(&request).await.is(400, fields.clone());
        }
        let request = Request::new("POST", &format!("{target}?format=xml")).json(&json!({}));
        service.ask(&request).await.is(404, json!({ "detail": "Not found." }));
    });
}

#[test]
fn other_media_types_are_not_supported() {
    every_row(&async |service, target, _, endpoint| {
        for media_type in
            ["text/plain", "application/vnd.api+json", "application/xml", "", "nonsense", "*/*"]
        {
            let answer = service.ask(&Request::new("POST", target).body(media_type, "{}")).await;
            let detail = format!("Unsupported media type \"{media_type}\" in request.");
            answer.is(415, json!({ "detail": detail }));
            // An empty body is `{}`, whatever its type.
            let answer = service.ask(&Request::new("POST", target).body(media_type, "")).await;
            answer.is(400, required(endpoint, "This field is required."));
        }
    });
}

#[test]
fn bodies_that_are_no_object_are_refused() {
    every_row(&async |service, target, _, endpoint| {
        let ask = async |body: &[u8]| {
            service.ask(&Request::new("POST", target).body("application/json", body)).await
        };
        for (body, kind) in
            [("[1]", "list"), ("\"x\"", "str"), ("17", "int"), ("1.5", "float"), ("true", "bool")]
        {
            let sentence = format!("Invalid data. Expected a dictionary, but got {kind}.");
            ask(body.as_bytes()).await.is(400, json!({ "non_field_errors": [sentence] }));
        }
        ask(b"null").await.is(400, json!({ "non_field_errors": ["No data provided"] }));
        for body in [
            b"{".as_slice(),
            b"{\"a\": 1,}",
            b"{} x",
            b"{'a': 1}",
            b"\xef\xbb\xbf{}",
            b"{\"a\": \"\xff\"}",
            b"{\"a\": NaN}",
            b"[Infinity]",
            b"{\"a\": \"\n\"}",
            b"{a: 1}",
            b"\0",
        ] {
            let answer = ask(body).await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(answer.status, 400);
            assert!(detail.starts_with("JSON parse error - "), "{detail}");
        }
        ask(b" {} ").await.is(400, required(endpoint, "This field is required."));
        let nulls = json!({ "username": null, "password": null, "refresh": null, "token": null });
        let answer = ask(nulls.to_string().as_bytes()).await;
        answer.is(400, required(endpoint, "This field may not be null."));
    });
}

#[test]
fn the_pinned_generation_speaks_finnish() {
    let settings = [
        ("layouts.harrastuspassi.wording", "pinned"),
        ("layouts.simplejwt.enabled", "off"),
        ("layouts.metax.enabled", "off"),
    ];
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let target = "/auth/token/refresh/";
        let ask = async |request: Request| {
            let answer = service.ask(&request).await;
            (answer.status, answer.json())
        };
        let detail = |text: &str| json!({ "detail": text });
        let field = |text: &str| json!({ "refresh": [text] });
        let post = || Request::new("POST", target);
        for (request, status, body) in [
            (Request::new("PUT", target), 405, detail("Metodi \"PUT\" ei ole sallittu.")),
            (
                Request::new("GET", "/auth/token/"),
                401,
                detail("Autentikaatiotunnuksia ei annettu."),
            ),
            (
                post().header("Accept", "image/png"),
                406,
                detail("Ei voitu vastata pyynnön Accept-otsakkeen mukaisesti."),
            ),
            (Request::new("POST", "/auth/token/refresh?format=x"), 404, detail("Ei löydy.")),
            (
                post().body("text/plain", "x"),
                415,
                detail("Pyynnön mediatyyppiä \"text/plain\" ei tueta."),
            ),
            (
                post().body("application/json", "[]"),
                400,
                json!({ "non_field_errors": ["Odotettiin sanakirjaa, saatiin tyyppi list."] }),
            ),
            (post(), 400, field("Tämä kenttä vaaditaan.")),
            (post().json(&json!({ "refresh": " " })), 400, field("Tämä kenttä ei voi olla tyhjä.")),
            (
                post().json(&json!({ "refresh": null })),
                400,
                field("Tämän kentän arvo ei voi olla \"null\"."),
            ),
            (
                post().json(&json!({ "refresh": "\0" })),
                400,
                field("Tyhjiä merkkejä (null) ei sallita."),
            ),
            (
                post().json(&json!({ "refresh": "x" })),
                401,
                json!({ "detail": "Token is invalid or expired", "code": "token_not_valid" }),
            ),
        ] {
            assert_eq!(ask(request.clone()).await, (status, body), "{request:?}");
        }
        for gone in ["/api/token/", "/v3/drf-token-auth/"] {
            assert_eq!(service.ask(&Request::new("POST", gone)).await.status, 404, "{gone} is off");
        }
    });
}

#[test]
fn unknown_paths_are_not_found() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        for target in [
            "/",
            "/auth",
            "/auth/token/x",
            "/auth/token//",
            "//auth/token/",
            "/AUTH/TOKEN/",
            "/auth/%74oken/",
            "/api/token/verify/refresh",
            "/{path}",
            "/%ff",
            "*",
        ] {
            let mut connection = service.connect().await;
            let answer = connection.ask(&Request::new("GET", target)).await;
            assert_eq!(answer.status, 404, "{target}");
            assert!(answer.header("content-type").starts_with("text/html"), "{target}");
            assert!(!answer.text().contains("token"), "nothing of the request is shown");
        }
        // A mount moves all rows of its layout.
        let moved = [("layouts.simplejwt.mount", "/elsewhere/jwt/")];
        let service = TestService::with(Engine::Sqlite, &moved).await;
        for (target, status) in
            [("/elsewhere/jwt", 400), ("/elsewhere/jwt/refresh/", 400), ("/api/token/", 404)]
        {
            assert_eq!(service.post(target, &json!({})).await.status, status, "{target}");
        }
    });
}

#[test]
fn forms_have_limits() {
    every_row(&async |service, target, _, _| {
        let mut form = String::new();
        for number in 0..1100 {
            write!(form, "&f{number}=x").expect("a string takes it");
        }
        let request = Request::new("POST", target).body("application/x-www-form-urlencoded", form);
        assert_eq!(service.ask(&request).await.status, 400, "{target}");
        for multipart in
            ["", "--b", "--b\r\n\r\n", "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"]
        {
            for media_type in [
                "multipart/form-data",
                "multipart/form-data; boundary=b",
                "multipart/form-data; boundary=",
            ] {
                let request = Request::new("POST", target).body(media_type, multipart);
                assert_eq!(service.ask(&request).await.status, 400, "{media_type} {multipart:?}");
            }
        }
    });
}

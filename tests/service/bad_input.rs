//! Bad input (SECURITY.md S5, S6): garbage on the socket, bodies of every wrong kind, clients that dawdle.
//! Always a 4xx of the contract or an end of the connection; never a 5xx, never a hang.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Connection, Request};
use crate::harness::{Engine, PASSWORD, TestService, gate_request};
use crate::jwt::{sign, sign_with};
use crate::support::block_on;

/// The paths that take a body.
const TARGETS: [&str; 7] = [
    "/auth/token/",
    "/auth/token/refresh/",
    "/api/token/",
    "/api/token/refresh/",
    "/api/token/verify/",
    "/api/token/blacklist/",
    "/v3/drf-token-auth/",
];

/// Sends bytes and reads all answers. Gives their statuses.
async fn statuses(service: &TestService, bytes: &[u8]) -> Vec<u16> {
    let mut connection = service.connect().await;
    connection.send(bytes).await;
    connection.finish().await;
    let mut statuses = Vec::new();
    while let Some(answer) = connection.answer("GET").await {
        statuses.push(answer.status);
    }
    statuses
}

#[test]
fn malformed_requests_are_refused_or_dropped() {
    let good =
        "GET /gate HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nX-Original-URI: /api/\r\n";
    let mut requests: Vec<Vec<u8>> = [
        "",
        "\r\n",
        "\r\n\r\n",
        "GET",
        "GET /gate",
        "GET /gate\r\n\r\n",
        "GET /gate HTTP/9.9\r\n\r\n",
        "GET /gate HTTP/1.1 x\r\n\r\n",
        "GET  /gate HTTP/1.1\r\n\r\n",
        " GET /gate HTTP/1.1\r\n\r\n",
        "GET /ga te HTTP/1.1\r\n\r\n",
        "G\0T /gate HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET /gate HTTP/1.1\nHost: x\n\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
        "CONNECT host:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://host/gate HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for header in [
        "No colon",
        ": no name",
        "Bad Name: x",
        "Name : x",
        " Folded: x",
        "X: a\0b",
        "X: a\rb",
        "X: a\nb",
        "X: \u{1}",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 1e3",
        "Content-Length: 0x10",
        "Content-Length: 99999999999999999999",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: nonsense",
        "Transfer-Encoding: chunked, nonsense",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Expect: nonsense",
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Host: a\r\nHost: b",
        "Host:",
        "Authorization: Bearer a\r\nAuthorization: Bearer b",
    ] {
        requests.push(format!("{good}{header}\r\n\r\n").into_bytes());
        requests
            .push(format!("POST /api/token/ HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n").into_bytes());
    }
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "5\r\nabc",
        "5\r\nabcdefgh\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "1;a=b\r\nx\r\n0\r\n\r\n",
        "0\r\nbad\r\n\r\n",
    ] {
        let head = "POST /api/token/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        requests.push(format!("{head}{chunks}").into_bytes());
    }
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &[("server.body_timeout", "2s")]).await;
        for request in &requests {
            let statuses = statuses(&service, request).await;
            let shown = String::from_utf8_lossy(request);
            assert!(statuses.len() <= 1, "one request, {statuses:?}: {shown:?}");
            let fine = |status: &u16| *status == 204 || (400..500).contains(status);
            assert!(statuses.iter().all(fine), "{statuses:?}: {shown:?}");
        }
        assert_eq!(service.gate("GET", "/api/", "").await.status, 204, "it goes on");
    });
}

#[test]
fn heads_and_bodies_have_limits() {
    let settings = [("server.max_head", "8KiB"), ("server.max_body", "1KiB")];
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &settings).await;
        for request in [
            gate_request("GET", "/api/", &"x".repeat(20_000)),
            gate_request("GET", &format!("/{}", "x".repeat(20_000)), ""),
            Request::new("GET", &format!("/{}", "x".repeat(70_000))),
            (0..200).fold(Request::new("GET", "/gate"), |request, number| {
                request.header(&format!("X-{number}"), "x".repeat(100))
            }),
        ] {
            let mut connection = service.connect().await;
            let answer = connection.ask(&request).await;
            assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
            connection.ends().await;
        }
        for target in TARGETS {
            let mut connection = service.connect().await;
            let fits = json!({ "x": "x".repeat(1000) });
            let answer = connection.ask(&Request::new("POST", target).json(&fits)).await;
            assert_eq!(answer.status, 400, "{target}");
            let answer =
                connection.ask(&Request::new("POST", target).json(&json!("x".repeat(1023)))).await;
            answer.is(413, json!({ "detail": "Request body is too large." }));
            assert_eq!(answer.header("connection"), "close");
            // An announced length is enough; and one that is not announced is counted.
            let mut connection = service.connect().await;
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n");
            connection.send(format!("{head}Content-Length: 1000000\r\n\r\n").as_bytes()).await;
            assert_eq!(connection.answer("POST").await.expect("an answer").status, 413);
            let mut connection = service.connect().await;
            connection.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
            connection.send(format!("800\r\n{}\r\n", "x".repeat(0x800)).as_bytes()).await;
            assert_eq!(connection.answer("POST").await.expect("an answer").status, 413);
        }
    });
}

/// Who dawdles is answered 408 or hung up on; others do not wait for that.
#[test]
fn slow_clients_are_hung_up_on() {
    let settings = [("server.head_timeout", "400ms"), ("server.body_timeout", "300ms")];
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let started = Instant::now();
        let mut silent = service.connect().await;
        let mut half_a_head = service.connect().await;
        half_a_head.send(b"GET /gate HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        let mut half_a_body = service.connect().await;
        let head = "POST /api/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        half_a_body.send(format!("{head}Content-Length: 50\r\n\r\n{{").as_bytes()).await;
        let mut half_a_chunk = service.connect().await;
        half_a_chunk
            .send(format!("{head}Transfer-Encoding: chunked\r\n\r\n9\r\n{{").as_bytes())
            .await;
        // While they dawdle, others are served.
        assert_eq!(service.gate("GET", "/api/", "").await.status, 204);

        for slow in [&mut half_a_body, &mut half_a_chunk] {
            let answer = slow.answer("POST").await.expect("an answer");
            answer.is(408, json!({ "detail": "Request body did not arrive in time." }));
        }
        for slow in [&mut silent, &mut half_a_head] {
            let answer = slow.answer("GET").await;
            assert!(answer.is_none_or(|answer| answer.status == 408));
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
        drop(half_a_chunk);
        service.stop().await;
    });
}

#[test]
fn odd_bodies_get_the_contracts_refusals() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    let mut bodies: Vec<Vec<u8>> = vec![
        nested("[", "]", 10_000).into_bytes(),
        nested("[", "", 30_000).into_bytes(),
        nested("{\"a\":", "}", 5_000).into_bytes(),
        format!("{{\"username\": {}}}", nested("[", "]", 10_000)).into_bytes(),
        format!("{{\"refresh\": {}}}", nested("{\"a\":", "1}", 3_000)).into_bytes(),
        format!("{{\"token\": 1{}}}", "0".repeat(40_000)).into_bytes(),
        format!("{{\"username\": -1e{}}}", "9".repeat(400)).into_bytes(),
        b"{\"refresh\": \"\\ud83d\", \"token\": \"\\udc00\\ud800\", \"username\": \"\\ud800\\u0041\"}".to_vec(),
        b"{\"username\": \"\\x\"}".to_vec(),
        b"{\"username\": \"\\u12\"}".to_vec(),
        b"{\"\\ud800\": {\"\\ud800\": \"\\ud800\"}}".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
        (0..=255).collect(),
        format!("{{{}}}", "\"a\":1,".repeat(9_000).trim_end_matches(',')).into_bytes(),
    ];
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!(" "),
        json!("\0"),
        json!("a\0b"),
        json!("\u{fffd}"),
        json!("\u{202e}x"),
        json!("x".repeat(60_000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "username": "x" }),
        json!("' OR 1=1 --"),
        json!("$1"),
        json!("💥"),
        json!("..."),
        json!("a.b.c"),
        json!("eyJhbGciOiJub25lIn0.e30."),
    ];
    for value in &odd {
        for (name, other) in
            [("username", "password"), ("password", "username"), ("refresh", "x"), ("token", "x")]
        {
            bodies.push(json!({ name: value, other: "x" }).to_string().into_bytes());
        }
    }
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("x").await;
        let mut connections = Vec::new();
        for target in TARGETS {
            connections.push((target, service.connect().await));
        }
        for body in &bodies {
            for media_type in [
                "application/json",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
            ] {
                for (target, connection) in &mut connections {
                    let request = Request::new("POST", target).body(media_type, body);
                    let answer = connection.ask(&request).await;
                    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
                    let fine = matches!(answer.status, 400 | 401);
                    assert!(fine, "{} {target} {media_type} {shown}", answer.status);
                    answer.json();
                }
            }
        }
    });
}

/// A character that no PostgreSQL text can hold never reaches it.
#[test]
fn nul_is_refused_on_postgres_too() {
    block_on(async {
        let service = TestService::start(Engine::Postgres).await;
        service.account("aino").await;
        for target in TARGETS {
            for media_type in ["application/json", "application/x-www-form-urlencoded"] {
                let body = if media_type.ends_with("json") {
                    r#"{"username":"a\u0000","password":"\u0000b","refresh":"\u0000","token":"\u0000"}"#
                } else {
                    "username=a%00&password=%00b&refresh=%00&token=%00"
                };
                let answer =
                    service.ask(&Request::new("POST", target).body(media_type, body)).await;
                assert_eq!(answer.status, 400, "{target}");
                assert!(answer.text().contains("Null characters are not allowed."), "{target}");
            }
        }
        let nul = Request::new("POST", "/api/token/")
            .body("application/x-www-form-urlencoded", b"username=\xff\xfe&password=%ff%fe");
        assert_eq!(service.ask(&nul).await.status, 401, "no UTF-8 in a form is replaced");
    });
}

/// Tokens signed with a good key, whose claims make no sense (SECURITY.md 1, last paragraph).
#[test]
fn good_signatures_over_nonsense() {
    const SECRET: &str = "another-service-signed-with-this-secret";
    let import = format!("hs256:{SECRET}");
    let now = crate::harness::START.seconds();
    let odd = [
        json!(null),
        json!(true),
        json!("x"),
        json!("99999999999"),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!([]),
        json!({}),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("1 or 1=1"),
        json!("\0"),
        json!("x".repeat(3000)),
    ];
    let mut tokens = Vec::new();
    for name in ["token_type", "exp", "iat", "nbf", "jti", "user_id", "iss", "aud", "sub", "sid"] {
        for value in &odd {
            for kind in ["access", "refresh"] {
                let mut claims = json!({
                    "token_type": kind, "exp": now + 60, "iat": now - 5, "jti": "a", "user_id": "1",
                });
                claims[name] = value.clone();
                tokens.push(sign(SECRET, &claims));
            }
        }
    }
    let good = json!({ "token_type": "access", "exp": now + 60, "jti": "a", "user_id": 1 });
    for header in &odd {
        for name in ["alg", "kid", "typ", "crit", "jwk", "b64"] {
            tokens.push(sign_with(SECRET, &json!({ "alg": "HS256", name: header }), &good));
        }
    }
    block_on(async {
        for engine in [Engine::Sqlite, Engine::Postgres] {
            let settings = [("keys.import", import.as_str()), ("gate.misses", "1000000")];
            let service = TestService::with(engine, &settings).await;
            service.account("aino").await;
            let mut connection = service.connect().await;
            for token in &tokens {
                let gate = gate_request("POST", "/api/", &format!("Bearer {token}"));
                let status = connection.ask(&gate).await.status;
                assert!(matches!(status, 204 | 401), "{status}: {token}");
                for target in ["/api/token/verify/", "/api/token/refresh/", "/api/token/blacklist/"]
                {
                    let body = json!({ "token": token, "refresh": token });
                    let answer = connection.ask(&Request::new("POST", target).json(&body)).await;
                    assert!(
                        matches!(answer.status, 200 | 400 | 401),
                        "{} {target} {token}",
                        answer.status
                    );
                    answer.json();
                }
            }
        }
    });
}

fn runner() -> TestRunner {
    // 256 cases, or PROPTEST_CASES: `make soak` asks for more.
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z ]{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("username".to_owned()),
        Just("password".to_owned()),
        Just("refresh".to_owned()),
        Just("token".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn generated_bodies_never_fault() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let service = runtime.block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("x").await;
        service
    });
    let media_types = proptest::sample::select(vec![
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ]);
    let bodies = prop_oneof![
        3 => any_json().prop_map(|value| value.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        // A JSON body with one byte changed.
        2 => (any_json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
            let mut body = value.to_string().into_bytes();
            let at = at.index(body.len());
            body[at] = byte;
            body
        }),
    ];
    let targets = proptest::sample::select(TARGETS.to_vec());
    let cases = (targets, media_types, bodies);
    let connection = std::cell::RefCell::new(runtime.block_on(service.connect()));
    let ran = runner().run(&cases, |(target, media_type, body)| {
        let request = Request::new("POST", target).body(media_type, &body);
        let answer = runtime.block_on(connection.borrow_mut().ask(&request));
        prop_assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn generated_questions_never_fault() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let service =
        runtime.block_on(TestService::with(Engine::Sqlite, &[("gate.misses", "1000000")]));
    let header = |longest| {
        proptest::collection::vec(
            prop_oneof![
                Just(b'\t'),
                0x20..=0x7e_u8,
                0x80..=0xff_u8,
                Just(b'/'),
                Just(b'%'),
                Just(b'.')
            ],
            0..longest,
        )
    };
    let credential = prop_oneof![
        header(60),
        header(60).prop_map(|rest| [b"Bearer ".as_slice(), &rest].concat()),
        header(60).prop_map(|rest| [b"Token ".as_slice(), &rest].concat()),
        "Bearer [A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,43}"
            .prop_map(String::into_bytes),
        "Token [0-9a-f]{40}".prop_map(String::into_bytes),
    ];
    let uri = header(80).prop_map(|rest| [b"/api/".as_slice(), &rest].concat());
    let connection = std::cell::RefCell::new(runtime.block_on(service.connect()));
    let ran = runner().run(&(header(10), uri, credential), |(method, uri, credential)| {
        let request = Request::new("GET", "/gate")
            .header("X-Original-Method", method)
            .header("X-Original-URI", uri)
            .header("Authorization", credential);
        let answer = runtime.block_on(connection.borrow_mut().ask(&request));
        prop_assert!(matches!(answer.status, 204 | 401 | 403), "{}", answer.status);
        prop_assert!(answer.body.is_empty());
        if answer.status != 204 {
            let error = answer.header("x-auth-error");
            prop_assert!(serde_json::from_str::<Value>(error).is_ok(), "{}", error);
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

/// A hash of absurd cost, as an import could bring it, cannot stall the service.
#[test]
fn an_absurd_hash_is_refused() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        for (number, encoded) in [
            "pbkdf2_sha256$4000000000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "argon2$argon2id$v=19$m=4194304,t=1000,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "scrypt$1073741824$salt$8$1$AAAA",
            "bcrypt$$2b$31$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "nonsense",
            "",
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("absurd{number}");
            let stored = avain::account::password::StoredPassword::new(encoded.to_owned());
            service.account_with(&name, |draft| draft.password = stored).await;
            let started = Instant::now();
            let credentials = json!({ "username": name, "password": PASSWORD });
            assert_eq!(service.post("/api/token/", &credentials).await.status, 401, "{encoded}");
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "{encoded}: {:?}",
                started.elapsed()
            );
        }
        service.sign_in("aino").await;
    });
}

/// What does not fit into the queue of passwords is told to come back.
#[test]
fn a_full_queue_says_so() {
    block_on(async {
        let settings = [
            ("passwords.threads", "1"),
            ("passwords.queue", "1"),
            ("passwords.pbkdf2_iterations", "60000"),
        ];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        service.account("aino").await;
        let bearer = service.sign_in("aino").await.bearer();
        let request = Request::new("POST", "/api/token/")
            .json(&json!({ "username": "aino", "password": PASSWORD }));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (address, request) = (service.address, request.clone());
            clients.spawn(async move { Connection::tcp(address).await.ask(&request).await });
        }
        // The gate is not kept waiting by them.
        assert!(service.admits(&bearer).await);
        let answers = clients.join_all().await;
        let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
        assert!(!busy.is_empty(), "one hashes, one waits, the others are told");
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)));
        assert!(answers.iter().any(|answer| answer.status == 200));
        for answer in busy {
            assert_eq!(answer.header("retry-after"), "2");
            assert!(answer.json()["detail"].is_string());
        }
    });
}

//! The result of one call when the server, or something in front of it, misbehaves.

use std::time::{Duration, Instant, SystemTime};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use ftrack_ldap_sync::{
    config,
    config::Secret,
    ftrack::{
        error::{ConnectErrorKind, FtrackError, FtrackErrorKind, WriteFailure},
        operation::Operation,
        query,
        session::{CallCounts, Session},
    },
    model::user::EntityId,
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::scripted::{KEY, Reply, Scripted, blanks, broken, config, stalled, until};

const GOOD: &str =
    r#"[{"action":"query","data":[{"id":"a"}],"metadata":{"next":{"offset":null}}}]"#;
/// [`GOOD`] with the id `zipped`, packed by gzip.
const GZIPPED: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 139, 174, 86, 74, 76, 46, 201, 204, 207, 83, 178, 82, 42, 44,
    77, 45, 170, 84, 210, 81, 74, 73, 44, 73, 84, 178, 138, 174, 86, 202, 76, 1, 138, 86, 101, 22,
    20, 164, 166, 40, 213, 198, 234, 40, 229, 166, 150, 36, 66, 36, 171, 149, 242, 82, 43, 74, 64,
    116, 126, 90, 90, 113, 42, 144, 149, 87, 154, 147, 83, 91, 91, 27, 11, 0, 235, 202, 42, 213,
    81, 0, 0, 0,
];

/// How a server misbehaves.
type Misbehaviour = fn() -> Reply;
/// Whether a trouble is the right one.
type Expected = fn(&FtrackErrorKind) -> bool;

fn question() -> [Operation; 1] {
    [Operation::query(query::user_types().page(0, 10))]
}

fn change() -> [Operation; 1] {
    let values = Map::from_iter([("is_active".to_owned(), json!(false))]);
    [Operation::update_user(
        &EntityId::new("u-1").unwrap(),
        values,
    )]
}

fn html(status: u16) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html")
        .body(Body::from(format!(
            "<html><h1>Gateway\r\nsays {KEY}</h1></html>"
        )))
        .unwrap()
}

fn wait(retry_after: &str) -> Response {
    Response::builder()
        .status(429)
        .header(header::RETRY_AFTER, retry_after)
        .body(Body::from("slow down"))
        .unwrap()
}

/// Reads from a server that misbehaves at its first call only.
async fn read_after(
    first: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Result<Vec<Value>, FtrackError>, usize) {
    let server =
        Scripted::start(move |number, _| if number == 0 { first() } else { GOOD.into() }).await;
    let session = server.session();
    let outcome = session.reader().read_call(&question(), &until()).await;
    assert_eq!(session.reader().calls().reads, server.calls().len() as u64);
    (outcome, server.calls().len())
}

/// Writes to a server that always answers alike.
async fn write_to(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (WriteFailure, usize) {
    let server = Scripted::start(move |_, _| reply()).await;
    let mut config = config(&server.url);
    config.request_timeout = Duration::from_millis(300);
    let session = Session::new(&config).unwrap().writer();
    let failure = session.write_call(&change(), &until()).await.unwrap_err();
    assert_eq!(session.reader().calls().writes, server.calls().len() as u64);
    (failure, server.calls().len())
}

fn says_all(error: &FtrackError) {
    let text = error.to_string();
    assert!(
        !text.contains(KEY) && !format!("{error:?}").contains(KEY),
        "{text}"
    );
    assert!(text.contains("http://127.0.0.1:"), "on what: {text}");
    assert!(text.contains("a retry"), "whether to try again: {text}");
    assert!(text.len() < 1000 && !text.contains(['\n', '\r']), "{text}");
}

#[tokio::test]
async fn a_call_carries_what_the_server_wants_and_nothing_else() {
    let server = Scripted::start(|_, _| GOOD.into()).await;
    let mut config = config(&format!("{}studio/?x=1#y", server.url).parse().unwrap());
    config.api_user = "bjørn".to_owned();
    let session = Session::new(&config).unwrap().writer();
    session
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap();
    session.write_call(&change(), &until()).await.unwrap();
    assert_eq!(
        session.reader().calls(),
        CallCounts {
            reads: 1,
            writes: 1
        }
    );
    for call in server.calls() {
        assert_eq!(call.path, "/studio/api");
        let header =
            |name: &str| String::from_utf8_lossy(call.headers[name].as_bytes()).into_owned();
        assert_eq!(header("ftrack-user"), "bjørn");
        assert_eq!(header("ftrack-api-key"), KEY);
        assert_eq!(header("ftrack-strict-api"), "true");
        assert_eq!(header("ftrack-api-options"), "strict:1;denormalize:1");
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("accept"), "application/json");
        assert!(header("user-agent").starts_with("ftrack-ldap-sync/"));
        assert!(header("accept-encoding").contains("gzip"));
        assert!(
            !call.headers.contains_key("cookie") && !call.headers.contains_key("authorization")
        );
    }
    assert!(!format!("{session:?}").contains(KEY));
}

#[tokio::test]
async fn a_packed_answer_is_unpacked() {
    let packed = || {
        Response::builder()
            .header(header::CONTENT_ENCODING, "gzip")
            .body(Body::from(GZIPPED))
            .unwrap()
    };
    let (answers, calls) = read_after(move || packed().into()).await;
    assert_eq!(
        (answers.unwrap()[0]["data"][0]["id"].as_str(), calls),
        (Some("zipped"), 1)
    );
}

#[tokio::test]
async fn a_read_is_tried_again_after_what_passes() {
    let cases: [(&str, Misbehaviour); 9] = [
        ("502 with HTML", || html(502).into()),
        ("503 with HTML", || html(503).into()),
        ("500 with an error object", || {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                r#"{"exception":"OperationalError","content":"gone away"}"#,
            )
                .into()
        }),
        ("200 with HTML", || html(200).into()),
        ("429 without a body", || {
            StatusCode::TOO_MANY_REQUESTS.into()
        }),
        ("truncated JSON", || GOOD[..40].into()),
        ("a body that breaks off", || broken().into()),
        ("packed noise", || {
            Response::builder()
                .header(header::CONTENT_ENCODING, "gzip")
                .body(Body::from("noise"))
                .unwrap()
                .into()
        }),
        ("an empty body", || "".into()),
    ];
    for (name, first) in cases {
        let (answers, calls) = read_after(first).await;
        assert!(answers.is_ok(), "{name}: {answers:?}");
        assert_eq!(calls, 2, "{name}");
    }
}

/// Reads from a server that misbehaves so: one call, and the trouble that is expected.
async fn ends_at_once(cases: &[(&str, Misbehaviour, Expected)]) {
    for (name, first, expected) in cases {
        let (answers, calls) = read_after(*first).await;
        let error = answers.unwrap_err();
        assert!(expected(error.kind()), "{name}: {error:?}");
        assert!(!error.may_be_retried(), "{name}");
        assert_eq!(calls, 1, "{name}");
        says_all(&error);
    }
}

#[tokio::test]
async fn a_key_or_a_right_that_is_refused_is_not_tried_again() {
    ends_at_once(&[
        (
            "a refused key",
            || r#"{"content":"The supplied API key is not valid.","exception":"InvalidCredentialsError","error_code":null}"#.into(),
            |trouble| matches!(trouble, FtrackErrorKind::Credentials(_)),
        ),
        (
            "a refused key, newer",
            || {
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    r#"{"content":"x","exception":"Some","error_code":"api_credentials_invalid"}"#,
                )
                    .into()
            },
            |trouble| matches!(trouble, FtrackErrorKind::Credentials(_)),
        ),
        (
            "a refused user",
            || {
                (
                    StatusCode::UNAUTHORIZED,
                    r#"{"content":"Invalid or inactive","exception":"FTAuthenticationError"}"#,
                )
                    .into()
            },
            |trouble| matches!(trouble, FtrackErrorKind::Credentials(_)),
        ),
        (
            "no right",
            || (StatusCode::FORBIDDEN, r#"{"content":"Not allowed","exception":"PermissionError"}"#).into(),
            |trouble| matches!(trouble, FtrackErrorKind::Permission(_)),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_for_good_is_not_tried_again() {
    ends_at_once(&[
        (
            "a custom attribute of another type",
            || r#"{"content":"Custom attribute value for \"fstart\" must be of type number.","exception":"ValidationError"}"#.into(),
            |trouble| matches!(trouble, FtrackErrorKind::Refused(refusal) if refusal.content.contains("fstart")),
        ),
        (
            "a duplicate",
            || (StatusCode::CONFLICT, r#"{"content":"Duplicate","exception":"DuplicateEntryError"}"#).into(),
            |trouble| matches!(trouble, FtrackErrorKind::Refused(refusal) if &*refusal.exception == "DuplicateEntryError"),
        ),
        (
            "an unknown action",
            || r#"{"content":"Invalid action u'send_user_invite'","exception":"ValueError"}"#.into(),
            |trouble| matches!(trouble, FtrackErrorKind::Refused(_)),
        ),
        (
            "422 of the request's form",
            || {
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    r#"{"detail":[{"loc":["string",0],"msg":"string","type":"string"}]}"#,
                )
                    .into()
            },
            |trouble| matches!(trouble, FtrackErrorKind::Refused(refusal) if refusal.status == 422 && refusal.content.contains("loc")),
        ),
        (
            "an error in the place of an element",
            || r#"[{"exception":"ValidationError","content":"bad"}]"#.into(),
            |trouble| matches!(trouble, FtrackErrorKind::Refused(refusal) if refusal.operation == Some(0)),
        ),
        (
            "a wrong number of elements",
            || format!("[{0},{0}]", &GOOD[1..GOOD.len() - 1]).into(),
            |trouble| matches!(trouble, FtrackErrorKind::Malformed(_)),
        ),
        (
            "a page that is not there",
            || html(404).into(),
            |trouble| matches!(trouble, FtrackErrorKind::Status { status: 404, .. }),
        ),
        ("another object", || "{}".into(), |trouble| matches!(trouble, FtrackErrorKind::Malformed(_))),
    ])
    .await;
}

#[tokio::test]
async fn the_last_trouble_is_told_after_all_attempts() {
    let server = Scripted::start(|_, _| html(502).into()).await;
    let error = server
        .session()
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Status { status: 502, .. }),
        "{error:?}"
    );
    assert_eq!(server.calls().len(), 3);
    says_all(&error);
    assert!(error.to_string().contains("failed 3 times"), "{error}");
}

#[tokio::test]
async fn nobody_waits_within_a_call_for_more_than_a_minute() {
    let server = Scripted::start(|_, _| wait("61").into()).await;
    let writer = server.session();
    let reader = writer.reader();
    assert_eq!(reader.asked_to_wait(), None);
    let error = reader.read_call(&question(), &until()).await.unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Busy(_)),
        "{error:?}"
    );
    assert_eq!(reader.asked_to_wait(), Some(Duration::from_secs(61)));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn retry_after_is_heeded_in_both_forms() {
    let begin = Instant::now();
    let (answers, calls) = read_after(|| wait("1").into()).await;
    assert_eq!((answers.is_ok(), calls), (true, 2));
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );

    let begin = Instant::now();
    let (answers, calls) = read_after(|| {
        wait(&httpdate::fmt_http_date(
            SystemTime::now() + Duration::from_secs(2),
        ))
        .into()
    })
    .await;
    assert_eq!((answers.is_ok(), calls), (true, 2));
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn nobody_waits_past_the_deadline() {
    let server = Scripted::start(|_, _| wait("3600").into()).await;
    let begin = Instant::now();
    let error = server
        .session()
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Busy(_)),
        "{error:?}"
    );

    let silent = Scripted::start(|_, _| Reply::Never).await;
    let mut soon = until();
    soon.deadline = Instant::now() + Duration::from_millis(200);
    let error = silent
        .session()
        .reader()
        .read_call(&question(), &soon)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &FtrackErrorKind::DeadlinePassed);
    let failure = silent
        .session()
        .write_call(&change(), &soon)
        .await
        .unwrap_err();
    assert!(
        matches!(&failure, WriteFailure::NotSent(error) if error.kind() == &FtrackErrorKind::DeadlinePassed),
        "{failure:?}"
    );
    assert_eq!(silent.calls().len(), 1, "the write was not sent");
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn asking_to_stop_ends_a_read_but_not_a_write_under_way() {
    let server = Scripted::start(|_, operations| {
        if operations[0]["action"] == "query" {
            Reply::Never
        } else {
            stalled().into()
        }
    })
    .await;
    let mut config = config(&server.url);
    config.request_timeout = Duration::from_secs(1);
    let session = Session::new(&config).unwrap().writer();
    let until = until();
    let (question, change) = (question(), change());
    let (read, write, ()) = tokio::join!(
        session.reader().read_call(&question, &until),
        session.write_call(&change, &until),
        async {
            let both_are_there = async {
                while server.calls().len() < 2 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), both_are_there)
                .await
                .unwrap();
            until.cancel.cancel();
        }
    );
    assert_eq!(read.unwrap_err().kind(), &FtrackErrorKind::Cancelled);
    assert!(
        matches!(write.unwrap_err(), WriteFailure::Unclear(error) if matches!(error.kind(), FtrackErrorKind::TimedOut(_))),
        "a write that is under way is waited for"
    );
    let failure = session.write_call(&change, &until).await.unwrap_err();
    assert!(
        matches!(failure, WriteFailure::NotSent(error) if error.kind() == &FtrackErrorKind::Cancelled)
    );
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let server = Scripted::start(|number, _| {
        if number == 0 {
            Reply::Never
        } else {
            stalled().into()
        }
    })
    .await;
    let mut config = config(&server.url);
    (config.request_timeout, config.attempts) = (Duration::from_millis(200), 2);
    let session = Session::new(&config).unwrap().writer();
    let error = session
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        &FtrackErrorKind::TimedOut(Duration::from_millis(200))
    );
    assert_eq!(session.reader().calls().reads, 2);
    says_all(&error);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays_here() {
    let elsewhere = Scripted::start(|_, _| GOOD.into()).await;
    let target = elsewhere.url.join("api").unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location = target.to_string();
        let redirect = move || {
            Response::builder()
                .status(status)
                .header(header::LOCATION, &location)
                .body(Body::empty())
                .unwrap()
        };
        let server = Scripted::start(move |_, _| redirect().into()).await;
        let error = server
            .session()
            .reader()
            .read_call(&question(), &until())
            .await
            .unwrap_err();
        let host = format!("127.0.0.1:{}", target.port().unwrap());
        assert_eq!(
            error.kind(),
            &FtrackErrorKind::Redirected {
                status,
                host: host.clone()
            }
        );
        says_all(&error);
        assert!(error.to_string().contains(&host), "{error}");
        let failure = server
            .session()
            .write_call(&change(), &until())
            .await
            .unwrap_err();
        assert!(matches!(failure, WriteFailure::Fatal(_)), "{failure:?}");
        assert_eq!(server.calls().len(), 2);
    }
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let (answers, calls) = read_after(|| blanks(65).into()).await;
    assert!(matches!(
        answers.unwrap_err().kind(),
        FtrackErrorKind::TooLarge(_)
    ));
    assert_eq!(calls, 1);
    let (answers, _) = read_after(|| {
        let announced = Response::builder().header(header::CONTENT_LENGTH, 1_u64 << 40);
        announced
            .body(Body::from_stream(futures_util::stream::pending::<
                Result<String, std::io::Error>,
            >()))
            .unwrap()
            .into()
    })
    .await;
    assert!(matches!(
        answers.unwrap_err().kind(),
        FtrackErrorKind::TooLarge(_)
    ));
}

#[tokio::test]
async fn a_write_is_sent_once_and_its_failure_says_what_is_known() {
    let unclear: [(&str, Misbehaviour); 8] = [
        ("502 with HTML", || html(502).into()),
        ("504 with an object", || {
            (
                StatusCode::GATEWAY_TIMEOUT,
                r#"{"exception":"Timeout","content":"x"}"#,
            )
                .into()
        }),
        ("500 without an object", || html(500).into()),
        ("200 with HTML", || html(200).into()),
        ("truncated JSON", || GOOD[..40].into()),
        ("a body that breaks off", || broken().into()),
        ("silence", || Reply::Never),
        ("a wrong number of elements", || "[]".into()),
    ];
    for (name, reply) in unclear {
        let (failure, calls) = write_to(reply).await;
        assert!(
            matches!(failure, WriteFailure::Unclear(_)),
            "{name}: {failure:?}"
        );
        assert_eq!(calls, 1, "{name}");
        says_all(failure.error());
    }
}

#[tokio::test]
async fn a_write_that_the_server_refuses_is_told_from_one_that_nobody_will_take() {
    let refused: [(&str, Misbehaviour); 4] = [
        ("an object at 200", || {
            r#"{"exception":"ValidationError","content":"bad"}"#.into()
        }),
        ("an object at 500", || {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                r#"{"exception":"ValidationError","content":"bad"}"#,
            )
                .into()
        }),
        ("no right", || {
            r#"{"exception":"PermissionError","content":"no"}"#.into()
        }),
        ("too large", || html(413).into()),
    ];
    for (name, reply) in refused {
        let (failure, calls) = write_to(reply).await;
        assert!(
            matches!(failure, WriteFailure::Refused(_)),
            "{name}: {failure:?}"
        );
        assert_eq!(calls, 1, "{name}");
    }
    let (failure, calls) =
        write_to(|| r#"{"exception":"InvalidCredentialsError","content":"no"}"#.into()).await;
    assert!(matches!(failure, WriteFailure::Fatal(_)), "{failure:?}");
    assert_eq!(calls, 1);
    let (failure, calls) = write_to(|| wait("0").into()).await;
    assert!(matches!(failure, WriteFailure::NotSent(_)), "{failure:?}");
    assert_eq!(
        calls, 3,
        "a call that was turned away at the door is sent again"
    );
}

#[tokio::test]
async fn a_connection_that_is_reset_is_an_interruption_and_none_at_all_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let resetting = tokio::spawn(async move {
        let mut resets = 0;
        // Two for the read, one for the write.
        while resets < 3 {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            resets += 1;
        }
    });
    let mut config = config(&url);
    config.attempts = 2;
    let session = Session::new(&config).unwrap().writer();
    let error = session
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Interrupted(_)),
        "{error:?}"
    );
    says_all(&error);
    let failure = session.write_call(&change(), &until()).await.unwrap_err();
    assert!(matches!(failure, WriteFailure::Unclear(_)), "{failure:?}");
    assert_eq!(
        session.reader().calls(),
        CallCounts {
            reads: 2,
            writes: 1
        }
    );
    resetting.await.unwrap();

    // The listener is closed now.
    let failure = session.write_call(&change(), &until()).await.unwrap_err();
    let WriteFailure::NotSent(error) = failure else {
        panic!("{failure:?}")
    };
    assert!(
        matches!(
            error.kind(),
            FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::Closed,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("failed 2 times"), "{error}");
    says_all(&error);
    assert_eq!(session.reader().calls().writes, 1);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told() {
    let mut config = config(&"https://no-such-host.invalid".parse().unwrap());
    config.attempts = 1;
    let error = Session::new(&config)
        .unwrap()
        .reader()
        .read_call(&question(), &until())
        .await
        .unwrap_err();
    let FtrackErrorKind::Unreachable { obstacle, .. } = error.kind() else {
        panic!("{error:?}")
    };
    // Where no name server answers, the time limit comes first.
    assert!(
        matches!(obstacle, ConnectErrorKind::Name | ConnectErrorKind::Slow),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_told_before_any_call() {
    let url = "http://127.0.0.1:9".parse().unwrap();
    type Spoil = fn(&mut config::Ftrack);
    let cases: [(&str, Spoil); 4] = [
        ("ftrack.api_key", |config| {
            config.api_key = Secret::new(format!("{KEY}\n")).into()
        }),
        ("ftrack.api_user", |config| {
            config.api_user = "a\nb".to_owned()
        }),
        ("/no/such/ca.pem", |config| {
            config.ca_file = Some("/no/such/ca.pem".into())
        }),
        ("contains no certificate", |config| {
            config.ca_file = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into())
        }),
    ];
    for (named, spoil) in cases {
        let mut config = config(&url);
        spoil(&mut config);
        let error = Session::new(&config).unwrap_err();
        assert!(
            matches!(error.kind(), FtrackErrorKind::Setup(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains(named), "{error}");
        says_all(&error);
    }
}

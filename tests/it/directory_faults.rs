//! Faults that no real server produces on request: invalid answers, each of which must fail a read,
//! in time and with its own error.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other error fails the test, any other request ends the connection"
)]

use std::time::{Duration, Instant};

use ftrack_ldap_sync::{
    config::{Directory, Scope},
    directory::{DirectoryError, DirectoryPool, ReadFailure, ReadRequest, Reading, read},
    model::entry::Entry,
};
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec,
    control::LdapControl,
    proto::{
        LdapBindResponse, LdapMsg, LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode,
        LdapSearchResultEntry, LdapSearchResultReference,
    },
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{codec::Framed, sync::CancellationToken};

use crate::directory::searched;

const BASE: &str = "ou=people,dc=test";

/// What the server does next.
enum Act {
    Say(LdapMsg),
    Bytes(Vec<u8>),
    Close,
}

/// A server whose answers to searches below `BASE` are given by the test; it accepts every bind and
/// shows no root DSE.
struct Faulty {
    address: std::net::SocketAddr,
    accepting: JoinHandle<()>,
}

impl Faulty {
    async fn start(
        answer: impl Fn(i32, usize, &str) -> Vec<Act> + Send + Sync + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Self { address, accepting }
    }

    fn directory(&self) -> Directory {
        Directory {
            urls: vec![format!("ldap://{}", self.address).parse().unwrap()],
            srv: None,
            srv_scheme: None,
            kind: None,
            bind_dn: None,
            bind_password: None,
            start_tls: false,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            sasl: None,
            principal: None,
            page_size: 2,
            connect_timeout: Duration::from_secs(2),
            operation_timeout: Duration::from_secs(2),
            pool_size: 1,
            allow_plaintext: false,
            id_attribute: None,
            id: None,
            trust_replicas: false,
        }
    }

    async fn read(&self) -> Result<Reading<Entry>, ReadFailure> {
        read_from(&self.directory()).await
    }

    async fn error(&self) -> DirectoryError {
        let started = Instant::now();
        let failure = self.read().await.expect_err("a reading");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?} for {failure}",
            started.elapsed()
        );
        failure.error
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn read_from(directory: &Directory) -> Result<Reading<Entry>, ReadFailure> {
    let pool = DirectoryPool::new("studio", directory).unwrap();
    let request = ReadRequest {
        bases: vec![BASE.into()],
        scope: Scope::Subtree,
        people: searched("(objectClass=*)", &["member"]),
        groups: None,
        id_attribute: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(20),
    };
    read(
        &pool,
        &request,
        |_, entry| entry.clone(),
        &CancellationToken::new(),
        |_| (),
    )
    .await
}

/// Answers one client; `answer` gets the message id, the number of the search, and the first
/// attribute that is asked for.
async fn serve(stream: TcpStream, answer: impl Fn(i32, usize, &str) -> Vec<Act>) {
    let mut framed = Framed::new(stream, LdapCodec::default());
    let mut searches = 0;
    while let Some(Ok(message)) = framed.next().await {
        let acts = match message.op {
            LdapOp::BindRequest(_) => {
                vec![Act::Say(LdapMsg::new(
                    message.msgid,
                    LdapOp::BindResponse(LdapBindResponse {
                        res: result(0),
                        saslcreds: None,
                    }),
                ))]
            }
            LdapOp::SearchRequest(search) if search.base.is_empty() => vec![done(message.msgid, 0)],
            LdapOp::SearchRequest(search) => {
                searches += 1;
                answer(
                    message.msgid,
                    searches,
                    search.attrs.first().map_or("", String::as_str),
                )
            }
            _ => return,
        };
        for act in acts {
            let sent = match act {
                Act::Say(message) => framed.send(message).await.is_ok(),
                Act::Bytes(bytes) => framed.get_mut().write_all(&bytes).await.is_ok(),
                Act::Close => false,
            };
            if !sent {
                return;
            }
        }
    }
}

fn result(code: i64) -> LdapResult {
    let code = LdapResultCode::try_from(code).unwrap();
    LdapResult {
        code,
        matcheddn: String::new(),
        message: "as the test says".into(),
        referral: Vec::new(),
    }
}

fn done(id: i32, code: i64) -> Act {
    Act::Say(LdapMsg::new(id, LdapOp::SearchResultDone(result(code))))
}

fn page_end(id: i32, cookie: &[u8]) -> Act {
    let control = LdapControl::SimplePagedResults {
        size: 0,
        cookie: cookie.to_vec(),
    };
    Act::Say(LdapMsg::new_with_ctrls(
        id,
        LdapOp::SearchResultDone(result(0)),
        vec![control],
    ))
}

fn entry(id: i32, nth: usize) -> Act {
    entry_with(
        id,
        nth,
        "entryUUID",
        &[format!("00000000-0000-0000-0000-{nth:012}")],
    )
}

fn entry_with(id: i32, nth: usize, name: &str, values: &[String]) -> Act {
    let vals = values
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect();
    let attributes = vec![LdapPartialAttribute {
        atype: name.into(),
        vals,
    }];
    Act::Say(LdapMsg::new(
        id,
        LdapOp::SearchResultEntry(LdapSearchResultEntry {
            dn: format!("cn={nth},{BASE}"),
            attributes,
        }),
    ))
}

#[tokio::test]
async fn a_server_without_fault_is_read() {
    let server = Faulty::start(|id, search, _| match search {
        1 => vec![entry(id, 1), entry(id, 2), page_end(id, b"more")],
        2 => vec![page_end(id, b"still more")],
        _ => vec![entry(id, 3), page_end(id, b"")],
    })
    .await;
    let reading = server.read().await.unwrap();
    assert_eq!(
        (reading.entries().len(), reading.searches()[0].pages),
        (3, 3)
    );
    assert!(reading.entries().iter().all(|(id, _)| id.is_some()));
}

#[tokio::test]
async fn every_result_but_success_fails_the_read() {
    for code in [1, 2, 3, 4, 10, 11, 32, 50, 51, 52, 53, 80] {
        for entries in [0, 1, 3] {
            let server = Faulty::start(move |id, search, _| match search {
                1 if entries == 3 => vec![entry(id, 1), entry(id, 2), page_end(id, b"more")],
                1 => (0..entries)
                    .map(|nth| entry(id, nth))
                    .chain([done(id, code)])
                    .collect(),
                _ => vec![entry(id, 3), done(id, code)],
            })
            .await;
            let failure = server.read().await.expect_err("a reading");
            let is_right = match failure.error {
                DirectoryError::Refused { code: got, .. } => {
                    i64::from(got) == code && ![10, 32].contains(&code)
                }
                DirectoryError::Referred { .. } => code == 10,
                DirectoryError::NoSuchBase { .. } => code == 32,
                _ => false,
            };
            assert!(is_right, "{code} after {entries}: {failure:?}");
            let result = &failure.searches[0].result;
            assert!(
                result.contains(&format!("({code})")) || code == 10 && result == "referral",
                "{result}"
            );
        }
    }
}

#[tokio::test]
async fn a_busy_server_is_passed_over_before_the_first_entry_only() {
    let good = Faulty::start(|id, _, _| vec![entry(id, 1), page_end(id, b"")]).await;
    for (code, entries, passed) in [
        (51, 0, true),
        (52, 0, true),
        (51, 1, false),
        (53, 0, false),
        (80, 0, false),
        (32, 0, false),
    ] {
        let busy = Faulty::start(move |id, _, _| {
            (0..entries)
                .map(|nth| entry(id, nth))
                .chain([done(id, code)])
                .collect()
        })
        .await;
        let mut directory = busy.directory();
        directory.urls.extend(good.directory().urls);
        assert_eq!(
            read_from(&directory).await.is_ok(),
            passed,
            "{code} after {entries}"
        );
    }
}

#[tokio::test]
async fn success_without_the_paging_control_proves_nothing() {
    let server = Faulty::start(|id, _, _| vec![entry(id, 1), done(id, 0)]).await;
    assert!(matches!(
        server.error().await,
        DirectoryError::NotProven { .. }
    ));
    // The control's value: nothing; no sequence; a cookie that is longer than the value.
    for value in [&[][..], &[4, 0], &[0x30, 5, 2, 1, 0, 4, 9]] {
        let control = [
            &[0x30, 24 + value.len() as u8 + 2, 4, 22][..],
            b"1.2.840.113556.1.4.319",
            &[4, value.len() as u8],
            value,
        ]
        .concat();
        let result = [0x65, 7, 10, 1, 0, 4, 0, 4, 0];
        let body = [&result[..], &[0xa0, control.len() as u8], &control].concat();
        let server = Faulty::start(move |id, _, _| {
            vec![Act::Bytes(
                [&[0x30, body.len() as u8 + 3, 2, 1, id as u8][..], &body].concat(),
            )]
        })
        .await;
        let error = server.error().await;
        assert!(
            matches!(error, DirectoryError::NotProven { .. }),
            "{value:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_cookie_that_never_ends_is_noticed() {
    let same = Faulty::start(|id, _, _| vec![page_end(id, b"same")]).await;
    assert!(matches!(
        same.error().await,
        DirectoryError::NotProven { .. }
    ));
    let counting =
        Faulty::start(|id, search, _| vec![page_end(id, search.to_string().as_bytes())]).await;
    assert!(matches!(
        counting.error().await,
        DirectoryError::NotProven { .. }
    ));
}

#[tokio::test]
async fn a_continuation_reference_fails_the_read() {
    let server = Faulty::start(|id, _, _| {
        let uris = vec!["ldap://elsewhere.test/dc=x??sub".into()];
        vec![
            entry(id, 1),
            Act::Say(LdapMsg::new(
                id,
                LdapOp::SearchResultReference(LdapSearchResultReference { uris }),
            )),
            page_end(id, b""),
        ]
    })
    .await;
    let error = server.error().await;
    assert!(
        matches!(&error, DirectoryError::Referred { to, .. } if to == &["ldap://elsewhere.test/dc=x??sub"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_connection_that_ends_fails_the_read() {
    let first = Faulty::start(|_, _, _| vec![Act::Close]).await;
    assert!(matches!(first.error().await, DirectoryError::Lost { .. }));
    let second = Faulty::start(|id, search, _| {
        if search == 1 {
            vec![entry(id, 1), page_end(id, b"more")]
        } else {
            vec![entry(id, 2), Act::Close]
        }
    })
    .await;
    let failure = second.read().await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Lost { .. }),
        "{failure:?}"
    );
    assert_eq!(
        (
            failure.searches[0].pages,
            failure.searches[0].result.as_str()
        ),
        (1, "connection lost")
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Faulty::start(|_, _, _| Vec::new()).await;
    let mut directory = Directory {
        operation_timeout: Duration::from_millis(300),
        ..server.directory()
    };
    let failure = read_from(&directory).await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::TimedOut { .. }),
        "{failure:?}"
    );
    directory.urls = vec![
        format!("ldap://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap(),
    ];
    let failure = read_from(&directory).await.unwrap_err();
    assert!(
        matches!(&failure.error, DirectoryError::TimedOut { tried, .. } if tried.contains("bind")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn nonsense_costs_the_connection_and_nothing_else() {
    let deep: Vec<u8> = std::iter::repeat_n([0x30, 0x84, 0x00, 0xff, 0xff, 0xff], 100_000)
        .flatten()
        .collect();
    let nonsense: [(&str, Vec<u8>); 7] = [
        ("text", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("deep", deep),
        (
            "a message of 4 GiB",
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
        ("an unknown operation", vec![0x30, 5, 2, 1, 3, 0x7f, 0]),
        ("an empty message", vec![0x30, 0]),
        (
            "an entry that is none",
            vec![0x30, 7, 2, 1, 3, 0x64, 2, 4, 0],
        ),
        ("a result that is none", vec![0x30, 5, 2, 1, 3, 0x65, 0]),
    ];
    for (what, bytes) in nonsense {
        let server = Faulty::start(move |_, _, _| vec![Act::Bytes(bytes.clone())]).await;
        let error = server.error().await;
        assert!(
            matches!(
                error,
                DirectoryError::Garbled { .. } | DirectoryError::TooMuch { .. }
            ),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_bind_answered_with_nonsense_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Faulty::start(|_, _, _| Vec::new()).await;
    let mut directory = server.directory();
    directory.urls = vec![
        format!("ldap://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap(),
    ];
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(&[0x30, 5, 2, 1, 1, 0x61, 0])
            .await
            .unwrap();
        stream
    });
    let failure = read_from(&directory).await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Garbled { .. }),
        "{failure:?}"
    );
    drop(answering.await.unwrap());
}

#[tokio::test]
async fn the_reason_of_a_disconnection_is_told() {
    // In the form of RFC 4511, and in that of Active Directory, which puts the name of the notice
    // beside the answer.
    let text = b"going down";
    let result = [&[10, 1, 52, 4, 0, 4, text.len() as u8][..], text].concat();
    let response = [&[0x78, result.len() as u8][..], &result].concat();
    for extra in [&[][..], &[0x8a, 3, b'1', b'.', b'3']] {
        let body = [&[2, 1, 0][..], &response, extra].concat();
        let notice = [&[0x30, body.len() as u8][..], &body].concat();
        let server = Faulty::start(move |id, _, _| {
            vec![entry(id, 1), Act::Bytes(notice.clone()), Act::Close]
        })
        .await;
        let error = server.error().await;
        assert!(
            matches!(&error, DirectoryError::Refused { code: 52, text, .. } if text == "going down"),
            "{error:?}"
        );
    }
}

/// Says no to StartTLS, or yes with plain bytes behind it that somebody on the way may have put
/// there.
async fn start_tls_answered_with(response: &'static [u8]) -> DirectoryError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Faulty::start(|_, _, _| Vec::new()).await;
    let mut directory = Directory {
        start_tls: true,
        ..server.directory()
    };
    directory.urls = vec![
        format!("ldap://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap(),
    ];
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(response).await.unwrap();
        stream
    });
    let failure = read_from(&directory).await.unwrap_err();
    drop(answering.await.unwrap());
    failure.error
}

#[tokio::test]
async fn a_refused_or_tampered_start_tls_is_an_error() {
    let refused =
        start_tls_answered_with(&[0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 53, 4, 0, 4, 0]).await;
    assert!(
        matches!(refused, DirectoryError::StartTlsRefused { code: 53, .. }),
        "{refused:?}"
    );
    let tampered = start_tls_answered_with(&[
        0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 0, 4, 0, 4, 0, 0x30, 0x0c, 2,
    ])
    .await;
    assert!(
        matches!(tampered, DirectoryError::Garbled { .. }),
        "{tampered:?}"
    );
}

fn members(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|nth| format!("cn=m{nth}")).collect()
}

/// A server that shows the first three values of an attribute, and then what the test says.
async fn in_parts(
    answer: impl Fn(i32, &str) -> Vec<Act> + Send + Sync + Clone + 'static,
) -> Faulty {
    let first = |id| {
        vec![
            entry_with(id, 1, "member;range=0-2", &members(0, 3)),
            page_end(id, b""),
        ]
    };
    Faulty::start(move |id, _, asked| {
        if asked.contains("range=") {
            answer(id, asked)
        } else {
            first(id)
        }
    })
    .await
}

#[tokio::test]
async fn every_value_range_is_fetched() {
    let server = in_parts(|id, asked| {
        let (name, values) = match asked {
            "member;range=2-*" => ("member;range=2-5", members(2, 6)),
            _ => ("member;range=5-*", members(5, 8)),
        };
        vec![entry_with(id, 1, name, &values), done(id, 0)]
    })
    .await;
    let reading = server.read().await.unwrap();
    let values: Vec<Vec<u8>> = members(0, 8).into_iter().map(String::into_bytes).collect();
    assert_eq!(reading.entries()[0].1.values("member"), values);
}

#[tokio::test]
async fn values_that_were_removed_behind_those_known_are_no_fault() {
    let server = in_parts(|id, _| {
        vec![
            entry_with(id, 1, "member;range=2-*", &members(2, 3)),
            done(id, 0),
        ]
    })
    .await;
    let reading = server.read().await.unwrap();
    assert_eq!(reading.entries()[0].1.values("member").len(), 3);
}

#[tokio::test]
async fn a_value_range_that_does_not_come_fails_the_read() {
    let gone = in_parts(|id, _| vec![done(id, 32)]).await;
    assert!(matches!(
        gone.error().await,
        DirectoryError::NoSuchBase { .. }
    ));
    let nothing = in_parts(|id, _| vec![done(id, 0)]).await;
    assert!(matches!(
        nothing.error().await,
        DirectoryError::NotProven { .. }
    ));
    // Fewer than it says; those before; none; no more, though more follow; and one that was before
    // them was removed, so that another one is not among either part.
    for (name, from, to) in [
        ("member;range=2-9", 2, 5),
        ("member;range=0-2", 0, 3),
        ("member;range=2-*", 2, 2),
        ("member;range=2-2", 2, 3),
        ("member;range=2-*", 3, 5),
    ] {
        let part =
            in_parts(move |id, _| vec![entry_with(id, 1, name, &members(from, to)), done(id, 0)])
                .await;
        let error = part.error().await;
        assert!(
            matches!(error, DirectoryError::NotProven { .. }),
            "{name} {from} {to}: {error}"
        );
    }
}

#[tokio::test]
async fn a_first_value_range_that_is_not_whole_fails_the_read() {
    let server = Faulty::start(|id, _, _| {
        vec![
            entry_with(id, 1, "member;range=0-2", &members(0, 2)),
            page_end(id, b""),
        ]
    })
    .await;
    let error = server.error().await;
    assert!(error.to_string().contains("2 values in member"), "{error}");
}

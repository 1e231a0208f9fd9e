//! Connections: access rights, refusals, and how they end.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use ldap3::{
    LdapError, Mod, Scope,
    controls::RawControl,
    exop::{Exop, WhoAmI, WhoAmIResp},
};
use ldap3_proto::{
    LdapCodec,
    proto::{
        LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapFilter, LdapMsg, LdapOp,
        LdapSearchRequest, LdapSearchScope,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder as _, Framed},
};

use ftrack_ldap_sync::demo::cast::{self, Oddities};

use super::{directory, eventually, small, uids};
use crate::ldap_client::{LIMIT, PASSWORD, bound, code, connect};

#[tokio::test]
async fn binds() {
    let server = small().await;
    let cases = [
        (cast::SERVICE, PASSWORD, 0),
        ("CN=LDAP-sync, ou=services,dc=studio,dc=test", PASSWORD, 0),
        (cast::SERVICE, "wrong", 49),
        ("cn=nobody,dc=studio,dc=test", PASSWORD, 49),
        ("uid=emma,ou=people,dc=studio,dc=test", PASSWORD, 49),
        ("", "password", 49),
        (cast::SERVICE, "", 53),
        ("no dn", PASSWORD, 34),
        ("", "", 0),
    ];
    let mut ldap = connect(&server.url()).await;
    for (dn, password, expected) in cases {
        let answer = ldap
            .with_timeout(LIMIT)
            .simple_bind(dn, password)
            .await
            .unwrap();
        assert_eq!(answer.rc, expected, "{dn} {password}");
    }
    let refused = ldap.with_timeout(LIMIT).sasl_external_bind().await.unwrap();
    assert_eq!(refused.rc, 7);
    assert_eq!(server.counts().binds, cases.len() + 1);
}

#[tokio::test]
async fn who_am_i() {
    let server = small().await;
    let mut ldap = connect(&server.url()).await;
    let ask = async |ldap: &mut ldap3::Ldap| {
        let (exop, result) = ldap
            .with_timeout(LIMIT)
            .extended(WhoAmI)
            .await
            .unwrap()
            .success()
            .map(|answer| (answer.0, answer.1))
            .unwrap();
        assert_eq!(result.rc, 0);
        exop.val
            .as_ref()
            .map(|_| exop.parse::<WhoAmIResp>().authzid)
    };
    assert_eq!(ask(&mut ldap).await.unwrap_or_default(), "");
    ldap.simple_bind(cast::SERVICE, PASSWORD)
        .await
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(
        ask(&mut ldap).await.unwrap(),
        format!("dn:{}", cast::SERVICE)
    );
    // A bind that fails leaves nobody bound.
    assert_eq!(
        ldap.simple_bind(cast::SERVICE, "wrong").await.unwrap().rc,
        49
    );
    assert_eq!(ask(&mut ldap).await.unwrap_or_default(), "");
    assert_eq!(
        code(&mut ldap, cast::SUFFIX, Scope::Subtree, "(uid=*)")
            .await
            .0,
        50
    );
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_its_code() {
    let server = small().await;
    let mut ldap = bound(&server.url()).await;
    let unknown = |crit| RawControl {
        ctype: "1.2.3.4".to_owned(),
        crit,
        val: None,
    };
    ldap.with_controls(unknown(true));
    assert_eq!(
        code(&mut ldap, cast::SUFFIX, Scope::Base, "(objectClass=*)")
            .await
            .0,
        12
    );
    ldap.with_controls(unknown(false));
    assert_eq!(
        code(&mut ldap, cast::SUFFIX, Scope::Base, "(objectClass=*)")
            .await
            .0,
        0
    );
    let extended = ldap
        .with_timeout(LIMIT)
        .extended(Exop {
            name: Some("1.2.3.4".to_owned()),
            val: None,
        })
        .await
        .unwrap();
    assert_eq!(extended.1.rc, 2);
    let emma = "uid=emma,ou=people,dc=studio,dc=test";
    assert_eq!(ldap.with_timeout(LIMIT).delete(emma).await.unwrap().rc, 53);
    let change = Mod::Replace("sn", HashSet::from(["x"]));
    assert_eq!(
        ldap.with_timeout(LIMIT)
            .modify(emma, vec![change])
            .await
            .unwrap()
            .rc,
        53
    );
    let add = vec![("sn", HashSet::from(["x"]))];
    assert_eq!(
        ldap.with_timeout(LIMIT)
            .add("uid=x,dc=studio,dc=test", add)
            .await
            .unwrap()
            .rc,
        53
    );
    assert_eq!(
        ldap.with_timeout(LIMIT)
            .modifydn(emma, "uid=x", true, None)
            .await
            .unwrap()
            .rc,
        53
    );
    assert_eq!(
        ldap.with_timeout(LIMIT)
            .compare(emma, "sn", "Brown")
            .await
            .unwrap()
            .0
            .rc,
        53
    );
}

#[tokio::test]
async fn what_is_no_ldap_ends_the_connection_with_a_notice() {
    let server = small().await;
    let notice = b"1.3.6.1.4.1.1466.20036";
    let too_long = [b"\x30\x84\x10\x00\x00\x00".as_slice(), &[0; 1_000_000]].concat();
    let requests: [(&str, &[u8]); 4] = [
        ("nonsense", b"GET / HTTP/1.1\r\n\r\n"),
        (
            "an answer",
            b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
        ),
        ("a message id of 0", b"\x30\x05\x02\x01\x00\x42\x00"),
        ("too long", &too_long),
    ];
    for (what, request) in requests {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // The server may hang up before it was told everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let ended = timeout(LIMIT, stream.read_to_end(&mut answer))
            .await
            .unwrap();
        let told = answer.windows(notice.len()).any(|part| part == notice);
        assert!(
            told || (what == "too long" && (ended.is_err() || answer.is_empty())),
            "{what}: {ended:?} {answer:?}"
        );
    }
    assert_eq!(uids(&server.url(), "(uid=emma)").await, ["emma"]);
}

#[tokio::test]
async fn an_abandoned_search_is_not_answered_any_further() {
    let (server, _) = directory(500, Oddities::None).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut client = Framed::new(stream, LdapCodec::new(Some(1 << 24), None));
    let bind = LdapBindRequest {
        version: 3,
        dn: cast::SERVICE.to_owned(),
        cred: LdapBindCred::Simple(PASSWORD.to_owned()),
    };
    let present = || LdapFilter::Present("objectClass".to_owned());
    let requests = [
        LdapOp::BindRequest(bind),
        LdapOp::SearchRequest(search(present())),
        LdapOp::SearchRequest(search(present())),
        LdapOp::AbandonRequest(2),
        LdapOp::AbandonRequest(3),
        LdapOp::SearchRequest(search(LdapFilter::Equality(
            "ou".to_owned(),
            "services".to_owned(),
        ))),
    ];
    // All at once, so that both searches are abandoned before they are answered.
    for (id, op) in (1..).zip(requests) {
        client.feed(LdapMsg::new(id, op)).await.unwrap();
    }
    client.flush().await.unwrap();
    let mut ended = Vec::new();
    while ended.last() != Some(&6) {
        let answer = timeout(LIMIT, client.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if !matches!(answer.op, LdapOp::SearchResultEntry(_)) {
            ended.push(answer.msgid);
        }
    }
    assert_eq!(ended, [1, 6]);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let server = small().await;
    let mut one = bound(&server.url()).await;
    let two = bound(&server.url()).await;
    eventually(&server, |counts| counts.connections == 2).await;
    one.unbind().await.unwrap();
    eventually(&server, |counts| counts.connections == 1).await;
    drop(two);
    eventually(&server, |counts| counts.connections == 0).await;
}

#[tokio::test]
async fn it_stops_cleanly() {
    let server = small().await;
    let (url, address) = (server.url(), server.address());
    let mut ldap = bound(&url).await;
    let mut raw = TcpStream::connect(address).await.unwrap();
    eventually(&server, |counts| counts.connections == 2).await;
    let start = Instant::now();
    server.stop().await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    let mut farewell = Vec::new();
    timeout(LIMIT, raw.read_to_end(&mut farewell))
        .await
        .unwrap()
        .unwrap();
    assert!(farewell.windows(16).any(|part| part == b"the server stops"));
    let lost = ldap
        .with_timeout(LIMIT)
        .search(cast::SUFFIX, Scope::Base, "(uid=*)", vec!["1.1"])
        .await
        .unwrap_err();
    assert!(!matches!(lost, LdapError::Timeout { .. }), "{lost}");
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn it_stops_when_it_is_dropped() {
    let server = small().await;
    let mut raw = TcpStream::connect(server.address()).await.unwrap();
    drop(server);
    let mut farewell = Vec::new();
    // A connection that was not accepted yet is reset, an accepted one is told.
    let ended = timeout(LIMIT, raw.read_to_end(&mut farewell))
        .await
        .unwrap();
    assert!(
        ended.is_err()
            || farewell.is_empty()
            || farewell.windows(16).any(|part| part == b"the server stops")
    );
}

#[tokio::test]
async fn damaged_requests_end_their_own_connection_only() {
    let server = small().await;
    let filter = LdapFilter::And(vec![
        LdapFilter::Present("cn".to_owned()),
        LdapFilter::Not(Box::new(LdapFilter::Equality(
            "sn".to_owned(),
            "x".to_owned(),
        ))),
    ]);
    let mut request = BytesMut::new();
    let bind = LdapBindRequest {
        version: 3,
        dn: cast::SERVICE.to_owned(),
        cred: LdapBindCred::Simple(PASSWORD.to_owned()),
    };
    for (id, op) in [
        (1, LdapOp::BindRequest(bind)),
        (2, LdapOp::SearchRequest(search(filter))),
    ] {
        LdapCodec::default()
            .encode(LdapMsg::new(id, op), &mut request)
            .unwrap();
    }
    for (at, value) in
        (0..request.len()).flat_map(|at| [0x00, 0x30, 0x7f, 0x84, 0xff].map(|value| (at, value)))
    {
        let mut damaged = request.to_vec();
        damaged[at] = value;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // The server may have hung up on the first half.
        let _ = stream.write_all(&damaged).await;
        let _ = stream.shutdown().await;
        let ended = timeout(LIMIT, stream.read_to_end(&mut Vec::new())).await;
        assert!(
            ended.is_ok(),
            "byte {at} as {value:#x} keeps the connection open"
        );
    }
    assert_eq!(uids(&server.url(), "(uid=emma)").await, ["emma"]);
    eventually(&server, |counts| counts.connections == 0).await;
}

/// A search for everything that a filter finds.
fn search(filter: LdapFilter) -> LdapSearchRequest {
    LdapSearchRequest {
        base: cast::SUFFIX.to_owned(),
        scope: LdapSearchScope::Subtree,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter,
        attrs: Vec::new(),
    }
}

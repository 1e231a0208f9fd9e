//! Reading a real directory: completely, over every kind of connection, or a failure that says why
//! not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    config::{AccountRule, Directory, Filter, PeopleFilter, Scope, Secret},
    directory::{
        DirectoryError, DirectoryPool, PeopleSearch, ReadFailure, ReadRequest, Reading, ask, read,
    },
    model::{
        entry::{DirectoryId, Entry},
        id::IdAttribute,
        server_kind::{ByKind, ServerKind},
    },
};
use tokio_util::sync::CancellationToken;

use crate::slapd::{Certificate, Over, PEOPLE, SUFFIX, Setup, ldif_entry, ldif_entry_of_bytes};

/// What the tests keep of an entry.
type Seen = (Option<DirectoryId>, Entry);

fn person(nth: usize) -> String {
    let uid = format!("person{nth:04}");
    let attributes = [
        ("objectClass", "inetOrgPerson"),
        ("uid", &uid),
        ("cn", &uid),
        ("sn", "Person"),
        ("mail", &format!("{uid}@studio.test")),
    ];
    ldif_entry(&format!("uid={uid},{PEOPLE}"), &attributes)
}

pub fn people(count: usize) -> String {
    (0..count).map(person).collect()
}

/// Who is searched for at a server of any kind.
pub fn searched(filter: &str, attributes: &[&str]) -> Arc<ByKind<PeopleSearch>> {
    let people = PeopleSearch {
        filter: PeopleFilter::configured(filter.parse().unwrap()),
        attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
        account: AccountRule::default(),
    };
    Arc::new(ByKind::new(|_| people.clone()))
}

pub fn request() -> ReadRequest {
    ReadRequest {
        bases: vec![PEOPLE.into()],
        scope: Scope::Subtree,
        people: searched("(objectClass=inetOrgPerson)", &["uid", "mail"]),
        groups: None,
        id_attribute: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(60),
    }
}

pub async fn read_all(
    directory: &Directory,
    request: &ReadRequest,
) -> Result<Reading<Entry>, ReadFailure> {
    let pool = DirectoryPool::new("studio", directory).unwrap();
    read(
        &pool,
        request,
        |_, entry| entry.clone(),
        &CancellationToken::new(),
        |_| (),
    )
    .await
}

/// Reads and does something when so many entries have come.
async fn read_and(
    directory: &Directory,
    after: usize,
    mut what: impl FnMut(),
) -> Result<Reading<()>, ReadFailure> {
    let pool = DirectoryPool::new("studio", directory).unwrap();
    let mut count = 0;
    let map = |_: ServerKind, _: &Entry| {
        count += 1;
        if count == after {
            what();
        }
    };
    read(&pool, &request(), map, &CancellationToken::new(), |_| ()).await
}

fn uids(entries: &[Seen]) -> BTreeSet<String> {
    entries
        .iter()
        .map(|(_, entry)| String::from_utf8(entry.values("UID")[0].clone()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_thousand_people_over_every_kind_of_connection() {
    let slapd = Setup::new(people(1000)).start();
    let expected: BTreeSet<String> = (0..1000).map(|nth| format!("person{nth:04}")).collect();
    let by_name = [Over::Plain, Over::StartTls, Over::Tls].map(|over| slapd.directory(over));
    let by_certificate =
        [Over::StartTls, Over::Tls].map(|over| slapd.directory_by_certificate(over));
    for directory in by_name.iter().chain(&by_certificate) {
        let pool = DirectoryPool::new("studio", directory).unwrap();
        let mut told = Vec::new();
        let reading = read(
            &pool,
            &request(),
            |_, entry| entry.clone(),
            &CancellationToken::new(),
            |count| told.push(count),
        )
        .await
        .unwrap();
        assert_eq!(uids(reading.entries()), expected, "{directory:?}");
        assert_eq!(reading.entries().len(), 1000);
        let ids: BTreeSet<&DirectoryId> = reading
            .entries()
            .iter()
            .filter_map(|(id, _)| id.as_ref())
            .collect();
        assert_eq!(ids.len(), 1000);
        assert_eq!(reading.id_attribute(), Some(&IdAttribute::EntryUuid));
        assert_eq!(
            reading.server(),
            directory.urls[0].as_str().trim_end_matches('/')
        );
        let [search] = reading.searches() else {
            panic!("{:?}", reading.searches())
        };
        assert_eq!(
            (search.pages, search.entries, search.result.as_str()),
            (10, 1000, "success")
        );
        assert_eq!(told.last(), Some(&1000));
        assert!(told.len() >= 10 && told.is_sorted(), "{told:?}");
    }
}

#[tokio::test]
async fn connections_are_used_again_and_not_after_a_failure() {
    let slapd = Setup::new(people(3)).start();
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Plain)).unwrap();
    let nobody = CancellationToken::new();
    assert_eq!((number_read(&pool).await, number_read(&pool).await), (3, 3));
    assert_eq!(
        slapd.logged("BIND dn=\"cn=ldap-sync,ou=services,dc=studio,dc=test\" mech"),
        1
    );
    let elsewhere = ReadRequest {
        bases: vec!["ou=nowhere,dc=studio,dc=test".into()],
        ..request()
    };
    read(&pool, &elsewhere, |_, _| (), &nobody, |_| ())
        .await
        .unwrap_err();
    assert_eq!(number_read(&pool).await, 3);
    assert_eq!(
        slapd.logged("BIND dn=\"cn=ldap-sync,ou=services,dc=studio,dc=test\" mech"),
        2
    );
}

/// How many were read, all of whom must have been; in a task of its own, as the program does it.
async fn number_read(pool: &DirectoryPool) -> usize {
    let pool = pool.clone();
    let reading = tokio::spawn(async move {
        read(
            &pool,
            &request(),
            |_, _| (),
            &CancellationToken::new(),
            |_| (),
        )
        .await
    });
    reading.await.unwrap().unwrap().entries().len()
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let slapd = Setup::new(people(3)).start();
    let other = Setup::new(people(4)).start();
    let mut directory = slapd.directory(Over::Plain);
    directory.urls.push(other.url());
    let pool = DirectoryPool::new("studio", &directory).unwrap();
    let nobody = CancellationToken::new();
    assert_eq!(number_read(&pool).await, 3);
    drop(slapd);
    let reading = read(&pool, &request(), |_, _| (), &nobody, |_| ())
        .await
        .unwrap();
    assert_eq!(
        (reading.entries().len(), reading.server()),
        (4, other.url().as_str().trim_end_matches('/'))
    );
}

#[tokio::test]
async fn values_and_names_come_byte_for_byte() {
    let portrait: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let dns = [
        r#"cn=Müller\, \"Jürgen\" \+ Söhne,ou=people,dc=studio,dc=test"#,
        r"cn=\ 李 小龍\ ,ou=people,dc=studio,dc=test",
        r"cn=a\=b\<c\>\;d\23e,ou=people,dc=studio,dc=test",
    ];
    let names: [&[u8]; 3] = [
        "Müller, \"Jürgen\" + Söhne".as_bytes(),
        " 李 小龍 ".as_bytes(),
        b"a=b<c>;d#e",
    ];
    let ldif: String = dns
        .iter()
        .zip(names)
        .map(|(dn, name)| {
            ldif_entry_of_bytes(
                dn,
                &[
                    ("objectClass", b"inetOrgPerson"),
                    ("cn", name),
                    ("sn", name),
                    ("jpegPhoto", &portrait),
                ],
            )
        })
        .collect();
    let slapd = Setup::new(ldif).start();
    let request = ReadRequest {
        people: searched(
            "(objectClass=inetOrgPerson)",
            &["cn", "jpegPhoto", "description"],
        ),
        ..request()
    };
    let reading = read_all(&slapd.directory(Over::Tls), &request)
        .await
        .unwrap();
    assert_eq!(reading.entries().len(), 3);
    for name in names {
        let found = reading
            .entries()
            .iter()
            .find(|(_, entry)| entry.values("cn") == [name.to_vec()]);
        let (id, entry) = found.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(name)));
        assert!(id.is_some());
        assert!(
            entry.values("JPEGPHOTO") == std::slice::from_ref(&portrait),
            "the portrait changed on its way"
        );
        assert!(entry.values("description").is_empty());
        assert!(
            entry.dn.ends_with(",ou=people,dc=studio,dc=test"),
            "{}",
            entry.dn
        );
    }
}

#[tokio::test]
async fn overlapping_bases_bring_each_person_once() {
    let slapd = Setup::new(people(250)).start();
    let request = ReadRequest {
        bases: vec![SUFFIX.into(), PEOPLE.into()],
        ..request()
    };
    let reading = read_all(&slapd.directory(Over::Plain), &request)
        .await
        .unwrap();
    assert_eq!(
        (reading.entries().len(), reading.searches().len()),
        (250, 2)
    );
    let below_root = ReadRequest {
        bases: vec![SUFFIX.into()],
        scope: Scope::One,
        ..request
    };
    assert_eq!(
        read_all(&slapd.directory(Over::Plain), &below_root)
            .await
            .unwrap()
            .entries()
            .len(),
        0
    );
}

#[tokio::test]
async fn the_id_attribute_can_be_named() {
    let slapd = Setup::new(people(2)).start();
    let directory = Directory {
        id_attribute: Some("mail".into()),
        ..slapd.directory(Over::Plain)
    };
    let reading = read_all(&directory, &request()).await.unwrap();
    let ids: BTreeSet<&str> = reading
        .entries()
        .iter()
        .filter_map(|(id, _)| Some(id.as_ref()?.as_str()))
        .collect();
    assert_eq!(
        ids,
        BTreeSet::from(["person0000@studio.test", "person0001@studio.test"])
    );
}

#[tokio::test]
async fn two_people_with_the_same_chosen_id_both_come() {
    let twin = |uid: &str| {
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", uid),
            ("cn", uid),
            ("sn", "Twin"),
            ("employeeNumber", "7"),
        ];
        ldif_entry(&format!("uid={uid},{PEOPLE}"), &attributes)
    };
    let slapd = Setup::new(twin("castor") + &twin("pollux")).start();
    let directory = Directory {
        id_attribute: Some("employeeNumber".into()),
        ..slapd.directory(Over::Plain)
    };
    let overlapping = ReadRequest {
        bases: vec![PEOPLE.into(), SUFFIX.into()],
        ..request()
    };
    let reading = read_all(&directory, &overlapping).await.unwrap();
    assert_eq!(
        (reading.entries().len(), uids(reading.entries()).len()),
        (2, 2)
    );
}

#[tokio::test]
async fn the_second_look_finds_who_is_still_there() {
    let slapd = Setup::new(people(250)).start();
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Plain)).unwrap();
    let nobody = CancellationToken::new();
    let reading = read(&pool, &request(), |_, entry| entry.clone(), &nobody, |_| ())
        .await
        .unwrap();
    let mut ids: Vec<DirectoryId> = reading
        .entries()
        .iter()
        .filter_map(|(id, _)| id.clone())
        .collect();
    slapd.change(&format!(
        "dn: uid=person0007,{PEOPLE}\nchangetype: delete\n"
    ));
    slapd.change(&format!(
        "dn: uid=person0008,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n"
    ));
    ids.push(DirectoryId::new("00000000-0000-0000-0000-000000000000").unwrap());
    let gone = |found: &BTreeMap<DirectoryId, String>| {
        ids.iter().filter(|id| !found.contains_key(*id)).count()
    };
    let found = ask(
        &pool,
        Some(reading.server()),
        &request(),
        &IdAttribute::EntryUuid,
        &ids,
        &nobody,
    )
    .await
    .unwrap();
    assert_eq!(
        (found.there.len(), gone(&found.there), found.doubtful.len()),
        (249, 2, 0)
    );
    assert_eq!(found.directory_id.as_deref(), reading.directory_id());
    slapd.signal("KILL");
    let failure = ask(
        &pool,
        Some(reading.server()),
        &request(),
        &IdAttribute::EntryUuid,
        &ids,
        &nobody,
    )
    .await
    .unwrap_err();
    assert!(
        matches!(
            failure.error,
            DirectoryError::Connect { .. } | DirectoryError::Lost { .. }
        ),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_refused_bind_is_tried_once_and_nowhere_else() {
    let slapd = Setup::new(people(1)).start();
    let other = Setup::new(people(1)).start();
    let mut directory = Directory {
        bind_password: Some(Secret::new("wrong-secret".into()).into()),
        ..slapd.directory(Over::Plain)
    };
    directory.urls.push(other.url());
    let failure = read_all(&directory, &request()).await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::BindRefused { code: 49, .. }),
        "{failure:?}"
    );
    assert_eq!((slapd.logged("BIND dn="), other.logged("BIND dn=")), (1, 0));
    assert!(!format!("{failure:?} {failure}").contains("wrong-secret"));
}

#[tokio::test]
async fn an_empty_password_never_leaves() {
    let slapd = Setup::new("").start();
    let directory = Directory {
        bind_password: Some(Secret::new(String::new()).into()),
        ..slapd.directory(Over::Plain)
    };
    let error = DirectoryPool::new("studio", &directory).unwrap_err();
    assert!(matches!(error, DirectoryError::Settings { .. }), "{error}");
}

#[tokio::test]
async fn nothing_asked_is_not_nobody() {
    let slapd = Setup::new("").start();
    let nowhere = ReadRequest {
        bases: Vec::new(),
        ..request()
    };
    let failure = read_all(&slapd.directory(Over::Plain), &nowhere)
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Settings { .. }),
        "{failure:?}"
    );
    // No request can have a malformed filter.
    assert!("(uid=*".parse::<Filter>().is_err());
    assert_eq!(slapd.logged("BIND dn="), 0);
}

#[tokio::test]
async fn a_missing_base_is_not_nobody() {
    let slapd = Setup::new(people(250)).start();
    let request = ReadRequest {
        bases: vec![PEOPLE.into(), "ou=gone,dc=studio,dc=test".into()],
        ..request()
    };
    let failure = read_all(&slapd.directory(Over::Plain), &request)
        .await
        .unwrap_err();
    assert!(
        matches!(&failure.error, DirectoryError::NoSuchBase { matched, .. } if matched == SUFFIX),
        "{failure:?}"
    );
    let results: Vec<(&str, u64)> = failure
        .searches
        .iter()
        .map(|search| (search.result.as_str(), search.entries))
        .collect();
    assert_eq!(results, [("success", 250), ("noSuchObject (32)", 0)]);
}

#[tokio::test]
async fn limits_of_the_server_are_failures() {
    let total = Setup::new(people(300))
        .database("limits users size.prtotal=150")
        .start();
    let failure = read_all(&total.directory(Over::Plain), &request())
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Refused { code: 4, .. }),
        "{failure:?}"
    );
    assert_eq!(failure.searches[0].result, "sizeLimitExceeded (4)");
    let page = Setup::new(people(300))
        .database("limits users size.soft=50 size.hard=50 size.pr=50")
        .start();
    let failure = read_all(&page.directory(Over::Plain), &request())
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Refused { code: 11, .. }),
        "{failure:?}"
    );
    let off = Setup::new(people(3))
        .database("limits users size.prtotal=disabled")
        .start();
    let failure = read_all(&off.directory(Over::Plain), &request())
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Refused { .. }),
        "{failure:?}"
    );
}

#[tokio::test]
async fn pages_after_the_first_are_larger_where_the_server_allows_it() {
    for (limit, pages) in [
        ("size.pr=unlimited", 2),
        ("size.pr=1000", 3),
        ("size.pr=4999", 3),
    ] {
        let slapd = Setup::new(people(2500))
            .database(&format!(
                "limits users size.soft=1000 size.hard=1000 size.prtotal=unlimited {limit}"
            ))
            .start();
        let configured = |page_size| Directory {
            page_size,
            ..slapd.directory(Over::Plain)
        };
        // The test's own setting is smaller.
        let reading = read_all(&configured(1000), &request()).await.unwrap();
        let seen: BTreeSet<_> = reading.entries().iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(
            (reading.entries().len(), seen.len()),
            (2500, 2500),
            "{limit}"
        );
        let [search] = reading.searches() else {
            panic!("{:?}", reading.searches())
        };
        assert_eq!((search.pages, search.entries), (pages, 2500), "{limit}");
        // Who asks for fewer gets them.
        let reading = read_all(&configured(500), &request()).await.unwrap();
        assert_eq!(reading.searches()[0].pages, 5, "{limit}");
    }
}

#[tokio::test]
async fn referral_objects_are_counted_where_the_server_returns_them_as_entries() {
    let away = ldif_entry(
        &format!("ou=away,{PEOPLE}"),
        &[
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ou", "away"),
            ("ref", "ldap://elsewhere.test/ou=away,dc=test"),
        ],
    );
    let slapd = Setup::new(people(150) + &away).start();
    let directory = slapd.directory(Over::Plain);
    let reading = read_all(&directory, &request()).await.unwrap();
    let numbers = |reading: &Reading<Entry>| {
        let [search] = reading.searches() else {
            panic!("{:?}", reading.searches())
        };
        (reading.entries().len(), search.entries, search.referrals)
    };
    assert_eq!(numbers(&reading), (150, 150, 1));
    let at_it = ReadRequest {
        bases: vec![format!("ou=away,{PEOPLE}")],
        ..request()
    };
    let reading = read_all(&directory, &at_it).await.unwrap();
    assert_eq!(numbers(&reading), (0, 0, 1));
    let below_it = ReadRequest {
        bases: vec![format!("ou=far,ou=away,{PEOPLE}")],
        ..request()
    };
    let failure = read_all(&directory, &below_it).await.unwrap_err();
    let DirectoryError::Referred { to, .. } = &failure.error else {
        panic!("{failure:?}")
    };
    assert!(to[0].starts_with("ldap://elsewhere.test/"), "{to:?}");
}

#[tokio::test]
async fn a_server_that_stops_answering_is_given_up_in_time() {
    let slapd = Setup::new(people(1000)).start();
    let directory = Directory {
        connect_timeout: Duration::from_secs(1),
        operation_timeout: Duration::from_secs(1),
        ..slapd.directory(Over::StartTls)
    };
    let started = Instant::now();
    let failure = read_and(&directory, 150, || slapd.signal("STOP"))
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::TimedOut { .. }),
        "{failure:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(failure.searches[0].result, "timeout");
    assert!(failure.searches[0].entries >= 150);
    let failure = read_and(&directory, 1, || ()).await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::TimedOut { .. }),
        "a stopped server still accepts: {failure:?}"
    );
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_a_failure_and_no_other_is_asked() {
    let slapd = Setup::new(people(1000)).start();
    let other = Setup::new(people(1000)).start();
    let mut directory = slapd.directory(Over::Plain);
    directory.urls.push(other.url());
    let failure = read_and(&directory, 150, || slapd.signal("KILL"))
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Lost { .. }),
        "{failure:?}"
    );
    assert_eq!(
        failure.server.as_deref(),
        Some(slapd.url().as_str().trim_end_matches('/'))
    );
    assert_eq!(
        (
            slapd.logged("SRCH base=\"ou=people") > 0,
            other.logged("SRCH base=\"ou=people")
        ),
        (true, 0)
    );
}

#[tokio::test]
async fn another_server_is_tried_before_the_first_page() {
    let slapd = Setup::new(people(3)).start();
    let dead = Setup::new("").start();
    let expired = Setup::new(people(9))
        .certificate(Certificate::Expired)
        .start();
    let (closed, silent) = (
        dead.tls_url(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    drop(dead);
    let mut directory = Directory {
        connect_timeout: Duration::from_secs(1),
        ..slapd.directory(Over::Tls)
    };
    let silent = format!("ldaps://{}", silent.local_addr().unwrap())
        .parse()
        .unwrap();
    directory.urls = vec![
        closed,
        "ldaps://no-such-name.invalid".parse().unwrap(),
        silent,
        expired.tls_url(),
        slapd.tls_url(),
    ];
    let reading = read_all(&directory, &request()).await.unwrap();
    assert_eq!(
        (reading.entries().len(), reading.server()),
        (3, slapd.tls_url().as_str().trim_end_matches('/'))
    );
    directory.urls.pop();
    let failure = read_all(&directory, &request()).await.unwrap_err();
    let DirectoryError::AllServers(each) = &failure.error else {
        panic!("{failure:?}")
    };
    assert!(
        matches!(
            each.as_slice(),
            [
                DirectoryError::Connect { .. },
                DirectoryError::NameNotResolved { .. },
                DirectoryError::TimedOut { .. },
                DirectoryError::Tls { .. }
            ]
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn a_read_can_be_stopped() {
    let slapd = Setup::new(people(1000)).start();
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Plain)).unwrap();
    let stop = CancellationToken::new();
    let mut count = 0;
    let map = |_: ServerKind, _: &Entry| {
        count += 1;
        if count == 150 {
            slapd.signal("STOP");
            stop.cancel();
        }
    };
    let failure = read(&pool, &request(), map, &stop, |_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Cancelled),
        "{failure:?}"
    );
    assert_eq!(failure.searches[0].result, "cancelled");
    slapd.signal("CONT");
    assert_eq!(number_read(&pool).await, 1000);
}

#[tokio::test]
async fn the_deadline_ends_the_whole_read() {
    let slapd = Setup::new(people(1000)).start();
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Plain)).unwrap();
    slapd.signal("STOP");
    let request = ReadRequest {
        deadline: tokio::time::Instant::now() + Duration::from_millis(300),
        ..request()
    };
    let failure = read(
        &pool,
        &request,
        |_, _| (),
        &CancellationToken::new(),
        |_| (),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::Deadline { .. }),
        "{failure:?}"
    );
}

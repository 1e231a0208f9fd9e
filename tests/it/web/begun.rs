//! What is begun on a page and goes on beside it: once, to its end, and known of by everybody.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
};

use ftrack_ldap_sync::demo::ftrack::CallKind;

use super::{Browser, Pages, TOKEN, held};
use crate::{daemon::LIMIT, slapd::wait_until};

impl Browser {
    /// Asks for something, and goes away once this page contains that.
    fn leave(&self, request: &str, page: &str, part: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        self.when(page, part);
        let own = stream.local_addr().unwrap();
        drop(stream);
        assert!(wait_until(LIMIT, || !is_open(self.address, own)));
    }
}

/// Whether a server still has a connection, as the system says.
fn is_open(server: SocketAddr, client: SocketAddr) -> bool {
    let all = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| {
        let (_, port) = address.split_once(':').unwrap();
        u16::from_str_radix(port, 16).unwrap()
    };
    // Closed by the client, and not by the server yet.
    const CLOSE_WAIT: &str = "08";
    const ESTABLISHED: &str = "01";
    all.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        port(words[1]) == server.port()
            && port(words[2]) == client.port()
            && [CLOSE_WAIT, ESTABLISHED].contains(&words[3])
    })
}

#[test]
fn what_was_begun_is_followed_though_the_browser_goes_away() {
    let pages = Pages::of(held());
    let nobody = pages.browser();
    // It is not saved yet who asked for it, so that it has not begun.
    let lock = fs::File::open(pages.studio.state_dir().join("state.lock")).unwrap();
    lock.lock().unwrap();
    let host = &nobody.host;
    let request = format!(
        "POST /jobs/artists/plan HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: \
         0\r\n\r\n"
    );
    nobody.leave(&request, "plan?job=artists", "Both servers are being read");
    lock.unlock().unwrap();
    let page = nobody.when("plan?job=artists", "3 to deactivate");
    assert!(page.contains("dry run"), "{page}");
    nobody.when("actions", "held, run ");
}

#[test]
fn one_approval_of_a_hold_goes_on_at_a_time() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let gate = pages.studio.hold(CallKind::Read);
    let first = own.act("holds/1/approve", "whom=chosen&who=user0");
    assert_eq!(first.status, 303, "{first:?}");
    assert!(gate.wait_for(1, LIMIT));
    let page = own.get("holds/1").body;
    assert!(
        page.contains("it is being written") && !page.contains("Approve the chosen"),
        "{page}"
    );
    let second = own.act("holds/1/approve", "whom=all");
    assert_eq!(second.status, 409, "{second:?}");
    assert!(
        second.body.contains("This hold is being approved"),
        "{}",
        second.body
    );
    // Who asked in vain is noted as well.
    own.when("actions", "refused: This hold is being approved");
    gate.open();
    own.when("holds/1", "coordinator approved it: succeeded");
    assert_eq!(pages.active(), 9);
    assert_eq!(own.act("holds/1/approve", "whom=all").status, 303);
}

/// Adds people to a hold, as one of a large studio has them, from this number on.
fn crowd(pages: &Pages, from: u32, number: u32) {
    let file = pages.studio.state_dir().join("state.db");
    let state = rusqlite::Connection::open(file).unwrap();
    let insert = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) INSERT \
                  INTO hold_people (hold, seen, person) SELECT 1, \
                  printf('00000000-0000-4000-8000-%012x', i), json_set((SELECT person FROM hold_people \
                  LIMIT 1), '$.username', printf('more%04d', i)) FROM n";
    let added = state.execute(insert, [from, from + number - 1]).unwrap();
    assert_eq!(added, number as usize);
}

#[test]
fn a_page_offers_to_approve_all_whom_it_shows_and_one_of_several_asks_how_many_they_are() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let rows = |page: &str| page.matches("type=\"checkbox\"").count();
    crowd(&pages, 1, 497);
    let page = own.get("holds/1").body;
    assert_eq!(rows(&page), 500);
    assert!(
        page.contains("Approve all 500") && !page.contains("name=\"total\""),
        "{page}"
    );
    crowd(&pages, 498, 1);
    let page = own.get("holds/1").body;
    assert_eq!(rows(&page), 500);
    assert!(
        page.contains("500 of 501 people")
            && page.contains("1 of the 501 people are not on this page")
            && page.contains("name=\"total\"")
            && page.contains("Approve all 501"),
        "{page}"
    );
    assert!(own.get("holds").body.contains("501 to deactivate"));
}

/// What a page says of all whom a hold holds.
fn seen(page: &str) -> String {
    let (_, seen) = page.split_once("name=\"seen\" value=\"").unwrap();
    seen.split('"').next().unwrap().to_owned()
}

#[test]
fn all_of_several_pages_are_approved_only_as_they_were_shown_and_counted() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    crowd(&pages, 1, 498);
    let shown = seen(&own.get("holds/1").body);
    assert_eq!(shown, seen(&own.get("holds/1?page=2").body));
    // Nobody says how many they are, or not as many as there are, or what was shown.
    for (form, status, said) in [
        ("whom=all".to_owned(), 409, "not what the page showed"),
        ("whom=all&total=501".to_owned(), 409, "501 people now"),
        (format!("whom=all&seen={shown}"), 400, "type how many"),
        (
            format!("whom=all&seen={shown}&total=500"),
            400,
            "type how many",
        ),
        (
            format!("whom=all&seen={shown}&total=all"),
            400,
            "type how many",
        ),
        (
            "whom=all&seen=00000000-0000-4000-8000-000000000000&total=501".to_owned(),
            409,
            "Look at its pages again",
        ),
    ] {
        let answer = own.act("holds/1/approve", &form);
        assert_eq!(answer.status, status, "{form}: {answer:?}");
        assert!(answer.body.contains(said), "{form}: {}", answer.body);
    }
    assert_eq!(pages.active(), 10);
    // Somebody left it since, so that others are shown now.
    let file = pages.studio.state_dir().join("state.db");
    let state = rusqlite::Connection::open(file).unwrap();
    let left = "UPDATE hold_people SET ended_by = 'cause' WHERE json_extract(person, '$.username') = \
                'more0001'";
    assert_eq!(state.execute(left, []).unwrap(), 1);
    let late = |total: usize| {
        let form = format!("whom=all&seen={shown}&total={total}");
        let late = own.act("holds/1/approve", &form);
        assert_eq!(late.status, 409, "{late:?}");
    };
    // Also where one page would show all of them now.
    late(500);
    crowd(&pages, 499, 1);
    late(501);
    let shown = seen(&own.get("holds/1").body);
    let answer = own.act(
        "holds/1/approve",
        &format!("whom=all&seen={shown}&total=501"),
    );
    assert_eq!(answer.status, 303, "{answer:?}");
    // Those whom it really holds are deactivated; the crowd is of no directory.
    let page = own.when("holds/1", ", run 2");
    assert_eq!(pages.active(), 7, "{page}");
}

#[test]
fn everybody_of_a_large_hold_is_on_one_of_its_pages() {
    let pages = Pages::of(held());
    crowd(&pages, 1, 600);
    let own = pages.signed_in(TOKEN);
    let people = |page: &str| -> Vec<String> {
        let rows = page.split("aria-label=\"").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned())
            .collect()
    };
    let first = own.get("holds/1").body;
    assert!(
        first.contains("href=\"../holds&#x2f;1?page&#x3d;2\"") || first.contains("page=2"),
        "{first}"
    );
    let second = own.get("holds/1?page=2").body;
    assert!(
        second.contains("page=1") && !second.contains("page=3"),
        "{second}"
    );
    let mut all = people(&first);
    assert_eq!((all.len(), people(&second).len()), (500, 103));
    all.extend(people(&second));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 603);
    assert_eq!(people(&own.get("holds/1?page=3").body), [""; 0]);
}

#[test]
fn lists_of_holds_read_none_of_their_people() {
    let pages = Pages::of(held());
    let browser = pages.browser();
    let file = pages.studio.state_dir().join("state.db");
    let state = rusqlite::Connection::open(file).unwrap();
    // Whoever read one of them would find that it is nobody.
    let damaged = state.execute("UPDATE hold_people SET person = '{}'", []);
    assert_eq!(damaged.unwrap(), 3);
    for page in ["", "jobs/artists"] {
        let page = browser.get(page).body;
        assert!(page.contains("hold 1, 3 to deactivate"), "{page}");
    }
    let list = browser.get("holds").body;
    assert!(list.contains("3 to deactivate"), "{list}");
    assert_eq!(browser.get("holds/1").status, 500);
}

#[test]
fn a_paused_job_is_planned_and_the_page_says_that_it_is_paused() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let paused = own.act("jobs/artists/pause", "reason=delivery");
    assert_eq!(paused.status, 303, "{paused:?}");
    let page = own.get("plan?job=artists").body;
    assert!(
        page.contains("artists is paused: delivery") && page.contains("by coordinator"),
        "{page}"
    );
    assert_eq!(own.post("jobs/artists/plan", "").status, 303);
    let page = own.when("plan?job=artists", "3 to deactivate");
    assert!(page.contains("artists is paused: delivery"), "{page}");
    assert_eq!(own.act("jobs/artists/run", "").status, 409);
    assert_eq!(own.act("jobs/artists/resume", "").status, 303);
    let page = own.get("plan?job=artists").body;
    assert!(!page.contains("artists is paused"), "{page}");
}

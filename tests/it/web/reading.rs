//! What the pages show.

use ftrack_ldap_sync::demo::ftrack::Fault;

use super::{GUEST, HOSTILE, Pages, TOKEN, held};
use crate::studio::{KEY, PASSWORD, dn};

/// Every page of a daemon, with somebody explained.
fn all(pages: &Pages) -> Vec<(String, String)> {
    let own = pages.signed_in(TOKEN);
    let run = pages.studio.reports().last().unwrap().run.clone();
    let mut all: Vec<(String, String)> = [
        "",
        "jobs/artists",
        "holds",
        "holds/1",
        "history",
        "history?person=user0",
        "plan",
        "person?who=%3Cscript%3E",
        "actions",
        "sign-in?next=%22%3E%3Cscript%3E",
        "jobs/%3Cscript%3E",
        &format!("runs/artists/{run}"),
    ]
    .iter()
    .map(|path| ((*path).to_owned(), own.get(path).body))
    .collect();
    let explained = own.post("person", "job=artists&who=user0");
    assert_eq!(explained.status, 200, "{explained:?}");
    all.push(("person".into(), explained.body));
    all
}

#[test]
fn names_are_text_links_are_relative_and_nothing_comes_from_elsewhere() {
    let studio = held();
    let pages = Pages::of(studio);
    let all = all(&pages);
    for (path, page) in &all {
        assert!(page.contains("</html>"), "{path}: {page}");
        for markup in [
            "<script",
            "<img",
            "onerror=alert(2)>",
            "\u{202e}",
            " style=",
            "<style",
            "javascript:",
        ] {
            assert!(!page.contains(markup), "{markup} in {path}: {page}");
        }
        for absolute in ["=\"/", "=\"http", "=\"//", "url("] {
            assert!(!page.contains(absolute), "{absolute} in {path}: {page}");
        }
        for secret in [TOKEN, GUEST, KEY, PASSWORD] {
            assert!(!page.contains(secret), "a secret in {path}");
        }
    }
    let hold = &all.iter().find(|(path, _)| path == "holds/1").unwrap().1;
    assert!(
        hold.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"),
        "{hold}"
    );
    assert!(hold.contains("\\u{202e}"), "{hold}");
}

#[test]
fn what_needs_a_person_is_first() {
    let pages = Pages::of(held());
    let page = pages.browser().get("").body;
    let place = |part: &str| {
        page.find(part)
            .unwrap_or_else(|| panic!("{part} in {page}"))
    };
    assert!(place("Needs a person") < place("hold 1, 3 to deactivate"));
    assert!(place("hold 1, 3 to deactivate") < place("<h1>Jobs"));
    for part in [
        "10 active",
        "aria-label=\"People by state\"",
        "10 in the last 30 days",
    ] {
        place(part);
    }
}

#[test]
fn a_failed_job_is_told_first_with_its_reason() {
    let mut studio = held();
    studio.job = "schedule = \"* * * * * *\"\nretry = { initial = \"1h\", max = \"1h\" }\n".into();
    studio.tree().remove(&dn("user5")).unwrap();
    studio.filter = "(objectClass=nobodyAtAll)".into();
    let pages = Pages::of(studio);
    let browser = pages.browser();
    let page = browser.when("", "artists failed");
    assert!(page.contains("class=\"trouble\""), "{page}");
    assert!(
        page.find("artists failed").unwrap() < page.find("hold 1,").unwrap(),
        "{page}"
    );
    assert!(page.contains("backing off"), "{page}");
}

#[test]
fn a_report_is_grouped_filtered_and_shows_old_and_new() {
    let studio = held();
    studio.tree().replace(&dn("user5"), "sn", &["New"]).unwrap();
    studio
        .tree()
        .replace(&dn("user6"), "sn", &[HOSTILE])
        .unwrap();
    let run = studio.sync().run;
    let pages = Pages::of(studio);
    let browser = pages.browser();
    let path = format!("runs/artists/{run}");
    let page = browser.get(&path).body;
    for part in [
        "2 updated",
        "3 to deactivate, 3 of them held",
        "<del>Last5</del>",
        "<ins>New</ins>",
        "<del>true</del>",
        "href=\"../../holds&#x2f;1\"",
        "5 in all",
        "who=user5",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let updates = browser.get(&format!("{path}?kind=update")).body;
    assert!(
        updates.contains("2 in all") && !updates.contains("<del>true</del>"),
        "{updates}"
    );
    let one = browser.get(&format!("{path}?who=USER6")).body;
    assert!(
        one.contains("1 in all") && !one.contains("<ins>New</ins>"),
        "{one}"
    );
    let none = browser.get(&format!("{path}?who=zed&page=7")).body;
    assert!(none.contains("No change matches"), "{none}");
    for missing in [
        "runs/artists/20200101-000000-0000",
        "runs/nobody/20200101-000000-0000",
        "runs/..%2F..%2Fetc/passwd",
        "runs/artists/..%2F..%2Fconfig",
        "holds/x",
        "holds/0",
        "jobs/none",
    ] {
        assert_eq!(browser.get(missing).status, 404, "{missing}");
    }
}

#[test]
fn the_history_is_filtered_and_paged() {
    let studio = held();
    for _ in 0..3 {
        studio.sync();
    }
    let reports = studio.reports();
    let path = studio.state_dir().join("reports/artists");
    // Many more runs, of which nobody but their reports knows.
    let last = reports.last().unwrap();
    for number in 0..60_u32 {
        let mut copy = last.clone();
        copy.run = format!("20200101-000000-{number:04x}");
        copy.started_at = "2020-01-01T00:00:00Z".parse().unwrap();
        let text = serde_json::to_vec(&copy).unwrap();
        std::fs::write(path.join(format!("{}.json", copy.run)), text).unwrap();
    }
    let all = reports.len() + 60;
    let pages = Pages::of(studio);
    let browser = pages.browser();
    let rows = |page: &str| page.matches("<tr><td>").count();
    let page = browser.get("history").body;
    assert!(page.contains(&format!("{all} in all")), "{page}");
    assert_eq!(rows(&page), 50);
    let (_, rest) = page.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");
    assert_eq!(rows(&browser.get(&next).body), all - 50);
    for (query, number) in [
        ("history?outcome=held", all - 1),
        ("history?outcome=failed", 0),
        ("history?changed=yes", 1),
        ("history?job=artists&until=2020-01-01", 60),
        ("history?since=2020-01-02", reports.len()),
        ("history?job=none", 0),
        ("history?person=user9", 1),
        ("history?person=user0&since=2019-01-01&outcome=succeeded", 1),
    ] {
        let page = browser.get(query).body;
        assert_eq!(rows(&page), number.min(50), "{query}: {page}");
    }
    for wrong in [
        "history?outcome=x",
        "history?since=yesterday",
        &format!("history?person={}", "x".repeat(2000)),
    ] {
        assert_eq!(browser.get(wrong).status, 400, "{wrong}");
    }
}

#[test]
fn one_person_is_explained_as_the_command_does_it() {
    let pages = Pages::of(held());
    let browser = pages.browser();
    let asked = browser.get("person?job=artists&who=user5").body;
    assert!(asked.contains("value=\"user5\"") && !asked.contains("How it was found out"));
    let page = browser.post("person", "job=artists&who=user0").body;
    let told = pages.studio.run(&["explain", "user0"]).stdout;
    assert!(told.contains("held"), "{told}");
    for part in [
        "user0 in artists: ",
        "How it was found out",
        "<del>true</del>",
        "holds&#x2f;1",
    ] {
        assert!(page.contains(part), "{part} in {page}\n{told}");
    }
    let unknown = browser.post("person", "job=artists&who=%3Cb%3Ezed").body;
    assert!(
        unknown.contains("&lt;b&gt;zed") && !unknown.contains("<b>zed"),
        "{unknown}"
    );
    assert!(
        browser
            .post("person", "job=artists&who=")
            .body
            .contains("are needed")
    );
    let nobody = browser.post("person", "job=none&who=zed");
    assert!(nobody.body.contains("there is no job"), "{}", nobody.body);
    // Refused credentials are told, and left alone from then on, so that the account is not locked.
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&calls);
    pages.studio.ftrack().fail_when(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(Fault::KeyRefused)
    });
    let failed = browser.post("person", "job=artists&who=user5").body;
    assert!(failed.contains("class=\"trouble\""), "{failed}");
    pages.daemon.event("credentials.refused");
    let tried = calls.load(std::sync::atomic::Ordering::Relaxed);
    assert!(tried > 0);
    let refused = browser.post("person", "job=artists&who=user5").body;
    assert!(refused.contains("refused these credentials"), "{refused}");
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), tried);
}

//! Who may see a page: anybody on this machine, and whoever has a token.

use std::fs;

use super::{Browser, GUEST, Pages, TOKEN, TOKENS, held, other_address};
use crate::studio::Studio;

/// Every page, and what needs no token anywhere.
const PAGES: [&str; 11] = [
    "",
    "holds",
    "holds/1",
    "history",
    "plan",
    "person",
    "actions",
    "jobs/artists",
    "jobs/nobody",
    "runs/artists/20260101-000000-0000",
    "holds/99",
];
const OPEN: [&str; 4] = ["healthz", "readyz", "metrics", "style.css"];

/// Everybody who is not on this machine, as far as can be told.
fn elsewhere(pages: &Pages) -> Vec<Browser> {
    let own = pages.browser();
    let by_proxy = [
        "X-Forwarded-For: 10.1.2.3",
        "Forwarded: for=10.1.2.3",
        "Via: 1.1 proxy",
        "X-Real-IP: 127.0.0.1",
    ];
    let mut all: Vec<Browser> = by_proxy
        .iter()
        .map(|header| Browser {
            more: format!("{header}\r\n"),
            ..own.clone()
        })
        .collect();
    // Under another name than this machine's own.
    all.push(Browser {
        host: "10.1.2.3:9464".into(),
        ..own.clone()
    });
    if let Some(address) = other_address() {
        let address = (address, pages.port).into();
        let host = format!("{address}");
        all.push(Browser {
            address,
            host,
            ..own.clone()
        });
        // Whatever it says of itself.
        all.push(Browser { address, ..own });
    }
    all
}

#[test]
fn without_a_token_configured_pages_are_for_this_machine_alone() {
    let pages = Pages::with(held(), "0.0.0.0", "");
    assert_eq!(pages.browser().get("").status, 200);
    for browser in elsewhere(&pages) {
        for page in PAGES {
            let answer = browser.get(page);
            assert_eq!(answer.status, 403, "{page} {}", browser.more);
            assert!(answer.body.contains("http.tokens"), "{}", answer.body);
            for secret in ["user1", "artists", "studio.test"] {
                assert!(!answer.body.contains(secret), "{secret} in {}", answer.body);
            }
        }
        for open in OPEN {
            assert_eq!(browser.get(open).status, 200, "{open}");
        }
        let answer = browser.post("sign-in", "token=");
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[test]
fn from_elsewhere_a_token_is_needed() {
    let pages = Pages::with(held(), "0.0.0.0", TOKENS);
    for mut browser in elsewhere(&pages) {
        for page in PAGES {
            let answer = browser.get(page);
            assert_eq!(answer.status, 403, "{page}");
            assert!(answer.body.contains("type=\"password\""), "{}", answer.body);
            assert!(!answer.body.contains("user1"), "{}", answer.body);
        }
        let answer = browser.sign_in(GUEST);
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(answer.header("location"), Some("holds"));
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(
            !cookie.contains("Secure") && !cookie.contains(GUEST),
            "{cookie}"
        );
        assert_eq!(browser.get("holds/1").status, 200);
        assert!(browser.get("holds/1").body.contains("guest"));
        // A second cookie of somebody else is none.
        browser.cookie.push('0');
        assert_eq!(browser.get("").status, 403);
    }
    let by_tls = Browser {
        host: "localhost".into(),
        ..pages.browser()
    };
    let answer = by_tls.post_from(
        "sign-in",
        &format!("token={TOKEN}"),
        "Origin: https://localhost\r\n",
    );
    assert!(
        answer.header("set-cookie").unwrap().contains("; Secure"),
        "{answer:?}"
    );
    assert_eq!(answer.header("location"), Some("./"));
    // A browser sends no cookie from another site's link, such as that of a mail, but from this page.
    let from_mail = Browser {
        more: "Via: 1.1 proxy\r\nSec-Fetch-Site: cross-site\r\n".into(),
        ..pages.browser()
    };
    let page = from_mail.get("holds/1").body;
    assert!(
        page.contains("href=\"../holds&#x2f;1\">I am signed in already"),
        "{page}"
    );
    let evil = pages
        .browser()
        .post("sign-in", &format!("token={TOKEN}&next=//evil.test"));
    assert_eq!(evil.header("location"), Some("./"));
}

#[test]
fn a_session_ends_with_its_token_and_when_the_person_wants() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    assert!(own.get("").body.contains("Run now"));
    assert_eq!(own.post("sign-out", "").status, 303);
    assert!(!own.get("").body.contains("Run now"));

    let own = pages.signed_in(TOKEN);
    let file = pages.studio.folder().join("web-token");
    fs::write(&file, "another-token-of-the-coordinator").unwrap();
    assert!(!own.get("").body.contains("Run now"));
    assert_eq!(pages.browser().sign_in(TOKEN).status, 403);
    assert!(
        pages
            .signed_in("another-token-of-the-coordinator")
            .get("")
            .body
            .contains("Run now")
    );
    // A file that contains no token lets nobody in, and nobody else out.
    fs::write(&file, "\n").unwrap();
    for token in ["", "another-token-of-the-coordinator"] {
        assert_eq!(pages.browser().sign_in(token).status, 403, "{token:?}");
    }
    assert!(pages.signed_in(GUEST).get("").body.contains("guest"));
}

#[test]
fn other_tokens_are_used_at_once_and_none_is_shown() {
    let mut pages = Pages::of(Studio::of(&["ada"]));
    let shown = pages.studio.run(&["config", "show"]).stdout;
    assert!(
        shown.contains("web-token") && !shown.contains(TOKEN),
        "{shown}"
    );
    let (own, guest) = (pages.signed_in(TOKEN), pages.signed_in(GUEST));
    assert!(own.get("").body.contains("Run now") && !guest.get("").body.contains("Run now"));
    let before = pages.studio.top.clone();
    // The guest may act from now on, and the coordinator has no token any more.
    let (all, without) = (before.replace("[\"read\"]", "[\"act\"]"), |all: &str| {
        let (first, rest) = all.split_once("{ name = \"coordinator\"").unwrap();
        let (_, rest) = rest.split_once("}, ").unwrap();
        format!("{first}{rest}")
    });
    reload(&mut pages, &without(&all), 0);
    assert!(guest.get("").body.contains("Run now"));
    assert!(!own.get("").body.contains("coordinator"));
    assert_eq!(pages.browser().sign_in(TOKEN).status, 403);
    // A token that is back begins no session again.
    reload(&mut pages, &before, 1);
    assert!(!own.get("").body.contains("coordinator"));
    assert!(!guest.get("").body.contains("Run now"));
    assert!(pages.signed_in(TOKEN).get("").body.contains("Run now"));
}

/// Lets the daemon use another configuration; how often it did so before.
fn reload(pages: &mut Pages, top: &str, before: usize) {
    assert_ne!(pages.studio.top, top);
    pages.studio.top = top.to_owned();
    pages.studio.config();
    pages.daemon.signal("HUP");
    let event = pages.daemon.nth_event(before, "config.reloaded");
    assert_eq!(event["restart_for"], "");
}

#[test]
fn a_token_with_which_nobody_can_sign_in_is_told_of() {
    let pages = Pages::of(Studio::of(&["ada"]));
    let (own, guest) = (pages.signed_in(TOKEN), pages.signed_in(GUEST));
    let file = pages.studio.folder().join("web-token");
    fs::write(&file, "fifteen-letters").unwrap();
    assert!(!own.get("").body.contains("Run now"));
    for _ in 0..3 {
        assert_eq!(pages.browser().sign_in("fifteen-letters").status, 403);
    }
    let told = "nobody can sign in with the token of coordinator: ";
    let page = guest.get("").body;
    let rest = page.split_once(told).unwrap_or_else(|| panic!("{page}")).1;
    assert!(
        rest.contains("web-token contains a token of fewer than 16"),
        "{rest}"
    );
    assert!(!page.contains("fifteen"), "{page}");
    let events = pages.daemon.events("web.token_unusable");
    assert_eq!(events.len(), 1, "once: {events:?}");
    assert_eq!(events[0]["token"], "coordinator");
    assert!(!format!("{events:?}").contains("fifteen"), "{events:?}");
    // The same one as somebody else's says of nobody who it is.
    fs::write(&file, GUEST).unwrap();
    let answer = pages.browser().sign_in(GUEST);
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
    assert!(
        answer.body.contains("the token of coordinator, guest"),
        "{}",
        answer.body
    );
    fs::write(&file, TOKEN).unwrap();
    assert!(!pages.signed_in(TOKEN).get("").body.contains(told));
}

#[test]
fn behind_a_proxy_everybody_needs_a_token() {
    let hosts = "hosts = [\"sync.studio.test\"]\n";
    let pages = Pages::with(held(), "127.0.0.1", &format!("{hosts}{TOKENS}"));
    // A forwarder that adds nothing to a request looks like this.
    let nobody = pages.browser();
    for page in PAGES {
        let answer = nobody.get(page);
        assert_eq!(answer.status, 403, "{page}");
        assert!(!answer.body.contains("user1"), "{}", answer.body);
    }
    assert_eq!(pages.signed_in(GUEST).get("holds/1").status, 200);
    // Without a token, nobody could look any more.
    let pages = Pages::with(Studio::of(&["ada"]), "127.0.0.1", hosts);
    assert_eq!(pages.browser().get("").status, 200);
}

#[test]
fn behind_a_proxy_who_guesses_locks_nobody_else_out() {
    let hosts = "hosts = [\"sync.studio.test\"]\n";
    let pages = Pages::with(
        Studio::of(&["ada"]),
        "127.0.0.1",
        &format!("{hosts}{TOKENS}"),
    );
    let by_proxy = |address: &str| Browser {
        more: format!("X-Forwarded-For: 198.51.100.1, {address}\r\n"),
        ..pages.browser()
    };
    let mut attacker = by_proxy("203.0.113.9");
    for number in 0..10 {
        assert_eq!(attacker.sign_in(&format!("guess-{number}")).status, 403);
    }
    assert_eq!(attacker.sign_in(TOKEN).status, 429);
    assert_eq!(by_proxy("203.0.113.10").sign_in(TOKEN).status, 303);
}

#[test]
fn only_a_proxy_that_is_trusted_is_believed_for_whom_it_asks() {
    let settings = "hosts = [\"sync.studio.test\"]\ntrusted_proxies = [\"10.1.0.0/16\", \"::1\"]\n";
    let pages = Pages::with(
        Studio::of(&["ada"]),
        "127.0.0.1",
        &format!("{settings}{TOKENS}"),
    );
    let named = |number: usize| Browser {
        more: format!("X-Forwarded-For: 203.0.113.{number}\r\n"),
        ..pages.browser()
    };
    for number in 0..10 {
        assert_eq!(named(number).sign_in("guess").status, 403);
    }
    assert_eq!(named(99).sign_in(TOKEN).status, 429);
    let refused = pages.daemon.events("web.sign_in_refused");
    assert!(
        refused.iter().all(|event| event["from"] == "127.0.0.1"),
        "{refused:?}"
    );
}

#[test]
fn no_proxy_is_believed_where_none_is_configured_and_who_was_signed_in_may_try() {
    let pages = Pages::of(Studio::of(&["ada"]));
    let mut known = pages.signed_in(TOKEN);
    let named = |number: usize| Browser {
        more: format!("X-Forwarded-For: 203.0.113.{number}\r\n"),
        ..pages.browser()
    };
    for number in 0..10 {
        assert_eq!(named(number).sign_in("guess").status, 403);
    }
    for mut stranger in [named(99), pages.browser()] {
        assert_eq!(stranger.sign_in(TOKEN).status, 429);
    }
    assert_eq!(known.sign_in(TOKEN).status, 303);
}

#[test]
fn who_guesses_has_to_wait() {
    let pages = Pages::of(Studio::of(&["ada"]));
    let signed_in = pages.signed_in(TOKEN);
    let mut browser = pages.browser();
    for number in 0..10 {
        let answer = browser.sign_in(&format!("guess-{number}"));
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(
            answer.body.contains("There is no such token"),
            "{}",
            answer.body
        );
    }
    let answer = browser.sign_in(TOKEN);
    assert_eq!((answer.status, answer.header("set-cookie")), (429, None));
    // Whoever is signed in stays so.
    assert!(signed_in.get("").body.contains("Run now"));
    assert_eq!(pages.daemon.events("web.sign_in_refused").len(), 10);
    assert_eq!(pages.daemon.event("web.signed_in")["by"], "coordinator");
    let log = format!("{:?}", pages.daemon.logged());
    assert!(!log.contains("guess-") && !log.contains(TOKEN), "{log}");
}

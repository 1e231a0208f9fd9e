//! What changes something: only with a token that may act, only from a page of the daemon, once, and
//! never unseen.

use chrono::{DateTime, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::CallKind,
    model::report::{Outcome, Report, Trigger},
};

use super::{GUEST, HOSTILE, Pages, TOKEN, held};
use crate::{
    daemon::{LIMIT, job},
    studio::{Studio, person},
};

/// Every form that changes something.
const FORMS: [(&str, &str); 6] = [
    ("jobs/artists/run", ""),
    ("jobs/artists/pause", "reason=x"),
    ("jobs/artists/pause", "only=deactivate"),
    ("jobs/artists/resume", ""),
    ("holds/1/approve", "whom=all"),
    ("holds/1/reject", "whom=all"),
];

/// What could have changed.
fn state(pages: &Pages) -> (usize, usize, String, usize) {
    let studio = &pages.studio;
    let held = studio.run(&["holds", "--format", "json"]).stdout;
    let paused = job(studio)["pause"].is_null();
    assert!(paused && job(studio)["paused_kinds"].is_null());
    let actions = pages.browser().get("actions").body.matches("<tr>").count();
    (pages.active(), studio.reports().len(), held, actions)
}

#[test]
fn without_a_token_that_may_act_nothing_can_be_changed() {
    let pages = Pages::of(held());
    let before = state(&pages);
    let (nobody, guest) = (pages.browser(), pages.signed_in(GUEST));
    let csrf = guest.csrf();
    assert_eq!(csrf.len(), 64);
    for (path, form) in FORMS {
        for answer in [
            nobody.post(path, form),
            guest.post(path, &format!("csrf={csrf}&{form}")),
        ] {
            assert_eq!(answer.status, 403, "{path}: {answer:?}");
            assert!(answer.body.contains("http.tokens"), "{}", answer.body);
        }
        assert_eq!(nobody.get(path).status, 405, "{path}");
    }
    for path in ["", "holds/1", "jobs/artists"] {
        for browser in [&nobody, &guest] {
            let page = browser.get(path).body;
            assert!(
                !page.contains("Run now") && !page.contains("Approve all"),
                "{page}"
            );
        }
    }
    assert_eq!(state(&pages), before);
}

#[test]
fn from_another_page_nothing_can_be_changed() {
    let pages = Pages::of(held());
    let before = state(&pages);
    let (own, other) = (pages.signed_in(TOKEN), pages.signed_in(TOKEN));
    let csrf = own.csrf();
    let origin = format!("Origin: http://{}\r\n", own.host);
    for (path, form) in FORMS {
        let form = |csrf: &str| format!("csrf={csrf}&{form}");
        for from in [
            "",
            "Origin: http://evil.test\r\n",
            "Origin: null\r\n",
            "Origin: http://127.0.0.1:1\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            &format!("{origin}Sec-Fetch-Site: cross-site\r\n"),
        ] {
            let answer = own.post_from(path, &form(&csrf), from);
            assert_eq!(answer.status, 403, "{path} {from}: {answer:?}");
        }
        // Without the secret of this session's pages.
        for wrong in ["", &other.csrf(), &csrf[..63], TOKEN] {
            let answer = own.post_from(path, &form(wrong), &origin);
            assert_eq!(answer.status, 403, "{path} {wrong}: {answer:?}");
            assert!(answer.body.contains("another session"), "{}", answer.body);
        }
    }
    // Somebody is neither signed in nor out from elsewhere, and no server is asked.
    let evil = "Origin: http://evil.test\r\n";
    for path in ["sign-in", "sign-out", "person", "jobs/artists/plan"] {
        let form = format!("token={TOKEN}&job=artists&who=user5");
        assert_eq!(own.post_from(path, &form, evil).status, 403, "{path}");
    }
    assert!(own.get("").body.contains("coordinator"));
    assert_eq!(state(&pages), before);
}

#[test]
fn an_approval_is_applied_once_and_noted() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let page = own.get("holds/1").body;
    assert!(page.contains("Approve all 3"), "{page}");
    let answer = own.act("holds/1/approve", "whom=chosen&who=user0&who=user1");
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("../1"))
    );
    let page = own.when("holds/1", "coordinator approved it: succeeded");
    assert!(!page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(page.contains("Approve all 1"), "{page}");
    assert_eq!(pages.active(), 8);

    let answer = own.act("holds/1/approve", "whom=all");
    assert_eq!(answer.status, 303, "{answer:?}");
    own.when("holds/1", "coordinator approved it: succeeded");
    assert_eq!(pages.active(), 7);
    // Once more, and of nobody.
    let again = own.act("holds/1/approve", "whom=all");
    assert_eq!(again.status, 409, "{again:?}");
    assert!(
        again.body.contains("is settled: approved"),
        "{}",
        again.body
    );
    for (form, said) in [
        ("whom=chosen", "Nobody was chosen"),
        ("", "about whom"),
        ("whom=some", "about whom"),
    ] {
        let answer = own.act("holds/1/approve", form);
        assert_eq!(answer.status, 400, "{form}");
        assert!(answer.body.contains(said), "{form}: {}", answer.body);
    }

    let reports: Vec<Report> = pages.studio.reports();
    let approvals: Vec<&Report> = reports
        .iter()
        .filter(|report| report.trigger == Trigger::Approval)
        .collect();
    assert_eq!(approvals.len(), 2);
    for report in &approvals {
        assert_eq!(report.outcome, Outcome::Succeeded);
        let by = report.approved_by.as_ref().unwrap();
        assert_eq!(by.token.as_deref(), Some("coordinator"));
        assert_eq!(by.uid, rustix::process::geteuid().as_raw());
    }
    let shown = pages
        .studio
        .run(&["runs", "show", &approvals[0].run])
        .stdout;
    assert!(
        shown.contains("approved   by coordinator (on the daemon's page)"),
        "{shown}"
    );

    let actions = own.when("actions", "refused: hold 1");
    for part in [
        "coordinator",
        "127.0.0.1",
        "approve hold 1",
        "2 people",
        &format!("succeeded, run {}", approvals[0].run),
        &format!("succeeded, run {}", approvals[1].run),
    ] {
        assert!(actions.contains(part), "{part} in {actions}");
    }
    assert_eq!(actions.matches("approve hold 1").count(), 3);
    let event = pages.daemon.event("web.action");
    assert_eq!(
        (&event["by"], &event["hold"]),
        (&"coordinator".into(), &"1".into())
    );
    // A start of another daemon finds it again.
    let port = pages.port;
    let Pages { studio, daemon, .. } = pages;
    daemon.stop();
    let daemon = crate::daemon::Daemon::start(&studio);
    let pages = Pages {
        studio,
        daemon,
        port,
    };
    assert_eq!(
        pages
            .browser()
            .get("actions")
            .body
            .matches("approve hold 1")
            .count(),
        3
    );
}

#[test]
fn a_hold_of_which_some_were_approved_says_how_many() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let form = "whom=chosen&who=user0&who=user1";
    assert_eq!(own.act("holds/1/approve", form).status, 303);
    own.when("holds/1", "coordinator approved it: succeeded");
    assert_eq!(own.act("holds/1/reject", "whom=all").status, 303);
    for path in ["holds", "holds/1"] {
        let page = own.get(path).body;
        assert!(
            page.contains("2 approved, 1 rejected, at "),
            "{path}: {page}"
        );
    }
}

#[test]
fn a_rejection_is_noted_and_stays() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let answer = own.act("holds/1/reject", "whom=all");
    assert_eq!(answer.status, 303, "{answer:?}");
    let page = own.get("holds/1").body;
    assert!(page.contains("rejected, at"), "{page}");
    assert!(own.get("actions").body.contains("3 rejected"));
    let rejected = pages.studio.run(&["holds", "--rejected"]).stdout;
    assert!(
        rejected.contains("coordinator (on the daemon's page)"),
        "{rejected}"
    );
    pages.studio.sync();
    assert_eq!(pages.active(), 10);
}

#[test]
fn a_pause_says_who_and_why_until_somebody_resumes() {
    let pages = Pages::of(held());
    let own = pages.signed_in(TOKEN);
    let answer = own.act("jobs/artists/pause", "hours=5&reason=%3Cb%3Edelivery");
    assert_eq!(answer.status, 303, "{answer:?}");
    let pause = &job(&pages.studio)["pause"];
    assert_eq!(pause["by"], "coordinator (on the daemon's page)");
    assert_eq!(pause["reason"], "<b>delivery");
    let time = |key: &str| {
        pause[key]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
    };
    assert_eq!((time("until") - time("since")).num_hours(), 5);
    let page = own.get("jobs/artists").body;
    assert!(
        page.contains("&lt;b&gt;delivery") && !page.contains("<b>delivery"),
        "{page}"
    );
    // A run is refused, as at the socket, and that is noted.
    let refused = own.act("jobs/artists/run", "");
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("is paused until"), "{}", refused.body);
    assert_eq!(own.act("jobs/artists/resume", "").status, 303);
    assert!(job(&pages.studio)["pause"].is_null());

    assert_eq!(own.act("jobs/artists/pause", "only=deactivate").status, 303);
    let page = own.get("jobs/artists").body;
    assert!(page.contains("Resume deactivate"), "{page}");
    assert_eq!(
        own.act("jobs/artists/resume", "only=deactivate").status,
        303
    );
    assert!(job(&pages.studio)["paused_kinds"].is_null());
    for (form, status) in [
        ("only=everything", 400),
        ("hours=0", 400),
        ("hours=x", 400),
        ("hours=99999", 400),
    ] {
        assert_eq!(own.act("jobs/artists/pause", form).status, status, "{form}");
    }
    let long = format!("reason={}", "x".repeat(501));
    assert_eq!(own.act("jobs/artists/pause", &long).status, 400);
    let too_long = format!("reason={}", "x".repeat(70_000));
    assert_eq!(own.post("jobs/artists/pause", &too_long).status, 400);
    assert_eq!(own.act("jobs/nobody/pause", "").status, 409);
    assert!(job(&pages.studio)["pause"].is_null());
    let actions = own.get("actions").body;
    assert!(
        actions.contains("pause artists") && actions.contains("only deactivate"),
        "{actions}"
    );
}

#[test]
fn a_run_is_followed_by_the_page_until_it_ends() {
    let studio = Studio::of(&["ada"]);
    studio
        .tree()
        .replace(&crate::studio::dn("ada"), "sn", &[HOSTILE])
        .unwrap();
    let pages = Pages::of(studio);
    let own = pages.signed_in(TOKEN);
    let gate = pages.studio.hold(CallKind::Read);
    assert!(own.get("").body.contains("content=\"60\""));
    let answer = own.act("jobs/artists/run", "");
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("../artists"))
    );
    assert!(gate.wait_for(1, LIMIT));
    let page = own.when("", "content=\"3\"");
    assert!(
        page.contains("running since") && !page.contains("Run now"),
        "{page}"
    );
    assert_eq!(own.act("jobs/artists/run", "").status, 409);
    gate.open();
    let page = own.when("", "content=\"60\"");
    assert!(page.contains("succeeded"), "{page}");
    let reports = pages.studio.reports();
    assert_eq!((reports.len(), reports[0].counts.created), (1, 1));
    own.when("actions", &format!("succeeded, run {}", reports[0].run));
}

#[test]
fn a_plan_writes_nothing_and_one_is_made_at_a_time() {
    let studio = held();
    studio.tree().add(person("eve", "Eve", "E")).unwrap();
    let pages = Pages::of(studio);
    // Whoever may look may ask for one.
    let nobody = pages.browser();
    let gate = pages.studio.hold(CallKind::Read);
    let answer = nobody.post("jobs/artists/plan", "");
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(answer.header("location"), Some("../../plan?job=artists"));
    let page = nobody.get("plan?job=artists").body;
    assert!(
        page.contains("http-equiv=\"refresh\"") && page.contains("being read"),
        "{page}"
    );
    let second = nobody.post("jobs/artists/plan", "");
    assert_eq!(second.status, 409);
    assert!(
        second.body.contains("one is made at a time"),
        "{}",
        second.body
    );
    gate.open();
    let page = nobody.when("plan?job=artists", "1 to create");
    for part in ["3 to deactivate", ">eve<", "dry run", "HELD"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(pages.studio.ftrack().user("eve").is_none());
    assert_eq!(pages.active(), 10);
    assert_eq!(nobody.post("jobs/nobody/plan", "").status, 404);
    assert!(
        nobody
            .get("actions")
            .body
            .contains("somebody on this machine")
    );
}

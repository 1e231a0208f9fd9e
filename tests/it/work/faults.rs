//! What cannot be found out about somebody's work fails no run; it holds where the job says that work
//! does.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::{
        change::HeldBy,
        report::{ChangeResult, Outcome, Report},
    },
};

use super::{change, numbers, with_work, work_of};
use crate::{rules::leave, situations::Situation, windows::held};

/// `user0`, who carries work, and `user2`, who does not, left.
fn left(users: &str) -> Situation {
    with_work(users).then(|studio| {
        for uid in ["user0", "user2"] {
            leave(studio, uid);
        }
    })
}

/// The calls that ask about work: no other has so many questions.
fn fail(situation: &Situation, fault: &Fault) {
    let fault = fault.clone();
    situation.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Read && call.operations == 4).then(|| fault.clone())
    });
}

fn warnings_about<'r>(report: &'r Report, words: &str) -> Vec<&'r String> {
    let warnings = report.warnings.iter();
    warnings.filter(|warning| warning.contains(words)).collect()
}

#[test]
fn what_a_server_does_not_have_is_not_known_and_holds_nobody() {
    for (missing, known) in [
        ("Timer", [Some(2), None, Some(1)]),
        ("Task", [None, Some(1), Some(1)]),
        ("ApiKey", [Some(2), Some(1), Some(1)]),
    ] {
        for users in ["create = true", "work_in_hand = \"hold\""] {
            let situation = left(users);
            situation.ftrack().change_rules(|rules| {
                rules.missing_types.insert(missing.to_owned());
            });
            let report = situation.sync();
            let what = format!("{missing}, {users}: {report:#?}");
            assert_eq!(numbers(work_of(&report, "user0")), known, "{what}");
            assert_eq!(work_of(&report, "user0").error, None, "{what}");
            let told = format!("this ftrack shows no {missing}");
            assert_eq!(warnings_about(&report, &told).len(), 1, "{what}");
            assert_eq!(report.warnings.len(), 1, "{what}");
            let expected: &[_] = if users.contains("hold") {
                &[("user0", HeldBy::Work)]
            } else {
                &[]
            };
            assert_eq!(held(&report), expected, "{what}");
            // Who carries nothing of what is known is deactivated.
            assert_eq!(
                change(&report, "user2").result,
                ChangeResult::Applied,
                "{what}"
            );
        }
    }
}

#[test]
fn a_question_that_is_refused_is_told_and_holds_where_work_does() {
    let situation = left("create = true");
    let refuse = |rules: &mut ftrack_ldap_sync::demo::ftrack::Rules| {
        rules.refused_queries.insert("Timer".to_owned());
    };
    situation.ftrack().change_rules(refuse);
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 2),
        "{report:#?}"
    );
    assert_eq!(
        warnings_about(
            &report,
            "running timers of people who are to be deactivated"
        )
        .len(),
        1,
        "{report:#?}"
    );
    // The others are answered.
    assert_eq!(numbers(work_of(&report, "user0")), [Some(2), None, Some(1)]);

    let situation = left("work_in_hand = \"hold\"");
    situation.ftrack().change_rules(refuse);
    let report = situation.sync();
    assert_eq!(
        held(&report),
        [("user0", HeldBy::Work), ("user2", HeldBy::Work)]
    );
    let why = change(&report, "user2").error.clone().unwrap();
    assert!(
        why.contains("could not be read") && why.contains("not permitted to read Timer"),
        "{why}"
    );
    situation
        .ftrack()
        .change_rules(|rules| rules.refused_queries.clear());
    let report = situation.sync();
    assert_eq!(held(&report), [("user0", HeldBy::Work)]);
    assert_eq!(report.counts.deactivated, 1);
}

#[test]
fn refused_api_keys_hold_nobody() {
    let situation = left("work_in_hand = \"hold\"");
    situation.ftrack().change_rules(|rules| {
        rules.refused_queries.insert("ApiKey".to_owned());
    });
    let report = situation.sync();
    assert_eq!(held(&report), [("user0", HeldBy::Work)]);
    assert_eq!(report.counts.deactivated, 1);
    assert_eq!(warnings_about(&report, "API keys").len(), 1, "{report:#?}");
}

#[test]
fn a_question_without_an_answer_holds_or_is_told_and_fails_no_run() {
    for fault in [
        Fault::StallBefore,
        Fault::Html(502),
        Fault::TruncatedJson,
        Fault::ResetBefore,
    ] {
        let mut situation = left("create = true");
        situation.ftrack_settings += "\nrequest_timeout = \"500ms\"\nattempts = 1";
        fail(&situation, &fault);
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.counts.deactivated),
            (Outcome::Succeeded, 2),
            "{fault:?}: {report:#?}"
        );
        assert_eq!(
            warnings_about(&report, "could not be read of everybody").len(),
            1,
            "{fault:?}: {report:#?}"
        );
        let text = situation.report_text(&report);
        assert!(
            text.contains("work: not everything could be read"),
            "{text}"
        );

        let mut situation = left("work_in_hand = \"hold\"");
        situation.ftrack_settings += "\nrequest_timeout = \"500ms\"\nattempts = 1";
        fail(&situation, &fault);
        let report = situation.sync();
        let both = [("user0", HeldBy::Work), ("user2", HeldBy::Work)];
        assert_eq!(held(&report), both, "{fault:?}");
        assert_eq!(report.outcome, Outcome::Held);
        let why = change(&report, "user2").error.clone().unwrap();
        assert!(why.contains("could not be read"), "{why}");

        // A person knows better.
        let number = change(&report, "user2").hold.unwrap().to_string();
        let ended = situation.run(&["approve", &number, "--only", "user2", "--format", "json"]);
        assert_eq!((ended.status, ended.report().counts.deactivated), (0, 1));
        situation.ftrack().heal();
        let report = situation.sync();
        assert_eq!(held(&report), [("user0", HeldBy::Work)]);
    }
}

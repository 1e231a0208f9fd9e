//! What people did on the pages, and the holds that the pages list.

use rusqlite::params;

use super::{at, open, studio};
use crate::{
    model::page_action::{ActionKind, AskedAction},
    state::database::State,
};

fn asked(kind: ActionKind) -> AskedAction {
    AskedAction {
        by: "eva".into(),
        from: "127.0.0.1".into(),
        kind,
        job: Some("artists".into()),
        hold: None,
        detail: String::new(),
    }
}

/// Many of a kind at once, as were saved before.
fn many(state: &State, kind: &str, number: i64) {
    let insert = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
                  INSERT INTO page_actions (at, done_by, came_from, kind, detail) SELECT \
                  '2026-01-01T00:00:00Z', 'bo', '127.0.0.1', ?1, '' FROM n";
    let insert = state.write(|transaction| transaction.execute(insert, params![kind, number]));
    insert.unwrap();
}

#[test]
fn plans_push_no_action_out_of_the_list_and_actions_no_plan() {
    let (_folder, config) = studio();
    let state = open(&config);
    let now = at("2026-01-02T00:00:00Z");
    let approval = state
        .begin_action(now, &asked(ActionKind::Approve))
        .unwrap();
    many(&state, "plan", 3000);
    let plan = state.begin_action(now, &asked(ActionKind::Plan)).unwrap();
    let all = usize::MAX;
    let plans = state.page_plans(all).unwrap();
    assert_eq!((plans.len(), plans[0].number), (200, plan));
    let actions = state.page_actions(all).unwrap();
    assert_eq!((actions.len(), actions[0].number), (1, approval));

    many(&state, "run", 3000);
    let run = state.begin_action(now, &asked(ActionKind::Run)).unwrap();
    let actions = state.page_actions(all).unwrap();
    assert_eq!((actions.len(), actions[0].number), (1000, run));
    assert_eq!(state.page_plans(all).unwrap(), plans);
    assert_eq!(state.page_actions(7).unwrap(), actions[..7]);
    state.end_action(run, "succeeded").unwrap();
    let ended = state.page_actions(1).unwrap();
    assert_eq!(ended[0].result.as_deref(), Some("succeeded"));
}

#[test]
fn of_a_hold_no_more_people_are_read_than_are_shown() {
    let (_folder, config) = studio();
    let state = open(&config);
    let head = "INSERT INTO holds (hold, job, held_by, kind, since, runs, why) VALUES (3, 'artists', \
                'limit', 'deactivate', '2026-01-01T00:00:00Z', 1, 'too many')";
    // Beyond those who are shown, somebody whom this version cannot read.
    let people = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT \
                  INTO hold_people (hold, seen, person, ended_by) SELECT 3, \
                  printf('00000000-0000-4000-8000-%012x', i), CASE WHEN i <= 20 THEN \
                  json_object('action', 'deactivate', 'username', printf('user%02d', 40 - i), 'name', \
                  NULL, 'email', NULL, 'dn', NULL, 'directory_id', '1', 'ftrack_id', \
                  '6f1e2a3c-0000-4000-8000-000000000001', 'reason', 'absent', 'edits', json('[]'), \
                  'work', NULL) ELSE json_object('username', printf('zed%02d', i)) END, CASE WHEN i = 20 \
                  THEN 'rejected' END FROM n";
    let insert = |text: &'static str| state.write(|transaction| transaction.execute(text, []));
    insert(head).unwrap();
    insert(people).unwrap();
    let hold = "3".parse().unwrap();
    let (head, people) = state.hold_with_people(hold, (0, 10)).unwrap().unwrap();
    assert_eq!(head.people, 29);
    let names: Vec<&str> = people.iter().map(|person| &*person.username).collect();
    let first: Vec<String> = (21..31).map(|number| format!("user{number}")).collect();
    assert_eq!(names, first, "user20 has left it");
    assert!(state.hold_with_people(hold, (0, 29)).is_err());
    assert_eq!(state.open_hold_heads().unwrap(), [head]);
    let content = state.hold_content(hold).unwrap();
    assert_eq!(content.people, 29);
    assert_eq!(state.hold_content(hold).unwrap(), content);
    insert("UPDATE hold_people SET ended_by = 'rejected' WHERE json_extract(person, '$.username') = 'user21'")
        .unwrap();
    let fewer = state.hold_content(hold).unwrap();
    assert_eq!(fewer.people, 28);
    assert_ne!(fewer.digest, content.digest);
    let nobody = state.hold_content("4".parse().unwrap()).unwrap();
    assert_eq!(nobody.people, 0);
    assert!(
        state
            .hold_with_people("4".parse().unwrap(), (0, 1))
            .unwrap()
            .is_none()
    );
}

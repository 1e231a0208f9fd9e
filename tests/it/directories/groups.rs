//! Groups: nested, with a cycle, in two containers; and values of which the parts do not follow each
//! other to the end.

use ftrack_ldap_sync::model::report::{FailureKind, Outcome};

use super::{PAGED, servers::RealDirectory, views::View};
use crate::{
    ldap_proxy::{
        LdapProxy,
        quirks::{Parts, SMALL},
    },
    rules::approve,
    situations::Situation,
    slapd::{PEOPLE, ldif_entry},
};

/// Groups in two containers.
const ARTISTS: &str = "cn=artists,ou=groups,dc=studio,dc=test";
const LIGHTING: &str = "cn=lighting,ou=groups,dc=studio,dc=test";
const EFFECTS: &str = "cn=fx\\, and more,ou=services,dc=studio,dc=test";

/// The same people, of whom only the members of groups are the job's from now on.
pub fn follow(directory: &RealDirectory, proxy: &LdapProxy, views: Vec<View>) {
    if directory.kind.is_active_directory() {
        let unit = [("objectClass", "organizationalUnit")];
        directory.change(&ldif_entry("ou=groups,dc=studio,dc=test", &unit));
    }
    let person = |nth: usize| format!("cn=p{nth:02},{PEOPLE}");
    let (first, second) = (0..PAGED / 2, PAGED / 2..PAGED);
    directory.group(EFFECTS, &second.map(person).collect::<Vec<_>>());
    let effects = "CN=fx\\2c and more, ou=services,dc=studio,dc=test".to_owned();
    directory.group(
        LIGHTING,
        &first.map(person).chain([effects]).collect::<Vec<_>>(),
    );
    directory.group(ARTISTS, &[LIGHTING.into(), format!("cn=ada holm,{PEOPLE}")]);
    // They contain each other.
    directory.members(EFFECTS, "add", ARTISTS);
    let views = with_group(views, ARTISTS);
    expect(
        &views,
        "the groups are new",
        "plan for artists: 1 to deactivate, 1 of them held",
    );
    for View { situation, .. } in &views {
        assert_eq!(approve(situation).counts.deactivated, 1);
        situation.sync_changes_nothing();
    }
    directory.members(EFFECTS, "delete", &person(PAGED - 1));
    expect(
        &views,
        "somebody leaves a group",
        "plan for artists: 1 to deactivate",
    );
    sync(&views);
    directory.members(LIGHTING, "add", &person(PAGED - 1));
    expect(
        &views,
        "somebody is in another one",
        "plan for artists: 1 to reactivate",
    );
    sync(&views);
    if let [_, View { situation, .. }] = &views[..] {
        for attribute in ["member", "attributeTypes"] {
            parts_that_break_off(proxy, situation, attribute);
        }
    }
    // Whoever was in none of them is in one that does not name its members by their DNs.
    let everybody = directory.group_of_logins("o'hara");
    for View { situation, name } in with_group(views, &everybody) {
        let plan = situation.plan_text().to_lowercase();
        assert!(plan.contains("^ reactivate o'hara"), "{name}: {plan}");
    }
}

/// Jobs whose people are the members of a group.
fn with_group(views: Vec<View>, group: &str) -> Vec<View> {
    let job = format!("limits = {{ deactivate = 10, reactivate = 10 }}\nmember_of = [{group:?}]");
    let with_group = |View { name, situation }| View {
        name,
        situation: Situation::job(situation, &job),
    };
    views.into_iter().map(with_group).collect()
}

/// Each of them plans this.
fn expect(views: &[View], what: &str, expected: &str) {
    for View { name, situation } in views {
        let plan = situation.plan_text().to_lowercase();
        assert_eq!(
            plan.lines().next(),
            Some(expected),
            "{what}, {name}: {plan}"
        );
    }
}

fn sync(views: &[View]) {
    for View { situation, .. } in views {
        situation.sync();
    }
}

/// Where the parts of an attribute's values do not follow each other to the end, nothing was read and
/// nobody is changed.
pub fn parts_that_break_off(proxy: &LdapProxy, situation: &Situation, attribute: &'static str) {
    let users = situation.users();
    for parts in [
        Parts::NoEnd,
        Parts::SameAgain,
        Parts::Empty,
        Parts::EmptyWithMore,
        Parts::Missing,
        Parts::Short,
    ] {
        proxy.set_quirks(SMALL.of(attribute, parts));
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.error_kind),
            (Outcome::Failed, Some(FailureKind::Directory)),
            "{attribute}, {parts:?}: {report:#?}"
        );
        assert_eq!(situation.users(), users, "{attribute}, {parts:?}");
    }
    proxy.set_quirks(SMALL);
    situation.sync_changes_nothing();
}

//! Custom attributes of users: values of each type, several of them, and what does not fit.

use ftrack_ldap_sync::{demo::ftrack::Full, model::report::Outcome};
use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value, json};

use super::Situation;
use crate::studio::{Studio, dn, person};

/// Replaces the values of an attribute of ada.
fn ada(studio: &Studio, attribute: &str, values: &[&str]) {
    studio
        .tree()
        .replace(&dn("ada"), attribute, values)
        .unwrap();
}

/// A person with a value for an attribute of each type at ftrack.
fn with_custom_attributes() -> Situation {
    let mut mapping = "[jobs.artists.attributes]\n".to_owned();
    let kinds = [
        ("badge", "text", "employeeNumber"),
        ("floor", "number", "roomNumber"),
        ("staff", "boolean", "employeeType"),
        ("site", "enumerator", "l"),
        ("since", "date", "departmentNumber"),
    ];
    for (key, _, from) in kinds {
        mapping.push_str(&format!(
            "\"custom_attributes.{key}\" = {{ from = \"{from}\", when_absent = \"clear\" }}\n"
        ));
    }
    let entry = person("ada", "Ada", "L")
        .with("employeeNumber", "0042")
        .with("roomNumber", "3")
        .with("employeeType", "TRUE")
        .with("l", "Oslo")
        .with("departmentNumber", "20200229120000Z");
    Situation::of(&[])
        .then(|studio| {
            for (key, kind, _) in kinds {
                studio.ftrack().add_custom_attribute(key, kind).unwrap();
            }
        })
        .config(&mapping)
        .entry(entry)
}

#[test]
fn custom_attributes_get_values_of_their_type_also_of_a_new_user() {
    let situation = with_custom_attributes();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Ada
          last_name: L
          email: ada@studio.test
          is_active: true
          custom_attributes.badge: 0042
          custom_attributes.floor: 3
          custom_attributes.since: {"__type__":"datetime","value":"2020-02-29T00:00:00"}
          custom_attributes.site: ["Oslo"]
          custom_attributes.staff: true
          the person is in the directory and has no user
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_json_snapshot!(situation.user("ada").custom_attributes, @r#"
    {
      "badge": "0042",
      "floor": 3,
      "since": {
        "__type__": "datetime",
        "value": "2020-02-29T00:00:00"
      },
      "site": [
        "Oslo"
      ],
      "staff": true
    }
    "#);
    situation.sync_changes_nothing();
    let situation = situation.then(|studio| {
        ada(studio, "roomNumber", &["4"]);
        ada(studio, "employeeType", &["FALSE"]);
        ada(studio, "l", &["Rome"]);
        ada(studio, "departmentNumber", &[]);
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          custom_attributes.floor: 3 -> 4
          custom_attributes.since: {"__type__":"datetime","value":"2020-02-29T00:00:00"} -> (none)
          custom_attributes.site: ["Oslo"] -> ["Rome"]
          custom_attributes.staff: true -> false
          the directory has other values

      Warnings:
        nobody has a value for attributes.custom_attributes.since ("departmentNumber"): check the name, and whether the bind account may read it
    "#);
    situation.sync();
    assert_json_snapshot!(situation.user("ada").custom_attributes, @r#"
    {
      "badge": "0042",
      "floor": 4,
      "site": [
        "Rome"
      ],
      "staff": false
    }
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn a_value_that_does_not_fit_is_kept_and_named_and_stops_nothing_else() {
    let situation = with_custom_attributes()
        .after_sync()
        .then(|studio| {
            ada(studio, "roomNumber", &["third"]);
            ada(studio, "employeeType", &["maybe"]);
            ada(studio, "departmentNumber", &["133012150000000000"]);
            ada(studio, "l", &["Rome"]);
        })
        .entry(person("bob", "Bob", "B").with("roomNumber", "x"));
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!((report.counts.created, report.counts.updated), (1, 1));
    assert_snapshot!(report.warnings.join("\n"), @r#"values of the directory do not fit their custom attributes, so ftrack keeps what it has (invalid_value): ada: its custom_attributes.floor is not a number: "third"; ada: its custom_attributes.since is not a date: "133012150000000000"; ada: its custom_attributes.staff is not a boolean: "maybe"; bob: its custom_attributes.floor is not a number: "x""#);
    assert_json_snapshot!(situation.user("ada").custom_attributes, @r#"
    {
      "badge": "0042",
      "floor": 3,
      "since": {
        "__type__": "datetime",
        "value": "2020-02-29T00:00:00"
      },
      "site": [
        "Rome"
      ],
      "staff": true
    }
    "#);
    assert!(situation.user("bob").custom_attributes.is_empty());
    situation.sync_changes_nothing();
}

#[test]
fn an_entry_is_left_out_where_a_required_value_does_not_fit() {
    let mut situation =
        Situation::of(&["bob"]).entry(person("ada", "A", "L").with("roomNumber", "x"));
    situation
        .ftrack()
        .add_custom_attribute("floor", "number")
        .unwrap();
    situation
        .attributes
        .push_str(", \"custom_attributes.floor\" = { from = \"roomNumber\", required = true }");
    situation
        .tree()
        .replace(&dn("bob"), "roomNumber", &["7"])
        .unwrap();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 1 entry skipped

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          email: bob@studio.test
          is_active: true
          custom_attributes.floor: 7
          the person is in the directory and has no user

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          its custom_attributes.floor is not a number: "x"
    "#);
    situation.sync();
    situation.sync_changes_nothing();
}

/// What a choice of an attribute is, of which the directory has these values.
fn enumerator(several: bool, values: &[&str]) -> Situation {
    let situation = Situation::of(&["ada"])
        .config("[jobs.artists.attributes]\n\"custom_attributes.skills\" = \"departmentNumber\"\n");
    let choices = ["paint", "light", "rig"];
    let ftrack = situation.ftrack();
    ftrack.add_enumerator("skills", several, &choices).unwrap();
    situation.then(|studio| ada(studio, "departmentNumber", values))
}

fn skills(situation: &Situation) -> Value {
    let attributes = situation.user("ada").custom_attributes;
    attributes.get("skills").cloned().unwrap_or_default()
}

#[test]
fn an_enumerator_of_several_choices_gets_all_values_in_any_order() {
    let situation = enumerator(true, &["rig", "paint"]);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          custom_attributes.skills: ["paint","rig"]
          the person is in the directory and has no user
    "#);
    situation.sync();
    assert_eq!(skills(&situation), json!(["paint", "rig"]));
    // ftrack may give them in another order, and so may the directory.
    let configuration = situation.ftrack().rows("UserCustomAttributeValue").unwrap();
    let of_ada = situation.user("ada").id;
    let row = configuration
        .iter()
        .find(|row| row["entity_id"] == *of_ada)
        .unwrap();
    let key = json!([row["configuration_id"], of_ada]);
    let turned = json!({"value": ["rig", "paint"]});
    situation
        .ftrack()
        .change("UserCustomAttributeValue", &key, &turned)
        .unwrap();
    ada(&situation, "departmentNumber", &["paint", "rig"]);
    situation.sync_changes_nothing();
    ada(&situation, "departmentNumber", &["light", "paint"]);
    assert_eq!(situation.sync().counts.updated, 1);
    assert_eq!(skills(&situation), json!(["light", "paint"]));
    situation.sync_changes_nothing();
    // One that is no choice leaves all of them as they are.
    ada(&situation, "departmentNumber", &["light", "sing", "rig"]);
    let report = situation.sync_changes_nothing();
    assert_snapshot!(report.warnings.join("\n"), @r#"values of the directory do not fit their custom attributes, so ftrack keeps what it has (invalid_value): ada: its custom_attributes.skills is none of its choices (light, paint, rig): "sing""#);
    assert_eq!(skills(&situation), json!(["light", "paint"]));
    ada(&situation, "departmentNumber", &["light"]);
    situation.sync();
    assert_eq!(skills(&situation), json!(["light"]));
    situation.sync_changes_nothing();
}

#[test]
fn an_enumerator_of_one_choice_keeps_what_it_has_as_long_as_the_directory_shows_it() {
    let situation = enumerator(false, &["sing", "rig", "paint"]).after_sync();
    assert_eq!(skills(&situation), json!(["rig"]));
    ada(&situation, "departmentNumber", &["paint", "light", "rig"]);
    situation.sync_changes_nothing();
    ada(&situation, "departmentNumber", &["sing"]);
    let report = situation.sync_changes_nothing();
    assert_snapshot!(report.warnings.join("\n"), @r#"values of the directory do not fit their custom attributes, so ftrack keeps what it has (invalid_value): ada: its custom_attributes.skills is none of its choices (light, paint, rig): "sing""#);
}

/// The error of a job that maps an attribute that cannot be written; nothing is written.
fn refused(situation: &Situation) -> String {
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0)
    );
    assert_eq!(situation.users(), "");
    situation.plain(&report.error.unwrap())
}

fn mapped(key: &str) -> Situation {
    Situation::of(&["ada"]).config(&format!(
        "[jobs.artists.attributes]\n\"custom_attributes.{key}\" = \"sn\"\n"
    ))
}

#[test]
fn an_attribute_that_cannot_be_written_is_found_before_anything_is_written() {
    assert_snapshot!(refused(&mapped("shoe_size")), @r#"ftrack could not be read, and nothing was written: looking for the mapped custom attributes at http://ftrack failed: ftrack has no custom attribute "shoe_size" for users readable with this key; create it under Settings > Custom attributes, and give the key's role read and write access to it (a retry alone does not help)"#);
    let of_projects = mapped("budget");
    let configuration =
        json!({"key": "budget", "label": "Budget", "entity_type": "show", "config": "{}"});
    let ftrack = of_projects.ftrack();
    ftrack
        .insert("CustomAttributeConfiguration", &configuration)
        .unwrap();
    assert_snapshot!(refused(&of_projects), @r#"ftrack could not be read, and nothing was written: looking for the mapped custom attributes at http://ftrack failed: the custom attribute "budget" is one of show in ftrack, and not of users; create one for users under Settings > Custom attributes, or take it out of the job's attributes (a retry alone does not help)"#);
    let computed = mapped("age");
    computed
        .ftrack()
        .add_custom_attribute("age", "expression")
        .unwrap();
    assert_snapshot!(refused(&computed), @r#"ftrack could not be read, and nothing was written: looking for the mapped custom attributes at http://ftrack failed: the custom attribute "age" is of the type "expression", whose values this program does not write; map one of the types text, url, number, boolean, date, enumerator or dynamic enumerator, or take it out of the job's attributes (a retry alone does not help)"#);
}

/// A person with a site that is written only when the user is created.
fn with_a_site() -> Situation {
    let situation = Situation::of(&[])
        .config(
            "[jobs.artists.attributes]\n\"custom_attributes.site\" = { from = \"l\", write = \
             \"on_create\" }\nfirst_name = { from = \"givenName\", write = \"on_create\" }\n",
        )
        .entry(person("ada", "Ada", "L").with("l", "Oslo"));
    situation
        .ftrack()
        .add_custom_attribute("site", "text")
        .unwrap();
    situation
}

#[test]
fn what_is_written_on_create_belongs_to_ftrack_from_then_on() {
    let situation = with_a_site().after_sync();
    let user = situation.user("ada");
    assert_eq!(user.custom_attributes["site"], "Oslo");
    assert_eq!(user.first_name.as_deref(), Some("Ada"));
    ada(&situation, "l", &["Rome"]);
    ada(&situation, "givenName", &["Augusta"]);
    situation.sync_changes_nothing();
    let explained = situation.explain(&["ada"]).unwrap();
    let mut steps = explained.steps.iter().map(|step| &*step.detail);
    let left = "custom_attributes.site is written on creation only, and is \"Oslo\" in ftrack";
    assert!(steps.any(|detail| detail == left), "{:#?}", explained.steps);
    let by_hand = json!({"first_name": "Countess"});
    situation
        .ftrack()
        .change("User", &json!([user.id]), &by_hand)
        .unwrap();
    situation.sync_changes_nothing();
    ada(&situation, "sn", &["Lovelace"]);
    assert_eq!(situation.sync().counts.updated, 1);
    let user = situation.user("ada");
    assert_eq!(user.custom_attributes["site"], "Oslo");
    assert_eq!(user.first_name.as_deref(), Some("Countess"));
    assert_eq!(user.last_name.as_deref(), Some("Lovelace"));
}

#[test]
fn what_is_written_on_create_stays_with_a_user_who_is_adopted() {
    let situation = with_a_site().stranger("ada").after_sync();
    let user = situation.user("ada");
    assert_eq!(user.custom_attributes.get("site"), None);
    assert_eq!(user.last_name.as_deref(), Some("L"));
    assert_ne!(user.first_name.as_deref(), Some("Ada"));
    situation.sync_changes_nothing();
}

#[test]
fn a_creation_that_was_interrupted_is_finished_with_what_is_written_on_create() {
    let situation = with_a_site();
    situation.ftrack().change_rules(|rules| {
        rules.seats = Some(2);
        rules.full = Full::StoreInactive;
    });
    situation.sync();
    assert!(!situation.user("ada").is_active, "there is no seat");
    ada(&situation, "l", &["Rome"]);
    situation.ftrack().change_rules(|rules| rules.seats = None);
    situation.sync();
    let user = situation.user("ada");
    assert!(user.is_active);
    assert_eq!(user.custom_attributes["site"], "Rome");
    situation.sync_changes_nothing();
}

#[test]
fn a_value_that_is_to_be_written_always_again_may_be_emptied_only_with_an_approval() {
    let full_name = |write: &str| {
        format!("username = \"uid\", full_name = {{ from = \"displayName\", write = \"{write}\" }}")
    };
    let mut situation =
        Situation::of(&[]).entry(person("ada", "x", "y").with("displayName", "Ada L"));
    situation.attributes = full_name("on_create");
    let mut situation = situation.after_sync();
    ada(&situation, "displayName", &["Augusta"]);
    situation.sync_changes_nothing();
    situation.attributes = full_name("always");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update, 1 of them held

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          first_name: Ada -> Augusta
          the directory has other values

      ~ update     ada HELD  uid=ada,ou=people,dc=studio,dc=test
          last_name: L -> (empty)
          the directory has other values

      1 change is held: the configuration changed (attributes.full_name), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
}

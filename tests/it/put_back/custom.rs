//! `restore` and `undo` where the custom attributes at ftrack are not what they were.

use ftrack_ldap_sync::model::report::{Outcome, Report};
use serde_json::{Value, json};

use crate::{
    rules::add_config,
    studio::{Studio, dn, person},
    undo::{left, put_back},
};

const MAPPING: &str = "[jobs.artists.attributes]
\"custom_attributes.badge\" = { from = \"employeeNumber\" }
\"custom_attributes.floor\" = { from = \"roomNumber\" }
\"custom_attributes.site\" = { from = \"l\" }
\"custom_attributes.team\" = { from = \"departmentNumber\" }
";

/// A user whose values a run changed, with that run; then the attributes were changed at ftrack: one is
/// gone, one takes a text instead of a number, and one has not the choice any more that the user had.
fn changed() -> (Studio, Report) {
    let studio = Studio::of(&[]);
    let ftrack = studio.ftrack();
    let badge = ftrack.add_custom_attribute("badge", "text").unwrap();
    let floor = ftrack.add_custom_attribute("floor", "number").unwrap();
    let choices = ["Oslo", "Rome"];
    let site = ftrack.add_enumerator("site", false, &choices).unwrap();
    ftrack.add_custom_attribute("team", "text").unwrap();
    add_config(&studio, MAPPING);
    let ada = [
        ("employeeNumber", ["0042"], ["0043"]),
        ("roomNumber", ["3"], ["4"]),
        ("l", ["Oslo"], ["Rome"]),
        ("departmentNumber", ["paint"], ["light"]),
        ("sn", ["Old"], ["New"]),
    ];
    let tree = studio.tree();
    tree.add(person("ada", "Ada", "L")).unwrap();
    for (attribute, before, _) in &ada {
        tree.replace(&dn("ada"), attribute, before).unwrap();
    }
    studio.sync();
    for (attribute, _, after) in &ada {
        tree.replace(&dn("ada"), attribute, after).unwrap();
    }
    let run = studio.sync();
    assert_eq!(
        studio.user("ada").custom_attributes["site"],
        json!(["Rome"])
    );

    let configurations = "CustomAttributeConfiguration";
    ftrack.remove(configurations, &json!([badge])).unwrap();
    let types = ftrack.rows("CustomAttributeType").unwrap();
    let text = types.iter().find(|row| row["name"] == "text").unwrap();
    let as_text = json!({ "type_id": text["id"] });
    ftrack
        .change(configurations, &json!([floor]), &as_text)
        .unwrap();
    let data = json!([{"menu": "Rome", "value": "Rome"}]).to_string();
    let config = json!({"multiSelect": false, "data": data}).to_string();
    ftrack
        .change(configurations, &json!([site]), &json!({ "config": config }))
        .unwrap();
    (studio, run)
}

#[test]
fn what_an_attribute_does_not_take_any_more_is_named_and_the_rest_is_put_back() {
    for command in ["undo", "restore"] {
        let (studio, run) = changed();
        for more in [&["--dry-run"] as &[&str], &[]] {
            let arguments = [&[command, &*run.run], more].concat();
            let report = put_back(&studio, &arguments);
            assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
            assert_eq!(report.counts.failed, 0, "{report:#?}");
            let left = left(&report);
            let named = |attribute: &str, why: &str| {
                let mut left = left.iter();
                left.any(|(who, told)| {
                    *who == "ada" && told.contains(attribute) && told.contains(why)
                })
            };
            assert!(named("badge", "ftrack does not have it"), "{left:#?}");
            assert!(named("floor", "takes a text"), "{left:#?}");
            assert!(named("site", "none of its choices (Rome)"), "{left:#?}");
            assert_eq!(left.len(), 3, "{left:#?}");
            let warned = report.warnings.iter();
            let warned = warned.filter(|warning| warning.contains("no custom attribute \"badge\""));
            assert_eq!(warned.count(), 1, "{report:#?}");
        }
        let user = studio.user("ada");
        assert_eq!(user.last_name.as_deref(), Some("Old"));
        let values: Vec<&Value> = ["floor", "site", "team"]
            .map(|key| &user.custom_attributes[key])
            .into();
        assert_eq!(values, [&json!(4), &json!(["Rome"]), &json!("paint")]);
    }
}

//! What entries are mapped to.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::{
    config::{WhenAbsent, Write},
    sync::desired::DesiredValue,
};

fn rule(target: &str, from: &str) -> AttributeRule {
    AttributeRule {
        target: target.parse().unwrap(),
        from: Source::parse(target, from).unwrap(),
        when_absent: WhenAbsent::Keep,
        required: false,
        write: Write::Always,
    }
}

fn mapped(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> Mapped {
    let rules: Vec<_> = rules
        .iter()
        .map(|(target, from)| rule(target, from))
        .collect();
    let attributes = attributes
        .iter()
        .map(|(name, values)| (*name, values.iter().map(|value| value.to_vec()).collect()));
    Mapping::new(&rules).map(&Entry::showing("uid=x", attributes))
}

fn person(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> Person {
    match mapped(rules, attributes) {
        Mapped::Person(person) => person,
        other @ (Mapped::Skipped { .. } | Mapped::Alias { .. }) => {
            panic!("not mapped: {other:?}")
        }
    }
}

fn skipped(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> String {
    match mapped(rules, attributes) {
        Mapped::Skipped { reason, .. } => reason.to_string(),
        other @ (Mapped::Person(_) | Mapped::Alias { .. }) => {
            panic!("not skipped: {other:?}")
        }
    }
}

#[test]
fn a_name_is_trimmed_composed_and_on_one_line() {
    let person = person(
        &[("username", "uid"), ("first_name", "givenName")],
        &[
            ("UID", &[b" ada "]),
            ("givenName", &["Jose\u{301}\n  Mari\u{301}a".as_bytes()]),
        ],
    );
    assert_eq!(&*person.username, "ada");
    assert_eq!(
        person.first_name,
        DesiredValue::Text("Jos\u{e9} Mar\u{ed}a".into())
    );
}

#[test]
fn a_full_name_is_split_at_its_last_space() {
    let rules = [("username", "uid"), ("full_name", "cn")];
    let two = person(&rules, &[("uid", &[b"a"]), ("cn", &[b"Juan Carlos Ruiz"])]);
    assert_eq!(
        (two.first_name, two.last_name),
        (
            DesiredValue::Text("Juan Carlos".into()),
            DesiredValue::Text("Ruiz".into())
        )
    );
    let one = person(&rules, &[("uid", &[b"a"]), ("cn", &[b"Madonna"])]);
    assert_eq!(
        (one.first_name, one.last_name),
        (
            DesiredValue::Text("Madonna".into()),
            DesiredValue::Text("".into())
        )
    );
    for silent in [&[][..], &[&b"  "[..]]] {
        let none = person(&rules, &[("uid", &[b"a"]), ("cn", silent)]);
        assert_eq!(
            (none.first_name, none.last_name),
            (DesiredValue::Keep, DesiredValue::Keep)
        );
    }
}

#[test]
fn the_order_of_several_values_does_not_matter() {
    let rules = [
        ("username", "uid"),
        ("email", "mail"),
        ("first_name", "{{ uid }} {{ mail }}"),
    ];
    let of = |uid: &[&[u8]], mail: &[&[u8]]| person(&rules, &[("uid", uid), ("mail", mail)]);
    let one = of(&[b"a", b"x", b"b"], &[b"b@x.test", b"a@x.test"]);
    for other in [
        of(&[b"x", b"b", b"a", b"x"], &[b"a@x.test", b"b@x.test"]),
        of(&[b"b", b"a", b"x"], &[b"b@x.test", b"a@x.test"]),
    ] {
        assert_eq!(one, other);
    }
    assert_eq!(&*one.username, "x", "the entry is uid=x");
    assert_eq!(one.email, DesiredValue::Text("a@x.test".into()));
    assert_eq!(one.first_name, DesiredValue::Text("x a@x.test".into()));
    let several = one.several.unwrap();
    assert_eq!(several.attributes, ["uid".into(), "mail".into()]);
    let counts: Vec<usize> = several.choices.iter().map(|one| one.values.len()).collect();
    assert_eq!(counts, [3, 2, 6]);
    let odd = of(&[b"a"], &[b"nobody", b"b@x.test"]);
    let accepted = DesiredValue::Text("b@x.test".into());
    assert_eq!(odd.email, accepted);
}

proptest::proptest! {
    #[test]
    fn values_in_any_order_map_to_the_same(
        (sent, shuffled) in proptest::collection::vec("[a-cé@. ]{0,5}", 0..6).prop_flat_map(
            |sent| (Just(sent.clone()), Just(sent).prop_shuffle())
        )
    ) {
        let of = |values: &[String]| {
            let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
            mapped(
                &[("username", "uid"), ("email", "mail"), ("full_name", "{{ mail }} {{ cn }}")],
                &[("uid", &[b"x", b"a"]), ("mail", &values), ("cn", &values)],
            )
        };
        proptest::prop_assert_eq!(of(&sent), of(&shuffled));
    }
}

#[test]
fn equal_values_are_one_value() {
    let one = person(
        &[("username", "uid"), ("email", "mail")],
        &[
            ("uid", &[b"a", b"a"]),
            ("mail", &[b"a@x.test", b" a@x.test"]),
        ],
    );
    assert_eq!((&*one.username, &one.several), ("a", &None));
}

#[test]
fn many_values_are_bounded() {
    let many: Vec<Vec<u8>> = (0..500)
        .map(|nth| format!("v{nth:03}").into_bytes())
        .collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let one = person(
        &[("username", "{{ uid }}.{{ cn }}{{ sn }}")],
        &[("uid", &many), ("cn", &many), ("sn", &many)],
    );
    let several = one.several.unwrap();
    assert_eq!(several.choices[0].values.len(), MOST_VALUES);
}

#[test]
fn a_template_reads_its_attributes_and_is_absent_without_them() {
    let rules = [
        ("username", "{{ uid | lower }}"),
        ("email", "{{ mail | default(uid ~ '@x.test') }}"),
        ("first_name", "{{ givenName }} {{ sn }}"),
    ];
    let person = person(&rules, &[("uid", &[b"ADA"]), ("sn", &[b"L"])]);
    assert_eq!(&*person.username, "ada");
    assert_eq!(person.email, DesiredValue::Text("ADA@x.test".into()));
    assert_eq!(person.first_name, DesiredValue::Keep);
    let rules: Vec<_> = rules
        .iter()
        .map(|(target, from)| rule(target, from))
        .collect();
    assert_eq!(
        Mapping::new(&rules).ldap_attributes(),
        ["givenName", "mail", "sn", "uid"]
    );
}

#[test]
fn what_ftrack_would_refuse_is_left_out_by_name() {
    let rules = [("username", "uid"), ("email", "mail")];
    assert_eq!(
        skipped(&rules, &[("mail", &[b"a@x.test"])]),
        "it has no uid, which is required"
    );
    assert_eq!(
        skipped(&rules, &[("uid", &[b"  "])]),
        "it has no uid, which is required"
    );
    assert_eq!(
        skipped(&rules, &[("uid", &[b"a"]), ("mail", &[b"nobody"])]),
        "its email is not a mail address: \"nobody\""
    );
    let binary: &[&[u8]] = &[&[0xff, 0xfe]];
    assert_eq!(
        skipped(&rules, &[("uid", binary)]),
        "the value of uid is not text (UTF-8)"
    );
    let kept = person(&rules, &[("uid", &[b"a"]), ("mail", binary)]);
    assert_eq!(kept.email, DesiredValue::Keep);
    assert_eq!(kept.several.unwrap().not_text, ["mail".into()]);
    let long = "x".repeat(256);
    assert_eq!(
        skipped(&rules, &[("uid", &[long.as_bytes()])]),
        "its username is 256 characters long; ftrack accepts 255"
    );
    let edge = "x".repeat(255);
    assert_eq!(
        &*person(&rules, &[("uid", &[edge.as_bytes()])]).username,
        edge
    );
}

#[test]
fn a_template_that_does_not_end_leaves_the_entry_out() {
    let rules = [
        ("username", "uid"),
        (
            "first_name",
            "{% if uid == 'a' %}{% for i in range(99999) %}{{ i }}{% endfor %}{% endif %}",
        ),
    ];
    assert!(skipped(&rules, &[("uid", &[b"a"])]).contains("the template for first_name fails"));
}

proptest! {
    #[test]
    fn a_value_that_comes_alone_is_mapped_as_one_that_comes_twice(
        uid in "[ -~a-zé\u{301}\u{200b}\t]{0,12}", mail in "[ -~@.]{0,9}|[a-z]{1,4}@[a-z.]{1,5}",
        name in any::<Vec<u8>>(), last in "\\PC{0,300}",
    ) {
        let rules = [("username", "uid"), ("email", "mail"), ("first_name", "givenName"), ("last_name", "sn")];
        let values = [("uid", uid.as_bytes()), ("mail", mail.as_bytes()), ("givenName", &name[..]), ("sn", last.as_bytes())];
        let once = values.each_ref().map(|(name, value)| (*name, std::slice::from_ref(value)));
        let two = values.map(|(name, value)| (name, [value; 2]));
        let twice = two.each_ref().map(|(name, values)| (*name, &values[..]));
        prop_assert_eq!(mapped(&rules, &once), mapped(&rules, &twice));
    }
}

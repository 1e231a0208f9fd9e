//! The page about the API key: it has each entity and each operation that the program uses, and says of
//! each what `check` reports where the key is not shown it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::text_of;
use crate::check::world::World;

/// The words between back quotes.
fn names(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table behind a heading, as cells.
fn rows<'p>(page: &'p str, heading: &str) -> Vec<Vec<&'p str>> {
    let (_, part) = page.split_once(heading).unwrap();
    let (_, table) = part.split_once("|---").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The names that follow some words in a source, as `Camel`.
fn after<'s>(source: &'s str, words: &str) -> BTreeSet<&'s str> {
    let parts = source.split(words).skip(1);
    parts
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_alphanumeric());
            &rest[..end.unwrap_or(rest.len())]
        })
        .filter(|name| name.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .collect()
}

#[test]
fn the_page_has_what_the_program_reads_and_writes() {
    let page = text_of("deploy/recipes/ftrack-api-key.md");
    let queries = [
        text_of("src/ftrack/query.rs"),
        text_of("src/ftrack/query/work.rs"),
    ]
    .concat();
    let read: BTreeSet<&str> = after(&queries, " from ");
    assert!(read.len() > 12, "{read:?}");
    let told = rows(&page, "## What the program reads");
    let told: BTreeSet<&str> = told.iter().flat_map(|row| names(row[0])).collect();
    assert_eq!(read, told);

    let source = text_of("src/ftrack/operation.rs");
    let (operations, rest) = source.split_once("pub enum EntityType {").unwrap();
    let (types, _) = rest.split_once("\n}").unwrap();
    let (_, operations) = operations.split_once("pub enum Operation {").unwrap();
    let (operations, _) = operations.split_once("\n}").unwrap();
    let variants = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        let lines = lines.filter(|line| line.starts_with(|letter: char| letter.is_uppercase()));
        lines
            .map(|line| {
                let end = line.find(|letter: char| !letter.is_alphanumeric());
                line[..end.unwrap_or(line.len())].to_owned()
            })
            .collect()
    };
    let told = names(&page);
    let types = variants(types);
    assert!(types.len() > 6, "{types:?}");
    for name in types {
        assert!(told.contains(&*name), "the page lacks {name}");
    }
    let operations = variants(operations);
    assert!(operations.len() > 12, "{operations:?}");
    for name in operations {
        // As JSON has it.
        let snake: String = name
            .chars()
            .flat_map(|letter| {
                let begins = letter.is_uppercase().then_some('_');
                begins.into_iter().chain(letter.to_lowercase())
            })
            .collect();
        let snake = snake.trim_start_matches('_');
        let is_told = match snake {
            "query" | "create" | "update" | "delete" | "query_server_values" => true,
            other => told.contains(other),
        };
        assert!(is_told, "the page lacks {snake}");
    }
}

/// What `check` reports, with the results.
fn reported(world: &World) -> BTreeMap<(String, String), usize> {
    let mut counted = BTreeMap::new();
    for finding in world.check(&[]).findings {
        if finding.result != "ok" {
            *counted.entry((finding.check, finding.about)).or_default() += 1;
        }
    }
    counted
}

#[test]
fn the_page_says_what_check_reports_of_a_key_that_sees_too_little() {
    let mut world = World::at("ldaps://no-such-directory.invalid");
    let studio = world.studio();
    studio.add_custom_attribute("badge", "text").unwrap();
    for (entity, row) in [
        ("Project", json!({"id": "p-1", "name": "show_a"})),
        ("Group", json!({"id": "g-1", "name": "Comp"})),
    ] {
        studio.insert(entity, &row).unwrap();
    }
    world.attributes = r#"{ username = "uid", "custom_attributes.badge" = "cn" }"#.into();
    world.job = "users = { user_type = \"ldap\" }\n\
                 roles = { User = { groups = [\"cn=a,dc=x\"], projects = [\"show_a\"] } }\n\
                 groups = { Comp = [\"cn=a,dc=x\"] }\n"
        .into();
    let before = reported(&world);
    let page = text_of("deploy/recipes/ftrack-api-key.md");
    let mut differ = Vec::new();
    for row in rows(&page, "## What the program reads") {
        for entity in names(row[0]) {
            studio.change_rules(|rules| rules.unreadable = [entity.to_owned()].into());
            let now = reported(&world);
            let new: BTreeSet<&str> = now
                .iter()
                .filter(|(what, count)| before.get(*what) != Some(*count))
                .map(|((check, _), _)| &**check)
                .collect();
            // Of a row that ends with "nothing", the rest is about later.
            let told = if row[2].starts_with("nothing") {
                BTreeSet::new()
            } else {
                names(row[2])
            };
            if new != told {
                differ.push(format!("{entity}: {new:?}, and the page has {told:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

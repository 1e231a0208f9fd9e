//! The form of the pages: the front page is short, lines are not too wide, links lead somewhere, and
//! the packages bring what people read.

use std::{collections::BTreeSet, path::Path};

use super::{Page, pages, text_of};

/// The most lines of the front page.
const FRONT: usize = 120;
/// The most columns of a line of prose.
const COLUMNS: usize = 120;

/// The lines of a page outside of fenced blocks, with their numbers.
fn prose(page: &Page) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!is_fence && !fenced).then_some((at + 1, line))
    })
}

#[test]
fn the_front_page_is_short() {
    let lines = text_of("README.md").lines().count();
    assert!(lines <= FRONT, "the README has {lines} lines");
}

#[test]
fn no_line_of_prose_is_too_wide() {
    for page in pages() {
        for (at, line) in prose(&page) {
            let is_row = line.trim_start().starts_with('|');
            let columns = line.chars().count();
            assert!(
                is_row || columns <= COLUMNS,
                "{}:{at} has {columns} columns",
                page.path
            );
        }
    }
}

/// The headings of a page, as the part of an address behind `#`.
fn anchors(page: &Page) -> BTreeSet<String> {
    prose(page)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// Where the links of a page lead, but those to other sites.
pub fn links(page: &Page) -> Vec<String> {
    let text: Vec<&str> = prose(page).map(|(_, line)| line).collect();
    text.join("\n")
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://"))
        .collect()
}

/// A path without `..`, seen from the folder of a page.
pub fn seen_from(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        if part == ".." {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[test]
fn each_link_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let mut followed = 0;
    for page in &pages {
        for link in links(page) {
            let (file, heading) = link
                .split_once('#')
                .map_or((link.as_str(), None), |(file, heading)| {
                    (file, Some(heading))
                });
            let path = if file.is_empty() {
                page.path.clone()
            } else {
                seen_from(&page.path, file)
            };
            let top = Path::new(env!("CARGO_MANIFEST_DIR"));
            assert!(top.join(&path).exists(), "{}: {link}", page.path);
            if let Some(heading) = heading {
                let target = pages.iter().find(|page| page.path == path);
                let target = target.unwrap_or_else(|| panic!("{}: {link}", page.path));
                assert!(
                    anchors(target).contains(heading),
                    "{}: {link} is none of {:#?}",
                    page.path,
                    anchors(target)
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed}");
}

#[test]
fn each_page_is_reached_from_the_front_page() {
    let pages = pages();
    let mut reached = BTreeSet::new();
    let mut waiting = vec!["README.md".to_owned()];
    while let Some(path) = waiting.pop() {
        let page = pages.iter().find(|page| page.path == path);
        if let Some(page) = page.filter(|page| reached.insert(page.path.clone())) {
            let files = links(page).into_iter();
            waiting.extend(
                files
                    .map(|link| seen_from(&page.path, link.split('#').next().unwrap()))
                    .map(|path| path.trim_end_matches('/').to_owned()),
            );
        }
    }
    for page in pages {
        assert!(
            reached.contains(&page.path),
            "nothing leads to {}",
            page.path
        );
    }
}

#[test]
fn both_packages_bring_each_page_for_people() {
    let manifest: toml::Table = toml::from_str(include_str!("../../../Cargo.toml")).unwrap();
    let of = |package: &str| manifest["package"]["metadata"][package]["assets"].to_string();
    let (deb, rpm) = (of("deb"), of("generate-rpm"));
    for page in pages() {
        let (folder, _) = page.path.rsplit_once('/').unwrap_or_default();
        // Those for developers lead to the sources.
        if folder == "src" || folder.starts_with("tests") {
            continue;
        }
        let source = if folder.is_empty() {
            // Without what leads to the sources.
            format!("target/packages/assets/{}", page.path)
        } else {
            format!("{folder}/*.md")
        };
        let there = format!("usr/share/doc/ftrack-ldap-sync/{folder}");
        for (name, assets) in [("deb", &deb), ("rpm", &rpm)] {
            assert!(
                assets.contains(&format!("\"{source}\"")) && assets.contains(&there),
                "the {name} lacks {}",
                page.path
            );
        }
    }
}

//! `runs show` as a page, as Markdown and as a table: whatever a directory contains is text in them.

use std::fs;

use ftrack_ldap_sync::demo::directory::TreeEntry;
use insta::assert_snapshot;

use crate::{
    rules::leave,
    studio::{Studio, dn, person},
    web::chromium::{browse, complaints, has_dialogue, look, value},
};

/// Names that would be markup, a formula or more cells.
const HOSTILE: [(&str, &str); 3] = [
    ("ada", "<script>alert(1)</script>"),
    ("bob", "=HYPERLINK(\"http://evil.test\",\"x\")"),
    ("cyd", "[x](javascript:alert(1)) | **b** `c` \"><img src=x>"),
];

/// A studio whose last run changed names, and deactivated somebody.
fn studio() -> Studio {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.job = "limits = { deactivate = 9 }".into();
    studio.sync();
    for (uid, name) in HOSTILE {
        studio.tree().replace(&dn(uid), "sn", &[name]).unwrap();
    }
    leave(&studio, "dan");
    studio.tree().add(person("eve", "Given", "eve")).unwrap();
    studio.sync();
    studio
}

fn shown(studio: &Studio, format: &str) -> String {
    let ended = studio.run(&["runs", "show", "last", "--format", format]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    ended.stdout
}

#[test]
fn a_page_shows_everything_and_runs_nothing() {
    let page = shown(&studio(), "html");
    for part in [
        "<title>Run ",
        "default-src &#x27;none&#x27;",
        "<h2>1 deactivated</h2>",
        "<h2>1 created</h2>",
        "<h2>3 updated</h2>",
        "&lt;script&gt;alert(1)&lt;&#x2f;script&gt;",
        "<p><span class=\"quiet\">last_name</span> <del>ada</del> → &lt;script&gt;",
        "1 created, 3 updated, 1 deactivated",
        "</html>\n",
    ] {
        let part = part.replace("&#x27;none&#x27;", "'none'");
        assert!(page.contains(&part), "{part} in {page}");
    }
    for danger in ["<script", "<img", "src=", "href="] {
        assert!(
            !page.replace("&gt;&lt;img src=x&gt;", "").contains(danger),
            "{page}"
        );
    }
    for element in ["td", "tr", "table", "p", "h2", "del", "span"] {
        let (opened, closed) = (format!("<{element}"), format!("</{element}>"));
        let opened = page.split(&opened).skip(1);
        let opened = opened.filter(|rest| rest.starts_with(['>', ' '])).count();
        assert_eq!(opened, page.matches(&closed).count(), "{element} in {page}");
    }
}

#[test]
fn a_page_is_one_file_that_a_browser_shows_on_any_screen() {
    let studio = studio();
    let file = studio.folder().join("report.html");
    fs::write(&file, shown(&studio, "html")).unwrap();
    browse(
        "a_page_is_one_file_that_a_browser_shows_on_any_screen",
        async |client| {
            let address = format!("file://{}", file.display());
            for (scheme, ink) in [("light", "rgb(0, 0, 0)"), ("dark", "rgb(255, 255, 255)")] {
                look(&client, (400, 700), scheme).await;
                client.goto(&address).await.unwrap();
                let width = value(&client, "document.documentElement.scrollWidth").await;
                assert!(width.as_u64().unwrap() <= 400, "{width} in the {scheme}");
                let colour = value(&client, "getComputedStyle(document.body).color").await;
                assert_eq!(colour, ink, "in the {scheme}");
                let text = value(&client, "document.body.innerText").await;
                for (uid, name) in HOSTILE {
                    assert!(text.as_str().unwrap().contains(name), "{uid} in {text}");
                }
                assert!(!has_dialogue(&client).await);
                let asked = "performance.getEntriesByType('resource').length + \
                             document.querySelectorAll('script, link, img, iframe, [src], [href]').length";
                assert_eq!(value(&client, asked).await, 0);
                assert_eq!(complaints(&client).await, [""; 0]);
            }
            // On a wide screen, no name of a field and no short value breaks.
            for width in [900, 1300] {
                look(&client, (width, 700), "light").await;
                client.goto(&address).await.unwrap();
                let broken = "[...document.querySelectorAll('span.quiet, del')]\
                              .filter(one => one.getClientRects().length > 1)\
                              .map(one => one.textContent)";
                assert_eq!(
                    value(&client, broken).await,
                    serde_json::json!([]),
                    "{width}"
                );
                let all = "document.querySelectorAll('span.quiet, del').length";
                assert!(value(&client, all).await.as_u64().unwrap() > 5);
                let wide = value(&client, "document.documentElement.scrollWidth").await;
                assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide}");
            }
        },
    );
}

#[test]
fn a_line_about_several_people_is_one_text() {
    let studio = Studio::of(&["ada", "twin"]);
    let twin = TreeEntry::new("cn=twin,ou=people,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("cn", "twin")
        .with("sn", "twin")
        .with("uid", "TWIN");
    studio.tree().add(twin).unwrap();
    studio.run(&["sync"]);
    let needs = "<td class=\"quiet\"></td><td>2 people need a decision: cn=twin,ou=people,";
    let page = shown(&studio, "html");
    assert!(page.contains(needs), "{page}");
}

#[test]
fn markdown_has_tables_of_one_width() {
    let text = shown(&studio(), "markdown");
    let is_escaped =
        |before: &str| before.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
    let bars = |line: &str| {
        let places = line.match_indices('|');
        places
            .filter(|(place, _)| !is_escaped(&line[..*place]))
            .count()
    };
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "{text}");
    assert!(rows.iter().all(|row| [3, 6].contains(&bars(row))), "{text}");
    assert!(text.starts_with("# Run "), "{text}");
    let cyd = text
        .lines()
        .find(|line| line.starts_with("| **cyd**"))
        .unwrap();
    assert_snapshot!(cyd, @r#"| **cyd**<br>uid=cyd,ou=people,dc=studio,dc=test | last\_name | cyd | \[x\](javascript\:alert(1)) \| \*\*b\*\* \`c\` "\>\<img src=x\> | the directory has other values |"#);
}

#[test]
fn a_table_has_a_record_for_each_value_and_no_formula() {
    let studio = studio();
    let table = shown(&studio, "csv");
    let records: Vec<&str> = table.split_terminator("\r\n").collect();
    // The login, the names, the mail and the activity of eve; the names of three, the activity of dan.
    assert_eq!(records.len(), 1 + 5 + 3 + 1, "{table}");
    assert!(records[0].starts_with("run,job,started_at,action,username,"));
    let of_bob = records
        .iter()
        .find(|record| record.contains(",bob,"))
        .unwrap();
    assert!(
        of_bob.contains(",last_name,bob,\"'=HYPERLINK(\"\"http"),
        "{of_bob}"
    );
    let of_dan = records
        .iter()
        .find(|record| record.contains(",dan,"))
        .unwrap();
    assert!(
        of_dan.contains(",is_active,true,false,applied,"),
        "{of_dan}"
    );
}

#[test]
fn a_list_of_runs_is_no_page() {
    let studio = Studio::of(&[]);
    for arguments in [&["runs"][..], &["runs", "--changes"]] {
        for format in ["html", "markdown", "csv"] {
            let ended = studio.run(&[arguments, &["--format", format]].concat());
            assert_eq!(ended.status, 2);
            assert!(ended.stderr.contains("`runs show RUN`"), "{}", ended.stderr);
        }
    }
}

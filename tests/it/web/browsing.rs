//! The pages in a real browser: an approval, a hostile name, a small screen, the dark; and the pictures
//! of the documentation.

use std::{fs, path::Path};

use chrono::{Days, Utc};
use fantoccini::Locator;

use super::{
    HOSTILE, Pages, TOKEN,
    chromium::{browse, fill, follow, has_dialogue, look, press, says, value},
    held, proxy,
};
use crate::{
    readme,
    rules::leave,
    studio::{Studio, dn, person},
};

#[test]
fn a_hold_is_approved_below_a_path_behind_a_proxy() {
    let pages = Pages::of(held());
    let port = proxy::below_sync(pages.port);
    browse(
        "a_hold_is_approved_below_a_path_behind_a_proxy",
        async |client| {
            let first = format!("http://127.0.0.1:{port}/sync/");
            client.goto(&format!("{first}holds/1")).await.unwrap();
            // Through a proxy, nobody is on this machine.
            says(&client, "Sign in").await;
            let page = client.source().await.unwrap();
            assert!(!page.contains("user1"), "{page}");
            fill(&client, "token", TOKEN).await;
            press(&client, "Sign in").await;
            // On to the page that was asked for.
            says(&client, "Hold 1 of artists").await;
            assert_eq!(client.current_url().await.unwrap().path(), "/sync/holds/1");
            let row = "//tr[contains(., 'user1')]//input[@type='checkbox']";
            client
                .find(Locator::XPath(row))
                .await
                .unwrap()
                .click()
                .await
                .unwrap();
            press(&client, "Approve the chosen").await;
            // The page loads itself again until it is done.
            says(&client, "coordinator approved it: succeeded").await;
            assert_eq!(pages.active(), 9);
            assert!(!pages.studio.user("user1").is_active);
            for (link, words) in [
                ("Actions", "127.0.0.1, for 10.9.8.7"),
                ("Jobs", "Needs a person"),
                ("Holds", "2 to deactivate"),
                ("History", "approval"),
                ("Plan", "What would happen next"),
                ("Person", "One person"),
            ] {
                follow(&client, link).await;
                says(&client, words).await;
                let path = client.current_url().await.unwrap().path().to_owned();
                assert!(path.starts_with("/sync/"), "{path}");
            }
            press(&client, "Sign out").await;
            says(&client, "Sign in").await;
            client.goto(&first).await.unwrap();
            says(&client, "http.tokens").await;
            let reports = pages.studio.reports();
            let approved = reports.iter().filter(|report| report.approved_by.is_some());
            assert_eq!(approved.count(), 1);
        },
    );
}

#[test]
fn a_hostile_name_is_text_and_small_screens_need_no_scrolling() {
    let pages = Pages::of(held());
    let run = pages.studio.reports().last().unwrap().run.clone();
    browse(
        "a_hostile_name_is_text_and_small_screens_need_no_scrolling",
        async |client| {
            let first = format!("http://127.0.0.1:{}/", pages.port);
            client.goto(&format!("{first}sign-in")).await.unwrap();
            fill(&client, "token", TOKEN).await;
            press(&client, "Sign in").await;
            says(&client, "Sign out").await;
            let report = format!("runs/artists/{run}");
            let all = [
                "",
                "jobs/artists",
                "holds",
                "holds/1",
                "history",
                "plan",
                "person?who=user0",
                "actions",
                "sign-in",
                &report,
                "jobs/none",
            ];
            for (scheme, paper) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(23, 23, 26)")] {
                look(&client, (400, 700), scheme).await;
                for path in all {
                    client.goto(&format!("{first}{path}")).await.unwrap();
                    let width = value(&client, "document.documentElement.scrollWidth").await;
                    assert!(width.as_u64().unwrap() <= 400, "{path} is {width} wide");
                    // The stylesheet is there, which nothing else could have brought.
                    let colour =
                        value(&client, "getComputedStyle(document.body).backgroundColor").await;
                    assert_eq!(colour, paper, "{path}");
                    let loaded = "document.scripts.length + document.images.length";
                    assert_eq!(value(&client, loaded).await, 0, "{path}");
                    assert!(!has_dialogue(&client).await, "{path}");
                }
            }
            client.goto(&format!("{first}holds/1")).await.unwrap();
            let shown = HOSTILE.replace('\u{202e}', "\\u{202e}");
            let text = value(&client, "document.body.innerText").await;
            assert!(text.as_str().unwrap().contains(&shown), "{text}");
            client
                .goto(&format!("{first}person?who=user0"))
                .await
                .unwrap();
            press(&client, "Explain").await;
            says(&client, "How it was found out").await;
            let width = value(&client, "document.documentElement.scrollWidth").await;
            assert!(width.as_u64().unwrap() <= 400, "{width}");
            assert!(!has_dialogue(&client).await);
        },
    );
}

/// A studio with a past: some weeks of runs, then somebody held.
fn with_a_past() -> Studio {
    let mut studio = Studio::empty();
    studio.job = "schedule = \"0 3 * * *\"\ntimezone = \"Europe/Stockholm\"\n".into();
    for (uid, first, last) in [
        ("anna.berg", "Anna", "Berg"),
        ("jo.malik", "Jo", "Malik"),
        ("liu.wei", "Wei", "Liu"),
        ("noa.levi", "Noa", "Levi"),
        ("pia.lund", "Pia", "Lund"),
        ("sam.ortiz", "Sam", "Ortiz"),
        ("tove.dahl", "Tove", "Dahl"),
        ("yuki.sato", "Yuki", "Sato"),
    ] {
        studio.tree().add(person(uid, first, last)).unwrap();
    }
    studio.sync();
    let past = studio.reports().remove(0);
    let folder = studio.state_dir().join("reports/artists");
    for day in 1..30_u64 {
        let mut copy = past.clone();
        let back = |time: chrono::DateTime<Utc>| time.checked_sub_days(Days::new(day)).unwrap();
        copy.started_at = back(copy.started_at);
        copy.finished_at = back(copy.finished_at);
        copy.run = format!("{}-0000", copy.started_at.format("%Y%m%d-%H%M%S"));
        copy.changes.clear();
        copy.counts.created = usize::from(day % 7 == 1) * 3;
        copy.counts.updated = (day * day % 5) as usize;
        copy.counts.deactivated = usize::from(day % 11 == 4);
        let text = serde_json::to_vec(&copy).unwrap();
        fs::write(folder.join(format!("{}.json", copy.run)), text).unwrap();
    }
    studio
        .tree()
        .replace(&dn("anna.berg"), "sn", &["Holm"])
        .unwrap();
    studio
        .tree()
        .replace(&dn("liu.wei"), "mail", &["wei.liu@studio.test"])
        .unwrap();
    for uid in ["jo.malik", "sam.ortiz", "tove.dahl"] {
        leave(&studio, uid);
    }
    studio.sync();
    studio
}

#[test]
fn the_pictures_of_the_documentation_are_of_the_pages() {
    let pages = Pages::of(with_a_past());
    let run = pages.studio.reports().last().unwrap().run.clone();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = top.join("deploy/pictures");
    let made = top.join("target/pictures");
    fs::create_dir_all(&made).unwrap();
    browse(
        "the_pictures_of_the_documentation_are_of_the_pages",
        async |client| {
            let first = format!("http://127.0.0.1:{}/", pages.port);
            client.goto(&format!("{first}sign-in")).await.unwrap();
            fill(&client, "token", TOKEN).await;
            press(&client, "Sign in").await;
            says(&client, "Sign out").await;
            for (name, path, size, scheme) in [
                ("overview.png", String::new(), (900, 700), "light"),
                (
                    "report.png",
                    format!("runs/artists/{run}"),
                    (900, 640),
                    "light",
                ),
                ("hold-dark.png", "holds/1".to_owned(), (900, 560), "dark"),
                ("small.png", "holds/1".to_owned(), (400, 640), "light"),
            ] {
                look(&client, size, scheme).await;
                client.goto(&format!("{first}{path}")).await.unwrap();
                says(&client, "Sign out").await;
                let picture = client.screenshot().await.unwrap();
                assert_eq!(size_of(&picture), size, "{name}");
                assert!(picture.len() < 150_000, "{name}: {} bytes", picture.len());
                fs::write(made.join(name), &picture).unwrap();
                if std::env::var_os("FTRACK_LDAP_SYNC_TEST_PICTURES").is_some() {
                    fs::write(documented.join(name), &picture).unwrap();
                }
                let documented = fs::read(documented.join(name)).unwrap();
                assert_eq!(size_of(&documented), size, "the documented {name}");
            }
        },
    );
    let named: Vec<String> = fs::read_dir(&documented)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let pages: String = readme::pages().into_iter().map(|page| page.text).collect();
    for name in named {
        assert!(pages.contains(&format!("pictures/{name})")), "{name}");
    }
}

/// The width and height of a PNG, from its first chunk.
fn size_of(picture: &[u8]) -> (u32, u32) {
    assert!(picture.starts_with(b"\x89PNG"));
    let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

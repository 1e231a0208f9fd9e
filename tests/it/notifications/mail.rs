//! Mail: to a server with TLS, logins and refusals.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    events, named,
    smtp::{MailSink, Manner},
    sync,
};
use crate::{
    rules::add_config,
    studio::{Ended, Studio, dn},
};

const PASSWORD: &str = "smtp-planted-password";

/// A studio that mails each change to this server.
fn mailing(studio: &Studio, server: &MailSink, scheme: &str, keys: &str) {
    std::fs::write(studio.folder().join("smtp-password"), PASSWORD).unwrap();
    add_config(
        studio,
        &format!(
            "[notifications]\non = [\"changes\"]\nattempts = 2\n[notifications.mail]\nserver = \
             \"{scheme}://localhost:{}\"\nfrom = \"ftrack sync <sync@studio.test>\"\nto = \
             [\"it@studio.test\", \"Lead <lead@studio.test>\"]\n{keys}\n",
            server.port()
        ),
    );
}

const LOGIN: &str = "user = \"sync\"\npassword_file = \"smtp-password\"\nca_file = \"ca.pem\"";

fn login() -> Option<String> {
    Some(BASE64_STANDARD.encode(format!("\0sync\0{PASSWORD}")))
}

/// A change, so that there is something to tell.
fn change(studio: &Studio, name: &str) -> Ended {
    studio.tree().replace(&dn("ada"), "sn", &[name]).unwrap();
    let ended = sync(studio, 0);
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains(&login().unwrap()), "{text}");
    }
    ended
}

fn error(ended: &Ended) -> String {
    let failed = events(ended, "notification.failed");
    assert_eq!(failed.len(), 1, "{}", ended.stderr);
    failed[0]["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_mail_has_a_text_and_a_page_and_goes_to_everybody_over_tls() {
    for (scheme, implicit_tls) in [("smtps", true), ("smtp", false)] {
        let studio = Studio::of(&["ada"]);
        let server = MailSink::start(
            studio.runtime(),
            studio.folder(),
            Manner {
                implicit_tls,
                start_tls: !implicit_tls,
                login: login(),
                ..Manner::default()
            },
        );
        mailing(&studio, &server, scheme, LOGIN);
        sync(&studio, 0);
        let [mail] = &server.mails()[..] else {
            panic!("{:#?}", server.mails());
        };
        assert!(mail.has_tls && mail.has_login, "{mail:#?}");
        assert_eq!(mail.from, "sync@studio.test");
        assert_eq!(mail.to, ["it@studio.test", "lead@studio.test"]);
        assert_eq!(
            mail.header("Subject"),
            "[ftrack-ldap-sync] artists: 1 created"
        );
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        assert!(mail.header("Message-ID").ends_with("@ftrack-ldap-sync>"));
        let text = mail.part("text/plain");
        assert!(text.contains("  - ada: create applied"), "{text}");
        let html = mail.part("text/html");
        assert!(html.contains("<li>ada: create applied"), "{html}");
        if !implicit_tls {
            let before_tls = ["EHLO ", "STARTTLS"];
            let said = server.said(1);
            for (line, expected) in said.iter().zip(before_tls) {
                assert!(line.starts_with(expected), "{said:?}");
            }
            assert!(
                said[2].starts_with("EHLO "),
                "what was said before TLS counts for nothing"
            );
        }
    }
}

#[test]
fn names_are_no_markup_in_mail() {
    let studio = Studio::of(&[]);
    let server = MailSink::start(studio.runtime(), studio.folder(), Manner::default());
    mailing(&studio, &server, "smtp", "start_tls = false");
    let hostile = "<img src=x>& Bcc: all@studio.test";
    studio.tree().add(named(hostile)).unwrap();
    sync(&studio, 0);
    let [mail] = &server.mails()[..] else {
        panic!("{:#?}", server.mails());
    };
    let html = mail.part("text/html");
    assert!(html.contains("<li>&lt;img src"), "{html}");
    assert!(!html.contains("<img"), "{html}");
    let text = mail.part("text/plain");
    assert!(
        text.contains("  - <img src=x>& Bcc: all@studio.test: create"),
        "{text}"
    );
}

#[test]
fn a_mail_of_a_hold_shows_whom_it_holds_why_and_how_to_approve_it() {
    let mut studio = Studio::of(&["ada", "bob"]);
    sync(&studio, 0);
    studio.job = "limits.deactivate = 0\n".into();
    let server = MailSink::start(studio.runtime(), studio.folder(), Manner::default());
    mailing(&studio, &server, "smtp", "start_tls = false");
    with_config(
        &studio,
        "on = [\"changes\"]",
        "on = [\"held\"]\npage_url = \"https://sync.studio.test/\"",
    );
    studio.tree().remove(&dn("ada")).unwrap();
    sync(&studio, 3);
    let [mail] = &server.mails()[..] else {
        panic!("{:#?}", server.mails());
    };
    assert_eq!(
        mail.header("Subject"),
        "[ftrack-ldap-sync] artists: 1 change waits for a person"
    );
    let text = mail.part("text/plain").replace('\r', "");
    let (hold, _) = text[text.find("hold 1").unwrap()..]
        .split_once("\n\n")
        .unwrap();
    insta::assert_snapshot!(hold, @r"
    hold 1: 1 to deactivate (held by limit)
      - 1 deactivation is more than limits.deactivate allows (0); review them, and approve: `approve 1` writes it
      - ada
      ftrack-ldap-sync holds show 1
      ftrack-ldap-sync approve 1
      https://sync.studio.test/holds/1
    ");
    let html = mail.part("text/html");
    assert!(
        html.contains("<code>ftrack-ldap-sync approve 1</code>")
            && html.contains("https:&#x2f;&#x2f;sync.studio.test&#x2f;holds&#x2f;1\""),
        "{html}"
    );
    assert!(html.contains("<li>ada</li>"), "{html}");
}

#[test]
fn a_refusal_is_told_and_tried_again_only_where_that_may_help() {
    let studio = Studio::of(&["ada"]);
    let manner = Manner {
        implicit_tls: true,
        login: login(),
        ..Manner::default()
    };
    let server = MailSink::start(studio.runtime(), studio.folder(), manner.clone());
    mailing(&studio, &server, "smtps", LOGIN);
    let answering = |answers: &[(&'static str, &str)]| {
        let answers = answers.iter();
        let answers = answers.map(|(start, answer)| (*start, (*answer).to_owned()));
        server.change(Manner {
            answers: answers.collect(),
            ..manner.clone()
        });
    };
    // A greylist: the second attempt gets through.
    answering(&[
        ("RCPT TO:<IT@", "451 later"),
        ("RCPT TO:<LEAD@", "451 later"),
    ]);
    let ended = change(&studio, "One");
    assert_eq!(
        events(&ended, "notification.sent")[0]["attempts"],
        2,
        "{}",
        ended.stderr
    );
    assert_eq!(server.mails().len(), 1);
    // One address is wrong: all others get it, once.
    answering(&[("RCPT TO:<IT@", "550 5.1.1 nobody here")]);
    let ended = change(&studio, "Two");
    let said = error(&ended);
    assert!(
        said.contains("all others got it, but localhost: it refused it@studio.test"),
        "{said}"
    );
    assert!(said.contains("nobody here"), "{said}");
    assert_eq!(server.mails().len(), 2);
    assert_eq!(server.mails()[1].to, ["lead@studio.test"]);
    answering(&[("MAIL FROM", "553 not you")]);
    assert!(error(&change(&studio, "Three")).contains("it refused the sender"));
    answering(&[("DATA", "554 no spam")]);
    assert!(error(&change(&studio, "Four")).contains("it refused the mail"));
    // The server repeats what it was given.
    server.change(Manner {
        login: Some("other".into()),
        ..manner.clone()
    });
    let said = error(&change(&studio, "Five"));
    assert_eq!(
        said, "********",
        "nothing of it is shown, since it has the password in it"
    );
    answering(&[("AUTH", "535 5.7.8 wrong")]);
    let said = error(&change(&studio, "Six"));
    assert!(
        said.contains("it refused the login") && said.contains("5.7.8 wrong"),
        "{said}"
    );
    assert_eq!(server.mails().len(), 2);
}

#[test]
fn a_server_without_tls_or_with_a_wrong_certificate_gets_nothing() {
    let studio = Studio::of(&["ada"]);
    let plain = Manner {
        login: login(),
        ..Manner::default()
    };
    let server = MailSink::start(studio.runtime(), studio.folder(), plain);
    mailing(&studio, &server, "smtp", LOGIN);
    let said = error(&change(&studio, "One"));
    assert!(said.contains("it offers no STARTTLS"), "{said}");
    // Nothing of the mail, and no password.
    assert_eq!(server.said(1).len(), 1, "{:?}", server.said(1));
    server.change(Manner {
        start_tls: true,
        ..Manner::default()
    });
    // Another authority's certificate.
    let other = tempfile::TempDir::new().unwrap();
    let _another = MailSink::start(studio.runtime(), other.path(), Manner::default());
    std::fs::copy(other.path().join("ca.pem"), studio.folder().join("ca.pem")).unwrap();
    let said = error(&change(&studio, "Two"));
    assert!(
        said.contains("the server's certificate is not trusted"),
        "{said}"
    );
    assert_eq!(server.said(2).last().unwrap(), "STARTTLS");
    // TLS where there is none.
    mailing(&studio, &server, "smtps", LOGIN);
    let said = error(&change(&studio, "Three"));
    assert!(said.contains("its answer is something else"), "{said}");
    assert!(server.mails().is_empty());
}

#[test]
fn a_server_that_says_nothing_or_does_not_stop_delays_and_fails_no_run() {
    let silent = Manner {
        silent: true,
        ..Manner::default()
    };
    let endless = Manner {
        endless: true,
        ..Manner::default()
    };
    for (manner, expected) in [
        (silent, "it took longer than 500ms"),
        (endless, "more than a mail server has to"),
    ] {
        let studio = Studio::of(&["ada"]);
        let server = MailSink::start(studio.runtime(), studio.folder(), manner);
        mailing(&studio, &server, "smtp", "start_tls = false");
        with_config(
            &studio,
            "attempts = 2",
            "attempts = 1\ntime_limit = \"500ms\"",
        );
        let said = error(&change(&studio, "One"));
        assert!(said.contains(expected), "{said}");
        assert_eq!(server.connections(), 1);
    }
}

/// Replaces a part of the configuration.
fn with_config(studio: &Studio, old: &str, new: &str) {
    let path = studio.folder().join("config.d/more.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&path, text.replace(old, new)).unwrap();
}

/// A server that takes mail, and answers so first.
fn putting_off(studio: &Studio, answers: &[(&'static str, &str)]) -> MailSink {
    let answers = answers.iter();
    let answers = answers.map(|(start, answer)| (*start, (*answer).to_owned()));
    let manner = Manner {
        answers: answers.collect(),
        ..Manner::default()
    };
    MailSink::start(studio.runtime(), studio.folder(), manner)
}

fn got(server: &MailSink) -> Vec<Vec<String>> {
    server.mails().into_iter().map(|mail| mail.to).collect()
}

const GREYLISTED: &str = "450 4.2.0 greylisted, come again";

#[test]
fn who_is_put_off_gets_it_later_and_the_others_once() {
    let studio = Studio::of(&["ada"]);
    let server = putting_off(&studio, &[("RCPT TO:<IT@", GREYLISTED)]);
    mailing(&studio, &server, "smtp", "start_tls = false");
    let ended = change(&studio, "One");
    let sent = events(&ended, "notification.sent");
    assert_eq!(sent[0]["attempts"], 2, "{}", ended.stderr);
    assert_eq!(got(&server), [["lead@studio.test"], ["it@studio.test"]]);
    // Everybody reads who else got it.
    let to = server.mails()[1].header("To");
    assert!(to.contains("lead@studio.test"), "{to}");
}

#[test]
fn who_was_refused_for_good_is_named_at_the_end_and_not_asked_again() {
    let studio = Studio::of(&["ada"]);
    let gone = "550 5.1.1 nobody here";
    let server = putting_off(
        &studio,
        &[("RCPT TO:<IT@", GREYLISTED), ("RCPT TO:<LEAD@", gone)],
    );
    mailing(&studio, &server, "smtp", "start_tls = false");
    let said = error(&change(&studio, "One"));
    assert!(
        said.contains("all others got it, but localhost: it refused lead@studio.test"),
        "{said}"
    );
    assert!(!said.contains("greylisted"), "{said}");
    assert_eq!(got(&server), [["it@studio.test"]]);
    let asked = server.said(2);
    let asked = asked.iter().filter(|line| line.starts_with("RCPT"));
    assert_eq!(asked.count(), 1, "{:?}", server.said(2));
}

#[test]
fn who_is_put_off_for_long_gets_it_from_a_later_program() {
    let studio = Studio::of(&["ada"]);
    let server = putting_off(&studio, &[("RCPT TO:<IT@", GREYLISTED)]);
    mailing(&studio, &server, "smtp", "start_tls = false");
    with_config(&studio, "attempts = 2", "attempts = 1");
    let said = error(&change(&studio, "One"));
    assert!(
        said.contains("all others got it, but localhost: it refused it@studio.test"),
        "{said}"
    );
    let ended = change(&studio, "Two");
    assert_eq!(events(&ended, "notification.sent").len(), 2);
    let mut mails = server.mails();
    let id = |mail: &super::smtp::Mail| mail.header("Message-ID");
    assert_eq!(mails[0].to, ["lead@studio.test"]);
    let first = id(&mails[0]);
    mails.retain(|mail| id(mail) == first);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].to, ["it@studio.test"]);
    assert_eq!(server.mails().len(), 3);
}

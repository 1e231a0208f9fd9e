//! Configurations as an administrator writes them: files, layers, secrets, and the message for each
//! mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path, time::Duration};

use ftrack_ldap_sync::{
    cli::Format,
    command,
    config::{self, Config, EffectiveConfig, Environment, Limit, MASK},
};
use tempfile::TempDir;

mod example;
mod keys;
mod kinds;
mod mistakes;
mod properties;

const GOOD: &str = r#"
[ftrack]
server = "https://studio.ftrackapp.com"
api_user = "ldap-sync"
api_key = "planted-key"

[directories.studio]
urls = ["ldaps://ldap.studio.test"]
bind_dn = "cn=sync,dc=studio,dc=test"
bind_password = "planted-password"

[jobs.artists]
search_bases = ["ou=people,dc=studio,dc=test"]
filter = "(objectClass=inetOrgPerson)"

[jobs.artists.attributes]
username = "uid"
email = "mail"
"#;

const FILTER: &str = r#"filter = "(objectClass=inetOrgPerson)""#;

/// A folder with a configuration in it.
struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.file("config.toml", text);
        folder
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Config, String> {
        config::load(
            &self.path().join("config.toml"),
            &Environment::new(variables.iter().copied()),
        )
        .map_err(|findings| {
            let folder = format!("{}/", self.path().display());
            findings.to_string().replace(&folder, "")
        })
    }

    fn effective(&self) -> Result<EffectiveConfig, config::Findings> {
        let file = self.path().join("config.toml");
        config::effective(&file, &Environment::default())
    }
}

/// The good configuration with one text in the place of another.
fn with(replacements: &[(&str, &str)]) -> String {
    replacements
        .iter()
        .fold(GOOD.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{old} is not in the configuration");
            text.replace(old, new)
        })
}

#[test]
fn a_small_configuration_gets_sensible_defaults() {
    let config = Folder::new(GOOD).load(&[]).unwrap();
    let (name, job) = config.job(None).unwrap();
    let (ldap, directory) = (job.ldap().unwrap(), &config.directories["studio"]);
    assert_eq!(
        (name, ldap.source.as_str(), ldap.directory.as_str()),
        ("artists", "artists", "studio")
    );
    assert_eq!((directory.page_size, directory.pool_size), (1000, 4));
    assert_eq!(directory.operation_timeout, Duration::from_secs(30));
    assert_eq!(
        (
            config.ftrack.page_size,
            config.ftrack.connections,
            config.ftrack.batch_size,
            config.ftrack.attempts
        ),
        (2000, 8, 500, 5)
    );
    assert_eq!(config.ftrack.administrator_roles, ["Administrator"]);
    assert_eq!(config.ftrack.default_roles, ["User"]);
    assert_eq!(
        (ldap.limits.deactivate, ldap.limits.min_entries),
        (Limit::Percent(10), 1)
    );
    assert_eq!(
        (job.retry.initial, job.retry.max, job.retry.suspend_after),
        (Duration::from_secs(60), Duration::from_secs(3600), 10)
    );
    assert!(
        job.catch_up
            && ldap.users.create
            && ldap.users.deactivate
            && config.http.is_none()
            && job.schedule.is_none()
    );
    let attributes = ldap.attributes.as_ref().unwrap();
    assert!(attributes["username"].required && !attributes["email"].required);
}

#[test]
fn a_job_is_chosen_by_name_or_for_being_the_only_one() {
    let config = Folder::new(GOOD).load(&[]).unwrap();
    assert_eq!(config.job(Some("artists")).unwrap().0, "artists");
    assert_eq!(
        config.job(Some("artist")).unwrap_err().to_string(),
        r#"there is no job "artist"; did you mean "artists"?"#
    );
    let two = with(&[(
        "[jobs.artists]",
        "[jobs.a]\nsearch_bases = [\"dc=test\"]\nfilter = \"(a=b)\"\nattributes.username = \
         \"uid\"\n[jobs.artists]",
    )]);
    assert_eq!(
        Folder::new(&two)
            .load(&[])
            .unwrap()
            .job(None)
            .unwrap_err()
            .to_string(),
        "there are several jobs; name one of a, artists"
    );
}

#[test]
fn layers_are_merged_in_their_order() {
    let folder = Folder::new(GOOD);
    folder.file("config.d/20-b.toml", "[ftrack]\npage_size = 20\n");
    folder.file(
        "config.d/10-a.toml",
        "[ftrack]\npage_size = 10\nconnections = 1\n",
    );
    folder.file("config.d/30-c.toml.off", "no TOML");
    folder.file("config.d/.hidden.toml", "no TOML");
    let config = folder.load(&[]).unwrap();
    assert_eq!(
        (config.ftrack.page_size, config.ftrack.connections),
        (20, 1)
    );
    let variables = [
        ("FTRACK_LDAP_SYNC_FTRACK__PAGE_SIZE", "30"),
        (
            "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__URLS",
            r#"["ldap://localhost:3890"]"#,
        ),
        ("FTRACK_LDAP_SYNC_JOBS__ARTISTS__LIMITS__DEACTIVATE", "7%"),
        ("FTRACK_LDAP_SYNC_JOBS__ARTISTS__USERS__UPDATE", "false"),
        (
            "FTRACK_LDAP_SYNC_JOBS__ARTISTS__ATTRIBUTES__EMAIL",
            "{{ mail }}",
        ),
        ("FTRACK_SERVER", "https://ignored.test"),
    ];
    let config = folder.load(&variables).unwrap();
    let job = config.jobs["artists"].ldap().unwrap();
    assert_eq!(
        (config.ftrack.page_size, config.ftrack.connections),
        (30, 1)
    );
    assert_eq!(
        config.directories["studio"].urls[0].as_str(),
        "ldap://localhost:3890"
    );
    assert_eq!(
        (
            job.limits.deactivate,
            job.users.update,
            job.attributes.as_ref().unwrap()["email"].from.as_str()
        ),
        (Limit::Percent(7), false, "{{ mail }}")
    );
    assert_eq!(
        config.ftrack.server.host_str(),
        Some("studio.ftrackapp.com")
    );
}

#[test]
fn ftracks_own_variables_stand_in_for_what_is_not_written() {
    let text = with(&[(
        "server = \"https://studio.ftrackapp.com\"\napi_user = \"ldap-sync\"\napi_key = \
         \"planted-key\"\n",
        "",
    )]);
    let own = [
        ("FTRACK_SERVER", "https://own.test"),
        ("FTRACK_API_USER", "007"),
        ("FTRACK_API_KEY", "true"),
    ];
    let ftrack = Folder::new(&text).load(&own).unwrap().ftrack;
    assert_eq!(
        (
            ftrack.server.as_str(),
            ftrack.api_user.as_str(),
            ftrack.api_key.loaded().expose()
        ),
        ("https://own.test/", "007", "true")
    );
    let found = Folder::new(&text)
        .load(&[("FTRACK_SERVER", "")])
        .unwrap_err();
    assert!(
        found.contains("config.toml:2: ftrack.server: missing; ")
            && found.contains("config.toml:2: ftrack.api_key: missing; "),
        "{found}"
    );

    // A key in a file of its own is a value that is written.
    let folder = Folder::new(&with(&[(
        "api_key = \"planted-key\"",
        "api_key_file = \"key\"",
    )]));
    folder.file("key", "from the file\n");
    assert_eq!(
        folder.load(&own).unwrap().ftrack.api_key.loaded().expose(),
        "from the file"
    );
}

#[test]
fn a_secret_from_the_environment_is_taken_literally() {
    for password in [
        "12345",
        "00123",
        "true",
        "{a=b}",
        "[1]",
        " blank ",
        "\"quoted\"",
        "1979-05-27",
        "a=b#c",
        "inf",
        "'",
    ] {
        let config = Folder::new(GOOD)
            .load(&[(
                "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD",
                password,
            )])
            .unwrap();
        assert_eq!(
            config.directories["studio"]
                .bind_password
                .as_ref()
                .unwrap()
                .loaded()
                .expose(),
            password
        );
    }
}

#[test]
fn the_file_of_a_secret_is_found_among_the_credentials_then_beside_the_configuration() {
    let folder = Folder::new(&with(&[(
        "bind_password = \"planted-password\"",
        "bind_password_file = \"password\"",
    )]));
    let credentials = TempDir::new().unwrap();
    let variables = [(
        "CREDENTIALS_DIRECTORY",
        credentials.path().to_str().unwrap(),
    )];
    let password = |config: Config| {
        config.directories["studio"]
            .bind_password
            .as_ref()
            .unwrap()
            .loaded()
            .expose()
            .to_owned()
    };
    let beside = "config.toml:10: directories.studio.bind_password_file: password cannot be read: No \
                  such file or directory (os error 2)";
    // Both places are named, of which that beside the configuration is the last.
    let among = credentials.path().join("password");
    assert_eq!(
        folder.load(&variables).unwrap_err(),
        format!(
            "{beside}; $CREDENTIALS_DIRECTORY/password, which comes first, is not there either ({})",
            among.display()
        )
    );
    assert_eq!(folder.load(&[]).unwrap_err(), beside);
    // One that is there, and is no secret, was looked for nowhere else.
    folder.file("password", "\n");
    let empty = folder.load(&variables).unwrap_err();
    assert!(
        empty.ends_with("bind_password_file: password is empty"),
        "{empty}"
    );
    folder.file("password", "beside\r\n");
    assert_eq!(password(folder.load(&variables).unwrap()), "beside");
    fs::write(&among, " among \n").unwrap();
    assert_eq!(password(folder.load(&variables).unwrap()), " among ");
    assert_eq!(password(folder.load(&[]).unwrap()), "beside");
}

#[test]
fn a_later_layer_replaces_a_secret_whichever_way_it_is_given() {
    let folder = Folder::new(&with(&[(
        "api_key = \"planted-key\"",
        "api_key_file = \"nowhere\"",
    )]));
    assert_eq!(
        folder
            .load(&[("FTRACK_LDAP_SYNC_FTRACK__API_KEY", "k")])
            .unwrap()
            .ftrack
            .api_key
            .loaded()
            .expose(),
        "k"
    );
    let folder = Folder::new(GOOD);
    folder.file(
        "config.d/password.toml",
        "directories.studio.bind_password_file = \"password\"",
    );
    folder.file("password", "p");
    assert_eq!(
        folder.load(&[]).unwrap().directories["studio"]
            .bind_password
            .as_ref()
            .unwrap()
            .loaded()
            .expose(),
        "p"
    );
}

#[test]
fn secrets_that_cannot_be_right_are_refused() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "password is empty"),
        (b"\n\n", "password is empty"),
        (
            b"planted\nsecret\n",
            "password contains a line break or a zero byte, which a secret must not",
        ),
        (
            b"planted\0secret",
            "password contains a line break or a zero byte, which a secret must not",
        ),
        (b"planted\xff", "password is not UTF-8 text"),
        (&[b'x'; 65_537], "password is longer than 65536 bytes"),
    ];
    let folder = Folder::new(&with(&[(
        "bind_password = \"planted-password\"",
        "bind_password_file = \"password\"",
    )]));
    for (content, problem) in cases {
        folder.file("password", content);
        assert_eq!(
            folder.load(&[]).unwrap_err(),
            format!("config.toml:10: directories.studio.bind_password_file: {problem}")
        );
    }
    fs::remove_file(folder.path().join("password")).unwrap();
    fs::create_dir(folder.path().join("password")).unwrap();
    assert!(
        folder
            .load(&[])
            .unwrap_err()
            .ends_with("bind_password_file: password is not a regular file")
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = Folder::new(
        r#"
[ftrack]
server = "http://studio.test"
api_usr = "x"
[directories.studio]
urls = ["ldap://a.test"]
bind_dn = "cn=sync,dc=test"
bind_password = 12345
page_size = "many"
[jobs.artists]
directory = "studoi"
fliter = "(uid=*)"
schedule = "never"
"#,
    );
    folder.file("config.d/more.toml", "[jobs.artists]\nscope = \"deep\"\n");
    let found = folder
        .load(&[(
            "FTRACK_LDAP_SYNC_JOBS__ARTISTS__LIMTIS__DEACTIVATE",
            "planted",
        )])
        .unwrap_err();
    let said = [
        r#"environment variable FTRACK_LDAP_SYNC_JOBS__ARTISTS__LIMTIS__DEACTIVATE: jobs.artists.limtis: unknown key; did you mean "limits"?"#,
        r#"config.d/more.toml:2: jobs.artists.scope: "deep" is not one of "subtree", "one""#,
        "config.toml:3: ftrack.server: the API key would go over the network in plain text; write \
         https://",
        r#"config.toml:4: ftrack.api_usr: unknown key; did you mean "api_user"?"#,
        "config.toml:8: directories.studio.bind_password: text in quotes is expected, not a whole \
         number",
        "config.toml:9: directories.studio.page_size: a whole number is expected, not text",
        r#"config.toml:11: jobs.artists.directory: there is no directory "studoi"; did you mean "studio"?"#,
        r#"config.toml:12: jobs.artists.fliter: unknown key; did you mean "filter"?"#,
        r#"config.toml:13: jobs.artists.schedule: "never" is not a cron expression"#,
        "config.toml:10: jobs.artists.search_bases: missing; ",
        "config.toml:2: ftrack.api_key: missing; ",
    ];
    for start in said {
        assert!(
            found.lines().any(|line| line.starts_with(start)),
            "{start}\nis not in\n{found}"
        );
    }
    assert_eq!(found.lines().count(), said.len(), "{found}");
}

#[test]
fn bottomless_nesting_is_refused() {
    for depth in [10, 79, 80, 200, 5_000, 50_000] {
        let way = vec!["a"; depth].join(".");
        for text in [
            format!("{way} = 1"),
            format!("[{way}]"),
            format!("jobs.artists.attributes.email = {{ {way} = 1 }}"),
            format!("[[{way}]]"),
        ] {
            assert!(!Folder::new(&text).load(&[]).unwrap_err().is_empty());
        }
    }
    let patterns = format!("{FILTER}\nusers.protect = [\"{}\"]", "{".repeat(100_000));
    let found = Folder::new(&with(&[(FILTER, &patterns)]))
        .load(&[])
        .unwrap_err();
    assert_eq!(
        found,
        "config.toml:15: jobs.artists.users.protect[0]: longer than 256 bytes, and no username is"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let empty = TempDir::new().unwrap();
    let missing = config::load(&empty.path().join("c.toml"), &Environment::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        missing,
        format!(
            "{}/c.toml: no configuration found; `ftrack-ldap-sync init` asks for what one needs and \
             writes it, `ftrack-ldap-sync config example` prints an example, and --config names a \
             file elsewhere",
            empty.path().display()
        )
    );

    let folder = Folder::new(GOOD);
    folder.file(
        "config.toml",
        b"# one\n# two\nstate_dir = \"/var/lib/\xe9t\xe9\"\n",
    );
    assert_eq!(
        folder.load(&[]).unwrap_err(),
        "config.toml:3: is not UTF-8 text; save the file in that encoding"
    );
    folder.file("config.toml", vec![b'#'; (1 << 20) + 1]);
    assert_eq!(
        folder.load(&[]).unwrap_err(),
        "config.toml: is longer than 1048576 bytes"
    );
    folder.file("config.toml", GOOD);
    folder.file("config.d/a.toml", "[ftrack\npage_size = 1");
    assert!(
        folder
            .load(&[])
            .unwrap_err()
            .starts_with("config.d/a.toml:1: not TOML: ")
    );
    fs::remove_file(folder.path().join("config.d/a.toml")).unwrap();
    fs::create_dir(folder.path().join("config.d/a.toml")).unwrap();
    assert_eq!(
        folder.load(&[]).unwrap_err(),
        "config.d/a.toml: is not a regular file"
    );
}

#[test]
fn variables_that_cannot_be_right_are_named() {
    let cases = [
        (
            "FTRACK_LDAP_SYNC_FTRACK__APIKEY",
            "planted",
            r#"FTRACK__APIKEY: ftrack.apikey: unknown key; did you mean "api_key"?"#,
        ),
        (
            "FTRACK_LDAP_SYNC_FTRACK",
            "{ api_key = 12345 }",
            "FTRACK: ftrack.api_key: text in quotes is expected, not a whole number",
        ),
        (
            "FTRACK_LDAP_SYNC_FTRACK",
            "planted",
            "FTRACK: ftrack: a table is expected, not text",
        ),
        (
            "FTRACK_LDAP_SYNC_FTRACK__PAGE_SIZE",
            "many",
            "FTRACK__PAGE_SIZE: ftrack.page_size: a whole number is expected, not text",
        ),
        (
            "FTRACK_LDAP_SYNC_FTRACK_SERVER",
            "https://planted.test",
            "ftrack_server: unknown key; two underscores separate levels: \
             FTRACK_LDAP_SYNC_FTRACK__SERVER",
        ),
        (
            "FTRACK_LDAP_SYNC_JOBS_ARTISTS_TIME_LIMIT",
            "planted",
            "two underscores separate levels: FTRACK_LDAP_SYNC_JOBS__ARTISTS__TIME_LIMIT",
        ),
        (
            "FTRACK_LDAP_SYNC_JOBS__ARTISTS_SCHEDULE",
            "planted",
            "a table is expected, not text; two underscores separate levels: \
             FTRACK_LDAP_SYNC_JOBS__ARTISTS__SCHEDULE",
        ),
        (
            "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD",
            "",
            "DIRECTORIES__STUDIO__BIND_PASSWORD: directories.studio.bind_password: empty",
        ),
        (
            "FTRACK_LDAP_SYNC_A__B__C__D__E__F__G__H__I__J__K__L__M__N__O__P__Q",
            "x",
            "the name has too many levels",
        ),
    ];
    for (name, value, said) in cases {
        let found = Folder::new(GOOD).load(&[(name, value)]).unwrap_err();
        assert!(
            found.starts_with(&format!("environment variable {name}: ")) && found.contains(said),
            "{name}={value}: {found}"
        );
        assert_eq!(found.lines().count(), 1, "one cause, one error: {found}");
        assert!(
            !found.contains("planted") && !found.contains("12345"),
            "{found}"
        );
    }
    let both = [
        ("FTRACK_LDAP_SYNC_FTRACK__CA_FILE", "planted"),
        ("FTRACK_LDAP_SYNC_FTRACK__CA_FILE__X", "y"),
    ];
    let found = Folder::new(GOOD).load(&both).unwrap_err();
    assert!(
        found.contains(
            "FTRACK__CA_FILE__X: ftrack.ca_file.x: another variable sets this value, or a value \
             where the table around it should be"
        ),
        "{found}"
    );
}

#[test]
fn a_certificate_and_its_key_bind_instead_of_a_password() {
    let certificate = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let bind = "bind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"";
    let folder = Folder::new(&with(&[(
        bind,
        "sasl = \"external\"\nca_file = \"cert.pem\"\nclient_cert_file = \
         \"cert.pem\"\nclient_key_file = \"key.pem\"",
    )]));
    folder.file("cert.pem", certificate.cert.pem().repeat(2));
    folder.file("key.pem", certificate.signing_key.serialize_pem());
    let config = folder.load(&[]).unwrap();
    let directory = &config.directories["studio"];
    assert_eq!(
        directory.client_key_file.as_deref(),
        Some(folder.path().join("key.pem").as_path())
    );
    assert!(directory.sasl.is_some() && directory.bind_dn.is_none());
}

#[test]
fn what_may_go_in_plain_text_is_let_through() {
    let url = "urls = [\"ldaps://ldap.studio.test\"]";
    let bind = "bind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"";
    for text in [
        with(&[(
            url,
            "urls = [\"ldap://localhost:3890\", \"ldap://127.0.0.1\", \"ldap://[::1]\"]",
        )]),
        with(&[(url, "urls = [\"ldap://a.test\"]\nallow_plaintext = true")]),
        with(&[(url, "urls = [\"ldap://a.test\"]\nstart_tls = true")]),
        with(&[(url, "urls = [\"ldap://a.test\"]"), (bind, "")]),
        with(&[("https://studio.ftrackapp.com", "http://127.0.0.1:8080")]),
    ] {
        Folder::new(&text).load(&[]).unwrap();
    }
}

#[test]
fn a_configuration_is_shown_to_those_who_cannot_read_its_secrets() {
    let folder = Folder::new(&with(&[
        (
            "api_key = \"planted-key\"",
            "api_key_file = \"missing-key\"\nlink_key_file = \"missing-link-key\"",
        ),
        (
            "bind_password = \"planted-password\"",
            "bind_password_file = \"missing-password\"",
        ),
    ]));
    let wrong = folder.load(&[]).unwrap_err();
    assert_eq!(wrong.matches("cannot be read").count(), 3, "{wrong}");
    let shown = command::config::show(&folder.effective().unwrap(), Format::Text).unwrap();
    // A path is no secret: it says where the program looks.
    for (key, file) in [
        ("api_key_file", "missing-key"),
        ("link_key_file", "missing-link-key"),
        ("bind_password_file", "missing-password"),
    ] {
        let path = folder.path().join(file);
        let line = format!("{key} = {:?}", path.to_str().unwrap());
        assert!(shown.contains(&line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains(MASK), "{shown}");
    // Everything else is checked as ever.
    let folder = Folder::new(&with(&[("username = \"uid\"", "usrname = \"uid\"")]));
    let wrong = folder.effective().unwrap_err().to_string();
    assert!(wrong.contains("usrname"), "{wrong}");
}

#[test]
fn what_is_shown_is_the_whole_configuration_without_its_secrets() {
    let folder = Folder::new(&with(&[(
        "api_key = \"planted-key\"",
        "api_key = \"planted-key\"\nlink_key = \"planted-key-of-links\"",
    )]));
    let config = folder.load(&[]).unwrap();
    let shown_as = |folder: &Folder, format| {
        command::config::show(&folder.effective().unwrap(), format).unwrap()
    };
    let shown = shown_as(&folder, Format::Text);
    let json = shown_as(&folder, Format::Json);
    for text in [
        &shown,
        &json,
        &format!("{config:?}"),
        &format!("{config:#?}"),
    ] {
        assert!(!text.contains("planted"), "{text}");
    }
    assert_eq!(shown.matches(MASK).count(), 3, "{shown}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ftrack"]["link_key"], MASK);
    assert_eq!(json["jobs"]["artists"]["source"], "artists");
    assert!(
        shown.contains("keep_for = \"400d\"")
            && shown.contains("deactivate = \"10%\"")
            && shown.contains("source = \"artists\""),
        "{shown}"
    );
    // What is shown can be read again, and says the same.
    let mask_of_links = format!("link_key = \"{MASK}\"");
    let again = Folder::new(&shown.replace(&mask_of_links, "link_key = \"planted-key-of-links\""));
    assert_eq!(shown_as(&again, Format::Text), shown);
    let environment = Environment::new([
        ("FTRACK_API_KEY", "planted"),
        ("FTRACK_LDAP_SYNC_FTRACK__API_KEY", "planted"),
    ]);
    assert!(!format!("{environment:?}").contains("planted"));
}

#[test]
fn what_follows_from_a_kind_that_is_detected_is_named_where_it_is_missing() {
    let shown = |text: &str| {
        let folder = Folder::new(text);
        command::config::show(&folder.effective().unwrap(), Format::Text).unwrap()
    };
    let filter = GOOD.lines().find(|line| line.starts_with("filter = "));
    let without = GOOD.replace(filter.unwrap(), "");
    let first = shown(&without);
    let first: Vec<&str> = first
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    insta::assert_snapshot!(first.join("\n"), @r"
    # A filter, attributes or disabled that a job lacks here follow from its directory's kind, which is
    # detected: `check` names the kind and the filter, and `config example --kind KIND` shows all of it.
    ");
    let of_a_kind = without.replace("bind_dn", "kind = \"samba\"\nbind_dn");
    assert!(!shown(&of_a_kind).starts_with('#'));
}

#[test]
fn paths_are_shown_absolute() {
    let folder = Folder::new(&GOOD.replace("api_key = \"planted-key\"", "api_key_file = \"key\""));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    command.args(["--config", "config.toml", "config", "show"]);
    let shown = command
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let key = folder.path().canonicalize().unwrap().join("key");
    assert!(
        shown.contains(&format!("api_key_file = {:?}", key.to_str().unwrap())),
        "{shown}"
    );
}

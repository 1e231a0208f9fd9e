//! Secrets that change in their files while the program runs: each bind, and each run with ftrack,
//! uses the current one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use ftrack_ldap_sync::{
    config::{Credential, Directory},
    directory::{DirectoryError, DirectoryPool, pool::PoolFigures, read},
    event::RunName,
    ftrack::{
        error::{FtrackError, FtrackErrorKind},
        operation::Operation,
        query,
        session::{Reader, Session},
    },
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{people, request},
    ftrack_client::scripted::{KEY, Scripted, config, until},
    slapd::{Over, SYNC_DN, SYNC_PASSWORD, Setup, Slapd},
};

const OTHER: &str = "another-secret";
const SALT: &str = "salt";
const LIMIT: Duration = Duration::from_secs(20);

/// A server, a directory whose password stands in a file, and its pool.
struct World {
    slapd: Slapd,
    folder: TempDir,
    pool: DirectoryPool,
}

impl World {
    fn start() -> Self {
        let slapd = Setup::new(people(2)).start();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("password"), format!("{SYNC_PASSWORD}\n")).unwrap();
        let pool = pool(&slapd, &folder.path().join("password"));
        Self {
            slapd,
            folder,
            pool,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    fn change_at_the_server(&self, password: &str) {
        self.slapd.change(&format!(
            "dn: {SYNC_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n"
        ));
    }

    async fn read(&self) -> Result<usize, DirectoryError> {
        let reading = read(
            &self.pool,
            &request(),
            |_, entry| entry.clone(),
            &CancellationToken::new(),
            |_| (),
        )
        .await;
        reading
            .map(|reading| reading.entries().len())
            .map_err(|failure| failure.error)
    }

    fn figures(&self) -> PoolFigures {
        self.pool.figures().remove(0)
    }

    /// Binds of the account that the server saw.
    fn binds(&self) -> usize {
        self.slapd
            .logged(&format!("BIND dn=\"{SYNC_DN}\" method=128"))
    }
}

fn pool(slapd: &Slapd, file: &Path) -> DirectoryPool {
    let directory = Directory {
        bind_password: Some(Credential::of_file(file).unwrap()),
        ..slapd.directory(Over::Plain)
    };
    DirectoryPool::new("studio", &directory).unwrap()
}

#[tokio::test]
async fn a_password_that_changed_in_its_file_is_used_at_the_next_bind() {
    let world = World::start();
    assert_eq!(
        (
            world.read().await.unwrap(),
            world.read().await.unwrap(),
            world.binds()
        ),
        (2, 2, 1)
    );
    let before = world.pool.credential_mark(SALT).await.unwrap();
    world.change_at_the_server(OTHER);
    fs::write(world.file(), OTHER).unwrap();
    // The connection stands, and would still do; but whose password was changed may be somebody
    // else by now.
    assert_eq!((world.read().await.unwrap(), world.binds()), (2, 2));
    assert_eq!((world.read().await.unwrap(), world.binds()), (2, 2));
    let figures = world.figures();
    assert_eq!(
        (
            figures.open,
            figures.idle,
            figures.binds_tried,
            figures.binds_refused
        ),
        (1, 1, 2, 0)
    );
    let after = world.pool.credential_mark(SALT).await.unwrap();
    assert!(before != after && after.len() == 9, "{before} {after}");
    assert_eq!(world.pool.last_refusal(SALT), None);
}

#[tokio::test]
async fn a_refused_password_is_told_with_its_mark_and_a_mended_one_is_used() {
    let world = World::start();
    let right = world.pool.credential_mark(SALT).await.unwrap();
    fs::write(world.file(), "wrong").unwrap();
    let wrong = world.pool.credential_mark(SALT).await.unwrap();
    let error = world.read().await.unwrap_err();
    assert!(
        error.is_refusal() && !error.to_string().contains("wrong-"),
        "{error}"
    );
    fs::write(world.file(), SYNC_PASSWORD).unwrap();
    // The mark is that of the password that was refused, whatever stands in the file by now.
    let refusal = world.pool.last_refusal(SALT).unwrap();
    assert_eq!(
        (&refusal.mark, refusal.server.as_str()),
        (&wrong, world.pool.servers()[0].connector.server())
    );
    assert_ne!(world.pool.credential_mark(SALT).await.unwrap(), wrong);
    assert_eq!(world.pool.credential_mark(SALT).await.unwrap(), right);
    assert_eq!(world.read().await.unwrap(), 2);
    assert_eq!(
        (world.figures().binds_tried, world.figures().binds_refused),
        (2, 1)
    );
}

#[tokio::test]
async fn a_file_without_a_password_is_an_error_that_names_it_and_nothing_is_sent() {
    let world = World::start();
    let name = world.file().display().to_string();
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("is empty", |file| fs::write(file, "\n").unwrap()),
        ("contains a line break", |file| {
            fs::write(file, "hidden\nsecret").unwrap()
        }),
        ("is not a regular file", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        ("cannot be read: No such file", |file| {
            fs::remove_dir(file).unwrap()
        }),
    ];
    for (problem, spoil) in spoil {
        spoil(&world.file());
        let error = world.read().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DirectoryError::File { .. }), "{text}");
        assert!(
            text.contains(&name) && text.contains(problem) && !text.contains("hidden"),
            "{text}"
        );
        assert!(world.pool.credential_mark(SALT).await.is_err());
    }
    assert_eq!(
        (world.slapd.logged("BIND dn="), world.figures().binds_tried),
        (0, 0)
    );
    fs::write(world.file(), SYNC_PASSWORD).unwrap();
    assert_eq!(world.read().await.unwrap(), 2);
    // A connection that stands is not used either: nobody may be the account any more.
    fs::remove_file(world.file()).unwrap();
    assert!(matches!(
        world.read().await,
        Err(DirectoryError::File { .. })
    ));
}

#[tokio::test]
async fn a_file_behind_links_that_are_swapped_is_found_anew() {
    let mut world = World::start();
    let folder = world.folder.path().to_owned();
    // As Kubernetes mounts a secret: the file is a link into a folder that is a link itself.
    for (version, password) in [("v1", SYNC_PASSWORD), ("v2", OTHER)] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("ldap"), password).unwrap();
    }
    symlink("v1", folder.join("..data")).unwrap();
    symlink("..data/ldap", folder.join("ldap")).unwrap();
    world.pool = pool(&world.slapd, &folder.join("ldap"));
    assert_eq!(world.read().await.unwrap(), 2);
    symlink("v2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    fs::remove_dir_all(folder.join("v1")).unwrap();
    world.change_at_the_server(OTHER);
    assert_eq!((world.read().await.unwrap(), world.binds()), (2, 2));
}

#[tokio::test]
async fn a_refusal_is_counted_though_nobody_waits_for_it_any_more() {
    let world = World::start();
    fs::write(world.file(), "wrong").unwrap();
    world.slapd.signal("STOP");
    let pool = world.pool.clone();
    let read = tokio::spawn(async move {
        read(
            &pool,
            &request(),
            |_, entry| entry.clone(),
            &CancellationToken::new(),
            |_| (),
        )
        .await
        .is_ok()
    });
    while world.figures().binds_tried == 0 {
        tokio::task::yield_now().await;
    }
    read.abort();
    assert!(read.await.unwrap_err().is_cancelled());
    assert_eq!(world.figures().binds_refused, 0);
    world.slapd.signal("CONT");
    let counted = async {
        while world.figures().binds_refused == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.unwrap();
    assert_eq!(
        world.pool.last_refusal(SALT).unwrap().mark,
        world.pool.credential_mark(SALT).await.unwrap()
    );
}

#[tokio::test]
async fn the_figures_of_a_pool_say_who_uses_it_and_who_waits() {
    let world = World::start();
    let figures = || {
        let PoolFigures {
            open,
            idle,
            waiting,
            binds_tried,
            ..
        } = world.figures();
        (open, idle, waiting, binds_tried)
    };
    assert_eq!(
        (world.figures().server.as_str(), figures()),
        (world.slapd.url().as_str(), (0, 0, 0, 0))
    );
    let server = &world.pool.servers()[0];
    let one = server.get().await.unwrap();
    let other = server.get().await.unwrap();
    assert_eq!(figures(), (2, 0, 0, 2));
    let pool = world.pool.clone();
    let third = tokio::spawn(async move { pool.servers()[0].get().await.map(drop) });
    while figures().2 == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(figures(), (2, 0, 1, 2));
    one.give_back();
    third.await.unwrap().unwrap();
    other.give_back();
    // What the third one had was not given back as sound, and is ended when it is wanted next.
    assert_eq!(figures(), (2, 2, 0, 2));
    assert_eq!(world.read().await.unwrap(), 2);
    assert!(
        world.figures().open <= 2 && world.figures().waiting == 0,
        "{:?}",
        world.figures()
    );
}

const RUN: RunName<'_> = RunName {
    job: "artists",
    run: "1",
};

fn question() -> Vec<Operation> {
    vec![Operation::query(query::user_types().page(0, 10))]
}

/// A session whose key stands in a file, at a server that answers with what it is asked to say.
async fn ftrack(file: &Path) -> (Scripted, Session) {
    let server = Scripted::start(|_, _| {
        let body = format!(
            r#"{{"exception":"InvalidCredentialsError","content":"no key {KEY} nor {OTHER}"}}"#
        );
        (StatusCode::OK, body).into_response().into()
    })
    .await;
    let mut settings = config(&server.url);
    settings.api_key = Credential::of_file(file).unwrap();
    let session = Session::new(&settings).unwrap();
    (server, session)
}

async fn refused(reader: &Reader) -> FtrackError {
    let error = reader.read_call(&question(), &until()).await.unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Credentials(_)),
        "{error}"
    );
    error
}

#[tokio::test]
async fn a_key_that_changed_in_its_file_is_used_by_the_next_run() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let (server, session) = ftrack(&file).await;
    let sent = |nth: usize| {
        server.calls()[nth].headers["ftrack-api-key"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (first, _) = session.for_run(RUN);
    first.take_key().await.unwrap();
    refused(&first).await;
    let of_first = session.last_refusal(SALT).unwrap();
    fs::write(&file, OTHER).unwrap();
    assert_ne!(session.credential_mark(SALT).await.unwrap(), of_first.mark);
    // A run that is under way goes on with its own.
    refused(&first).await;
    assert_eq!(session.last_refusal(SALT).unwrap().mark, of_first.mark);
    let (second, _) = session.for_run(RUN);
    second.take_key().await.unwrap();
    let error = refused(&second).await;
    assert_eq!([sent(0), sent(1), sent(2)], [KEY, KEY, OTHER]);
    assert_eq!(
        session.last_refusal(SALT).unwrap().mark,
        session.credential_mark(SALT).await.unwrap()
    );
    for text in [
        error.to_string(),
        format!("{error:?} {session:?} {second:?}"),
    ] {
        assert!(!text.contains(KEY) && !text.contains(OTHER), "{text}");
    }
    assert_eq!(
        (
            first.calls().reads,
            second.calls().reads,
            session.figures().read_calls
        ),
        (2, 1, 3)
    );
}

#[tokio::test]
async fn a_file_without_a_key_is_an_error_that_names_it_and_nothing_is_sent() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, KEY).unwrap();
    let (server, session) = ftrack(&file).await;
    for content in [Some(""), Some("hidden\0"), None] {
        match content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let error = session.reader().take_key().await.unwrap_err();
        assert!(matches!(error.kind(), FtrackErrorKind::Setup(_)), "{error}");
        assert!(
            error.to_string().contains(&file.display().to_string())
                && !error.to_string().contains("hidden"),
            "{error}"
        );
        assert!(session.credential_mark(SALT).await.is_err());
    }
    assert_eq!(server.calls().len(), 0);
}

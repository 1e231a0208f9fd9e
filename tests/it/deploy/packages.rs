//! The packages: what their metadata names is there, the program makes its own pages and completions, the
//! scripts keep what a person wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::text;
use crate::{
    ability::{must_skip, must_skip_as_root},
    readme::{Page, form},
};

const MANIFEST: &str = include_str!("../../../Cargo.toml");
const ASSETS: &str = "target/packages/assets/";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata(of: &str) -> toml::Table {
    let manifest: toml::Table = MANIFEST.parse().unwrap();
    let of = manifest["package"]["metadata"][of].as_table().unwrap();
    of.clone()
}

/// The files of a package: where each comes from, where it goes, and its mode.
fn files(of: &str) -> Vec<(String, String, String)> {
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let assets = metadata(of)["assets"].as_array().unwrap().clone();
    let file = |asset: &toml::Value| match asset.as_array() {
        Some(parts) => (
            text(&parts[0]),
            format!("/{}", text(&parts[1])),
            text(&parts[2]),
        ),
        None => (
            text(&asset["source"]),
            text(&asset["dest"]),
            text(&asset["mode"]),
        ),
    };
    assets.iter().map(file).collect()
}

/// A copy of what `deploy/packages` needs, in which it makes what the packages hold of the program that
/// cargo built for the tests.
fn assets() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["deploy", "systemd", "README.md"] {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(repository().join(name))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
    }
    let made = Command::new("bash")
        .arg("deploy/packages")
        .args(["assets", env!("CARGO_BIN_EXE_ftrack-ldap-sync")])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("FTRACK_LDAP_SYNC_COMMIT", "0123abc")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let assets = folder.path().join(ASSETS);
    (folder, assets)
}

/// Every file below a folder.
fn below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// The files that a source of a package means, below a folder.
fn meant(source: &str, top: &Path) -> Vec<PathBuf> {
    let Some((folder, ending)) = source.split_once('*') else {
        return vec![top.join(source)];
    };
    let entries = fs::read_dir(top.join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .collect()
}

/// Where each file of a package lies once it is installed, with where it comes from.
fn installed(of: &str, made: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for (source, goes_to, _) in files(of) {
        let from = match source.strip_prefix(ASSETS) {
            Some(name) => meant(name, made),
            None => meant(&source, repository()),
        };
        for file in from {
            let name = file.file_name().unwrap().to_str().unwrap();
            let at = match goes_to.ends_with('/') {
                true => format!("{goes_to}{name}"),
                false => goes_to.clone(),
            };
            all.insert(at, file);
        }
    }
    all
}

#[test]
fn each_link_of_an_installed_page_leads_to_an_installed_file() {
    let (_folder, made) = assets();
    for of in ["deb", "generate-rpm"] {
        let installed = installed(of, &made);
        let mut followed = 0;
        for (at, file) in installed.iter().filter(|(at, _)| at.ends_with(".md")) {
            let page = Page {
                path: at.clone(),
                text: fs::read_to_string(file).unwrap(),
            };
            for link in form::links(&page) {
                let target = link.split('#').next().unwrap();
                let leads_to = form::seen_from(at, target);
                assert!(
                    target.is_empty() || installed.contains_key(&leads_to),
                    "{of}: {at} leads to {leads_to}, which is not in it"
                );
                followed += 1;
            }
            // What only a clone has.
            let (alone, beside) = ("cargo run -- demo --serve", "ftrack-ldap-sync demo --serve");
            assert!(
                !page.text.contains(alone) || page.text.contains(beside),
                "{of}: {at} has a command of a clone alone"
            );
        }
        assert!(followed > 100, "{of}: {followed}");
    }
}

/// The pages in one folder of the repository, and not below it.
fn pages_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let names = entries.map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let pages = names.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
    pages.map(|name| Path::new(folder).join(name)).collect()
}

/// The pages for people who run the program.
fn all_pages() -> BTreeSet<PathBuf> {
    let folders = ["config", "deploy", "systemd"].map(|name| repository().join(name));
    let files = folders.iter().flat_map(|folder| below(folder));
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut pages: BTreeSet<PathBuf> = pages
        .map(|path| path.strip_prefix(repository()).unwrap().to_owned())
        .collect();
    pages.insert("README.md".into());
    pages
}

#[test]
fn each_file_of_a_package_is_there_and_each_that_is_made_is_in_both() {
    let (_folder, made) = assets();
    for of in ["deb", "generate-rpm"] {
        let (mut packaged, mut pages) = (BTreeSet::new(), BTreeSet::new());
        for (source, goes_to, mode) in files(of) {
            assert!(["644", "755"].contains(&mode.as_str()), "{source}");
            assert_eq!(mode == "755", goes_to.starts_with("/usr/bin/"), "{source}");
            assert!(
                goes_to.starts_with("/usr/"),
                "nobody's configuration: {goes_to}"
            );
            match source.strip_prefix(ASSETS) {
                // The list of the crates, which another program makes.
                Some("sbom.cdx.json") => {}
                Some("man/*.1.gz") => packaged.extend(below(&made.join("man"))),
                Some(name) => {
                    assert!(made.join(name).is_file(), "{source} is not made");
                    packaged.insert(made.join(name));
                    pages.extend((name == "README.md").then(|| PathBuf::from(name)));
                }
                None => match source.split_once("*.") {
                    Some((folder, "md")) => pages.extend(pages_in(folder)),
                    // Pictures, and what the pages lead to.
                    Some(_) => assert!(!meant(&source, repository()).is_empty(), "{source}"),
                    None => {
                        assert!(repository().join(&source).is_file(), "{source}");
                        pages.insert(PathBuf::from(&source));
                    }
                },
            }
        }
        assert_eq!(packaged, below(&made), "{of}");
        assert_eq!(
            pages,
            all_pages(),
            "{of}: what people read is in it, so that links lead there"
        );
        let scripts = metadata(of);
        for (key, script) in scripts.iter().filter(|(key, _)| key.ends_with("_script")) {
            assert!(
                repository().join(script.as_str().unwrap()).is_file(),
                "{key}"
            );
        }
    }
    let needs_old_enough = [
        metadata("deb")["depends"]
            .as_str()
            .unwrap()
            .contains("libc6 (>= 2.28)"),
        metadata("generate-rpm")["requires"]["glibc"].as_str() == Some(">= 2.28"),
        fs::read_to_string(repository().join("deploy/packages"))
            .unwrap()
            .contains("\nglibc=2.28\n"),
    ];
    assert_eq!(needs_old_enough, [true; 3], "all of EL8");
}

#[test]
fn the_program_writes_its_pages_and_completions() {
    let (_folder, made) = assets();
    let again = assets();
    for path in below(&made) {
        let name = path.strip_prefix(&made).unwrap();
        let other = fs::read(again.1.join(name)).unwrap();
        assert!(
            fs::read(&path).unwrap() == other,
            "{} differs each time",
            name.display()
        );
    }
    let help = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 20, "{help}");
    let complete = |words: &str| {
        let ask = "source \"$0\"; COMP_WORDS=($1 ''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                   _ftrack__ldap__sync ftrack-ldap-sync '' \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[*]}\"";
        let bash = Command::new("bash")
            .args(["-c", ask])
            .arg(made.join("completions/ftrack-ldap-sync.bash"))
            .arg(words)
            .output()
            .unwrap();
        assert!(bash.stderr.is_empty(), "{}", text(&bash));
        text(&bash)
    };
    let offered = complete("ftrack-ldap-sync");
    let offered: BTreeSet<&str> = offered.split_whitespace().collect();
    assert!(
        complete("ftrack-ldap-sync status").contains("--check"),
        "also behind a command"
    );
    assert!(
        complete("ftrack-ldap-sync runs show").contains("--state-dir"),
        "and behind its own"
    );
    for command in commands {
        let page = made.join(format!("man/ftrack-ldap-sync-{command}.1.gz"));
        assert!(page.is_file(), "{command} has no page");
        assert!(offered.contains(command), "{command}: {offered:?}");
    }
    let unpacked = |page: &str| {
        let output = Command::new("gzip")
            .arg("-dc")
            .arg(made.join("man").join(page))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let whole = unpacked("ftrack-ldap-sync.1.gz");
    assert!(
        whole.contains(".TH ftrack-ldap-sync 1") && whole.contains("log\\-format"),
        "{whole}"
    );
    assert!(unpacked("ftrack-ldap-sync-status.1.gz").contains("\\-\\-check"));
    let example = fs::read_to_string(made.join("config.toml")).unwrap();
    assert_eq!(
        example,
        include_str!("../../../config/ftrack-ldap-sync.toml")
    );
}

#[test]
fn the_unit_of_the_packages_runs_their_program_as_their_user() {
    let (_folder, made) = assets();
    let unit = fs::read_to_string(made.join("ftrack-ldap-sync.service")).unwrap();
    let lines: Vec<&str> = unit.lines().collect();
    for line in [
        "ExecStart=/usr/bin/ftrack-ldap-sync --log-format journal daemon",
        "User=ftrack-ldap-sync",
        "DynamicUser=no",
        // What a user that exists only while the service runs would bring.
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "ProtectSystem=strict",
        "RemoveIPC=yes",
        "RestrictSUIDSGID=yes",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    assert!(
        !unit.contains("/usr/local/") && !unit.contains("exists while"),
        "{unit}"
    );
    if must_skip(
        "the_unit_of_the_packages_runs_their_program_as_their_user",
        &["systemd-analyze"],
    ) {
        return;
    }
    let here = unit.replace(
        "/usr/bin/ftrack-ldap-sync",
        env!("CARGO_BIN_EXE_ftrack-ldap-sync"),
    );
    let path = made.join("here").join("ftrack-ldap-sync.service");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, here).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(
        (verified.status.code(), text(&verified).as_str()),
        (Some(0), "")
    );
}

/// Runs a script of the Debian package for a system below a folder.
fn script(name: &str, root: &Path, arguments: &[&str]) -> Output {
    Command::new("sh")
        .arg(repository().join("deploy/package/deb").join(name))
        .args(arguments)
        .env("DPKG_ROOT", root)
        .output()
        .unwrap()
}

#[test]
fn an_upgrade_and_a_removal_keep_what_a_person_wrote_and_a_purge_does_not() {
    let test = "an_upgrade_and_a_removal_keep_what_a_person_wrote_and_a_purge_does_not";
    if must_skip_as_root(test, &["systemd-sysusers", "systemd-tmpfiles"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let at = |path: &str| root.join(path);
    for (from, to) in [
        ("sysusers.conf", "usr/lib/sysusers.d"),
        ("tmpfiles.conf", "usr/lib/tmpfiles.d"),
    ] {
        fs::create_dir_all(at(to)).unwrap();
        let from = repository().join("deploy/package").join(from);
        fs::copy(from, at(to).join("ftrack-ldap-sync.conf")).unwrap();
    }
    fs::create_dir_all(at("etc")).unwrap();
    fs::create_dir_all(at("var/lib")).unwrap();
    let runs = |name: &str, arguments: &[&str]| {
        let output = script(name, root, arguments);
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {}",
            text(&output)
        );
    };
    let said = text(&script("postinst", root, &["configure", ""]));
    // Besides what is told of the new user.
    let next = said.lines().filter(|line| !line.starts_with("Creating "));
    let next: Vec<&str> = next.filter(|line| !line.is_empty()).collect();
    assert_eq!(next.len(), 5, "what comes next: {said}");
    assert!(next.iter().all(|line| line.len() <= 80), "{said}");
    for next in [
        "ftrack-ldap-sync init",
        "ftrack-ldap-sync plan",
        "systemctl enable --now ftrack-ldap-sync",
    ] {
        assert!(said.contains(next), "{said}");
    }
    let users = fs::read_to_string(at("etc/passwd")).unwrap();
    let user = users
        .lines()
        .find(|line| line.starts_with("ftrack-ldap-sync:"))
        .expect("its user");
    let id: u32 = user.split(':').nth(2).unwrap().parse().unwrap();
    use std::os::unix::fs::MetadataExt;
    let state = fs::metadata(at("var/lib/ftrack-ldap-sync")).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (id, 0o700));
    let written = [
        ("etc/ftrack-ldap-sync/config.toml", "mine"),
        ("etc/ftrack-ldap-sync/ldap-password", "secret"),
        ("var/lib/ftrack-ldap-sync/state.db", "state"),
    ];
    for (path, what) in written {
        fs::write(at(path), what).unwrap();
    }
    let is_kept = || {
        written
            .iter()
            .all(|(path, what)| fs::read_to_string(at(path)).is_ok_and(|text| text == *what))
    };
    runs("prerm", &["upgrade", "0.2.0"]);
    runs("postrm", &["upgrade", "0.2.0"]);
    let said = text(&script("postinst", root, &["configure", "0.1.0"]));
    assert_eq!(said, "", "it is configured");
    assert!(is_kept(), "after an upgrade");
    // That it is enabled is kept as well.
    let link = at("etc/systemd/system/multi-user.target.wants/ftrack-ldap-sync.service");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    let unit = "/usr/lib/systemd/system/ftrack-ldap-sync.service";
    std::os::unix::fs::symlink(unit, &link).unwrap();
    runs("prerm", &["remove"]);
    runs("postrm", &["remove"]);
    assert!(is_kept() && link.is_symlink(), "after a removal");
    runs("postrm", &["purge"]);
    assert!(!link.is_symlink());
    assert!(!at("etc/ftrack-ldap-sync").exists() && !at("var/lib/ftrack-ldap-sync").exists());
}

#[test]
fn the_scripts_of_packages_are_scripts() {
    for path in below(&repository().join("deploy/package")) {
        if path.extension().is_some() {
            continue;
        }
        let checked = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(
            checked.status.success(),
            "{}: {}",
            path.display(),
            text(&checked)
        );
        let script = fs::read_to_string(&path).unwrap();
        // Nothing of it reaches ftrack or its people.
        let is_run = |line: &&str| line.trim_start().starts_with("ftrack-ldap-sync");
        assert_eq!(script.lines().find(is_run), None, "{}", path.display());
    }
    let usage = Command::new("bash")
        .arg(repository().join("deploy/packages"))
        .output()
        .unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(
        text(&usage).contains("builds everything twice"),
        "{}",
        text(&usage)
    );
}

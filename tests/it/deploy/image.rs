//! The image of `deploy/Dockerfile` in a store of its own, and containers of it, as locked up as
//! compose.yaml has them.
//!
//! The Dockerfile's own lines make the image. What stands in for the two images that it starts
//! from, which are a matter of a registry and of minutes: the base is this machine's C library and
//! CA certificates and, like the real one, nothing else; and the stage that compiles is replaced by
//! what cargo has compiled for the tests. `tests/image-build` has that stage compile.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// What an image is built and run with.
pub const PROGRAMS: &[&str] = &["buildah", "podman", "runc"];

/// The user of the image.
pub const USER: &str = "65532";

/// How a container is locked up.
pub const LOCKED_UP: [&str; 4] = [
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--tmpfs=/srv/ftrack-ldap-sync:mode=1777,size=1m",
];

/// A store that holds the image.
pub struct Image {
    folder: TempDir,
}

impl Image {
    /// Builds the image.
    pub fn build() -> Self {
        let image = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        image.write(
            "storage.conf",
            &format!(
                "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
                image.path("graph"),
                image.path("run")
            ),
        );
        // Without limits of its own, which a container that the tests run in may not be allowed to
        // raise.
        image.write(
            "containers.conf",
            &format!(
                "[containers]\nnetns = \"host\"\nlog_driver = \"k8s-file\"\ndefault_ulimits = \
                 [\"nofile=1024:1024\", \"nproc=10000:10000\"]\n[engine]\ncgroup_manager = \
                 \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\ntmp_dir = {:?}\n",
                image.path("tmp")
            ),
        );
        image.write(
            "policy.json",
            "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}",
        );
        image.base();
        image.compiled();
        let stand_in = format!("build={}", image.path("compiled").display());
        let dockerfile = repository().join("deploy/Dockerfile");
        image.bud(&[
            "--format=docker",
            "--pull-never",
            "--build-context",
            &stand_in,
            "--build-arg=BASE_IMAGE=localhost/base",
            "--build-arg=COMMIT=0123abc",
            "--tag=localhost/ftrack-ldap-sync",
            "--file",
            dockerfile.to_str().unwrap(),
            repository().to_str().unwrap(),
        ]);
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What the program is linked with, the CA certificates, and two users.
    fn base(&self) {
        let base = self.path("base");
        let linked = Command::new("ldd")
            .arg(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
            .output()
            .unwrap();
        let linked = String::from_utf8(linked.stdout).unwrap();
        let libraries = linked
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for folder in ["run", "tmp", "var/lib"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        fs::set_permissions(base.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        for file in libraries.chain(["/etc/ssl/certs/ca-certificates.crt"]) {
            let copy = base.join(&file[1..]);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
        fs::write(
            base.join("etc/passwd"),
            "root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n",
        )
        .unwrap();
        self.write("Base", "FROM scratch\nCOPY . /\n");
        self.bud(&[
            "--tag=localhost/base",
            "--file",
            self.path("Base").to_str().unwrap(),
            base.to_str().unwrap(),
        ]);
    }

    /// What the stage that compiles leaves behind.
    fn compiled(&self) {
        let out = self.path("compiled/out");
        for (place, mode) in [("state", 0o700), ("srv", 0o1777)] {
            let folder = out.join(place).join("ftrack-ldap-sync");
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(out.join("lib")).unwrap();
        fs::copy(
            env!("CARGO_BIN_EXE_ftrack-ldap-sync"),
            out.join("ftrack-ldap-sync"),
        )
        .unwrap();
    }

    fn bud(&self, arguments: &[&str]) {
        let mut command = self.tool("buildah");
        command
            .arg("bud")
            .arg("--signature-policy")
            .arg(self.path("policy.json"));
        done(
            command
                .args(["--isolation=chroot", "--network=host", "--quiet"])
                .args(arguments),
        );
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .env("CONTAINERS_CONF", self.path("containers.conf"));
        command
            .env("STORAGE_DRIVER", "vfs")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What the image says of itself, in Docker's form.
    pub fn configuration(&self) -> serde_json::Value {
        let output = done(self.tool("buildah").args([
            "inspect",
            "--type=image",
            "localhost/ftrack-ldap-sync",
        ]));
        let inspected: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        inspected["Docker"]["config"].clone()
    }

    /// A container with what compose.yaml gives one: a read-only root, no capabilities, a tmpfs,
    /// and as mounts what is told.
    pub fn command(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.tool("podman");
        command
            .args(["run", "--rm", "--network=host", "--no-healthcheck"])
            .args(LOCKED_UP)
            .args(options)
            .arg("localhost/ftrack-ldap-sync")
            .args(arguments);
        command
    }

    /// Starts a container by a name, and lets it go on.
    pub fn start(&self, name: &str, options: &[&str], arguments: &[&str]) -> Child {
        let named = format!("--name={name}");
        self.command(&[&[named.as_str()], options].concat(), arguments)
            .spawn()
            .unwrap()
    }

    /// Runs the program once more in a container that is up.
    pub fn inside(&self, name: &str, arguments: &[&str]) -> Output {
        self.tool("podman")
            .args(["exec", name, "/usr/local/bin/ftrack-ldap-sync"])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Stops a container as an orchestrator does: the signal of the image to process 1, and after
    /// so many seconds the end by force.
    pub fn stop(&self, name: &str, seconds: u32) {
        done(
            self.tool("podman")
                .args(["stop", "--time", &seconds.to_string(), name]),
        );
    }

    /// Ends a container by force, if it is still there.
    pub fn remove(&self, name: &str) {
        done(
            self.tool("podman")
                .args(["rm", "--force", "--ignore", "--time=0", name]),
        );
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = self
            .tool("podman")
            .args(["rm", "--all", "--force", "--time=0"])
            .output();
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

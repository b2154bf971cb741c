//! Calls the real `pack` with the real lifecycle: an app's directory, buildpacks, a builder without any, separate
//! caches, the artifact host on loopback. Dropping an [`App`] removes its images and volumes from Docker.

mod container;
mod image;
mod registry;

pub use container::{Container, Stopped};
pub use image::{Image, Layer, RunImage};
pub use registry::Registry;

use crate::dyno::free_port;
use crate::pages::filled;
use crate::{copy, executable, own_host, repository, shared_host, toolchains};
use mirror::Server;
use mirror::stack::{Authorities, CA_BUNDLE, NETWORK_VARIABLES};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The builder. Its images identify as Debian 13.
pub const BUILDER: &str = "mixpack-test/builder";

/// The same images, but they identify as Ubuntu 24.04.
pub const UBUNTU_BUILDER: &str = "mixpack-test/builder-ubuntu-24.04";

/// A name that is unique in Docker.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    format!("mixpack-test-{}-{count}", std::process::id())
}

fn docker<'a>(args: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("docker runs")
}

/// The output of a command, which must succeed.
#[track_caller]
fn expect(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A buildpack, as `pack build --buildpack` takes it.
pub struct Buildpack {
    /// A folder, a file or a URL.
    at: String,
    _dir: Option<TempDir>,
}

impl Buildpack {
    /// The buildpack under test, as in its repository, with the executable under test.
    pub fn under_test() -> Self {
        Self::in_folder(|dir| {
            copy(&repository().join("bin"), &dir.join("bin"));
            fs::copy(
                repository().join("buildpack.toml"),
                dir.join("buildpack.toml"),
            )
            .expect("the repository's buildpack.toml");
            if let Some(executable) = executable() {
                fs::copy(executable, dir.join("bin/mixpack-linux-amd64")).expect("the executable");
            }
        })
    }

    /// The package of the buildpack under test: the file in `MIXPACK_CNB`, or else the one from `cargo xtask
    /// package`.
    pub fn package() -> PathBuf {
        std::env::var_os("MIXPACK_CNB").map_or_else(
            || {
                let version = env!("CARGO_PKG_VERSION");
                repository().join(format!("target/package/mixpack-{version}-linux-amd64.cnb"))
            },
            PathBuf::from,
        )
    }

    /// A buildpack that `pack` reads from this path or URL.
    pub fn at(place: &str) -> Self {
        Self {
            at: place.to_owned(),
            _dir: None,
        }
    }

    /// A buildpack of Bash scripts, with an id below `mixpack-test/`.
    pub fn of_scripts(name: &str, detect: &str, build: &str) -> Self {
        let toml = format!(
            "api = \"0.10\"\n\n[buildpack]\nid = \"mixpack-test/{name}\"\nversion = \"0.0.1\"\n\
             sbom-formats = [\"application/vnd.cyclonedx+json\"]\n\n\
             [[targets]]\nos = \"linux\"\narch = \"amd64\"\n"
        );
        Self::in_folder(|dir| {
            fs::write(dir.join("buildpack.toml"), toml).expect("a buildpack.toml");
            fs::create_dir(dir.join("bin")).expect("a folder");
            for (script, text) in [("detect", detect), ("build", build)] {
                let file = dir.join("bin").join(script);
                fs::write(&file, format!("#!/bin/bash\nset -eu\n{text}\n")).expect("a script");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
            }
        })
    }

    fn in_folder(fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a folder for a buildpack");
        fill(dir.path());
        Self {
            at: dir.path().display().to_string(),
            _dir: Some(dir),
        }
    }
}

/// An app that is built several times, with its image name and cache.
pub struct App {
    name: String,
    builder: &'static str,
    run_image: Option<String>,
    buildpacks: Vec<Buildpack>,
    env: Mutex<BTreeMap<String, String>>,
    volumes: Vec<String>,
    host: &'static Server,
    source: TempDir,
    work: TempDir,
    /// The ids of all images that builds have created, since a name refers to the last one only.
    images: Mutex<Vec<String>>,
}

/// The result of a build.
pub struct Build {
    pub succeeded: bool,
    /// All that `pack` printed.
    pub log: String,
    pub took: Duration,
}

impl App {
    /// A fixture with the buildpack under test.
    pub fn fixture(name: &str) -> Self {
        Self::on(shared_host(), name)
    }

    /// A fixture with its own artifact host, to count its requests and to break its files.
    pub fn with_its_host(name: &str) -> Self {
        Self::on(own_host(), name)
    }

    fn on(host: &'static Server, name: &str) -> Self {
        let app = Self::of(host, vec![Buildpack::under_test()]);
        copy(&repository().join("fixtures").join(name), app.source.path());
        app.env("HEX_BUILDS_URL", &host.url());
        app.env("HEX_MIRROR", &format!("{}/hex", host.url()));
        app.env("HEX_UNSAFE_REGISTRY", "1");
        app.env("NODEJS_ORG_MIRROR", &format!("{}/dist", host.url()));
        app
    }

    /// An empty app with these buildpacks.
    pub fn with_buildpacks(buildpacks: Vec<Buildpack>) -> Self {
        Self::of(shared_host(), buildpacks)
    }

    /// An empty app with these buildpacks, and an artifact host of its own.
    pub fn on_host(host: &'static Server, buildpacks: Vec<Buildpack>) -> Self {
        Self::of(host, buildpacks)
    }

    fn of(host: &'static Server, buildpacks: Vec<Buildpack>) -> Self {
        let mut app = Self {
            name: unique(),
            builder: BUILDER,
            run_image: None,
            buildpacks,
            env: Mutex::default(),
            volumes: Vec::new(),
            host,
            source: tempfile::tempdir().expect("a folder for an app"),
            work: tempfile::tempdir().expect("a folder for pack"),
            images: Mutex::default(),
        };
        // A build sees nothing of the host's environment.
        for name in NETWORK_VARIABLES {
            if let Ok(value) = std::env::var(name) {
                app.env(name, &value);
            }
        }
        if let Some(authorities) = Authorities::of_host() {
            let file = app.work.path().join("ca.pem");
            fs::write(&file, authorities.pem).expect("a file of authorities");
            app.volumes
                .push(format!("{}:{CA_BUNDLE}:ro", file.display()));
            if authorities.private {
                app.env("NODE_EXTRA_CA_CERTS", CA_BUNDLE);
            }
        }
        app
    }

    /// Replaces [`BUILDER`].
    #[must_use]
    pub fn builder(mut self, builder: &'static str) -> Self {
        self.builder = builder;
        self
    }

    /// Replaces the builder's run image.
    pub fn run_on(&mut self, image: &RunImage) {
        self.run_image = Some(image.name.clone());
    }

    /// Replaces the buildpack under test from now on.
    pub fn take(&mut self, buildpack: Buildpack) {
        self.buildpacks = vec![buildpack];
    }

    /// Adds a buildpack before the others.
    #[must_use]
    pub fn preceded_by(mut self, buildpack: Buildpack) -> Self {
        self.buildpacks.insert(0, buildpack);
        self
    }

    /// Adds a buildpack after the others.
    #[must_use]
    pub fn followed_by(mut self, buildpack: Buildpack) -> Self {
        self.buildpacks.push(buildpack);
        self
    }

    /// Sets a variable of the build (`pack build --env`).
    pub fn env(&self, name: &str, value: &str) {
        let mut env = self.env.lock().expect("no test of this app failed");
        env.insert(name.to_owned(), value.to_owned());
    }

    /// Mounts a new directory that builds may write to. Returns its path on the host.
    pub fn volume(&mut self, inside: &str) -> PathBuf {
        let dir = self.work.path().join(inside.trim_start_matches('/'));
        fs::create_dir(&dir).expect("a directory for a volume");
        let writable = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&dir, writable).expect("its mode");
        self.volumes.push(format!("{}:{inside}:rw", dir.display()));
        dir
    }

    /// Makes builds draw a timeline. Returns the file.
    pub fn draw(&mut self) -> PathBuf {
        let dir = self.volume("/pictures");
        self.env("MIXPACK_TIMELINE", "/pictures/build.svg");
        dir.join("build.svg")
    }

    /// Replaces all variables of the build, except for those of the network.
    pub fn set_env(&self, variables: Vec<(String, String)>) {
        let mut env = self.env.lock().expect("no test of this app failed");
        env.retain(|name, _| {
            NETWORK_VARIABLES.contains(&name.as_str()) || name == "NODE_EXTRA_CA_CERTS"
        });
        env.extend(variables);
    }

    /// Starts a build, and interrupts `pack` with Ctrl-C's signal.
    pub fn build_and_interrupt(&self, after: Duration) {
        let mut pack = self.pack_build();
        let pack = pack.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = pack.spawn().expect("pack starts");
        std::thread::sleep(after);
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill runs");
        child.wait().expect("a status");
    }

    /// Removes the caches, as before the first build.
    pub fn lose_cache(&self) {
        for kind in ["build", "launch"] {
            docker(["volume", "rm", "--force", &self.cache(kind)]);
        }
    }

    /// Removes the caches and the image.
    pub fn forget(&self) {
        self.lose_cache();
        docker(["image", "rm", "--force", &self.name]);
    }

    pub fn host(&self) -> &'static Server {
        self.host
    }

    /// Writes a file of the app's source.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.source.path().join(path);
        fs::create_dir_all(path.parent().expect("a path in the app")).expect("a folder");
        fs::write(path, text).expect("a file of the app");
    }

    /// Replaces text in a file of the app's source, which must contain it.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.source.path().join(path);
        let text = fs::read_to_string(&file).expect("a file of the app");
        assert!(text.contains(from), "{path} does not hold {from:?}");
        fs::write(file, text.replace(from, to)).expect("a file of the app");
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.source.path().join(path)).expect("a file of the app");
    }

    /// A file of the app's source.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.source.path().join(path)).expect("a file of the app")
    }

    fn pack(&self) -> Command {
        let mut command = Command::new(toolchains().join("cloud-native/pack/pack"));
        command
            .env("PACK_HOME", self.work.path().join("home"))
            .stdin(Stdio::null());
        command
    }

    fn cache(&self, kind: &str) -> String {
        format!("{}-{kind}", self.name)
    }

    /// `pack build`, with the network of this machine.
    pub fn build(&self) -> Build {
        self.built_by(self.pack_build())
    }

    fn pack_build(&self) -> Command {
        let mut pack = self.pack();
        pack.args(["build", &self.name, "--builder", self.builder])
            .arg("--path")
            .arg(self.source.path())
            .args(self.of_this_machine());
        if let Some(image) = &self.run_image {
            pack.args(["--run-image", image]);
        }
        for buildpack in &self.buildpacks {
            pack.arg("--buildpack").arg(&buildpack.at);
        }
        pack
    }

    /// The switches that `pack build` needs in these tests: no image is pulled, caches have names, and a build can
    /// reach the artifact host.
    fn of_this_machine(&self) -> Vec<String> {
        let mut options: Vec<String> = ["--pull-policy=never", "--network=host", "--no-color"]
            // Otherwise another image would be needed, and a container for each phase.
            .into_iter()
            .chain(["--trust-builder", "--trust-extra-buildpacks"])
            .map(str::to_owned)
            .collect();
        for kind in ["build", "launch"] {
            let name = self.cache(kind);
            options.push(format!("--cache=type={kind};format=volume;name={name}"));
        }
        for (name, value) in &*self.env.lock().expect("no test of this app failed") {
            options.push(format!("--env={name}={value}"));
        }
        for volume in &self.volumes {
            options.push(format!("--volume={volume}"));
        }
        options
    }

    fn built_by(&self, pack: Command) -> Build {
        let begun = Instant::now();
        let (succeeded, log) = both_streams(pack);
        let build = Build {
            succeeded,
            log,
            took: begun.elapsed(),
        };
        if build.succeeded {
            self.keep_id();
        }
        build
    }

    /// The name of the app's image.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The app's directory.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The directory of the last buildpack.
    pub fn buildpack(&self) -> &Path {
        Path::new(&self.buildpacks.last().expect("a buildpack").at)
    }

    /// A command line to run in the directory of the buildpack; `"$@"` stands for `args`.
    fn typed(&self, line: &str, args: &[String]) -> Command {
        let bin = self.work.path().join("bin");
        fs::create_dir_all(&bin).expect("a folder for commands");
        let mix = bin.join("mix");
        fs::write(&mix, include_str!("heroku_standin/mix.sh")).expect("a script");
        fs::set_permissions(&mix, fs::Permissions::from_mode(0o755)).expect("its mode");
        let pack = toolchains().join("cloud-native/pack");
        let path = format!(
            "{}:{}:/usr/local/bin:/usr/bin:/bin",
            bin.display(),
            pack.display()
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", line, "bash"])
            .args(args)
            .current_dir(self.buildpack())
            .env("PATH", path)
            .env("PACK_HOME", self.work.path().join("home"))
            .stdin(Stdio::null());
        bash
    }

    /// Runs a line `pack build …`, followed by the switches that these tests need.
    pub fn type_build(&self, line: &str) -> Build {
        assert!(line.starts_with("pack build "), "{line}");
        let options = self.of_this_machine();
        self.built_by(self.typed(&format!("{line} \"$@\""), &options))
    }

    /// Runs a line `docker …`, which must succeed, and returns its output. With `input`, that is typed on a terminal,
    /// and the exit status is ignored.
    #[track_caller]
    pub fn type_docker(&self, line: &str, input: Option<&str>) -> String {
        assert!(line.starts_with("docker "), "{line}");
        let mut command = match input {
            None => self.typed(line, &[]),
            Some(_) => self.typed(
                "exec script --quiet --return --command \"$1\" /dev/null",
                &[line.to_owned()],
            ),
        };
        if let Some(input) = input {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            writer.write_all(input.as_bytes()).expect("a few bytes");
            command.stdin(reader);
        }
        let (succeeded, said) = both_streams(command);
        assert!(succeeded || input.is_some(), "{line}\n{said}");
        said
    }

    /// Runs a line `docker run …` that publishes port 4000, but in the background and with another port of this
    /// machine.
    #[track_caller]
    pub fn type_server(&self, line: &str) -> Container {
        let port = free_port();
        let line = filled(
            line,
            &[
                ("docker run", "docker run --detach"),
                ("4000:4000", &format!("{port}:4000")),
            ],
        );
        let id = expect(self.typed(&line, &[]).output().expect("bash runs"));
        let id = id.trim().to_owned();
        Container { id, port }
    }

    fn keep_id(&self) {
        let id = expect(docker(["image", "inspect", "--format={{.Id}}", &self.name]));
        let mut images = self.images.lock().expect("no test of this app failed");
        images.push(id.trim().to_owned());
    }

    /// The image of the last build.
    pub fn image(&self) -> Image<'_> {
        Image { app: self }
    }

    /// Those of the texts that the build's cache contains.
    pub fn found_in_cache<'t>(&self, texts: &[&'t str]) -> Vec<&'t str> {
        let volume = self.cache("build");
        let place = expect(docker([
            "volume",
            "inspect",
            "--format={{.Mountpoint}}",
            &volume,
        ]));
        let tar = Command::new("tar")
            .args(["--create", "--file=-", "--directory", place.trim(), "."])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar runs");
        found(tar, texts)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let images = self.images.get_mut().expect("no test of this app failed");
        for image in images.iter().rev().chain([&self.name]) {
            docker(["image", "rm", "--force", image]);
        }
        for kind in ["build", "launch"] {
            docker(["volume", "rm", "--force", &self.cache(kind)]);
        }
    }
}

/// Whether the program succeeded, and its complete output in order.
fn both_streams(mut command: Command) -> (bool, String) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    command
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer);
    let mut child = command.spawn().expect("it starts");
    // Close our copies of the pipe's write end, since reading would not end otherwise.
    drop(command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).expect("what it printed");
    let status = child.wait().expect("a status");
    (
        status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Those of the texts that a program prints, uncompressed and in one piece.
fn found<'t>(mut program: std::process::Child, texts: &[&'t str]) -> Vec<&'t str> {
    let stdout = program.stdout.take().expect("its output");
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--fixed-strings"]);
    for text in texts {
        grep.args(["-e", text]);
    }
    let output = grep
        .env("LC_ALL", "C")
        .stdin(stdout)
        .output()
        .expect("grep runs");
    assert!(program.wait().expect("a status").success());
    let lines = String::from_utf8(output.stdout).expect("the texts are in UTF-8");
    let is_found = |text: &&&str| lines.lines().any(|line| line == **text);
    texts.iter().filter(is_found).copied().collect()
}

impl Build {
    #[track_caller]
    pub fn expect_success(&self) {
        assert!(self.succeeded, "the build failed:\n{}", self.log);
    }

    /// The lines of the log that contain this text.
    pub fn lines<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a str> {
        self.log.lines().filter(move |line| line.contains(part))
    }
}

//! Calls the real `pack` with the real lifecycle: an app's folder, buildpacks, a builder that holds
//! none, caches of its own, the artifact host on loopback. What a build leaves in Docker's store goes
//! away with its [`App`].

use crate::dyno::{EPMD_PORT, free_port};
use crate::pages::filled;
use crate::{copy, executable, own_host, repository, shared_host, toolchains};
use mirror::Server;
use mirror::stack::{Authorities, CA_BUNDLE, NETWORK_VARIABLES};
use serde_json::Value;
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

/// The builder whose images say what they are: Debian 13.
pub const BUILDER: &str = "mixpack-test/builder";

/// The same images, which say that they are Ubuntu 24.04.
pub const UBUNTU_BUILDER: &str = "mixpack-test/builder-ubuntu-24.04";

/// How long a container may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// What a platform gives a process that it has told to end, before it kills it.
const ENDS_WITHIN: &str = "30";

/// A name that nothing else in Docker's store has.
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

/// What it printed.
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
    /// The one under test, as its repository has it, with the executable that is tested.
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

    /// The package of the one under test: what `MIXPACK_CNB` names, or else what
    /// `cargo xtask package` has written.
    pub fn package() -> PathBuf {
        std::env::var_os("MIXPACK_CNB").map_or_else(
            || {
                let version = env!("CARGO_PKG_VERSION");
                repository().join(format!("target/package/mixpack-{version}-linux-amd64.cnb"))
            },
            PathBuf::from,
        )
    }

    /// One that `pack` gets from this place.
    pub fn at(place: &str) -> Self {
        Self {
            at: place.to_owned(),
            _dir: None,
        }
    }

    /// One of Bash scripts, with an id below `mixpack-test/`.
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

/// An app on its way through builds: one image name, one cache.
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
    /// The ids of all images that builds have made, since a name shows only the last one.
    images: Mutex<Vec<String>>,
}

/// What a build left.
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

    /// With an artifact host of its own, to count its requests and to break its files.
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

    /// With another builder than [`BUILDER`].
    #[must_use]
    pub fn builder(mut self, builder: &'static str) -> Self {
        self.builder = builder;
        self
    }

    /// With another run image than the builder's.
    pub fn run_on(&mut self, image: &RunImage) {
        self.run_image = Some(image.name.clone());
    }

    /// Has the buildpack under test come from there from now on.
    pub fn take(&mut self, buildpack: Buildpack) {
        self.buildpacks = vec![buildpack];
    }

    /// With another buildpack before the others.
    #[must_use]
    pub fn preceded_by(mut self, buildpack: Buildpack) -> Self {
        self.buildpacks.insert(0, buildpack);
        self
    }

    /// With another buildpack behind the others.
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

    /// Has builds draw a timeline. Returns the file.
    pub fn draw(&mut self) -> PathBuf {
        let dir = self.volume("/pictures");
        self.env("MIXPACK_TIMELINE", "/pictures/build.svg");
        dir.join("build.svg")
    }

    /// Sets the variables of the build, and no others but those of the network.
    pub fn set_env(&self, variables: Vec<(String, String)>) {
        let mut env = self.env.lock().expect("no test of this app failed");
        env.retain(|name, _| {
            NETWORK_VARIABLES.contains(&name.as_str()) || name == "NODE_EXTRA_CA_CERTS"
        });
        env.extend(variables);
    }

    /// Starts a build, and interrupts `pack` as a person does.
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

    /// Removes the caches, as if no build had been.
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

    /// Replaces text in a file of the app's source; it must be there.
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

    /// What `pack build` needs besides on this machine: no image is pulled, caches have names, and a
    /// build sees the artifact host.
    fn of_this_machine(&self) -> Vec<String> {
        let mut options: Vec<String> = ["--pull-policy=never", "--network=host", "--no-color"]
            // Else another image would be needed, and a container for each phase.
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

    /// The name of its image.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The folder of the last buildpack.
    pub fn buildpack(&self) -> &Path {
        Path::new(&self.buildpacks.last().expect("a buildpack").at)
    }

    /// A line as a person types it in the folder of the buildpack; `"$@"` stands for `args`.
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

    /// A line `pack build …`, with what it needs besides on this machine behind it.
    pub fn type_build(&self, line: &str) -> Build {
        assert!(line.starts_with("pack build "), "{line}");
        let options = self.of_this_machine();
        self.built_by(self.typed(&format!("{line} \"$@\""), &options))
    }

    /// A line `docker …`: what it prints, which must end well. With `input` it has a terminal, on which
    /// that is typed; then how it ends is up to what is typed.
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

    /// A line `docker run …` that serves on port 4000 of this machine, as it is with another port of
    /// this machine, and in the background.
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

    /// Which of these texts the build's cache holds.
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

/// Whether the program ended well, and all that it printed, in order.
fn both_streams(mut command: Command) -> (bool, String) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    command
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer);
    let mut child = command.spawn().expect("it starts");
    // Its ends of the pipe, without which reading does not end.
    drop(command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).expect("what it printed");
    let status = child.wait().expect("a status");
    (
        status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Which of these texts are in what a program prints, compressed or in parts nowhere.
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

    /// The lines of the log that say this.
    pub fn lines<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a str> {
        self.log.lines().filter(move |line| line.contains(part))
    }
}

/// A layer that an image has from a buildpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// `sha256:…`, of the layer's archive.
    pub diff_id: String,
    pub cache: bool,
    pub build: bool,
    pub metadata: Value,
}

/// What the last build of an app has made.
pub struct Image<'a> {
    app: &'a App,
}

impl<'a> Image<'a> {
    fn name(&self) -> &'a str {
        &self.app.name
    }

    pub fn id(&self) -> String {
        self.inspect()["Id"].as_str().expect("an id").to_owned()
    }

    /// All that Docker knows of it.
    pub fn inspect(&self) -> Value {
        let json = expect(docker(["image", "inspect", self.name()]));
        let mut all: Value = serde_json::from_str(&json).expect("JSON");
        all[0].take()
    }

    /// A label that holds JSON.
    fn label(&self, name: &str) -> Value {
        let image = self.inspect();
        let label = image["Config"]["Labels"][name].as_str();
        let label = label.unwrap_or_else(|| panic!("no label {name}"));
        serde_json::from_str(label).expect("JSON")
    }

    /// The launch layers by `BUILDPACK:LAYER`.
    pub fn layers(&self) -> BTreeMap<String, Layer> {
        let metadata = self.label("io.buildpacks.lifecycle.metadata");
        let mut layers = BTreeMap::new();
        for buildpack in metadata["buildpacks"].as_array().into_iter().flatten() {
            let id = buildpack["key"].as_str().expect("an id");
            for (name, layer) in buildpack["layers"].as_object().into_iter().flatten() {
                let layer = Layer {
                    diff_id: layer["sha"].as_str().unwrap_or_default().to_owned(),
                    cache: layer["cache"] == true,
                    build: layer["build"] == true,
                    metadata: layer["data"].clone(),
                };
                layers.insert(format!("{id}:{name}"), layer);
            }
        }
        layers
    }

    /// The diff ids of the app's own layers, one for each slice.
    pub fn app_layers(&self) -> Vec<String> {
        let metadata = self.label("io.buildpacks.lifecycle.metadata");
        let app = metadata["app"].as_array().cloned().unwrap_or_default();
        app.iter()
            .map(|layer| layer["sha"].as_str().expect("a diff id").to_owned())
            .collect()
    }

    /// The processes by type: `default`, `command`, `args`, as the lifecycle has them.
    pub fn processes(&self) -> BTreeMap<String, Value> {
        let metadata = self.label("io.buildpacks.build.metadata");
        let processes = metadata["processes"].as_array().cloned();
        let processes = processes.unwrap_or_default().into_iter();
        processes
            .map(|process| {
                (
                    process["type"].as_str().expect("a type").to_owned(),
                    process,
                )
            })
            .collect()
    }

    /// The documents that `pack sbom download` gives, by their paths in the folder.
    pub fn sbom(&self) -> BTreeMap<String, Value> {
        let dir = self.app.work.path().join("sbom");
        if dir.exists() {
            fs::remove_dir_all(&dir).expect("an earlier download goes");
        }
        let mut pack = self.app.pack();
        pack.args(["sbom", "download", self.name(), "--output-dir"])
            .arg(&dir);
        let (succeeded, log) = both_streams(pack);
        assert!(succeeded, "{log}");
        walkdir::WalkDir::new(&dir)
            .into_iter()
            .map(|entry| entry.expect("a readable folder"))
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(&dir).expect("it is below");
                let text = fs::read(entry.path()).expect("a document");
                let json = serde_json::from_slice(&text).expect("JSON");
                (path.display().to_string(), json)
            })
            .collect()
    }

    /// `pack rebase`: onto what its run image's name is now.
    #[track_caller]
    pub fn rebase(&self) {
        let mut pack = self.app.pack();
        pack.args(["rebase", self.name(), "--pull-policy", "never"]);
        let (succeeded, log) = both_streams(pack);
        assert!(succeeded, "{log}");
        self.app.keep_id();
    }

    /// Which of these texts are anywhere in the image: its layers, its labels, its history.
    pub fn holds<'t>(&self, texts: &[&'t str]) -> Vec<&'t str> {
        let save = Command::new("docker")
            .args(["image", "save", self.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker runs");
        found(save, texts)
    }

    /// The paths of all files, as in `workspace/mix.exs`.
    pub fn files(&self) -> Vec<String> {
        let list = self.export_to(Command::new("tar").args(["--list", "--file=-"]));
        list.lines().map(str::to_owned).collect()
    }

    /// Copies these folders at its root to `target`.
    pub fn copy_out(&self, folders: &[&str], target: &Path) {
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--file=-", "--directory"])
            .arg(target);
        self.export_to(tar.args(folders));
    }

    /// Gives an archive of all files to a program. Returns what that prints.
    fn export_to(&self, program: &mut Command) -> String {
        let container = expect(docker(["container", "create", self.name()]));
        let mut export = Command::new("docker")
            .args(["container", "export", container.trim()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker runs");
        let stdout = export.stdout.take().expect("its output");
        let output = program.stdin(stdout).output().expect("it runs");
        export.wait().expect("a status");
        docker(["container", "rm", container.trim()]);
        expect(output)
    }

    /// Runs a container to its end; `options` are those of `docker run`, `command` is for the
    /// launcher.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let args = [
            &["container", "run", "--rm"],
            options,
            &[self.name()],
            command,
        ]
        .concat();
        docker(args)
    }

    /// Starts the default process, on the network of this machine with a `$PORT`.
    #[track_caller]
    pub fn start(&self, options: &[&str]) -> Container {
        let port = free_port();
        let variable = format!("PORT={port}");
        let epmd = format!("{EPMD_PORT}={}", free_port());
        let args = [
            &["container", "run", "--detach", "--network=host"],
            &["--env", &variable, "--env", &epmd][..],
            options,
            &[self.name()],
        ]
        .concat();
        let id = expect(docker(args)).trim().to_owned();
        Container { id, port }
    }
}

/// A running image. It is killed and removed when this goes.
pub struct Container {
    pub id: String,
    pub port: u16,
}

/// How a container ended.
pub struct Stopped {
    /// 128 and the signal's number, where a signal ended it.
    pub code: i64,
    pub took: Duration,
    pub log: String,
}

impl Container {
    /// The body of the answer with status 200; waits for the server to come up.
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let until = Instant::now() + ANSWERS_WITHIN;
        loop {
            let answer = ureq::get(&url).call();
            let error = match answer.and_then(|mut answer| answer.body_mut().read_to_string()) {
                Ok(body) => return body,
                Err(error) => error,
            };
            let state = self.state();
            assert!(
                state["Running"] == true && Instant::now() < until,
                "GET {path}: {error}; {state}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn state(&self) -> Value {
        let json = expect(docker(["inspect", "--format={{json .State}}", &self.id]));
        serde_json::from_str(&json).expect("JSON")
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        let mut logs = Command::new("docker");
        logs.args(["container", "logs", &self.id])
            .stdin(Stdio::null());
        both_streams(logs).1
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let until = Instant::now() + ANSWERS_WITHIN;
        while !self.log().contains(text) {
            let log = self.log();
            let running = self.state()["Running"] == true;
            assert!(
                (running && Instant::now() < until) || log.contains(text),
                "it has not said {text:?}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs another program in it, without the launcher's environment.
    pub fn exec(&self, command: &[&str]) -> Output {
        docker([&["container", "exec", self.id.as_str()], command].concat())
    }

    /// Tells it to end with SIGTERM, and kills it where it has not done so in half a minute.
    pub fn stop(self) -> Stopped {
        let begun = Instant::now();
        expect(docker([
            "container",
            "stop",
            "--time",
            ENDS_WITHIN,
            &self.id,
        ]));
        Stopped {
            code: self.state()["ExitCode"].as_i64().expect("a code"),
            took: begun.elapsed(),
            log: self.log(),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(["container", "rm", "--force", "--volumes", &self.id]);
    }
}

/// A run image by a name of its own, of which newer releases can be made.
pub struct RunImage {
    name: String,
}

impl RunImage {
    /// That of [`BUILDER`].
    pub fn of_its_own() -> Self {
        let name = unique();
        expect(docker(["image", "tag", "mixpack-test/run", &name]));
        Self { name }
    }

    /// Makes another image, with one more file, have its name.
    pub fn patch(&self, path: &Path, text: &str) {
        let container = expect(docker(["container", "create", &self.name, "true"]));
        let dir = tempfile::tempdir().expect("a folder for a file");
        let file = dir.path().join("file");
        fs::write(&file, text).expect("a file");
        let source = file.display().to_string();
        let target = format!("{}:{}", container.trim(), path.display());
        let copied = docker(["container", "cp", &source, &target]);
        let made = docker(["container", "commit", container.trim(), &self.name]);
        docker(["container", "rm", container.trim()]);
        expect(copied);
        expect(made);
    }
}

impl Drop for RunImage {
    fn drop(&mut self) {
        docker(["image", "rm", "--force", &self.name]);
    }
}

//! Images: those of apps, and those to run on.

use super::container::Container;
use super::{App, both_streams, docker, expect, found, unique};
use crate::dyno::{EPMD_PORT, free_port};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A layer of an image that a buildpack has created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// `sha256:…`, of the layer's archive.
    pub diff_id: String,
    pub cache: bool,
    pub build: bool,
    pub metadata: Value,
}

/// The image that the last build of an app has created.
pub struct Image<'a> {
    pub(super) app: &'a App,
}

impl<'a> Image<'a> {
    fn name(&self) -> &'a str {
        &self.app.name
    }

    pub fn id(&self) -> String {
        self.inspect()["Id"].as_str().expect("an id").to_owned()
    }

    /// The output of `docker inspect`.
    pub fn inspect(&self) -> Value {
        let json = expect(docker(["image", "inspect", self.name()]));
        let mut all: Value = serde_json::from_str(&json).expect("JSON");
        all[0].take()
    }

    /// A label that contains JSON.
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

    /// The processes by type: `default`, `command` and `args` in the lifecycle's form.
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

    /// The documents from `pack sbom download`, by path.
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

    /// Runs `pack rebase`, onto the image that the run image's name refers to now.
    #[track_caller]
    pub fn rebase(&self) {
        let mut pack = self.app.pack();
        pack.args(["rebase", self.name(), "--pull-policy", "never"]);
        let (succeeded, log) = both_streams(pack);
        assert!(succeeded, "{log}");
        self.app.keep_id();
    }

    /// Those of the texts that the image contains in its layers, labels or history.
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

    /// Sends an archive of all files to a program, and returns its output.
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

    /// Runs a container until it exits. `options` are those of `docker run`; the launcher gets `command`.
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

/// A run image with its own name, for which tests create newer releases.
pub struct RunImage {
    pub(super) name: String,
}

impl RunImage {
    /// That of [`BUILDER`].
    pub fn of_its_own() -> Self {
        let name = unique();
        expect(docker(["image", "tag", "mixpack-test/run", &name]));
        Self { name }
    }

    /// Gives its name to a new image with an additional file.
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

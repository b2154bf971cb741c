//! Builds as kpack and Tekton run them: the lifecycle's `creator` in a new container, which has no Docker daemon and no volume.
//! The registry alone outlasts a build.

use super::{App, Build, both_streams, docker, expect};
use crate::copy;
use crate::dyno::free_port;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Debian's package `docker-registry`, which is CNCF's distribution.
const PROGRAM: &str = "docker-registry";

/// The API that the platform speaks to the lifecycle.
const PLATFORM_API: &str = "0.12";

const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.oci.image.manifest.v1+json";

/// A registry on loopback, for as long as this lives. It has the run image `run`.
pub struct Registry {
    port: u16,
    server: Child,
    _storage: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let storage = tempfile::tempdir().expect("a folder for a registry");
        let port = free_port();
        let config = storage.path().join("config.yml");
        let images = storage.path().join("images").display().to_string();
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {images:?}}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\"}}\n"
        );
        fs::write(&config, text).expect("a file of settings");
        let server = Command::new(PROGRAM)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry: run `cargo xtask toolchains`");
        let registry = Self {
            port,
            server,
            _storage: storage,
        };
        let until = Instant::now() + Duration::from_secs(30);
        while ureq::get(&registry.url("")).call().is_err() {
            assert!(Instant::now() < until, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let run = registry.name("run");
        expect(docker(["image", "tag", "mixpack-test/run", &run]));
        expect(docker(["image", "push", "--quiet", &run]));
        docker(["image", "rm", &run]);
        registry
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v2/{path}", self.port)
    }

    /// The name of an image in it.
    pub fn name(&self, image: &str) -> String {
        format!("127.0.0.1:{}/{image}", self.port)
    }

    /// Gives an image another tag.
    pub fn tag(&self, repository: &str, from: &str, to: &str) {
        let at = |tag: &str| self.url(&format!("{repository}/manifests/{tag}"));
        let answer = ureq::get(&at(from)).header("Accept", MANIFESTS).call();
        let mut answer = answer.expect("a manifest");
        let kind = answer.headers()["Content-Type"].clone();
        let manifest = answer.body_mut().read_to_vec().expect("a manifest");
        ureq::put(&at(to))
            .header("Content-Type", kind)
            .send(&manifest)
            .expect("another tag");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl App {
    /// Has [`App::create`] push its image there, under this name.
    pub fn push_to(&mut self, registry: &Registry, image: &str) {
        self.name = registry.name(image);
    }

    /// Runs the lifecycle's `creator`, with these images of the registry as cache and as previous image. It replaces the cache
    /// image. An absent image is the same as none.
    pub fn create(&self, registry: &Registry, cache: &str, previous: &str) -> Build {
        let machine = tempfile::tempdir_in(self.work.path()).expect("a folder for a container");
        let at = |name: &str| machine.path().join(name);
        copy(self.source.path(), &at("workspace"));
        copy(self.buildpack(), &at("buildpack"));
        fs::create_dir_all(at("platform/env")).expect("a folder for variables");
        for (name, value) in &*self.env.lock().expect("no test of this app failed") {
            fs::write(at("platform/env").join(name), value).expect("a variable");
        }
        let version = env!("CARGO_PKG_VERSION");
        let order = format!(
            "[[order]]\n[[order.group]]\nid = \"mixpack/mixpack\"\nversion = {version:?}\n"
        );
        fs::write(at("order.toml"), order).expect("an order");
        for (program, option) in [("chown", "1000:1000"), ("chmod", "a+rX")] {
            let mut command = Command::new(program);
            expect(
                command
                    .args(["-R", option])
                    .arg(machine.path())
                    .output()
                    .expect("it runs"),
            );
        }

        let mut creator = Command::new("docker");
        creator.args(["container", "run", "--rm", "--network=host"]);
        creator.arg(format!("--env=CNB_PLATFORM_API={PLATFORM_API}"));
        let buildpack = format!("/cnb/buildpacks/mixpack_mixpack/{version}");
        for (from, to) in [
            ("workspace", "/workspace"),
            ("platform", "/platform"),
            ("order.toml", "/cnb/order.toml"),
            ("buildpack", &buildpack),
        ] {
            creator.arg(format!("--volume={}:{to}", at(from).display()));
        }
        for volume in &self.volumes {
            creator.arg(format!("--volume={volume}"));
        }
        creator.args([
            "--entrypoint=/cnb/lifecycle/creator",
            self.builder,
            "-no-color",
        ]);
        for (option, image) in [("run", "run"), ("cache", cache), ("previous", previous)] {
            creator.arg(format!("-{option}-image={}", registry.name(image)));
        }
        creator.arg(&self.name).stdin(Stdio::null());
        let begun = Instant::now();
        let (succeeded, log) = both_streams(creator);
        let took = begun.elapsed();
        if succeeded {
            expect(docker(["image", "pull", "--quiet", &self.name]));
            self.keep_id();
        }
        Build {
            succeeded,
            log,
            took,
        }
    }
}

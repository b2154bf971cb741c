//! The contestants: Mixpack, other buildpacks, or a user by hand. Each has its own sandbox and cache, with the same
//! sources and the same hosts.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use mirror::{Sandbox, Stack, Upstream};
use serde_json::Value;
use whole_builds::{Dyno, copy};

use super::app::{App, Change};
use super::by_hand::{self, Tools};
use super::measure::{self, Costs, Tree};
use super::old_hosts::Published;
use super::sandbox::sandbox;
use crate::process::{Result, run};

/// The executable in `bin` for the machines that can run the benchmark.
pub(crate) const EXECUTABLE_NAME: &str = "mixpack-linux-amd64";

/// The path to which the executable of `MIXPACK_EXE` is bound.
const EXECUTABLE: &str = "/usr/local/lib/mixpack";

/// Calls buildpacks one after the other on one build directory (contracts 1.4): the `export` of each is sourced
/// before the next. Like platforms, it ignores the modes in `bin`.
const IN_ORDER: &str = "\
set -e
for pack in /tmp/packs/*; do
  chmod +x \"$pack\"/bin/*
  \"$pack/bin/detect\" \"$1\"
  \"$pack/bin/compile\" \"$@\"
  if [ -f \"$pack/export\" ]; then . \"$pack/export\"; fi
done";

/// The shared environment of all deploys.
pub(crate) struct Surroundings {
    pub(crate) stack: Stack,
    pub(crate) upstream: Upstream,
    pub(crate) published: Published,
    pub(crate) tools: Tools,
}

/// Another buildpack, in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    dir: PathBuf,
    name: String,
    commit: String,
}

impl Pack {
    /// It must be an unchanged git checkout, so that the commit identifies it.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        let git = |args: &[&str]| run(Command::new("git").arg("-C").arg(dir).args(args));
        let dir = dir.canonicalize()?;
        if !dir.join("bin/compile").is_file() {
            return Err(format!("{}: no buildpack (no bin/compile in it)", dir.display()).into());
        }
        if !git(&["status", "--porcelain"])?.is_empty() {
            return Err(format!("{}: changed since its commit", dir.display()).into());
        }
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
        let name = dir.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            commit,
            dir,
        })
    }
}

/// A version of Mixpack, and how it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Mixpack {
    /// The name in tables.
    pub(crate) name: String,
    pub(crate) bin: PathBuf,
    pub(crate) executable: PathBuf,
    /// A config var, `NAME=VALUE`.
    pub(crate) config: Option<(String, String)>,
}

impl Mixpack {
    /// Mixpack at an earlier commit of the repository `root`, unpacked to the new directory `dir`.
    pub(crate) fn at_commit(root: &Path, commit: &str, dir: &Path) -> Result<Self> {
        let git = |args: &[&str]| run(Command::new("git").arg("-C").arg(root).args(args));
        fs::create_dir(dir)?;
        let archive = dir.join("bin.tar");
        let output = format!("--output={}", archive.display());
        git(&["archive", &output, commit, "bin"])?;
        tar::Archive::new(File::open(&archive)?).unpack(dir)?;
        let short = git(&["rev-parse", "--short=7", commit])?;
        let bin = dir.join("bin");
        Ok(Self {
            name: format!("Mixpack at {}", short.trim()),
            executable: bin.join(EXECUTABLE_NAME),
            bin,
            config: None,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Contestant {
    Mixpack(Mixpack),
    /// The buildpacks, in the order of their calls. An app without assets only gets the first one.
    Packs(Vec<Pack>),
    ByHand,
}

impl Contestant {
    /// The name in the tables of an app.
    pub(crate) fn name(&self, is_phoenix: bool) -> String {
        match self {
            Self::Mixpack(mixpack) => mixpack.name.clone(),
            Self::Packs(packs) => {
                let packs = called(packs, is_phoenix);
                let names: Vec<_> = packs.iter().map(|pack| short(&pack.name)).collect();
                names.join(" + ")
            }
            Self::ByHand => "by hand".to_owned(),
        }
    }

    /// The exact version that was measured.
    pub(crate) fn identity(&self) -> Result<String> {
        match self {
            Self::Mixpack(mixpack) => {
                let version = run(Command::new(&mixpack.executable).arg("--version"))?;
                Ok(format!("{}: {}", mixpack.name, version.trim()))
            }
            Self::Packs(packs) => {
                let packs = packs
                    .iter()
                    .map(|pack| format!("{} at {}", pack.name, pack.commit));
                Ok(packs.collect::<Vec<_>>().join(", "))
            }
            Self::ByHand => Ok("by hand: the bare commands, toolchains in place".to_owned()),
        }
    }

    pub(crate) fn place<'all>(
        &'all self,
        all: &'all Surroundings,
        app: &App,
    ) -> Result<Place<'all>> {
        let mut sandbox = sandbox(&all.stack, &all.upstream)?;
        let registry = format!("{}/npm", all.upstream.server.url());
        match self {
            Self::Mixpack(mixpack) => {
                sandbox = sandbox
                    .bind_ro(&mixpack.executable, EXECUTABLE)
                    .env("MIXPACK_EXE", EXECUTABLE);
            }
            Self::Packs(_) => {}
            Self::ByHand => sandbox = all.tools.shown_to(sandbox, &registry),
        }
        let place = Place {
            contestant: self,
            all,
            sandbox,
            is_phoenix: app.is_phoenix,
            deploys: Cell::new(0),
        };
        for dir in ["cache", "env"] {
            fs::create_dir(place.tmp().join(dir))?;
        }
        // npm can only be configured with a config var here.
        place.set_config("NPM_CONFIG_REGISTRY", &registry)?;
        if let Self::Mixpack(Mixpack {
            config: Some((name, value)),
            ..
        }) = self
        {
            place.set_config(name, value)?;
        }
        place.sandbox.give(place.tmp())?;
        Ok(place)
    }
}

/// Returns the buildpacks of a list that an app needs.
fn called(packs: &[Pack], is_phoenix: bool) -> &[Pack] {
    if is_phoenix { packs } else { &packs[..1] }
}

fn short(name: &str) -> &str {
    name.strip_prefix("heroku-buildpack-").unwrap_or(name)
}

/// A contestant with its cache, during the deploys of an app.
pub(crate) struct Place<'all> {
    contestant: &'all Contestant,
    all: &'all Surroundings,
    sandbox: Sandbox,
    is_phoenix: bool,
    deploys: Cell<u32>,
}

/// The costs and results of a deploy.
#[derive(Debug, Clone)]
pub(crate) struct Deploy {
    pub(crate) costs: Costs,
    /// The size of the cache in bytes, if there is one.
    pub(crate) cache: Option<u64>,
    pub(crate) slug: Option<Tree>,
    /// The seconds until the last toolchain was installed, if the buildpack reports them.
    pub(crate) toolchain_phase: Option<f64>,
}

/// The result of booting a slug in a dyno.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Boot {
    /// The seconds until the page responded; for an app without a page, until `mix run` had started it.
    Up(f64),
    /// The output.
    Failed(String),
}

impl Place<'_> {
    fn tmp(&self) -> PathBuf {
        self.sandbox.tmp()
    }

    /// The host's path of `BUILD_DIR`, which has another name at each deploy.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.tmp().join("cache")
    }

    pub(crate) fn build_dir(&self) -> PathBuf {
        self.tmp().join(self.build_name())
    }

    /// Sets a config var of the next deploys.
    pub(crate) fn set_config(&self, name: &str, value: &str) -> Result {
        fs::write(self.tmp().join("env").join(name), value)?;
        Ok(())
    }

    fn build_name(&self) -> String {
        format!("build_{}", self.deploys.get())
    }

    fn arguments(&self) -> impl Iterator<Item = String> {
        let build_dir = format!("/tmp/{}", self.build_name());
        [build_dir, "/tmp/cache".to_owned(), "/tmp/env".to_owned()].into_iter()
    }

    /// Adds the mirror's key, like `mix local.public_keys`: the mirror signs lists of installers with its own key,
    /// and Mix of this Elixir rejects unsigned lists.
    fn trust_the_mirror(&self) -> Result<()> {
        let mix_home = self.build_dir().join(".mix");
        let keys = mix_home.join("public_keys");
        fs::create_dir_all(&keys)?;
        fs::write(keys.join("mirror.pub"), &self.all.published.public_key)?;
        self.sandbox.give(mix_home)?;
        Ok(())
    }

    /// Deploys the current app. The error of a failure contains the whole log.
    pub(crate) fn deploy(&self, app: &App, change: Change) -> Result<Deploy> {
        let log_path = self.tmp().join("log");
        let command = match self.contestant {
            Contestant::Mixpack(mixpack) => {
                self.new_build(app)?;
                self.trust_the_mirror()?;
                let pack = self.tmp().join("packs/0");
                copy(&mixpack.bin, &pack.join("bin"));
                self.sandbox.give(self.tmp().join("packs"))?;
                self.sandbox
                    .command("/tmp/packs/0/bin/compile", self.arguments())
                    .current_dir("/tmp/packs/0")
            }
            Contestant::Packs(packs) => {
                self.new_build(app)?;
                self.trust_the_mirror()?;
                for (number, pack) in called(packs, self.is_phoenix).iter().enumerate() {
                    let target = self.tmp().join(format!("packs/{number}"));
                    copy(&pack.dir, &target);
                    fs::remove_dir_all(target.join(".git"))?;
                }
                for dir in [self.build_dir(), self.tmp().join("packs")] {
                    self.sandbox.give(dir)?;
                }
                let words = ["-c", IN_ORDER, "bash"].map(str::to_owned);
                self.sandbox
                    .command("bash", words.into_iter().chain(self.arguments()))
            }
            Contestant::ByHand => {
                by_hand::check_out(app, change, &self.tmp())?;
                self.sandbox.give(self.tmp().join("app"))?;
                Tools::command(&self.sandbox, app.is_phoenix, change)
            }
        };
        let log = File::create(&log_path)?;
        let executable = match self.contestant {
            Contestant::Mixpack(mixpack) => Some(mixpack.executable.as_path()),
            _ => None,
        };
        let server = &self.all.upstream.server;
        let (status, costs) = measure::run(server, command, executable, &log)?;
        self.judge(status, &fs::read(&log_path)?, change)?;
        let is_by_hand = matches!(self.contestant, Contestant::ByHand);
        let cache = self.cache_dir();
        Ok(Deploy {
            costs,
            cache: (!is_by_hand).then(|| measure::cache(&cache)).transpose()?,
            slug: (!is_by_hand)
                .then(|| measure::slug(&self.build_dir()))
                .transpose()?,
            toolchain_phase: toolchain_phase(&cache),
        })
    }

    fn judge(&self, status: ExitStatus, log: &[u8], change: Change) -> Result {
        if status.success() {
            return Ok(());
        }
        Err(format!(
            "{}\nthe {} deploy of {} failed: {status}",
            String::from_utf8_lossy(log),
            change.name(),
            self.contestant.name(self.is_phoenix)
        )
        .into())
    }

    /// Checks out the app in a `/tmp` with only the cache and the config vars of the last build, as on a platform.
    fn new_build(&self, app: &App) -> Result {
        for entry in fs::read_dir(self.tmp())? {
            let path = entry?.path();
            let stays = path.ends_with("cache") || path.ends_with("env");
            if path.is_dir() && !path.is_symlink() {
                if !stays {
                    fs::remove_dir_all(&path)?;
                }
            } else {
                fs::remove_file(&path)?;
            }
        }
        self.deploys.set(self.deploys.get() + 1);
        copy(&app.dir, &self.build_dir());
        self.sandbox.give(self.build_dir())?;
        Ok(())
    }

    /// Boots the slug of the last deploy, which is removed then. `None` without a slug.
    pub(crate) fn boot(&self) -> Result<Option<Boot>> {
        let last = match self.contestant {
            Contestant::ByHand => return Ok(None),
            Contestant::Packs(packs) => called(packs, self.is_phoenix).len() - 1,
            Contestant::Mixpack(_) => 0,
        };
        let build_dir = format!("/tmp/{}", self.build_name());
        let release = self
            .sandbox
            .command(format!("/tmp/packs/{last}/bin/release"), [build_dir])
            .output()?;
        let web = web(&String::from_utf8(release.stdout)?).ok_or("bin/release has no web")?;
        let dyno = Dyno::of(&whole_builds::stack(), &self.build_dir());
        let begun = Instant::now();
        if self.is_phoenix {
            return Ok(Some(match dyno.try_start(&web) {
                Ok(server) => {
                    let took = begun.elapsed().as_secs_f64();
                    drop(server.stop());
                    Boot::Up(took)
                }
                Err(said) => Boot::Failed(said),
            }));
        }
        let output = dyno.run("mix run -e :ok");
        Ok(Some(if output.status.success() {
            Boot::Up(begun.elapsed().as_secs_f64())
        } else {
            Boot::Failed(String::from_utf8_lossy(&output.stderr).into_owned())
        }))
    }
}

/// Returns the web process in the output of `bin/release`, quoted or not.
fn web(yaml: &str) -> Option<String> {
    let line = yaml
        .lines()
        .find_map(|line| line.trim().strip_prefix("web:"))?;
    let value = line.trim();
    Some(serde_json::from_str(value).unwrap_or_else(|_| value.to_owned()))
}

/// Returns the longest step that installs a toolchain, since all start together. In seconds, from Mixpack's report in
/// the cache.
fn toolchain_phase(cache: &Path) -> Option<f64> {
    let text = fs::read(cache.join("mixpack/report.json")).ok()?;
    let facts: Value = serde_json::from_slice(&text).ok()?;
    ["erlang", "elixir", "node"]
        .iter()
        .filter_map(|tool| facts.get(format!("{tool}_duration"))?.as_f64())
        .reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_process_may_be_quoted() {
        let yaml = "---\naddons: []\ndefault_process_types:\n  web: elixir --sname s -S mix x\n";
        assert_eq!(web(yaml).unwrap(), "elixir --sname s -S mix x");
        assert_eq!(
            web("  web: \"mix phx.server\"\n").unwrap(),
            "mix phx.server"
        );
        assert_eq!(web("--- {}\n"), None);
    }

    #[test]
    fn toolchain_phase_is_longest_toolchain_step() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(toolchain_phase(dir.path()), None);
        fs::create_dir(dir.path().join("mixpack")).unwrap();
        let facts = r#"{"erlang_duration": 1.5, "node_duration": 2.25, "deps_duration": 9.0}"#;
        fs::write(dir.path().join("mixpack/report.json"), facts).unwrap();
        assert_eq!(toolchain_phase(dir.path()), Some(2.25));
    }

    fn git(dir: &Path, args: &[&str]) {
        run(Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"])
            .arg(dir)
            .args(args))
        .unwrap();
    }

    #[test]
    fn executable_of_earlier_commit_comes_from_git() {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        let executable = repository.join("bin").join(EXECUTABLE_NAME);
        fs::create_dir_all(repository.join("bin")).unwrap();
        git(&repository, &["init", "--quiet"]);
        for text in ["one", "two"] {
            fs::write(&executable, text).unwrap();
            git(&repository, &["add", "."]);
            git(&repository, &["commit", "--quiet", "--message", text]);
        }
        let at = |commit| Mixpack::at_commit(&repository, commit, &dir.path().join(commit));
        let earlier = at("HEAD^").unwrap();
        assert_eq!(fs::read_to_string(earlier.executable).unwrap(), "one");
        assert!(earlier.name.starts_with("Mixpack at "), "{}", earlier.name);
        assert!(at("v9").is_err());
    }

    #[test]
    fn rejects_buildpack_with_uncommitted_changes() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| git(dir.path(), args);
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/compile"), "").unwrap();
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "--message", "one"]);
        assert_eq!(Pack::at(dir.path()).unwrap().commit.len(), 12);
        fs::write(dir.path().join("bin/compile"), "changed").unwrap();
        assert!(
            Pack::at(dir.path())
                .unwrap_err()
                .to_string()
                .contains("changed")
        );
    }
}

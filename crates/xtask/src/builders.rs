//! What `pack build` works with: `pack` itself, and in Docker's store a build image like Heroku's,
//! a bare run image, and builders of the two that hold the lifecycle and no buildpack.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::docker::Daemon;
use crate::go_tools::{self, Module};
use crate::parts::{Parts, stamp_of, step};
use crate::process::{Result, run};
use crate::toolchains::{Places, lock};

const RECIPE: &str = include_str!("builders.rs");
const GO_RECIPE: [&str; 3] = [
    include_str!("go_tools.rs"),
    include_str!("parts.rs"),
    include_str!("process.rs"),
];
const PACK_RECIPE: [&str; 2] = [
    include_str!("../go/pack/go.mod"),
    include_str!("../go/pack/go.sum"),
];
const LIFECYCLE_RECIPE: [&str; 2] = [
    include_str!("../go/lifecycle/go.mod"),
    include_str!("../go/lifecycle/go.sum"),
];

/// Names the recipe that an image was made from. A builder has that of its build image.
const STAMP_LABEL: &str = "io.mixpack.test.stamp";

/// The lifecycle's client of Docker takes no older API unless it is told to.
const OLDEST_API: (u32, u32) = (1, 44);

/// The `heroku` user of Heroku's images, and its home, which the classic images have not.
const USER: u32 = 1000;
const HOME: &str = "home/heroku";

/// What the images are called, and which system their labels and variables name: the one that they
/// really are, and one by which the newest builds of Erlang are chosen.
const DISTROS: [Distro; 2] = [
    Distro {
        suffix: "",
        name: "debian",
        version: "13",
    },
    Distro {
        suffix: "-ubuntu-24.04",
        name: "ubuntu",
        version: "24.04",
    },
];

struct Distro {
    suffix: &'static str,
    name: &'static str,
    version: &'static str,
}

impl Distro {
    /// `build`, `run` or `builder`.
    fn image(&self, kind: &str) -> String {
        format!("mixpack-test/{kind}{}", self.suffix)
    }

    fn labels(&self) -> String {
        format!(
            "LABEL io.buildpacks.base.distro.name={} io.buildpacks.base.distro.version={}",
            self.name, self.version
        )
    }

    fn variables(&self) -> String {
        format!(
            "ENV CNB_TARGET_DISTRO_NAME={} CNB_TARGET_DISTRO_VERSION={}",
            self.name, self.version
        )
    }
}

/// Makes what is missing or was made by another recipe. Gives the daemon, for as long as it is
/// needed; or why this machine has no Docker, or no Go to build `pack` with. Needs root, and the
/// root filesystems of [`crate::toolchains::make`].
pub(crate) fn make() -> Result<std::result::Result<Daemon, String>> {
    let places = Places::of_this_workspace()?;
    let dir = places.all().join("cloud-native");
    fs::create_dir_all(&dir)?;
    let _lock = lock(&places)?;
    let module = places.root().join("crates/xtask/go/lifecycle");
    let found = Module::open(module).and_then(|lifecycle| {
        let daemon = Daemon::find_or_start(&dir.join("dockerd.log"))?;
        Ok((lifecycle, daemon))
    });
    let (lifecycle, daemon) = match found {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let parts = Parts::at(&dir)?;
    let pack = make_pack(&places, &parts)?;
    let recipe = [&GO_RECIPE[..], &LIFECYCLE_RECIPE].concat();
    let what = "The lifecycle, from its Go module";
    let lifecycle = parts.part("lifecycle", what, &recipe, |work, result| {
        go_tools::lifecycle(&lifecycle, work, result)
    })?;
    let images = Images {
        stack: places.stack().canonicalize()?,
        bare: places.bare().canonicalize()?,
        pack,
        lifecycle: lifecycle.join("lifecycle.tgz"),
        api: daemon
            .api_is_older_than(OLDEST_API)
            .then_some(daemon.api.as_str()),
        work: &dir,
    };
    images.make()?;
    Ok(Ok(daemon))
}

/// Gives the path of `pack`, and builds it if it is missing.
pub(crate) fn pack() -> Result<PathBuf> {
    let places = Places::of_this_workspace()?;
    let dir = places.all().join("cloud-native");
    fs::create_dir_all(&dir)?;
    let _lock = lock(&places)?;
    make_pack(&places, &Parts::at(&dir)?)
}

fn make_pack(places: &Places, parts: &Parts) -> Result<PathBuf> {
    let module = Module::open(places.root().join("crates/xtask/go/pack"))?;
    let recipe = [&GO_RECIPE[..], &PACK_RECIPE].concat();
    let made = parts.part("pack", "pack, from its Go module", &recipe, |_, result| {
        go_tools::pack(&module, result)
    })?;
    Ok(made.join("pack"))
}

struct Images<'a> {
    /// Root filesystems.
    stack: PathBuf,
    bare: PathBuf,
    pack: PathBuf,
    lifecycle: PathBuf,
    /// The version of Docker's API that the lifecycle is to be told.
    api: Option<&'a str>,
    work: &'a Path,
}

impl Images<'_> {
    fn make(&self) -> Result {
        let stamp = self.stamp()?;
        let all: Vec<String> = DISTROS
            .iter()
            .flat_map(|distro| ["builder", "build", "run"].map(|kind| distro.image(kind)))
            .collect();
        if all.iter().all(|image| has_stamp(image, &stamp)) {
            return Ok(());
        }
        step("Builders for pack", || {
            for image in &all {
                // Those that are not there yet.
                let _ = docker(&["image", "rm", image]);
            }
            let [own, others @ ..] = &DISTROS;
            self.import(&self.stack, own, "build", &stamp)?;
            self.import(&self.bare, own, "run", &stamp)?;
            for other in others {
                relabel(own, other, "build")?;
                relabel(own, other, "run")?;
            }
            for distro in &DISTROS {
                self.builder(distro)?;
            }
            Ok(())
        })
    }

    fn stamp(&self) -> Result<String> {
        let mut inputs = String::new();
        // The two root filesystems are one part.
        for made in [&self.stack, &self.lifecycle] {
            let part = made.parent().ok_or("a part has a directory")?;
            inputs.push_str(&fs::read_to_string(part.join("stamp"))?);
        }
        Ok(stamp_of(&[RECIPE, &inputs, self.api.unwrap_or_default()]))
    }

    /// Makes an image of one layer from a root filesystem.
    fn import(&self, root: &Path, distro: &Distro, kind: &str, stamp: &str) -> Result {
        let work = tempfile::TempDir::with_prefix_in("work-", self.work)?;
        let archive = work.path().join("root.tar");
        let beside = work.path().join("beside");
        fs::create_dir_all(beside.join(HOME))?;
        chown(beside.join(HOME), Some(USER), Some(USER))?;
        fs::create_dir(beside.join("etc"))?;
        let passwd = fs::read_to_string(root.join("etc/passwd"))?;
        fs::write(
            beside.join("etc/passwd"),
            passwd.replace(":/app:", &format!(":/{HOME}:")),
        )?;
        // Docker takes no archive that has a file twice.
        run(Command::new("tar")
            .arg("--create")
            .arg("--file")
            .arg(&archive)
            .arg("--exclude=./etc/passwd")
            .arg("--directory")
            .arg(root)
            .arg("."))?;
        run(Command::new("tar")
            .arg("--append")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(beside)
            .args([&format!("./{HOME}"), "./etc/passwd"]))?;
        let mut variables = format!("ENV CNB_USER_ID={USER} CNB_GROUP_ID={USER}");
        if let Some(api) = self.api {
            write!(variables, " DOCKER_API_VERSION={api}")?;
        }
        let mut command = Command::new("docker");
        command.arg("import");
        for change in [
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            &variables,
            &distro.variables(),
            &distro.labels(),
            &format!("LABEL {STAMP_LABEL}={stamp}"),
            &format!("USER {USER}:{USER}"),
        ] {
            command.args(["--change", change]);
        }
        run(command.arg(&archive).arg(distro.image(kind)))?;
        Ok(())
    }

    fn builder(&self, distro: &Distro) -> Result {
        let work = tempfile::TempDir::with_prefix_in("work-", self.work)?;
        let config = work.path().join("builder.toml");
        let text = format!(
            "[build]\nimage = {:?}\n\n[[run.images]]\nimage = {:?}\n\n[lifecycle]\nuri = {:?}\n",
            distro.image("build"),
            distro.image("run"),
            self.lifecycle.display().to_string(),
        );
        fs::write(&config, text)?;
        run(Command::new(&self.pack)
            .args(["builder", "create", &distro.image("builder")])
            .arg("--config")
            .arg(&config)
            .args(["--pull-policy", "never"])
            .env("PACK_HOME", work.path()))?;
        Ok(())
    }
}

/// The same image with the labels and variables of another system.
fn relabel(own: &Distro, other: &Distro, kind: &str) -> Result {
    let container = docker(&["create", &own.image(kind), "true"])?;
    let container = container.trim();
    let committed = docker(&[
        "commit",
        "--change",
        &other.variables(),
        "--change",
        &other.labels(),
        container,
        &other.image(kind),
    ]);
    docker(&["rm", container])?;
    committed?;
    Ok(())
}

fn has_stamp(image: &str, stamp: &str) -> bool {
    let label = format!("{{{{index .Config.Labels {STAMP_LABEL:?}}}}}");
    docker(&["image", "inspect", "--format", &label, image]).is_ok_and(|said| said.trim() == stamp)
}

fn docker(args: &[&str]) -> Result<String> {
    run(Command::new("docker").args(args).stdin(Stdio::null()))
}

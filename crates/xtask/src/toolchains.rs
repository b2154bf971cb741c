//! `cargo xtask toolchains`: real Erlang, Elixir, Node, rebar3 and a stand-in for Hex in
//! upstream's URL layout, images to build and run in, and `PostgreSQL`, below
//! `target/test-toolchains`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use mirror::{Stack, git_package, hex_package, layout};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::debian::Suite;
use crate::parts::{Parts, remove_left_over, stamp_of, step, tree_text};
use crate::process::Result;
use crate::publish::{Line, Tree};
use crate::toolbox::Toolbox;
use crate::{elixir, node, otp, postgres, stack_image};

const RECIPES: [&str; 4] = [
    include_str!("archive.rs"),
    include_str!("debian.rs"),
    include_str!("parts.rs"),
    include_str!("process.rs"),
];
const STACK_RECIPE: &str = include_str!("stack_image.rs");
const OTP_RECIPE: [&str; 3] = [
    include_str!("otp.rs"),
    include_str!("../templates/Install"),
    include_str!("../templates/format_man_pages"),
];
const ELIXIR_RECIPE: &str = include_str!("elixir.rs");
const POSTGRES_RECIPE: &str = include_str!("postgres.rs");
const NODE_RECIPE: &str = include_str!("node.rs");
const TOOLBOX_RECIPE: &str = include_str!("toolbox.rs");
const PUBLISH_RECIPE: [&str; 2] = [include_str!("publish.rs"), include_str!("toolchains.rs")];

const MIRROR_WORK: &str = "mirror-work-";

/// Debian's suites, oldest first: bookworm has Erlang 25 and Elixir 1.14, trixie 27 and 1.18.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// Where `cargo xtask toolchains` puts what it makes.
pub(crate) struct Places {
    workspace: PathBuf,
}

impl Places {
    pub(crate) fn of_this_workspace() -> Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        Ok(Self { workspace })
    }

    /// The repository.
    pub(crate) fn root(&self) -> &Path {
        &self.workspace
    }

    pub(crate) fn all(&self) -> PathBuf {
        self.workspace.join("target/test-toolchains")
    }

    /// The static tree to serve.
    pub(crate) fn mirror(&self) -> PathBuf {
        self.all().join("mirror")
    }

    /// The root filesystem to build in.
    pub(crate) fn stack(&self) -> PathBuf {
        self.all().join("stack")
    }

    /// The bare root filesystem.
    pub(crate) fn bare(&self) -> PathBuf {
        self.all().join("bare")
    }

    /// `PostgreSQL`.
    fn postgres(&self) -> PathBuf {
        self.all().join("postgres")
    }
}

/// Held by one process at a time: two of these at once would do everything twice.
pub(crate) fn lock(places: &Places) -> Result<File> {
    let lock = File::create(places.all().join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Makes what is missing or was made by another recipe, without Docker.
pub(crate) fn make() -> Result {
    if !geteuid().is_root() {
        return as_root();
    }
    let places = Places::of_this_workspace()?;
    let all = places.all();
    fs::create_dir_all(&all)?;
    let _lock = lock(&places)?;
    remove_left_over(&all, MIRROR_WORK)?;

    let maker = Maker {
        parts: Parts::at(&all.join("parts"))?,
        places,
    };
    maker.images()?;
    maker.postgres()?;
    maker.mirror()?;
    println!("Test toolchains are up to date in {}", all.display());
    Ok(())
}

fn as_root() -> Result {
    println!("Making a root filesystem needs root: continuing with sudo");
    let status = Command::new("sudo")
        .arg("--preserve-env")
        .arg(std::env::current_exe()?)
        .arg("toolchains")
        .status()
        .map_err(|error| format!("this needs root, and sudo cannot be run: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("sudo ended with {status}").into())
    }
}

struct Maker {
    places: Places,
    parts: Parts,
}

impl Maker {
    fn images(&self) -> Result {
        let part = self.parts.part(
            "stack",
            "Stack image and a bare one from Debian trixie",
            &[STACK_RECIPE],
            |_, result| stack_image::make(&result.join("root"), &result.join("bare")),
        )?;
        link(&part.join("root"), &self.places.stack())?;
        link(&part.join("bare"), &self.places.bare())
    }

    fn postgres(&self) -> Result {
        let recipe = [&RECIPES[..], &[POSTGRES_RECIPE]].concat();
        let part = self.parts.part(
            "postgres",
            "PostgreSQL from Debian trixie",
            &recipe,
            |work, result| {
                let suite = Suite::open(&work.join("apt"), "trixie")?;
                postgres::make(&suite, work, result)
            },
        )?;
        link(&part, &self.places.postgres())
    }

    /// Gives directories with `NAME.tar.gz` and, for the newest, `installed/NAME.tar.gz`.
    fn otp(&self, suite: &str) -> Result<PathBuf> {
        let recipe = [&RECIPES[..], &OTP_RECIPE].concat();
        let what = format!("Erlang/OTP from Debian {suite}");
        self.parts
            .part(&format!("otp-{suite}"), &what, &recipe, |work, result| {
                let tree = otp::Tree::make(&Suite::open(&work.join("apt"), suite)?, work)?;
                tree.pack(&result.join(format!("{}.tar.gz", tree.name)))?;
                if Some(&suite) == SUITES.last() {
                    let installed = result.join("installed");
                    fs::create_dir(&installed)?;
                    let archive = installed.join(format!("{}.tar.gz", tree.name));
                    tree.pack_installed(&archive)?;
                }
                Ok(())
            })
    }

    /// Gives a directory with `VERSION.zip` and `rebar3-VERSION`.
    fn elixir(&self, suite: &str) -> Result<PathBuf> {
        let recipe = [&RECIPES[..], &[ELIXIR_RECIPE]].concat();
        let what = format!("Elixir and rebar3 from Debian {suite}");
        self.parts.part(
            &format!("elixir-{suite}"),
            &what,
            &recipe,
            |work, result| {
                let tree = elixir::Tree::make(&Suite::open(&work.join("apt"), suite)?, work)?;
                tree.pack(&result.join(format!("{}.zip", tree.version)))?;
                tree.copy_rebar3(&result.join(format!("rebar3-{}", tree.rebar3_version)))
            },
        )
    }

    fn node(&self, node: &node::Node) -> Result<PathBuf> {
        let recipe = [&RECIPES[..], &[NODE_RECIPE]].concat();
        let what = format!("Node {} from the npm registry", node.version);
        let name = node.name();
        let part = self.parts.part(&name, &what, &recipe, |work, result| {
            node.make(work, &result.join(format!("{name}.tar.gz")))
        })?;
        Ok(part.join(format!("{name}.tar.gz")))
    }

    /// Builds the stand-in for Hex with the toolchain of one suite, and proves that all of this
    /// toolchain runs. Gives a directory with `hex-VERSION.ez`.
    fn hex(&self, suite: &str, beam: &Beam, nodes: &[PathBuf]) -> Result<PathBuf> {
        let sources = self.places.workspace.join("fixtures/standins/hex");
        let inputs = tree_text(&sources)?;
        let recipe = [
            &RECIPES[..],
            &OTP_RECIPE,
            &[
                STACK_RECIPE,
                ELIXIR_RECIPE,
                NODE_RECIPE,
                TOOLBOX_RECIPE,
                &inputs,
            ],
        ]
        .concat();
        let what = format!(
            "Hex stand-in, built with and proving {} and Elixir {}",
            beam.otp_name, beam.elixir_version
        );
        self.parts
            .part(&format!("hex-{suite}"), &what, &recipe, |_, result| {
                let stack = Stack::at(self.places.stack())?;
                let tools = Toolbox::install(&stack, &beam.otp, &beam.elixir)?;
                let archive = tools.archive_of(&sources)?;
                let name = archive.file_name().ok_or("the archive has no name")?;
                fs::copy(&archive, result.join(name))?;

                expect(
                    &tools.run("/tmp", "elixir", &["--version"])?,
                    &beam.elixir_version,
                )?;
                tools.run("/tmp", "mix", &["new", "proof"])?;
                tools.run("/tmp/proof", "mix", &["compile", "--warnings-as-errors"])?;
                tools.bring(&beam.rebar3, "rebar3")?;
                expect(
                    &tools.run("/tmp", "escript", &["rebar3", "version"])?,
                    &beam.rebar3_version,
                )?;
                for node in nodes {
                    tools.add_node(node)?;
                    tools.run("/tmp", "node", &["--version"])?;
                    tools.run("/tmp", "npm", &["view", "is-number", "version"])?;
                }
                Ok(())
            })
    }

    fn mirror(&self) -> Result {
        let beams = SUITES
            .iter()
            .map(|suite| Beam::find(&self.otp(suite)?, &self.elixir(suite)?))
            .collect::<Result<Vec<_>>>()?;
        let nodes = node::VERSIONS
            .iter()
            .map(|node| self.node(node))
            .collect::<Result<Vec<_>>>()?;
        let hexes = SUITES
            .iter()
            .zip(&beams)
            .map(|(suite, beam)| Hex::find(&self.hex(suite, beam, &nodes)?))
            .collect::<Result<Vec<_>>>()?;

        let fixtures = self.places.workspace.join("fixtures");
        let inputs = [
            tree_text(&fixtures.join("packages"))?,
            tree_text(&fixtures.join("packages-git"))?,
            stamps(&self.places.all().join("parts"))?,
        ]
        .concat();
        let stamp = self.places.all().join("mirror.stamp");
        let made_from = stamp_of(&[&PUBLISH_RECIPE[..], &[&inputs]].concat());
        if self.places.mirror().is_dir()
            && fs::read_to_string(&stamp).is_ok_and(|made| made == made_from)
        {
            return Ok(());
        }
        fs::remove_file(&stamp).or_else(absent_is_fine)?;
        step("Lists, packages and git repositories", || {
            let work = TempDir::with_prefix_in(MIRROR_WORK, self.places.all())?;
            let root = work.path().join("mirror");
            fs::create_dir(&root)?;
            publish(&Tree::new(root.clone()), &beams, &hexes, &nodes, &fixtures)?;
            layout::check(&root)?;
            // One step from the old tree to the new; what is left in `work` goes away.
            let mirror = self.places.mirror();
            if mirror.is_dir() {
                renameat_with(CWD, &root, CWD, &mirror, RenameFlags::EXCHANGE)?;
            } else {
                fs::rename(&root, &mirror)?;
            }
            Ok(())
        })?;
        fs::write(stamp, made_from)?;
        Ok(())
    }
}

fn publish(
    tree: &Tree,
    beams: &[Beam],
    hexes: &[Hex],
    nodes: &[PathBuf],
    fixtures: &Path,
) -> Result {
    let [old, new] = beams else {
        return Err("there are two suites".into());
    };
    tree.otp(&old.otp, &old.otp_name, "ubuntu-22.04", Line::ThreeFields)?;
    tree.otp(&old.otp, &old.otp_name, "ubuntu-24.04", Line::FourFields)?;
    tree.otp(&new.otp, &new.otp_name, "ubuntu-24.04", Line::FourFields)?;
    if let Some(installed) = &new.installed_otp {
        tree.erlef_otp(installed, &["maint", &new.otp_name], "ubuntu-24.04")?;
    }

    let plain = format!("v{}", old.elixir_version);
    tree.elixir(&old.elixir, &plain, "")?;
    tree.elixir(&old.elixir, &format!("{plain}-otp-{}", old.otp_major()), "")?;
    let suffixed = format!("v{}-otp-{}", new.elixir_version, new.otp_major());
    tree.elixir(&new.elixir, &suffixed, " ")?;

    let [old_hex, new_hex] = hexes else {
        return Err("there are two builds of Hex".into());
    };
    let new_otp = Some(new.otp_major());
    tree.installer(&old_hex.file, "hex", &old_hex.version, "1.14.0", None)?;
    tree.installer(&new_hex.file, "hex", &new_hex.version, "1.18.0", new_otp)?;
    tree.installer(&old.rebar3, "rebar3", &old.rebar3_version, "1.14.0", None)?;
    tree.installer(
        &new.rebar3,
        "rebar3",
        &new.rebar3_version,
        "1.18.3",
        new_otp,
    )?;

    for (node, file) in node::VERSIONS.iter().zip(nodes) {
        tree.node(file, node.version, &node.name())?;
    }
    tree.write("dist/index.json", node::index())?;

    let packages = hex_package::pack_all(&fixtures.join("packages"))?;
    for package in &packages {
        tree.write(
            &format!("hex/tarballs/{}", package.file_name()),
            &package.tarball,
        )?;
        let releases = packages.iter().filter(|other| other.name == package.name);
        let entry = hex_package::registry_entry(releases);
        tree.write(&format!("hex/packages/{}", package.name), entry)?;
    }
    for source in fs::read_dir(fixtures.join("packages-git"))? {
        let source = source?;
        let name = source.file_name().to_string_lossy().into_owned();
        git_package::make_bare(&source.path(), &tree.path(&format!("git/{name}.git")))?;
    }
    Ok(())
}

/// The Erlang, Elixir and rebar3 of one suite.
struct Beam {
    otp: PathBuf,
    otp_name: String,
    installed_otp: Option<PathBuf>,
    elixir: PathBuf,
    elixir_version: String,
    rebar3: PathBuf,
    rebar3_version: String,
}

impl Beam {
    fn find(otp_part: &Path, elixir_part: &Path) -> Result<Self> {
        let (otp, otp_name) = only(otp_part, "", ".tar.gz")?;
        let (elixir, elixir_version) = only(elixir_part, "", ".zip")?;
        let (rebar3, rebar3_version) = only(elixir_part, "rebar3-", "")?;
        let installed = otp_part
            .join("installed")
            .join(format!("{otp_name}.tar.gz"));
        Ok(Self {
            otp,
            otp_name,
            installed_otp: installed.exists().then_some(installed),
            elixir,
            elixir_version,
            rebar3,
            rebar3_version,
        })
    }

    /// As in `27`.
    fn otp_major(&self) -> &str {
        let version = self.otp_name.trim_start_matches("OTP-");
        version.split('.').next().unwrap_or(version)
    }
}

struct Hex {
    file: PathBuf,
    version: String,
}

impl Hex {
    fn find(part: &Path) -> Result<Self> {
        let (file, version) = only(part, "hex-", ".ez")?;
        Ok(Self { file, version })
    }
}

/// The one file in `dir` that is named `PREFIX…SUFFIX`, and what is between.
fn only(dir: &Path, prefix: &str, suffix: &str) -> Result<(PathBuf, String)> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let middle = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix));
        if let Some(middle) = middle {
            return Ok((path.clone(), middle.to_owned()));
        }
    }
    Err(format!("no {prefix}*{suffix} in {}", dir.display()).into())
}

fn stamps(parts: &Path) -> Result<String> {
    let mut stamps = Vec::new();
    for part in fs::read_dir(parts)? {
        let part = part?.path();
        if let Ok(stamp) = fs::read_to_string(part.join("stamp")) {
            stamps.push(format!("{} {stamp}\n", part.display()));
        }
    }
    stamps.sort();
    Ok(stamps.concat())
}

fn expect(output: &str, part: &str) -> Result {
    if output.contains(part) {
        Ok(())
    } else {
        Err(format!("expected {part:?} in {output:?}").into())
    }
}

/// A link to a part, so that what is made anew takes the old one's place in one step.
fn link(part: &Path, place: &Path) -> Result {
    let beside = place.with_extension("new");
    fs::remove_file(&beside).or_else(absent_is_fine)?;
    std::os::unix::fs::symlink(part, &beside)?;
    fs::rename(&beside, place)?;
    Ok(())
}

pub(crate) fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_part_file_by_prefix_and_suffix() {
        let dir = TempDir::new().unwrap();
        for name in ["stamp", "1.18.3.zip", "rebar3-3.24.0"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(only(dir.path(), "", ".zip").unwrap().1, "1.18.3");
        let (file, version) = only(dir.path(), "rebar3-", "").unwrap();
        assert_eq!(
            (file.file_name().unwrap().to_str(), &*version),
            (Some("rebar3-3.24.0"), "3.24.0")
        );
        assert!(only(dir.path(), "hex-", ".ez").is_err());
    }

    #[test]
    fn mirror_stamp_changes_with_each_part() {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("otp")).unwrap();
        fs::write(dir.path().join("otp/stamp"), "one").unwrap();
        let one = stamps(dir.path()).unwrap();
        fs::write(dir.path().join("otp/stamp"), "two").unwrap();
        assert_ne!(one, stamps(dir.path()).unwrap());
    }
}

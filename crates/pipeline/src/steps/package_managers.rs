//! Installs yarn, pnpm, bun, or an npm other than Node's: from the store, or from the npm registry with the build's
//! npm.

use crate::command_env;
use crate::context::Context;
use crate::fetched::Fetched;
use app::Origin;
use app::facts::Manager;
use app::plan::{BunCpu, PackageManager};
use exec::Action;
use exec::command::Tool;
use exec::log::StepLog;
use messages::Error;
use planning::preinstalled_node::installed_version;
use planning::record::Tools;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use store::tree::TreeError;
use store::{Key, Tool as Kept};
use versions::target::Arch;

/// Installs the package managers that don't come with Node.js. Returns their versions.
pub(crate) fn package_managers(ctx: &Context<'_>) -> Result<Tools, Error> {
    let mut tools = Tools::new();
    for manager in command_env::fetched_managers(ctx.plan) {
        if let Some(version) = &manager.version {
            let installed = package_manager(ctx, manager, version)?;
            tools.insert(manager.manager.to_string(), installed);
        }
    }
    Ok(tools)
}

fn package_manager(
    ctx: &Context<'_>,
    manager: &PackageManager,
    version: &str,
) -> Result<String, Error> {
    let package = manager.package(bun_cpu(ctx.plan.target.arch));
    let name = manager.manager;
    let log = ctx.log.step(&format!("Installing {name} {version}"));
    log.detail(&format!("requested by {}", manager.source));
    let spec = format!("{package}@{version}");
    let place = ctx
        .workspace
        .real(&command_env::manager_dir(ctx.workspace, name)?);
    let key: Key = [
        ("package", package),
        ("version", version),
        ("hash", manager.hash.as_deref().unwrap_or_default()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let store = ctx.workspace.store;
    let mut files = Vec::new();
    let result = store::tool(store, name.as_str(), &key, &place, |dest| {
        let sha512 = fetch(ctx, manager, package, &spec, dest, &log)?;
        files.push(Fetched {
            name: format!("{name} {version}"),
            uri: format!("pkg:npm/{}@{version}", package.replace('@', "%40")),
            mirror: None,
            digest: [("sha512".to_owned(), sha512)].into(),
        });
        Ok::<_, Error>(())
    })?;
    ctx.fetched
        .add(store, name.as_str(), (&result, &key), files);
    match result {
        Kept::Made => {}
        Kept::Reused => log.detail("restored from cache"),
        Kept::Remade(reason) => {
            log.warning(&format!("the cached copy is invalid: {reason}"));
        }
    }
    let installed = installed_version(&place.join("lib/node_modules").join(package));
    let installed = installed.unwrap_or_else(|| version.to_owned());
    log.detail(&format!("{name} {installed}"));
    Ok(installed)
}

/// Installs a package manager with npm, which checks the registry's sha512. A hash in `packageManager` is checked
/// here. Returns the archive's SHA-512 in hex.
fn fetch(
    ctx: &Context<'_>,
    manager: &PackageManager,
    package: &str,
    spec: &str,
    dest: &Path,
    log: &StepLog<'_>,
) -> Result<String, Error> {
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let archive = fetch_program(ctx, spec, &manager.source, scratch.path(), dest, log)?;
    let bytes = fs::read(&archive).map_err(TreeError::at(&archive, "read"))?;
    let sha512 = hex::encode(Sha512::digest(bytes));
    let installed = dest.join("lib/node_modules").join(package);
    if let Some(hash) = &manager.hash {
        // Yarn 2 and newer are a single file, and corepack hashes that file.
        let hashed = if manager.berry {
            installed.join("bin/yarn.js")
        } else {
            archive
        };
        check(hash, &hashed, spec, manager, log)?;
    }
    if manager.manager == Manager::Bun {
        // bun's package for each system contains the executable, but no `bin`.
        let bin = dest.join("bin");
        fs::create_dir_all(&bin).map_err(TreeError::at(&bin, "create the folder"))?;
        let target = Path::new("../lib/node_modules")
            .join(package)
            .join("bin/bun");
        let link = bin.join("bun");
        symlink(target, &link).map_err(TreeError::at(&link, "make the link"))?;
    }
    Ok(sha512)
}

/// Installs a program from the npm registry into `dest`, with its executables in `bin`. Returns the path of its
/// archive, in `folder`.
pub(crate) fn fetch_program(
    ctx: &Context<'_>,
    spec: &str,
    requester: &Origin,
    folder: &Path,
    dest: &Path,
    log: &StepLog<'_>,
) -> Result<PathBuf, Error> {
    // The program is cached as it was installed, so that its archive isn't needed again.
    let downloads =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let cache = format!("--cache={}", downloads.path().display());
    let npm = |args: &[&str], shown: String| {
        let mut tool = Tool::new("npm", &[args, &[&cache]].concat(), folder, &ctx.env);
        tool.shown = shown;
        let action = Action::PackageManager {
            spec: spec.to_owned(),
            origin: requester.clone(),
        };
        ctx.run_tool(action, &tool, log)
    };
    // Only errors: the default lists every packed file, and `--silent` also hides the reason for a failure.
    let pack = ["pack", spec, "--loglevel=error"];
    npm(&pack, format!("npm pack {spec}"))?;
    let archive = only_file(folder).map_err(TreeError::at(folder, "find the package in"))?;
    // npm's new directory comes first on PATH, but doesn't exist yet.
    fs::create_dir_all(dest).map_err(TreeError::at(dest, "create the folder"))?;
    let (archive_name, prefix) = (archive.to_string_lossy(), dest.to_string_lossy());
    let args = [
        "install",
        "--global",
        "--ignore-scripts",
        "--prefix",
        &prefix,
        &archive_name,
    ];
    npm(&args, format!("npm install --global {spec}"))?;
    Ok(archive)
}

fn only_file(folder: &Path) -> std::io::Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next();
    entry
        .unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()))
        .map(|e| e.path())
}

/// `hash` is `ALGORITHM.HEX`, the form of `packageManager`.
fn check(
    hash: &str,
    file: &Path,
    spec: &str,
    manager: &PackageManager,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    let (algorithm, expected) = hash.split_once('.').unwrap_or((hash, ""));
    let bytes = fs::read(file).map_err(TreeError::at(file, "read"))?;
    let digest = match algorithm {
        "sha224" => Sha224::digest(&bytes).to_vec(),
        "sha256" => Sha256::digest(&bytes).to_vec(),
        "sha384" => Sha384::digest(&bytes).to_vec(),
        "sha512" => Sha512::digest(&bytes).to_vec(),
        other => {
            log.warning(&format!(
                "the hash of packageManager is a {other}, which is not checked; the registry's sha512 is"
            ));
            return Ok(());
        }
    };
    let mut found = String::new();
    for byte in digest {
        let _ = write!(found, "{byte:02x}");
    }
    if found.eq_ignore_ascii_case(expected) {
        log.detail(&format!("{algorithm} of packageManager verified"));
        return Ok(());
    }
    Err(Error::ManagerHash {
        spec: spec.to_owned(),
        origin: manager.source.clone(),
        algorithm: algorithm.to_owned(),
        expected: expected.to_owned(),
        found,
    })
}

/// Returns the executable of bun for this machine.
fn bun_cpu(arch: Arch) -> BunCpu {
    match arch {
        Arch::Arm64 => BunCpu::Aarch64,
        Arch::Amd64 => {
            let avx2 = fs::read_to_string("/proc/cpuinfo")
                .is_ok_and(|text| text.split_whitespace().any(|flag| flag == "avx2"));
            if avx2 {
                BunCpu::X64
            } else {
                BunCpu::X64Baseline
            }
        }
    }
}

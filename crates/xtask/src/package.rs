//! `cargo xtask package [DIR | --release TAG DIR]`: makes the packages of a release. For each architecture, there is
//! a tarball of the classic buildpack, for `heroku buildpacks:set URL` (contracts 1.6), and a `.cnb` file, for `pack
//! build --buildpack` and `pack buildpack register`.
//!
//! Packages are reproducible: entries are sorted, with one time, one owner and two modes.

mod files;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::builders;
use crate::dist::{self, ARCHITECTURES, Architecture};
use crate::process::{Result, run};
use crate::toolchains::Places;
use crate::version;
use files::Files;

/// The packaged files besides `bin/`, relative to the repository.
const BESIDE: [&str; 4] = [DESCRIPTOR, "CHANGELOG.md", "LICENSE", "README.md"];
const DESCRIPTOR: &str = "buildpack.toml";

#[derive(Debug, Deserialize)]
struct Descriptor {
    buildpack: Info,
}

#[derive(Debug, Deserialize)]
struct Info {
    version: String,
}

pub(crate) fn package(args: &[OsString]) -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    let is_dir = |dir: &OsString| !dir.as_encoded_bytes().starts_with(b"-");
    let (tag, dir) = match args {
        [] => (None, root.join("target/package")),
        [dir] if is_dir(dir) => (None, PathBuf::from(dir)),
        [option, tag, dir] if option == "--release" && is_dir(dir) => {
            (Some(tag.to_string_lossy()), PathBuf::from(dir))
        }
        _ => return Err("usage: cargo xtask package [DIR | --release TAG DIR]".into()),
    };
    dist::all_current(&root)?;
    let version = version::agrees(&root)?;
    if let Some(tag) = tag.as_ref().filter(|tag| **tag != format!("v{version}")) {
        return Err(
            format!("the tag {tag} is not of version {version}, which Cargo.toml has").into(),
        );
    }
    let mut files = write(&root, &dir)?;
    if tag.is_some() {
        files.extend(add_notes(&root, &version, &dir, &files)?);
    }
    for file in files {
        println!("{}: {} bytes", file.display(), file.metadata()?.len());
    }
    Ok(())
}

/// Writes the checksums of the packages, in the format of `sha256sum --check`, and this version's section of
/// the changelog.
fn add_notes(root: &Path, version: &str, dir: &Path, packages: &[PathBuf]) -> Result<[PathBuf; 2]> {
    let mut sums = String::new();
    for package in packages {
        let digest = hex::encode(Sha256::digest(fs::read(package)?));
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        writeln!(sums, "{digest}  {name}")?;
    }
    let changes = fs::read_to_string(root.join("CHANGELOG.md"))?;
    let notes = version::notes(&changes, version);
    let notes = notes.ok_or_else(|| format!("CHANGELOG.md says nothing of {version}"))?;
    let written = [("SHA256SUMS", sums), ("notes.md", format!("{notes}\n"))];
    for (name, text) in &written {
        fs::write(dir.join(name), text)?;
    }
    Ok(written.map(|(name, _)| dir.join(name)))
}

/// Writes all packages of the repository at `root` to `dir`. Returns their paths.
fn write(root: &Path, dir: &Path) -> Result<Vec<PathBuf>> {
    let pack = builders::pack()?;
    let mut written = Vec::new();
    for architecture in ARCHITECTURES {
        let executable = root.join(architecture.shipped());
        written.push(tarball(root, architecture, &executable, dir)?);
        written.push(cnb(root, architecture, &executable, &pack, dir)?);
    }
    Ok(written)
}

/// Writes the tarball for one architecture to `dir`. Returns its path.
fn tarball(
    root: &Path,
    architecture: &Architecture,
    executable: &Path,
    dir: &Path,
) -> Result<PathBuf> {
    let files = files_for(root, architecture, executable)?;
    let path = dir.join(format!("{}.tgz", stem(root, architecture)?));
    fs::create_dir_all(dir)?;
    fs::write(&path, files.tar_gz()?)?;
    Ok(path)
}

/// Writes the `.cnb` file for one architecture to `dir`. Returns its path.
pub(crate) fn cnb(
    root: &Path,
    architecture: &Architecture,
    executable: &Path,
    pack: &Path,
    dir: &Path,
) -> Result<PathBuf> {
    let work = tempfile::tempdir()?;
    let buildpack = work.path().join("buildpack");
    files_for(root, architecture, executable)?.write(&buildpack)?;
    let config = work.path().join("package.toml");
    fs::write(
        &config,
        format!("[buildpack]\nuri = '{}'\n", buildpack.display()),
    )?;
    let path = dir.join(format!("{}.cnb", stem(root, architecture)?));
    run(Command::new(pack)
        .args(["buildpack", "package"])
        .arg(&path)
        .args(["--format", "file", "--config"])
        .arg(&config)
        .arg(format!("--target=linux/{}", architecture.name))
        .env("PACK_HOME", work.path()))?;
    Ok(path)
}

/// A package's name without its suffix.
fn stem(root: &Path, architecture: &Architecture) -> Result<String> {
    let text = fs::read_to_string(root.join(DESCRIPTOR))
        .map_err(|error| format!("{DESCRIPTOR}: {error}"))?;
    let descriptor: Descriptor = toml::from_str(&text)?;
    Ok(format!(
        "mixpack-{}-linux-{}",
        descriptor.buildpack.version, architecture.name
    ))
}

/// Returns the files of the repository that a machine of this architecture needs, with this executable.
fn files_for(root: &Path, architecture: &Architecture, executable: &Path) -> Result<Files> {
    let mut files = Files::default();
    for path in BESIDE {
        files.add(&root.join(path), Path::new(path))?;
    }
    let executables = ARCHITECTURES.map(Architecture::shipped);
    for entry in fs::read_dir(root.join("bin"))? {
        let path = Path::new("bin").join(entry?.file_name());
        if !executables.iter().any(|one| Path::new(one) == path) {
            files.add(&root.join(&path), &path)?;
        }
    }
    files.add(executable, Path::new(&architecture.shipped()))?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    use flate2::read::GzDecoder;
    use tar::Archive;
    use tempfile::TempDir;

    use super::*;

    const DESCRIPTION: &str = "[buildpack]\nversion = \"1.2.3\"\n";

    /// A repository with small executables, its files written in the order of `names`.
    fn repository(names: &[&str]) -> TempDir {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for name in names {
            let path = dir.path().join(name);
            let text = if *name == DESCRIPTOR {
                DESCRIPTION
            } else {
                name
            };
            fs::write(&path, text).unwrap();
            let mode = if name.starts_with("bin/") {
                0o700
            } else {
                0o600
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        dir
    }

    const NAMES: [&str; 7] = [
        "bin/compile",
        "bin/mixpack-linux-amd64",
        "bin/mixpack-linux-arm64",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        DESCRIPTOR,
    ];

    fn tarballs(repository: &TempDir, dir: &Path) -> Vec<PathBuf> {
        let root = repository.path();
        let write = |architecture: &'static Architecture| {
            tarball(root, architecture, &root.join(architecture.shipped()), dir).unwrap()
        };
        ARCHITECTURES.map(write).into()
    }

    fn packages(repository: &TempDir) -> BTreeMap<String, Vec<u8>> {
        let out = TempDir::new().unwrap();
        tarballs(repository, out.path())
            .into_iter()
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }

    type Entries = Vec<(String, u32, u64, Vec<u8>)>;

    /// The path, mode, time and content of each entry.
    fn entries(tar: &[u8]) -> Entries {
        Archive::new(tar)
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                let (mode, time) = (header.mode().unwrap(), header.mtime().unwrap());
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (path, mode, time, content)
            })
            .collect()
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    fn paths(entries: &Entries) -> Vec<(&str, u32)> {
        entries
            .iter()
            .map(|(path, mode, ..)| (&**path, *mode))
            .collect()
    }

    #[test]
    fn packages_are_reproducible() {
        let mut backwards = NAMES;
        backwards.reverse();
        let (one, two) = (repository(&NAMES), repository(&backwards));
        let readme = fs::File::open(two.path().join("README.md")).unwrap();
        readme
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let packages_of_one = packages(&one);
        assert_eq!(packages_of_one, packages(&two));
        assert_eq!(
            packages_of_one.keys().collect::<Vec<_>>(),
            [
                "mixpack-1.2.3-linux-amd64.tgz",
                "mixpack-1.2.3-linux-arm64.tgz",
            ]
        );
        fs::write(two.path().join("README.md"), "changed").unwrap();
        for (name, bytes) in packages(&two) {
            assert_ne!(packages_of_one[&name], bytes, "{name}");
        }
    }

    #[test]
    fn release_has_sha256sum_checksums_and_changelog_section() {
        let (root, dir) = (repository(&NAMES), TempDir::new().unwrap());
        let packages = tarballs(&root, dir.path());
        let notes = || add_notes(root.path(), "1.2.3", dir.path(), &packages);
        assert!(
            notes()
                .unwrap_err()
                .to_string()
                .contains("says nothing of 1.2.3")
        );
        let changes = "# Changes\n\n## [1.2.3] - 2026-11-28\n\n- All.\n";
        fs::write(root.path().join("CHANGELOG.md"), changes).unwrap();
        let [_, written] = notes().unwrap();
        assert_eq!(fs::read_to_string(written).unwrap(), "- All.\n");
        let check = || {
            let mut command = Command::new("sha256sum");
            command.args(["--check", "--strict", "SHA256SUMS"]);
            command.current_dir(dir.path()).output().unwrap()
        };
        let output = String::from_utf8(check().stdout).unwrap();
        assert_eq!(output.matches(": OK").count(), packages.len(), "{output}");
        fs::write(&packages[0], "other").unwrap();
        assert!(!check().status.success());
    }

    #[test]
    fn tarball_has_root_bin_and_executable_of_one_architecture() {
        let packages = packages(&repository(&NAMES));
        let entries = entries(&gunzip(&packages["mixpack-1.2.3-linux-arm64.tgz"]));
        assert_eq!(
            paths(&entries),
            [
                ("CHANGELOG.md", 0o644),
                ("LICENSE", 0o644),
                ("README.md", 0o644),
                ("bin/", 0o755),
                ("bin/compile", 0o755),
                ("bin/mixpack-linux-arm64", 0o755),
                ("buildpack.toml", 0o644),
            ]
        );
        assert_eq!(entries[5].3, b"bin/mixpack-linux-arm64");
    }

    #[test]
    fn unpacked_tarball_is_a_working_buildpack() {
        let root = Places::of_this_workspace().unwrap().root().to_owned();
        let architecture = if cfg!(target_arch = "aarch64") {
            &dist::ARM64
        } else {
            &dist::AMD64
        };
        let dir = TempDir::new().unwrap();
        let shipped = root.join(architecture.shipped());
        let files = files_for(&root, architecture, &shipped).unwrap();
        let tarball = files.tar_gz().unwrap();
        fs::write(dir.path().join("mixpack.tgz"), tarball).unwrap();
        // Like Heroku and herokuish, unpack it without stripping paths.
        let unpacked = Command::new("tar")
            .args(["-xzf", "mixpack.tgz"])
            .current_dir(&dir)
            .status();
        assert!(unpacked.unwrap().success());
        let detected = Command::new(dir.path().join("bin/detect"))
            .arg(root.join("fixtures/phoenix-npm"))
            .env_remove("MIXPACK_EXE")
            .output()
            .unwrap();
        assert_eq!(detected.stdout, b"Phoenix\n", "{detected:?}");
        assert!(detected.status.success());
    }
}

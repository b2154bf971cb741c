//! `cargo xtask dist`: the executables that ship in `bin/`, for stack images without cargo.
//!
//! They are linked statically with musl, and built with pinned tools. The build is reproducible in any directory.
//! Each executable contains the digest of its sources, which shows whether it is current. `cargo xtask dist --check`
//! also builds them again, from a copy of the sources in another directory, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mirror::layout::digest_of;
use sha2::Sha256;
use walkdir::WalkDir;

use crate::process::{Result, ensure, run};
use crate::toolchains::Places;

/// A processor architecture that Mixpack ships for.
pub(crate) struct Architecture {
    /// The name in Debian and container images.
    pub(crate) name: &'static str,
    target: &'static str,
    /// The compiler for the C parts of TLS. They don't use libc, so a compiler for glibc is fine.
    c_compiler: &'static str,
    /// The Debian packages that compiling requires, each with one of its files.
    needs: [(&'static str, &'static str); 2],
}

pub(crate) const AMD64: Architecture = Architecture {
    name: "amd64",
    target: "x86_64-unknown-linux-musl",
    c_compiler: "gcc",
    needs: [("gcc", "gcc"), ("/usr/include/stdint.h", "libc6-dev")],
};

pub(crate) const ARM64: Architecture = Architecture {
    name: "arm64",
    target: "aarch64-unknown-linux-musl",
    c_compiler: "aarch64-linux-gnu-gcc",
    needs: [
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        (
            "/usr/aarch64-linux-gnu/include/stdint.h",
            "libc6-dev-arm64-cross",
        ),
    ],
};

pub(crate) const ARCHITECTURES: [&Architecture; 2] = [&AMD64, &ARM64];

/// The crate of the executable.
const EXECUTABLE: &str = "mixpack";
/// The files of the repository that cargo needs, including workspace members that aren't built.
const SOURCES: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "crates",
    "docs",
    "tests",
];
/// Files outside `src` that the executable contains, and the code that embeds them.
const CONTENTS: [&str; 4] = [
    "crates/mixpack/build.rs",
    "crates/pipeline/build.rs",
    "docs/doctor.md",
    "docs/errors.md",
];
/// The maximum size of an executable, in bytes. A larger one makes every `git clone` of a platform slower.
const MAX_SIZE: u64 = 11 << 19;
/// Variables of the caller that would change the build, by prefix.
const UNWANTED: [&str; 11] = [
    "AR",
    "CARGO_BUILD_",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CC",
    "CFLAGS",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "TARGET_",
];

impl Architecture {
    /// The path of its executable, relative to the repository.
    pub(crate) fn shipped(&self) -> String {
        format!("bin/mixpack-linux-{}", self.name)
    }

    /// Installs missing build tools.
    fn ensure_tools(&self, root: &Path) -> Result {
        for (file, package) in self.needs {
            ensure(file, package)?;
        }
        let folder = run(in_repository("rustc", root).args([
            "--print",
            "target-libdir",
            "--target",
            self.target,
        ]))?;
        if !Path::new(folder.trim()).is_dir() {
            run(in_repository("rustup", root).args(["target", "add", self.target]))?;
        }
        Ok(())
    }
}

pub(crate) fn dist(args: &[OsString]) -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    match args {
        [] => ship(&root),
        [option] if option == "--check" => {
            all_current(&root)?;
            compare_with_another_folder(&root)
        }
        _ => Err("usage: cargo xtask dist [--check]".into()),
    }
}

fn ship(root: &Path) -> Result {
    let built = build(root, &ARCHITECTURES)?;
    for architecture in ARCHITECTURES {
        let built = &built[architecture.name];
        let size = built.metadata()?.len();
        let name = architecture.shipped();
        if size > MAX_SIZE {
            return Err(format!("{name} has {size} bytes, more than {MAX_SIZE}").into());
        }
        let shipped = root.join(&name);
        // Write a new file, so that a running executable isn't changed.
        let new = shipped.with_extension("new");
        fs::copy(built, &new)?;
        fs::rename(&new, &shipped)?;
        println!("{name}: {size} bytes");
    }
    all_current(root)
}

/// Returns an executable of these sources: the shipped one if it is current, or else a new one.
pub(crate) fn current(root: &Path, architecture: &Architecture) -> Result<PathBuf> {
    let shipped = root.join(architecture.shipped());
    if is_of(&shipped, &source_digest(root)?)? {
        return Ok(shipped);
    }
    let mut built = build(root, &[architecture])?;
    built
        .remove(architecture.name)
        .ok_or_else(|| "nothing was built".into())
}

/// Builds the executables to ship. Returns their paths, by the architecture's name.
fn build(root: &Path, wanted: &[&Architecture]) -> Result<BTreeMap<&'static str, PathBuf>> {
    let target_dir = root.join("target/dist");
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let mut command = in_repository("cargo", root);
    command
        .args(["build", "--release", "--locked"])
        .args(["--package", EXECUTABLE, "--bin", EXECUTABLE])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("MIXPACK_SOURCE_DIGEST", source_digest(root)?)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rust_flags(root, &cargo_home)?.join("\x1f"),
        )
        .env("CFLAGS", c_flags(&cargo_home))
        // mimalloc embeds its compile time, which gcc takes from this variable.
        .env("SOURCE_DATE_EPOCH", "0");
    for architecture in wanted {
        architecture.ensure_tools(root)?;
        let variable = format!("CC_{}", architecture.target.replace('-', "_"));
        command
            .args(["--target", architecture.target])
            .env(variable, architecture.c_compiler);
    }
    let status = command.status()?;
    if !status.success() {
        return Err(format!("cargo build ended with {status}").into());
    }
    Ok(wanted
        .iter()
        .map(|architecture| {
            let folder = target_dir.join(architecture.target).join("release");
            (architecture.name, folder.join(EXECUTABLE))
        })
        .collect())
}

/// A program of the Rust toolchain that the repository pins, regardless of the caller's variables.
fn in_repository(program: &str, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if UNWANTED.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Returns C flags that remove the paths of this machine, and the zstd compressors that the default level doesn't use
/// (150 kB).
fn c_flags(cargo_home: &str) -> String {
    let unused = ["GREEDY", "LAZY", "LAZY2", "BTLAZY2", "BTOPT", "BTULTRA"];
    let unused = unused.map(|name| format!("-DZSTD_EXCLUDE_{name}_BLOCK_COMPRESSOR"));
    format!("-ffile-prefix-map={cargo_home}=/cargo {}", unused.join(" "))
}

/// Returns Rust flags that remove the paths of this machine, and set the linker.
fn rust_flags(root: &Path, cargo_home: &str) -> Result<Vec<String>> {
    let root_text = root.display();
    let mut flags = vec![
        // Use the linker of the pinned toolchain for both architectures, since Debian's differ between releases.
        "-Clinker=rust-lld".to_owned(),
        format!("--remap-path-prefix={cargo_home}=/cargo"),
        format!("--remap-path-prefix={root_text}=/mixpack"),
    ];
    // A registry's directory is named after its host, which depends on the machine. Of several matching rules, the
    // last one counts.
    for registry in fs::read_dir(Path::new(cargo_home).join("registry/src"))? {
        let path = registry?.path();
        flags.push(format!("--remap-path-prefix={}=/crates", path.display()));
    }
    // If the component rust-src is installed, paths of the standard library point to it.
    let library = run(in_repository("rustc", root).args(["--print", "sysroot"]))?;
    let library = Path::new(library.trim()).canonicalize()?;
    let version = run(in_repository("rustc", root).arg("-vV"))?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .ok_or("rustc does not name its commit")?;
    flags.push(format!(
        "--remap-path-prefix={}/lib/rustlib/src/rust=/rustc/{commit}",
        library.display()
    ));
    // A relative path: cargo runs rustc in the workspace, and an absolute one would change the result.
    flags.push("-Clink-arg=-Tcrates/mixpack/no-unwind-tables.ld".to_owned());
    flags.push("-Clink-arg=--no-eh-frame-hdr".to_owned());
    Ok(flags)
}

pub(crate) fn all_current(root: &Path) -> Result {
    let digest = source_digest(root)?;
    for architecture in ARCHITECTURES {
        let name = architecture.shipped();
        if !is_of(&root.join(&name), &digest)? {
            return Err(format!(
                "{name} is missing, or not built from these sources ({digest}). \
                 Run cargo xtask dist."
            )
            .into());
        }
        println!("{name} says that it is built from these sources ({digest})");
    }
    Ok(())
}

/// Whether an executable exists and contains this digest of its sources.
fn is_of(executable: &Path, digest: &str) -> Result<bool> {
    if !executable.is_file() {
        return Ok(false);
    }
    let bytes = fs::read(executable)?;
    Ok(bytes
        .windows(digest.len())
        .any(|window| window == digest.as_bytes()))
}

/// Builds from a copy of the sources, and compares with the shipped executables.
fn compare_with_another_folder(root: &Path) -> Result {
    let elsewhere = tempfile::Builder::new().prefix("mixpack-").tempdir()?;
    for name in SOURCES {
        run(Command::new("cp")
            .args(["-r", "--"])
            .arg(root.join(name))
            .arg(elsewhere.path()))?;
    }
    let built = build(&elsewhere.path().canonicalize()?, &ARCHITECTURES)?;
    for architecture in ARCHITECTURES {
        let shipped = architecture.shipped();
        let theirs = fs::read(root.join(&shipped))?;
        let ours = fs::read(&built[architecture.name])?;
        if let Some(difference) = difference(&theirs, &ours) {
            let kept = root.join("target").join(format!(
                "{}-from-another-folder",
                shipped.trim_start_matches("bin/")
            ));
            fs::copy(&built[architecture.name], &kept)?;
            return Err(format!(
                "{shipped} is not what these sources give in another folder: {difference}. \
                 The other one is {}. If the sources and tools are these, run cargo xtask dist.",
                kept.display()
            )
            .into());
        }
        println!("{shipped} is what these sources give in another folder, byte by byte");
    }
    Ok(())
}

/// Describes how two executables differ, if they do. Differences in build tools come first.
fn difference(shipped: &[u8], rebuilt: &[u8]) -> Option<String> {
    if shipped == rebuilt {
        return None;
    }
    let (theirs, ours) = (tools_of(shipped), tools_of(rebuilt));
    if theirs != ours {
        let list = |tools: BTreeSet<String>| tools.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!(
            "it was made with [{}], this machine has [{}]",
            list(theirs),
            list(ours)
        ));
    }
    let at = shipped
        .iter()
        .zip(rebuilt)
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| shipped.len().min(rebuilt.len()));
    Some(format!(
        "made with the same tools, {} and {} bytes are the same only up to {at}",
        shipped.len(),
        rebuilt.len()
    ))
}

/// Returns the compilers and the linker, which write their names to the section `.comment`.
fn tools_of(executable: &[u8]) -> BTreeSet<String> {
    executable
        .split(|byte| *byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok())
        .filter(|text| {
            ["GCC: (", "rustc version ", "Linker: "]
                .iter()
                .any(|start| text.starts_with(start))
        })
        .map(str::to_owned)
        .collect()
}

/// Returns the workspace's crates that `name` is built from, including itself.
fn crates_of(root: &Path, name: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![name.to_owned()];
    while let Some(name) = ahead.pop() {
        let manifest = fs::read_to_string(root.join("crates").join(&name).join("Cargo.toml"))?;
        let manifest: toml::Table = manifest.parse()?;
        let dependencies = manifest.get("dependencies").and_then(|d| d.as_table());
        ahead.extend(
            dependencies
                .into_iter()
                .flat_map(toml::Table::keys)
                .filter(|other| root.join("crates").join(other).is_dir() && !found.contains(*other))
                .cloned(),
        );
        found.insert(name);
    }
    Ok(found)
}

/// Returns a shortened digest of all files that the executable is built from, with their paths. Leaves out tests and
/// their snapshots.
fn source_digest(root: &Path) -> Result<String> {
    let manifests = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];
    let files = manifests.into_iter().chain(CONTENTS).map(PathBuf::from);
    let mut files: Vec<PathBuf> = files.collect();
    for name in crates_of(root, EXECUTABLE)? {
        let folder = Path::new("crates").join(name);
        files.push(folder.join("Cargo.toml"));
        for entry in WalkDir::new(root.join(&folder).join("src")) {
            let entry = entry?;
            let path = entry.path().strip_prefix(root)?;
            let is_test = path
                .components()
                .any(|part| part.as_os_str() == "tests.rs" || part.as_os_str() == "snapshots");
            if entry.file_type().is_file() && !is_test {
                files.push(path.to_owned());
            }
        }
    }
    files.sort();
    let mut list = String::new();
    for file in &files {
        let digest = digest_of::<Sha256>(&root.join(file))?;
        writeln!(list, "{digest}  {}", file.display())?;
    }
    let scratch = tempfile::NamedTempFile::new()?;
    fs::write(&scratch, list)?;
    Ok(digest_of::<Sha256>(scratch.path())?[..16].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with two crates of the executable, and another one.
    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for dir in ["crates/mixpack", "crates/pipeline", "docs"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        let manifests = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];
        for file in manifests.into_iter().chain(CONTENTS) {
            fs::write(root.join(file), file).unwrap();
        }
        for (name, manifest) in [
            (
                EXECUTABLE,
                "[dependencies]\napp.workspace = true\nserde = '1'",
            ),
            (
                "app",
                "[dependencies]\n[dev-dependencies]\nmirror.workspace = true",
            ),
            ("mirror", ""),
        ] {
            let src = root.join("crates").join(name).join("src");
            fs::create_dir_all(&src).unwrap();
            fs::write(src.join("lib.rs"), name).unwrap();
            fs::write(src.join("../Cargo.toml"), manifest).unwrap();
        }
        dir
    }

    #[test]
    fn source_digest_ignores_tests() {
        let dir = repository();
        let root = dir.path();
        let first = source_digest(root).unwrap();
        for other in ["crates/app/src/tests.rs", "crates/mirror/src/lib.rs"] {
            fs::write(root.join(other), "changed").unwrap();
            assert_eq!(source_digest(root).unwrap(), first, "{other}");
        }
        for source in [
            "crates/app/src/lib.rs",
            "crates/mixpack/Cargo.toml",
            "docs/errors.md",
        ] {
            let before = source_digest(root).unwrap();
            let path = root.join(source);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}\n# changed")).unwrap();
            assert_ne!(source_digest(root).unwrap(), before, "{source}");
        }
    }

    #[test]
    fn shipped_executable_is_current_if_it_contains_digest() {
        let dir = repository();
        let root = dir.path();
        let shipped = root.join(ARM64.shipped());
        let digest = source_digest(root).unwrap();
        assert!(!is_of(&shipped, &digest).unwrap());
        fs::create_dir(root.join("bin")).unwrap();
        fs::write(&shipped, "0123456789abcdef0123456789abcdef").unwrap();
        assert!(!is_of(&shipped, &digest).unwrap());
        fs::write(&shipped, format!("\u{7f}ELF {digest} and more")).unwrap();
        assert!(is_of(&shipped, &digest).unwrap());
        let error = all_current(root).unwrap_err().to_string();
        assert!(
            error.starts_with("bin/mixpack-linux-amd64 is missing"),
            "{error}"
        );
    }

    #[test]
    fn difference_distinguishes_compiler_from_output() {
        let made = |tool: &str, code: &str| format!("{code}\0GCC: ({tool}) 12\0").into_bytes();
        let one = made("Debian 12.2.0-14", "code");
        assert_eq!(difference(&one, &one), None);
        assert_eq!(
            difference(&one, &made("Debian 14.2.0-19", "Code")).unwrap(),
            "it was made with [GCC: (Debian 12.2.0-14) 12], this machine has \
             [GCC: (Debian 14.2.0-19) 12]"
        );
        assert_eq!(
            difference(&one, &made("Debian 12.2.0-14", "coDe")).unwrap(),
            "made with the same tools, 32 and 32 bytes are the same only up to 2"
        );
    }
}

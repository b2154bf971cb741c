//! `cargo xtask dist`: the executable that ships in `bin/`, for stack images without cargo.
//!
//! It is built statically against musl, from pinned tools, with the paths of this machine taken
//! out, and holds the digest of its sources: `cargo xtask dist --check` tells a stale one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mirror::layout::digest_of;
use sha2::Sha256;
use walkdir::WalkDir;

use crate::process::{Result, run};
use crate::toolchains::Places;

/// What the executable is made of.
const CRATES: [&str; 7] = [
    "app",
    "build",
    "fetch",
    "heroku",
    "mixpack",
    "toolchain",
    "versions",
];
const TARGET: &str = "x86_64-unknown-linux-musl";
/// Relative to the repository.
const SHIPPED: &str = "bin/mixpack-linux-amd64";
/// A larger one makes every `git clone` of a platform slower.
const LARGEST: u64 = 5_000_000;

pub(crate) fn dist(args: &[OsString]) -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    match args {
        [] => ship(&root),
        [option] if option == "--check" => check(&root),
        _ => Err("usage: cargo xtask dist [--check]".into()),
    }
}

fn ship(root: &Path) -> Result {
    let built = build(root)?;
    let size = built.metadata()?.len();
    if size > LARGEST {
        return Err(format!("the executable has {size} bytes, more than {LARGEST}").into());
    }
    let shipped = root.join(SHIPPED);
    // A new file, so that a running one is not written to.
    let new = shipped.with_extension("new");
    fs::copy(&built, &new)?;
    fs::rename(&new, &shipped)?;
    println!("{SHIPPED}: {size} bytes");
    check(root)
}

/// Builds the executable as it ships; gives its path.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let digest = source_digest(root)?;
    let target_dir = root.join("target/dist");
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let root_text = root.display();
    let mut remap = vec![
        format!("--remap-path-prefix={home}=/cargo"),
        format!("--remap-path-prefix={root_text}=/mixpack"),
    ];
    // The folder of a registry is named for its host, which differs from machine to machine. Of
    // several rules that fit, the last one counts.
    for registry in fs::read_dir(Path::new(&home).join("registry/src"))? {
        let path = registry?.path();
        remap.push(format!("--remap-path-prefix={}=/crates", path.display()));
    }
    let status = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--package",
            "mixpack",
        ])
        .args(["--bin", "mixpack", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(root)
        .env("MIXPACK_SOURCE_DIGEST", digest)
        .env("CARGO_ENCODED_RUSTFLAGS", remap.join("\x1f"))
        // The C parts of TLS: the host's compiler will do, they call nothing of a libc.
        .env("CC_x86_64_unknown_linux_musl", "gcc")
        .env("CFLAGS", format!("-ffile-prefix-map={home}=/cargo"))
        .status()?;
    if !status.success() {
        return Err(format!("cargo build ended with {status}").into());
    }
    Ok(target_dir.join(TARGET).join("release/mixpack"))
}

fn check(root: &Path) -> Result {
    let shipped = root.join(SHIPPED);
    let said = run(Command::new(&shipped).arg("--version"))?;
    let digest = source_digest(root)?;
    if said.contains(&digest) {
        println!("{SHIPPED} is built from these sources ({digest})");
        return Ok(());
    }
    Err(format!(
        "{SHIPPED} is stale: it says {}, the sources are {digest}. Run cargo xtask dist.",
        said.trim()
    )
    .into())
}

/// The SHA-256 of every file that the executable is built from, by path, shortened to what tells
/// two versions apart. Tests and their snapshots do not count.
fn source_digest(root: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"]
        .map(PathBuf::from)
        .to_vec();
    for name in CRATES {
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

    #[test]
    fn the_digest_follows_the_sources_and_not_the_tests() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
            fs::write(root.join(file), file).unwrap();
        }
        for name in CRATES {
            let src = root.join("crates").join(name).join("src");
            fs::create_dir_all(&src).unwrap();
            fs::write(src.join("lib.rs"), name).unwrap();
            fs::write(src.join("../Cargo.toml"), name).unwrap();
        }
        let first = source_digest(root).unwrap();
        fs::write(root.join("crates/app/src/tests.rs"), "a test").unwrap();
        assert_eq!(source_digest(root).unwrap(), first);
        fs::write(root.join("crates/app/src/lib.rs"), "changed").unwrap();
        assert_ne!(source_digest(root).unwrap(), first);
    }
}

//! Installs Erlang, Elixir and Node, each to a new directory.

use crate::debug_symbols::{self, Symbols};
use crate::unneeded_files::{Tool, drop_unneeded};
use crate::{Hosts, ToolchainError, lists};
use fetch::{Archive, Checksum, Client, Format, Observer, Unpacked};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use versions::Target;
use versions::elixir::ElixirBuild;
use versions::node::NodeVersion;
use versions::otp::{OtpBuild, Publisher};
use versions::target::Arch;

/// The URL and the checksum of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name in messages: `Erlang/OTP 27.3.4.2`.
    pub subject: String,
    pub url: String,
    /// `None` if upstream publishes none: old lines of the lists have no checksum.
    pub sha256: Option<String>,
}

/// The files of a tool to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Full,
    /// Only the files that are needed to build and run apps, without symbols; see [`crate::unneeded_files`].
    Needed,
}

impl Extent {
    /// Returns the bytes of the symbols that were removed.
    fn apply(self, dest: &Path, tool: Tool) -> Result<u64, ToolchainError> {
        match self {
            Self::Full => Ok(0),
            Self::Needed => {
                drop_unneeded(dest, tool)?;
                let removed = debug_symbols::remove(dest, Symbols::All);
                removed.map_err(ToolchainError::io(dest, "strip"))
            }
        }
    }
}

/// An installed tool.
#[derive(Debug)]
pub struct Installed {
    pub unpacked: Unpacked,
    /// The size of the symbols that were left out, in bytes.
    pub symbols: u64,
}

/// The archive of an OTP build.
#[must_use]
pub fn otp_source(hosts: &Hosts, target: &Target, build: &OtpBuild) -> Source {
    let reference = &build.reference;
    let version = build
        .version
        .as_ref()
        .map_or_else(|| reference.clone(), std::string::ToString::to_string);
    let other = hosts.otp_builds.as_ref();
    let url = if let Some(base) = other.filter(|_| build.publisher == Publisher::Erlef) {
        // A git tag has a release with the same name. A branch has a release that is updated.
        let moving = match build.version {
            Some(_) => "",
            None => "-latest",
        };
        let target = target.otp_builds_name();
        format!("{base}/releases/download/{reference}{moving}/otp-{target}.tar.gz")
    } else {
        let directory = target.otp_directory();
        format!("{}{directory}/{reference}.tar.gz", hosts.builds)
    };
    Source {
        subject: format!("Erlang/OTP {version}"),
        url,
        sha256: build.sha256.clone(),
    }
}

/// The archive of an Elixir build.
#[must_use]
pub fn elixir_source(hosts: &Hosts, build: &ElixirBuild) -> Source {
    let version = build
        .version
        .as_ref()
        .map_or_else(|| build.reference.clone(), std::string::ToString::to_string);
    Source {
        subject: format!("Elixir {version}"),
        url: format!("{}/builds/elixir/{}.zip", hosts.builds, build.reference),
        sha256: build.sha256.clone(),
    }
}

/// The archive of a Node release. Its checksum is in a separate list.
pub fn node_source(
    client: &Client,
    hosts: &Hosts,
    target: &Target,
    version: &NodeVersion,
    observer: &dyn Observer,
) -> Result<Source, ToolchainError> {
    let file = version.archive_name(target.arch);
    let (sums_url, sums) = lists::shasums(client, hosts, version, observer)?;
    let sha256 = sums.get(&file).ok_or_else(|| ToolchainError::NoChecksum {
        url: fetch::redact(&sums_url),
        file: file.clone(),
    })?;
    Ok(Source {
        subject: format!("Node.js {version}"),
        url: format!("{}/v{version}/{file}", hosts.node),
        sha256: Some(sha256.to_owned()),
    })
}

/// Unpacks OTP, and sets it up to run from `root`, its later path.
///
/// builds.hex.pm publishes archives in which `Install` hasn't been run. In those of `erlef/otp_builds`, it has been
/// run for another root, and is run again. With `-cross`, the root may differ from the current path
/// (erts/etc/unix/Install.src of OTP). From OTP 25 on, `bin/erl` also finds its root itself, even after a move.
pub fn otp(
    client: &Client,
    source: &Source,
    root: &Path,
    dest: &Path,
    (extent, run): (Extent, Run<'_>),
    observer: &dyn Observer,
) -> Result<Installed, ToolchainError> {
    let unpacked = unpack(client, source, Format::TarGz, 1, dest, observer)?;
    let has = |path: &str| dest.join(path).is_file();
    if has("Install") {
        run_install(dest, root, run)?;
    }
    if !has("bin/erl") || !has("bin/start.boot") {
        return Err(unexpected(source, "bin/erl"));
    }
    let symbols = extent.apply(dest, Tool::Otp)?;
    Ok(Installed { unpacked, symbols })
}

/// Runs a command to its end and collects its output. The caller provides it, so that processes can be cancelled.
pub type Run<'a> = &'a dyn Fn(&mut Command) -> io::Result<Output>;

/// Tests that the OTP in `dest` starts with crypto, since the VM and crypto need libraries of the system. For a
/// `system` that isn't a known stack.
pub fn start_otp(dest: &Path, system: &str, run: Run<'_>) -> Result<(), ToolchainError> {
    let erl = dest.join("bin/erl");
    let mut command = Command::new(&erl);
    command
        .args(["-noinput", "-eval", "_ = crypto:info_lib(), halt(0)."])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", dest)
        .env("ERL_ROOTDIR", dest)
        .env("ERL_CRASH_DUMP_SECONDS", "0");
    let output = run(&mut command).map_err(ToolchainError::io(&erl, "start"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(ToolchainError::OtpDoesNotStart {
        system: system.to_owned(),
        output: String::from_utf8_lossy(&printed).into_owned(),
    })
}

/// The major version of the OTP in `root`: the name of the directory with its `OTP_VERSION`.
#[must_use]
pub fn otp_major(root: &Path) -> Option<u32> {
    let releases = fs::read_dir(root.join("releases")).ok()?;
    releases.filter_map(Result::ok).find_map(|entry| {
        let has_version = entry.path().join("OTP_VERSION").is_file();
        let major = entry.file_name().to_str()?.parse().ok()?;
        has_version.then_some(major)
    })
}

/// Unpacks Elixir, which runs from any path.
pub fn elixir(
    client: &Client,
    source: &Source,
    dest: &Path,
    extent: Extent,
    observer: &dyn Observer,
) -> Result<Installed, ToolchainError> {
    let unpacked = unpack(client, source, Format::Zip, 0, dest, observer)?;
    if !dest.join("bin/mix").is_file() {
        return Err(unexpected(source, "bin/mix"));
    }
    let symbols = extent.apply(dest, Tool::Elixir)?;
    Ok(Installed { unpacked, symbols })
}

/// Unpacks Node, which runs from any path.
pub fn node(
    client: &Client,
    source: &Source,
    arch: Arch,
    dest: &Path,
    extent: Extent,
    observer: &dyn Observer,
) -> Result<Installed, ToolchainError> {
    let unpacked = unpack(client, source, Format::TarGz, 1, dest, observer)?;
    if !dest.join("bin/node").is_file() {
        return Err(unexpected(source, "bin/node"));
    }
    let symbols = extent.apply(dest, Tool::Node(arch))?;
    Ok(Installed { unpacked, symbols })
}

fn unpack(
    client: &Client,
    source: &Source,
    format: Format,
    strip_components: usize,
    dest: &Path,
    observer: &dyn Observer,
) -> Result<Unpacked, ToolchainError> {
    let archive = Archive {
        url: source.url.clone(),
        format,
        strip_components,
        checksum: source.sha256.clone().map(Checksum::Sha256),
    };
    client
        .archive(&archive, dest, observer)
        .map_err(ToolchainError::fetching(source.subject.as_str()))
}

fn run_install(dest: &Path, root: &Path, run: Run<'_>) -> Result<(), ToolchainError> {
    let install = dest.join("Install");
    let mut command = Command::new("/bin/sh");
    command
        .arg(&install)
        .args(["-cross", "-minimal"])
        .arg(root)
        .current_dir(dest)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let output = run(&mut command).map_err(ToolchainError::io(&install, "run"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(ToolchainError::OtpInstall {
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&printed).trim().to_owned(),
    })
}

fn unexpected(source: &Source, missing: &'static str) -> ToolchainError {
    ToolchainError::UnexpectedArchive {
        url: fetch::redact(&source.url),
        missing,
    }
}

/// Copies a prepared Hex archive and rebar3 to a `MIX_HOME`, and removes older ones.
pub fn into_mix_home(prepared: &Path, mix_home: &Path) -> Result<(), ToolchainError> {
    let archives = mix_home.join("archives");
    own_folder(&archives).map_err(ToolchainError::io(&archives, "create the folder"))?;
    // Like `mix local.hex`, remove other versions of Hex, since all of them would be loaded.
    for entry in fs::read_dir(&archives).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|n| n == "hex" || n.starts_with("hex-"))
        {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(ToolchainError::io(&path, "remove"))?;
        }
    }
    copy_into(prepared, mix_home)
}

/// Creates a directory, and replaces a link to one, which the app may contain.
fn own_folder(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    fs::create_dir_all(path)
}

fn copy_into(from: &Path, to: &Path) -> Result<(), ToolchainError> {
    let entries = fs::read_dir(from).map_err(ToolchainError::io(from, "list"))?;
    for entry in entries {
        let entry = entry.map_err(ToolchainError::io(from, "list"))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            own_folder(&target).map_err(ToolchainError::io(&target, "create the folder"))?;
            copy_into(&source, &target)?;
        } else {
            if target.is_symlink() {
                fs::remove_file(&target).map_err(ToolchainError::io(&target, "remove"))?;
            }
            fs::copy(&source, &target).map_err(ToolchainError::io(&target, "write"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn start_failure_includes_output() {
        let dir = tempfile::tempdir().unwrap();
        let erl = dir.path().join("bin/erl");
        fs::create_dir(dir.path().join("bin")).unwrap();
        let write = |script: &str| {
            fs::write(&erl, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&erl, fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("test \"$ERL_ROOTDIR/bin/erl\" = \"$0\"");
        start_otp(dir.path(), "debian-13", &Command::output).unwrap();
        write("echo libtinfo.so.6: cannot open >&2; exit 127");
        let error = start_otp(dir.path(), "debian-13", &Command::output)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("debian-13") && error.contains("libtinfo.so.6"),
            "{error}"
        );
    }
}

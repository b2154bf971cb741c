//! Downloads and verifies Hex and rebar3. `mix local.hex` isn't used, because it is interactive and needs the BEAM's
//! own TLS, which has failed with several OTP versions (erlang/otp#9208).

use crate::{Hosts, ToolchainError};
use fetch::{Archive, Checksum, Client, Format, Observer};
use std::fs;
use std::path::{Path, PathBuf};
use versions::ElixirVersion;
use versions::installers::{
    Installer, InstallerList, Package, hex_archive_dir, list_path, rebar3_paths, schemes,
};

/// A chosen installer, and its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub version: String,
    /// The newest version, which mix would choose.
    pub newest: String,
    pub url: String,
    /// The checksum, in lower-case hex.
    pub sha512: String,
    /// Whether its list was signed.
    pub signed: bool,
}

/// The text of a list, and whether its signature was verified.
pub type Signed = (String, bool);

/// Returns the text of the list at a URL: fetched, or a cached copy.
pub type ReadList<'a, E> = dyn Fn(&str) -> Result<Signed, E> + Sync + 'a;

/// The requested versions of Hex and rebar3, if they are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    pub hex: Option<&'a str>,
    pub rebar3: Option<&'a str>,
}

/// Chooses Hex and rebar3 for an Elixir and OTP: the requested versions, or else those that mix itself would choose.
pub fn choose<E: From<ToolchainError> + Send>(
    hosts: &Hosts,
    elixir: &ElixirVersion,
    otp_major: u32,
    wanted: Wanted<'_>,
    read: &ReadList<'_, E>,
) -> Result<(Chosen, Chosen), E> {
    std::thread::scope(|scope| {
        let one = |package, wanted| choose_one(hosts, (package, wanted), elixir, otp_major, read);
        let rebar3 = scope.spawn(move || one(Package::Rebar3, wanted.rebar3));
        let hex = one(Package::Hex, wanted.hex)?;
        let rebar3 = rebar3
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((hex, rebar3))
    })
}

fn choose_one<E: From<ToolchainError>>(
    hosts: &Hosts,
    (package, wanted): (Package, Option<&str>),
    elixir: &ElixirVersion,
    otp_major: u32,
    read: &ReadList<'_, E>,
) -> Result<Chosen, E> {
    let base = hosts.installers(elixir);
    let mut tried = Vec::new();
    for scheme in schemes(elixir) {
        let url = format!("{base}{}", list_path(package, *scheme));
        let (csv, signed) = read(&url)?;
        let list = InstallerList::parse(&csv, package, *scheme);
        if let Some(newest) = list.choose(elixir, otp_major) {
            let wanted = wanted.and_then(|version| list.of_version(version, elixir, otp_major));
            let Installer {
                version,
                sha512,
                path,
                ..
            } = wanted.unwrap_or(newest);
            return Ok(Chosen {
                version: version.clone(),
                newest: newest.version.clone(),
                url: format!("{base}{path}"),
                sha512: sha512.clone(),
                signed,
            });
        }
        tried.push(fetch::redact(&url));
    }
    Err(E::from(ToolchainError::NoInstaller {
        package: match package {
            Package::Hex => "Hex",
            Package::Rebar3 => "rebar3",
        },
        elixir: elixir.to_string(),
        otp: otp_major,
        url: tried.join(" and "),
    }))
}

/// Fills `dest` like a `MIX_HOME` with only these two.
pub fn install(
    client: &Client,
    hex: &Chosen,
    rebar3: &Chosen,
    elixir: &ElixirVersion,
    otp_major: u32,
    dest: &Path,
    observer: &dyn Observer,
) -> Result<(), ToolchainError> {
    // An .ez is a zip with a top-level directory, and mix expects that directory inside another one with the same
    // name: `archives/hex-2.2.1/hex-2.2.1/ebin`.
    let archive = Archive {
        url: hex.url.clone(),
        format: Format::Zip,
        strip_components: 0,
        checksum: Some(Checksum::Sha512(hex.sha512.clone())),
    };
    let hex_dir = dest.join(hex_archive_dir(&hex.version));
    make_parent(&hex_dir)?;
    client
        .archive(&archive, &hex_dir, observer)
        .map_err(ToolchainError::fetching("Hex"))?;
    let mut fetched: Option<PathBuf> = None;
    for path in rebar3_paths(elixir, otp_major) {
        let file = dest.join(path);
        make_parent(&file)?;
        if let Some(fetched) = &fetched {
            fs::copy(fetched, &file).map_err(ToolchainError::io(&file, "write"))?;
            continue;
        }
        let checksum = Checksum::Sha512(rebar3.sha512.clone());
        client
            .file(&rebar3.url, Some(&checksum), &file, 0o755, observer)
            .map_err(ToolchainError::fetching("rebar3"))?;
        fetched = Some(file);
    }
    Ok(())
}

fn make_parent(path: &Path) -> Result<(), ToolchainError> {
    match path.parent() {
        Some(parent) => {
            fs::create_dir_all(parent).map_err(ToolchainError::io(parent, "create the folder"))
        }
        None => Ok(()),
    }
}

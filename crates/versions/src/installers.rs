//! Hex and rebar3 as mix installs them: the lists, the choice, and the paths.
//!
//! Follows `Mix.Local`, `mix local.hex` and `mix local.rebar` of Elixir 1.14 to 1.20.

use crate::elixir_version::ElixirVersion;
use crate::text::{is_hex, is_path_safe};
use std::fmt;
use std::path::PathBuf;

/// A package that the installers install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Package {
    Hex,
    Rebar3,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hex => "hex",
            Self::Rebar3 => "rebar3",
        })
    }
}

/// The two generations of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Up to Elixir 1.17: lines `VERSION,SHA512,ELIXIR`.
    ByElixir,
    /// From Elixir 1.18 on: lines `VERSION,SHA512,ELIXIR,OTPMAJOR`.
    ByElixirAndOtp,
}

/// The lists to try for a version of Elixir, in this order.
///
/// From 1.18 on, mix itself only reads the new list. Its rebar3 rows start at 1.18.3, so it may have none for 1.18.0
/// to 1.18.2. They can use rebar3 from the old list.
#[must_use]
pub fn schemes(elixir: &ElixirVersion) -> &'static [Scheme] {
    if elixir.is_at_least_minor(18) {
        &[Scheme::ByElixirAndOtp, Scheme::ByElixir]
    } else {
        &[Scheme::ByElixir]
    }
}

/// The path of a list below [`base_url`].
#[must_use]
pub fn list_path(package: Package, scheme: Scheme) -> &'static str {
    match (package, scheme) {
        (Package::Hex, Scheme::ByElixir) => "/installs/hex-1.x.csv",
        (Package::Rebar3, Scheme::ByElixir) => "/installs/rebar3-1.x.csv",
        (Package::Hex, Scheme::ByElixirAndOtp) => "/installs/hex.csv",
        (Package::Rebar3, Scheme::ByElixirAndOtp) => "/installs/rebar.csv",
    }
}

/// The host of the lists and files, without a trailing slash: `HEX_BUILDS_URL`, else `HEX_MIRROR`, else upstream's,
/// which is `https://builds.hex.pm` from Elixir 1.15 on and `https://repo.hex.pm` before. An empty value counts as
/// unset.
///
/// Mix 1.14 and older ignore `HEX_BUILDS_URL`. Here it applies to them too: a user who sets it wants installers from
/// there, and mix itself doesn't fetch them.
#[must_use]
pub fn base_url(
    elixir: &ElixirVersion,
    hex_builds_url: Option<&str>,
    hex_mirror: Option<&str>,
) -> String {
    let upstream = if elixir.is_at_least_minor(15) {
        "https://builds.hex.pm"
    } else {
        "https://repo.hex.pm"
    };
    [hex_builds_url, hex_mirror]
        .into_iter()
        .flatten()
        .map(|url| url.trim().trim_end_matches('/'))
        .find(|url| !url.is_empty())
        .unwrap_or(upstream)
        .to_owned()
}

/// The paths at which mix looks for rebar3, relative to `MIX_HOME`: those of all patch releases of this minor
/// version.
///
/// Within 1.18, the OTP major was added to the path: 1.18.3 looks in `elixir/1-18`, later versions in
/// `elixir/1-18-otp-27`.
#[must_use]
pub fn rebar3_paths(elixir: &ElixirVersion, otp_major: u32) -> Vec<PathBuf> {
    let (major, minor) = (elixir.major(), elixir.minor());
    let by_elixir = PathBuf::from(format!("elixir/{major}-{minor}/rebar3"));
    let by_otp = PathBuf::from(format!("elixir/{major}-{minor}-otp-{otp_major}/rebar3"));
    if elixir.is_at_least_minor(19) {
        vec![by_otp]
    } else if elixir.is_at_least_minor(18) {
        vec![by_otp, by_elixir]
    } else if elixir.is_at_least_minor(14) {
        vec![by_elixir]
    } else {
        vec![PathBuf::from("rebar3")]
    }
}

/// The directory to which Hex's `.ez` is unpacked, relative to `MIX_HOME`: `archives/hex-2.2.1`. The archive's own
/// top directory has the same name, so the modules are in `archives/hex-2.2.1/hex-2.2.1/ebin`.
#[must_use]
pub fn hex_archive_dir(version: &str) -> PathBuf {
    PathBuf::from(format!("archives/hex-{version}"))
}

/// An installable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// The version of Hex or rebar3.
    pub version: String,
    /// The oldest Elixir that it supports, which is also the name of its directory.
    pub elixir: String,
    /// The oldest OTP major that it supports. `None` in the old list.
    pub otp: Option<u32>,
    /// The SHA-512 of the file, in lower-case hex.
    pub sha512: String,
    /// The path below [`base_url`]: `/installs/1.18.0/hex-2.2.1-otp-27.ez`.
    pub path: String,
}

/// One of the four lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstallerList {
    rows: Vec<(ElixirVersion, Installer)>,
    malformed: usize,
}

impl InstallerList {
    /// Reads a list without header. Lines that are not of the scheme's form are left out and counted.
    #[must_use]
    pub fn parse(csv: &str, package: Package, scheme: Scheme) -> Self {
        let mut list = Self::default();
        for line in csv.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match row(line, package, scheme) {
                Some(row) => list.rows.push(row),
                None => list.malformed += 1,
            }
        }
        list
    }

    /// The number of malformed lines.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns mix's choice: the last row whose Elixir and OTP aren't newer than the given ones. A release candidate
    /// is older than its release.
    #[must_use]
    pub fn choose(&self, elixir: &ElixirVersion, otp_major: u32) -> Option<&Installer> {
        self.that_run(elixir, otp_major).next()
    }

    /// Returns the row of a version that mix would choose if the list had no other version.
    #[must_use]
    pub fn of_version(
        &self,
        version: &str,
        elixir: &ElixirVersion,
        otp_major: u32,
    ) -> Option<&Installer> {
        self.that_run(elixir, otp_major)
            .find(|installer| installer.version == version)
    }

    fn that_run(&self, elixir: &ElixirVersion, otp_major: u32) -> impl Iterator<Item = &Installer> {
        let rows = self.rows.iter().rev();
        let run = rows.filter(move |(oldest, installer)| {
            oldest <= elixir && installer.otp.is_none_or(|otp| otp <= otp_major)
        });
        run.map(|(_, installer)| installer)
    }
}

fn row(line: &str, package: Package, scheme: Scheme) -> Option<(ElixirVersion, Installer)> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let (version, sha512, elixir, otp) = match (scheme, &fields[..]) {
        (Scheme::ByElixir, [version, sha512, elixir]) => (version, sha512, elixir, None),
        (Scheme::ByElixirAndOtp, [version, sha512, elixir, otp]) => {
            (version, sha512, elixir, Some(otp.parse().ok()?))
        }
        _ => return None,
    };
    if !is_path_safe(version) || !is_hex(sha512, 128) {
        return None;
    }
    let oldest = ElixirVersion::parse(elixir).ok()?;
    let suffix = otp.map_or_else(String::new, |otp| format!("-otp-{otp}"));
    let extension = match package {
        Package::Hex => ".ez",
        Package::Rebar3 => "",
    };
    let installer = Installer {
        version: (*version).to_owned(),
        elixir: (*elixir).to_owned(),
        otp,
        sha512: sha512.to_ascii_lowercase(),
        path: format!("/installs/{elixir}/{package}-{version}{suffix}{extension}"),
    };
    Some((oldest, installer))
}

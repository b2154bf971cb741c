//! Hex and rebar3 as mix would install them: the lists, the choice, and the places.
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
/// From 1.18 on mix itself reads the new list only. Its rebar3 rows begin at 1.18.3, so 1.18.0 to
/// 1.18.2 may find nothing there; rebar3 from the old list runs on them just as well.
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

/// The host of the lists and files, without a slash at its end: `HEX_BUILDS_URL`, else
/// `HEX_MIRROR`, else upstream's, which is `https://builds.hex.pm` from Elixir 1.15 on and
/// `https://repo.hex.pm` before. An empty value counts as none.
///
/// Mix 1.14 and older do not know `HEX_BUILDS_URL`. It is honoured for them too: whoever sets it
/// says where installers are, and since mix does not fetch them here, nothing else reads it.
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

/// Where mix looks for rebar3, relative to `MIX_HOME`: everywhere that some patch release of this
/// minor does.
///
/// The OTP major came into the path within 1.18: 1.18.3 was seen to look in `elixir/1-18`, later
/// ones look in `elixir/1-18-otp-27`.
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

/// Where the `.ez` of Hex is unpacked, relative to `MIX_HOME`: `archives/hex-2.2.1`. The archive's
/// own top directory has the same name and goes inside, so that the modules are in
/// `archives/hex-2.2.1/hex-2.2.1/ebin`.
#[must_use]
pub fn hex_archive_dir(version: &str) -> PathBuf {
    PathBuf::from(format!("archives/hex-{version}"))
}

/// A file that can be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// The version of Hex or rebar3.
    pub version: String,
    /// The oldest Elixir that it is for, and the directory that it lies in.
    pub elixir: String,
    /// The oldest OTP major that it is for; `None` in the old list.
    pub otp: Option<u32>,
    /// Lower-case hexadecimal digest of the file.
    pub sha512: String,
    /// Below [`base_url`]: `/installs/1.18.0/hex-2.2.1-otp-27.ez`.
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

    /// How many lines were not understood.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Mix' choice: from the end of the list, the first row whose Elixir and OTP are not newer
    /// than those that run. A release candidate is older than its release.
    #[must_use]
    pub fn choose(&self, elixir: &ElixirVersion, otp_major: u32) -> Option<&Installer> {
        self.that_run(elixir, otp_major).next()
    }

    /// The row of a version that Mix would choose if there were no other version.
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

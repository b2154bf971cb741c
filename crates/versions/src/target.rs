//! The target machine of a slug, which determines the builds of OTP and Node.

use std::fmt;

/// A processor architecture that upstream builds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    /// Reads any of the usual names: `amd64`, `x86_64`, `x64`, `arm64`, `aarch64`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "amd64" | "x86_64" | "x64" => Some(Self::Amd64),
            "arm64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The directory on builds.hex.pm.
    #[must_use]
    pub fn otp_name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name in Node's archives.
    #[must_use]
    pub fn node_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.otp_name())
    }
}

/// The operating system of an OTP build, as named by builds.hex.pm: `ubuntu-24.04`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Os {
    ubuntu: String,
}

impl Os {
    fn ubuntu(release: impl Into<String>) -> Self {
        Self {
            ubuntu: release.into(),
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ubuntu-{}", self.ubuntu)
    }
}

/// The two fields of `/etc/os-release` (os-release(5)) that identify the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    /// `ubuntu`, `debian`; `linux` by default, as in os-release(5).
    pub id: String,
    /// `24.04`; empty by default.
    pub version_id: String,
}

impl OsRelease {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let field = |name: &str| {
            text.lines()
                .rev()
                .filter_map(|line| line.trim().split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim_matches(['"', '\'']).to_owned())
        };
        Self {
            id: field("ID").unwrap_or_else(|| "linux".to_owned()),
            version_id: field("VERSION_ID").unwrap_or_default(),
        }
    }
}

impl fmt::Display for OsRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.version_id.is_empty() {
            return Ok(());
        }
        write!(f, "-{}", self.version_id)
    }
}

/// The basis for the operating system of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The name of the stack.
    Stack,
    /// The system itself, which upstream has builds for.
    System,
    /// Upstream has no builds for the system. This is the nearest one whose builds run on it.
    NearestCompatible,
}

/// The system to choose builds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The given stack (`heroku-24`, `cnb`), or else the name of the system (`debian-12`).
    pub stack: String,
    pub os: Os,
    pub arch: Arch,
    pub basis: Basis,
}

/// An error of determining the target from a stack and a system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A stack that Heroku has shut down.
    #[error("stack {stack} has reached its end of life")]
    EndOfLife { stack: String },
    /// An unknown stack name.
    #[error("stack {stack} is not known")]
    UnknownStack { stack: String },
    /// No stack was given, and no builds are known to run on the system.
    #[error("no builds are known to run on {system}")]
    UnknownSystem { system: String },
}

/// The first Heroku stack that is not at its end of life: heroku-20 ended in April 2025.
const OLDEST_HEROKU: u32 = 22;

impl Target {
    /// Applies rules, so that future stacks need no release of Mixpack:
    ///
    /// - `heroku-NN` and `gigalixir-NN` are Ubuntu NN.04 (long-term releases, so NN is even);
    /// - for `cnb`, no stack or an empty one, the system decides. Ubuntu uses its own builds; Debian 12 and 13 use
    ///   those of the newest Ubuntu whose C library isn't newer than theirs.
    pub fn resolve(
        stack: Option<&str>,
        system: &OsRelease,
        arch: Arch,
    ) -> Result<Self, TargetError> {
        let stack = stack.map(str::trim).filter(|stack| !stack.is_empty());
        let (name, (os, basis)) = match stack {
            None => (system.to_string(), of_system(system)?),
            Some("cnb") => ("cnb".to_owned(), of_system(system)?),
            Some(stack) => (stack.to_owned(), (of_stack(stack)?, Basis::Stack)),
        };
        Ok(Self {
            stack: name,
            os,
            arch,
            basis,
        })
    }

    /// The path, on the host of the builds, of the directory with `builds.txt` and the OTP archives for this target.
    #[must_use]
    pub fn otp_directory(&self) -> String {
        format!("/builds/otp/{}/{}", self.arch.otp_name(), self.os)
    }

    /// The name of this target in `erlef/otp_builds`: `x86_64-unknown-linux-gnu-ubuntu-24.04`.
    #[must_use]
    pub fn otp_builds_name(&self) -> String {
        let arch = match self.arch {
            Arch::Amd64 => "x86_64",
            Arch::Arm64 => "aarch64",
        };
        format!("{arch}-unknown-linux-gnu-{}", self.os)
    }
}

fn of_stack(stack: &str) -> Result<Os, TargetError> {
    let unknown = || TargetError::UnknownStack {
        stack: stack.to_owned(),
    };
    let end_of_life = || TargetError::EndOfLife {
        stack: stack.to_owned(),
    };
    if stack == "cedar" || stack.starts_with("cedar-") {
        return Err(end_of_life());
    }
    let (platform, year) = stack.split_once('-').ok_or_else(unknown)?;
    if year.len() != 2 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unknown());
    }
    let number: u32 = year.parse().map_err(|_| unknown())?;
    match platform {
        "heroku" if number < OLDEST_HEROKU => Err(end_of_life()),
        "heroku" | "gigalixir" if number.is_multiple_of(2) => Ok(Os::ubuntu(format!("{year}.04"))),
        _ => Err(unknown()),
    }
}

fn of_system(system: &OsRelease) -> Result<(Os, Basis), TargetError> {
    let is_release = |text: &str| {
        text.split_once('.').is_some_and(|(year, month)| {
            [year, month]
                .iter()
                .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    match (system.id.as_str(), system.version_id.as_str()) {
        ("ubuntu", release) if is_release(release) => Ok((Os::ubuntu(release), Basis::System)),
        // glibc 2.36 and OpenSSL 3; Ubuntu 22.04 has 2.35.
        ("debian", "12") => Ok((Os::ubuntu("22.04"), Basis::NearestCompatible)),
        // glibc 2.41; Ubuntu 24.04 has 2.39.
        ("debian", "13") => Ok((Os::ubuntu("24.04"), Basis::NearestCompatible)),
        _ => Err(TargetError::UnknownSystem {
            system: system.to_string(),
        }),
    }
}

//! The machine that a slug is for: which builds of OTP and Node run there.

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

    /// The word in Node's archive names.
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

/// The operating system that OTP was built on, as builds.hex.pm names it: `ubuntu-24.04`.
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

/// The two fields of `/etc/os-release` (os-release(5)) that say what system this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    /// `ubuntu`, `debian`; `linux` where the file has none, as os-release(5) says.
    pub id: String,
    /// `24.04`; empty where the file has none.
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
    /// The system itself, which is one that upstream builds for.
    System,
    /// The system is not one that upstream builds for; this is the nearest whose builds run there.
    NearestCompatible,
}

/// The system to choose builds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The stack as it was given (`heroku-24`, `cnb`), or the system's own name where none was (`debian-12`).
    pub stack: String,
    pub os: Os,
    pub arch: Arch,
    pub basis: Basis,
}

/// No target follows from a stack and a system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A stack that Heroku has shut down.
    #[error("stack {stack} has reached its end of life")]
    EndOfLife { stack: String },
    /// A stack name that no rule covers.
    #[error("stack {stack} is not known")]
    UnknownStack { stack: String },
    /// No stack was given and the system is none whose builds are known to run.
    #[error("no builds are known to run on {system}")]
    UnknownSystem { system: String },
}

/// The first Heroku stack that is not at its end of life: heroku-20 ended in April 2025.
const OLDEST_HEROKU: u32 = 22;

impl Target {
    /// Follows rules, so that a stack of the future needs no release of ours:
    ///
    /// - `heroku-NN` and `gigalixir-NN` are Ubuntu NN.04 (long-term releases, so NN is even);
    /// - `cnb`, no stack or an empty one: the system says. Ubuntu is itself; Debian 12 and 13 run
    ///   the builds of the newest Ubuntu whose C library is not newer than theirs.
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

    /// The path, below the host of the builds, of the directory that holds `builds.txt` and the
    /// archives of OTP for this target.
    #[must_use]
    pub fn otp_directory(&self) -> String {
        format!("/builds/otp/{}/{}", self.arch.otp_name(), self.os)
    }

    /// This target as `erlef/otp_builds` names it: `x86_64-unknown-linux-gnu-ubuntu-24.04`.
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

//! Versions of Node and of npm packages.

use crate::error::{ParseError, Reason, Tool};
use crate::target::Arch;
use std::fmt;

/// JavaScript's largest exact integer, which is npm's limit.
pub(crate) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// An exact version of Node or of an npm package: `22.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeVersion(pub(crate) semver::Version);

impl NodeVersion {
    /// The version in `text`, with or without the `v` of the index.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        match semver::Version::parse(numbers) {
            // npm's numbers are those of JavaScript. Build metadata is ignored in comparisons.
            Ok(version)
                if version.build.is_empty()
                    && [version.major, version.minor, version.patch]
                        .iter()
                        .all(|number| *number <= MAX_NUMBER) =>
            {
                Ok(Self(version))
            }
            _ if numbers.is_empty() => Err(Reason::Empty.of(Tool::Node, text)),
            _ => Err(Reason::not_a_range(text).of(Tool::Node, text)),
        }
    }

    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.major
    }

    #[must_use]
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The file name of the archive: `node-v22.1.0-linux-x64.tar.gz`, next to `SHASUMS256.txt` in the directory
    /// `v22.1.0/`. Its top directory is the name without `.tar.gz`.
    #[must_use]
    pub fn archive_name(&self, arch: Arch) -> String {
        format!("node-v{self}-linux-{}.tar.gz", arch.node_name())
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

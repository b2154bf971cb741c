//! Versions of Elixir.

use crate::error::{ParseError, Reason, Tool};
use crate::text::number;
use std::fmt;

/// A released version or a release candidate: `1.18.3`, `1.20.0-rc.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElixirVersion(semver::Version);

impl ElixirVersion {
    #[must_use]
    pub fn release(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The version in `text`, with or without the `v` of its git tag.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::read(text.strip_prefix('v').unwrap_or(text))
            .map_err(|reason| reason.of(Tool::Elixir, text))
    }

    /// Like [`Self::parse`], without the `v` of a tag. The error doesn't name the tool.
    pub(crate) fn read(text: &str) -> Result<Self, Reason> {
        let (numbers, candidate) = match text.split_once('-') {
            Some((numbers, candidate)) => (numbers, Some(candidate)),
            None => (text, None),
        };
        if numbers.is_empty() {
            return Err(Reason::Empty);
        }
        let parts = numbers
            .split('.')
            .map(number)
            .collect::<Result<Vec<u64>, _>>()?;
        let [major, minor, patch] = parts[..] else {
            return Err(if parts.len() > 3 {
                Reason::TooManyNumbers
            } else {
                Reason::Incomplete
            });
        };
        let mut version = semver::Version::new(major, minor, patch);
        if let Some(candidate) = candidate {
            version.pre = semver::Prerelease::new(candidate)
                .ok()
                .filter(|pre| !pre.is_empty())
                .ok_or_else(|| Reason::NotACandidate {
                    part: candidate.to_owned(),
                    example: "1.17.0-rc.0",
                })?;
        }
        Ok(Self(version))
    }

    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.major
    }

    #[must_use]
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    #[must_use]
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    #[must_use]
    pub fn is_candidate(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Whether this is `1.MINOR.0` or newer, including candidates of that release.
    #[must_use]
    pub fn is_at_least_minor(&self, minor: u64) -> bool {
        (self.major(), self.minor()) >= (1, minor)
    }

    #[must_use]
    pub(crate) fn as_semver(&self) -> &semver::Version {
        &self.0
    }
}

impl fmt::Display for ElixirVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

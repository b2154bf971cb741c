//! What can go wrong with lists and tools.

use fetch::{Class, FetchError};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A list or a tool that could not be had.
#[derive(Debug, Error)]
pub enum ToolchainError {
    /// `what` in words: `the list of OTP builds`, `OTP 27.3.4.2`.
    #[error("{what}: {source}")]
    Fetch { what: String, source: FetchError },
    /// A list that came with status 200 and holds no entry.
    #[error("{what} at {url} is empty")]
    EmptyList { what: &'static str, url: String },
    #[error("{what} at {url} cannot be read: {problem}")]
    UnreadableList {
        what: &'static str,
        url: String,
        problem: String,
    },
    /// A list that was not signed by whom it should be.
    #[error("{what} at {url} is not what was signed")]
    NotSigned { what: &'static str, url: String },
    /// The list of checksums does not name the archive.
    #[error("{url} has no checksum of {file}")]
    NoChecksum { url: String, file: String },
    /// Neither of the two places that publish OTP had it: what became of the first, then of the
    /// other.
    #[error("{first}; {other}")]
    BothPlaces {
        first: Box<ToolchainError>,
        other: OtherPlace,
    },
    /// No row of the installer list fits this Elixir and OTP.
    #[error("no {package} for Elixir {elixir} and OTP {otp} in {url}")]
    NoInstaller {
        package: &'static str,
        elixir: String,
        otp: u32,
        url: String,
    },
    /// The archive was unpacked and verified, but does not hold what it should.
    #[error("the archive {url} holds no {missing}")]
    UnexpectedArchive { url: String, missing: &'static str },
    /// OTP's own `Install` script failed.
    #[error("OTP's Install script failed: {output}")]
    OtpInstall { status: String, output: String },
    /// What was built for another system does not start on this one.
    #[error("OTP does not start on {system}: {output}")]
    OtpDoesNotStart { system: String, output: String },
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
}

/// What became of the other place.
#[derive(Debug, Error)]
pub enum OtherPlace {
    #[error(transparent)]
    Failed(Box<ToolchainError>),
    /// Its list was read and does not have what is sought.
    #[error("{url} {}", match only_branches {
        Some(branches) => format!("lists only branches ({branches})"),
        None => "does not list it".to_owned(),
    })]
    NotListed {
        url: String,
        only_branches: Option<String>,
    },
}

impl ToolchainError {
    /// Whether this says that something cannot be had from its host now, and not that the build
    /// was stopped or that something is set wrong.
    #[must_use]
    pub fn is_of_upstream(&self) -> bool {
        match self {
            Self::Fetch { source, .. } => matches!(
                source.class(),
                Class::Unreachable
                    | Class::Failing
                    | Class::Missing
                    | Class::Refused
                    | Class::Integrity
            ),
            Self::EmptyList { .. } | Self::UnreadableList { .. } | Self::NotSigned { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn fetching(what: impl Into<String>) -> impl FnOnce(FetchError) -> Self {
        let what = what.into();
        move |source| Self::Fetch { what, source }
    }

    pub(crate) fn io(
        path: &std::path::Path,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            doing,
            source,
        }
    }
}

//! Errors of lists and tools.

use fetch::{Class, FetchError};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// An error when fetching a list, or when fetching or installing a tool.
#[derive(Debug, Error)]
pub enum ToolchainError {
    /// `subject` is a phrase: `the list of OTP builds`, `OTP 27.3.4.2`.
    #[error("{subject}: {source}")]
    Fetch { subject: String, source: FetchError },
    /// A list that was returned with status 200 and has no entries.
    #[error("{subject} at {url} is empty")]
    EmptyList { subject: &'static str, url: String },
    #[error("could not read {subject} at {url}: {problem}")]
    UnreadableList {
        subject: &'static str,
        url: String,
        problem: String,
    },
    /// A list whose signature is invalid.
    #[error("the signature of {subject} at {url} is invalid")]
    NotSigned { subject: &'static str, url: String },
    /// The list of checksums does not contain the archive.
    #[error("{url} has no checksum for {file}")]
    NoChecksum { url: String, file: String },
    /// Neither of the two sources of OTP had it: the error of the first, then that of the other.
    #[error("{first}; {other}")]
    BothSources {
        first: Box<ToolchainError>,
        other: OtherSource,
    },
    /// No row of the installer list matches this Elixir and OTP.
    #[error("no {package} for Elixir {elixir} and OTP {otp} in {url}")]
    NoInstaller {
        package: &'static str,
        elixir: String,
        otp: u32,
        url: String,
    },
    /// The archive was unpacked and verified, but is incomplete.
    #[error("the archive {url} does not contain {missing}")]
    UnexpectedArchive { url: String, missing: &'static str },
    /// OTP's own `Install` script failed.
    #[error("OTP's Install script failed: {output}")]
    OtpInstall { status: String, output: String },
    /// A build for another system does not start on this one.
    #[error("OTP does not start on {system}: {output}")]
    OtpDoesNotStart { system: String, output: String },
    #[error("{}: cannot {operation}: {source}", path.display())]
    Io {
        path: PathBuf,
        operation: &'static str,
        source: io::Error,
    },
}

/// The result of trying the other source.
#[derive(Debug, Error)]
pub enum OtherSource {
    #[error(transparent)]
    Failed(Box<ToolchainError>),
    /// Its list doesn't contain the version.
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
    /// Returns whether the host is the cause, rather than an interruption or a wrong setting.
    #[must_use]
    pub fn is_upstream_fault(&self) -> bool {
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

    pub(crate) fn fetching(subject: impl Into<String>) -> impl FnOnce(FetchError) -> Self {
        let subject = subject.into();
        move |source| Self::Fetch { subject, source }
    }

    pub(crate) fn io(
        path: &std::path::Path,
        operation: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            operation,
            source,
        }
    }
}

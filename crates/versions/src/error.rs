//! Errors of parsing versions and requests.

use std::fmt;

/// The tool of a version. [`fmt::Display`] shows its name in messages and plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    Erlang,
    Elixir,
    Node,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Erlang => "erlang",
            Self::Elixir => "elixir",
            Self::Node => "node",
        })
    }
}

/// An error of parsing a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not a version of {tool}: {reason}")]
pub struct ParseError {
    pub tool: Tool,
    /// The original text, before trimming.
    pub input: String,
    pub reason: Reason,
}

/// The reason why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("{part:?} is not a number")]
    NotANumber { part: String },
    #[error("{part:?} is too large a number")]
    TooLarge { part: String },
    #[error("{part:?} is not a release candidate such as {example}")]
    NotACandidate { part: String, example: &'static str },
    #[error("the major version alone does not name one release")]
    Incomplete,
    #[error("it has more than three numbers")]
    TooManyNumbers,
    #[error("{part:?} is not an OTP major version")]
    NotAnOtpMajor { part: String },
    #[error("{part:?} is not a range that npm accepts")]
    NotARange { part: String },
    #[error("{part:?} is not a branch name")]
    NotABranch { part: String },
}

impl Reason {
    pub(crate) fn not_a_range(part: &str) -> Self {
        Self::NotARange {
            part: part.to_owned(),
        }
    }

    pub(crate) fn of(self, tool: Tool, input: &str) -> ParseError {
        ParseError {
            tool,
            input: input.to_owned(),
            reason: self,
        }
    }
}

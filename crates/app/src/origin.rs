//! The origin of a decision, so that every message can name the file to edit.

use serde::{Serialize, Serializer};
use std::fmt;

/// The place that a value was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a file of the app. `line` is 1-based, or 0 if it isn't known, as in a config file that bash
    /// evaluated.
    File { path: String, line: u32 },
    /// A config var: a file in `ENV_DIR`, or an environment variable.
    ConfigVar(String),
    /// The version that the last build of this app used.
    LastBuild,
    /// Mixpack's own choice, with the reason.
    Default(String),
}

impl Origin {
    #[must_use]
    pub fn file(path: impl Into<String>, line: u32) -> Self {
        Self::File {
            path: path.into(),
            line,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::ConfigVar(name) => write!(f, "config var {name}"),
            Self::LastBuild => f.write_str("the last build"),
            Self::Default(reason) => write!(f, "default: {reason}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value as the user wrote it, and its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting<T = String> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

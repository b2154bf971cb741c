//! The chosen version of a tool, and the input of that choice: upstream's lists, and the versions of the
//! last build.

use super::VersionError;
use crate::origin::{Origin, Setting};
use serde::Serialize;
use std::collections::BTreeMap;
use versions::ParseError;
use versions::elixir::{ElixirBuild, ElixirListing, ElixirVersion};
use versions::node::NodeIndex;
use versions::otp::{OtpBuild, OtpListing, OtpVersion};
use versions::target::Target;

/// The chosen version of a tool, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice<T> {
    /// Upstream's name of the version: `27.3.4.2`, `1.18.3`, `24.4.0`, or a branch.
    pub version: String,
    /// The version as the user wrote it, if one was requested.
    pub requested: Option<String>,
    pub source: Origin,
    #[serde(skip)]
    pub build: T,
}

/// The choice of any tool, without its build.
#[derive(Debug, Clone, Copy)]
pub struct ChosenTool<'a> {
    /// The name in logs, reports and documents: `erlang`, `elixir`, `node`.
    pub name: &'static str,
    pub version: &'a str,
    pub requested: Option<&'a str>,
    pub source: &'a Origin,
}

impl<T> Choice<T> {
    pub(super) fn tool(&self, name: &'static str) -> ChosenTool<'_> {
        ChosenTool {
            name,
            version: &self.version,
            requested: self.requested.as_deref(),
            source: &self.source,
        }
    }
}

/// Upstream's lists of versions.
#[derive(Debug, Clone)]
pub struct Lists {
    pub otp: OtpListing,
    pub elixir: ElixirListing,
    /// Only fetched if the app needs Node.
    pub node: Option<NodeIndex>,
}

/// The versions of the last build of this app, from its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastBuild {
    pub erlang: Option<String>,
    pub elixir: Option<String>,
    pub node: Option<String>,
    pub hex: Option<String>,
    pub rebar3: Option<String>,
    /// The Elixir requirements of its packages, by name and version: `phoenix 1.7.10`.
    pub elixir_requirements: BTreeMap<String, String>,
}

/// The number of releases that a message about a malformed version suggests.
const SUGGESTED: usize = 5;

pub(super) fn malformed(
    requested: &Setting,
    error: &ParseError,
    available: Vec<String>,
) -> VersionError {
    VersionError::Malformed {
        tool: error.tool,
        reason: error.reason.to_string(),
        requested: requested.clone(),
        available,
    }
}

/// Returns the newest version of each release line. `versions` are sorted from new to old.
pub(super) fn newest_of_lines<'a, V: ToString + 'a, L: PartialEq>(
    versions: impl Iterator<Item = &'a V>,
    line: impl Fn(&V) -> L,
) -> Vec<String> {
    let mut newest: Vec<&V> = Vec::new();
    for version in versions {
        if newest.last().is_none_or(|last| line(last) != line(version)) {
            newest.push(version);
        }
    }
    newest
        .into_iter()
        .take(SUGGESTED)
        .map(V::to_string)
        .collect()
}

/// `ubuntu-24.04 (amd64)`.
pub(super) fn os(target: &Target) -> String {
    format!("{} ({})", target.os, target.arch)
}

/// `1.18.3`, or the branch.
pub(super) fn name(build: &ElixirBuild) -> String {
    build
        .version
        .as_ref()
        .map_or_else(|| build.reference.clone(), ElixirVersion::to_string)
}

/// `27.3.4`, or the branch.
pub(super) fn otp_name(build: &OtpBuild) -> String {
    build
        .version
        .as_ref()
        .map_or_else(|| build.reference.clone(), OtpVersion::to_string)
}

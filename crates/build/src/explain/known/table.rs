//! The failures that are known, each with what tells it and what it means.

mod fetching;
mod general;
mod javascript;
mod mix;

use crate::explain::Fault;

/// Whose words a pattern is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// mix, and what it runs: Hex, rebar3, git, make.
    Mix,
    /// A JavaScript package manager, and what its scripts run.
    JavaScript,
    /// npm, while it fetches a package manager: of its own the app has nothing there but a version.
    FetchingManager,
    Any,
}

/// What tells a failure. In a pattern `{}` stands for any text, which is captured, and `*` for any
/// other text; a pattern that ends with one of them goes on to the end of the line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// A line has it.
    Line(&'static str),
    /// A line has it, and some line has the second, in which `{0}` is what the first captured.
    Both(&'static str, &'static str),
    /// mix names a path dependency (captured: its name, its directory), and behind that says this
    /// of it; or any line does, with `{0}` for its name.
    PathDependency(&'static str),
    /// An exception, or wrong syntax, where mix loads `mix.exs` or a config file.
    Loading,
    /// `SIGKILL` ended the command itself.
    Killed,
}

/// A failure, and what it means.
///
/// The texts hold [`PLACEHOLDERS`]; a paragraph that needs one that is not known is left out.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) fault: Fault,
    pub(super) of: Of,
    pub(super) signs: &'static [Sign],
    pub(super) title: &'static str,
    /// What happened, where the quoted output does not say it.
    pub(super) cause: &'static [&'static str],
    pub(super) cure: &'static [&'static str],
}

/// What texts may hold in braces: what the pattern has captured, also as a path relative to the app;
/// the line of the app's code that the failure is of; the package manager, its
/// `package.json`, its lockfile, and how it adds a package for development and removes one; and the
/// words of the platform and of the build, as [`Wording`](crate::explain::Wording) has them.
pub(super) const PLACEHOLDERS: [&str; 19] = [
    "0",
    "1",
    "path 0",
    "place",
    "manager",
    "package",
    "lockfile",
    "add",
    "remove",
    "config var",
    "a config var",
    "config vars",
    "set",
    "again",
    "ignore file",
    "add buildpack",
    "apt",
    "apt file",
    "mix env",
];

/// The first that fits is taken: what is the cause of others stands before them.
pub(super) fn table() -> impl Iterator<Item = &'static Known> {
    let parts = [
        fetching::KNOWN,
        mix::KNOWN,
        javascript::KNOWN,
        general::KNOWN,
    ];
    parts.into_iter().flatten()
}

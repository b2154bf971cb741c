//! The known failures, each with its signs and its message.

mod fetching;
mod general;
mod javascript;
mod mix;

use crate::Fault;

/// The tool whose output a pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// mix and the tools it runs: Hex, rebar3, git, make.
    Mix,
    /// A JavaScript package manager and the tools its scripts run.
    JavaScript,
    /// npm while it fetches a package manager, where the app's own files only set a version.
    FetchingManager,
    Any,
}

/// The sign of a failure. In a pattern, `{}` matches any text and captures it, and `*` matches any text.
/// At the end of a pattern, they match the rest of the line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// A line contains the pattern.
    Line(&'static str),
    /// A line contains the first pattern, and any line contains the second text, in which `{0}` stands for
    /// the first capture.
    Both(&'static str, &'static str),
    /// mix lists a path dependency (captured: its name, its directory), and the next line contains this
    /// text; or any line contains it, with `{0}` for the name.
    PathDependency(&'static str),
    /// An exception or a syntax error when mix loads `mix.exs` or a config file.
    Loading,
    /// `SIGKILL` ended the command itself.
    Killed,
}

/// A failure and its message.
///
/// The texts contain [`PLACEHOLDERS`]. A paragraph with an unknown one is left out.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) fault: Fault,
    pub(super) tool: Tool,
    pub(super) signs: &'static [Sign],
    pub(super) title: &'static str,
    /// The cause, if the quoted output does not show it.
    pub(super) cause: &'static [&'static str],
    pub(super) cure: &'static [&'static str],
}

/// The placeholders that texts may contain in braces: the captures of the pattern, also as a path relative
/// to the app; the line of the app's code with the failure; the package manager, its `package.json`, its
/// lockfile, and its commands that add a development package and remove one; and the words of the
/// platform and of the build from [`Wording`](crate::Wording).
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

/// Returns the known failures. The first match counts, so a failure that causes others comes before them.
pub(super) fn table() -> impl Iterator<Item = &'static Known> {
    let parts = [
        fetching::KNOWN,
        mix::KNOWN,
        javascript::KNOWN,
        general::KNOWN,
    ];
    parts.into_iter().flatten()
}

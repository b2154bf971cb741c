//! Version requests in files, and the files that only contain one version.

use crate::origin::{Origin, Setting};
use versions::Tool;

/// A version that a file requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    pub tool: Tool,
    pub requested: Setting,
}

/// The files with a single version.
pub(crate) const SINGLE: [(&str, Tool); 4] = [
    (".elixir-version", Tool::Elixir),
    (".erlang-version", Tool::Erlang),
    (".node-version", Tool::Node),
    (".nvmrc", Tool::Node),
];

/// Whether a value refers to an installation on a developer's machine (`system`, `path:/opt/elixir`), which a build
/// server doesn't have.
#[must_use]
pub(crate) fn is_local(value: &str) -> bool {
    value == "system" || value.starts_with("path:")
}

/// Reads a file with a single version: its first line that is neither blank nor a comment.
pub(crate) fn single(path: &str, tool: Tool, text: &str) -> Option<VersionEntry> {
    let text = text.trim_start_matches('\u{feff}');
    let (line, value) = (1..)
        .zip(text.lines())
        .map(|(line, text)| {
            let text = text.split_once('#').map_or(text, |(before, _)| before);
            (line, text.trim())
        })
        .find(|(_, text)| !text.is_empty())?;
    Some(VersionEntry {
        tool,
        requested: Setting::new(value.to_owned(), Origin::file(path, line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_file_may_have_blank_lines_and_comments() {
        let entry = single(
            ".nvmrc",
            Tool::Node,
            "\u{feff}# LTS\r\n\r\n v22.1 # x\r\n20\r\n",
        );
        let entry = entry.unwrap();
        assert_eq!(entry.requested.value, "v22.1");
        assert_eq!(entry.requested.origin, Origin::file(".nvmrc", 3));
        assert_eq!(single(".nvmrc", Tool::Node, "\n# none\n"), None);
    }
}

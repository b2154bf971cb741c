//! Versions that files ask for: the names of tools, and the files that hold one version and nothing
//! else.

use crate::origin::{Asked, Origin};
use crate::tool_versions;
use versions::Tool;

/// A version that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    pub tool: Tool,
    pub asked: Asked,
}

/// Files that hold one version.
pub(crate) const SINGLE: [(&str, Tool); 4] = [
    (".elixir-version", Tool::Elixir),
    (".erlang-version", Tool::Erlang),
    (".node-version", Tool::Node),
    (".nvmrc", Tool::Node),
];

/// Whether a value names something of the machine that it was written on (`system`,
/// `path:/opt/elixir`), which a build server does not have.
#[must_use]
pub(crate) fn is_local(value: &str) -> bool {
    value == "system" || value.starts_with("path:")
}

/// The names that a tool goes by in the files of asdf and mise.
pub(crate) fn names(tool: Tool) -> &'static [&'static str] {
    match tool {
        Tool::Erlang => tool_versions::ERLANG,
        Tool::Elixir => tool_versions::ELIXIR,
        Tool::Node => tool_versions::NODE,
    }
}

/// The name of a tool without mise's backend and the owner of its plugin: `core:erlang`,
/// `asdf:elixir` and `asdf:mise-plugins/asdf-elixir` name what `erlang` and `elixir` do.
pub(crate) fn tool_name(name: &str) -> &str {
    let with_backend = ["core:", "asdf:", "vfox:"];
    let Some(plugin) = with_backend.iter().find_map(|b| name.strip_prefix(b)) else {
        return name;
    };
    let plugin = plugin.rsplit('/').next().unwrap_or(plugin);
    let prefixes = ["asdf-", "mise-", "vfox-"];
    let short = prefixes.iter().find_map(|p| plugin.strip_prefix(p));
    short.unwrap_or(plugin)
}

/// A file that holds one version: its first line that is neither blank nor a comment.
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
        asked: Asked::new(value.to_owned(), Origin::file(path, line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_no_part_of_the_name_of_a_tool() {
        for name in [
            "elixir",
            "core:elixir",
            "asdf:elixir",
            "asdf:mise-plugins/asdf-elixir",
            "asdf:mise-plugins/mise-elixir",
            "vfox:version-fox/vfox-elixir",
        ] {
            assert_eq!(tool_name(name), "elixir", "{name}");
        }
        assert_eq!(tool_name("npm:node"), "npm:node");
    }

    #[test]
    fn a_file_with_one_version_may_have_blank_lines_and_comments() {
        let entry = single(
            ".nvmrc",
            Tool::Node,
            "\u{feff}# LTS\r\n\r\n v22.1 # x\r\n20\r\n",
        );
        let entry = entry.unwrap();
        assert_eq!(entry.asked.value, "v22.1");
        assert_eq!(entry.asked.origin, Origin::file(".nvmrc", 3));
        assert_eq!(single(".nvmrc", Tool::Node, "\n# none\n"), None);
    }
}

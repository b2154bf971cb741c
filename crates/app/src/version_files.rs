//! The files of version managers beside `.tool-versions`: `mise.toml` and the files that hold one
//! version and nothing else.

use crate::facts::ReadError;
use crate::origin::{Asked, Origin};
use crate::tool_versions;
use toml::de::{DeTable, DeValue};
use versions::Tool;

/// A version that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    pub tool: Tool,
    pub asked: Asked,
}

/// The project's files of mise, the one that wins first. Source:
/// <https://mise.jdx.dev/configuration.html>.
pub(crate) const MISE: [&str; 3] = ["mise.toml", ".mise.toml", ".config/mise.toml"];

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

/// The `[tools]` of a `mise.toml`: `erlang = "27"`, `node = ["22", "20"]` (the first counts),
/// `elixir = {version = "1.18"}`. Other tools are left out.
pub(crate) fn mise(path: &str, text: &str) -> Result<Vec<VersionEntry>, ReadError> {
    // Blanks, so that places stay true.
    let text = text.replacen('\u{feff}', " ", 1);
    let table = DeTable::parse(&text).map_err(|error| ReadError::Toml {
        path: path.to_owned(),
        line: error.span().map_or(0, |span| line_at(&text, span.start)),
        message: error.message().to_owned(),
    })?;
    let Some(tools) = table
        .get_ref()
        .get("tools")
        .and_then(|tools| tools.get_ref().as_table())
    else {
        return Ok(Vec::new());
    };
    let entry = |tool| {
        let (name, value) = tools.iter().find(|(name, _)| {
            let name = name.get_ref();
            names(tool).contains(&name.strip_prefix("core:").unwrap_or(name))
        })?;
        let value = version(value.get_ref())?;
        // `prefix:1.18` is mise's word for the newest of a line, which `1.18` means here.
        let value = value.strip_prefix("prefix:").unwrap_or(value);
        let line = line_at(&text, name.span().start);
        Some(VersionEntry {
            tool,
            asked: Asked::new(value.to_owned(), Origin::file(path, line)),
        })
    };
    Ok([Tool::Erlang, Tool::Elixir, Tool::Node]
        .into_iter()
        .filter_map(entry)
        .collect())
}

/// The version in a value; a number without quotes reads as it is written.
fn version<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        DeValue::Integer(number) => Some(number.as_str()),
        DeValue::Float(number) => Some(number.as_str()),
        DeValue::Array(list) => version(list.iter().next()?.get_ref()),
        DeValue::Table(table) => version(table.get("version")?.get_ref()),
        DeValue::Boolean(_) | DeValue::Datetime(_) => None,
    }
}

fn line_at(text: &str, at: usize) -> u32 {
    let newlines = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    u32::try_from(newlines).map_or(0, |newlines| newlines + 1)
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

    fn read(text: &str) -> Vec<(Tool, String, String)> {
        let entries = mise("mise.toml", text).unwrap();
        entries
            .into_iter()
            .map(|entry| {
                (
                    entry.tool,
                    entry.asked.value,
                    entry.asked.origin.to_string(),
                )
            })
            .collect()
    }

    fn found(tool: Tool, value: &str, line: u32) -> (Tool, String, String) {
        (tool, value.to_owned(), format!("mise.toml:{line}"))
    }

    #[test]
    fn every_form_of_a_version_in_mise_toml() {
        let text = "\u{feff}# tools\r\n[env]\r\nerlang = \"1\"\r\n[tools]\r\nerlang = \"27\" # newest\r\n\"core:elixir\" = {version = \"1.18.4-otp-27\"}\r\nnode = [\"22\", \"20\"]\r\nusage = \"latest\"\r\n";
        assert_eq!(
            read(text),
            [
                found(Tool::Erlang, "27", 5),
                found(Tool::Elixir, "1.18.4-otp-27", 6),
                found(Tool::Node, "22", 7),
            ]
        );
        assert_eq!(
            read("[tools]\nelixir = 1.18\nnodejs = 22\nerlang = \"prefix:27.3\"\n"),
            [
                found(Tool::Erlang, "27.3", 4),
                found(Tool::Elixir, "1.18", 2),
                found(Tool::Node, "22", 3),
            ]
        );
        assert_eq!(
            read("[tools.elixir]\nversion = \"1.17\"\n"),
            [found(Tool::Elixir, "1.17", 1)]
        );
        assert_eq!(read("tools = 1\n"), []);
        assert_eq!(read("[tools]\nnode = []\nerlang = true\nelixir = {}\n"), []);
    }

    #[test]
    fn a_broken_mise_toml_names_its_line() {
        let error = mise("mise.toml", "[tools]\nerlang = \"27\nelixir = 1\n").unwrap_err();
        assert!(error.to_string().starts_with("mise.toml:2: "), "{error}");
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

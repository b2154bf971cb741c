//! `.tool-versions`, asdf's file, which mise reads too. Each line is `TOOL VERSION [VERSION…]`.

use versions::Tool;

/// Returns the names of a tool in the files of asdf and mise.
pub(crate) fn names(tool: Tool) -> &'static [&'static str] {
    match tool {
        Tool::Erlang => &["erlang"],
        Tool::Elixir => &["elixir"],
        Tool::Node => &["nodejs", "node"],
    }
}

/// Returns the name of a tool without mise's backend and the owner of its plugin: `elixir` for
/// `asdf:elixir` and for `asdf:mise-plugins/asdf-elixir`.
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

/// One line that names a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub tool: String,
    /// The versions in order of preference, as written: `27.3.4`, `1.18.4-otp-27`, `ref:main`, `path:/opt/x`,
    /// `system`.
    pub versions: Vec<String>,
    /// 1-based.
    pub line: u32,
}

/// Reads all entries in order. A `#` starts a comment anywhere. A byte order mark and carriage returns are ignored.
#[must_use]
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let text = text.trim_start_matches('\u{feff}');
    (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| {
            let text = text.split_once('#').map_or(text, |(before, _)| before);
            let mut words = text.split_whitespace().map(str::to_owned);
            Some(Entry {
                tool: words.next()?,
                versions: words.collect(),
                line,
            })
        })
        .collect()
}

/// Returns the entry and version in effect for a tool: the last line with the tool, under any of its names, and a
/// version; of that line, the first version.
///
/// asdf uses the first installed version of a line. In a build, none is installed yet. The other versions are
/// fallbacks for a developer's machine.
#[must_use]
pub(crate) fn lookup(entries: &[Entry], tool: Tool) -> Option<(&Entry, &str)> {
    entries
        .iter()
        .rev()
        .filter(|entry| names(tool).contains(&tool_name(&entry.tool)))
        .find_map(|entry| Some((entry, entry.versions.first()?.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, tool: Tool) -> Option<(String, u32)> {
        let entries = parse(text);
        lookup(&entries, tool).map(|(entry, version)| (version.to_owned(), entry.line))
    }

    #[test]
    fn reads_typical_tool_versions_file() {
        let text = "\u{feff}# runtime\r\nerlang 27.3.4   # keep in step\r\n\r\nelixir\t1.18.4-otp-27 1.17.3\r\nnodejs 22.1.0\r\n";
        assert_eq!(found(text, Tool::Erlang), Some(("27.3.4".to_owned(), 2)));
        assert_eq!(
            found(text, Tool::Elixir),
            Some(("1.18.4-otp-27".to_owned(), 4))
        );
        assert_eq!(found(text, Tool::Node), Some(("22.1.0".to_owned(), 5)));
        assert_eq!(parse(text)[1].versions, ["1.18.4-otp-27", "1.17.3"]);
    }

    #[test]
    fn last_line_wins_across_tool_aliases() {
        assert_eq!(
            found("nodejs 20.1.0\nnode 22.1.0\n", Tool::Node),
            Some(("22.1.0".to_owned(), 2))
        );
        assert_eq!(
            found("node 22.1.0\nnodejs 20.1.0\n", Tool::Node),
            Some(("20.1.0".to_owned(), 2))
        );
        assert_eq!(
            found("erlang 26.0\nerlang # later\n", Tool::Erlang),
            Some(("26.0".to_owned(), 1))
        );
    }

    #[test]
    fn tool_name_must_match_whole_word() {
        assert_eq!(found("erlang-ls 1.0\n#erlang 27.0\n", Tool::Erlang), None);
        let with_backend = found("core:erlang 27.0\n", Tool::Erlang);
        assert_eq!(with_backend, Some(("27.0".to_owned(), 1)));
    }

    #[test]
    fn non_version_values_pass_through() {
        for value in ["ref:main", "path:/opt/elixir", "system"] {
            assert_eq!(
                found(&format!("elixir {value}\n"), Tool::Elixir),
                Some((value.to_owned(), 1))
            );
        }
    }

    #[test]
    fn tool_name_omits_backend() {
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

    proptest! {
        #[test]
        fn parsed_words_contain_no_whitespace(text in "\\PC*|(?s).*") {
            for entry in parse(&text) {
                prop_assert!(!entry.tool.is_empty());
                prop_assert!(entry.line as usize <= text.lines().count());
                for word in entry.versions.iter().chain([&entry.tool]) {
                    prop_assert!(!word.contains(|c: char| c.is_whitespace() || c == '#'));
                }
            }
        }
    }
}

//! `Procfile`: one process type per line, `TYPE: COMMAND`.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file of process types.
pub const PROCFILE: &str = "Procfile";
/// The first words of a `Procfile` that Mixpack generated from the app's.
pub(crate) const GENERATED_HEADER: &str = "# Made by Mixpack of ";

/// The process types of a `Procfile`, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Procfile(pub BTreeMap<String, String>);

impl Procfile {
    /// Parses like Heroku: a name of letters, digits, `-` and `_` before the first colon. Comments and lines of
    /// another shape are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut types = BTreeMap::new();
        for line in text.lines() {
            let Some((name, command)) = line.split_once(':') else {
                continue;
            };
            let name = name.trim();
            let command = command.trim();
            let is_type = !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if is_type && !command.is_empty() {
                types.insert(name.to_owned(), command.to_owned());
            }
        }
        Self(types)
    }

    /// Returns a process type that needs Erlang, Elixir or mix to start.
    #[must_use]
    pub fn calling_mix(&self) -> Option<&str> {
        let mut types = self.0.iter();
        let found = types.find(|(_, command)| {
            let mut words = command.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c)));
            words.any(|word| ["mix", "iex", "elixir", "erl"].contains(&word))
        });
        found.map(|(name, _)| name.as_str())
    }

    /// Returns the file of the app that each process type starts first, relative to the app. Ambiguous commands are
    /// left out.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().filter_map(|(name, line)| {
            let (_, words) = first_command(line);
            let file = words.into_iter().next()?;
            let is_plain = |c: char| c.is_alphanumeric() || "._-/".contains(c);
            let is_path = file.contains('/') && !file.starts_with('/') && !file.contains("..");
            (is_path && file.chars().all(is_plain)).then(|| (name.as_str(), Path::new(file)))
        })
    }

    /// Returns the process types that set another `MIX_ENV` before they call mix, with its value.
    pub fn other_mix_envs(&self, mix_env: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(name, line)| {
            let (assignments, words) = first_command(line);
            let mut values = assignments
                .into_iter()
                .filter_map(|word| word.strip_prefix("MIX_ENV="));
            let other = values
                .next_back()
                .filter(|value| *value != mix_env && !value.contains('$'))?;
            let calls_mix = words.iter().any(|word| ["mix", "iex"].contains(word));
            calls_mix.then_some((name.as_str(), other))
        })
    }
}

/// Returns the assignments at the start of a line, and the words of its first command, up to shell operators.
fn first_command(line: &str) -> (Vec<&str>, Vec<&str>) {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| ["exec", "env"].contains(word))
        .peekable();
    let is_assignment = |word: &&str| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut assignments = Vec::new();
    while let Some(word) = words.next_if(is_assignment) {
        assignments.push(word);
    }
    let words = words.skip_while(|word| *word == "exec");
    let words = words.take_while(|word| !word.contains(['&', ';', '|', '<', '>', '(']));
    (assignments, words.collect())
}

/// Returns whether an earlier build in the same directory generated this `Procfile`.
#[must_use]
pub(crate) fn is_generated(procfile: &str) -> bool {
    procfile.starts_with(GENERATED_HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_process_types_and_skips_comments() {
        let procfile = Procfile::parse(
            "# web: old\nweb: MIX_ENV=prod mix phx.server\r\nrelease: mix ecto.migrate && echo a:b\n\nnonsense\n",
        );
        assert_eq!(procfile.0["web"], "MIX_ENV=prod mix phx.server");
        assert_eq!(procfile.0["release"], "mix ecto.migrate && echo a:b");
        assert_eq!(procfile.0.len(), 2);
    }

    #[test]
    fn finds_file_of_process_if_unambiguous() {
        let files = |line: &str| {
            let procfile = Procfile::parse(&format!("web: {line}"));
            let mut files = procfile.files().map(|(_, file)| file.to_owned());
            files.next().map(|file| file.to_string_lossy().into_owned())
        };
        let started = |line: &str| files(line).unwrap_or_default();
        assert_eq!(started("bin/server"), "bin/server");
        assert_eq!(started("PORT=1 exec ./bin/server -x && b"), "./bin/server");
        assert_eq!(
            started("env A=b _build/prod/rel/shop/bin/shop start"),
            "_build/prod/rel/shop/bin/shop"
        );
        for unclear in [
            "mix phx.server",
            "$HOME/bin/x",
            "/usr/bin/env x",
            "cd rel && bin/x",
            "bin/$APP",
            "(bin/x)",
            "../x/y",
        ] {
            assert_eq!(started(unclear), "", "{unclear}");
        }
    }

    #[test]
    fn detects_different_mix_env_before_mix() {
        let other = |line: &str| {
            let procfile = Procfile::parse(&format!("web: {line}"));
            let found = procfile.other_mix_envs("prod").next();
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        assert_eq!(other("MIX_ENV=staging mix phx.server"), "staging");
        assert_eq!(
            other("env MIX_ENV=dev PORT=1 elixir --sname a -S mix run"),
            "dev"
        );
        for same in [
            "MIX_ENV=prod mix phx.server",
            "MIX_ENV=$E mix run",
            "mix run",
            "MIX_ENV=dev bin/server",
        ] {
            assert_eq!(other(same), "", "{same}");
        }
    }
}

//! `Procfile`: one process type a line, `TYPE: COMMAND`.

use serde::Serialize;
use std::collections::BTreeMap;

/// The process types of a `Procfile`, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Procfile(pub BTreeMap<String, String>);

impl Procfile {
    /// Reads as Heroku does: letters, digits, `-` and `_` before the first colon; lines that
    /// start with `#` and lines of another shape are passed over.
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

    /// A process type that needs Erlang, Elixir or mix to start.
    #[must_use]
    pub fn calling_mix(&self) -> Option<&str> {
        let mut types = self.0.iter();
        let found = types.find(|(_, command)| {
            let mut words = command.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c)));
            words.any(|word| ["mix", "iex", "elixir", "erl"].contains(&word))
        });
        found.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_comments_are_not() {
        let procfile = Procfile::parse(
            "# web: old\nweb: MIX_ENV=prod mix phx.server\r\nrelease: mix ecto.migrate && echo a:b\n\nnonsense\n",
        );
        assert_eq!(procfile.0["web"], "MIX_ENV=prod mix phx.server");
        assert_eq!(procfile.0["release"], "mix ecto.migrate && echo a:b");
        assert_eq!(procfile.0.len(), 2);
    }
}

//! Detects lines of a config file that were meant as assignments, but that bash runs as commands.

use super::keys;
use crate::facts::shell_config::name_in;

/// Why bash doesn't read the line as an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// `NAME = VALUE` and `NAME =VALUE`: bash runs NAME.
    SpaceBefore { also_after: bool },
    /// `NAME= VALUE`: bash runs VALUE.
    SpaceAfter,
    /// `NAME=VALUE MORE`: bash runs MORE.
    NoQuotes,
}

/// An assignment that bash reads as a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentTypo {
    pub cause: Cause,
    /// Whether it starts with `export`, which then takes words as names.
    pub exported: bool,
    /// The word that bash runs, or takes as a name.
    pub word: String,
    /// The line as it was meant.
    pub corrected: String,
}

impl AssignmentTypo {
    /// Finds the typo in a line of a config file on which bash failed.
    #[must_use]
    pub fn find(line: &str) -> Option<Self> {
        let line = line.trim();
        let after_export = line.strip_prefix("export").map(str::trim_start);
        let exported = after_export.filter(|rest| line.len() - rest.len() > "export".len());
        let rest = exported.unwrap_or(line);
        let name = name_in(rest);
        let (before, value) = rest[name.len()..].split_once('=')?;
        // This includes no-break spaces.
        let has_blank = |text: &str| text.starts_with(char::is_whitespace);
        if name.is_empty() || !before.trim().is_empty() || value.starts_with('=') {
            return None;
        }
        let also_after = has_blank(value);
        let value = Value::parse(value.trim_start());
        let (cause, word) = if has_blank(before) {
            let word = if exported.is_some() { "=" } else { name };
            (Cause::SpaceBefore { also_after }, word)
        } else if also_after {
            (Cause::SpaceAfter, value.first)
        } else {
            // `FOO=1 command` isn't a typo. Only lines with the name of a setting are certainly meant as assignments.
            let is_setting = keys::all().any(|key| key == name);
            let more = value.more.split_whitespace().next()?;
            (is_setting && value.is_plain()).then_some((Cause::NoQuotes, more))?
        };
        Some(Self {
            cause,
            exported: exported.is_some(),
            word: word.to_owned(),
            corrected: format!(
                "{}{name}={}",
                exported.map_or("", |_| "export "),
                value.corrected()
            ),
        })
    }
}

/// The text after the equals sign.
struct Value<'a> {
    /// Its first word, quotes included.
    first: &'a str,
    /// The words after the first, without a comment.
    more: &'a str,
    /// All of it, without a comment.
    all: &'a str,
}

impl<'a> Value<'a> {
    fn parse(text: &'a str) -> Self {
        let mut quote = None;
        let mut before = ' ';
        let mut first_end = None;
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            match quote {
                Some(open) => quote = Some(open).filter(|open| *open != c),
                None if c == '#' && before.is_whitespace() => {
                    end = at;
                    break;
                }
                None if c.is_whitespace() => first_end = first_end.or(Some(at)),
                None => quote = Some(c).filter(|c| ['"', '\'', '`'].contains(c)),
            }
            before = c;
        }
        let all = text[..end].trim_end();
        let first_end = first_end.unwrap_or(end).min(all.len());
        Self {
            first: &all[..first_end],
            more: all[first_end..].trim_start(),
            all,
        }
    }

    /// Whether its words are separated by spaces only, without quotes and command substitutions.
    fn is_plain(&self) -> bool {
        !self.all.contains(['"', '\'', '`', '('])
    }

    /// Returns the value as one word, or as an array if it is one.
    fn corrected(&self) -> String {
        let all = self.all;
        if self.more.is_empty() || all.starts_with('(') {
            all.to_owned()
        } else if !all.contains(['"', '`', '\\']) {
            format!("\"{all}\"")
        } else {
            shell_words::quote(all).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::shell_config::{self, Outcome};

    fn find(line: &str) -> Option<(Cause, String, String)> {
        let typo = AssignmentTypo::find(line)?;
        // The correction is an assignment.
        let read = shell_config::parse(&typo.corrected);
        assert!(matches!(read, Outcome::Plain(_)), "{}", typo.corrected);
        Some((typo.cause, typo.word, typo.corrected))
    }

    #[test]
    fn typo_in_assignment_suggests_corrected_line() {
        let around = Cause::SpaceBefore { also_after: true };
        let before = Cause::SpaceBefore { also_after: false };
        for (line, cause, word, corrected) in [
            (
                "erlang_version = 25.3.2",
                &around,
                "erlang_version",
                "erlang_version=25.3.2",
            ),
            (
                "\telixir_version =1.16.3  # pinned",
                &before,
                "elixir_version",
                "elixir_version=1.16.3",
            ),
            (
                "hook_compile = mix compile",
                &around,
                "hook_compile",
                "hook_compile=\"mix compile\"",
            ),
            (
                "hook_post_compile= \"mix do a # b\"",
                &Cause::SpaceAfter,
                "\"mix do a # b\"",
                "hook_post_compile=\"mix do a # b\"",
            ),
            (
                "hook_compile= mix run -e \"IO.puts 'it'\"",
                &Cause::SpaceAfter,
                "mix",
                "hook_compile='mix run -e \"IO.puts '\\''it'\\''\"'",
            ),
            (
                "elixir_version = (branch main)",
                &around,
                "elixir_version",
                "elixir_version=(branch main)",
            ),
            (
                "node_version\u{a0}=\u{a0}20",
                &around,
                "node_version",
                "node_version=20",
            ),
            ("release =", &before, "release", "release="),
            ("export TOKEN = x", &around, "=", "export TOKEN=x"),
            (
                "export TOKEN= 'x'",
                &Cause::SpaceAfter,
                "'x'",
                "export TOKEN='x'",
            ),
            (
                "hook_compile=mix compile --force # all",
                &Cause::NoQuotes,
                "compile",
                "hook_compile=\"mix compile --force\"",
            ),
        ] {
            let expected = (cause.clone(), word.to_owned(), corrected.to_owned());
            assert_eq!(find(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_commands_are_not_typos() {
        for line in [
            "",
            "nosuch x",
            "erlang_version=27",
            "FOO=1 nosuch",
            "hook_compile=\"mix x\" y",
            "[ \"$X\" = 1 ] && y=2",
            "elixir_version=$(asdf current elixir)",
            "test x == y",
            "x == y",
            "export",
            "= 1",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
    }
}

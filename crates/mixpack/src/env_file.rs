//! `.env`: one variable per line, in the format of `heroku local` and foreman.

use std::path::Path;

/// The contents of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// Names and values, in the order of the lines.
    pub(crate) variables: Vec<(String, String)>,
    /// The numbers of invalid lines, from 1.
    pub(crate) invalid_lines: Vec<usize>,
}

impl EnvFile {
    /// Reads the file. `None` if it doesn't exist.
    pub(crate) fn read(path: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Parses `KEY=VALUE` or `export KEY=VALUE`. A value in single quotes is literal. In double quotes, `\n` is a
    /// newline, and `\` before any other character stands for that character. Other values are literal. Lines that
    /// start with `#` are comments.
    fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            match line.split_once('=') {
                Some((name, value)) if is_name(name) => {
                    file.variables
                        .push((name.to_owned(), unquoted(value.trim())));
                }
                _ => file.invalid_lines.push(number),
            }
        }
        file
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn unquoted(value: &str) -> String {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = within('\'') {
        return literal.to_owned();
    }
    let Some(quoted) = within('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            character => character,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_line_form_and_counts_invalid_lines() {
        let file = EnvFile::parse(
            "\u{feff}A=1\n# comment\n\nexport B = no\nexport C=two words # kept\nD='it\\n'\nE=\"a\\nb \\\"c\\\" \\$d\"\n\
             F=\r\nG=a=b\n9=x\nnonsense\nH=\"\n",
        );
        let variables = [
            ("A", "1"),
            ("C", "two words # kept"),
            ("D", "it\\n"),
            ("E", "a\nb \"c\" $d"),
            ("F", ""),
            ("G", "a=b"),
            ("H", "\""),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(file.variables, variables);
        assert_eq!(file.invalid_lines, [4, 10, 11]);
    }
}

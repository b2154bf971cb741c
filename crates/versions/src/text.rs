//! Cleans up versions as people write them.

use crate::error::Reason;

const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// Returns the version in a value as people write it: without a byte order mark, white space (including carriage
/// returns and no-break spaces), quotes (including typographic ones), a trailing backslash, and a trailing ` #
/// comment`.
pub(crate) fn clean(input: &str) -> &str {
    let edge = |c: char| c.is_whitespace() || "\u{feff}\\".contains(c) || QUOTES.contains(&c);
    let text = input.trim_matches(edge);
    let comment = text
        .char_indices()
        .zip(text.chars().skip(1))
        .find(|((_, before), c)| before.is_whitespace() && *c == '#');
    match comment {
        Some(((at, _), _)) => text[..at].trim_matches(edge),
        None => text,
    }
}

/// Returns the part of `27.x` or `1.18.*` before the wildcards, and whether there were any.
pub(crate) fn without_wildcards(text: &str) -> (&str, bool) {
    let mut rest = text;
    while let Some(shorter) = [".x", ".X", ".*"]
        .iter()
        .find_map(|end| rest.strip_suffix(end))
    {
        rest = shorter;
    }
    (rest, rest.len() < text.len())
}

/// Parses a decimal number without sign.
pub(crate) fn number<N: std::str::FromStr>(part: &str) -> Result<N, Reason> {
    if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::NotANumber {
            part: part.to_owned(),
        });
    }
    part.parse().map_err(|_| Reason::TooLarge {
        part: part.to_owned(),
    })
}

/// Whether a name from a list or a user can be part of a URL path and a file name without escaping.
pub(crate) fn is_path_safe(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_strips_quotes_comments_and_whitespace() {
        for input in [
            "27.3",
            " 27.3\r\n",
            "\u{feff}27.3",
            "\"27.3\"",
            "'27.3'\r",
            "\u{201c}27.3\u{201d}",
            "27.3\u{a0}",
            "27.3\\",
            "27.3 # the newest",
            "\"27.3\"\t# x",
        ] {
            assert_eq!(clean(input), "27.3", "{input:?}");
        }
        assert_eq!(clean("27#3"), "27#3");
        assert_eq!(clean(" \r\n"), "");
    }

    #[test]
    fn names_that_could_escape_directory_are_not_path_safe() {
        assert!(is_path_safe("OTP-27.0-rc1"));
        for name in ["", "..", "../x", "a/b", "-rf", "a b", "é", "a?b", "a%2f"] {
            assert!(!is_path_safe(name), "{name:?}");
        }
    }
}

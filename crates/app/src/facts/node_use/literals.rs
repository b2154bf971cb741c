//! The strings of Elixir and Erlang code, apart from its comments and its documentation.

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Elixir,
    Erlang,
}

/// The syntax of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    /// A heredoc between `"""`.
    Heredoc,
    /// `~w(…)`.
    Words,
}

/// A string in code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal<'a> {
    pub line: u32,
    pub kind: Kind,
    pub text: &'a str,
    /// Its position in [`Code::bare`].
    pub at: usize,
    /// The text after it.
    pub behind: &'a str,
}

/// A file's code.
#[derive(Debug, Default)]
pub(super) struct Code<'a> {
    pub literals: Vec<Literal<'a>>,
    /// The code without literals and comments.
    pub bare: String,
}

impl<'a> Code<'a> {
    pub(super) fn read(text: &'a str, language: Language) -> Self {
        let mut reader = Reader {
            text,
            language,
            at: 0,
            code: Self::default(),
        };
        while reader.at < text.len() {
            reader.code_up_to(None);
        }
        reader.code
    }
}

/// Attributes whose value is documentation.
const DOCUMENTATION: [&str; 4] = ["@doc", "@moduledoc", "@shortdoc", "@typedoc"];
/// Sigils of templates of Phoenix, including old versions, and Surface.
const TEMPLATES: [&str; 4] = ["H", "L", "E", "F"];

struct Reader<'a> {
    text: &'a str,
    language: Language,
    at: usize,
    code: Code<'a>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Moves on by `count` bytes, and up to the next character.
    fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// Reads code up to the end, or up to the `}` that ends an interpolation.
    fn code_up_to(&mut self, end: Option<char>) {
        let mut depth = 0;
        while let Some(c) = self.rest().chars().next() {
            let comment = match self.language {
                Language::Elixir => '#',
                Language::Erlang => '%',
            };
            let quoted = match self.language {
                Language::Elixir => '?',
                Language::Erlang => '$',
            };
            if c == comment {
                let length = self.rest().find('\n').unwrap_or(self.rest().len());
                self.skip(length);
            } else if c == quoted && !self.code.bare.ends_with(is_name) {
                let escaped = self.rest()[1..].starts_with('\\');
                self.skip(if escaped { 3 } else { 2 });
            } else if c == '"' || c == '\'' {
                self.string(c, true, "");
            } else if c == '~' && self.language == Language::Elixir {
                self.sigil();
            } else {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if depth < 0 && end == Some(c) {
                    self.skip(1);
                    return;
                }
                self.code.bare.push(c);
                self.skip(c.len_utf8());
            }
        }
    }

    fn sigil(&mut self) {
        let name: String = self.rest()[1..]
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let open = self.rest()[1 + name.len()..].chars().next();
        let Some(open) = open.filter(|open| !name.is_empty() && "/|\"'([{<".contains(*open)) else {
            self.code.bare.push('~');
            self.skip(1);
            return;
        };
        self.skip(1 + name.len());
        let interpolates = name.starts_with(|c: char| c.is_ascii_lowercase());
        self.string(open, interpolates, &name);
    }

    /// Reads a literal, starting at its opening delimiter.
    fn string(&mut self, open: char, interpolates: bool, sigil: &str) {
        let (begun, at) = (self.at, self.code.bare.len());
        let triple = open.to_string().repeat(3);
        let heredoc = "\"'".contains(open) && self.rest().starts_with(&triple);
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '<' => '>',
            same => same,
        };
        self.skip(if heredoc { 3 } else { 1 });
        let start = self.at;
        let mut end = self.text.len();
        while let Some(c) = self.rest().chars().next() {
            let line = &self.text[start..self.at];
            let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
            if heredoc && self.rest().starts_with(&triple) && line.trim().is_empty() {
                end = self.at;
                self.skip(3);
                break;
            }
            if !heredoc && c == close {
                end = self.at;
                self.skip(1);
                break;
            }
            if c == '\\' {
                self.skip(2);
            } else if interpolates && self.is_interpolation() {
                self.skip(2);
                self.code_up_to(Some('}'));
            } else {
                self.skip(c.len_utf8());
            }
        }
        let modifiers = self.rest().chars().take_while(char::is_ascii_lowercase);
        let modifiers: String = if sigil.is_empty() {
            String::new()
        } else {
            modifiers.collect()
        };
        self.skip(modifiers.len());
        let words = sigil.eq_ignore_ascii_case("w");
        let before = self.code.bare[..at].trim_end();
        let is_prose = DOCUMENTATION.iter().any(|doc| before.ends_with(doc))
            || TEMPLATES.contains(&sigil)
            // Atoms don't name programs.
            || words && modifiers == "a"
            || self.language == Language::Erlang && open == '\'';
        if is_prose {
            return;
        }
        self.code.literals.push(Literal {
            line: line_at(self.text, begun),
            kind: match (words, heredoc) {
                (true, _) => Kind::Words,
                (false, true) => Kind::Heredoc,
                (false, false) => Kind::String,
            },
            text: &self.text[start..end],
            at,
            behind: self.rest(),
        });
    }

    fn is_interpolation(&self) -> bool {
        self.language == Language::Elixir && self.rest().starts_with("#{")
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_at(text: &str, at: usize) -> u32 {
    let lines = text[..at].bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, language: Language) -> Vec<(u32, &str)> {
        let code = Code::read(text, language);
        let found = code.literals.iter();
        found.map(|literal| (literal.line, literal.text)).collect()
    }

    #[test]
    fn elixir_strings_differ_from_comments_and_docs() {
        let text = r#"
@moduledoc """
Runs "node".
"""
@doc ~S"""
A "quote # and
"""
@doc false
def a, do: ["x", ?", ?#, 'y', ~c"z"] # not "this"
@x ~w(one two)
@y ~w[three]a
def h, do: ~H|<p class="node">|
def b(x?), do: "a #{f("in #{g("deep")}")} \" b"
def c do
  """
  text "in" it
  """
end
"#;
        let expected = [
            (9, "x"),
            (9, "y"),
            (9, "z"),
            (10, "one two"),
            (13, "deep"),
            (13, "in #{g(\"deep\")}"),
            (13, "a #{f(\"in #{g(\"deep\")}\")} \\\" b"),
            (15, "\n  text \"in\" it\n  "),
        ];
        assert_eq!(texts(text, Language::Elixir), expected);
        let code = Code::read(text, Language::Elixir);
        assert!(code.bare.contains("def b(x?), do: "), "{}", code.bare);
        assert!(!code.bare.contains("not"), "{}", code.bare);
    }

    #[test]
    fn erlang_strings_differ_from_comments_and_atoms() {
        let text = "% \"no\"\na() -> ['node', $\", \"x\\\"y\", <<\"z\">>]. % \"no\"\n";
        assert_eq!(texts(text, Language::Erlang), [(2, "x\\\"y"), (2, "z")]);
    }

    #[test]
    fn malformed_source_is_read_to_end() {
        for text in [
            "\"",
            "~w(",
            "\"#{",
            "?",
            "é\"ü#{é",
            "~",
            "\"\"\"\n",
            "$\\",
            "?é'",
        ] {
            for language in [Language::Elixir, Language::Erlang] {
                Code::read(text, language);
            }
        }
    }
}

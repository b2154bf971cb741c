//! Elixir source as tokens, as far as reading configuration needs them.

/// A token and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A variable, a function, or a word such as `do`.
    Name(String),
    /// `Hello.Repo`.
    Alias(String),
    Atom(String),
    /// `port:` or `"assets.deploy":`.
    Key(String),
    /// A string or a charlist, as written between its quotes.
    Text {
        raw: String,
        interpolated: bool,
    },
    /// A sigil, with the letters before its delimiter and after it.
    Sigil {
        name: String,
        raw: String,
        modifiers: String,
    },
    Number(String),
    Op(&'static str),
    Open(char),
    Close(char),
    /// The end of a line, or a semicolon.
    Newline,
}

/// Longest first.
const OPERATORS: [&str; 52] = [
    "|||", "&&&", "<<<", ">>>", "<<~", "~>>", "<~>", "===", "!==", "...", "^^^", "+++", "---",
    "||", "&&", "|>", "->", "<-", "=>", "==", "!=", "=~", "<=", ">=", "<>", "++", "--", "::", "..",
    "\\\\", "**", "//", "~>", "<~", "=", "|", "&", "+", "-", "*", "/", "<", ">", "!", "^", ".",
    ",", "@", "%", "~", ":", "$",
];

/// The maximum depth of interpolations. Real code is less deep, and a hostile file must not exhaust the stack.
const MAX_DEPTH: u32 = 32;

/// Splits a file into tokens. The error is the line of an invalid string or character.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, u32> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    while reader.at < text.len() {
        reader.next()?;
    }
    Ok(reader.tokens)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    tokens: Vec<Token>,
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, line: u32) {
        self.tokens.push(Token { kind, line });
    }

    fn take_while(&mut self, matches: fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !matches(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    /// Whether the text here is the colon of a key, which is followed by white space.
    fn is_key(&self) -> bool {
        let mut rest = self.rest().chars();
        rest.next() == Some(':') && rest.next().is_none_or(char::is_whitespace)
    }

    fn next(&mut self) -> Result<(), u32> {
        let line = self.line;
        let Some(c) = self.peek() else {
            return Ok(());
        };
        match c {
            '\n' | ';' => {
                self.at += 1;
                self.line += u32::from(c == '\n');
                self.push(Kind::Newline, line);
            }
            '\\' if self.rest().starts_with("\\\n") => {
                self.at += 2;
                self.line += 1;
            }
            c if c.is_whitespace() || c == '\u{feff}' => self.at += c.len_utf8(),
            '#' => {
                let rest = self.rest();
                self.at += rest.find('\n').unwrap_or(rest.len());
            }
            '"' | '\'' => {
                let (raw, interpolated) = self.quoted(true, 0)?;
                if self.is_key() {
                    self.at += 1;
                    self.push(Kind::Key(raw), line);
                } else {
                    self.push(Kind::Text { raw, interpolated }, line);
                }
            }
            '~' if self.sigil()? => {}
            '?' => {
                let mut chars = self.rest()[1..].chars();
                let c = chars.next().ok_or(line)?;
                let escaped = if c == '\\' { chars.next() } else { None };
                self.at += 1 + c.len_utf8() + escaped.map_or(0, char::len_utf8);
                self.line += u32::from(c == '\n');
                self.push(Kind::Number(c.to_string()), line);
            }
            c if c.is_ascii_digit() => self.number(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            ':' if self.atom()? => {}
            _ => self.symbol()?,
        }
        Ok(())
    }

    fn number(&mut self) {
        let mut number = self.take_while(is_name);
        let mut rest = self.rest().chars();
        if rest.next() == Some('.') && rest.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            number.push('.');
            number.push_str(&self.take_while(is_name));
        }
        self.push(Kind::Number(number), self.line);
    }

    fn word(&mut self) {
        let line = self.line;
        let mut word = self.take_while(is_name);
        let is_alias = word.starts_with(char::is_uppercase);
        if let (false, Some(mark @ ('?' | '!'))) = (is_alias, self.peek())
            && !self.rest()[1..].starts_with('=')
        {
            word.push(mark);
            self.at += 1;
        }
        if self.is_key() {
            self.at += 1;
            return self.push(Kind::Key(word), line);
        }
        if !is_alias {
            return self.push(Kind::Name(word), line);
        }
        while let Some(rest) = self.rest().strip_prefix('.')
            && rest.starts_with(char::is_uppercase)
        {
            self.at += 1;
            word.push('.');
            word.push_str(&self.take_while(is_name));
        }
        self.push(Kind::Alias(word), line);
    }

    /// Reads an atom, if there is one here: `:name`, `:"a name"`, `:+`.
    fn atom(&mut self) -> Result<bool, u32> {
        let line = self.line;
        let rest = &self.rest()[1..];
        let Some(c) = rest.chars().next() else {
            return Ok(false);
        };
        if c == '"' || c == '\'' {
            self.at += 1;
            let (raw, _) = self.quoted(true, 0)?;
            self.push(Kind::Atom(raw), line);
            return Ok(true);
        }
        if is_name(c) {
            self.at += 1;
            let mut name = self.take_while(|c| is_name(c) || c == '@');
            if let Some(mark @ ('?' | '!')) = self.peek() {
                name.push(mark);
                self.at += 1;
            }
            self.push(Kind::Atom(name), line);
            return Ok(true);
        }
        if c == ':' || !"+-*/<>=!&|^.%~@".contains(c) {
            return Ok(false);
        }
        self.at += 1;
        let name = self.take_while(|c| "+-*/<>=!&|^.%~@".contains(c));
        self.push(Kind::Atom(name), line);
        Ok(true)
    }

    fn symbol(&mut self) -> Result<(), u32> {
        let line = self.line;
        let rest = self.rest();
        let bracket = match rest.as_bytes()[0] {
            open @ (b'(' | b'[' | b'{') => Some((Kind::Open(open.into()), 1)),
            close @ (b')' | b']' | b'}') => Some((Kind::Close(close.into()), 1)),
            b'<' if rest.starts_with("<<")
                && !rest.starts_with("<<<")
                && !rest.starts_with("<<~") =>
            {
                Some((Kind::Open('<'), 2))
            }
            b'>' if rest.starts_with(">>") && !rest.starts_with(">>>") => {
                Some((Kind::Close('>'), 2))
            }
            _ => None,
        };
        let (kind, length) = if let Some(found) = bracket {
            found
        } else {
            let mut operators = OPERATORS.iter();
            let operator = operators.find(|operator| rest.starts_with(**operator));
            let operator = operator.ok_or(line)?;
            (Kind::Op(operator), operator.len())
        };
        self.at += length;
        self.push(kind, line);
        Ok(())
    }

    /// Reads a sigil, if there is one here.
    fn sigil(&mut self) -> Result<bool, u32> {
        let line = self.line;
        let rest = &self.rest()[1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(0);
        let name = rest[..end].to_owned();
        let delimiter = rest[end..].chars().next().unwrap_or(' ');
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !"\"'/|([{<".contains(delimiter)
        {
            return Ok(false);
        }
        self.at += 1 + end;
        let (raw, _) = self.quoted(name.starts_with(char::is_lowercase), 0)?;
        let modifiers = self.take_while(|c| c.is_ascii_alphabetic());
        self.push(
            Kind::Sigil {
                name,
                raw,
                modifiers,
            },
            line,
        );
        Ok(true)
    }

    /// Reads a quoted text, starting at its opening delimiter. Returns the content, and whether it contains an
    /// interpolation.
    fn quoted(&mut self, with_code: bool, depth: u32) -> Result<(String, bool), u32> {
        let line = self.line;
        let open = self.peek().ok_or(line)?;
        let heredoc = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quotes| self.rest().starts_with(quotes));
        let close = match open {
            '(' => ")",
            '[' => "]",
            '{' => "}",
            '<' => ">",
            _ => heredoc.unwrap_or(&self.text[self.at..=self.at]),
        };
        self.at += if heredoc.is_some() { 3 } else { 1 };
        let start = self.at;
        let mut interpolated = false;
        while !self.rest().starts_with(close) {
            let c = self.peek().ok_or(line)?;
            if c == '\\' && (with_code || self.rest()[1..].starts_with(close)) {
                self.at += 1;
                self.skip(line)?;
            } else if with_code && self.rest().starts_with("#{") {
                interpolated = true;
                self.at += 2;
                self.interpolation(depth)?;
            } else {
                self.skip(line)?;
            }
        }
        let raw = self.text[start..self.at].to_owned();
        self.at += close.len();
        Ok((raw, interpolated))
    }

    fn skip(&mut self, start: u32) -> Result<(), u32> {
        let c = self.peek().ok_or(start)?;
        self.at += c.len_utf8();
        self.line += u32::from(c == '\n');
        Ok(())
    }

    /// Skips the code of an interpolation and its closing brace.
    fn interpolation(&mut self, depth: u32) -> Result<(), u32> {
        let line = self.line;
        if depth > MAX_DEPTH {
            return Err(line);
        }
        let mut braces = 1;
        while braces > 0 {
            match self.peek().ok_or(line)? {
                '"' | '\'' => {
                    self.quoted(true, depth + 1)?;
                    continue;
                }
                '{' => braces += 1,
                '}' => braces -= 1,
                _ => {}
            }
            self.skip(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let tokens = tokens(text).unwrap();
        tokens.into_iter().map(|token| token.kind).collect()
    }

    fn text(raw: &str, interpolated: bool) -> Kind {
        let raw = raw.to_owned();
        Kind::Text { raw, interpolated }
    }

    fn name(text: &str) -> Kind {
        Kind::Name(text.to_owned())
    }

    #[test]
    fn comments_strings_and_sigils_hide_code() {
        assert_eq!(
            kinds("a # config :b, do \"\nb"),
            [name("a"), Kind::Newline, name("b")]
        );
        assert_eq!(kinds(r#""a \" # b""#), [text(r#"a \" # b"#, false)]);
        assert_eq!(kinds(r#""a#{f("}")}b""#), [text(r#"a#{f("}")}b"#, true)]);
        assert_eq!(
            kinds("\"\"\"\n\"quoted\" do\n\"\"\""),
            [text("\n\"quoted\" do\n", false)]
        );
        let sigil = |name: &str, raw: &str, modifiers: &str| Kind::Sigil {
            name: name.to_owned(),
            raw: raw.to_owned(),
            modifiers: modifiers.to_owned(),
        };
        assert_eq!(kinds("~w(a b)a"), [sigil("w", "a b", "a")]);
        assert_eq!(
            kinds(r#"~r"priv/.*\.(js|css)$"E"#),
            [sigil("r", r"priv/.*\.(js|css)$", "E")]
        );
        assert_eq!(kinds("~S|#{|"), [sigil("S", "#{", "")]);
        assert_eq!(
            kinds("~H\"\"\"\n<a>\"\"</a>\n\"\"\""),
            [sigil("H", "\n<a>\"\"</a>\n", "")]
        );
    }

    #[test]
    fn keys_atoms_and_names_differ() {
        let key = |text: &str| Kind::Key(text.to_owned());
        let atom = |text: &str| Kind::Atom(text.to_owned());
        assert_eq!(kinds("port: :port"), [key("port"), atom("port")]);
        assert_eq!(kinds("\"a.b\": :\"c d\""), [key("a.b"), atom("c d")]);
        assert_eq!(kinds("valid?: f!"), [key("valid?"), name("f!")]);
        assert_eq!(kinds("x::y"), [name("x"), Kind::Op("::"), name("y")]);
        assert_eq!(
            kinds("A.B.c"),
            [Kind::Alias("A.B".to_owned()), Kind::Op("."), name("c")]
        );
        assert_eq!(kinds("?\" a?"), [Kind::Number("\"".to_owned()), name("a?")]);
        assert_eq!(
            kinds("1..2"),
            [
                Kind::Number("1".into()),
                Kind::Op(".."),
                Kind::Number("2".into())
            ]
        );
        assert_eq!(kinds("a!=b"), [name("a"), Kind::Op("!="), name("b")]);
    }

    #[test]
    fn lines_count_through_heredocs_and_errors_name_the_opening_line() {
        let found = tokens("\"\"\"\nx\n\"\"\"\nend").unwrap();
        assert_eq!(found.last().map(|token| token.line), Some(4));
        assert_eq!(tokens("a\n\"open\n"), Err(2));
        assert_eq!(tokens(&"\"#{".repeat(1000)), Err(1));
    }
}

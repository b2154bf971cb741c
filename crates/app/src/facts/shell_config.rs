//! Reads `elixir_buildpack.config` and `phoenix_static_buildpack.config`: bash files that nearly always
//! contain only assignments.
//!
//! Such plain files are parsed here, with the same values as in bash. Anything else, and anything that
//! bash would reject, is left to bash: [`Outcome::NeedsBash`] has the line and the reason, and the caller
//! runs bash.

use std::collections::{BTreeMap, BTreeSet};

/// The result of reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Plain(ShellConfig),
    /// Only bash can evaluate this file.
    NeedsBash {
        /// Where the first such construct starts; 1-based.
        line: u32,
        /// The name of the construct, with its article.
        construct: &'static str,
    },
}

/// The assignments of a plain file, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShellConfig {
    pub assignments: Vec<Assignment>,
}

impl ShellConfig {
    /// Returns the assignment in force at the end of the file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Assignment> {
        self.assignments
            .iter()
            .rev()
            .find(|assignment| assignment.name == name)
    }
}

/// `NAME=value` or `NAME=(words)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub value: Value,
    /// Where the assignment starts; 1-based.
    pub line: u32,
    /// Whether later commands see it in their environment.
    pub exported: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// An array: `(branch main)`.
    Words(Vec<String>),
}

impl Value {
    /// `(branch main)` reads as `branch main`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Words(words) => words.join(" "),
        }
    }
}

/// Reads a file. Ignores Windows line ends and a byte order mark, which bash would take for part of a
/// value or a name.
#[must_use]
pub fn parse(text: &str) -> Outcome {
    let text = without_windows_marks(text);
    let mut parser = Parser {
        rest: &text,
        line: 1,
        config: ShellConfig::default(),
        values: BTreeMap::new(),
        exported: BTreeSet::new(),
    };
    match parser.file() {
        Ok(()) => Outcome::Plain(parser.config),
        Err(NeedsBash { line, construct }) => Outcome::NeedsBash { line, construct },
    }
}

/// Returns the text without the traces of the system that it was saved on.
#[must_use]
pub fn without_windows_marks(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n");
    text.strip_suffix('\r').unwrap_or(&text).to_owned()
}

struct NeedsBash {
    line: u32,
    construct: &'static str,
}

/// The context of a word, which determines how bash expands it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The right side of an assignment: neither split nor matched against files.
    Assignment,
    /// The right side of an assignment that is an argument of `export`: braces are expanded.
    ExportArgument,
    /// A word of an array: split, matched against files, braces expanded.
    ArrayWord,
}

struct Parser<'a> {
    rest: &'a str,
    line: u32,
    config: ShellConfig,
    /// The values in force, for references to them.
    values: BTreeMap<String, Value>,
    exported: BTreeSet<String>,
}

type Parsed<T> = Result<T, NeedsBash>;

impl Parser<'_> {
    fn file(&mut self) -> Parsed<()> {
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Ok(()),
                Some('\n') => {
                    self.next();
                }
                // A semicolon ends a command, but there is none before this one.
                Some(';') => return Err(self.needs_bash("a syntax error")),
                Some(_) => self.command()?,
            }
        }
    }

    /// Assignments up to the end of the line, a semicolon or the end of the file.
    fn command(&mut self) -> Parsed<()> {
        if self.word_is("export") {
            for _ in "export".chars() {
                self.next();
            }
            self.export()?;
        } else {
            while !self.at_command_end() {
                let assignment = self.assignment()?;
                self.assign(assignment);
                self.skip_blanks();
            }
        }
        if self.peek() == Some(';') {
            self.next();
        }
        Ok(())
    }

    fn at_command_end(&self) -> bool {
        matches!(self.peek(), None | Some('\n' | ';'))
    }

    /// The arguments of `export`. All are expanded before the first takes effect.
    fn export(&mut self) -> Parsed<()> {
        self.skip_blanks();
        if self.at_command_end() {
            return Err(self.needs_bash("a command"));
        }
        let mut assignments = Vec::new();
        let mut names = Vec::new();
        while !self.at_command_end() {
            let name = self.name().to_owned();
            let after = self.rest[name.len()..].chars().next();
            if matches!(after, None | Some(' ' | '\t' | '\n' | ';')) && !name.is_empty() {
                if !self.values.contains_key(&name) {
                    return Err(self.needs_bash(OTHER_VARIABLE));
                }
                for _ in name.chars() {
                    self.next();
                }
                names.push(name);
            } else {
                let line = self.line;
                let assignment = self.assignment_at(Place::ExportArgument)?;
                if let Value::Words(_) = assignment.value {
                    return Err(NeedsBash {
                        line,
                        construct: "an exported array",
                    });
                }
                names.push(assignment.name.clone());
                assignments.push(assignment);
            }
            self.skip_blanks();
        }
        for assignment in assignments {
            self.assign(assignment);
        }
        for name in names {
            let last = self.config.assignments.iter_mut().rev();
            if let Some(assignment) = last.into_iter().find(|a| a.name == name) {
                assignment.exported = true;
            }
            self.exported.insert(name);
        }
        Ok(())
    }

    fn assign(&mut self, mut assignment: Assignment) {
        assignment.exported = self.exported.contains(&assignment.name);
        self.values
            .insert(assignment.name.clone(), assignment.value.clone());
        self.config.assignments.push(assignment);
    }

    fn assignment(&mut self) -> Parsed<Assignment> {
        self.assignment_at(Place::Assignment)
    }

    fn assignment_at(&mut self, place: Place) -> Parsed<Assignment> {
        let line = self.line;
        let name = self.name().to_owned();
        if name.is_empty() || !self.rest[name.len()..].starts_with('=') {
            return Err(self.needs_bash(self.construct_of_command(&name)));
        }
        if is_special(&name) {
            return Err(self.needs_bash("a special bash variable"));
        }
        for _ in name.chars() {
            self.next();
        }
        self.next();
        let value = if self.peek() == Some('(') {
            self.next();
            Value::Words(self.array(line)?)
        } else {
            if matches!(self.values.get(&name), Some(Value::Words(_))) {
                // Bash sets the first word of the array and keeps the others.
                return Err(NeedsBash {
                    line,
                    construct: "a string assigned to an array",
                });
            }
            Value::Text(self.word(place)?)
        };
        match self.peek() {
            None | Some(' ' | '\t' | '\n' | ';') => {}
            Some(_) => return Err(self.needs_bash("a syntax error")),
        }
        Ok(Assignment {
            name,
            value,
            line,
            exported: false,
        })
    }

    /// The words up to the closing parenthesis; the opening one has been read.
    fn array(&mut self, line: u32) -> Parsed<Vec<String>> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None => {
                    return Err(NeedsBash {
                        line,
                        construct: "an unclosed array",
                    });
                }
                Some(')') => {
                    self.next();
                    return Ok(words);
                }
                Some('\n') => {
                    self.next();
                }
                Some(';') => return Err(self.needs_bash("a syntax error")),
                Some(_) => words.push(self.word(Place::ArrayWord)?),
            }
        }
    }

    /// One word, up to white space, a semicolon or, in an array, the closing parenthesis.
    fn word(&mut self, place: Place) -> Parsed<String> {
        let mut word = String::new();
        // What an unquoted tilde would follow: nothing, or an unquoted character.
        let mut before = Some(':');
        while let Some(c) = self.peek() {
            let mut unquoted = None;
            match c {
                ' ' | '\t' | '\n' | ';' => break,
                ')' if place == Place::ArrayWord => break,
                '|' | '&' => return Err(self.needs_bash("a pipe, list or background command")),
                '<' | '>' => return Err(self.needs_bash("a redirection")),
                '(' | ')' => return Err(self.needs_bash("a parenthesis")),
                '`' => return Err(self.needs_bash(COMMAND_SUBSTITUTION)),
                '~' if matches!(before, Some(':' | '=')) => {
                    return Err(self.needs_bash("a tilde expansion"));
                }
                '*' | '?' | '[' if place == Place::ArrayWord => {
                    return Err(self.needs_bash("a glob pattern"));
                }
                '{' if place != Place::Assignment => {
                    return Err(self.needs_bash("a brace expansion"));
                }
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word)?,
                '\\' => {
                    self.next();
                    match self.next() {
                        // A continued line: bash drops the two characters.
                        Some('\n') => unquoted = before,
                        Some(c) => word.push(literal(c, self.line)?),
                        // The file ends here.
                        None => word.push('\\'),
                    }
                }
                '$' if place == Place::ArrayWord => {
                    return Err(self.needs_bash("an unquoted reference in an array"));
                }
                '$' => {
                    if self.rest.starts_with("$'") || self.rest.starts_with("$\"") {
                        return Err(self.needs_bash("a dollar-quoted string"));
                    }
                    self.dollar(&mut word)?;
                }
                c => {
                    self.next();
                    word.push(literal(c, self.line)?);
                    unquoted = Some(c);
                }
            }
            before = unquoted;
        }
        Ok(word)
    }

    fn single_quoted(&mut self, word: &mut String) -> Parsed<()> {
        let line = self.line;
        self.next();
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => word.push(literal(c, line)?),
                None => return Err(unterminated(line)),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut String) -> Parsed<()> {
        let line = self.line;
        self.next();
        loop {
            match self.peek() {
                None => return Err(unterminated(line)),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('`') => return Err(self.needs_bash(COMMAND_SUBSTITUTION)),
                Some('$') => self.dollar(word)?,
                Some('\\') => {
                    self.next();
                    match self.peek() {
                        None => return Err(unterminated(line)),
                        Some('\n') => {
                            self.next();
                        }
                        Some(c @ ('$' | '`' | '"' | '\\')) => {
                            self.next();
                            word.push(c);
                        }
                        Some(_) => word.push('\\'),
                    }
                }
                Some(c) => {
                    self.next();
                    word.push(literal(c, line)?);
                }
            }
        }
    }

    /// A dollar sign with its reference, or the plain sign if there is no reference.
    fn dollar(&mut self, word: &mut String) -> Parsed<()> {
        let after = &self.rest[1..];
        let braced = after.starts_with('{');
        let name = name_in(if braced { &after[1..] } else { after }).to_owned();
        if name.is_empty() {
            let construct = match after.chars().next() {
                Some('(') if after.starts_with("((") => "an arithmetic expansion",
                Some('(') => COMMAND_SUBSTITUTION,
                Some('[') => "an arithmetic expansion",
                Some('{') => PARAMETER_EXPANSION,
                Some('0'..='9' | '@' | '*' | '#' | '?' | '-' | '$' | '!') => "a special parameter",
                Some('\\') if after.starts_with("\\\n") => BROKEN_REFERENCE,
                _ => {
                    self.next();
                    word.push('$');
                    return Ok(());
                }
            };
            return Err(self.needs_bash(construct));
        }
        let length = name.len() + 1 + usize::from(braced);
        let end = &self.rest[length..];
        if end.starts_with("\\\n") {
            return Err(self.needs_bash(BROKEN_REFERENCE));
        }
        if braced && !end.starts_with('}') {
            return Err(self.needs_bash(PARAMETER_EXPANSION));
        }
        match self.values.get(&name) {
            Some(Value::Text(text)) => word.push_str(text),
            Some(Value::Words(_)) => return Err(self.needs_bash("a reference to an array")),
            None => return Err(self.needs_bash(OTHER_VARIABLE)),
        }
        for _ in 0..length + usize::from(braced) {
            self.next();
        }
        Ok(())
    }

    /// Names the construct of a line that is no assignment, by its first word.
    fn construct_of_command(&self, name: &str) -> &'static str {
        let after = &self.rest[name.len()..];
        match name {
            "if" | "case" => return "a conditional",
            "for" | "while" | "until" | "select" => return "a loop",
            "function" => return "a function",
            "source" => return "a sourced file",
            _ => {}
        }
        match after.chars().next() {
            Some('.') if name.is_empty() => "a sourced file",
            Some('[') if name.is_empty() => "a conditional",
            Some('[') => "an assignment to an array element",
            Some('(') if !name.is_empty() => "a function",
            Some('(' | '{') => "a group of commands",
            Some('+') if after.starts_with("+=") => "an appending assignment",
            Some('<' | '>') => "a redirection",
            Some('&' | '|') => "a pipe, list or background command",
            Some(')' | ';') => "a syntax error",
            _ => "a command",
        }
    }

    /// Spaces, tabs, joined lines and a comment; not the end of a line.
    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => {
                    self.next();
                }
                Some('\\') if self.rest.starts_with("\\\n") => {
                    self.next();
                    self.next();
                }
                Some('#') => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                    return;
                }
                _ => return,
            }
        }
    }

    fn word_is(&self, word: &str) -> bool {
        self.rest.strip_prefix(word).is_some_and(|after| {
            matches!(after.chars().next(), None | Some(' ' | '\t' | '\n' | ';'))
        })
    }

    fn name(&self) -> &str {
        name_in(self.rest)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn needs_bash(&self, construct: &'static str) -> NeedsBash {
        NeedsBash {
            line: self.line,
            construct,
        }
    }
}

const COMMAND_SUBSTITUTION: &str = "a command substitution";
const PARAMETER_EXPANSION: &str = "a parameter expansion with an operator";
const OTHER_VARIABLE: &str = "a variable that the file doesn't set";
const BROKEN_REFERENCE: &str = "a reference continued on the next line";

fn unterminated(line: u32) -> NeedsBash {
    NeedsBash {
        line,
        construct: "an unclosed quote",
    }
}

/// A character that stands for itself. Bash drops NUL, and marks quoted characters with two others.
fn literal(c: char, line: u32) -> Parsed<char> {
    match c {
        '\0' | '\u{1}' | '\u{7f}' => Err(NeedsBash {
            line,
            construct: "a control character",
        }),
        c => Ok(c),
    }
}

/// The longest variable name that `text` starts with; may be empty.
pub(crate) fn name_in(text: &str) -> &str {
    let mut end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        end = 0;
    }
    &text[..end]
}

/// Variables that are read-only, don't keep the assigned value, or change how bash reads the rest of the
/// file (Bash Reference Manual, 5.2 "Bash Variables").
fn is_special(name: &str) -> bool {
    name.starts_with("BASH")
        || matches!(
            name,
            "_" | "COMP_WORDBREAKS"
                | "DIRSTACK"
                | "EPOCHREALTIME"
                | "EPOCHSECONDS"
                | "EUID"
                | "FUNCNAME"
                | "GROUPS"
                | "HISTCMD"
                | "LINENO"
                | "OPTIND"
                | "PIPESTATUS"
                | "POSIXLY_CORRECT"
                | "PPID"
                | "RANDOM"
                | "SECONDS"
                | "SHELLOPTS"
                | "SRANDOM"
                | "UID"
        )
}

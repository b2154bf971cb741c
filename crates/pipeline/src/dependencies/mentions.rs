//! The modules that packages define and mention, read from their sources.

use crate::compiled_code::{self, CodeOwner};
use crate::dependencies::Dependency;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A package's source code.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// The size of all its source files, in bytes.
    pub(crate) size: u64,
    /// Modules as Elixir writes them: `Plug.Conn`, `:ranch`.
    pub(crate) defined: BTreeSet<String>,
    mentioned: BTreeSet<String>,
}

/// Reads the code of a package.
pub(crate) fn read(package: &Path) -> Code {
    let mut code = Code::default();
    // Includes its mix tasks, which are compiled like other modules.
    for path in compiled_code::code(package, CodeOwner::App) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let Some(language) = extension.and_then(Language::of) else {
            continue;
        };
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        code.size += text.len() as u64;
        if let (Language::Erlang, Some(name)) = (language, path.file_stem()) {
            code.defined.insert(format!(":{}", name.to_string_lossy()));
        }
        for line in Lines::of(&text, language) {
            code.take(&line, language);
        }
    }
    code
}

/// Returns pairs of positions of packages: the first mentions a module of the second, and neither depends on the
/// other. `code` has the code of each dependency.
pub(crate) fn undeclared(dependencies: &[Dependency], code: &[Code]) -> BTreeSet<(usize, usize)> {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, code) in code.iter().enumerate() {
        for module in &code.defined {
            owners.entry(module).or_insert(at);
        }
    }
    let mut pairs = BTreeSet::new();
    for (at, code) in code.iter().enumerate() {
        for module in &code.mentioned {
            let Some(owner) = owner(&owners, module) else {
                continue;
            };
            let is_declared = |one: usize, other: usize| {
                dependencies[one]
                    .children
                    .contains(&dependencies[other].name)
            };
            if owner != at && !is_declared(at, owner) && !is_declared(owner, at) {
                pairs.insert((at, owner));
            }
        }
    }
    pairs
}

/// Returns the pairs with the earlier package first.
pub(crate) fn in_order(undeclared: &BTreeSet<(usize, usize)>) -> BTreeSet<(usize, usize)> {
    let pairs = undeclared.iter();
    pairs
        .map(|(one, other)| (*one.min(other), *one.max(other)))
        .collect()
}

/// Returns the package that defines a module or one of its parents.
fn owner(owners: &BTreeMap<&str, usize>, module: &str) -> Option<usize> {
    let mut name = module;
    loop {
        if let Some(owner) = owners.get(name) {
            return Some(*owner);
        }
        name = name.rsplit_once('.')?.0;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Elixir,
    Erlang,
}

impl Language {
    fn of(extension: &str) -> Option<Self> {
        match extension {
            "ex" | "exs" => Some(Self::Elixir),
            "erl" | "hrl" | "xrl" | "yrl" => Some(Self::Erlang),
            _ => None,
        }
    }
}

impl Code {
    /// Adds the names in a line without comments and strings.
    fn take(&mut self, line: &str, language: Language) {
        let is_word = |c: char| c.is_alphanumeric() || "_@.".contains(c);
        let mut rest = line;
        let mut definition = false;
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            rest = after;
            let is_atom = before.ends_with(':') && !before.ends_with("::");
            if language == Language::Erlang {
                let quoted = word.strip_prefix("Elixir.");
                let remote = after.starts_with(':') && word.starts_with(char::is_lowercase);
                self.mentioned.extend(quoted.map(str::to_owned));
                self.mentioned.extend(remote.then(|| format!(":{word}")));
            } else if is_atom {
                // `:ranch.start`
                let name = word.split('.').next().unwrap_or(word);
                self.mentioned.insert(format!(":{name}"));
            } else if let Some(module) = alias(word) {
                if definition && (module.contains('.') || !line.starts_with(' ')) {
                    self.defined.insert(module.clone());
                }
                match after.strip_prefix('{').filter(|_| word.ends_with('.')) {
                    // `alias Phoenix.{HTML, LiveView}`
                    Some(names) => {
                        let (names, after) = names.split_once('}').unwrap_or((names, ""));
                        let names = names.split(',').filter_map(|name| alias(name.trim()));
                        let names = names.map(|name| format!("{module}.{name}"));
                        self.mentioned.extend(names);
                        rest = after;
                    }
                    None => drop(self.mentioned.insert(module)),
                }
            }
            definition = matches!(word, "defmodule" | "defprotocol");
        }
    }
}

/// The module of `Plug.Conn.put_status`.
fn alias(word: &str) -> Option<String> {
    let parts = word.split('.');
    let parts: Vec<&str> = parts
        .take_while(|part| part.starts_with(char::is_uppercase))
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

/// The lines of a source file without comments, strings and documentation. A string ends with its line at the latest,
/// so a quote in a regular expression affects one line only.
struct Lines<'a> {
    rest: std::str::Lines<'a>,
    language: Language,
    /// The end of the heredoc that the next line is in.
    heredoc: Option<&'static str>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, language: Language) -> Self {
        Self {
            rest: text.lines(),
            language,
            heredoc: None,
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = self.rest.next()?;
        if let Some(end) = self.heredoc {
            let Some(after) = line.trim_start().strip_prefix(end) else {
                return Some(String::new());
            };
            self.heredoc = None;
            line = after;
        }
        for mark in ["\"\"\"", "'''"] {
            if let Some((before, after)) = line.split_once(mark)
                && after.trim().is_empty()
            {
                self.heredoc = Some(mark);
                line = before;
            }
        }
        Some(without_strings(line, self.language))
    }
}

fn without_strings(line: &str, language: Language) -> String {
    let (comment, character) = match language {
        Language::Elixir => ('#', '?'),
        Language::Erlang => ('%', '$'),
    };
    let mut code = String::new();
    let mut in_string = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => in_string = !in_string,
            _ if in_string => {}
            c if c == comment => break,
            c if c == character && !code.ends_with(char::is_alphanumeric) => {
                // `?"`, `$\\`
                if chars.next() == Some('\\') {
                    chars.next();
                }
            }
            c => code.push(c),
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::State;

    fn code(files: &[(&str, &str)]) -> Code {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        read(dir.path())
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn code_counts_but_not_documentation_strings_and_comments() {
        let text = r#"
defmodule Cache.Store do
  @moduledoc """
  Like Redix, see `Redix.command/2`.
  """
  # Uses Finch.
  alias Plug.{Conn, Router.Utils}
  @regex ~r/"Tesla"/
  if Code.ensure_loaded?(Jason), do: Jason.encode!(%{a: 1})
  def start, do: :ranch.start("Bandit", ?", Mint.HTTP)
  defmodule Inner do
  end
  defprotocol Cache.Store.Proto do
end
"#;
        let task = "Floki.parse(html)";
        let code = code(&[
            ("lib/store.ex", text),
            ("lib/mix/tasks/gen.ex", task),
            ("test/a_test.exs", "Mox"),
        ]);
        assert_eq!(code.defined, set(&["Cache.Store", "Cache.Store.Proto"]));
        let modules = [
            "Cache.Store",
            "Cache.Store.Proto",
            "Code",
            "Floki",
            "Inner",
            "Jason",
            "Mint.HTTP",
            "Plug.Conn",
            "Plug.Router.Utils",
            ":ranch",
        ];
        assert_eq!(code.mentioned, set(&modules));
    }

    #[test]
    fn erlang_modules_are_those_of_its_files() {
        let text = "-module(pool).\n% hackney:request()\nf() -> 'Elixir.Jason':encode(\"idna:x\"), idna:encode($\").\n";
        let code = code(&[("src/pool.erl", text)]);
        assert_eq!(code.defined, set(&[":pool"]));
        assert_eq!(code.mentioned, set(&["Jason", ":idna"]));
    }

    #[test]
    fn pair_is_kept_in_order_unless_mix_knows_of_it() {
        let package = |name: &str, children: &[&str]| Dependency {
            name: name.to_owned(),
            state: State::ToCompile,
            build: name.into(),
            dir: name.into(),
            children: children.iter().map(|child| (*child).to_owned()).collect(),
            manager: "mix".to_owned(),
            version: String::new(),
            options: String::new(),
        };
        let all = [
            package("jason", &[]),
            package("plug", &[]),
            package("web", &["plug"]),
            package("later", &[]),
        ];
        let sources = [
            code(&[("lib/a.ex", "defmodule Jason do")]),
            code(&[("lib/a.ex", "defmodule Plug do\nLater.Inner.x()")]),
            code(&[("lib/a.ex", "Jason.Encoder\nPlug.Conn")]),
            code(&[("lib/a.ex", "defmodule Later do")]),
        ];
        assert_eq!(
            in_order(&undeclared(&all, &sources)),
            BTreeSet::from([(0, 2), (1, 3)])
        );
    }
}

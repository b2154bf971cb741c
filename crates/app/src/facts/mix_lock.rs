//! `mix.lock`: an Elixir map of literals, with an entry for each fetched dependency.
//!
//! Entries of packages are written by Hex (`Hex.Utils.lock` in lib/hex/utils.ex):
//! `{:hex, :name, "version", "inner checksum", managers, dependencies, "repository", "outer checksum"}`,
//! where the outer checksum is the SHA-256 of the package's archive in hex, and older ones end
//! earlier. Those of git are `{:git, "url", "commit", options}` (lib/mix/lib/mix/scm/git.ex).

/// A locked dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The dependency's OTP application.
    pub app: String,
    pub from: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Hex {
        package: String,
        version: String,
        /// `hexpm`, or `hexpm:ORGANISATION`, or a repository's own name.
        repository: String,
        /// The inner checksum: of the package's version, metadata and contents, in hex.
        inner_sha256: Option<String>,
        /// The outer checksum: of the package's archive, in hex. Lockfiles from before Hex 0.21 have none.
        sha256: Option<String>,
    },
    Git {
        url: String,
        commit: String,
    },
}

/// Reads a lockfile. Leaves out entries of unknown shape, and everything after a line that isn't a literal, such as a
/// merge conflict. mix itself reports these.
#[must_use]
pub fn parse(text: &str) -> Vec<Locked> {
    let mut reader = Reader { rest: text };
    let mut locked = Vec::new();
    if !reader.take("%{") {
        return locked;
    }
    while let Some(key) = reader.key() {
        let Some(term) = reader.term(0) else {
            break;
        };
        if let Some(from) = source(&term) {
            locked.push(Locked { app: key, from });
        }
        if !reader.take(",") {
            break;
        }
    }
    locked
}

fn source(term: &Term) -> Option<Source> {
    let Term::Group(parts) = term else {
        return None;
    };
    let word = |at: usize| match parts.get(at) {
        Some(Term::Word(word)) => Some(word.clone()),
        _ => None,
    };
    match word(0)?.as_str() {
        "hex" => Some(Source::Hex {
            package: word(1)?,
            version: word(2)?,
            repository: word(6).unwrap_or_else(|| "hexpm".to_owned()),
            inner_sha256: word(3),
            sha256: word(7),
        }),
        "git" => Some(Source::Git {
            url: word(1)?,
            commit: word(2)?,
        }),
        _ => None,
    }
}

/// A literal. Strings, atoms and numbers are represented by their text.
#[derive(Debug)]
enum Term {
    Word(String),
    /// A tuple or a list.
    Group(Vec<Term>),
}

/// The maximum depth. No lockfile is that deep, and a hostile one must not exhaust the stack.
const MAX_DEPTH: usize = 32;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `"name": ` or `name: `.
    fn key(&mut self) -> Option<String> {
        let key = if self.take("\"") {
            self.text()?
        } else {
            self.word()?
        };
        self.take(":").then_some(key)
    }

    fn term(&mut self, depth: usize) -> Option<Term> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.take("{") {
            return self.group("}", depth);
        }
        if self.take("[") {
            return self.group("]", depth);
        }
        if self.take("\"") {
            return self.text().map(Term::Word);
        }
        if self.take(":") {
            if self.take("\"") {
                return self.text().map(Term::Word);
            }
            return self.word().map(Term::Word);
        }
        self.word().map(Term::Word)
    }

    fn group(&mut self, end: &str, depth: usize) -> Option<Term> {
        let mut parts = Vec::new();
        loop {
            if self.take(end) {
                return Some(Term::Group(parts));
            }
            let before = self.rest;
            // `[hex: :name]` is a list of pairs, of which only the values are kept.
            if self.key().is_none() {
                self.rest = before;
            }
            parts.push(self.term(depth + 1)?);
            if !self.take(",") {
                return self.take(end).then_some(Term::Group(parts));
            }
        }
    }

    /// Reads the rest of a string after its opening quote.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                c => text.push(c),
            }
        }
        None
    }

    fn word(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || "_.-@?!".contains(c)))
            .unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        self.rest = &rest[end..];
        Some(rest[..end].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(app: &str, version: &str, repository: &str, sha256: Option<&str>) -> Locked {
        Locked {
            app: app.to_owned(),
            from: Source::Hex {
                package: app.to_owned(),
                version: version.to_owned(),
                repository: repository.to_owned(),
                inner_sha256: (version != "1.0.0").then(|| "aa".to_owned()),
                sha256: sha256.map(str::to_owned),
            },
        }
    }

    #[test]
    fn reads_packages_and_repositories_in_every_form() {
        let lock = r#"%{
  "bandit": {:hex, :bandit, "1.6.1", "aa", [:mix], [{:hpax, "~> 1.0", [hex: :hpax, repo: "hexpm", optional: false]}], "hexpm", "bb"},
  "old": {:hex, :old, "0.1.0", "aa", [:mix], []},
  "private": {:hex, :private, "2.0.0-rc.1", "aa", [:mix, :rebar3], [], "hexpm:acme", "cc"},
  "heroicons": {:git, "https://github.com/tailwindlabs/heroicons.git", "0435d4ca364a608cc75e2f8683d374e55abbae26", [tag: "v2.2.0", sparse: "optimized", app: false, compile: false, depth: 1]},
  quoted: {:hex, :"quoted", "1.0.1", "\aa", [], [], "hexpm", "dd"},
}
"#;
        let git = Locked {
            app: "heroicons".to_owned(),
            from: Source::Git {
                url: "https://github.com/tailwindlabs/heroicons.git".to_owned(),
                commit: "0435d4ca364a608cc75e2f8683d374e55abbae26".to_owned(),
            },
        };
        assert_eq!(
            parse(lock),
            [
                hex("bandit", "1.6.1", "hexpm", Some("bb")),
                hex("old", "0.1.0", "hexpm", None),
                hex("private", "2.0.0-rc.1", "hexpm:acme", Some("cc")),
                git,
                hex("quoted", "1.0.1", "hexpm", Some("dd")),
            ]
        );
    }

    #[test]
    fn invalid_lockfile_is_empty_and_truncated_one_yields_its_start() {
        for text in ["", "%{}", "{", "%{\"a", "%{a: "] {
            assert_eq!(parse(text), [], "{text}");
        }
        let deep = format!("%{{a: {}", "{".repeat(100_000));
        assert_eq!(parse(&deep), []);
        let half = "%{a: {:hex, :a, \"1.0.0\"},\n<<<<<<< HEAD\nb: {:hex, :b, \"1.0.0\"}}";
        assert_eq!(parse(half), [hex("a", "1.0.0", "hexpm", None)]);
    }
}

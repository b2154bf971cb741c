//! The dependencies that a `mix.exs` lists.

use crate::elixir::tree::{Node, block, call, items, parse, statements};
use crate::elixir::value::{Pair, Scope, Value, contains, evaluate, keywords};

/// A dependency as written.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) requirement: Option<String>,
    pub(crate) options: Vec<Pair>,
}

impl Dependency {
    pub(crate) fn option(&self, key: &str) -> Option<&Value> {
        let mut options = self.options.iter();
        Some(&options.find(|pair| pair.key == key)?.value)
    }

    /// Whether it is in an environment, if that is certain.
    pub(crate) fn is_in(&self, mix_env: &str) -> Option<bool> {
        if self.option("targets").is_some() {
            return None;
        }
        match self.option("only") {
            None => Some(true),
            Some(Value::Atom(env)) => Some(env == mix_env),
            Some(Value::Items(envs)) => {
                let is_certain = envs.iter().all(|env| matches!(env, Value::Atom(_)));
                is_certain.then(|| envs.iter().any(|env| env.is_atom(mix_env)))
            }
            Some(_) => None,
        }
    }

    /// Whether it is in the repository, so that the lockfile doesn't contain it.
    pub(crate) fn is_local(&self) -> bool {
        self.option("path").is_some() || self.option("in_umbrella").is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct MixFile {
    pub(crate) dependencies: Vec<Dependency>,
    /// Whether `lockfile:` sets another name, or is computed.
    pub(crate) has_own_lockfile: bool,
    /// The compilers before those of mix, with their line.
    pub(crate) compilers: Vec<(String, u32)>,
}

impl MixFile {
    /// Reads the lists that functions named `deps` return. Leaves out computed values.
    pub(crate) fn read(text: &str) -> Self {
        let mut file = Self::default();
        let nodes = parse(text).unwrap_or_default();
        for module in statements(&nodes).filter_map(block) {
            for function in statements(module) {
                let args = call(function, "def").or_else(|| call(function, "defp"));
                let Some((head, rest)) = args.as_deref().and_then(<[_]>::split_first) else {
                    continue;
                };
                let of_key = rest.iter().find_map(|arg| {
                    let (key, value) = arg.split_first()?;
                    (key.key() == Some("do")).then_some(value)
                });
                let Some(body) = block(function).or(of_key) else {
                    continue;
                };
                match head[0].name() {
                    Some("deps")
                        if head
                            .get(1)
                            .and_then(|node| node.group('('))
                            .is_none_or(<[Node]>::is_empty) =>
                    {
                        file.dependencies(body);
                    }
                    Some("project") => file.project(body),
                    _ => {}
                }
            }
        }
        file
    }

    fn dependencies(&mut self, body: &[Node]) {
        // A list with others appended also counts.
        for node in body {
            if let Some(list) = node.group('[') {
                self.dependencies.extend(items(list).filter_map(dependency));
            }
        }
    }

    fn project(&mut self, body: &[Node]) {
        let Some(list) = body.iter().find_map(|node| node.group('[')) else {
            return;
        };
        for item in items(list) {
            let Some((key, value)) = item.split_first() else {
                continue;
            };
            match key.key() {
                Some("lockfile") => {
                    let is_usual = |text: &str| text.ends_with("mix.lock");
                    self.has_own_lockfile |=
                        !value.first().and_then(Node::text).is_some_and(is_usual);
                }
                Some("compilers") if !contains(value, "if") => {
                    let list = value.iter().filter_map(|node| node.group('[')).flatten();
                    let atoms =
                        list.filter_map(|node| Some((node.atom()?.to_owned(), node.line())));
                    self.compilers.extend(atoms);
                }
                Some("deps") => self.dependencies(value),
                _ => {}
            }
        }
    }
}

fn dependency(item: &[Node]) -> Option<Dependency> {
    let [tuple] = item else {
        return None;
    };
    let parts: Vec<&[Node]> = items(tuple.group('{')?).collect();
    let ([name], rest) = (*parts.first()?, &parts[1..]) else {
        return None;
    };
    let (requirement, rest) = match rest.first() {
        Some([only]) if only.key().is_none() && only.text().is_some() => (only.text(), &rest[1..]),
        _ => (None, rest),
    };
    let scope = Scope::default();
    let options = match rest {
        [[list]] => match evaluate(std::slice::from_ref(list), &scope) {
            Value::Keyword(options) => options,
            _ => return None,
        },
        rest => keywords(rest, &scope)?,
    };
    Some(Dependency {
        name: name.atom()?.to_owned(),
        line: name.line(),
        requirement: requirement.map(str::to_owned),
        options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dependencies_in_every_form() {
        let file = MixFile::read(
            "defmodule A do\n  use Mix.Project\n  def project, do: [app: :a, deps: deps(), compilers: [:rustler] ++ Mix.compilers()]\n  \
             defp deps do\n    [\n      {:a, \"~> 1.0\"}, # {:no, \"1\"}\n      {:b, \"~> 1.0\", only: [:dev, :test]},\n      \
             {:c, path: \"../c\"},\n      {:d, [github: \"x/d\", only: :prod]},\n      {:e, \">= 0.0.0\", only: env()},\n      other()\n    ]\n  end\nend\n",
        );
        let found: Vec<_> = file
            .dependencies
            .iter()
            .map(|dependency| {
                (
                    &*dependency.name,
                    dependency.line,
                    dependency.is_in("prod"),
                    dependency.is_local(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("a", 6, Some(true), false),
                ("b", 7, Some(false), false),
                ("c", 8, Some(true), true),
                ("d", 9, Some(true), false),
                ("e", 10, None, false),
            ]
        );
        assert_eq!(file.compilers, [("rustler".to_owned(), 3)]);
    }
}

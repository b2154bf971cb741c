//! Guesses from the text of `mix.exs` and `mix.lock`.
//!
//! A `mix.exs` is a program that only mix can evaluate. The guesses are for the plan, which is made before a
//! toolchain is installed. The build queries mix later, and its answer takes precedence.

use crate::origin::{Origin, Setting};

/// Guesses from one `mix.exs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MixExs {
    /// `app: :name`.
    pub app: Option<String>,
    /// `apps_path: "apps"`: the project is an umbrella.
    pub apps_path: Option<String>,
    /// `elixir: "~> 1.14"`.
    pub elixir: Option<Setting>,
    /// `build_path: "../../_build"`: an app of an umbrella shares that of the umbrella.
    pub build_path: Option<Setting>,
    /// A dependency `{:phoenix, …}`.
    pub phoenix: bool,
    /// An alias named `assets.deploy`.
    pub assets_deploy: bool,
    /// The code without comments.
    code: String,
    /// The first name under `releases:`.
    pub release: Option<String>,
}

impl MixExs {
    /// Reads the text of the file at `path` (relative to the app, for the origins).
    #[must_use]
    pub fn guess(path: &str, text: &str) -> Self {
        let code: Vec<&str> = text.lines().map(without_comment).collect();
        let joined = code.join("\n");
        let requested = |word| {
            code.iter().zip(1..).find_map(|(line, number)| {
                let value = keyword(line, word).and_then(string)?;
                Some(Setting::new(value, Origin::file(path, number)))
            })
        };
        Self {
            app: keyword(&joined, "app:").and_then(atom),
            apps_path: keyword(&joined, "apps_path:").and_then(string),
            elixir: requested("elixir:"),
            build_path: requested("build_path:"),
            phoenix: squeezed(&joined).contains("{:phoenix,"),
            assets_deploy: joined.contains("\"assets.deploy\""),
            release: release_name(&joined),
            code: joined,
        }
    }

    /// Whether compiling the project may need JavaScript packages: it has compilers other than those of Phoenix's
    /// templates, or mentions packages.
    pub(crate) fn may_need_packages(&self) -> bool {
        let words = ["npm", "yarn", "bun", "node", "assets"];
        let compilers = self.code.split("compilers:").skip(1);
        let mut lines = compilers.map(|rest| rest.lines().next().unwrap_or_default());
        lines.any(|line| !has_stock_compilers(line))
            || words.iter().any(|word| self.code.contains(word))
    }

    /// Returns the tasks of an alias, if it is a string or a list of strings.
    pub(crate) fn alias(&self, name: &str) -> Option<Vec<String>> {
        let quoted = keyword(&self.code, &format!("\"{name}\":"));
        let value = quoted.or_else(|| keyword(&self.code, &format!("{name}:")))?;
        let Some(list) = value.strip_prefix('[') else {
            return Some(vec![string(value)?]);
        };
        let (list, _) = list.split_once(']')?;
        let lines = list
            .split(',')
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let plain = |line: &str| {
            let text = line.strip_prefix('"')?.strip_suffix('"')?;
            (!text.contains(['"', '\\', '#'])).then(|| text.to_owned())
        };
        lines.map(plain).collect()
    }
}

/// Whether a `mix.lock` contains an entry with this name.
#[must_use]
pub fn lock_contains(lock: &str, package: &str) -> bool {
    let entry = format!("\"{package}\":");
    entries(lock).any(|line| line.starts_with(&entry))
}

/// Returns the version of a hex.pm package in `mix.lock`.
#[must_use]
pub(crate) fn locked_version(lock: &str, package: &str) -> Option<String> {
    let entry = format!("\"{package}\":");
    let line = entries(lock).find(|line| line.starts_with(&entry))?;
    let (_, rest) = line.split_once(&format!("{{:hex, :{package}, \""))?;
    rest.split('"').next().map(str::to_owned)
}

/// Whether `compilers:` only adds those of Phoenix's templates: `[:phoenix, :gettext] ++ Mix.compilers(),`.
fn has_stock_compilers(line: &str) -> bool {
    let stock = [
        ":phoenix",
        ":gettext",
        ":phoenix_live_view",
        "Mix.compilers",
    ];
    let is_name = |c: char| c.is_alphanumeric() || c == ':' || c == '_' || c == '.';
    let is_whole = line.matches('[').count() == line.matches(']').count();
    let mut names = line.split(|c| !is_name(c)).filter(|name| !name.is_empty());
    is_whole && names.all(|name| stock.contains(&name))
}

/// The entries of `mix.lock`, one per line. Elixir before 1.6 wrote the first one after the `%{`.
fn entries(lock: &str) -> impl Iterator<Item = &str> {
    lock.lines().map(|line| {
        let line = line.trim_start();
        line.strip_prefix("%{").map_or(line, str::trim_start)
    })
}

/// Removes the comment from a line. Quotes are counted to find out whether a `#` is in a string, which is enough for
/// the keywords searched here.
fn without_comment(line: &str) -> &str {
    let mut in_string = false;
    let mut escaped = false;
    for (index, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            '#' if !in_string => return &line[..index],
            _ => {}
        }
    }
    line
}

/// Returns the text after the first `word` that isn't part of a longer name.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text
        .match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))?;
    Some(text[at + word.len()..].trim_start())
}

fn atom(text: &str) -> Option<String> {
    let name: String = text
        .strip_prefix(':')?
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn string(text: &str) -> Option<String> {
    let (value, _) = text.strip_prefix('"')?.split_once('"')?;
    Some(value.to_owned())
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Returns the first key of `releases: [` in the project, or of the list that `defp releases do [` returns.
fn release_name(code: &str) -> Option<String> {
    let squeezed = squeezed(code);
    ["releases:[", "defpreleasesdo[", "defreleasesdo["]
        .iter()
        .find_map(|start| {
            let (_, rest) = squeezed.split_once(start)?;
            let (name, _) = rest.split_once(':')?;
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            is_name.then(|| name.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r##"defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [
      # app: :old_name,
      app: :shop,
      version: "0.1.0",
      elixir: "~> 1.15", # not "~> 1.2"
      releases: [
        storefront: [include_executables_for: [:unix]]
      ],
      deps: deps()
    ]
  end

  defp deps, do: [{:phoenix, "~> 1.8"}]
  defp aliases, do: ["assets.deploy": ["x"], "assets.deploy": "#{1}"]
end
"##;

    #[test]
    fn guesses_app_requirement_and_release_from_mix_exs() {
        let guess = MixExs::guess("mix.exs", SHOP);
        assert_eq!(guess.app.as_deref(), Some("shop"));
        assert_eq!(guess.apps_path, None);
        assert_eq!(
            guess.elixir,
            Some(Setting::new("~> 1.15".into(), Origin::file("mix.exs", 9)))
        );
        assert!(guess.phoenix);
        assert!(guess.assets_deploy);
        assert_eq!(guess.build_path, None);
        assert_eq!(guess.release.as_deref(), Some("storefront"));
    }

    #[test]
    fn library_with_phoenix_prefix_is_not_phoenix() {
        let guess = MixExs::guess("mix.exs", "deps: [{:phoenix_html, \"~> 4.0\"}]");
        assert!(!guess.phoenix);
        assert!(!lock_contains(
            "%{\n  \"phoenix_html\": {:hex, :phoenix_html},\n}",
            "phoenix"
        ));
        assert!(lock_contains(
            "%{\n  \"phoenix\": {:hex, :phoenix, \"1.8.1\"},\n}",
            "phoenix"
        ));
        let lock =
            "%{\n  \"phoenix\": {:hex, :phoenix, \"1.8.1\", \"ab\"},\n  \"x\": {:git, \"u\"},\n}";
        assert_eq!(locked_version(lock, "phoenix").as_deref(), Some("1.8.1"));
        assert_eq!(locked_version(lock, "x"), None);
    }

    #[test]
    fn lockfile_of_elixir_before_1_6_has_first_entry_on_its_first_line() {
        let lock = "%{\"phoenix\": {:hex, :phoenix, \"1.2.1\", \"ab\"},\n  \"plug\": {:hex, :plug, \"1.3.0\"}}\n";
        assert!(lock_contains(lock, "phoenix"));
        assert!(lock_contains(lock, "plug"));
        assert_eq!(locked_version(lock, "phoenix").as_deref(), Some("1.2.1"));
    }

    #[test]
    fn compilers_of_phoenix_need_no_packages() {
        let needs = |compilers: &str| {
            let text = format!("[\n  compilers: {compilers}\n  deps: deps()\n]");
            MixExs::guess("mix.exs", &text).may_need_packages()
        };
        for stock in [
            "[:phoenix, :gettext] ++ Mix.compilers(),",
            "[:phoenix] ++ Mix.compilers,",
            "[:phoenix_live_view] ++ Mix.compilers(),",
            "Mix.compilers(),",
        ] {
            assert!(!needs(stock), "{stock}");
        }
        for own in [
            "[:elm, :phoenix] ++ Mix.compilers,",
            "compilers(Mix.env()),",
            "Mix.compilers() ++ [:surface],",
            "[",
            "[:phoenix] ++ Mix.compilers, aliases: [compile: [\"cmd npm ci\"]],",
        ] {
            assert!(needs(own), "{own}");
        }
    }

    #[test]
    fn umbrella_has_apps_path() {
        let guess = MixExs::guess("mix.exs", "[apps_path: \"apps\", version: \"0.1.0\"]");
        assert_eq!(guess.apps_path.as_deref(), Some("apps"));
        assert_eq!(guess.app, None);
    }
}

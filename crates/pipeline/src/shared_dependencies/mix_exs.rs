//! The variables that a package's `mix.exs` reads when mix loads it. Mix loads every `mix.exs` before it compiles
//! anything. Functions in it run again while the package is compiled, and are traced then.

use std::collections::BTreeSet;

/// Calls that read a variable, up to the name.
const READS: [&str; 6] = [
    "System.get_env(",
    "System.fetch_env(",
    "System.fetch_env!(",
    ":os.getenv(",
    "System.get_env ",
    "System.fetch_env! ",
];
/// Modules and functions that may read anything else.
const OTHERS: [&str; 9] = [
    "Application.",
    "Code.eval_",
    "Code.require_",
    "Path.wildcard",
    "Port.",
    "System.",
    ":application.",
    ":httpc.",
    ":os.",
];
/// Modules that may read any file.
const FILES: [&str; 2] = ["File.", ":file."];
/// Calls that only read versions of the toolchain, which every key contains.
const HARMLESS: [&str; 2] = ["System.otp_release(", "System.version("];

/// Returns the names of the variables that are read outside of functions.
///
/// # Errors
///
/// A phrase that says what else may be read.
pub(crate) fn variables(text: &str) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for line in outside_of_functions(text) {
        let mut rest = line.to_owned();
        for harmless in HARMLESS {
            rest = rest.replace(harmless, "(");
        }
        for read in READS {
            while let Some((before, after)) = rest.split_once(read) {
                let name = after.trim_start().strip_prefix(['"', '\'']);
                let name = name.and_then(|name| name.split(['"', '\'']).next());
                let name = name.filter(|name| !name.contains("#{"));
                let name =
                    name.ok_or_else(|| format!("computes a name in mix.exs: {}", line.trim()))?;
                names.insert(name.to_owned());
                rest = format!("{before}({after}");
            }
        }
        if has(&rest, &OTHERS) || (has(&rest, &FILES) && !names_own_file(&rest)) {
            return Err(format!("has {} in mix.exs", line.trim()));
        }
    }
    Ok(names)
}

/// Whether a line has one of these names: `System.cmd`, not `FileSystem.MixProject`.
fn has(line: &str, names: &[&str]) -> bool {
    let is_name = |(at, _): (usize, &str)| !line[..at].ends_with(char::is_alphanumeric);
    let mut names = names.iter();
    names.any(|name| line.match_indices(name).any(is_name))
}

/// Whether the paths in a line are inside the package. Mix loads `mix.exs` in the package's directory.
fn names_own_file(line: &str) -> bool {
    let names_one = line.contains(['"', '\'']) && !line.contains("#{");
    names_one
        && !["..", "\"/", "'/", "\"~"]
            .iter()
            .any(|part| line.contains(part))
}

/// The lines of a module's body outside functions. In unformatted code, lines of functions may be included.
fn outside_of_functions(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let is_deeper = line.starts_with("    ") || line.trim().is_empty();
        if inside && is_deeper {
            return false;
        }
        let code = line.trim();
        let is_function = ["  def ", "  defp "]
            .iter()
            .any(|def| line.starts_with(def));
        // `def project, do: [` and `def project do`
        inside = is_function
            && (code.ends_with("do") || code.ends_with("do: [") || code.ends_with("do:"));
        !is_function && !code.starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_level_reads_are_found() {
        let text = r#"defmodule Web.MixProject do
  use Mix.Project
  @version "1.0.0"
  # System.cmd("git", [])
  @ref System.get_env("WEB_REF", "main") <> System.fetch_env!("WEB_TAG")
  @otp System.otp_release()
  {:ok, [{:application, :web, properties}]} = :file.consult("src/web.app.src")
  @notes File.read!(Path.join(__DIR__, "CHANGELOG.md"))

  def project do
    [version: @version, x: System.cmd("date", [])]
  end

  defp deps, do: [
    {:a, path: System.get_env("A_PATH")}
  ]
end
"#;
        let names = ["WEB_REF", "WEB_TAG"].map(str::to_owned);
        assert_eq!(variables(text), Ok(names.into()));
        let other = "defmodule FileSystem.MixProject do\nalias MyFile.Reader";
        assert_eq!(variables(other), Ok(BTreeSet::new()));
        for (line, why) in [
            (
                "  @sha System.cmd(\"git\", [])",
                "has @sha System.cmd(\"git\", []) in mix.exs",
            ),
            (
                "  @x System.get_env(name)",
                "computes a name in mix.exs: @x System.get_env(name)",
            ),
            (
                "  @x System.get_env()",
                "computes a name in mix.exs: @x System.get_env()",
            ),
            (
                "  @x System.get_env(\"A#{b}\")",
                "computes a name in mix.exs: @x System.get_env(\"A#{b}\")",
            ),
            (
                "  @x File.read!(\"../../VERSION\")",
                "has @x File.read!(\"../../VERSION\") in mix.exs",
            ),
            (
                "  @x File.exists?(@path)",
                "has @x File.exists?(@path) in mix.exs",
            ),
            (
                "@x Application.get_env(:a, :b)",
                "has @x Application.get_env(:a, :b) in mix.exs",
            ),
            (
                "def a do\nSystem.cmd(\"x\")\nend",
                "has System.cmd(\"x\") in mix.exs",
            ),
        ] {
            assert_eq!(variables(line), Err(why.to_owned()));
        }
    }
}

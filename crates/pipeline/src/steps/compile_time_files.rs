//! Files that modules read while they are compiled. mix compiles a module again only if a file in its
//! `@external_resource` has changed, so it misses new files of a directory, and files that aren't named there.

use crate::compiled_code::compiled_code;
use crate::context::Context;
use std::fs;
use std::path::Path;

/// Read the content of files.
const CONTENT: [&str; 4] = ["File.read", "File.stream!", "File.open", ":file.read_file"];

/// Read the names in a directory.
const NAMES: [&str; 3] = ["Path.wildcard", "File.ls", ":filelib.wildcard"];

/// The extensions of code, templates and translations. Mix, Phoenix and Gettext track these files.
const TRACKED: [&str; 13] = [
    "eex", "erl", "ex", "exs", "heex", "hrl", "leex", "po", "pot", "sface", "slime", "xrl", "yrl",
];

/// Returns why the app has to be compiled again, if a module may have read a file that has changed.
pub(crate) fn changed_file(ctx: &Context<'_>) -> Option<String> {
    let projects = &ctx.plan.projects;
    let changed = ctx.compilation.state().changed_files.clone();
    let changed: Vec<_> = changed
        .iter()
        .filter(|(path, _)| !is_tracked(path, projects))
        .collect();
    // New and removed files change a list of names too.
    let first = changed.first()?;
    let renamed = changed.iter().find(|(_, verb)| *verb != "changed");
    let app = &ctx.workspace.app;
    projects.iter().find_map(|project| {
        compiled_code(&app.join(project)).find_map(|path| {
            if path.extension()? != "ex" {
                return None;
            }
            let text = fs::read_to_string(&path).ok()?;
            let (line, reads) = reads(&text)?;
            let (file, verb) = match reads {
                Reads::Anything => first,
                Reads::Names => renamed?,
            };
            let place = path.strip_prefix(app).ok()?.display();
            let file = file.display();
            Some(format!(
                "{place}:{line} reads files when it is compiled, and {file} {verb}"
            ))
        })
    })
}

fn is_tracked(path: &Path, projects: &[String]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_elsewhere = |project: &String| {
        let inside = path.strip_prefix(project.as_str()).ok();
        inside.is_some_and(|path| path.starts_with("assets") || path.starts_with("test"))
    };
    // Mix tracks the lockfile too.
    path.file_name().is_some_and(|name| name == "mix.lock")
        || extension.is_some_and(|extension| TRACKED.contains(&extension))
        || projects.iter().any(is_elsewhere)
}

#[derive(Debug, PartialEq, Eq)]
enum Reads {
    Anything,
    /// `@external_resource` tells mix of their content.
    Names,
}

/// Returns the first line, from 1, that reads files while the module is compiled.
fn reads(text: &str) -> Option<(u32, Reads)> {
    let is_told = text.contains("@external_resource");
    let calls = |line: &str, calls: &[&str]| calls.iter().any(|call| line.contains(call));
    module_lines(text)
        .find(|(_, line)| calls(line, &NAMES) || (!is_told && calls(line, &CONTENT)))
        .map(|(number, _)| {
            (
                number,
                if is_told {
                    Reads::Names
                } else {
                    Reads::Anything
                },
            )
        })
}

/// The lines outside of functions, comments and heredocs, as `mix format` indents them. Macros count: they run
/// while other modules are compiled.
fn module_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut function = None;
    let mut in_heredoc = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let was_in_heredoc = in_heredoc;
        in_heredoc ^= line.matches("\"\"\"").count() % 2 == 1;
        let code = line.trim_start();
        if was_in_heredoc || code.is_empty() || code.starts_with('#') {
            return false;
        }
        let indent = line.len() - code.len();
        if function.is_some_and(|at| indent > at || code.starts_with(')')) {
            return false;
        }
        let ends = function.take().is_some() && code.starts_with("end");
        if code.starts_with("def ") || code.starts_with("defp ") {
            function = Some(indent);
            return false;
        }
        !ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_outside_of_functions_count() {
        let module = |body: &str| format!("defmodule A do\n{body}\nend\n");
        let told = "  @external_resource \"a\"\n";
        for (body, found) in [
            (
                "  @a File.read!(\"a\")".to_owned(),
                Some((2, Reads::Anything)),
            ),
            (
                "  @a Path.wildcard(\"a/*\")".to_owned(),
                Some((2, Reads::Anything)),
            ),
            (format!("{told}  @a File.read!(\"a\")"), None),
            (
                format!("{told}  @a Path.wildcard(\"a/*\")"),
                Some((3, Reads::Names)),
            ),
            ("  def a do\n    File.read!(\"a\")\n  end".to_owned(), None),
            (
                "  def a,\n    do: File.read!(\"a\")\n\n  @b File.ls!(\"b\")".to_owned(),
                Some((5, Reads::Anything)),
            ),
            (
                "  def a(\n        b\n      ) do\n    File.ls!(b)\n  end\n  @b File.ls!(\"b\")"
                    .to_owned(),
                Some((7, Reads::Anything)),
            ),
            (
                "  def a(b \\\\ 1)\n  @b File.ls!(\"b\")".to_owned(),
                Some((3, Reads::Anything)),
            ),
            (
                "  defmacro a do\n    File.read!(\"a\")\n  end".to_owned(),
                Some((3, Reads::Anything)),
            ),
            (
                "  @doc \"\"\"\n      File.read!(\"a\")\n  \"\"\"\n  # File.ls!(\"a\")".to_owned(),
                None,
            ),
        ] {
            assert_eq!(reads(&module(&body)), found, "{body}");
        }
    }

    #[test]
    fn code_templates_and_asset_sources_do_not_count() {
        let projects = [String::new(), "apps/web".to_owned()];
        let is_tracked = |path| is_tracked(Path::new(path), &projects);
        for path in [
            "lib/a.ex",
            "lib/a.html.heex",
            "mix.lock",
            "assets/js/app.js",
            "apps/web/assets/a.css",
        ] {
            assert!(is_tracked(path), "{path}");
        }
        for path in ["priv/static/images/cats/a.png", "posts/a.md", "LICENSE"] {
            assert!(!is_tracked(path), "{path}");
        }
    }
}

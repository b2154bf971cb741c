//! Files that modules read at compile time. mix recompiles a module only if a file in its `@external_resource` has
//! changed. It doesn't notice new files in a directory, and changes of other files.

use crate::compiled_code::compiled_code;
use crate::context::Context;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// Functions that read the content of files.
const CONTENT: [&str; 4] = ["File.read", "File.stream!", "File.open", ":file.read_file"];

/// Functions that read the names in a directory.
const NAMES: [&str; 3] = ["Path.wildcard", "File.ls", ":filelib.wildcard"];

/// The extensions of code, templates and translations. Mix, Phoenix and Gettext track these files.
const TRACKED: [&str; 13] = [
    "eex", "erl", "ex", "exs", "heex", "hrl", "leex", "po", "pot", "sface", "slime", "xrl", "yrl",
];

/// Returns why the app has to be recompiled, if a module may have read a file that has changed.
pub(crate) fn changed_file(ctx: &Context<'_>) -> Option<String> {
    let projects = &ctx.plan.projects;
    let changed = ctx.compilation.state().changed_files.clone();
    let changed: Vec<_> = changed
        .into_iter()
        .filter(|(path, _)| !is_tracked(path))
        .collect();
    if changed.is_empty() {
        return None;
    }
    let app = &ctx.workspace.app;
    projects.iter().find_map(|project| {
        compiled_code(&app.join(project)).find_map(|path| {
            if path.extension()? != "ex" {
                return None;
            }
            let text = fs::read_to_string(&path).ok()?;
            let (line, reads) = reads(&text)?;
            let (file, verb) = changed.iter().find(|(file, verb)| {
                // Only new and removed files change a list of names.
                (reads == Reads::Anything || *verb != "changed") && may_name(&text, file, projects)
            })?;
            let place = path.strip_prefix(app).ok()?.display();
            let file = file.display();
            Some(format!(
                "{place}:{line} reads files when it is compiled, and {file} {verb}"
            ))
        })
    })
}

fn is_tracked(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| TRACKED.contains(&extension))
        // Mix tracks the lockfile too.
        || path.file_name().is_some_and(|name| name == "mix.lock")
}

/// Returns whether a module may read a file. Files at the top of a project, hidden ones, assets and tests change often,
/// and belong to tools. A module that reads them names the file or directory.
fn may_name(module: &str, file: &Path, projects: &[String]) -> bool {
    let inside = projects.iter().filter_map(|project| {
        let project = if project == "." { "" } else { project };
        file.strip_prefix(project).ok()
    });
    let Some(inside) = inside.min_by_key(|path| path.components().count()) else {
        return true;
    };
    let mut parts = inside.iter().filter_map(OsStr::to_str);
    let Some(first) = parts.next() else {
        return true;
    };
    let belongs_to_tool =
        parts.next().is_none() || first.starts_with('.') || ["assets", "test"].contains(&first);
    !belongs_to_tool || module.contains(first)
}

#[derive(Debug, PartialEq, Eq)]
enum Reads {
    Anything,
    /// Only names. The module lists files in `@external_resource`, so mix checks their content.
    Names,
}

/// Returns the number, from 1, of the first line that reads files at compile time.
fn reads(text: &str) -> Option<(u32, Reads)> {
    let is_declared = text.contains("@external_resource");
    let calls = |line: &str, calls: &[&str]| calls.iter().any(|call| line.contains(call));
    module_lines(text)
        .find(|(_, line)| calls(line, &NAMES) || (!is_declared && calls(line, &CONTENT)))
        .map(|(number, _)| {
            (
                number,
                if is_declared {
                    Reads::Names
                } else {
                    Reads::Anything
                },
            )
        })
}

/// Returns the numbered lines outside of functions, comments and heredocs. Relies on the indentation of `mix format`.
/// Includes macros, which run when other modules are compiled.
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
    fn code_templates_and_lockfile_are_tracked() {
        let is_tracked = |path| is_tracked(Path::new(path));
        assert!(
            ["lib/a.ex", "lib/a.html.heex", "mix.lock"]
                .into_iter()
                .all(is_tracked)
        );
        assert!(
            !["priv/cats/a.png", "posts/a.md", "LICENSE"]
                .into_iter()
                .any(is_tracked)
        );
    }

    #[test]
    fn module_has_to_name_files_of_tools_to_read_them() {
        let projects = [".".to_owned(), "apps/web".to_owned()];
        let may_name = |module, file| may_name(module, Path::new(file), &projects);
        for file in ["assets/icons/a.svg", "apps/web/assets/icons/a.svg"] {
            assert!(may_name("@icons File.ls!(\"assets/icons\")", file));
            assert!(!may_name("@cats File.ls!(\"priv/cats\")", file));
        }
        assert!(may_name("@cats File.ls!(dir)", "apps/web/priv/cats/a.png"));
        for file in ["Procfile", "apps/web/Procfile", ".github/workflows/ci.yml"] {
            assert!(!may_name("@cats File.ls!(dir)", file));
        }
        assert!(may_name(
            "@text File.read!(\"CHANGELOG.md\")",
            "CHANGELOG.md"
        ));
    }
}

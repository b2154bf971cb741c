//! The line of the app's code that raised an Elixir exception.

/// The directories that builds put the app in. Paths below them are shown relative to them.
const ROOTS: [&str; 2] = ["/app/", "/workspace/"];

/// Returns a path as the user's editor shows it.
pub(super) fn relative(path: &str) -> String {
    let below = ROOTS.iter().find_map(|top| path.strip_prefix(top));
    let in_config = || path.rfind("/config/").map(|at| &path[at + 1..]);
    let is_mix_exs = || path.strip_suffix("/mix.exs").map(|_| "mix.exs");
    let absolute = path.starts_with('/');
    let shown = below.or_else(|| absolute.then(|| in_config().or_else(is_mix_exs))?);
    shown.unwrap_or(path).to_owned()
}

/// Returns the first line of the app's own code in a stack trace, or the line with a syntax error:
/// `config/config.exs:3`.
pub(super) fn place(lines: &[String]) -> Option<String> {
    let at = exception(lines)?;
    let of_project = loaded_place(lines, at);
    let of_app = || frames(lines, at).find(|frame| !frame.is_tool_code);
    of_project.or_else(|| Some(of_app()?.place()))
}

/// Returns the output line of an exception that was raised when mix loaded `mix.exs` or a config file.
pub(super) fn loading(lines: &[String]) -> Option<usize> {
    let at = exception(lines)?;
    loaded_place(lines, at).map(|_| at)
}

fn exception(lines: &[String]) -> Option<usize> {
    lines.iter().position(|line| {
        let line = line.trim_start();
        line.starts_with("** (") && !line.starts_with("** (Mix)")
    })
}

/// Returns the line of `mix.exs` or of a config file that failed to load.
fn loaded_place(lines: &[String], at: usize) -> Option<String> {
    let message = &lines[at];
    let phrases = [" found on ", " missing on ", "** (CompileError) "];
    let named = phrases.iter().find_map(|phrase| {
        let (_, rest) = message.split_once(phrase)?;
        located(rest.split(' ').next()?)
    });
    if let Some((path, line)) = named.filter(|(path, _)| is_project_file(path)) {
        // The compiler printed the line before.
        let located_in_output = || {
            let marked = lines[..at].iter().rev();
            let mut places = marked.filter_map(|line| located(line.split_once("└─ ")?.1));
            places.find(|(other, _)| *other == path)?.1
        };
        let line = line.or_else(located_in_output);
        let path = relative(path);
        return Some(line.map_or(path.clone(), |line| format!("{path}:{line}")));
    }
    let mut frames = frames(lines, at);
    let frame = frames.find(|frame| !frame.is_tool_code && is_project_file(frame.path))?;
    let evaluated = frame.what == "(file)";
    let mut project = || frames.any(|frame| frame.path.ends_with("lib/mix/project.ex"));
    (evaluated || project()).then(|| frame.place())
}

fn is_project_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_config = path.starts_with("config/") || path.contains("/config/");
    name == "mix.exs" || in_config && path.rsplit_once('.').is_some_and(|(_, end)| end == "exs")
}

/// Splits `config/config.exs:2:24:` or `mix.exs:` into the file and the line, if there is one.
fn located(text: &str) -> Option<(&str, Option<u32>)> {
    let end = text.find(".ex")? + 3;
    let end = end + usize::from(text[end..].starts_with('s'));
    let (path, rest) = text.split_at(end);
    let line = rest.strip_prefix(':')?.split(':').next()?;
    Some((path, line.parse().ok()))
}

/// A line of a stack trace, such as `(elixir 1.18.3) lib/file.ex:385: File.read!/1`.
struct Frame<'a> {
    path: &'a str,
    line: u32,
    what: &'a str,
    /// Whether it is code of Elixir, Erlang or a dependency.
    is_tool_code: bool,
}

impl Frame<'_> {
    fn place(&self) -> String {
        format!("{}:{}", relative(self.path), self.line)
    }
}

fn frames(lines: &[String], at: usize) -> impl Iterator<Item = Frame<'_>> {
    lines[at + 1..].iter().filter_map(|line| {
        let line = line.strip_prefix("    ")?.trim_start();
        let (is_tool_code, rest) = match line.strip_prefix('(') {
            Some(app) => (true, app.split_once(") ")?.1),
            None => (false, line),
        };
        let (place, what) = rest.split_once(": ")?;
        let (path, number) = place.rsplit_once(':')?;
        Some(Frame {
            path,
            line: number.parse().ok()?,
            what,
            is_tool_code,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn finds_file_and_line_of_load_error() {
        let by_version = "** (CompileError) config/config.exs:4: undefined function nothing/0";
        for (text, expected) in [
            (
                "** (RuntimeError) X\n\n    /tmp/b/config/config.exs:3: (file)\n    (stdlib 6.2) erl_eval.erl:919: :erl_eval.do_apply/7",
                Some("config/config.exs:3"),
            ),
            (
                "** (File.Error) x\n    (elixir 1.18.3) lib/file.ex:385: File.read!/1\n    mix.exs:3: Rem.MixProject.project/0\n    (mix 1.18.3) lib/mix/project.ex:1004: Mix.Project.get_project_config/1",
                Some("mix.exs:3"),
            ),
            (
                "** (SyntaxError) invalid syntax found on config/config.exs:2:21:\n    error: x",
                Some("config/config.exs:2"),
            ),
            (
                "** (MismatchedDelimiterError) mismatched delimiter found on mix.exs:5:1:",
                Some("mix.exs:5"),
            ),
            (
                "    error: undefined variable\n    └─ config/prod.exs:2\n\n** (CompileError) config/prod.exs: cannot compile file (errors have been logged)",
                Some("config/prod.exs:2"),
            ),
            (by_version, Some("config/config.exs:4")),
            ("** (CompileError) lib/a.ex: cannot compile module A", None),
            (
                "** (RuntimeError) x\n    mix.exs:40: Rem.MixProject.build/1\n    (mix 1.18.3) lib/mix/task.ex:1: Mix.Task.run_alias/6",
                None,
            ),
            ("** (Mix) Could not compile\n    mix.exs:4: (file)", None),
            ("no exception", None),
        ] {
            let lines = lines(text);
            let found = loading(&lines).and_then(|_| place(&lines));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn other_exceptions_point_to_first_app_frame() {
        let trace = "** (A) b\n    (elixir 1.18.3) expanding macro: Kernel.@/1\n    (elixir 1.18.3) lib/kernel.ex:3: Kernel.x/0\n    lib/rem.ex:3: Rem.x/0";
        assert_eq!(place(&lines(trace)).as_deref(), Some("lib/rem.ex:3"));
        assert_eq!(place(&lines("** (A) b")), None);
    }

    #[test]
    fn path_is_relative_to_the_app() {
        for (path, shown) in [
            ("/app/backend/config/prod.exs", "backend/config/prod.exs"),
            ("/workspace/mix.exs", "mix.exs"),
            (
                "/tmp/build_1/config/prod.secret.exs",
                "config/prod.secret.exs",
            ),
            ("/tmp/build_1/mix.exs", "mix.exs"),
            ("/tmp/VERSION", "/tmp/VERSION"),
            ("deps/a/mix.exs", "deps/a/mix.exs"),
        ] {
            assert_eq!(relative(path), shown);
        }
    }
}

//! Finds out whether the deployed app runs Node.js. If so, its npm packages have to ship.
//!
//! No single setting states this. The evidence is code that runs a Node.js program, looks one up, or reads a path
//! under `node_modules`. The word "node" alone is no evidence, since Erlang has nodes too. When in doubt, the app
//! runs Node.js.

mod literals;
mod programs;
mod shell;

use super::mix_exs::lock_contains;
use super::procfile::Procfile;
use literals::{Code, Kind, Language, Literal};
use programs::{PROGRAMS, is_program};
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// Packages of hex.pm that start Node.js: they render pages or run functions in it.
const PACKAGES: [&str; 10] = [
    "elixir_react_render",
    "execjs",
    "live_svelte",
    "live_vue",
    "nodejs",
    "phoenix_render_react",
    "puppeteer_pdf",
    "react_phoenix",
    "react_render",
    "std_json_io",
];

/// Directories of a mix project whose code runs on a dyno, or configures how it starts.
const FOLDERS: [&str; 6] = ["lib", "config", "rel", "bin", "src", "priv"];
/// Config files of other environments than production. They set watchers of assets.
const DEVELOPMENT_CONFIG: [&str; 2] = ["dev.exs", "test.exs"];
/// Dependencies that build assets. Their config only affects the build.
const BUILD_ASSETS: [&str; 6] = ["bun", "dart_sass", "deno", "esbuild", "sass", "tailwind"];
/// The maximum size of a source file, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// Code that runs programs.
const RUNNERS: [&str; 14] = [
    "System.cmd",
    "System.shell",
    "System.find_executable",
    "Port.open",
    ":os.cmd",
    ":os.find_executable",
    ":erlang.open_port",
    ":exec.run",
    "MuonTrap.",
    "Porcelain.",
    "Rambo.run",
    "os:cmd",
    "os:find_executable",
    "open_port",
];
/// Calls that print text.
const PRINTS: [&str; 8] = [
    "IO.puts",
    "IO.warn",
    "IO.write",
    "Mix.raise",
    "gettext",
    "raise",
    "{:error,",
    "{error,",
];

/// The app's processes and scripts, as lines of shell.
#[derive(Debug, Default)]
pub(crate) struct Processes<'a> {
    pub procfile: Option<&'a Procfile>,
    /// The text of `app.json`.
    pub app_json: Option<&'a str>,
}

/// Returns the first place in the app that runs Node.js. `projects` are directories with a `mix.exs`, relative to the
/// app.
pub(crate) fn find(
    dir: &Path,
    projects: &[String],
    processes: &Processes<'_>,
    lock: Option<&str>,
) -> Option<String> {
    let lines = processes.lines();
    let process = lines.iter().find_map(|(name, line)| {
        let runs = shell::runs_node(line).then(|| name.clone());
        let app_dir = projects.first().map(|project| dir.join(project));
        let dirs = [dir.to_owned()].into_iter().chain(app_dir);
        runs.or_else(|| dirs.into_iter().find_map(|dir| called(&dir, line)))
    });
    if process.is_some() {
        return process;
    }
    let lock = lock.unwrap_or_default();
    if let Some(package) = PACKAGES.iter().find(|package| lock_contains(lock, package)) {
        return Some(format!("the dependency {package}"));
    }
    let called: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    projects.iter().find_map(|project| {
        let folders = FOLDERS.map(|folder| dir.join(project).join(folder));
        folders
            .iter()
            .find_map(|folder| in_folder(dir, folder, &called))
    })
}

impl Processes<'_> {
    /// Returns shell commands, each with the name for messages.
    fn lines(&self) -> Vec<(String, String)> {
        let types = self.procfile.into_iter().flat_map(|procfile| &procfile.0);
        let types = types.map(|(name, line)| (format!("the Procfile's {name}"), line.clone()));
        let json = self
            .app_json
            .and_then(|text| serde_json::from_str(text).ok());
        let json: serde_json::Value = json.unwrap_or_default();
        let scripts = json["scripts"].as_object().into_iter().flatten();
        let scripts = scripts.filter_map(|(name, line)| {
            let line = line.as_str().or_else(|| line["command"].as_str())?;
            Some((format!("app.json's {name}"), line.to_owned()))
        });
        types.chain(scripts).collect()
    }
}

/// Returns the script of the app that a shell command runs, if the script runs Node.js.
fn called(app: &Path, line: &str) -> Option<String> {
    let words: Vec<&str> = shell::commands(line).flatten().collect();
    words.into_iter().find_map(|word| {
        let path = Path::new(word.strip_prefix("./").unwrap_or(word));
        let inside = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        let file = app.join(path);
        if !inside || !file.is_file() {
            return None;
        }
        let line = in_script(&text_of(&file)?, shell::runs_node)?;
        Some(format!("{}:{line}", path.display()))
    })
}

/// The text of a file that may be source.
fn text_of(file: &Path) -> Option<String> {
    let found = file.metadata().ok()?;
    let is_source = found.is_file() && found.len() <= MAX_SIZE;
    is_source.then(|| fs::read_to_string(file).ok()).flatten()
}

fn in_folder(app: &Path, folder: &Path, called: &[&str]) -> Option<String> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter();
    // Skip files for browsers, and output of other runtimes.
    let files = files.filter_entry(|entry| {
        let name = entry.file_name();
        name != "node_modules"
            && !(name == "static" && entry.path().parent().is_some_and(|at| at.ends_with("priv")))
    });
    files.filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name().to_str()?;
        if !entry.file_type().is_file() || DEVELOPMENT_CONFIG.contains(&name) {
            return None;
        }
        let in_folder = entry.path().strip_prefix(folder).ok()?;
        let text = text_of(entry.path())?;
        let line = match in_folder
            .extension()
            .and_then(|extension| extension.to_str())
        {
            Some("ex" | "exs") => in_code(&text, Language::Elixir, called),
            Some("erl" | "hrl") => in_code(&text, Language::Erlang, called),
            _ if folder.ends_with("bin") => in_script(&text, shell::runs_node_to_serve),
            _ if is_shell(name, &text) => in_script(&text, shell::runs_node),
            _ => shebang(&text).then_some(1),
        }?;
        let path = entry.path().strip_prefix(app).ok()?;
        Some(format!("{}:{line}", path.display()))
    })
}

/// `rel/env.sh.eex`, `rel/overlays/bin/server`.
fn is_shell(name: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let by_shell = first.starts_with("#!") && first.contains("sh");
    by_shell || name.trim_end_matches(".eex").strip_suffix(".sh").is_some()
}

/// Returns the line of a script that runs Node.js, or the first line if Node.js runs the script.
fn in_script(text: &str, runs_node: fn(&str) -> bool) -> Option<u32> {
    if shebang(text) {
        return Some(1);
    }
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("#!") && !first.contains("sh") {
        // Elixir, or a language with the same syntax of strings and comments.
        return in_code(text, Language::Elixir, &[]);
    }
    let mut lines = (1..).zip(text.lines());
    lines
        .find(|(_, line)| runs_node(line))
        .map(|(number, _)| number)
}

/// Whether Node.js runs a script: `#!/usr/bin/env node`.
fn shebang(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let line = first.strip_prefix("#!");
    line.is_some_and(|line| line.split_whitespace().any(is_program))
}

/// Returns the line of a module or config file that runs Node.js.
fn in_code(text: &str, language: Language, called: &[&str]) -> Option<u32> {
    if !PROGRAMS.iter().any(|program| text.contains(program)) {
        return None;
    }
    let code = Code::read(text, language);
    if is_unused_task(&code.bare, called) {
        return None;
    }
    let runs = RUNNERS.iter().any(|runner| code.bare.contains(runner));
    let found = code.literals.iter().find(|literal| {
        !is_of_asset_builder(&code.bare[..literal.at]) && is_node_command(literal, &code.bare, runs)
    });
    found.map(|literal| literal.line)
}

/// Whether this is a mix task that no process of the app runs. Such tasks are for builds.
fn is_unused_task(bare: &str, called: &[&str]) -> bool {
    let Some((_, rest)) = bare.split_once("defmodule Mix.Tasks.") else {
        return false;
    };
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    let parts = rest[..end.unwrap_or(rest.len())].split('.');
    let task: Vec<String> = parts.map(underscored).collect();
    let task = task.join(".");
    let named = |line: &&str| {
        line.split_whitespace()
            .any(|word| word.trim_matches(['"', '\'']) == task)
    };
    !called.iter().any(named)
}

/// `PdfRender` as `pdf_render`.
fn underscored(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// Whether code is in the config of an asset builder, such as `config :esbuild, …`.
fn is_of_asset_builder(before: &str) -> bool {
    let at_start = |at: &usize| before[..*at].ends_with('\n') || *at == 0;
    let last = before
        .rmatch_indices("config :")
        .map(|(at, _)| at)
        .find(at_start);
    last.is_some_and(|at| {
        let rest = &before[at + "config :".len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        BUILD_ASSETS.contains(&&rest[..end.unwrap_or(rest.len())])
    })
}

/// Whether a literal is the name of a program, a command line that begins with one, or a path under `node_modules`.
/// `runs` is whether the file runs programs.
fn is_node_command(literal: &Literal<'_>, bare: &str, runs: bool) -> bool {
    let text = literal.text;
    if literal.kind == Kind::Words {
        // A list that doesn't start with a program isn't a command.
        let begins = shell::commands(text).any(|w| w.first().is_some_and(|word| is_program(word)));
        let mut words = text.split_whitespace();
        return begins || words.any(|word| runs && is_program(word) || is_in_node_modules(word));
    }
    let before = bare[..literal.at].trim_end();
    if !runs && is_key(before, literal.behind) {
        return false;
    }
    if text == "node_modules" || is_program(text) {
        return true;
    }
    let before = before.trim_end_matches('(').trim_end();
    let is_printed = PRINTS.iter().any(|call| before.ends_with(call))
        || before
            .rsplit(|c: char| !(c.is_alphanumeric() || "._".contains(c)))
            .next()
            .is_some_and(|call| call.starts_with("Logger."));
    if is_printed {
        return false;
    }
    let sure = literal.kind == Kind::String;
    is_in_node_modules(text) && (sure || runs)
        || text.lines().flat_map(shell::commands).any(|words| {
            let is_command = words.first().is_some_and(|word| is_program(word));
            is_command && (runs || sure && looks_like_command(&words))
        })
}

/// A key of a map, of a keyword list or of an access: `%{"node" => x}`, `"node": x`, `params["node"]`.
fn is_key(before: &str, behind: &str) -> bool {
    let of_access = before
        .strip_suffix('[')
        .is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || "_])".contains(c)));
    of_access || behind.starts_with(':') || behind.trim_start().starts_with("=>")
}

/// Whether words that start with a program are a command, such as `node ssr.js`, and not a sentence, such as `node
/// #{name} is down`.
fn looks_like_command(words: &[&str]) -> bool {
    const VERBS: [&str; 10] = [
        "add",
        "ci",
        "dlx",
        "exec",
        "install",
        "run",
        "run-script",
        "start",
        "test",
        "x",
    ];
    let (program, next) = (words[0], words.get(1).copied().unwrap_or_default());
    let is_file = [".js", ".mjs", ".cjs", ".ts"]
        .iter()
        .any(|end| next.ends_with(end))
        || next.contains('/');
    let runs_packages = program.ends_with('x') && !next.is_empty();
    next.starts_with('-') || is_file || runs_packages || VERBS.contains(&next)
}

/// Whether a path is `node_modules` or below, such as `assets/node_modules/x`.
fn is_in_node_modules(text: &str) -> bool {
    text.contains("node_modules/") || text.ends_with("/node_modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], lock: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
        let procfile = read("Procfile").map(|text| Procfile::parse(&text));
        let app_json = read("app.json");
        let processes = Processes {
            procfile: procfile.as_ref(),
            app_json: app_json.as_deref(),
        };
        let projects = [".".to_owned(), "apps/web".to_owned()];
        find(dir.path(), &projects, &processes, Some(lock))
    }

    #[track_caller]
    fn runs(path: &str, text: &str, place: &str) {
        assert_eq!(found(&[(path, text)], "").as_deref(), Some(place), "{text}");
    }

    #[track_caller]
    fn runs_not(path: &str, text: &str) {
        assert_eq!(found(&[(path, text)], ""), None, "{text}");
    }

    #[test]
    fn code_that_runs_or_finds_node_needs_it() {
        for code in [
            "System.cmd(\"node\", [\"x.js\"])",
            "System.shell(\"cd assets && node x.js\")",
            ":os.cmd('npx mjml')",
            ":os.cmd(~c\"node -e 1\")",
            "Port.open({:spawn, \"node #{script}\"}, [])",
            "System.find_executable(\"node\") || raise \"node is missing\"",
            "@node \"node\"",
            "@command ~w(npx react-email)",
            "def runtime, do: \"/app/.heroku/node/bin/node\"",
            "Runner.run(\"node ssr.js\")",
            "Runner.run(\"npm run render\")",
            "Runner.run(\"npx mjml\")",
            "@path \"assets/node_modules/.bin/mjml\"",
            "Path.join([assets, \"node_modules\", \"mjml\"])",
            "plug Plug.Static, at: \"/x\", from: \"assets/node_modules/x/dist\"",
            "System.shell(\"\"\"\n  set -e\n  node x.js\n\"\"\")",
            "cmd = \"node #{script}\"\nSystem.shell(cmd)",
            "Enum.find(~w(deno node), &System.find_executable/1)",
            "\"in #{System.cmd(\"node\", [])}\"",
        ] {
            let text = format!("defmodule A do\n  # A comment.\n  {code}\nend\n");
            let found = found(&[("apps/web/lib/a.ex", &text)], "");
            assert!(
                found.is_some_and(|found| found.starts_with("apps/web/lib/a.ex:")),
                "{code}"
            );
        }
        runs("src/a.erl", "a() -> os:cmd(\"node x.js\").", "src/a.erl:1");
        runs(
            "src/a.erl",
            "%% x\na() -> open_port({spawn_executable, \"node\"}, []).",
            "src/a.erl:2",
        );
        runs(
            "config/runtime.exs",
            "config :mails, cmd: ~w(npx react-email)",
            "config/runtime.exs:1",
        );
    }

    #[test]
    fn scripts_and_processes_that_run_node_need_it() {
        runs(
            "rel/overlays/bin/server",
            "#!/bin/sh\nexec /app/.heroku/node/bin/node x.js",
            "rel/overlays/bin/server:2",
        );
        runs(
            "rel/env.sh.eex",
            "export V=$(node --version)",
            "rel/env.sh.eex:1",
        );
        runs("priv/render", "#!/usr/bin/env node\n", "priv/render:1");
        runs(
            "bin/start",
            "#!/usr/bin/env python3\nrun([\"node\", \"x.js\"])",
            "bin/start:2",
        );
        runs(
            "Procfile",
            "web: mix phx.server\nssr: cd assets && node x.js",
            "the Procfile's ssr",
        );
        runs(
            "app.json",
            "{\"scripts\": {\"postdeploy\": \"npm run seed\"}}",
            "app.json's postdeploy",
        );
        runs(
            "app.json",
            "{\"scripts\": {\"postdeploy\": {\"command\": \"npx x\"}}}",
            "app.json's postdeploy",
        );
        let called = [
            ("Procfile", "web: ./scripts/start --all"),
            ("scripts/start", "#!/bin/sh\nnode x.js &\n"),
        ];
        assert_eq!(found(&called, "").as_deref(), Some("scripts/start:2"));
        let task = "defmodule Mix.Tasks.Mails.SendAll do\n  def run(_), do: System.cmd(\"node\", [])\nend\n";
        let task = [
            (
                "Procfile",
                "web: mix phx.server\nworker: mix mails.send_all",
            ),
            ("lib/mix/tasks/mails.ex", task),
        ];
        assert_eq!(
            found(&task, "").as_deref(),
            Some("lib/mix/tasks/mails.ex:2")
        );
        let lock = "%{\n  \"nodejs\": {:hex, :nodejs, \"3.1.0\"},\n}";
        assert_eq!(found(&[], lock).as_deref(), Some("the dependency nodejs"));
    }

    #[test]
    fn comments_docs_and_build_time_code_do_not_need_node() {
        for code in [
            "_ -> {:error, \"node #{inspect(node)} is unreachable\"}",
            "Logger.info(\"node x.js\")",
            "raise \"npm install failed\"",
            "@moduledoc \"\"\"\n  Runs \"node\" and npx x.\n  \"\"\"",
            "@doc \"node x.js\"",
            "# System.cmd(\"node\", [])",
            "def handle_event(_, %{\"node\" => node}, socket), do: node",
            "params[\"node\"]",
            "[\"node\": 1]",
            "~H\"\"\"\n  <p class=\"node\">node</p>\n  \"\"\"",
            "@fields ~w(node edge)a",
            "@topics ~w(html node npm)",
            "Node.self(); node(); :node; \"a node\"; if node?, do: bundle",
            "live \"/node\", NodeLive",
            "?\"; node()",
        ] {
            runs_not("lib/a.ex", &format!("defmodule A do\n  {code}\nend\n"));
        }
        let task = "defmodule Mix.Tasks.Compile.Bundle do\n  def run(_), do: System.cmd(\"npm\", [])\nend\n";
        runs_not("lib/mix/tasks/compile.bundle.ex", task);
        runs_not(
            "config/dev.exs",
            "node: [\"node_modules/webpack/bin/webpack.js\"]",
        );
        runs_not(
            "config/config.exs",
            "config :dart_sass,\n  default: [args: ~w(--load-path=../assets/node_modules x)]",
        );
        runs_not(
            "config/config.exs",
            "env: %{\"NODE_PATH\" => Path.expand(\"../deps\", __DIR__)}",
        );
        runs_not(
            "bin/setup",
            "#!/bin/sh\nmix deps.get\n(cd assets && npm install)\n",
        );
        runs_not("priv/static/a", "#!/usr/bin/env node");
        runs_not("lib/a/page.html.heex", "<p id=\"node\">node x.js</p>");
        runs_not("Procfile", "web: elixir --sname node -S mix phx.server");
    }

    #[test]
    fn config_after_asset_builder_config_is_checked() {
        let text =
            "config :esbuild, args: ~w(a)\nconfig :mails, path: \"assets/node_modules/mjml\"\n";
        runs("config/config.exs", text, "config/config.exs:2");
    }
}

//! Whether an app runs Node.js where it is deployed: then what npm installed has to ship.
//!
//! Nothing says so in one place. These are the places where such an app gives itself away; where in
//! doubt, it does.

use crate::mix_exs::lock_holds;
use crate::procfile::Procfile;
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// Programs that come with Node.js or that it runs.
const PROGRAMS: [&str; 8] = ["node", "npm", "npx", "yarn", "pnpm", "pnpx", "bun", "bunx"];

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

/// Folders of a mix project whose code runs in a dyno, or says how it is started.
const FOLDERS: [&str; 5] = ["lib", "config", "rel", "bin", "src"];
/// Config for other environments than the deployed one: watchers of assets stand there.
const NOT_DEPLOYED: [&str; 2] = ["dev.exs", "test.exs"];
/// More is no source.
const LARGEST: u64 = 1024 * 1024;

/// The first place in the app that speaks of running Node.js. `projects` are folders with a
/// `mix.exs`, relative to the app.
pub(crate) fn find(
    dir: &Path,
    projects: &[String],
    procfile: Option<&Procfile>,
    lock: Option<&str>,
) -> Option<String> {
    let process = procfile.and_then(|procfile| {
        let mut types = procfile.0.iter();
        types.find(|(_, command)| {
            let mut words = command.split(|c: char| c.is_whitespace() || "'\"/;&|()`".contains(c));
            words.any(|word| PROGRAMS.contains(&word))
        })
    });
    if let Some((name, _)) = process {
        return Some(format!("the Procfile's {name}"));
    }
    let lock = lock.unwrap_or_default();
    if let Some(package) = PACKAGES.iter().find(|package| lock_holds(lock, package)) {
        return Some(format!("the dependency {package}"));
    }
    projects.iter().find_map(|project| {
        let folders = FOLDERS.map(|folder| dir.join(project).join(folder));
        folders.iter().find_map(|folder| in_folder(dir, folder))
    })
}

fn in_folder(app: &Path, folder: &Path) -> Option<String> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter();
    files.filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name().to_str()?;
        let size = entry.metadata().ok()?.len();
        if !entry.file_type().is_file() || size > LARGEST || NOT_DEPLOYED.contains(&name) {
            return None;
        }
        let text = fs::read_to_string(entry.path()).ok()?;
        let (line, _) = (1..)
            .zip(text.lines())
            .find(|(_, line)| speaks_of_it(line))?;
        let path = entry.path().strip_prefix(app).ok()?;
        Some(format!("{}:{line}", path.display()))
    })
}

/// `System.cmd("node", …)`, `~w(npx …)`, `"assets/node_modules/…"`: the name of a program in
/// quotes or at the start of a list of words.
fn speaks_of_it(line: &str) -> bool {
    line.contains("node_modules")
        || PROGRAMS.iter().any(|program| {
            line.match_indices(program).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + program.len()..].chars().next();
                match before {
                    Some('"' | '\'' | '/') => matches!(after, Some('"' | '\'' | ' ')),
                    Some('(' | '[') => {
                        line[..at - 1].ends_with("~w") || line[..at - 1].ends_with("~W")
                    }
                    _ => false,
                }
            })
        })
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
        let procfile = fs::read_to_string(dir.path().join("Procfile")).ok();
        let procfile = procfile.map(|text| Procfile::parse(&text));
        let projects = [".".to_owned(), "apps/web".to_owned()];
        find(dir.path(), &projects, procfile.as_ref(), Some(lock))
    }

    #[test]
    fn an_app_that_runs_node_gives_itself_away() {
        for (files, lock, said) in [
            (
                vec![(
                    "apps/web/lib/ssr.ex",
                    "def go,\n  do: System.cmd(\"node\", [\"x.js\"])\n",
                )],
                "",
                "apps/web/lib/ssr.ex:2",
            ),
            (
                vec![("./config/runtime.exs", "cmd: ~w(npx react-email)")],
                "",
                "config/runtime.exs:1",
            ),
            (
                vec![("lib/pdf.ex", "@path \"assets/node_modules/.bin/x\"")],
                "",
                "lib/pdf.ex:1",
            ),
            (
                vec![(
                    "rel/overlays/bin/server",
                    "exec /app/.heroku/node/bin/node ssr.js",
                )],
                "",
                "rel/overlays/bin/server:1",
            ),
            (
                vec![(
                    "Procfile",
                    "web: mix phx.server\nssr: cd assets && node ssr.js\n",
                )],
                "",
                "the Procfile's ssr",
            ),
            (
                vec![],
                "%{\n  \"nodejs\": {:hex, :nodejs, \"3.1.0\"},\n}",
                "the dependency nodejs",
            ),
        ] {
            assert_eq!(found(&files, lock).as_deref(), Some(said));
        }
    }

    #[test]
    fn a_stock_app_runs_none() {
        let files = [
            (
                "config/dev.exs",
                "node: [\"node_modules/webpack/bin/webpack.js\"]",
            ),
            (
                "config/config.exs",
                "env: %{\"NODE_PATH\" => Path.expand(\"../deps\", __DIR__)}",
            ),
            (
                "lib/web.ex",
                "Node.self(); node(); :node; \"a node\"; if node?, do: bundle",
            ),
            ("Procfile", "web: elixir --sname node1 -S mix phx.server"),
        ];
        assert_eq!(found(&files, "%{}"), None);
    }
}

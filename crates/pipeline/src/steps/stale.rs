//! What is compiled, and no longer what a compiler would make of it, in ways that mix does not see:
//! another value of a variable that code reads while it is compiled, and, in dependencies, another
//! value of what they read of the app's config (elixir-lang/elixir#15467).

use crate::context::Context;
use crate::mix_info::STALE_TASK;
use crate::steps::generated;
use crate::steps::git;
use crate::steps::mix;
use crate::steps::state;
use crate::steps::state::LastBuild;
use crate::variables::Variables;
use app::facts::join;
use exec::Action;
use exec::environment::{names_the_commit, tells_builds_apart};
use exec::log::StepLog;
use messages::Error;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use store::json;
use walkdir::WalkDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    App,
    Dependency,
}

/// Code of an app or dependency that a variable may be read in while it is compiled.
const CODE: [&str; 12] = [
    "lib",
    "src",
    "web",
    "c_src",
    "native",
    "config",
    "mix.exs",
    "rebar.config",
    "rebar.config.script",
    "Makefile",
    "Makefile.win",
    "CMakeLists.txt",
];
/// Run when the app starts, and never before.
const NOT_COMPILED: &str = "runtime.exs";
/// In dependencies, the text of what they generate speaks of variables: `mix phx.gen.release` of
/// `PHX_HOST`, which is set between the first deploys, and all of Phoenix depends on its package.
const GENERATORS: &str = "lib/mix/tasks";
/// More is no source.
const LARGEST: u64 = 1024 * 1024;

/// Compiles dependencies anew that mix would take for current; whether the app has to be, too. To be called with dependencies in place and
/// before anything is compiled.
pub(crate) fn renew_stale(
    ctx: &Context<'_>,
    restored: &LastBuild,
    log: &StepLog<'_>,
) -> Result<bool, Error> {
    if !restored.build {
        return Ok(false);
    }
    let mut recompile = false;
    let changed = changed_variables(ctx)?;
    let mut dependencies = BTreeSet::new();
    if !changed.is_empty() {
        for name in entries(&ctx.workspace.real(&ctx.in_app("deps"))) {
            let folder = join(&ctx.plan.app_dir.value, &format!("deps/{name}"));
            if let Some((variable, place)) = reader(ctx, &folder, &changed, Whose::Dependency) {
                log.detail(&format!(
                    "recompiling {name}: {place} reads {variable}, which has changed"
                ));
                dependencies.insert(name);
            }
        }
        let mut projects = ctx.plan.projects.iter();
        if let Some((variable, place)) =
            projects.find_map(|project| reader(ctx, project, &changed, Whose::App))
        {
            log.detail(&format!(
                "recompiling the app: {place} reads {variable}, which has changed"
            ));
            recompile = true;
        }
    }
    if let Some((place, question)) = git::changed_git_answer(ctx) {
        log.detail(&format!(
            "recompiling the app: {place} may depend on `{question}`, whose output has changed"
        ));
        recompile = true;
    }
    let mut task = vec![STALE_TASK];
    task.extend(dependencies.iter().map(String::as_str));
    generated::watch_renewal(ctx, || {
        mix::mix(ctx, Action::Compile, &[&task], "mix deps.compile", log)
    })?;
    Ok(recompile)
}

fn variables(ctx: &Context<'_>) -> Result<Variables, Error> {
    let counts = |name: &str| names_the_commit(name) || !tells_builds_apart(name);
    let env = ctx.workspace.environment.for_commands();
    Ok(ctx.workspace.variables(&env, counts)?)
}

fn variables_note(ctx: &Context<'_>) -> String {
    format!("{}.json", state::kept_as(ctx, "variables"))
}

pub(crate) fn noted_variables(ctx: &Context<'_>) -> Option<Variables> {
    let note = ctx.workspace.store.read_note(&variables_note(ctx))?;
    serde_json::from_str(&note).ok()
}

/// The names of variables that came, went or have another value than in the last build.
pub(crate) fn changed_variables(ctx: &Context<'_>) -> Result<BTreeSet<String>, Error> {
    let Some(then) = noted_variables(ctx) else {
        return Ok(BTreeSet::new());
    };
    let now = variables(ctx)?;
    let names = then.keys().chain(now.keys());
    let changed = names.filter(|name| then.get(*name) != now.get(*name));
    Ok(changed.cloned().collect())
}

pub(crate) fn save_variables(ctx: &Context<'_>) -> Result<(), Error> {
    let note = variables_note(ctx);
    let variables = json::to_string(&variables(ctx)?, &note)?;
    Ok(ctx.workspace.store.write_note(&note, &variables)?)
}

/// The first of the variables that code in a folder of the app speaks of, and where.
fn reader(
    ctx: &Context<'_>,
    folder: &str,
    variables: &BTreeSet<String>,
    whose: Whose,
) -> Option<(String, String)> {
    let app = &ctx.workspace.app;
    code(&app.join(folder), whose).find_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let (line, variable) = mention(&text, variables, whose)?;
        let place = path.strip_prefix(app).ok()?.display();
        Some((variable, format!("{place}:{line}")))
    })
}

/// The files of a project that a variable may be read in while it is compiled.
fn code(project: &Path, whose: Whose) -> impl Iterator<Item = PathBuf> {
    let walks = CODE.iter().flat_map(move |name| {
        let walk = WalkDir::new(project.join(name)).sort_by_file_name();
        let walk = walk.into_iter().filter_entry(move |entry| {
            let generators = whose == Whose::Dependency && entry.path().ends_with(GENERATORS);
            !is_made(entry.path()) && !generators
        });
        walk.filter_map(Result::ok)
    });
    walks
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != NOT_COMPILED)
        .filter(|entry| entry.metadata().is_ok_and(|found| found.len() <= LARGEST))
        .map(walkdir::DirEntry::into_path)
}

/// Whether a tool has made a folder: only beside the file that the tool goes by, since sources may
/// have a folder of that name too.
fn is_made(folder: &Path) -> bool {
    const MADE: [(&str, &str); 4] = [
        ("node_modules", "package.json"),
        ("target", "Cargo.toml"),
        ("deps", "mix.exs"),
        ("_build", "mix.exs"),
    ];
    let is_made = |(name, by): (&str, &str)| {
        folder.file_name() == Some(OsStr::new(name)) && folder.with_file_name(by).exists()
    };
    MADE.into_iter().any(is_made)
}

/// The files of the app that are compiled; mix itself looks after `mix.exs` and config.
pub(crate) fn compiled_code(project: &Path) -> impl Iterator<Item = PathBuf> {
    let kept = project.to_owned();
    code(project, Whose::App).filter(move |path| {
        let config = ["config", "mix.exs"].map(|name| kept.join(name));
        !config.iter().any(|config| path.starts_with(config))
    })
}

/// The line, from 1, and name of the first variable that a text speaks of. The app's code that asks
/// for variables whose names it makes up may ask for any; were the commit one of them, it would be
/// compiled again with every push.
fn mention(text: &str, variables: &BTreeSet<String>, whose: Whose) -> Option<(u32, String)> {
    (1..).zip(text.lines()).find_map(|(number, line)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = line
            .split(|c: char| !is_name(c))
            .find(|word| variables.contains(*word));
        let any = || {
            let asks = [
                "System.get_env(",
                "System.fetch_env!(",
                "System.fetch_env(",
                "os:getenv(",
            ];
            let asked = asks.iter().find_map(|ask| line.split_once(ask));
            let name = asked.map(|(_, rest)| rest.trim_start());
            let made_up = name.is_some_and(|name| !name.starts_with('"'));
            let mut any = variables.iter().map(String::as_str);
            let may_be_any = whose == Whose::App && made_up;
            may_be_any.then(|| any.find(|name| !names_the_commit(name)))?
        };
        named.or_else(any).map(|name| (number, name.to_owned()))
    })
}

fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_where_its_whole_name_stands_or_a_name_is_made_up() {
        let commit = BTreeSet::from(["SOURCE_VERSION".to_owned()]);
        assert_eq!(mention("System.get_env()", &commit, Whose::App), None);
        let names = ["API_URL", "PATHS", "SOURCE_VERSION"];
        let variables = BTreeSet::from(names.map(str::to_owned));
        for (text, whose, found) in [
            (
                "a\n@url System.get_env(\"API_URL\")",
                Whose::Dependency,
                Some((2, "API_URL")),
            ),
            ("$(PATHS)", Whose::Dependency, Some((1, "PATHS"))),
            ("System.get_env(\"API_URL_2\")", Whose::App, None),
            (
                "System.get_env(prefix <> \"X\")",
                Whose::App,
                Some((1, "API_URL")),
            ),
            (
                "System.get_env() |> Map.new()",
                Whose::App,
                Some((1, "API_URL")),
            ),
            (
                "System.fetch_env!(\"SOURCE_VERSION\")",
                Whose::Dependency,
                Some((1, "SOURCE_VERSION")),
            ),
            ("System.get_env() |> Map.new()", Whose::Dependency, None),
            ("System.get_env(\"OTHER\")", Whose::App, None),
        ] {
            let found = found.map(|(line, name): (u32, &str)| (line, name.to_owned()));
            assert_eq!(mention(text, &variables, whose), found, "{text}");
        }
    }

    #[test]
    fn code_is_neither_what_tools_have_made_nor_a_generator_of_a_dependency() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "lib/a.ex",
            "lib/mix/tasks/gen.ex",
            "config/runtime.exs",
            "native/x/Cargo.toml",
            "native/x/target/made.rs",
            "native/x/node_modules/b.js",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let files = |whose| -> Vec<PathBuf> {
            let files = code(dir.path(), whose);
            let files = files.map(|path| path.strip_prefix(dir.path()).unwrap().to_owned());
            files.collect()
        };
        let tasks = "lib/mix/tasks/gen.ex";
        let native = ["native/x/Cargo.toml", "native/x/node_modules/b.js"];
        let others = native.map(Path::new);
        let of_app = ["lib/a.ex", tasks].map(Path::new);
        assert_eq!(files(Whose::Dependency), [&of_app[..1], &others].concat());
        assert_eq!(files(Whose::App), [&of_app[..], &others].concat());
    }
}

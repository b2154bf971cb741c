//! Stale compiled code that mix considers current: code that reads an environment variable at compile time, if the
//! variable has changed; dependencies that read changed values of the app's config (elixir-lang/elixir#15467); and
//! an app whose unchanged `mix.exs` evaluates to another project.

use crate::compiled_code::{self, CodeOwner};
use crate::context::Context;
use crate::mix_info::{MixInfo, STALE_DEPENDENCIES_TASK};
use crate::project::LastBuild;
use crate::steps::{app_variables, compile_time_files, generated_files, git, keys, mix_command};
use app::facts::join;
use exec::Action;
use exec::environment::is_commit_variable;
use exec::log::StepLog;
use messages::Error;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use store::tree::{self, TreeError};
use workdir::variables::Salted;

/// Returns the dependencies that read a changed variable. To be called before dependencies are fetched:
/// the cached copies of these are dropped, since compiling them may have left files next to their sources
/// that `make` takes for current.
pub(crate) fn readers_of_changed_variables(
    ctx: &Context<'_>,
    restored: &LastBuild,
    log: &StepLog<'_>,
) -> Result<BTreeSet<String>, Error> {
    let mut readers = BTreeSet::new();
    let changed = app_variables::changed_variables(ctx)?;
    if changed.is_empty() {
        return Ok(readers);
    }
    let deps = ctx.workspace.real(&ctx.in_app("deps"));
    for name in entries(&deps) {
        let folder = join(&ctx.plan.app_dir.value, &format!("deps/{name}"));
        let Some((variable, place)) = reader(ctx, &folder, &changed, CodeOwner::Dependency) else {
            continue;
        };
        log.detail(&format!(
            "recompiling {name}: {place} reads {variable}, which has changed"
        ));
        if restored.deps {
            tree::remove(&deps.join(&name))?;
        }
        readers.insert(name);
    }
    Ok(readers)
}

/// Recompiles stale dependencies, and those with these names. Returns whether the app has to be recompiled
/// too. To be called when dependencies are in place, before anything is compiled.
pub(crate) fn recompile_stale(
    ctx: &Context<'_>,
    restored: &LastBuild,
    dependencies: &BTreeSet<String>,
    log: &StepLog<'_>,
) -> Result<bool, Error> {
    if !restored.build {
        return Ok(false);
    }
    let mut recompile = false;
    let changed = app_variables::changed_variables(ctx)?;
    if !changed.is_empty() {
        let mut projects = ctx.plan.projects.iter();
        if let Some((variable, place)) =
            projects.find_map(|project| reader(ctx, project, &changed, CodeOwner::App))
        {
            let why = format!("{place} reads {variable}, which has changed");
            log.detail(&format!("recompiling the app: {why}"));
            ctx.compilation.state().reasons.push(why);
            recompile = true;
        }
    }
    if let Some((place, question)) = git::changed_git_answer(ctx) {
        let why = format!("{place} may depend on `{question}`, whose output has changed");
        log.detail(&format!("recompiling the app: {why}"));
        ctx.compilation.state().reasons.push(why);
        recompile = true;
    }
    if let Some(why) = compile_time_files::changed_file(ctx)? {
        log.detail(&format!("recompiling the app: {why}"));
        ctx.compilation.state().reasons.push(why);
        recompile = true;
    }
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let projects = scratch.path().join("projects");
    let last = ctx.workspace.store.read_note(&projects_note(ctx));
    fs::write(&projects, last.unwrap_or_default()).map_err(TreeError::at(&projects, "write"))?;
    let written = projects.to_string_lossy();
    let salted = Salted::of(ctx.workspace.store)?;
    let mut task = vec![STALE_DEPENDENCIES_TASK, &written, salted.salt()];
    task.extend(dependencies.iter().map(String::as_str));
    generated_files::watch_deps_compile(ctx, || {
        mix_command::mix(ctx, Action::Compile, &[&task], "mix deps.compile", log)
    })?;
    let changed = fs::read_to_string(&projects).map_err(TreeError::at(&projects, "read"))?;
    if let Some(file) = changed.lines().next() {
        let why = format!("{file} evaluates to another project than in the last build");
        log.detail(&format!("recompiling the app: {why}"));
        ctx.compilation.state().reasons.push(why);
        recompile = true;
    }
    Ok(recompile)
}

/// Saves the digests of the projects for the next build.
pub(crate) fn save_projects(ctx: &Context<'_>, info: &MixInfo) -> Result<(), Error> {
    let projects = info.projects.join("\n");
    Ok(ctx
        .workspace
        .store
        .write_note(&projects_note(ctx), &projects)?)
}

fn projects_note(ctx: &Context<'_>) -> String {
    keys::entry_name(ctx, "projects")
}

/// Returns the first of the variables that code in a directory of the app mentions, and the place.
fn reader(
    ctx: &Context<'_>,
    folder: &str,
    variables: &BTreeSet<String>,
    owner: CodeOwner,
) -> Option<(String, String)> {
    let app = &ctx.workspace.app;
    compiled_code::code(&app.join(folder), owner).find_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let (line, variable) = mention(&text, variables, owner)?;
        let place = path.strip_prefix(app).ok()?.display();
        Some((variable, format!("{place}:{line}")))
    })
}

/// Returns the line, from 1, and the name of the first variable that a text mentions. Code of the app that computes
/// names of variables may read any of them, except the commit: otherwise such code would be recompiled with every
/// push.
fn mention(text: &str, variables: &BTreeSet<String>, owner: CodeOwner) -> Option<(u32, String)> {
    (1..).zip(text.lines()).find_map(|(number, line)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = line
            .split(|c: char| !is_name(c))
            .find(|word| variables.contains(*word));
        let any = || {
            let calls = [
                "System.get_env(",
                "System.fetch_env!(",
                "System.fetch_env(",
                "os:getenv(",
            ];
            let call = calls.iter().find_map(|call| line.split_once(call));
            let name = call.map(|(_, rest)| rest.trim_start());
            let made_up = name.is_some_and(|name| !name.starts_with('"'));
            let mut any = variables.iter().map(String::as_str);
            let may_be_any = owner == CodeOwner::App && made_up;
            may_be_any.then(|| any.find(|name| !is_commit_variable(name)))?
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
    use std::path::PathBuf;

    #[test]
    fn variable_use_needs_whole_or_computed_name() {
        let commit = BTreeSet::from(["SOURCE_VERSION".to_owned()]);
        assert_eq!(mention("System.get_env()", &commit, CodeOwner::App), None);
        let names = ["API_URL", "PATHS", "SOURCE_VERSION"];
        let variables = BTreeSet::from(names.map(str::to_owned));
        for (text, owner, found) in [
            (
                "a\n@url System.get_env(\"API_URL\")",
                CodeOwner::Dependency,
                Some((2, "API_URL")),
            ),
            ("$(PATHS)", CodeOwner::Dependency, Some((1, "PATHS"))),
            ("System.get_env(\"API_URL_2\")", CodeOwner::App, None),
            (
                "System.get_env(prefix <> \"X\")",
                CodeOwner::App,
                Some((1, "API_URL")),
            ),
            (
                "System.get_env() |> Map.new()",
                CodeOwner::App,
                Some((1, "API_URL")),
            ),
            (
                "System.fetch_env!(\"SOURCE_VERSION\")",
                CodeOwner::Dependency,
                Some((1, "SOURCE_VERSION")),
            ),
            ("System.get_env() |> Map.new()", CodeOwner::Dependency, None),
            ("System.get_env(\"OTHER\")", CodeOwner::App, None),
        ] {
            let found = found.map(|(line, name): (u32, &str)| (line, name.to_owned()));
            assert_eq!(mention(text, &variables, owner), found, "{text}");
        }
    }

    #[test]
    fn scanned_code_excludes_tool_output_and_dependency_generators() {
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
        let files = |owner| -> Vec<PathBuf> {
            let files = compiled_code::code(dir.path(), owner);
            let files = files.map(|path| path.strip_prefix(dir.path()).unwrap().to_owned());
            files.collect()
        };
        let tasks = "lib/mix/tasks/gen.ex";
        let native = ["native/x/Cargo.toml", "native/x/node_modules/b.js"];
        let others = native.map(Path::new);
        let of_app = ["lib/a.ex", tasks].map(Path::new);
        assert_eq!(
            files(CodeOwner::Dependency),
            [&of_app[..1], &others].concat()
        );
        assert_eq!(files(CodeOwner::App), [&of_app[..], &others].concat());
    }
}

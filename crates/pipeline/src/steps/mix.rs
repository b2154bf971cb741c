//! Fetches dependencies, compiles the app and digests static files with mix.

use crate::compilation::Scope;
use crate::context::Context;
use crate::mix_info::{EXECUTABLES_TASK, MixInfo, TASK};
use crate::project::{AssetFiles, BuiltAssets, Dependencies, LastBuild, Project};
use crate::steps::{
    cached_assets, compile_install_barrier, compile_time_files, deps_fingerprint, digested_files,
    executables, from_scratch, generated_files, git, keys, mix_command, parallel_compile, release,
    run_hook, stale_dependencies, try_start,
};
use app::facts::{hex_metadata, join};
use app::{Origin, text_file};
use exec::Action;
use exec::command::Tool;
use exec::credentials::{CREDENTIALS_TASK, Credentials};
use exec::log::{StepLog, seconds};
use messages::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};
use store::tree::TreeError;
use workdir::app_tree::Entries;
use workdir::variables::Salted;

pub(crate) fn deps(ctx: &Context<'_>, restored: &LastBuild) -> Result<Dependencies, Error> {
    let log = ctx.log.step("Fetching dependencies");
    let mut args = vec!["deps.get"];
    // Tests may use development dependencies, such as credo and dialyxir.
    if ctx.workspace.environment.tests_only().is_none() {
        args.extend(["--only", ctx.plan.mix_env.value.as_str()]);
    }
    if ctx.plan.check_locked {
        args.push("--check-locked");
    }
    let credentials = Credentials::of(&ctx.workspace.environment);
    for warning in credentials.warnings() {
        log.warning(warning);
    }
    let shown = format!("mix {}", args.join(" "));
    let readers = stale_dependencies::readers_of_changed_variables(ctx, restored, &log)?;
    let up_to_date = deps_fingerprint::up_to_date_reason(ctx, restored, (&args, &shown), &log)?;
    let mut touched = None;
    if let Some(why) = up_to_date {
        log.detail(&format!("not needed: {why}"));
    } else {
        log.detail(&format!("$ {shown}"));
        let before = keys::entries(ctx)?;
        get_deps(ctx, &args, &shown, &credentials, &log)?;
        touched = generated_files::path_changed_by_deps_get(ctx, &before)?;
    }
    ctx.path
        .open_dependencies(&with_own_command(ctx), copies_ebin(ctx))?;
    if let Some(path) = touched {
        let path = path.display();
        log.detail(&format!(
            "runs in every build because it creates or changes {path}"
        ));
        deps_fingerprint::clear_fingerprint(ctx);
    } else if up_to_date.is_none() {
        deps_fingerprint::save_fingerprint(ctx, &args, &shown, &log)?;
    }
    let recompile = stale_dependencies::recompile_stale(ctx, restored, &readers, &log)?;
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    // Ends the block of this step in the log.
    drop(log);
    if ctx.plan.hooks.hook_pre_compile.is_none() {
        generated_files::before_compile(ctx, restored)?;
    }
    Ok(Dependencies {
        elixir_requirements: elixir_requirements(ctx),
        recompile,
        fetched: up_to_date.is_none(),
    })
}

/// Returns the Elixir requirements of packages. The next plan uses them to suggest another version.
fn elixir_requirements(ctx: &Context<'_>) -> BTreeMap<String, String> {
    let packages = std::fs::read_dir(ctx.workspace.real(&ctx.in_app("deps")));
    let packages = packages.into_iter().flatten().filter_map(Result::ok);
    packages
        .filter_map(|package| {
            let metadata = text_file::read(&package.path().join("hex_metadata.config")).ok()?;
            hex_metadata::elixir_requirement(&metadata)
        })
        .collect()
}

/// Returns the dependencies that have their own compile command.
fn with_own_command(ctx: &Context<'_>) -> BTreeSet<String> {
    let files = ctx
        .plan
        .projects
        .iter()
        .map(|project| join(project, "mix.exs"));
    let texts =
        files.filter_map(|file| text_file::read(&ctx.workspace.real(Path::new(&file))).ok());
    texts.flat_map(|text| commands_in(&text)).collect()
}

/// Returns the names of dependencies with a compile command, `{:ranch, "~> 2.0", compile: "make"}`, in a `mix.exs`.
fn commands_in(mix_exs: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for (at, key) in mix_exs.match_indices("compile:") {
        if mix_exs[at + key.len()..].trim_start().starts_with("false") {
            continue;
        }
        let name = mix_exs[..at].rsplit("{:").next().unwrap_or_default();
        names.extend(name.split(|c| !is_name(c)).next().map(str::to_owned));
    }
    names
}

/// Returns whether mix copies the `ebin` of a package that rebar3 compiles, and doesn't link it: since Elixir 1.15
/// (`do_rebar3` in lib/mix/lib/mix/tasks/deps.compile.ex).
fn copies_ebin(ctx: &Context<'_>) -> bool {
    let version = ctx.plan.elixir.build.version.as_ref();
    version.is_none_or(|version| version.is_at_least_minor(15))
}

fn get_deps(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    credentials: &Credentials,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    if !credentials.need_environment() {
        return mix_command::mix(ctx, Action::Deps, &[args], shown, log);
    }
    // The waiting VM has read deps before the change.
    ctx.end_session();
    let temporary = credentials.write_files(&ctx.env)?;
    let script = temporary.script.as_deref().map(Path::to_string_lossy);
    let mut tool = match &script {
        None => Tool::new("mix", args, &ctx.app_dir, &temporary.env),
        Some(script) => {
            let args = [&["-r", script, "-S", "mix", CREDENTIALS_TASK], args].concat();
            Tool::new("elixir", &args, &ctx.app_dir, &temporary.env)
        }
    };
    shown.clone_into(&mut tool.shown);
    ctx.run_tool(Action::Deps, &tool, log)
}

/// Compiles the app, removes unused dependencies, and queries mix for information about the project. One VM does all
/// three, since starting another would take longer than the last two.
pub(crate) fn compile(
    ctx: &Context<'_>,
    restored: &LastBuild,
    deps: &Dependencies,
) -> Result<Project, Error> {
    let turn = generated_files::turn(ctx);
    let before = keys::entries(ctx)?;
    let many = deps.fetched || !restored.build;
    let (mut log, mut after, mut project) = run_compiler(ctx, &before, deps, many)?;
    if generated_files::must_compile_everything(ctx, &before, &after, &log)? {
        drop(log);
        (log, after, project) = run_compiler(ctx, &before, deps, true)?;
    }
    if try_start::try_start(ctx, &project, &log)? {
        after = keys::entries(ctx)?;
    }
    drop(turn);
    // Ends the block of this step in the log.
    drop(log);
    ctx.path.make_links_relative()?;
    for overlay in &project.info.overlays {
        // mix doesn't follow a link to an overlay (`copy_overlays/1` of lib/mix/lib/mix/tasks/release.ex). A hook may
        // run `mix release` too.
        ctx.path.copy(&ctx.in_app(overlay))?;
    }
    executables::save_executables(ctx)?;
    compile_install_barrier::compiled(ctx, &before, (after, project.clone()), restored)?;
    Ok(project)
}

/// Compiles once. `before` has the app's files before compilation; returns the files after it. `many` says that many
/// dependencies may have to be compiled.
fn run_compiler<'a>(
    ctx: &'a Context<'_>,
    before: &Entries,
    deps: &Dependencies,
    many: bool,
) -> Result<(StepLog<'a>, Entries, Project), Error> {
    let started = SystemTime::now();
    if deps.recompile && ctx.compilation.state().from_scratch.is_none() {
        // A hook's `mix compile` has no `--force`, and an alias passes it to its last task only.
        from_scratch::remove_compiled(ctx, Scope::App)?;
    }
    if ctx.plan.hooks.hook_compile.is_some() {
        run_hook::hook(ctx, "hook_compile", ctx.plan.hooks.hook_compile.as_ref())?;
        compile_time_files::untraced(ctx);
        let log = ctx.log.step("Inspecting the project");
        let project = query_mix(ctx, &log, Action::ProjectInfo, &[])?;
        update_path_deps(ctx, &project.info, &log, started)?;
        let after = compile_new_code(ctx, &log, before)?;
        return Ok((log, after, project));
    }
    let log = ctx.log.step("Compiling");
    let compile: &[&str] = if deps.recompile {
        &["compile", "--force"]
    } else {
        &["compile"]
    };
    log.detail(&format!("$ mix {}", compile.join(" ")));
    let mut tasks = vec![compile];
    if many && parallel_compile::compile_dependencies(ctx, &log)? {
        // `mix deps.compile` does the same after it has compiled a dependency (`Mix.Tasks.Deps.Compile`).
        tasks.insert(0, &["will_recompile"]);
    }
    let project = query_mix(ctx, &log, Action::Compile, &tasks)?;
    update_path_deps(ctx, &project.info, &log, started)?;
    let after = compile_new_code(ctx, &log, before)?;
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok((log, after, project))
}

/// Recompiles the users of path dependencies, if the next mix command would. Mix touches `compile.lock` after it
/// has compiled other dependencies, and path dependencies depend on that file (`will_recompile` and
/// `Mix.ProjectStack.config_files/0`). Otherwise, the dyno would recompile when it starts.
fn update_path_deps(
    ctx: &Context<'_>,
    info: &MixInfo,
    log: &StepLog<'_>,
    started: SystemTime,
) -> Result<(), Error> {
    let Some(app) = info.app.as_ref().filter(|_| !info.path_deps.is_empty()) else {
        return Ok(());
    };
    let manifests = format!("_build/{}/lib/{app}/.mix", ctx.plan.mix_env.value);
    let lock = ctx.in_app(&manifests).join("compile.lock");
    let touched = ctx.workspace.real(&lock).metadata();
    // Mix compares whole seconds.
    let touched = touched
        .and_then(|found| found.modified())
        .is_ok_and(|time| time + Duration::from_secs(1) > started);
    if touched {
        log.detail(&format!(
            "compiling the users of {} again because other dependencies changed:",
            info.path_deps.join(", ")
        ));
        log.detail("$ mix compile");
        mix_command::mix(ctx, Action::Compile, &[&["compile"]], "mix compile", log)?;
    }
    Ok(())
}

/// Compiles source files that compilation generated after mix had listed the files. Otherwise, the dyno would compile
/// them when it starts.
fn compile_new_code(
    ctx: &Context<'_>,
    log: &StepLog<'_>,
    before: &Entries,
) -> Result<Entries, Error> {
    ctx.path.replace_copied_links()?;
    let mut now = keys::entries(ctx)?;
    let mut path = generated_files::new_code(ctx, before, &now);
    // Some code generates new code in every compilation.
    for _ in 0..3 {
        let Some(new) = path else {
            break;
        };
        let new = new.display();
        log.detail(&format!(
            "compiling again because compilation generated {new}:"
        ));
        log.detail("$ mix compile");
        mix_command::mix(ctx, Action::Compile, &[&["compile"]], "mix compile", log)?;
        let then = std::mem::replace(&mut now, keys::entries(ctx)?);
        path = generated_files::new_code(ctx, &then, &now);
    }
    Ok(now)
}

fn query_mix(
    ctx: &Context<'_>,
    log: &StepLog<'_>,
    action: Action,
    compile: &[&[&str]],
) -> Result<Project, Error> {
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let written = scratch.path().join("answers");
    let path = written.to_string_lossy();
    let salted = Salted::of(ctx.workspace.store)?;
    let query = [TASK, &path, salted.salt()];
    let mut tasks: Vec<&[&str]> = compile.to_vec();
    tasks.push(&query);
    if ctx.plan.removes_executables {
        tasks.push(&[EXECUTABLES_TASK]);
    }
    tasks.push(&["deps.clean", "--unused"]);
    let shown = compile
        .last()
        .map_or("deps.clean --unused".to_owned(), |task| task.join(" "));
    mix_command::mix(ctx, action, &tasks, &format!("mix {shown}"), log)?;
    git::report_git_answers(ctx, log);
    let info = MixInfo::read(&written).map_err(TreeError::at(&written, "read"))?;
    resolve(ctx, log, info)
}

/// Replaces guesses of the plan with information from mix.
fn resolve(ctx: &Context<'_>, log: &StepLog<'_>, info: MixInfo) -> Result<Project, Error> {
    let server = format!("{}.server", info.phoenix_ex(&ctx.plan.phoenix_ex));
    let mut project = Project {
        phoenix: info.has_task(&server),
        info,
        ..Project::default()
    };
    let info = &project.info;
    if ctx.plan.release && release::uses_distillery(ctx, info) {
        return Ok(project);
    }
    let name = info.release().filter(|_| ctx.plan.release);
    if ctx.plan.release && name.is_none() {
        if ctx.plan.release_why.is_none() {
            return Err(Error::WhichRelease {
                names: info.releases.iter().map(|r| r.name.clone()).collect(),
                origin: Origin::file(join(&ctx.plan.app_dir.value, "mix.exs"), 0),
            });
        }
        log.detail("no release: mix.exs defines none");
    }
    if let Some(name) = name {
        project.release = Some(release::plan_release(ctx, name, info, log));
        return Ok(project);
    }
    let command = if project.phoenix {
        format!("mix {server}")
    } else {
        "mix run --no-halt".to_owned()
    };
    project.web = Some(mix_command::web(ctx, &project, &command, log));
    Ok(project)
}

/// Digests static files that no hook or script has digested, and removes old digests of earlier deploys, in one VM.
pub(crate) fn digest(
    ctx: &Context<'_>,
    project: &Project,
    built: BuiltAssets,
) -> Result<AssetFiles, Error> {
    if matches!(built, BuiltAssets::Restored) {
        return Ok(AssetFiles::NotBuilt);
    }
    digest_static_files(ctx, &project.info)?;
    cached_assets::copy_assets(ctx, built)
}

fn digest_static_files(ctx: &Context<'_>, info: &MixInfo) -> Result<(), Error> {
    let digest = format!("{}.digest", mix_command::phoenix_ex(ctx, info));
    let clean = digested_files::clean_task(ctx, info);
    let has_files = |dir: &&str| {
        let folder = Path::new(dir).join("priv/static");
        ctx.workspace.real(&folder).is_dir()
    };
    let assets = &ctx.plan.assets;
    let (digested, undigested): (Vec<&str>, Vec<&str>) = assets
        .iter()
        .map(|assets| assets.phoenix_dir.as_str())
        .filter(has_files)
        .partition(|dir| digested_files::digested(ctx, dir));
    if info.has_task(&digest) && !undigested.is_empty() {
        let tasks = match &clean {
            Some(clean) => vec![digest.as_str(), clean],
            None => vec![digest.as_str()],
        };
        // In the root of an umbrella, one VM runs the task for all children.
        let folders = if ctx.plan.umbrella && undigested.len() == assets.len() {
            vec![ctx.plan.app_dir.value.as_str()]
        } else {
            undigested
        };
        static_files(ctx, "Digesting static files", &tasks, &folders)?;
    }
    let with_old: Vec<&str> = digested
        .into_iter()
        .filter(|dir| digested_files::has_old(ctx, dir))
        .collect();
    match &clean {
        Some(clean) if !with_old.is_empty() => {
            static_files(ctx, "Removing old static files", &[clean], &with_old)
        }
        _ => Ok(()),
    }
}

fn static_files(
    ctx: &Context<'_>,
    header: &'static str,
    tasks: &[&str],
    folders: &[&str],
) -> Result<(), Error> {
    let log = ctx.log.step(header);
    for folder in folders {
        mix_command::mix_in(ctx, Action::Digest, tasks, folder, &log)?;
    }
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_that_is_not_compiled_has_no_command() {
        let mix_exs = r#"[
            {:ranch, "~> 2.0", compile: "make"},
            {:heroicons, github: "tailwindlabs/heroicons", app: false, compile: false, depth: 1},
            {:jason, "~> 1.0"}
        ]"#;
        let names: Vec<String> = commands_in(mix_exs).into_iter().collect();
        assert_eq!(names, ["ranch"]);
    }
}

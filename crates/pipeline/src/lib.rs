//! A build, from the first step to the last. `build`, which [`run`] calls, is the only function that knows the order of
//! the steps.
//!
//! This crate is independent of the platform: a front end passes the directories, the log and the environment in a
//! [`Request`].

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod advisories;
mod boot_check;
mod changes;
mod command_env;
mod compilation;
mod compiled_code;
mod component;
mod console;
mod context;
mod dependencies;
mod downloads;
mod erlang_compiler;
mod fetched;
pub mod git;
mod machine;
mod mix_info;
mod mix_session;
mod old_caches;
mod open_telemetry;
pub mod profile;
mod project;
mod provenance;
pub mod report;
mod request;
mod sbom;
mod schedule;
mod shared_dependencies;
mod steps;
mod summary;
pub mod timeline;

pub use request::{Built, Request};

use advisories::Check;
use app::Plan;
use app::facts::join;
use app::plan::StepName::{
    Assets, Compile, Deps, Digest, Elixir, Erlang, Hex, HookPostCompile, HookPreCompile,
    HookPreFetchDependencies, Javascript, Node, PostCompile, PreCompile, Profile, Release, Restore,
    Save, Slim,
};
use boot_check::BootCheck;
use changes::{Facts, Sizes};
use context::Context;
use exec::cancel::Cancel;
use exec::credentials::Credentials;
use exec::environment::Environment;
use exec::log::Log;
use exec::progress::DownloadProgress;
use exec::secrets;
use fetch::{Client, Settings};
use messages::Error;
use planning::record::Record;
use project::Project;
use schedule::Schedule;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, thread};
use steps::generated_files::generated_paths;
use steps::keys::Otp;
use steps::launch::{self, Started};
use steps::{executables, hooks, javascript, mix, mix_command, release, slim, state, tools};
use store::Store;
use store::tree::{self, TreeError};
use summary::{summarise, warn_of_missing_files};
use timeline::Timings;
use toolchain::{Hosts, beam_files};
use workdir::bounds::Bounds;
use workdir::hidden_directories::HiddenDirectories;
use workdir::stable_path::StablePath;
use workdir::workspace::Workspace;

/// Builds the app, and draws the timeline if the request asks for one.
///
/// # Errors
///
/// The first failure of a step, which the caller has to report. [`Error::Cancelled`] if a signal interrupted the build.
pub fn run(mut request: Request<'_>) -> Result<Built, Error> {
    let (log, cancel) = (request.log, request.cancel);
    let picture = request.timeline.take();
    let mut timings = Timings::default();
    let result = build(&request, &mut timings)
        // An interrupted step may report another error.
        .map_err(|error| cancel.signal().map_or(error, |_| Error::Cancelled));
    if let Some(path) = picture {
        write_timeline(&path, &timings, result.as_ref().err(), log);
    }
    result
}

/// Draws the timeline, or appends spans to a `.jsonl` file. A failure is only a warning.
fn write_timeline(path: &Path, timings: &Timings, failure: Option<&Error>, log: &Log) {
    let is_spans = path
        .extension()
        .is_some_and(|extension| extension == "jsonl");
    let written = if is_spans {
        open_telemetry::append(path, timings, failure.is_some())
    } else {
        timeline::draw(path, timings, failure)
    };
    if let Err(error) = written {
        let path = path.display();
        log.warning(&[format!("Cannot write the timeline to {path}: {error}")]);
    }
}

/// Plans and runs the build. Records the steps in `timings`, even if the build fails. [`Schedule`] skips steps that
/// aren't in the plan.
fn build(request: &Request<'_>, timings: &mut Timings) -> Result<Built, Error> {
    let (log, cancel) = (request.log, request.cancel);
    let (report, store) = (request.report, request.store);

    // Read the app, fetch the version lists, and decide on a plan.
    let hosts = Hosts::new(&|name| request.environment.get(name));
    hide_secrets(log, &request.environment, &hosts);
    let client = client(cancel);
    let plan = decide(request, &client, &hosts)?;
    clear_cache_if_requested(&plan, store, log)?;

    // Compile at the path where the app will run.
    let workspace = workspace(request)?;
    let bounds = bounds(&plan, &workspace);
    bounds.check()?;
    let path = enter_runtime_path(&plan, &workspace, log, cancel)?;
    let hidden = HiddenDirectories::hide(&workspace.app, &workspace.places.top_folders())?;
    let hosts = (&client, &hosts);
    let context = Context::new(request, hosts, (&plan, &workspace), (&path, bounds))?;
    let ctx = &context;
    timings.began = Some(SystemTime::now());
    let schedule = Schedule::new(&plan.steps, cancel, report, &context.bounds);
    let result = thread::scope(|scope| {
        // Toolchains install in parallel, and the cache is restored meanwhile.
        let mut erlang = schedule.spawn(scope, Erlang, || tools::erlang(ctx));
        let mut elixir = schedule.spawn(scope, Elixir, || tools::elixir(ctx));
        let mut node = schedule.spawn(scope, Node, || tools::node(ctx));
        // Hex depends on the Elixir version, which for a branch is only known after installation.
        let mut hex = (!plan.has_branch()).then(|| schedule.spawn(scope, Hex, || tools::hex(ctx)));
        // _build may be invalid with a new OTP, and a pre_compile hook may change the app.
        let restore_early = !plan.otp_changes() && plan.hooks.pre_compile.is_none();
        let mut restore = restore_early
            .then(|| schedule.spawn(scope, Restore, || state::restore(ctx, Otp::AsPlanned)));
        erlang.join()?;
        elixir.join()?;
        if restore_early {
            mix_command::start_vm(ctx);
        }
        let installers = match &mut hex {
            Some(hex) => hex.join()?,
            None => schedule.run(Hex, || tools::hex(ctx))?,
        };

        // Hooks run alone, with all toolchains installed.
        if plan.hooks.pre_compile.is_some() {
            node.join()?;
        }
        schedule.run(PreCompile, || hooks::pre_compile(ctx))?;
        let last = match &mut restore {
            Some(restore) => restore.join()?,
            None => schedule.run(Restore, || state::restore(ctx, Otp::Installed))?,
        };

        // Fetching dependencies doesn't need Node, which may still be installing.
        if plan.hooks.hook_pre_fetch_dependencies.is_some() {
            node.join()?;
        }
        schedule.run(HookPreFetchDependencies, || {
            hooks::hook_pre_fetch_dependencies(ctx)
        })?;
        let deps = schedule.run(Deps, || mix::deps(ctx, &last))?;
        let advisories = Check::begin(ctx, &installers, &deps);
        if plan.hooks.hook_pre_compile.is_some() {
            node.join()?;
        }
        schedule.run(HookPreCompile, || hooks::hook_pre_compile(ctx, &last))?;

        // JavaScript packages install in parallel with mix, but after the dependencies: package.json may
        // require file:../deps/phoenix.
        let restored = Arc::clone(&last);
        let mut javascript = schedule.spawn_after(scope, node, Javascript, move |managers| {
            javascript::install(ctx, &restored, managers)
        });
        if plan.hooks.hook_compile.is_some() {
            javascript.join()?;
        }
        let mut project = schedule.run(Compile, || mix::compile(ctx, &last, &deps))?;
        let (managers, ()) = javascript.join()?;
        schedule.run(HookPostCompile, || hooks::hook_post_compile(ctx))?;

        let built = schedule.run(Assets, || {
            javascript::assets(ctx, &last, &project, &managers)
        })?;
        let assets = schedule.run(Digest, || mix::digest(ctx, &project, built))?;
        project.release = schedule.run(Release, || release::assemble(ctx, &project))?;

        let record = project.record(&plan, [installers, managers], &deps);
        let start = schedule.run(Profile, || launch::profile(ctx, &project, &record))?;
        schedule.run(Save, || state::save(ctx, &last, &project, &assets))?;
        schedule.run(PostCompile, || hooks::post_compile(ctx))?;
        schedule.run(Slim, || slim::slim(ctx, &project))?;
        Ok((project, record, start, advisories))
    });
    ctx.end_session();
    let (steps, result) = schedule.end(result);
    timings.steps = steps;
    timings.reused = report.reused_steps();
    let result = result.and_then(|(project, record, start, advisories)| {
        advisories.report(ctx, &project.info.ignored);
        built(ctx, project, record, start)
    });

    // After a failure too: remove the links at the runtime path, and move new files into the app.
    drop(context);
    drop(hidden);
    let left = path.leave();
    let built = result?;
    left?;
    let tests_only = request.environment.tests_only().is_some();
    old_caches::reclaim(&plan, tests_only, store, log);
    let boot = BootCheck::new(request, &plan, &workspace, &built);
    let warn = || warn_of_secrets(&plan, &workspace, &built, &boot, log);
    let sizes = measure_while(&plan, &workspace, store, warn);
    boot.finish()?;
    finish(request, &built, timings, sizes);
    warn_of_missing_files(&plan, &workspace.app, &built.procfile, log);
    Ok(built)
}

/// Collects the result once all steps have succeeded.
fn built(
    ctx: &Context<'_>,
    project: Project,
    record: Record,
    start: Started,
) -> Result<Built, Error> {
    executables::drop_executables(ctx)?;
    let generated = generated_paths(ctx);
    let procfile = release::procfile(ctx).unwrap_or_default();
    Ok(Built {
        record,
        launch: start.launch,
        sbom: start.sbom,
        components: start.components,
        compiled: ctx.compilation.state().compiled_modules.take(),
        generated,
        release_dir: project.release.map(|release| release.dir),
        procfile,
    })
}

/// Logs the result and the changes since the last build, and saves the facts that the next build compares itself with.
fn finish(request: &Request<'_>, built: &Built, timings: &Timings, (app, cache): (Sizes, Sizes)) {
    let Request {
        log, report, store, ..
    } = *request;
    let sizes = (&app, &cache);
    let now = Facts::new(&built.record, &built.components, sizes, timings.wall());
    let last = Facts::last(store, &built.record.mix_env);
    let last = last.as_ref();
    changes::show(log, report, &now, last, built.compiled.as_ref());
    summarise(log, built, timings, sizes, (&now, last));
    now.save(store);
}

/// Measures the slug and the cache while `work` runs.
fn measure_while(
    plan: &Plan,
    workspace: &Workspace<'_>,
    store: &dyn Store,
    work: impl FnOnce(),
) -> (Sizes, Sizes) {
    thread::scope(|scope| {
        let cache = scope.spawn(|| store.measure());
        let app = scope.spawn(|| {
            tree::measure_parts(&workspace.app, |path| {
                slug_directory(&plan.app_dir.value, path)
            })
        });
        work();
        let join_failed = "measuring does not panic";
        (
            app.join().expect(join_failed),
            cache.join().expect(join_failed),
        )
    })
}

/// Returns the directory under which the log counts the size of a file: `deps` for `deps/jason/mix.exs`.
fn slug_directory(app_dir: &str, path: &Path) -> String {
    let (inside, prefix) = match path.strip_prefix(app_dir) {
        Ok(inside) => (inside, format!("{app_dir}/")),
        Err(_) => (path, String::new()),
    };
    let tools = [".platform_tools", ".heroku"];
    let depth = if tools.iter().any(|dir| inside.starts_with(dir)) {
        2
    } else {
        1
    };
    let names: Vec<_> = inside.iter().map(|name| name.to_string_lossy()).collect();
    match names.len() {
        1 => format!("{prefix}other files"),
        _ => prefix + &names[..names.len().min(depth)].join("/"),
    }
}

fn client(cancel: &Cancel) -> Client {
    Client::new(Settings {
        cancel: cancel.flag(),
        ..Settings::default()
    })
}

/// Makes the log mask all secrets of the build.
pub fn hide_secrets(log: &Log, environment: &Environment, hosts: &Hosts) {
    let shared = planning::shared_store_settings(environment);
    let shared = shared.ok().flatten().map(|settings| settings.secrets());
    let known = [
        hosts.secrets(),
        Credentials::of(environment).secrets(),
        shared.unwrap_or_default(),
    ];
    let known = known.concat();
    for secret in known.iter().chain(&secrets::hidden(environment)) {
        log.hide(secret);
    }
}

fn decide(request: &Request<'_>, client: &Client, hosts: &Hosts) -> Result<Plan, Error> {
    let note = request.store.read_note(store::RECORD);
    let last = note.as_deref().and_then(Record::parse);
    if note.is_some() && last.is_none() {
        request.log.warning(&[
            "The record of the last build can't be read. Versions that the app doesn't request may change."
                .to_owned(),
        ]);
    }
    let step = request.log.step("Planning");
    let plan = planning::plan(planning::Request {
        app: request.app,
        environment: &request.environment,
        client,
        hosts,
        last: last.as_ref(),
        store: Some(request.store),
        platform: &request.platform,
        observer: &DownloadProgress::to(&step),
        cancel: request.cancel,
    })?;
    planning::show(&step, &plan);
    request.report.planned(request.app, &plan);
    Ok(plan)
}

fn clear_cache_if_requested(plan: &Plan, store: &dyn Store, log: &Log) -> Result<(), Error> {
    let Some(why) = &plan.clean else {
        return Ok(());
    };
    let step = log.step("Clearing cache");
    step.detail(&format!("requested by {why}"));
    Ok(planning::clean_build::run(plan, store)?)
}

fn workspace<'a>(request: &'a Request<'_>) -> Result<Workspace<'a>, Error> {
    Ok(Workspace {
        app: fs::canonicalize(request.app).map_err(TreeError::at(request.app, "find"))?,
        build_dir: request.app.to_owned(),
        places: request.places.clone(),
        store: request.store,
        environment: request.environment.clone(),
        env_dir: request.env_dir.clone(),
        start: request.start.clone(),
    })
}

fn bounds(plan: &Plan, workspace: &Workspace<'_>) -> Bounds {
    let runtime = Path::new(&plan.runtime_path);
    let shared = workspace.store.shared();
    let beside: Vec<&Path> = [runtime].into_iter().chain(shared.as_deref()).collect();
    Bounds::of(
        &workspace.app,
        &beside,
        &workspace.places.top_folders(),
        plan,
    )
}

fn enter_runtime_path(
    plan: &Plan,
    workspace: &Workspace<'_>,
    log: &Log,
    cancel: &Cancel,
) -> Result<StablePath, Error> {
    let runtime = Path::new(&plan.runtime_path);
    let home = workspace.environment.home();
    let projects = [plan.projects.as_slice(), &plan.sibling_projects].concat();
    let request = workdir::stable_path::Request {
        app: &workspace.app,
        runtime,
        app_dir: &plan.app_dir.value,
        projects: &projects,
        home: home.as_deref(),
        own_dirs: &workspace.places.top_folders(),
    };
    let waiting = || {
        let step = log.step("Waiting");
        step.detail(&format!(
            "for another build, which uses {}",
            runtime.display()
        ));
    };
    let path = StablePath::enter(request, cancel, waiting)?;
    if let Some(why) = path.unusable_reason() {
        let runtime = runtime.display();
        log.warning(&[
            format!("{runtime} is unusable during the build: {why}"),
            "The app is compiled in the build directory instead. With Elixir 1.15 and newer, mix notices the new".into(),
            format!("path at run time and compiles the app again whenever it starts in {runtime}."),
            "To avoid that, build a release: set release=true in elixir_buildpack.config.".into(),
        ]);
    }
    Ok(path)
}

/// Warns of config vars whose values are in generated files. Sources ship as they were pushed, so they aren't searched.
/// Passes modules on to the boot check, which would have to read them again.
fn warn_of_secrets(
    plan: &Plan,
    workspace: &Workspace<'_>,
    built: &Built,
    boot: &BootCheck<'_>,
    log: &Log,
) {
    let secrets = secrets::of_config_vars(&workspace.environment);
    let statics = plan
        .assets
        .iter()
        .map(|assets| join(&assets.phoenix_dir, "priv/static"));
    let compiled = join(&plan.app_dir.value, "_build");
    let mut made: Vec<PathBuf> = [compiled]
        .into_iter()
        .chain(statics)
        .map(PathBuf::from)
        .collect();
    let generated = built.generated.iter().chain(&built.release_dir);
    let beside = |path: &&PathBuf| !made.iter().any(|dir| path.starts_with(dir));
    let generated: Vec<PathBuf> = generated.filter(beside).cloned().collect();
    made.extend(generated);
    // mix.exs may put a token into the URL of a dependency, and git stores the URL.
    made.extend(slim::git_configs(
        &workspace.app,
        &join(&plan.app_dir.value, "deps"),
    ));
    let found = workdir::leaked_secrets::find(
        &workspace.app,
        &made,
        &secrets,
        beam_files::is_module,
        |path, content| boot.module(path, content),
    );
    workdir::leaked_secrets::warn(log, &found);
}

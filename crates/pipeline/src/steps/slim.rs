//! Prunes files that are not needed at run time from the slug, and logs them with their size.

use crate::context::Context;
use crate::project::{Project, Release};
use crate::steps::{release, unused_applications};
use app::plan::Slim;
use app::text_file;
use exec::log::StepLog;
use exec::progress::megabytes;
use messages::Error;
use std::fs;
use std::path::{Path, PathBuf};
use store::tree::{self, TreeError};
use toolchain::beam_files;
use toolchain::debug_symbols::{self, Symbols};
use toolchain::unneeded_files::{self, Tool, application_name};
use workdir::workspace::is_own;

/// The files to keep of the `.git` of a dependency: whenever mix starts, it asks git for the commit that is
/// checked out and for the origin. Source: gitrepository-layout(5).
const GIT_FILES: [&str; 3] = ["HEAD", "config", "packed-refs"];

/// The files in the root of the app to keep if only the release ships.
const KEPT_WITH_RELEASE: [&str; 6] = [
    "Procfile",
    "app.json",
    ".profile",
    ".profile.d",
    ".mixpack",
    ".buildpacks",
];

pub(crate) fn slim(ctx: &Context<'_>, project: &Project) -> Result<(), Error> {
    let log = ctx.log.step("Pruning files not needed at run time");
    ctx.path.move_new_files()?;
    let mut all = prune_releases(ctx, project, &log)?;
    if can_ship_only_release(ctx, project, &log) {
        all += prune_all_but_release(ctx, project, &log)?;
        all += prune_debug_symbols(&release::release_dirs(ctx, project), ctx, &log)?;
    } else {
        all += prune_tools(ctx, &log)?;
        all += prune_dependencies(ctx, &log)?;
        all += prune_javascript(ctx, &log)?;
        all += prune_debug_symbols(&fetched_dependencies(ctx), ctx, &log)?;
        all += prune_code(ctx, &log)?;
    }
    if all == 0 {
        log.detail("nothing to prune");
    }
    log.detail(&format!(
        "{} in total. Set MIXPACK_SLIM=none to keep everything",
        megabytes(all)
    ));
    Ok(())
}

/// Returns the directories of fetched dependencies and of their compiled code. Pushed dependencies ship unchanged.
fn fetched_dependencies(ctx: &Context<'_>) -> Vec<PathBuf> {
    let deps = ctx.in_app("deps");
    if !ctx.tree.is_output(&deps) {
        return Vec::new();
    }
    let compiled = ctx
        .in_app("_build")
        .join(&ctx.plan.mix_env.value)
        .join("lib");
    let names = entries(&ctx.workspace.real(&deps)).into_iter();
    let compiled = names.filter_map(|path| Some(compiled.join(path.file_name()?)));
    compiled.chain([deps]).collect()
}

/// Prunes the archives of releases, unless a process unpacks one.
fn prune_releases(ctx: &Context<'_>, project: &Project, log: &StepLog<'_>) -> Result<u64, Error> {
    let procfile = release::procfile(ctx).unwrap_or_default();
    if procfile.0.values().any(|line| line.contains(".tar.gz")) {
        return Ok(0);
    }
    let tarballs = release::tarballs(ctx, project);
    let tarballs: Vec<PathBuf> = tarballs.iter().map(|t| ctx.workspace.real(t)).collect();
    remove_and_report("release: archive (.tar.gz)", &tarballs, log)
}

fn prune_tools(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<u64, Error> {
    let places = &ctx.workspace.places;
    let arch = ctx.plan.target.arch;
    let mut tools = vec![(
        "Erlang: headers, static libraries",
        &places.erlang,
        Tool::Otp,
    )];
    if ctx.plan.node_ships() && !ctx.plan.node_is_preinstalled {
        let label = "Node.js: headers, npm's manual";
        tools.push((label, &places.node, Tool::Node(arch)));
    }
    let mut bytes = 0;
    for (label, place, tool) in tools {
        let root = ctx.workspace.real(place);
        if is_own(place) && root.is_dir() {
            let paths = unneeded_files::to_run(&root, tool);
            let paths = paths.map_err(TreeError::at(&root, "read"))?;
            bytes += remove_and_report(label, &paths, log)?;
        }
    }
    let otp = ctx.workspace.real(&places.erlang);
    if is_own(&places.erlang) {
        let label = format!("Erlang: {}", unneeded_files::GRAPHICAL.join(", "));
        bytes += remove_and_report(&label, &unused_applications::graphical(ctx, &otp), log)?;
    }
    Ok(bytes)
}

/// Prunes unused OTP applications, and at `full` the chunks of modules that only development tools read. A test build
/// keeps both, since tests may use them, for example to measure coverage.
fn prune_code(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<u64, Error> {
    if ctx.workspace.environment.tests_only().is_some() {
        return Ok(0);
    }
    let names = match ctx.plan.slim {
        Slim::None => return Ok(0),
        Slim::Standard => &unneeded_files::DEVELOPMENT[..],
        Slim::Full => &unneeded_files::RARELY_USED,
    };
    let places = &ctx.workspace.places;
    let mut bytes = 0;
    if is_own(&places.erlang) {
        let otp = ctx.workspace.real(&places.erlang);
        let unused = unused_applications::unnamed(ctx, &otp, names)?;
        bytes += remove_and_report("Erlang: unused applications", &unused, log)?;
        let names = unused.iter().filter_map(|dir| application_name(dir));
        let names: Vec<&str> = names.collect();
        if bytes > 0 {
            log.detail(&format!("  {}", names.join(", ")));
            log.detail("  To keep one, add it to extra_applications in mix.exs");
        }
    }
    if ctx.plan.slim != Slim::Full {
        return Ok(bytes);
    }
    let build = ctx.in_app("_build");
    let compiled = build.join(&ctx.plan.mix_env.value).join("lib");
    for (name, dir) in [
        ("Erlang", places.erlang.clone()),
        ("Elixir", places.elixir.clone()),
        ("Hex", places.mix_home.join("archives")),
        ("app and dependencies", compiled),
    ] {
        let real = ctx.workspace.real(&dir);
        if is_own(&dir) && is_folder(&real) {
            let saved = beam_files::strip(&real).map_err(TreeError::at(&real, "strip"))?;
            report_pruned(&format!("{name}: debug info and docs"), saved, log);
            bytes += saved;
        }
    }
    Ok(bytes)
}

fn prune_dependencies(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<u64, Error> {
    let mut of_git = Vec::new();
    for git in git_dependencies(ctx) {
        // Mix creates no links to other directories.
        let folders = ["", "objects", "refs"].map(|name| git.join(name));
        if !folders.iter().all(|folder| is_folder(folder)) {
            continue;
        }
        // If HEAD names a branch, the commit is in another file.
        let head = fs::read_to_string(git.join("HEAD")).unwrap_or_default();
        if !head.trim().bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        for path in entries(&git) {
            match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if GIT_FILES.contains(&name) => {}
                // git requires the directories, which may be empty.
                Some("objects" | "refs") => of_git.extend(entries(&path)),
                _ => of_git.push(path),
            }
        }
    }
    let hex = ctx.workspace.real(&ctx.workspace.places.hex_home);
    let packages = ["packages", "cache.ets"].map(|name| hex.join(name));
    let mut bytes = remove_and_report("dependencies: histories of git", &of_git, log)?;
    bytes += remove_and_report("Hex: archives of packages", &packages, log)?;
    Ok(bytes)
}

/// Prunes debug symbols from the native code of dependencies. The app's own files ship unchanged: mix compares them
/// with the compiled code (`@external_resource`), and would recompile on the dyno.
fn prune_debug_symbols(
    dirs: &[PathBuf],
    ctx: &Context<'_>,
    log: &StepLog<'_>,
) -> Result<u64, Error> {
    let mut bytes = 0;
    for dir in dirs {
        let dir = ctx.workspace.real(dir);
        if is_folder(&dir) {
            bytes += debug_symbols::remove(&dir, Symbols::Debug)
                .map_err(TreeError::at(&dir, "strip"))?;
        }
    }
    report_pruned("dependencies: debug symbols", bytes, log);
    Ok(bytes)
}

/// Returns the `.git` directories of dependencies from git.
fn git_dependencies(ctx: &Context<'_>) -> Vec<PathBuf> {
    entries(&ctx.workspace.real(&ctx.in_app("deps")))
        .into_iter()
        .filter(|dependency| is_folder(dependency))
        .map(|dependency| dependency.join(".git"))
        .filter(|git| is_folder(git))
        .collect()
}

fn prune_javascript(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<u64, Error> {
    if ships_node_modules(ctx) {
        if let (Some(why), true) = (&ctx.plan.node_use, ctx.plan.node.is_some()) {
            log.detail(&format!(
                "keeping node_modules and npm because {why} runs Node.js. If it doesn't, set remove_node=true"
            ));
        }
        return Ok(0);
    }
    let mut bytes = 0;
    for assets in &ctx.plan.assets {
        for modules in assets.modules() {
            let place = ctx.workspace.real(Path::new(&modules));
            bytes += remove_and_report(&modules, &[place], log)?;
        }
    }
    let place = &ctx.workspace.places.node;
    if ctx.plan.node.is_none() || ctx.plan.node_is_preinstalled || !is_own(place) {
        return Ok(bytes);
    }
    let node = ctx.workspace.real(place);
    if ctx.plan.node_ships() {
        let npm =
            ["bin/npm", "bin/npx", "bin/corepack", "lib/node_modules"].map(|name| node.join(name));
        bytes += remove_and_report("Node.js: npm", &npm, log)?;
    } else {
        bytes += prune_node(ctx, log)?;
    }
    Ok(bytes)
}

/// Prunes Node and yarn if they were only needed to build the assets.
fn prune_node(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<u64, Error> {
    let places = &ctx.workspace.places;
    let later = node_for_later_buildpacks(ctx);
    if let Some(later) = &later {
        tree::remove(later)?;
        fs::create_dir_all(later).map_err(TreeError::at(later, "create the folder"))?;
    }
    let mut bytes = 0;
    for (name, place) in [("node", &places.node), ("yarn", &places.yarn)] {
        let tool = ctx.workspace.real(place);
        if is_own(place) && tool.is_dir() {
            bytes += tree::measure(&tool).bytes;
            match &later {
                Some(later) => tree::relocate(&tool, &later.join(name))?,
                None => tree::remove(&tool)?,
            }
        }
    }
    report_pruned("Node.js, which nothing runs", bytes, log);
    if bytes > 0 {
        log.detail("  To keep it, set remove_node=false in phoenix_static_buildpack.config");
    }
    Ok(bytes)
}

/// Returns the directory where later buildpacks find Node, if Node doesn't ship. The `export` file beside it contains
/// the path.
pub(crate) fn node_for_later_buildpacks(ctx: &Context<'_>) -> Option<PathBuf> {
    let plan = ctx.plan;
    let leaves = plan.node.is_some() && plan.remove_node.is_none() && !plan.node_ships();
    let export = ctx.workspace.export().filter(|_| leaves)?;
    Some(export.with_file_name("export-tools"))
}

/// Returns whether `node_modules` ships.
pub(crate) fn ships_node_modules(ctx: &Context<'_>) -> bool {
    ctx.plan.remove_node != Some(true)
        && (ctx.plan.slim == Slim::None || ctx.plan.node_use.is_some())
}

/// Returns whether the slug can contain only the release. A release without Erlang (`include_erts: false`) needs the
/// Erlang in the slug.
fn can_ship_only_release(ctx: &Context<'_>, project: &Project, log: &StepLog<'_>) -> bool {
    let release = project.release.as_ref();
    let Some(release) = release.filter(|_| ctx.plan.release_alone) else {
        return false;
    };
    let has_runtime = has_runtime(ctx, release);
    if !has_runtime {
        log.warning("the release doesn't include Erlang, so the slug keeps it");
    }
    has_runtime
}

/// Returns whether only the release ships.
pub(crate) fn ships_only_release(ctx: &Context<'_>, release: Option<&Release>) -> bool {
    ctx.plan.release_alone && release.is_some_and(|release| has_runtime(ctx, release))
}

fn has_runtime(ctx: &Context<'_>, release: &Release) -> bool {
    entries(&release::current_path(ctx, &release.dir))
        .iter()
        .filter_map(|path| path.file_name())
        .any(|name| name.to_string_lossy().starts_with("erts-"))
}

fn prune_all_but_release(
    ctx: &Context<'_>,
    project: &Project,
    log: &StepLog<'_>,
) -> Result<u64, Error> {
    let build = ctx.in_app("_build");
    let compiled = build.join(&ctx.plan.mix_env.value);
    let mut kept_paths: Vec<PathBuf> = KEPT_WITH_RELEASE.map(PathBuf::from).into();
    kept_paths.extend([ctx.in_app("Procfile"), compiled.join("rel")]);
    for dir in release::release_dirs(ctx, project) {
        // A link may lead to another directory of the app.
        let real = ctx.workspace.real(&dir).canonicalize();
        let real = real.ok().and_then(|real| {
            let inside = real.strip_prefix(&ctx.workspace.app).ok()?;
            Some(inside.to_owned())
        });
        kept_paths.extend(real.filter(|real| *real != dir));
        kept_paths.push(dir);
    }
    kept_paths.retain(|path| ctx.workspace.real(path).exists());
    let mut others = Vec::new();
    unneeded_siblings(ctx, Path::new(""), &kept_paths, &mut others);
    let bytes = remove_and_report("everything but the release", &others, log)?;
    // Processes start in this directory, even if the release is in another one.
    let app_dir = ctx.workspace.real(Path::new(&ctx.plan.app_dir.value));
    fs::create_dir_all(&app_dir).map_err(TreeError::at(&app_dir, "create the folder"))?;
    Ok(bytes)
}

/// Adds the entries of a directory that are neither kept nor contain a kept path.
fn unneeded_siblings(
    ctx: &Context<'_>,
    folder: &Path,
    kept_paths: &[PathBuf],
    others: &mut Vec<PathBuf>,
) {
    for path in entries(&ctx.workspace.real(folder)) {
        let name = path.file_name().unwrap_or_default();
        let here = folder.join(name);
        let at_top = folder.as_os_str().is_empty();
        if kept_paths.contains(&here) || at_top && is_called(ctx, &name.to_string_lossy()) {
            continue;
        }
        if kept_paths.iter().any(|kept| kept.starts_with(&here)) {
            if is_folder(&path) {
                unneeded_siblings(ctx, &here, kept_paths, others);
            }
        } else {
            others.push(path);
        }
    }
}

/// Returns whether the Procfile mentions a file in the root of the app, such as a script of the user.
fn is_called(ctx: &Context<'_>, name: &str) -> bool {
    let procfile = text_file::read(&ctx.workspace.real(Path::new("Procfile")));
    procfile.is_ok_and(|text| {
        text.split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)))
            .any(|word| word == name)
    })
}

/// Returns the git config of each dependency from git, relative to the app.
pub(crate) fn git_configs(app: &Path, deps: &str) -> Vec<PathBuf> {
    let dependencies = entries(&app.join(deps)).into_iter();
    dependencies
        .filter_map(|path| Some(Path::new(deps).join(path.file_name()?).join(".git/config")))
        .filter(|config| app.join(config).is_file())
        .collect()
}

/// Removes files and directories, and logs their size.
fn remove_and_report(label: &str, paths: &[PathBuf], log: &StepLog<'_>) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in paths {
        bytes += tree::measure(path).bytes;
        tree::remove(path)?;
    }
    report_pruned(label, bytes, log);
    Ok(bytes)
}

fn report_pruned(label: &str, bytes: u64, log: &StepLog<'_>) {
    if bytes > 0 {
        log.detail(&format!("{label:<44} {:>9}", megabytes(bytes)));
    }
}

/// Returns whether a path is a directory, and not a link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

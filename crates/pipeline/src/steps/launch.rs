//! Writes the files that processes need to start, such as `.profile.d`, and the build record.

use crate::component::Component;
use crate::context::Context;
use crate::profile::{self, Launch};
use crate::project::Project;
use crate::provenance::{self, Inputs};
use crate::steps::{self, git, slim};
use crate::{console, sbom};
use app::facts::{PROCFILE, join};
use app::plan::{Assets, Slim, launcher};
use exec::environment::COMMITS;
use exec::log::StepLog;
use messages::Error;
use planning::record::{self, Record};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use store::tree::{self, TreeError};
use workdir::workspace::{self, is_own};

/// The environment of processes, and the contents of the slug.
#[derive(Debug, Clone, Default)]
pub(crate) struct Started {
    pub(crate) launch: Launch,
    pub(crate) components: Vec<Component>,
    /// The bill of materials.
    pub(crate) sbom: String,
}

pub(crate) fn profile(
    ctx: &Context<'_>,
    project: &Project,
    record: &Record,
) -> Result<Started, Error> {
    let header = match ctx.workspace.start {
        workspace::Start::ProfileD { .. } => "Writing .profile.d",
        workspace::Start::FrontEnd => "Configuring processes",
    };
    let log = ctx.log.step(header);
    let mut launch = launch_environment(ctx, project)?;
    // `mix hex.organization auth` in a hook saves its key here. Dynos don't fetch packages.
    let hex_home = ctx.workspace.real(&ctx.workspace.places.hex_home);
    tree::remove(&hex_home.join("hex.config"))?;
    if !launch.release_alone {
        launch.git_answers = git::write_git(ctx)?;
    }
    let components = steps::sbom::components(ctx, project, launch.runs_node);
    let sbom = sbom::document(&components);
    if let workspace::Start::ProfileD { .. } = ctx.workspace.start {
        profile_d(ctx, &launch)?;
        ctx.write(sbom::PATH, &sbom)?;
    }
    launcher(ctx, &log)?;
    write_executable(ctx, console::PATH, console::SCRIPT)?;
    let record = save_record(ctx, record, &log)?;
    write_provenance(ctx, (&record, &sbom), &components)?;
    log.detail(&format!("MIX_ENV={}", launch.mix_env));
    Ok(Started {
        launch,
        components,
        sbom,
    })
}

/// Writes the provenance statement. Its subjects are the build record and the bill of materials, since the digest of
/// the slug is unknown until the platform packs it.
fn write_provenance(
    ctx: &Context<'_>,
    (record, sbom): (&str, &str),
    components: &[Component],
) -> Result<(), Error> {
    let environment = &ctx.workspace.environment;
    let commit = COMMITS.iter().find_map(|name| environment.get(name));
    let is_commit = |commit: &String| {
        let digits = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits && [40, 64].contains(&commit.len())
    };
    let executable = provenance::executable_sha256().ok();
    let statement = provenance::statement(&Inputs {
        plan: ctx.plan,
        subjects: &[(record::PATH, record), (sbom::PATH, sbom)],
        commit: commit.filter(is_commit).as_deref(),
        tools: &ctx.fetched.all(),
        components,
        executable: executable.as_deref(),
    });
    ctx.write(provenance::PATH, &statement)
}

/// Returns the environment of processes.
fn launch_environment(ctx: &Context<'_>, project: &Project) -> Result<Launch, Error> {
    let node_is_kept = remove_node_if_requested(ctx)?;
    let node = node_is_kept && ctx.plan.node_ships();
    let node_bins: Vec<String> = ctx
        .plan
        .assets
        .iter()
        .filter(|assets| assets.install.is_some() && slim::ships_node_modules(ctx))
        .flat_map(Assets::bins)
        .collect();
    Ok(Launch {
        mix_env: ctx.plan.mix_env.value.clone(),
        tests_only: ctx.workspace.environment.tests_only().is_some(),
        node,
        node_pruned: node_is_kept && !node,
        runs_node: node
            && (ctx.plan.remove_node == Some(false)
                || ctx.plan.node_use.is_some()
                || ctx.plan.slim == Slim::None),
        yarn: node && ctx.workspace.real(&ctx.workspace.places.yarn).is_dir(),
        phx_server: project.phoenix && project.release.is_some(),
        node_bins,
        git_answers: false,
        release_alone: slim::ships_only_release(ctx, project.release.as_ref()),
    })
}

/// Writes the record, for `bin/release` and `bin/test` and for the next build. Returns its text.
fn save_record(ctx: &Context<'_>, record: &Record, log: &StepLog<'_>) -> Result<String, Error> {
    let mut record = record.clone();
    // bash may have expanded a config var in it.
    let shown = |args: &String| ctx.workspace.environment.without_values(args) == *args;
    if !record.test_args.as_ref().is_none_or(shown) {
        record.test_args = None;
        log.warning("test_args contains the value of a config var and was not saved. Set the config var test_args instead");
    }
    let json = record.to_json()?;
    ctx.write(record::PATH, &json)?;
    // A failure is only a warning, since the app has been built.
    if let Err(error) = ctx.workspace.store.write_note(store::RECORD, &json) {
        log.warning(&format!("the build record could not be cached: {error}"));
        log.warning("the next build may use newer versions where the app requests none");
    }
    Ok(json)
}

fn profile_d(ctx: &Context<'_>, launch: &Launch) -> Result<(), Error> {
    let root = Path::new(&ctx.plan.runtime_path);
    let mut script = profile::elixir_script(root, launch);
    if !launch.release_alone {
        script.push_str(&profile::git_script(root, launch.git_answers));
    }
    ctx.write(workspace::ELIXIR_SCRIPT, &script)?;
    if let Some(mut script) = profile::node_script(root, launch) {
        if launch.node && !launch.tests_only {
            script.push_str(profile::node_env_script());
        }
        ctx.write(workspace::NODE_SCRIPT, &script)?;
    }
    if let Some(export) = ctx.workspace.export() {
        let mut script = profile::export_script(&ctx.workspace.app, launch);
        if let Some(dir) = slim::node_for_later_buildpacks(ctx) {
            script.push_str(&profile::later_node_script(&dir));
        }
        fs::write(export, script).map_err(TreeError::at(export, "write"))?;
    }
    Ok(())
}

/// Returns whether Node ships. With `remove_node=true`, removes Node and installed packages.
fn remove_node_if_requested(ctx: &Context<'_>) -> Result<bool, Error> {
    if ctx.plan.node.is_none() {
        return Ok(false);
    }
    if ctx.plan.remove_node != Some(true) {
        return Ok(true);
    }
    let places = &ctx.workspace.places;
    for place in [&places.node, &places.yarn] {
        let preinstalled = ctx.plan.node_is_preinstalled && place == &places.node;
        if !preinstalled && is_own(place) {
            tree::remove(&ctx.workspace.real(place))?;
        }
    }
    for assets in &ctx.plan.assets {
        for modules in assets.modules() {
            tree::remove(&ctx.workspace.real(Path::new(&modules)))?;
        }
    }
    Ok(false)
}

/// Writes the script that starts processes in the app's directory, if that is not the root of the slug.
fn launcher(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<(), Error> {
    let app_dir = &ctx.plan.app_dir.value;
    if app_dir == "." {
        return Ok(());
    }
    let procfile = ctx.plan.app_procfile.as_ref();
    write_executable(ctx, launcher::PATH, &launcher::script(app_dir, procfile))?;
    if let Some(procfile) = procfile {
        let path = join(app_dir, PROCFILE);
        ctx.write(PROCFILE, &launcher::procfile(&path, procfile))?;
        log.detail(&format!(
            "Procfile: the process types of {path}, which run in {app_dir}"
        ));
    }
    Ok(())
}

fn write_executable(ctx: &Context<'_>, path: &str, script: &str) -> Result<(), Error> {
    ctx.write(path, script)?;
    let script = ctx.workspace.real(Path::new(path));
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).map_err(TreeError::at(&script, "make executable"))?;
    Ok(())
}

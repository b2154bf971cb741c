//! The plan: every decision of a build, with its reason and origin.

mod assets;
mod choice;
mod decisions;
mod erlang_and_elixir;
mod error;
mod hook_commands;
mod install;
pub mod launcher;
pub mod lifecycle;
mod node;
mod old_builders;
mod package_manager;
mod phoenix;
mod processes;
mod requirements;
mod slug;
mod steps;
mod suggestion;
mod tests_only;
mod version_error;
mod version_requests;
mod warnings;

pub use assets::{AssetBuild, Assets, needs_node};
pub use choice::{Choice, ChosenTool, LastBuild, Lists};
pub use decisions::Plan;
pub use erlang_and_elixir::otp_list_suffices;
pub use error::PlanError;
pub use install::Install;
pub use package_manager::{BunCpu, PackageManager};
pub use phoenix::{PHOENIX, PHX, phoenix_ex_of};
pub use processes::Process;
pub use slug::Slim;
pub use steps::StepName;
pub use suggestion::{Edit, Suggestion};
pub use version_error::VersionError;

use crate::facts::{Facts, PROCFILE};
use crate::origin::{Origin, Setting};
use crate::settings::{Hooks, Settings};
use assets::{asset_dirs, assets, removes_executables};
use erlang_and_elixir::pair_or_suggestion;
use phoenix::phoenix_ex;
use processes::{processes, tool_of_a_process};
use slug::{release, slim};
use steps::steps;
use version_requests::VersionRequests;
use versions::elixir::ElixirBuild;
use versions::target::Target;

/// Makes the plan of a build.
pub fn plan(
    facts: &Facts,
    settings: &Settings,
    target: Target,
    mix_env: Setting,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Plan, PlanError> {
    let dirs = asset_dirs(facts, settings)?;
    let folders: Vec<&str> = dirs.iter().map(|(_, assets)| assets.as_str()).collect();
    let requests = VersionRequests::of(facts, settings, &folders);
    let (erlang, elixir) = pair_or_suggestion(&requests, facts, &target, lists, last)?;
    let otp_major = lists.otp.major_of(&erlang.build);
    let node = node::node(facts, settings, &requests, &target, lists, last)?;
    let npm = |requested: Option<&str>| node::npm(facts, node.as_ref(), lists, requested);
    let assets = assets(facts, settings, &npm)?;
    let (hex, rebar3) = installers(settings, last, &elixir);
    let phoenix = facts.phoenix_locked || facts.projects.iter().any(|p| p.guess.phoenix);
    let removes_executables = removes_executables(facts, settings, &assets);
    let node_is_preinstalled = node.is_some() && facts.preinstalled_node.is_some();
    let check_locked = settings.check_locked && facts.has_lock && can_check_locked(&elixir);
    let calls_mix = tool_of_a_process(facts);
    let (release, release_why) = release(facts, settings, calls_mix.as_deref());
    let slim = slim(settings, release, calls_mix.as_deref())?;
    let release_alone = release && slim == Slim::Full && calls_mix.is_none();
    let phoenix_ex = phoenix_ex(facts, settings);
    let mut plan = Plan {
        hex,
        rebar3,
        rebuild_on_otp_patch: settings.rebuild_on_otp_patch,
        boot_check: settings.boot_check,
        steps: steps((settings, release, slim), node.is_some(), phoenix, &assets),
        last_erlang: last.erlang.clone(),
        processes: processes(
            facts,
            release,
            phoenix.then_some(&phoenix_ex),
            &mix_env.value,
        ),
        app_procfile: facts
            .procfile
            .clone()
            .filter(|_| facts.procfile_path != PROCFILE),
        target,
        mix_env,
        erlang,
        otp_major,
        elixir,
        node,
        runtime_path: settings.runtime_path.clone(),
        app_dir: facts.app_dir.clone(),
        hooks: settings.hooks.clone(),
        assets,
        phoenix,
        phoenix_ex,
        release,
        release_why,
        test_args: test_args(settings),
        remove_node: match slim {
            Slim::Full => Some(true),
            Slim::None | Slim::Standard => settings.remove_node,
        },
        skip_assets: settings.skip_assets.clone(),
        release_alone,
        slim,
        node_use: facts.node_use.clone(),
        reuse_assets: settings.reuse_assets && !hooks_before_assets(settings),
        verbose: settings.verbose,
        locked: facts.has_lock,
        check_locked,
        removes_executables,
        node_is_preinstalled,
        exported: settings.exported.clone(),
        shell_variables: settings.shell_variables.clone(),
        projects: facts.projects.iter().map(|p| p.dir.clone()).collect(),
        sibling_projects: facts.sibling_projects.clone(),
        umbrella: facts.root().apps_path.is_some(),
        clean: clean_build_reason(settings),
        clean_build_digest: None,
        set: settings.set.clone(),
        warnings: Vec::new(),
    };
    plan.warnings = warnings::of(&plan, facts, settings, &requests);
    Ok(plan)
}

/// Returns the requested versions of Hex and rebar3, or else those of the last build: a build only upgrades
/// them together with Elixir.
fn installers(
    settings: &Settings,
    last: &LastBuild,
    elixir: &Choice<ElixirBuild>,
) -> (Option<Setting>, Option<Setting>) {
    let same_elixir = last.elixir.as_ref() == Some(&elixir.version);
    let installer = |requested: &Option<Setting>, previous: &Option<String>| {
        let previous = previous.clone().filter(|_| same_elixir);
        let stays = || previous.map(|version| Setting::new(version, Origin::LastBuild));
        requested.clone().or_else(stays)
    };
    (
        installer(&settings.hex_version, &last.hex),
        installer(&settings.rebar3_version, &last.rebar3),
    )
}

/// Elixir has `mix deps.get --check-locked` since 1.15; branches are newer.
fn can_check_locked(elixir: &Choice<ElixirBuild>) -> bool {
    let version = elixir.build.version.as_ref();
    version.is_none_or(|version| version.is_at_least_minor(15))
}

/// Returns whether hooks run before the assets are built. They may create inputs of the assets from anything.
fn hooks_before_assets(settings: &Settings) -> bool {
    let before = Hooks {
        post_compile: None,
        ..settings.hooks.clone()
    };
    before.any()
}

/// Returns the arguments of `mix test` from a config file. A config var is read when the tests run, and its value
/// mustn't be saved.
fn test_args(settings: &Settings) -> Option<String> {
    let requested = settings.test_args.as_ref()?;
    matches!(requested.origin, Origin::File { .. }).then(|| requested.value.clone())
}

/// Returns the setting that requests a clean build.
fn clean_build_reason(settings: &Settings) -> Option<String> {
    let by_cache = settings.clean_cache.then_some("clean_cache=true");
    let by_rebuild = settings.always_rebuild.then_some("always_rebuild=true");
    by_rebuild.or(by_cache).map(str::to_owned)
}

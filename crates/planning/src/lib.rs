//! Makes the plan for an app directory, from facts, settings and lists. Changes nothing.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod cached_lists;
pub mod clean_build;
mod config_file;
pub mod preinstalled_node;
pub mod record;
mod request;
mod upstream_lists;

pub use request::{Platform, Request, RunImage};

use crate::record::Record;
use crate::upstream_lists::UpstreamLists;
use app::facts::{self, ConfigFile, ELIXIR_CONFIG, Facts, app_dir};
use app::plan::{self, AssetBuild, LastBuild, Lists, Plan, lifecycle};
use app::settings::name_typo;
use app::{Origin, Settings};
use exec::credentials::OTP_BUILDS_URL;
use exec::environment::Environment;
use exec::log::StepLog;
use messages::Error;
use versions::Target;
use versions::lifecycle::Date;
use versions::target::{Arch, OsRelease};

/// Mixpack's own config vars that only the build reads, besides those of the shared store.
const BUILD_ONLY_VARIABLES: [&str; 2] = [OTP_BUILDS_URL, clean_build::VARIABLE];

/// The settings of the shared store, if the app uses one.
pub fn shared_store_settings(
    environment: &Environment,
) -> Result<Option<shared_store::Settings>, Error> {
    let settings = shared_store::Settings::read(&|name| environment.get(name));
    settings.map_err(|error| Error::SharedStore {
        variable: error.variable,
        problem: error.problem,
        fix: error.fix,
    })
}

/// Reads the app, fetches upstream's lists of versions, and makes the plan.
pub fn plan(request: Request<'_>) -> Result<Plan, Error> {
    let facts = read(&request)?;
    plan_with(request, facts)
}

/// Makes the plan for an app that [`read`] has read.
pub fn plan_with(request: Request<'_>, mut facts: Facts) -> Result<Plan, Error> {
    let environment = request.environment;
    shared_store_settings(environment)?;
    let mut settings = Settings::merge(&facts, &|name| {
        // Names with Mixpack's prefix are always meant for Mixpack, even if the platform or a shell sets them.
        if name.starts_with(name_typo::PREFIX) {
            environment.get(name)
        } else {
            environment.config_var(name)
        }
    });
    let assets_path = settings.assets_path.as_ref();
    facts::add_configured(
        &mut facts,
        request.app,
        &settings.compile_script,
        assets_path,
    )?;
    if let Some(path) = &request.platform.runtime_path {
        settings.runtime_path = path.to_string_lossy().into_owned();
    }
    settings.prefers_release =
        request.platform.prefers_release && request.environment.tests_only().is_none();
    let target = target(&request)?;
    let mut node = plan::needs_node(&facts, &settings);
    if node && !request.platform.executes_nothing {
        let preinstalled =
            preinstalled_node::versions(request.app, request.environment, request.cancel);
        if let Some((node, npm)) = preinstalled {
            (facts.preinstalled_node, facts.preinstalled_npm) = (Some(node), npm);
        }
        node = facts.preinstalled_node.is_none();
    }
    let lists = UpstreamLists::fetch(&request, &target, node)?;
    let last = request
        .last
        .map_or_else(LastBuild::default, Record::last_build);
    let mix_env = request.environment.mix_env();
    let decide = |lists: &Lists| {
        let (target, mix_env) = (target.clone(), mix_env.clone());
        plan::plan(&facts, &settings, target, mix_env, lists, &last)
    };
    let (mut plan, lists) = lists.plan(&request, &target, &last, &decide)?;
    let today = Date::of_unix_time(cached_lists::now());
    plan.warnings
        .extend(lifecycle::warnings(&plan, &lists, today));
    let names = environment.setting_names();
    plan.warnings.extend(name_typo::warnings(
        &facts,
        &settings,
        &names,
        &[&BUILD_ONLY_VARIABLES[..], &shared_store::VARIABLES].concat(),
    ));
    let value = request.environment.get(clean_build::VARIABLE);
    clean_build::request(&mut plan, value.as_deref(), request.store);
    if request.environment.tests_only().is_some() {
        plan.for_tests_only(&facts);
    }
    Ok(plan)
}

/// Returns the facts of the app. Config files that need bash are evaluated. The config file in the root may set the
/// app's directory.
pub fn read(request: &Request<'_>) -> Result<Facts, Error> {
    let (top, environment) = (request.app, request.environment);
    let mut at_top = facts::config_file(top, ELIXIR_CONFIG)?;
    evaluate(request, ELIXIR_CONFIG, &mut at_top)?;
    let requested = app_dir::requested(&at_top, environment.get(app_dir::CONFIG_VAR));
    let mise_env = environment.get("MISE_ENV");
    let mut facts = facts::read(top, app_dir::resolve(top, requested)?, mise_env.as_deref())?;
    if facts.elixir_config_path == ELIXIR_CONFIG {
        facts.elixir_config = at_top;
    }
    for (file, config) in [
        (&facts.elixir_config_path, &mut facts.elixir_config),
        (&facts.static_config_path, &mut facts.static_config),
    ] {
        evaluate(request, file, config)?;
    }
    Ok(facts)
}

fn evaluate(request: &Request<'_>, file: &str, config: &mut ConfigFile) -> Result<(), Error> {
    if request.platform.executes_nothing {
        return Ok(());
    }
    if let ConfigFile::NeedsBash { line, construct } = config {
        let mix_env = request.environment.mix_env().value;
        *config = config_file::evaluate(
            request.app,
            file,
            (*line, construct),
            (request.environment, &mix_env),
            request.cancel,
        )?;
    }
    Ok(())
}

fn target(request: &Request<'_>) -> Result<Target, Error> {
    if let Some((system, arch)) = &request.platform.system {
        return Ok(Target::resolve(None, system, *arch)?);
    }
    let environment = request.environment;
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = std::env::consts::ARCH;
    let arch = Arch::parse(name).ok_or_else(|| Error::Architecture(name.to_owned()))?;
    let stack = environment
        .platform("STACK")
        .or_else(|| environment.get("STACK"));
    Ok(Target::resolve(
        stack.as_deref(),
        &OsRelease::parse(&text),
        arch,
    )?)
}

/// Prints the plan: each tool, its version, and the origin of the choice.
pub fn show(step: &StepLog<'_>, plan: &Plan) {
    let line = |name: &str, version: &str, requested: Option<&str>, source: &Origin| {
        let requested = requested
            .filter(|requested| *requested != version)
            .map_or_else(String::new, |requested| format!("{requested} -> "));
        let from = match source {
            Origin::Default(reason) => reason.clone(),
            source => format!("from {source}"),
        };
        step.detail(&format!("{name} {requested}{version} ({from})"));
    };
    step.detail(&format!(
        "stack {}: builds for {} ({})",
        plan.target.stack, plan.target.os, plan.target.arch
    ));
    if !matches!(plan.app_dir.origin, Origin::Default(_)) {
        line("app in", &plan.app_dir.value, None, &plan.app_dir.origin);
    }
    for tool in plan.tools() {
        line(tool.name, tool.version, tool.requested, tool.source);
    }
    if plan.node.is_none() && plan.skip_assets.is_none() {
        step.detail("node: not needed, there is no package.json for assets");
    }
    if let Some(why) = &plan.skip_assets {
        step.detail(&format!(
            "assets: skipped, also Node and the digest ({why})"
        ));
    }
    for assets in plan.built_assets() {
        if assets.build == AssetBuild::Nothing {
            step.detail(&format!("assets: only digested ({})", assets.why));
        }
    }
    if let Some(why) = &plan.release_why {
        step.detail(&format!("release: {why}"));
    }
    line("MIX_ENV", &plan.mix_env.value, None, &plan.mix_env.origin);
    for warning in &plan.warnings {
        step.warning(warning);
    }
}

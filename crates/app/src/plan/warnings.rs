//! Warnings about a plan.

use super::assets::from_umbrella;
use super::phoenix::ignored_phoenix_ex;
use super::processes::tool_of_a_process;
use super::version_requests::VersionRequests;
use super::{AssetBuild, Assets, Choice, Plan, Slim};
use crate::facts::{Facts, JsPackage, join, path_from};
use crate::settings::{COMPILE_SCRIPT, Settings};
use versions::compatibility::{self, Compatibility};
use versions::elixir::ElixirBuild;
use versions::otp::OtpBuild;
use versions::target::Basis;

/// The packages that build the assets of older apps.
const BUILDERS: [&str; 6] = ["brunch", "webpack", "vite", "rollup", "parcel", "gulp"];

/// Returns warnings about what the app requests, about the chosen versions, and about the settings.
pub(super) fn of(
    plan: &Plan,
    facts: &Facts,
    settings: &Settings,
    requests: &VersionRequests,
) -> Vec<String> {
    let mut warnings: Vec<String> = requests.warnings(plan.node.is_some()).collect();
    warnings.extend(about_the_pair(
        &plan.erlang,
        plan.otp_major,
        &plan.elixir.build,
    ));
    let script = &settings.compile_script;
    if settings.skip_assets.is_none() && script != COMPILE_SCRIPT && facts.asset_script.is_none() {
        warnings.push(format!(
            "compile={script} sets the app's asset script, but the app contains no such file"
        ));
    }
    warnings.extend(build_path_outside(facts));
    let target = &plan.target;
    if target.basis == Basis::NearestCompatible {
        warnings.push(format!(
            "no OTP is built for {}; using the builds for {}, the nearest that run on it",
            target.stack, target.os
        ));
    }
    warnings.extend(assets_path_without_package(facts, settings, &plan.assets));
    warnings.extend(unused_builders(facts, settings, &plan.assets));
    warnings.extend(more_than_the_release(facts, plan));
    warnings.extend(other_mix_envs(facts, &plan.mix_env.value, plan.release));
    warnings.extend(ignored_phoenix_ex(facts, settings));
    warnings
}

/// Warns about a pair that Elixir's documentation doesn't list as compatible.
fn about_the_pair(
    erlang: &Choice<OtpBuild>,
    otp_major: u32,
    elixir: &ElixirBuild,
) -> Option<String> {
    let version = elixir.version.as_ref()?;
    match compatibility::check(version, otp_major) {
        Compatibility::Supported => None,
        Compatibility::Unknown => Some(format!(
            "Elixir {version} or Erlang/OTP {} is newer than this version of Mixpack, so their compatibility is unknown; continuing",
            erlang.version
        )),
        Compatibility::Unsupported {
            supported,
            first_patch,
        } => {
            let supported: Vec<String> = supported.iter().map(u32::to_string).collect();
            let (last, others) = supported.split_last()?;
            let first = first_patch.map_or_else(String::new, |patch| {
                format!("; Elixir {patch} is the first that supports {otp_major}")
            });
            Some(format!(
                "Elixir {version} does not support Erlang/OTP {otp_major}; continuing, since upstream publishes a build for it. \
                 Supported: {} and {last}{first}",
                others.join(", ")
            ))
        }
    }
}

/// Warns about an `assets_path` that is ignored because it has no `package.json`. The directory of the Phoenix app is
/// the static buildpack's default, so it gets no warning.
fn assets_path_without_package(
    facts: &Facts,
    settings: &Settings,
    assets: &[Assets],
) -> Option<String> {
    let requested = settings.assets_path.as_ref()?;
    if let Some(dir) = from_umbrella(facts, settings)
        && assets.iter().any(|assets| assets.assets_dir == dir)
    {
        return None;
    }
    assets.iter().find_map(|assets| {
        let configured = path_from(&assets.phoenix_dir, &requested.value);
        let is_in_use = [&assets.phoenix_dir, &assets.assets_dir].contains(&&configured);
        (!is_in_use).then(|| {
            format!(
                "assets_path={} ({}): {configured} has no package.json, so assets are built in {}",
                requested.value, requested.origin, assets.assets_dir
            )
        })
    })
}

/// Warns about assets that no command builds, although their packages include a builder. Phoenix before 1.1 generated
/// such a `package.json` for brunch, and the static buildpack of that time ran it.
fn unused_builders(facts: &Facts, settings: &Settings, assets: &[Assets]) -> Vec<String> {
    if settings.hooks.any() || facts.projects.iter().any(|p| p.guess.may_need_packages()) {
        return Vec::new();
    }
    let unbuilt = assets.iter().filter(|a| a.build == AssetBuild::Nothing);
    let packages = unbuilt.filter_map(|assets| facts.package_in(&assets.assets_dir));
    let warning = |package: &JsPackage| {
        let builder = BUILDERS
            .iter()
            .find(|name| package.json.requires(name).is_some())?;
        let path = join(&package.dir, "package.json");
        Some(format!(
            "{path} requires {builder}, but has no script `deploy` or `build`, so nothing builds the assets; add a script `deploy`"
        ))
    };
    packages.filter_map(warning).collect()
}

/// Warns if the app's directory is set to an umbrella child.
fn build_path_outside(facts: &Facts) -> Option<String> {
    let requested = facts.root().build_path.as_ref();
    let requested = requested.filter(|requested| requested.value.starts_with(".."))?;
    Some(format!(
        "{} sets build_path to {:?}, outside the app's directory, so it is not cached for the next build. Deploy an app of an umbrella from the root of the umbrella",
        requested.origin, requested.value
    ))
}

/// Warns about processes that would make mix recompile the app when they start.
fn other_mix_envs(facts: &Facts, mix_env: &str, release: bool) -> Vec<String> {
    let procfile = facts.procfile.iter().filter(|_| !release);
    let others = procfile.flat_map(|procfile| procfile.other_mix_envs(mix_env));
    let path = &facts.procfile_path;
    let warning = |(name, other): (&str, &str)| {
        format!(
            "{path}: {name} sets MIX_ENV={other}, but the build compiles for {mix_env}, so mix recompiles everything \
             when it starts. To compile for {other}, set the config var MIX_ENV={other}"
        )
    };
    others.map(warning).collect()
}

/// Warns if the slug could have been only the release.
fn more_than_the_release(facts: &Facts, plan: &Plan) -> Option<String> {
    let process = tool_of_a_process(facts);
    let process = process.filter(|_| plan.release && plan.slim == Slim::Full)?;
    Some(format!(
        "the Procfile's {process} calls mix, iex or elixir, so the slug contains more than the release"
    ))
}

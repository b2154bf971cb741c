//! What is worth saying of a plan and stops nothing.

use super::{Assets, Choice};
use crate::facts::{Facts, path_from};
use crate::settings::{COMPILE_SCRIPT, Settings};
use versions::compatibility::{self, Compatibility};
use versions::elixir::ElixirBuild;
use versions::otp::OtpBuild;
use versions::target::{Basis, Target};

/// What is worth saying of the choices and of the settings.
pub(super) fn warnings_about(
    facts: &Facts,
    settings: &Settings,
    target: &Target,
    (erlang, otp_major): (&Choice<OtpBuild>, u32),
    elixir: &Choice<ElixirBuild>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(about_the_pair(erlang, otp_major, &elixir.build));
    let script = &settings.compile_script;
    if settings.skip_assets.is_none() && script != COMPILE_SCRIPT && facts.asset_script.is_none() {
        warnings.push(format!(
            "compile={script} names the app's own asset script, and there is no such file in the app"
        ));
    }
    warnings.extend(build_path_outside(facts));
    if target.basis == Basis::NearestCompatible {
        warnings.push(format!(
            "there are no OTP builds for {}; those for {} are the nearest that run on it",
            target.stack, target.os
        ));
    }
    warnings
}

/// A pair that Elixir's documentation doesn't vouch for.
fn about_the_pair(
    erlang: &Choice<OtpBuild>,
    otp_major: u32,
    elixir: &ElixirBuild,
) -> Option<String> {
    let version = elixir.version.as_ref()?;
    match compatibility::check(version, otp_major) {
        Compatibility::Supported => None,
        Compatibility::Unknown => Some(format!(
            "Elixir {version} with OTP {} is newer than what this version of Mixpack knows of; going on",
            erlang.version
        )),
        Compatibility::Unsupported {
            supported,
            first_patch,
        } => {
            let supported: Vec<String> = supported.iter().map(u32::to_string).collect();
            let (last, others) = supported.split_last()?;
            let first = first_patch.map_or_else(String::new, |patch| {
                format!(", and {patch} is the first that supports {otp_major}")
            });
            Some(format!(
                "Elixir {version} does not support Erlang/OTP {otp_major}, but upstream publishes it for that, so it is used; \
                 it supports {} and {last}{first}",
                others.join(", ")
            ))
        }
    }
}

/// An `assets_path` that is not taken, since it has no `package.json`. The folder of the Phoenix app is
/// the static buildpack's default, and says nothing.
pub(super) fn assets_path_without_package(
    settings: &Settings,
    assets: &[Assets],
) -> Option<String> {
    let asked = settings.assets_path.as_ref()?;
    assets.iter().find_map(|assets| {
        let configured = path_from(&assets.phoenix_dir, &asked.value);
        let is_taken = [&assets.phoenix_dir, &assets.assets_dir].contains(&&configured);
        (!is_taken).then(|| {
            format!(
                "assets_path={} ({}): {configured} has no package.json, so assets are built in {}",
                asked.value, asked.origin, assets.assets_dir
            )
        })
    })
}

/// An app of an umbrella that is named as the app's folder.
fn build_path_outside(facts: &Facts) -> Option<String> {
    let asked = facts.root().build_path.as_ref();
    let asked = asked.filter(|asked| asked.value.starts_with(".."))?;
    Some(format!(
        "{} has build_path {:?}, outside of the app's folder: nothing of it is kept for the next build. Deploy an app of an umbrella from the top of the umbrella",
        asked.origin, asked.value
    ))
}

/// Processes for which mix would compile the app again, where it can't be told from the outside.
pub(super) fn other_mix_envs(facts: &Facts, mix_env: &str, release: bool) -> Vec<String> {
    let procfile = facts.procfile.iter().filter(|_| !release);
    let others = procfile.flat_map(|procfile| procfile.other_mix_envs(mix_env));
    let path = &facts.procfile_path;
    let warning = |(name, other): (&str, &str)| {
        format!(
            "{path}: {name} sets MIX_ENV={other}, and the build compiles for {mix_env}: mix compiles everything again \
             when it starts. The config var MIX_ENV={other} has the build compile for that"
        )
    };
    others.map(warning).collect()
}

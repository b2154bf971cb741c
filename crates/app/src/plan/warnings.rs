//! What is worth saying of a plan and stops nothing.

use super::erlang_and_elixir::pair_compatibility;
use super::{Assets, Choice};
use crate::facts::{Facts, path_from};
use crate::settings::{COMPILE_SCRIPT, Settings};
use versions::compatibility::Compatibility;
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
    if let (Some(elixir_version), Compatibility::Unknown) = (
        &elixir.build.version,
        pair_compatibility(&elixir.build, otp_major),
    ) {
        warnings.push(format!(
            "Elixir {elixir_version} with OTP {} is newer than what this version of Mixpack knows of; going on",
            erlang.version
        ));
    }
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

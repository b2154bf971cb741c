//! What is worth saying of a plan and stops nothing.

use super::Choice;
use super::erlang_and_elixir::pair_compatibility;
use crate::facts::Facts;
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
    if settings.skip_assets.is_none()
        && script != COMPILE_SCRIPT
        && !facts.root_files.contains(script)
    {
        warnings.push(format!(
            "compile={script} names the app's own asset script, and there is no such file at the top of the app"
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

/// An app of an umbrella that is named as the app's folder.
fn build_path_outside(facts: &Facts) -> Option<String> {
    let asked = facts.root().build_path.as_ref();
    let asked = asked.filter(|asked| asked.value.starts_with(".."))?;
    Some(format!(
        "{} has build_path {:?}, outside of the app's folder: nothing of it is kept for the next build. Deploy an app of an umbrella from the top of the umbrella",
        asked.origin, asked.value
    ))
}

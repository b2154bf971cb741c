//! The commands for the lifecycle of Cloud Native platforms.

use crate::platform::BUILDPACK_DIR;
use std::path::PathBuf;
use std::process::ExitCode;

/// Returns the buildpack's own directory, from the lifecycle's variable or else from Mixpack's.
fn buildpack_dir() -> PathBuf {
    ["CNB_BUILDPACK_DIR", BUILDPACK_DIR]
        .iter()
        .find_map(std::env::var_os)
        .map_or_else(|| ".".into(), PathBuf::from)
}

pub(crate) fn detect(platform_dir: PathBuf, plan: PathBuf) -> ExitCode {
    status(cnb::detect(&buildpack_dir(), platform_dir, plan))
}

pub(crate) fn build(layers_dir: PathBuf, platform_dir: PathBuf, plan: PathBuf) -> ExitCode {
    status(cnb::build(&buildpack_dir(), layers_dir, platform_dir, plan))
}

fn status(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

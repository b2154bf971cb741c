//! The Cloud Native Buildpack API (github.com/buildpacks/spec, buildpack.md, version 0.10): `detect` and `build`. The
//! only crate that uses libcnb.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod build;
mod detect;
mod launch;
mod layers;
mod platform;
mod slices;

use libcnb::build::{BuildContext, BuildResult};
use libcnb::data::buildpack::ComponentBuildpackDescriptor;
use libcnb::detect::{DetectContext, DetectResult};
use libcnb::generic::GenericMetadata;
use libcnb::{BuildArgs, Buildpack, DetectArgs};
use platform::Platform;
use std::path::{Path, PathBuf};

/// The buildpack, for libcnb.
struct Mixpack;

/// A failed build that has logged its error.
#[derive(Debug, thiserror::Error)]
#[error("the build failed")]
struct LoggedFailure {
    /// The exit status: 1, or 128 + N if signal N stopped the build.
    status: i32,
}

impl Buildpack for Mixpack {
    type Platform = Platform;
    type Metadata = GenericMetadata;
    type Error = LoggedFailure;

    fn detect(&self, context: DetectContext<Self>) -> libcnb::Result<DetectResult, LoggedFailure> {
        Ok(detect::detect(&context))
    }

    fn build(&self, context: BuildContext<Self>) -> libcnb::Result<BuildResult, LoggedFailure> {
        build::build(&context)
    }

    fn on_error(&self, error: libcnb::Error<LoggedFailure>) {
        // A failed build has already logged its error.
        if !matches!(error, libcnb::Error::BuildpackError(LoggedFailure { .. })) {
            eprintln!("! {error}");
        }
    }
}

/// `detect PLATFORM_DIR PLAN_PATH`, in the app's directory. Returns the exit status: 0 for an app for this buildpack,
/// 100 for others, and another one for an error.
#[must_use]
pub fn detect(buildpack_dir: &Path, platform_dir: PathBuf, plan: PathBuf) -> i32 {
    let args = DetectArgs {
        platform_dir_path: platform_dir,
        build_plan_path: plan,
    };
    run(buildpack_dir, |descriptor| {
        libcnb::libcnb_runtime_detect(&Mixpack, descriptor, args)
    })
}

/// `build LAYERS_DIR PLATFORM_DIR PLAN_PATH`, in the app's directory. Returns the exit status.
#[must_use]
pub fn build(
    buildpack_dir: &Path,
    layers_dir: PathBuf,
    platform_dir: PathBuf,
    plan: PathBuf,
) -> i32 {
    let args = BuildArgs {
        layers_dir_path: layers_dir,
        platform_dir_path: platform_dir,
        buildpack_plan_path: plan,
    };
    run(buildpack_dir, |descriptor| {
        libcnb::libcnb_runtime_build(&Mixpack, descriptor, args)
    })
}

type Descriptor = ComponentBuildpackDescriptor<GenericMetadata>;

/// Replaces libcnb's entry point, which requires an executable named `detect` or `build`, and exits the
/// process before values are dropped.
fn run(
    buildpack_dir: &Path,
    phase: impl FnOnce(Descriptor) -> libcnb::Result<i32, LoggedFailure>,
) -> i32 {
    let descriptor = libcnb::read_toml_file(buildpack_dir.join("buildpack.toml"))
        .map_err(libcnb::Error::CannotReadBuildpackDescriptor);
    descriptor.and_then(phase).unwrap_or_else(|error| {
        let status = match &error {
            libcnb::Error::BuildpackError(LoggedFailure { status }) => *status,
            _ => 1,
        };
        Mixpack.on_error(error);
        status
    })
}

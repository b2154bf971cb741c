//! `bin/build`.

use crate::layers::Layers;
use crate::{LoggedFailure, Mixpack, launch, slices};
use app::{Origin, Setting};
use exec::cancel::Cancel;
use exec::command::Env;
use exec::environment::Environment;
use exec::log::{Log, Style};
use libcnb::build::{BuildContext, BuildResult, BuildResultBuilder};
use libcnb::data::sbom::SbomFormat;
use libcnb::sbom::Sbom;
use messages::{Platform, Wording};
use pipeline::Built;
use pipeline::report::Report;
use pipeline::timeline;
use planning::RunImage;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use store::tree::TreeError;
use versions::target::{Arch, OsRelease};
use workdir::workspace::Start;

/// The execution environment (Buildpack API 0.12; a variable of the platform in older versions), `production` by
/// default.
const EXEC_ENV: &str = "CNB_EXEC_ENV";

pub(crate) fn build(context: &BuildContext<Mixpack>) -> libcnb::Result<BuildResult, LoggedFailure> {
    let log = Log::to_stdio(std::env::var_os("NO_COLOR").is_none(), Style::Bullets);
    let outcome = Cancel::on_signals()
        .map_err(|source| {
            log.error(&[format!("Signals cannot be handled here: {source}")]);
            LoggedFailure { status: 1 }
        })
        .and_then(|cancel| {
            {
                let step = log.step(&format!("Mixpack {}", planning::record::VERSION));
                step.detail(&format!(
                    "buildpack {}",
                    context.buildpack_descriptor.buildpack.id
                ));
            }
            build_and_explain(context, &log, &cancel)
        });
    outcome.map_err(libcnb::Error::BuildpackError)
}

fn build_and_explain(
    context: &BuildContext<Mixpack>,
    log: &Log,
    cancel: &Cancel,
) -> Result<BuildResult, LoggedFailure> {
    let environment = environment(context);
    let words = Wording::new(Platform::CloudNative, &environment);
    run_build(context, environment, log, cancel).map_err(|error| {
        let explanation = words.explain(&error).without_secrets(log);
        log.error(&explanation.lines());
        LoggedFailure {
            status: cancel.signal().map_or(1, |signal| 128 + signal),
        }
    })
}

fn run_build(
    context: &BuildContext<Mixpack>,
    environment: Environment,
    log: &Log,
    cancel: &Cancel,
) -> Result<BuildResult, messages::Error> {
    let layers = Layers::open(&context.layers_dir, context.store.as_ref())?;
    let tests_only = environment.tests_only().is_some();
    // Cloud Native platforms don't read the report.
    let reported = tempfile::tempdir()
        .map_err(|source| TreeError::new(&std::env::temp_dir(), "create a folder in", source))?;
    let report = Report::begin(reported.path());
    let arch = Arch::parse(&context.target.arch)
        .ok_or_else(|| messages::Error::Architecture(context.target.arch.clone()))?;
    let system = OsRelease {
        id: context.target.distro_name.clone(),
        version_id: context.target.distro_version.clone(),
    };
    let built = pipeline::run(pipeline::Request {
        app: &context.app_dir,
        environment,
        platform: planning::Platform {
            executes_nothing: false,
            runtime_path: Some(context.app_dir.clone()),
            prefers_release: true,
            system: Some((system, arch)),
            run_image: run_image(),
        },
        places: layers.places(),
        store: &layers,
        env_dir: Some(context.platform.env_dir.clone()),
        start: Start::FrontEnd,
        log,
        cancel,
        report: &report,
        // A path in a volume, which also works if the build fails, or relative to the app's directory.
        timeline: context.platform.get(timeline::VARIABLE).map(PathBuf::from),
    })?;
    let slices = slices::slices(
        &context.app_dir,
        &built.record,
        built.components(),
        &layers.places(),
    );
    let Built {
        record,
        launch,
        sbom,
        ..
    } = built;
    let step = log.step("Layers");
    layers.write_launch(&context.app_dir, &launch)?;
    layers.finish(&launch, &step)?;
    let mut processes = launch::processes(&context.app_dir, &record, tests_only);
    processes.slices.extend(slices);
    for process in processes.processes.iter().filter(|process| process.default) {
        step.detail(&format!(
            "starts {}: {}",
            process.r#type,
            [process.command.as_slice(), process.args.as_slice()]
                .concat()
                .join(" ")
        ));
    }
    Ok(BuildResultBuilder::new()
        .launch(processes)
        .store(layers.store())
        .launch_sbom(Sbom::from_bytes(SbomFormat::CycloneDxJson, sbom))
        .build_unwrapped())
}

/// Returns the run image of Heroku's builders, which set `CNB_STACK_ID`. A platform may use another one with them.
fn run_image() -> RunImage {
    let stack = std::env::var("CNB_STACK_ID").ok();
    let stack = stack.filter(|stack| stack.starts_with("heroku-"));
    stack.map_or(RunImage::Unknown, RunImage::Likely)
}

fn environment(context: &BuildContext<Mixpack>) -> Environment {
    let mut variables = context.platform.variables.clone();
    // This variable is only for Mixpack, so no cache key may depend on it.
    variables.remove(OsStr::new(timeline::VARIABLE));
    let environment = Environment::new(process_env(), variables);
    let exec_env = std::env::var(EXEC_ENV)
        .ok()
        .or_else(|| context.platform.get(EXEC_ENV));
    if exec_env.is_none_or(|exec_env| exec_env != "test") {
        return environment;
    }
    let requested = environment
        .config_var("MIX_ENV")
        .filter(|mix_env| mix_env != "prod");
    environment.for_tests_only(match requested {
        Some(mix_env) => Setting::new(mix_env, Origin::ConfigVar("MIX_ENV".to_owned())),
        None => Setting::new("test".to_owned(), Origin::ConfigVar(EXEC_ENV.to_owned())),
    })
}

/// Returns the environment of this process, without the lifecycle's variables for buildpacks, since some of them
/// change in every build.
fn process_env() -> Env {
    let for_us = |name: &OsStr| name.as_bytes().starts_with(b"CNB_");
    std::env::vars_os()
        .filter(|(name, _)| !for_us(name))
        .collect()
}

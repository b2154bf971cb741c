//! `bin/compile BUILD_DIR CACHE_DIR ENV_DIR`.

use exec::cancel::Cancel;
use exec::command::Env;
use exec::environment::{Environment, read_env_dir};
use exec::log::Log;
use messages::Error;
use messages::Wording;
use pipeline::report::Report;
use planning::record::Record;
use planning::{Platform, RunImage};
use std::fs;
use std::path::{Path, PathBuf};
use store::CacheDir;
use store::tree::TreeError;
use workdir::workspace::{Places, Start};

/// The directories of a build, with the paths from the platform.
#[derive(Debug, Clone)]
pub struct Compile {
    pub build_dir: PathBuf,
    pub cache_dir: PathBuf,
    pub env_dir: PathBuf,
    /// The buildpack's own directory, for the `export` file for later buildpacks.
    pub buildpack_dir: Option<PathBuf>,
    /// The environment of this process.
    pub process_env: Env,
    /// The path at which the slug will run, for local builds. On platforms, the app sets it.
    pub runtime_path: Option<PathBuf>,
    /// The file for the timeline.
    pub timeline: Option<PathBuf>,
}

/// Builds the slug. Logs the explanation of a failure.
pub fn compile(request: &Compile, log: &Log, cancel: &Cancel) -> Result<Record, Error> {
    build_and_explain(request, log, cancel, |environment| environment)
}

/// Builds in the environment that `adapt` returns, and explains a failure in the log.
pub(crate) fn build_and_explain(
    request: &Compile,
    log: &Log,
    cancel: &Cancel,
    adapt: impl FnOnce(Environment) -> Environment,
) -> Result<Record, Error> {
    let report = Report::begin(&request.cache_dir);
    let environment = environment(request).map(adapt);
    let words = environment
        .as_ref()
        .map_or_else(|_| Wording::default(), |known| wording(request, known));
    match environment.and_then(|known| build(request, known, log, cancel, &report)) {
        Ok(record) => {
            report.succeeded(&record);
            Ok(record)
        }
        Err(error) => {
            let explanation = words.explain(&error).without_secrets(log);
            log.error(&explanation.lines());
            report.failed(&explanation, cancel);
            Err(error)
        }
    }
}

fn environment(request: &Compile) -> Result<Environment, Error> {
    let config_vars = read_env_dir(&request.env_dir).map_err(|source| Error::EnvDir {
        path: request.env_dir.clone(),
        source,
    })?;
    Ok(Environment::new(request.process_env.clone(), config_vars))
}

fn wording(request: &Compile, environment: &Environment) -> Wording {
    let platform = if request.runtime_path.is_some() {
        messages::Platform::Local
    } else if environment.tests_only().is_some() {
        messages::Platform::HerokuCi
    } else {
        messages::Platform::of_classic(environment)
    };
    Wording::new(platform, environment)
}

fn build(
    request: &Compile,
    environment: Environment,
    log: &Log,
    cancel: &Cancel,
    report: &Report,
) -> Result<Record, Error> {
    let dir = &request.build_dir;
    fs::create_dir_all(dir).map_err(|source| TreeError {
        path: dir.clone(),
        operation: "create the folder",
        source,
    })?;
    let store = cache(&request.cache_dir, log, cancel)?;
    if let Some(why) = store.dropped() {
        log.warning(&[format!("discarding the cache: {why}")]);
    }
    let platform = Platform {
        runtime_path: request.runtime_path.clone(),
        run_image: run_image(request, &environment),
        ..Platform::default()
    };
    let built = pipeline::run(pipeline::Request {
        app: &request.build_dir,
        environment,
        platform,
        places: Places::in_slug(),
        store: &store,
        env_dir: Some(request.env_dir.clone()),
        start: Start::ProfileD {
            export: request.buildpack_dir.as_deref().and_then(export_file),
        },
        log,
        cancel,
        report,
        timeline: request.timeline.clone(),
    })?;
    Ok(built.record)
}

/// Returns the image of the dynos, if Heroku runs this build: only Heroku builds in `/tmp/build_…`. herokuish
/// (Dokku) also names a stack of Heroku, but builds in `/tmp/build` and runs the app on the build image.
fn run_image(request: &Compile, environment: &Environment) -> RunImage {
    let dir = request.build_dir.to_string_lossy();
    let stack = environment.platform("STACK").filter(|stack| {
        let is_herokus = stack.starts_with("heroku-") && dir.starts_with("/tmp/build_");
        is_herokus && request.runtime_path.is_none()
    });
    stack.map_or(RunImage::Unknown, RunImage::Certain)
}

/// Opens and locks the cache. If it is unusable, returns a temporary one.
fn cache(dir: &Path, log: &Log, cancel: &Cancel) -> Result<CacheDir, Error> {
    let waiting = || {
        let step = log.step("Waiting");
        step.detail(&format!(
            "for another build, which uses the cache in {}",
            dir.display()
        ));
    };
    match CacheDir::open_exclusive(dir, &cancel.flag(), waiting) {
        Ok(store) => Ok(store),
        Err(_) if cancel.is_cancelled() => Err(Error::Cancelled),
        Err(error) => {
            log.warning(&[
                format!("The cache is unusable: {error}"),
                "This build starts without a cache and saves none.".to_owned(),
            ]);
            Ok(CacheDir::temporary()?)
        }
    }
}

/// Returns the path of `export` next to `bin`, if that directory is writable: a local checkout may belong to another
/// user.
fn export_file(buildpack_dir: &Path) -> Option<PathBuf> {
    let file = buildpack_dir.join("export");
    let writable = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .is_ok();
    writable.then_some(file)
}

//! From an app and an environment to what was built: the plan, what the log says of it, the steps.
//!
//! What every front end does in the same way, whatever platform it speaks to.

use crate::cancel::Cancel;
use crate::credentials::Credentials;
use crate::environment::Environment;
use crate::error::Error;
use crate::log::Log;
use crate::prepare::{self, Platform};
use crate::record::{self, Record};
use crate::report::Report;
use crate::run::{self, Built, Means};
use crate::secrets;
use crate::store::Store;
use crate::timeline::{self, Course};
use crate::told::Told;
use crate::tree::TreeError;
use crate::workspace::{Places, Start, Workspace};
use fetch::{Client, Settings};
use std::fs;
use std::path::{Path, PathBuf};
use toolchain::Hosts;

/// What a front end knows of a build.
pub struct Request<'a> {
    /// The app, changed in place.
    pub app: &'a Path,
    pub environment: Environment,
    pub platform: Platform,
    pub places: Places,
    pub store: &'a dyn Store,
    /// The folder of config vars, where the platform has one.
    pub env_dir: Option<PathBuf>,
    pub start: Start,
    pub log: &'a Log,
    pub cancel: &'a Cancel,
    pub report: &'a Report,
    /// The file that gets a picture of the build, of one that fails too.
    pub timeline: Option<PathBuf>,
}

/// Plans, says what it will do, and does it. A failure is the caller's to explain; a build that a
/// signal has stopped ends with [`Error::Cancelled`].
pub fn build(mut request: Request<'_>) -> Result<Built, Error> {
    let (log, cancel) = (request.log, request.cancel);
    let timeline = request.timeline.take();
    let mut course = Course::default();
    let result = carried_out(request, &mut course)
        // Whatever the signal has broken off has its own way to say so.
        .map_err(|error| cancel.signal().map_or(error, |_| Error::Cancelled));
    if let Some(path) = timeline {
        draw(&path, &course, result.as_ref().err(), log);
    }
    result
}

/// A picture that cannot be written is no failure of the build.
fn draw(path: &Path, course: &Course, failure: Option<&Error>, log: &Log) {
    let title = format!("Mixpack {}", run::VERSION);
    let svg = timeline::svg(&title, course, failure);
    if let Err(error) = fs::write(path, svg) {
        let path = path.display();
        log.warning(&[format!("The timeline cannot be written to {path}: {error}")]);
    }
}

/// Has the log hide every secret of a build.
pub fn hide_secrets(log: &Log, environment: &Environment, hosts: &Hosts) {
    let known = [hosts.secrets(), Credentials::of(environment).secrets()].concat();
    for secret in known.iter().chain(&secrets::hidden(environment)) {
        log.hide(secret);
    }
}

fn carried_out(request: Request<'_>, course: &mut Course) -> Result<Built, Error> {
    let environment = request.environment;
    let hosts = Hosts::new(&|name| environment.get(name));
    hide_secrets(request.log, &environment, &hosts);
    let client = Client::new(Settings {
        cancel: request.cancel.flag(),
        ..Settings::default()
    });
    let last = request
        .store
        .read_note(record::NOTE)
        .and_then(|text| Record::parse(&text));
    let step = request.log.step("Planning");
    let plan = prepare::plan(prepare::Request {
        app: request.app,
        environment: &environment,
        client: &client,
        hosts: &hosts,
        last: last.as_ref(),
        store: Some(request.store),
        platform: &request.platform,
        observer: &Told::to(&step),
    })?;
    prepare::show(&step, &plan);
    request.report.planned(request.app, &plan);
    drop(step);
    let workspace = Workspace {
        app: fs::canonicalize(request.app).map_err(TreeError::at(request.app, "find"))?,
        build_dir: request.app.to_owned(),
        places: request.places,
        store: request.store,
        environment,
        env_dir: request.env_dir,
        start: request.start,
    };
    let means = Means {
        client: &client,
        hosts: &hosts,
        log: request.log,
        cancel: request.cancel,
        report: request.report,
    };
    run::run(&plan, &workspace, means, course)
}

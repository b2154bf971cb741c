//! The input of a plan.

use crate::record::Record;
use exec::cancel::Cancel;
use exec::environment::Environment;
use fetch::{Client, Observer};
use std::path::{Path, PathBuf};
use store::Store;
use toolchain::Hosts;
use versions::target::{Arch, OsRelease};

/// The input of a plan.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub app: &'a Path,
    pub environment: &'a Environment,
    pub client: &'a Client,
    pub hosts: &'a Hosts,
    /// The record of the last build of this app.
    pub last: Option<&'a Record>,
    /// The cache with copies of upstream's lists, for when upstream is down.
    pub store: Option<&'a dyn Store>,
    pub platform: &'a Platform,
    pub observer: &'a dyn Observer,
    pub cancel: &'a Cancel,
}

/// Settings of a platform that the classic buildpack API leaves to the app.
#[derive(Debug, Clone, Default)]
pub struct Platform {
    /// The path at which the app will run, if the platform sets it.
    pub runtime_path: Option<PathBuf>,
    /// Whether to build a release unless the app needs mix, to keep images small.
    pub prefers_release: bool,
    /// Whether no code of the repository may run: neither bash for a config file, which then counts as empty, nor an
    /// installed Node.js.
    pub executes_nothing: bool,
    /// The target system, if the platform provides it.
    pub system: Option<(OsRelease, Arch)>,
    pub run_image: RunImage,
}

/// The image that the app will run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RunImage {
    #[default]
    Unknown,
    /// The image of a Heroku stack (`heroku-24`), unless the user has chosen another one.
    Likely(String),
    /// The image of a Heroku stack.
    Certain(String),
}

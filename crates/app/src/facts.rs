//! Reads the user's files into facts. Decides nothing.

pub mod app_dir;
pub mod buildpacks;
mod config_file;
mod error;
mod files;
pub mod hex_metadata;
pub mod js_lock;
mod js_package;
mod js_workspace;
mod locked_packages;
mod mise;
pub mod mix_exs;
pub mod mix_lock;
mod node_sass;
mod node_use;
mod package_json;
mod package_manager;
mod paths;
mod procfile;
mod projects;
pub mod shell_config;
#[cfg(test)]
mod tests;
pub(crate) mod tool_versions;
mod version_files;
mod webpack;

pub use config_file::{ConfigFile, ELIXIR_CONFIG, STATIC_CONFIG, config_file};
pub use error::ReadError;
pub use js_package::{JsPackage, Member, Workspace};
pub use package_manager::Manager;
pub use paths::join;
pub use procfile::{PROCFILE, Procfile};
pub use projects::MixProject;

pub(crate) use js_package::LOCKFILES;
pub(crate) use node_sass::newest_node as newest_node_for_node_sass;
pub(crate) use package_json::{DevManager, PackageJson};
pub(crate) use package_manager::Pinned;
pub(crate) use paths::path_from;
pub(crate) use procfile::{GENERATED_HEADER, is_generated};
pub(crate) use version_files::is_local;
pub(crate) use webpack::{LEGACY_OPENSSL, needs_md4};

use crate::origin::Setting;
use files::{in_any_encoding, optional};
use mix_exs::{MixExs, lock_contains, locked_version};
use mix_lock::Locked;
use projects::sibling_projects;
use std::path::Path;
use tool_versions::Entry;
use version_files::VersionEntry;
use versions::node::NodeVersion;
use walkdir::WalkDir;

/// Everything in the app's files that the plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The app's directory, relative to the root of the repository, and the origin of the setting.
    pub app_dir: Setting,
    /// The root project first, then the others by path.
    pub projects: Vec<MixProject>,
    /// Directories with a `mix.exs` in the repository, outside the app's directory. Each may be a path
    /// dependency.
    pub sibling_projects: Vec<String>,
    /// Whether `mix.lock` names Phoenix.
    pub phoenix_locked: bool,
    /// The version of Phoenix in `mix.lock`, if it comes from hex.pm.
    pub phoenix_version: Option<String>,
    pub has_lock: bool,
    /// The text of the app's `config/config.exs`.
    pub config_exs: Option<String>,
    /// Whether `mix.lock` contains Distillery, and a file defines its releases.
    pub has_distillery: bool,
    /// The dependencies in `mix.lock`.
    pub locked: Vec<Locked>,
    pub elixir_config: ConfigFile,
    /// The path of that file: in the app's directory, or else in the root.
    pub elixir_config_path: String,
    pub static_config: ConfigFile,
    pub static_config_path: String,
    /// The entries of `.tool-versions`.
    pub tool_versions: Vec<Entry>,
    pub tool_versions_path: String,
    /// The requests in `mise.toml` and in the files with a single version, in order of precedence.
    pub version_files: Vec<VersionEntry>,
    /// The `package.json` files of the app, then of its `assets` directories.
    pub packages: Vec<JsPackage>,
    /// The directories with a `bower.json`, among those that were searched for a `package.json`.
    pub bower: Vec<String>,
    /// The version of Node.js that an earlier buildpack installed in the app. The caller runs it to get the version,
    /// and sets this.
    pub preinstalled_node: Option<NodeVersion>,
    /// The version of npm in that Node.js, if any. The caller sets this too.
    pub preinstalled_npm: Option<NodeVersion>,
    /// The `Procfile` in use: the one in the root, or else the one in the app's directory.
    pub procfile: Option<Procfile>,
    pub procfile_path: String,
    /// The static buildpack that `.buildpacks` lists after this one.
    pub later_static: Option<Setting>,
    /// The app's asset script, if any. [`add_configured`] sets this.
    pub asset_script: Option<String>,
    /// The place in the app's files that shows that the deployed app runs Node.js.
    pub node_use: Option<String>,
}

impl Facts {
    #[must_use]
    pub fn root(&self) -> &MixExs {
        &self.projects[0].guess
    }

    #[must_use]
    pub(crate) fn package_in(&self, dir: &str) -> Option<&JsPackage> {
        self.packages.iter().find(|package| package.dir == dir)
    }

    #[must_use]
    pub(crate) fn has_bower(&self, dir: &str) -> bool {
        self.bower.iter().any(|found| found == dir)
    }
}

/// The file that defines the releases of Distillery.
pub const DISTILLERY_CONFIG: &str = "rel/config.exs";

/// Reads the app in the directory `app_dir` of the repository in `dir`.
///
/// `mise_env` is the config var `MISE_ENV`, which determines the files that mise reads.
pub fn read(dir: &Path, app_dir: Setting, mise_env: Option<&str>) -> Result<Facts, ReadError> {
    let app = app_dir.value.as_str();
    if !dir.join(app).join("mix.exs").is_file() {
        return Err(no_mix_exs(dir));
    }
    let projects = projects::read(dir, app)?;
    let lock = optional(dir, &join(app, "mix.lock"))?;
    let static_config_path = nearest(dir, app, STATIC_CONFIG);
    let has_static_config = dir.join(&static_config_path).is_file();
    let mut packages = Vec::new();
    let mut bower = Vec::new();
    for project in &projects {
        for folder in [project.dir.clone(), join(&project.dir, "assets")] {
            packages.extend(js_workspace::package(dir, app, &folder, has_static_config)?);
            bower.extend(with_bower(dir, folder));
        }
    }
    let elixir_config_path = nearest(dir, app, ELIXIR_CONFIG);
    let procfile_path = procfile_path(dir, app)?;
    let tool_versions_path = nearest(dir, app, ".tool-versions");
    let procfile = optional(dir, &procfile_path)?.map(|text| Procfile::parse(&text));
    let dirs: Vec<String> = projects.iter().map(|project| project.dir.clone()).collect();
    let app_json = optional(dir, "app.json")?;
    let processes = node_use::Processes {
        procfile: procfile.as_ref(),
        app_json: app_json.as_deref(),
    };
    Ok(Facts {
        node_use: node_use::find(dir, &dirs, &processes, lock.as_deref()),
        sibling_projects: sibling_projects(dir, app),
        projects,
        phoenix_locked: lock
            .as_deref()
            .is_some_and(|lock| lock_contains(lock, "phoenix")),
        phoenix_version: lock
            .as_deref()
            .and_then(|lock| locked_version(lock, "phoenix")),
        has_lock: lock.is_some(),
        config_exs: in_any_encoding(dir, &join(app, "config/config.exs"))?.map(|(text, _)| text),
        has_distillery: lock
            .as_deref()
            .is_some_and(|lock| lock_contains(lock, "distillery"))
            && dir.join(app).join(DISTILLERY_CONFIG).is_file(),
        locked: lock.as_deref().map(mix_lock::parse).unwrap_or_default(),
        elixir_config: config_file(dir, &elixir_config_path)?,
        elixir_config_path,
        static_config: config_file(dir, &static_config_path)?,
        static_config_path,
        tool_versions: in_any_encoding(dir, &tool_versions_path)?
            .map(|(text, _)| tool_versions::parse(&text))
            .unwrap_or_default(),
        tool_versions_path,
        version_files: version_files(dir, app, mise_env)?,
        packages,
        bower,
        preinstalled_node: None,
        preinstalled_npm: None,
        procfile,
        procfile_path,
        later_static: in_any_encoding(dir, buildpacks::FILE)?
            .and_then(|(text, _)| buildpacks::later_static(&text)),
        asset_script: None,
        app_dir,
    })
}

/// Reads the files that settings name: the app's asset script, and the `package.json` in the directories
/// that `assets_path` may stand for, one for each project.
pub fn add_configured(
    facts: &mut Facts,
    dir: &Path,
    compile_script: &str,
    assets_path: Option<&Setting>,
) -> Result<(), ReadError> {
    let script = path_from(&facts.app_dir.value, compile_script);
    let is_there = |script: &String| !script.starts_with("..") && dir.join(script).is_file();
    facts.asset_script = Some(script).filter(is_there);
    let Some(assets_path) = assets_path else {
        return Ok(());
    };
    let app = facts.app_dir.value.clone();
    let folders = facts
        .projects
        .iter()
        .map(|project| path_from(&project.dir, &assets_path.value));
    for folder in folders.collect::<Vec<_>>() {
        if facts.package_in(&folder).is_none() {
            let has_static_config = facts.static_config != ConfigFile::Missing;
            facts.packages.extend(js_workspace::package(
                dir,
                &app,
                &folder,
                has_static_config,
            )?);
        }
        if !facts.has_bower(&folder) {
            facts.bower.extend(with_bower(dir, folder));
        }
    }
    Ok(())
}

/// Returns the path of a file in the app's directory, or else in the root, for all apps there.
fn nearest(dir: &Path, app: &str, name: &str) -> String {
    let of_app = join(app, name);
    if dir.join(&of_app).is_file() {
        of_app
    } else {
        name.to_owned()
    }
}

/// Returns the `Procfile` in use. The one in the root counts, unless an earlier build in this directory created
/// it from the app's.
fn procfile_path(dir: &Path, app: &str) -> Result<String, ReadError> {
    let at_top = optional(dir, PROCFILE)?.filter(|text| !is_generated(text));
    Ok(match at_top {
        Some(_) => PROCFILE.to_owned(),
        None => join(app, PROCFILE),
    })
}

fn version_files(
    dir: &Path,
    app: &str,
    mise_env: Option<&str>,
) -> Result<Vec<VersionEntry>, ReadError> {
    let mut entries = mise::entries(dir, app, mise_env)?;
    for (name, tool) in version_files::SINGLE {
        let path = nearest(dir, app, name);
        if let Some((text, _)) = in_any_encoding(dir, &path)? {
            entries.extend(version_files::single(&path, tool, &text));
        }
    }
    Ok(entries)
}

/// Returns the directory, if it contains a `bower.json`.
fn with_bower(dir: &Path, folder: String) -> Option<String> {
    let file = dir.join(&folder).join("bower.json");
    file.is_file().then_some(folder)
}

/// Describes a repository without an app in its expected place.
fn no_mix_exs(dir: &Path) -> ReadError {
    let candidate_dirs = app_dir::candidate_dirs(dir);
    let phoenix = candidate_dirs
        .iter()
        .filter(|candidate| app_dir::has_phoenix(dir, candidate));
    ReadError::NoMixExs {
        dir: dir.to_owned(),
        found: listing(dir),
        phoenix: phoenix.cloned().collect(),
        candidate_dirs,
    }
}

/// Lists the directory, for the message about a missing `mix.exs`.
fn listing(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = WalkDir::new(dir)
        .min_depth(1)
        .max_depth(1)
        .into_iter()
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_dir() {
                format!("{name}/")
            } else {
                name
            }
        })
        .collect();
    names.sort();
    names.truncate(20);
    names
}

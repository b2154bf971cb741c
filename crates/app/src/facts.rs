//! Reads the user's files into facts. Decides nothing.

#[cfg(test)]
mod tests;

use crate::app_dir;
use crate::buildpacks;
use crate::js_workspace::{self, Workspace};
use crate::launcher;
use crate::mise;
use crate::mix_exs::{MixExs, lock_holds, locked_version};
use crate::mix_lock::{self, Locked};
use crate::node_use;
use crate::origin::{Asked, Origin};
use crate::package_json::{self, PackageJson};
use crate::package_manager::{self, Manager};
use crate::procfile::Procfile;
use crate::settings::Settings;
use crate::shell_config::{self, Assignment};
use crate::text_file::{self, Encoding};
use crate::tool_versions::{self, Entry};
use crate::version_files::{self, VersionEntry};
use crate::webpack;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use versions::node::NodeVersion;
use walkdir::WalkDir;

/// The config file of the Elixir buildpack.
pub const ELIXIR_CONFIG: &str = "elixir_buildpack.config";
/// The config file of the Phoenix static buildpack.
pub const STATIC_CONFIG: &str = "phoenix_static_buildpack.config";

/// The file of process types.
pub const PROCFILE: &str = "Procfile";

/// An error when reading the files of the app.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("there is no mix.exs in {}", dir.display())]
    NoMixExs {
        dir: PathBuf,
        found: Vec<String>,
        /// Directories below with a `mix.exs`, as [`app_dir::below`] finds them.
        below: Vec<String>,
        /// Those that depend on Phoenix.
        phoenix: Vec<String>,
    },
    /// The app's directory is set to a path outside the repository.
    #[error("{} sets the app's directory to {}, which is outside the repository", asked.origin, asked.value)]
    AppDirOutside { asked: Asked },
    #[error("{} sets the app's directory to {}, which contains no mix.exs", asked.origin, asked.value)]
    NoAppInFolder {
        asked: Asked,
        /// Whether the directory exists.
        is_folder: bool,
        below: Vec<String>,
    },
    #[error("could not read {path}: {source}")]
    Io { path: String, source: io::Error },
    /// A file with an encoding that other programs can't read.
    #[error("{path} is encoded as {}", encoding.as_str())]
    Encoding { path: String, encoding: Encoding },
    #[error("{path}:{line}: {message}")]
    PackageJson {
        path: String,
        line: usize,
        message: String,
    },
    /// A file of mise that is not TOML.
    #[error("{path}:{line}: {message}")]
    Toml {
        path: String,
        line: u32,
        message: String,
    },
}

/// One of the two bash config files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    Missing,
    /// Every assignment of the file, in its order.
    Values(Vec<Assignment>),
    /// The file contains more than assignments; the caller evaluates it and replaces this.
    NeedsBash {
        line: u32,
        construct: String,
    },
}

/// A `package.json` and its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsPackage {
    /// Relative to the root of the repository, which is `.`.
    pub dir: String,
    pub json: PackageJson,
    /// The requested versions of Node: those of `engines`, `volta` and `devEngines`, in this order.
    pub node: Vec<Asked>,
    /// Its `packageManager`.
    pub manager: Option<Asked>,
    /// Where its `devEngines.packageManager` is.
    pub(crate) dev_engines: Origin,
    /// The names of the lockfiles next to it that are used.
    pub lockfiles: Vec<String>,
    /// Those that are ignored, as in the static buildpack.
    pub ignored_lockfiles: Vec<String>,
    /// The declared format of the first lockfile; yarn 1, npm and bun declare none.
    pub lock_format: Option<String>,
    /// The version of webpack that is installed, if known.
    pub webpack: Option<String>,
    /// The workspace that it belongs to, if its packages are installed there.
    pub workspace: Option<Workspace>,
}

/// A mix project in the app's directory: the root, an umbrella child, or a path dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixProject {
    /// Relative to the root of the repository, which is `.`.
    pub dir: String,
    pub guess: MixExs,
}

/// Everything in the app's files that the plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The app's directory, relative to the root of the repository, and the origin of the setting.
    pub app_dir: Asked,
    /// The root project first, then the others by path.
    pub projects: Vec<MixProject>,
    /// Directories with a `mix.exs` in the repository, outside the app's directory. Each may be a path
    /// dependency.
    pub beside: Vec<String>,
    /// Whether `mix.lock` names Phoenix.
    pub phoenix_locked: bool,
    /// The version of Phoenix there, if it comes from hex.pm.
    pub phoenix_version: Option<String>,
    pub has_lock: bool,
    /// The text of the app's `config/config.exs`.
    pub config_exs: Option<String>,
    /// Whether `mix.lock` contains Distillery, and a file defines its releases.
    pub has_distillery: bool,
    /// The dependencies in `mix.lock`.
    pub locked: Vec<Locked>,
    pub elixir_config: ConfigFile,
    /// Its place: in the app's folder, or else at the top.
    pub elixir_config_path: String,
    pub static_config: ConfigFile,
    pub static_config_path: String,
    /// The entries of `.tool-versions`.
    pub tool_versions: Vec<Entry>,
    pub tool_versions_path: String,
    /// The requests in `mise.toml` and in the files with a single version, in order of precedence.
    pub version_files: Vec<VersionEntry>,
    /// By directory: the app, then `assets` directories.
    pub packages: Vec<JsPackage>,
    /// The directories with a `bower.json`, among those that were searched for a `package.json`.
    pub bower: Vec<String>,
    /// The version of Node.js that an earlier buildpack installed in the app. The caller runs it to find out,
    /// and sets this.
    pub given_node: Option<NodeVersion>,
    /// The version of npm in that Node.js, if any. The caller sets this too.
    pub given_npm: Option<NodeVersion>,
    /// The `Procfile` in use: the one in the root, or else the one in the app's directory.
    pub procfile: Option<Procfile>,
    pub procfile_path: String,
    /// The static buildpack that `.buildpacks` lists after this one.
    pub later_static: Option<Asked>,
    /// The app's asset script, if any. [`add_configured`] sets this.
    pub asset_script: Option<String>,
    /// The place that shows that the deployed app runs Node.js.
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

pub(crate) const LOCKFILES: [&str; 6] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
];

/// The file that defines the releases of Distillery.
pub const DISTILLERY_CONFIG: &str = "rel/config.exs";

/// Directories that a build creates or fetches. A `mix.exs` in them is not a project of the user.
const NOT_THE_USERS: [&str; 8] = [
    "deps",
    "_build",
    "node_modules",
    ".git",
    ".platform_tools",
    ".mix",
    ".hex",
    ".heroku",
];

/// Reads the app in the directory `app_dir` of the repository in `dir`.
///
/// `mise_env` is the config var `MISE_ENV`, which determines the files that mise reads.
pub fn read(dir: &Path, app_dir: Asked, mise_env: Option<&str>) -> Result<Facts, ReadError> {
    let app = app_dir.value.as_str();
    if !dir.join(app).join("mix.exs").is_file() {
        let below = app_dir::below(dir);
        let phoenix = below
            .iter()
            .filter(|below| app_dir::has_phoenix(dir, below));
        return Err(ReadError::NoMixExs {
            dir: dir.to_owned(),
            found: listing(dir),
            phoenix: phoenix.cloned().collect(),
            below,
        });
    }
    let mut projects = Vec::new();
    for project in project_dirs(dir, app) {
        let path = join(&project, "mix.exs");
        // Others may not belong to the app: templates, test fixtures.
        let text = if project == app {
            optional(dir, &path)?
        } else {
            in_any_encoding(dir, &path)?.map(|(text, _)| text)
        };
        if let Some(text) = text {
            projects.push(MixProject {
                guess: MixExs::guess(&path, &text),
                dir: project,
            });
        }
    }
    let lock = optional(dir, &join(app, "mix.lock"))?;
    let static_config_path = nearest(dir, app, STATIC_CONFIG);
    let has_static_config = dir.join(&static_config_path).is_file();
    let mut packages = Vec::new();
    let mut bower = Vec::new();
    for project in &projects {
        for folder in [project.dir.clone(), join(&project.dir, "assets")] {
            packages.extend(package(dir, app, &folder, has_static_config)?);
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
        beside: beside(dir, app),
        projects,
        phoenix_locked: lock
            .as_deref()
            .is_some_and(|lock| lock_holds(lock, "phoenix")),
        phoenix_version: lock
            .as_deref()
            .and_then(|lock| locked_version(lock, "phoenix")),
        has_lock: lock.is_some(),
        config_exs: in_any_encoding(dir, &join(app, "config/config.exs"))?.map(|(text, _)| text),
        has_distillery: lock
            .as_deref()
            .is_some_and(|lock| lock_holds(lock, "distillery"))
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
        given_node: None,
        given_npm: None,
        procfile,
        procfile_path,
        later_static: in_any_encoding(dir, buildpacks::FILE)?
            .and_then(|(text, _)| buildpacks::later_static(&text)),
        asset_script: None,
        app_dir,
    })
}

/// Reads the files in the settings: the app's asset script, and the `package.json` in the directories
/// that `assets_path` may stand for, one for each project.
pub fn add_configured(facts: &mut Facts, dir: &Path, settings: &Settings) -> Result<(), ReadError> {
    let script = path_from(&facts.app_dir.value, &settings.compile_script);
    let is_there = |script: &String| !script.starts_with("..") && dir.join(script).is_file();
    facts.asset_script = Some(script).filter(is_there);
    let Some(assets_path) = &settings.assets_path else {
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
            facts
                .packages
                .extend(package(dir, &app, &folder, has_static_config)?);
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
    let at_top = optional(dir, PROCFILE)?.filter(|text| !launcher::is_made(text));
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

/// Returns the package in a directory, with its workspace.
fn package(
    dir: &Path,
    app: &str,
    folder: &str,
    has_static_config: bool,
) -> Result<Option<JsPackage>, ReadError> {
    let Some(text) = optional(dir, &join(folder, "package.json"))? else {
        return Ok(None);
    };
    let mut package = js_package(dir, folder, &text, has_static_config)?;
    let manager_of = |package: &JsPackage| {
        let lockfile = package.lockfiles.first();
        lockfile.map(|name| Manager::of_lockfile(name))
    };
    let Some(mut workspace) = workspace(dir, app, &package, has_static_config)? else {
        return Ok(Some(package));
    };
    // A member with a lockfile of another package manager is not installed with the others.
    let own = manager_of(&package);
    if own.is_none() || own == manager_of(&workspace.root) {
        let root = &mut workspace.root;
        root.manager = root.manager.take().or_else(|| package.manager.clone());
        if let Some(name) = root.lockfiles.first() {
            let lock = optional(dir, &join(&root.dir, name))?;
            package.webpack = webpack::installed(&package.json, lock.as_deref());
        }
        package.workspace = Some(workspace);
    }
    Ok(Some(package))
}

/// Returns the nearest workspace in the directory of a package or above it, within the repository.
fn workspace(
    dir: &Path,
    app: &str,
    package: &JsPackage,
    has_static_config: bool,
) -> Result<Option<Workspace>, ReadError> {
    let deps = join(app, "deps");
    for above in Path::new(&package.dir).ancestors() {
        let above = match above.to_str() {
            Some("") | None => ".",
            Some(above) => above,
        };
        let pnpm_workspace = optional(dir, &join(above, js_workspace::OF_PNPM))?;
        let json = optional(dir, &join(above, "package.json"))?;
        if json.is_none() && pnpm_workspace.is_none() {
            continue;
        }
        // The root of a pnpm workspace needs no package.json. An invalid one above declares nothing.
        let json = json.unwrap_or_else(|| "{}".to_owned());
        let Ok(root) = js_package(dir, above, &json, has_static_config) else {
            continue;
        };
        let pnpm_workspace = pnpm_workspace.as_deref();
        let found = Workspace::declared(dir, &deps, root, pnpm_workspace, &package.dir);
        if found.is_some() || pnpm_workspace.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn js_package(
    dir: &Path,
    folder: &str,
    text: &str,
    has_static_config: bool,
) -> Result<JsPackage, ReadError> {
    let path = join(folder, "package.json");
    let json = PackageJson::parse(text).map_err(|error| ReadError::PackageJson {
        path: path.clone(),
        line: error.line(),
        message: error.to_string(),
    })?;
    let node = json
        .node_versions()
        .into_iter()
        .map(|(section, key, value)| {
            let line = package_json::line_of(text, section, key);
            Asked::new(value, Origin::file(path.clone(), line))
        })
        .collect();
    let manager = package_manager::asked(&path, text, json.package_manager.as_ref());
    let lockfiles: Vec<String> = LOCKFILES
        .iter()
        .filter(|name| dir.join(folder).join(name).is_file())
        .map(|name| (*name).to_owned())
        .collect();
    let (lockfiles, ignored_lockfiles) = if has_static_config {
        package_manager::of_the_static_buildpack(lockfiles, manager.as_ref())
    } else {
        (lockfiles, Vec::new())
    };
    let lock = match lockfiles.first() {
        Some(name) => optional(dir, &join(folder, name))?.map(|text| (name, text)),
        None => None,
    };
    let lock_format = lock
        .as_ref()
        .and_then(|(name, text)| package_manager::lock_format(name, text));
    let lock = lock.as_ref().map(|(_, text)| text.as_str());
    let line = package_json::line_of(text, "devEngines", "packageManager");
    Ok(JsPackage {
        webpack: webpack::installed(&json, lock),
        dir: folder.to_owned(),
        json,
        node,
        manager,
        dev_engines: Origin::file(path, line),
        lockfiles,
        ignored_lockfiles,
        lock_format,
        workspace: None,
    })
}

/// Returns `base/name`, without a leading `./`.
#[must_use]
pub fn join(base: &str, name: &str) -> String {
    match (base, name) {
        (".", name) => name.to_owned(),
        (base, ".") => base.to_owned(),
        (base, name) => format!("{base}/{name}"),
    }
}

/// Normalizes a user's path, relative to a directory: in `.`, `./assets/` and `/assets` become `assets`. The
/// static buildpack joins the directory and the path with a slash, so a leading slash has no effect.
pub(crate) fn path_from(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts[..] {
        [] => ".".to_owned(),
        _ => parts.join("/"),
    }
}

/// Returns the directories with a `mix.exs` of the user in `app` and below, relative to `dir`: `app` first.
#[must_use]
pub(crate) fn project_dirs(dir: &Path, app: &str) -> Vec<String> {
    let mut found = with_mix_exs(&dir.join(app), 4);
    found.sort();
    let found = found.into_iter().map(|found| join(app, &found));
    std::iter::once(app.to_owned()).chain(found).collect()
}

/// Returns the other ones in the repository. Path dependencies may be deeper than an umbrella's children.
fn beside(dir: &Path, app: &str) -> Vec<String> {
    if app == "." {
        return Vec::new();
    }
    let mut found = with_mix_exs(dir, 6);
    found.retain(|found| !Path::new(found).starts_with(app));
    found.sort();
    found
}

/// Returns the directories with a `mix.exs` of the user below `dir`, relative to it.
fn with_mix_exs(dir: &Path, depth: usize) -> Vec<String> {
    WalkDir::new(dir)
        .min_depth(1)
        .max_depth(depth)
        .into_iter()
        .filter_entry(|entry| {
            !(entry.file_type().is_dir()
                && entry
                    .file_name()
                    .to_str()
                    .is_some_and(|name| NOT_THE_USERS.contains(&name)))
        })
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && entry.file_name() == "mix.exs")
        .filter_map(|entry| {
            let parent = entry.path().parent()?.strip_prefix(dir).ok()?.to_str()?;
            (!parent.is_empty()).then(|| parent.to_owned())
        })
        .collect()
}

/// Reads one of the two config files.
pub fn config_file(dir: &Path, name: &str) -> Result<ConfigFile, ReadError> {
    let Some(text) = optional(dir, name)? else {
        return Ok(ConfigFile::Missing);
    };
    Ok(match shell_config::parse(&text) {
        shell_config::Outcome::Plain(config) => ConfigFile::Values(config.assignments),
        shell_config::Outcome::NeedsBash { line, construct } => ConfigFile::NeedsBash {
            line,
            construct: construct.to_owned(),
        },
    })
}

/// Reads a file that other programs read too, which only support UTF-8. `None` if it doesn't exist.
fn optional(dir: &Path, name: &str) -> Result<Option<String>, ReadError> {
    match in_any_encoding(dir, name)? {
        Some((text, Encoding::Utf8)) => Ok(Some(text)),
        Some((_, encoding)) => Err(ReadError::Encoding {
            path: name.to_owned(),
            encoding,
        }),
        None => Ok(None),
    }
}

/// Reads a file that no other program of the build reads.
pub(crate) fn in_any_encoding(
    dir: &Path,
    name: &str,
) -> Result<Option<(String, Encoding)>, ReadError> {
    match text_file::read_bytes(&dir.join(name)) {
        Ok(bytes) => Ok(Some(text_file::decode(&bytes))),
        Err(error) if is_missing(error.kind()) => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: name.to_owned(),
            source,
        }),
    }
}

fn is_missing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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

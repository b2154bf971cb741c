//! Reads the user's files into facts. Decides nothing.

use crate::app_dir;
use crate::buildpacks;
use crate::launcher;
use crate::mix_exs::{MixExs, lock_holds, locked_version};
use crate::node_use;
use crate::origin::{Asked, Origin};
use crate::package_json::{self, PackageJson};
use crate::package_manager;
use crate::procfile::Procfile;
use crate::shell_config::{self, Assignment};
use crate::tool_versions::{self, Entry};
use crate::version_files::{self, VersionEntry};
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

/// A file of the app that cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("there is no mix.exs in {}", dir.display())]
    NoMixExs {
        dir: PathBuf,
        found: Vec<String>,
        /// Folders below that have one, as [`app_dir::below`] finds them.
        below: Vec<String>,
        /// Those among them that depend on Phoenix.
        phoenix: Vec<String>,
    },
    /// What names the app's folder leads out of the repository.
    #[error("{} names {}, which is not in the repository", asked.origin, asked.value)]
    AppDirOutside { asked: Asked },
    #[error("{} names {}, which holds no mix.exs", asked.origin, asked.value)]
    NoAppInFolder {
        asked: Asked,
        /// Whether it is there at all.
        is_folder: bool,
        below: Vec<String>,
    },
    #[error("{path} cannot be read: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}:{line}: {message}")]
    PackageJson {
        path: String,
        line: usize,
        message: String,
    },
    /// A `mise.toml` that is not TOML.
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
    /// The file uses more of bash than assignments; the caller evaluates it and replaces this.
    NeedsBash {
        line: u32,
        construct: String,
    },
}

/// A `package.json`, and the folder that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsPackage {
    /// Relative to the top of the repository, which `.` stands for.
    pub dir: String,
    pub json: PackageJson,
    /// The versions of Node that it asks for: those of `engines`, `volta` and `devEngines`, as far
    /// as it has them, in this order.
    pub node: Vec<Asked>,
    /// Its `packageManager`.
    pub manager: Option<Asked>,
    /// The lockfiles beside it, by name.
    pub lockfiles: Vec<String>,
    /// The format that the first of them says it has; yarn 1, npm and bun say none.
    pub lock_format: Option<String>,
}

/// A mix project in the app's folder: the root, an umbrella child, or a path dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixProject {
    /// Relative to the top of the repository, which `.` stands for.
    pub dir: String,
    pub guess: MixExs,
}

/// Everything that the plan depends on and that the app's files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The app's folder, relative to the top of the repository; who asked for it.
    pub app_dir: Asked,
    /// The root project first, then the others by path.
    pub projects: Vec<MixProject>,
    /// Folders of the repository outside of the app's that hold a `mix.exs`: any of them may be a
    /// path dependency.
    pub beside: Vec<String>,
    /// Whether `mix.lock` names Phoenix.
    pub phoenix_locked: bool,
    /// The version of Phoenix there, where it comes from hex.pm.
    pub phoenix_version: Option<String>,
    pub has_lock: bool,
    pub elixir_config: ConfigFile,
    /// Its place: in the app's folder, or else at the top.
    pub elixir_config_path: String,
    pub static_config: ConfigFile,
    pub static_config_path: String,
    /// The entries of `.tool-versions`.
    pub tool_versions: Vec<Entry>,
    pub tool_versions_path: String,
    /// What `mise.toml` and the files of one version ask for, those that win first.
    pub version_files: Vec<VersionEntry>,
    /// By folder: the app, then `assets` folders.
    pub packages: Vec<JsPackage>,
    /// The folders, of those that were looked into for a `package.json`, with a `bower.json`.
    pub bower: Vec<String>,
    /// The version of the Node.js that an earlier buildpack has left in the app. It has to be run to
    /// be asked: the caller does, and sets this.
    pub given_node: Option<NodeVersion>,
    /// The `Procfile` that counts: the one at the top, or else the one in the app's folder.
    pub procfile: Option<Procfile>,
    pub procfile_path: String,
    /// The static buildpack that `.buildpacks` lists behind this one.
    pub later_static: Option<Asked>,
    /// Regular files directly in the app folder, by name.
    pub root_files: Vec<String>,
    /// Where the app speaks of running Node.js once it is deployed.
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

const LOCKFILES: [&str; 6] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
];

/// Folders that a build makes or fetches; a `mix.exs` in them is not the user's project.
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

/// Reads the app in the folder `app_dir` of the repository in `dir`.
pub fn read(dir: &Path, app_dir: Asked) -> Result<Facts, ReadError> {
    let app = app_dir.value.as_str();
    let root_files = root_files(&dir.join(app))?;
    if !root_files.iter().any(|name| name == "mix.exs") {
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
        if let Some(text) = optional(dir, &path)? {
            projects.push(MixProject {
                guess: MixExs::guess(&path, &text),
                dir: project,
            });
        }
    }
    let lock = optional(dir, &join(app, "mix.lock"))?;
    let mut packages = Vec::new();
    let mut bower = Vec::new();
    for project in &projects {
        for folder in [project.dir.clone(), join(&project.dir, "assets")] {
            packages.extend(package(dir, &folder)?);
            bower.extend(with_bower(dir, folder));
        }
    }
    let elixir_config_path = nearest(dir, app, ELIXIR_CONFIG);
    let static_config_path = nearest(dir, app, STATIC_CONFIG);
    let procfile_path = procfile_path(dir, app)?;
    let tool_versions_path = nearest(dir, app, ".tool-versions");
    let procfile = optional(dir, &procfile_path)?.map(|text| Procfile::parse(&text));
    let dirs: Vec<String> = projects.iter().map(|project| project.dir.clone()).collect();
    Ok(Facts {
        node_use: node_use::find(dir, &dirs, procfile.as_ref(), lock.as_deref()),
        beside: beside(dir, app),
        projects,
        phoenix_locked: lock
            .as_deref()
            .is_some_and(|lock| lock_holds(lock, "phoenix")),
        phoenix_version: lock
            .as_deref()
            .and_then(|lock| locked_version(lock, "phoenix")),
        has_lock: lock.is_some(),
        elixir_config: config_file(dir, &elixir_config_path)?,
        elixir_config_path,
        static_config: config_file(dir, &static_config_path)?,
        static_config_path,
        tool_versions: optional(dir, &tool_versions_path)?
            .map(|text| tool_versions::parse(&text))
            .unwrap_or_default(),
        tool_versions_path,
        version_files: version_files(dir, app)?,
        packages,
        bower,
        given_node: None,
        procfile,
        procfile_path,
        later_static: optional(dir, buildpacks::FILE)?
            .and_then(|text| buildpacks::later_static(&text)),
        root_files,
        app_dir,
    })
}

/// Reads the `package.json` of the folders that a configured `assets_path` may mean, which is
/// known once the settings are: one for each project.
pub fn add_configured_packages(
    facts: &mut Facts,
    dir: &Path,
    assets_path: &str,
) -> Result<(), ReadError> {
    let configured = clean(assets_path);
    let folders = facts
        .projects
        .iter()
        .map(|project| join(&project.dir, &configured));
    for folder in folders.collect::<Vec<_>>() {
        if facts.package_in(&folder).is_none() {
            facts.packages.extend(package(dir, &folder)?);
        }
        if !facts.has_bower(&folder) {
            facts.bower.extend(with_bower(dir, folder));
        }
    }
    Ok(())
}

/// The place of a file that the app's folder may have, or else the top for all of its apps.
fn nearest(dir: &Path, app: &str, name: &str) -> String {
    let of_app = join(app, name);
    if dir.join(&of_app).is_file() {
        of_app
    } else {
        name.to_owned()
    }
}

/// The `Procfile` at the top counts as it is, unless an earlier build in this folder has made it of
/// the app's.
fn procfile_path(dir: &Path, app: &str) -> Result<String, ReadError> {
    let at_top = optional(dir, PROCFILE)?.filter(|text| !launcher::is_made(text));
    Ok(match at_top {
        Some(_) => PROCFILE.to_owned(),
        None => join(app, PROCFILE),
    })
}

fn version_files(dir: &Path, app: &str) -> Result<Vec<VersionEntry>, ReadError> {
    let mut entries = Vec::new();
    for name in version_files::MISE {
        let path = nearest(dir, app, name);
        if let Some(text) = optional(dir, &path)? {
            entries.extend(version_files::mise(&path, &text)?);
        }
    }
    for (name, tool) in version_files::SINGLE {
        let path = nearest(dir, app, name);
        if let Some(text) = optional(dir, &path)? {
            entries.extend(version_files::single(&path, tool, &text));
        }
    }
    Ok(entries)
}

/// The folder, if it has a `bower.json`.
fn with_bower(dir: &Path, folder: String) -> Option<String> {
    let file = dir.join(&folder).join("bower.json");
    file.is_file().then_some(folder)
}

fn package(dir: &Path, folder: &str) -> Result<Option<JsPackage>, ReadError> {
    let path = join(folder, "package.json");
    let Some(text) = optional(dir, &path)? else {
        return Ok(None);
    };
    let json = PackageJson::parse(&text).map_err(|error| ReadError::PackageJson {
        path: path.clone(),
        line: error.line(),
        message: error.to_string(),
    })?;
    let node = json
        .node_versions()
        .into_iter()
        .map(|(section, key, value)| {
            let line = package_json::line_of(&text, section, key);
            Asked::new(value, Origin::file(path.clone(), line))
        })
        .collect();
    let manager = package_manager::asked(&path, &text, json.package_manager.as_ref());
    let lockfiles: Vec<String> = LOCKFILES
        .iter()
        .filter(|name| dir.join(folder).join(name).is_file())
        .map(|name| (*name).to_owned())
        .collect();
    let lock_format = match lockfiles.first() {
        Some(name) => optional(dir, &join(folder, name))?
            .and_then(|text| package_manager::lock_format(name, &text)),
        None => None,
    };
    Ok(Some(JsPackage {
        dir: folder.to_owned(),
        json,
        node,
        manager,
        lockfiles,
        lock_format,
    }))
}

/// `base/name`, without a leading `./`.
#[must_use]
pub fn join(base: &str, name: &str) -> String {
    match (base, name) {
        (".", name) => name.to_owned(),
        (base, ".") => base.to_owned(),
        (base, name) => format!("{base}/{name}"),
    }
}

/// A folder as a user may write it, in the form of these facts: `./assets/` is `assets`.
pub(crate) fn clean(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    if path.is_empty() { "." } else { path }.to_owned()
}

/// The folders at and below `app` that hold a `mix.exs` of the user's, relative to `dir`: `app`
/// first.
#[must_use]
pub(crate) fn project_dirs(dir: &Path, app: &str) -> Vec<String> {
    let mut found = with_mix_exs(&dir.join(app), 4);
    found.sort();
    let found = found.into_iter().map(|found| join(app, &found));
    std::iter::once(app.to_owned()).chain(found).collect()
}

/// The others of the repository. Path dependencies may be deeper than an umbrella's children are.
fn beside(dir: &Path, app: &str) -> Vec<String> {
    if app == "." {
        return Vec::new();
    }
    let mut found = with_mix_exs(dir, 6);
    found.retain(|found| !Path::new(found).starts_with(app));
    found.sort();
    found
}

/// The folders below `dir`, relative to it, that hold a `mix.exs` of the user's.
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

/// The text of a file, `None` where there is none. Bytes that are not UTF-8 become `U+FFFD`.
fn optional(dir: &Path, name: &str) -> Result<Option<String>, ReadError> {
    match read_file(&dir.join(name)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: name.to_owned(),
            source,
        }),
    }
}

/// The largest file that is read as text, in bytes. Lockfiles of large apps have some 10 MB.
const LARGEST: u64 = 128 << 20;

/// Of what is neither a file nor a folder nothing is read: a pipe or a terminal would not end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let found = path.metadata()?;
    if !found.is_file() && !found.is_dir() {
        return Err(io::Error::other("it is no regular file"));
    }
    if found.len() > LARGEST {
        let megabytes = LARGEST >> 20;
        let reason = format!("it is larger than {megabytes} MB");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    std::fs::read(path)
}

fn root_files(dir: &Path) -> Result<Vec<String>, ReadError> {
    let entries = std::fs::read_dir(dir).map_err(|source| ReadError::Io {
        path: dir.display().to_string(),
        source,
    })?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// What stands in the folder instead, for the message of a missing `mix.exs`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path) -> Result<Facts, ReadError> {
        super::read(dir, app_dir::resolve(dir, None)?)
    }

    fn app(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn umbrella_children_are_projects_and_fetched_code_is_not() {
        let dir = app(&[
            ("mix.exs", "[apps_path: \"apps\"]"),
            ("apps/web/mix.exs", "[app: :web]"),
            ("apps/web/assets/package.json", "{}"),
            ("apps/core/mix.exs", "[app: :core]"),
            ("deps/phoenix/mix.exs", "[app: :phoenix]"),
            ("apps/web/assets/node_modules/x/mix.exs", "[app: :no]"),
        ]);
        let facts = read(dir.path()).unwrap();
        let dirs: Vec<_> = facts.projects.iter().map(|p| p.dir.as_str()).collect();
        assert_eq!(dirs, [".", "apps/core", "apps/web"]);
        assert!(facts.package_in("apps/web/assets").is_some());
    }

    #[test]
    fn a_folder_without_mix_exs_is_refused_with_what_it_holds() {
        let dir = app(&[("src/mix.exs", ""), ("package.json", "{}")]);
        let Err(ReadError::NoMixExs { found, below, .. }) = read(dir.path()) else {
            panic!("must be refused");
        };
        assert_eq!(found, ["package.json", "src/"]);
        assert_eq!(below, ["src"]);
    }

    #[test]
    fn an_app_in_a_folder_has_its_own_files_and_those_of_the_top_that_it_has_not() {
        let dir = app(&[
            ("mix.lock", "%{\n  \"phoenix\": {:hex},\n}"),
            (".tool-versions", "elixir 1.17"),
            (".nvmrc", "20"),
            (
                "elixir_buildpack.config",
                "app_relative_path=services/backend",
            ),
            ("phoenix_static_buildpack.config", "node_version=20"),
            ("services/backend/mix.exs", "[elixir: \"~> 1.15\"]"),
            ("services/backend/.nvmrc", "22"),
            ("services/backend/elixir_buildpack.config", "release=true"),
            ("services/backend/assets/package.json", "{}"),
            ("services/backend/apps/web/mix.exs", "[app: :web]"),
            ("services/backend/compile", ""),
            ("services/other/mix.exs", "{:phoenix, \"~> 1.8\"}"),
            ("services/other/package.json", "no JSON"),
            ("libs/a/b/c/shared/mix.exs", "[app: :shared]"),
        ]);
        let asked = Asked::new("services/backend".to_owned(), Origin::LastBuild);
        let facts = super::read(dir.path(), asked).unwrap();
        let dirs: Vec<_> = facts.projects.iter().map(|p| p.dir.as_str()).collect();
        assert_eq!(dirs, ["services/backend", "services/backend/apps/web"]);
        assert_eq!(facts.beside, ["libs/a/b/c/shared", "services/other"]);
        let place = &facts.root().elixir.as_ref().unwrap().origin;
        assert_eq!(place.to_string(), "services/backend/mix.exs:1");
        assert!(!facts.phoenix_locked && !facts.has_lock);
        assert!(facts.package_in("services/backend/assets").is_some());
        assert_eq!(facts.tool_versions_path, ".tool-versions");
        assert_eq!(facts.static_config_path, STATIC_CONFIG);
        assert_eq!(
            facts.elixir_config_path,
            "services/backend/elixir_buildpack.config"
        );
        let node = &facts.version_files[0].asked;
        assert_eq!(node.value, "22");
        assert_eq!(node.origin.to_string(), "services/backend/.nvmrc:1");
        assert_eq!(facts.version_files.len(), 1);
        assert!(facts.root_files.contains(&"compile".to_owned()));
    }

    #[test]
    fn a_procfile_at_the_top_counts_unless_it_is_ours() {
        let asked = Asked::new("backend".to_owned(), Origin::LastBuild);
        let dir = app(&[("backend/mix.exs", ""), ("backend/Procfile", "web: a && b")]);
        let counts = || {
            let facts = super::read(dir.path(), asked.clone()).unwrap();
            let Procfile(types) = facts.procfile.unwrap();
            (facts.procfile_path, types["web"].clone())
        };
        let of_app = ("backend/Procfile".to_owned(), "a && b".to_owned());
        assert_eq!(counts(), of_app);
        let made = launcher::procfile("backend/Procfile", &Procfile::parse("web: a && b"));
        std::fs::write(dir.path().join("Procfile"), made).unwrap();
        assert_eq!(counts(), of_app);
        std::fs::write(dir.path().join("Procfile"), "web: own").unwrap();
        assert_eq!(counts(), ("Procfile".to_owned(), "own".to_owned()));
    }

    #[test]
    fn a_broken_package_json_names_its_line() {
        let dir = app(&[("mix.exs", ""), ("assets/package.json", "{\n\"a\" 1}")]);
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("assets/package.json:2: "), "{error}");
    }
}

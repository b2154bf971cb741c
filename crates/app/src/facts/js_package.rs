//! A `package.json`, the lockfiles next to it, and the workspace that it belongs to.

use super::error::ReadError;
use super::files::optional;
use super::package_json::{self, PackageJson};
use super::package_manager::{self, Manager, Pinned};
use super::paths::join;
use super::{node_sass, webpack};
use crate::origin::{Origin, Setting};
use std::path::Path;

pub(crate) const LOCKFILES: [&str; 6] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
];

/// A `package.json` and its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsPackage {
    /// The directory, relative to the root of the repository. The root is `.`.
    pub dir: String,
    pub json: PackageJson,
    /// The requested versions of Node: those of `engines`, `volta` and `devEngines`, in this order.
    pub node: Vec<Setting>,
    /// Its `packageManager`.
    pub manager: Option<Setting>,
    /// The place of its `devEngines.packageManager`.
    pub(crate) dev_engines: Origin,
    /// The names of the lockfiles next to it that are used.
    pub lockfiles: Vec<String>,
    /// The names of lockfiles that are ignored, as in the static buildpack.
    pub ignored_lockfiles: Vec<String>,
    /// The declared format of the first lockfile; yarn 1, npm and bun declare none.
    pub lock_format: Option<String>,
    /// The version of webpack that is installed, if known.
    pub webpack: Option<String>,
    /// The version of node-sass that is installed, if known.
    pub node_sass: Option<String>,
    /// The workspace that it belongs to, if its packages are installed there.
    pub workspace: Option<Workspace>,
}

impl JsPackage {
    /// Returns the package manager that `package.json` names, even if its lockfiles are of another one.
    pub(crate) fn declared_manager(&self) -> Option<Manager> {
        let pinned = self.manager.as_ref();
        let pinned = pinned.and_then(|requested| Some(Pinned::parse(&requested.value)?.manager));
        let dev_managers = self.json.dev_managers().into_iter();
        let mut named = dev_managers.filter_map(|manager| Manager::named(&manager.name));
        pinned.or_else(|| named.next())
    }
}

/// A workspace that has a package as its root or as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The package at its root.
    pub root: Box<JsPackage>,
    /// Its other packages in the repository, and the packages in `deps` that it lists by name.
    pub members: Vec<Member>,
    /// The file that declares the members.
    pub declared_by: String,
    /// Whether a pattern matches everything in `deps`.
    pub includes_deps: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The directory, relative to the root of the repository.
    pub dir: String,
    /// `None` if it does not exist yet, or is invalid.
    pub json: Option<PackageJson>,
}

impl Member {
    /// Returns the name that other members use: that of its directory if `package.json` sets none, as in npm.
    pub(crate) fn name(&self) -> Option<&str> {
        let folder = Path::new(&self.dir).file_name();
        let name = self.json.as_ref()?.name.as_deref();
        name.or_else(|| folder?.to_str())
    }
}

/// Reads the text of the `package.json` in `folder`, and the lockfiles next to it.
pub(super) fn parse(
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
            Setting::new(value, Origin::file(path.clone(), line))
        })
        .collect();
    let manager =
        package_manager::package_manager_field(&path, text, json.package_manager.as_ref());
    let lockfiles: Vec<String> = LOCKFILES
        .iter()
        .filter(|name| dir.join(folder).join(name).is_file())
        .map(|name| (*name).to_owned())
        .collect();
    let (lockfiles, ignored_lockfiles) = if has_static_config {
        package_manager::static_buildpack_lockfiles(lockfiles, manager.as_ref())
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
        node_sass: node_sass::installed(&json, lock),
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

//! The stable path: mix needs the same directory in every build and at run time.
//!
//! Since Elixir 1.15, mix recompiles a project if its absolute path has changed (elixir-lang/elixir PR 12462). Heroku
//! builds in `/tmp/build_<hash>` and runs in `/app`: the whole app would be recompiled at every dyno boot, and a
//! restored `_build` would never be valid. So the runtime path is filled with links to the build directory, and mix
//! runs there. Directories with a `mix.exs`, and their parents, are real directories with links inside, since mix
//! changes to them and resolves the working directory.

mod links;
mod marker;
#[cfg(test)]
mod tests;

use app::facts::join;
use exec::cancel::Cancel;
use links::{Linked, names};
use marker::{MARKER, clean_up};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use store::folder_lock::lock;
use store::tree::TreeError;

/// The directories that tools create during a build. They must exist before the links: `_build/…/priv`
/// is a relative link that is followed physically, and asset tools write to `../priv`.
const ROOT_DIRS: [&str; 2] = ["deps", "_build"];
const PROJECT_DIRS: [&str; 1] = ["priv"];

/// The directory in which tools run, until this is dropped.
#[derive(Debug)]
pub struct StablePath {
    dir: PathBuf,
    linked: Mutex<Option<Linked>>,
    unusable_reason: Option<String>,
    /// The directory in which mix runs, relative to `dir`.
    app_dir: String,
    created_dirs: Mutex<Vec<PathBuf>>,
}

/// The input of [`StablePath::enter`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `BUILD_DIR`.
    pub app: &'a Path,
    /// The path at which the slug will run, usually `/app`.
    pub runtime: &'a Path,
    /// The directory in which mix runs, relative to the build directory; `.` for itself.
    pub app_dir: &'a str,
    /// Directories with a `mix.exs`, including `app_dir`.
    pub projects: &'a [String],
    pub home: Option<&'a Path>,
    /// Mixpack's own directories in the root, created before the links.
    pub own_dirs: &'a [&'a str],
}

impl StablePath {
    /// Fills the runtime path. If it can't be used, [`StablePath::unusable_reason`] returns why.
    ///
    /// Waits for another build that uses the same runtime path, and calls `waiting` once if so.
    pub fn enter(
        request: Request<'_>,
        cancel: &Cancel,
        waiting: impl FnOnce(),
    ) -> Result<Self, TreeError> {
        let app = fs::canonicalize(request.app)
            .map_err(TreeError::at(request.app, "find the build directory"))?;
        let created_dirs = make_folders(&app, &request)?;
        let in_place = |unusable_reason, created_dirs| Self {
            dir: app.clone(),
            linked: Mutex::new(None),
            unusable_reason,
            app_dir: request.app_dir.to_owned(),
            created_dirs: Mutex::new(created_dirs),
        };
        let created_runtime = !request.runtime.exists();
        if let Err(error) = fs::create_dir_all(request.runtime) {
            return Ok(in_place(Some(error.to_string()), created_dirs));
        }
        let runtime = fs::canonicalize(request.runtime)
            .map_err(TreeError::at(request.runtime, "find the runtime path"))?;
        if runtime == app {
            return Ok(in_place(None, created_dirs));
        }
        if runtime.starts_with(&app) || app.starts_with(&runtime) {
            let why = "one is inside the other".to_owned();
            return Ok(in_place(Some(why), created_dirs));
        }
        let lock = match lock(&runtime, &cancel.flag(), waiting) {
            Ok(lock) => lock,
            Err(error) => return Ok(in_place(Some(error.to_string()), created_dirs)),
        };
        clean_up(&runtime)?;
        if let Err(error) = fs::write(runtime.join(MARKER), "{}") {
            return Ok(in_place(Some(error.to_string()), created_dirs));
        }
        let linked = Linked::fill(app, runtime.clone(), &request, created_runtime, lock)?;
        Ok(Self {
            dir: runtime,
            linked: Mutex::new(Some(linked)),
            unusable_reason: None,
            app_dir: request.app_dir.to_owned(),
            created_dirs: Mutex::new(created_dirs),
        })
    }

    /// Replaces the links to fetched dependencies by real directories with links inside. To be called when they are
    /// fetched, before they are compiled.
    ///
    /// mix changes to a dependency's directory, and links its `priv` and `include` to `_build` with a path relative
    /// to the resolved working directory. With a link to a dependency, that would be in the build directory, and the
    /// link in `_build` would be broken. Each dependency gets a `priv`, since native code is compiled to it and it
    /// may not exist yet. mix also links the `ebin` of dependencies that make or a command of the app compiles.
    /// `commands` are the names of those with a command.
    ///
    /// If `copies_ebin`, mix copies the `ebin` of packages that rebar3 compiles, such as cowboy. It would copy a link to
    /// the build directory, which dynos don't have, so these packages get a real `ebin`.
    pub fn open_dependencies(
        &self,
        commands: &BTreeSet<String>,
        copies_ebin: bool,
    ) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(linked) = guard.as_mut() else {
            return Ok(());
        };
        let deps = PathBuf::from(join(&self.app_dir, "deps"));
        let mut folders = BTreeSet::from([deps.clone()]);
        let mut copied = Vec::new();
        for name in names(&linked.app().join(&deps))? {
            let folder = deps.join(name);
            let real = linked.app().join(&folder);
            if real.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                let ebin = commands.contains(&*name) || is_compiled_by_make(&real);
                let mut created_dirs = self
                    .created_dirs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                for output in ["priv", "ebin"].iter().take(1 + usize::from(ebin)) {
                    let output = real.join(output);
                    if fs::create_dir(&output).is_ok() {
                        created_dirs.push(output);
                    }
                }
                if copies_ebin && !ebin && real.join("ebin").is_dir() {
                    copied.push(folder.join("ebin"));
                }
                folders.insert(folder);
            }
        }
        linked.open(&deps, &folders)?;
        copied.iter().try_for_each(|folder| linked.copy(folder))
    }

    /// Makes links from compiled code to the build directory relative. To be called when dependencies have been
    /// compiled, before `_build` is saved.
    pub fn make_links_relative(&self) -> Result<(), TreeError> {
        let guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        match guard.as_ref() {
            Some(linked) => make_links_relative(linked.app(), &self.app_dir),
            None => Ok(()),
        }
    }

    /// Replaces links to the build directory that a command of the app has copied or moved by the files. To be called
    /// after commands of the app, before anything reads the files that they created.
    pub fn replace_copied_links(&self) -> Result<(), TreeError> {
        let guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().map_or(Ok(()), Linked::replace_copied_links)
    }

    /// Replaces the link to a directory of the app by a copy, for commands that copy the directory and don't follow
    /// links.
    pub fn copy(&self, folder: &Path) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().map_or(Ok(()), |linked| linked.copy(folder))
    }

    /// The working directory for mix and all other commands.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns why the build works in the build directory although the slug runs elsewhere.
    #[must_use]
    pub fn unusable_reason(&self) -> Option<&str> {
        self.unusable_reason.as_deref()
    }

    /// Returns the names that commands see in a directory of the app, and the path of each entry. `None` for a
    /// directory without links of Mixpack.
    pub fn list(&self, folder: &Path) -> io::Result<Option<Vec<(OsString, PathBuf)>>> {
        let guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let linked = guard.as_ref().filter(|linked| linked.holds_links(folder));
        linked.map(|linked| linked.list(folder)).transpose()
    }

    /// Links new files of the build directory, so that commands see them. Leaves out `skipped` ones.
    ///
    /// Package managers run in the build directory: they replace `node_modules` as a whole, and would replace a link
    /// to it.
    pub fn link_new(&self, skipped: impl Fn(&Path) -> bool) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard
            .as_mut()
            .map_or(Ok(()), |linked| linked.link_new(skipped))
    }

    /// Moves new files to the build directory, for a step that needs all files there. Later steps no longer
    /// find them here.
    pub fn move_new_files(&self) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().map_or(Ok(()), Linked::move_new_files)
    }

    /// Moves new files to the build directory, and links to them from here.
    pub fn sync_new_files(&self) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().map_or(Ok(()), Linked::sync_new_files)
    }

    /// Moves new files to the build directory, and removes the links.
    pub fn leave(self) -> Result<(), TreeError> {
        self.clean_up()
    }

    fn clean_up(&self) -> Result<(), TreeError> {
        let linked = self
            .linked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let app = match linked {
            Some(linked) => {
                let app = linked.app().to_owned();
                linked.empty()?;
                app
            }
            None => self.dir.clone(),
        };
        let mut created_dirs = self
            .created_dirs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for folder in created_dirs.drain(..).rev() {
            // This fails if the directory isn't empty, as intended.
            let _ = fs::remove_dir(folder);
        }
        remove_dangling_priv_links(&app.join(&self.app_dir));
        Ok(())
    }
}

impl Drop for StablePath {
    fn drop(&mut self) {
        // Only needed after an early return. If it fails, the next build cleans up with the marker.
        let _ = self.clean_up();
    }
}

/// Returns whether mix compiles a dependency with make: the rules of `Mix.Dep.Loader`. For a package of Hex, its
/// build tools count before its files.
fn is_compiled_by_make(dependency: &Path) -> bool {
    let has = |file: &str| dependency.join(file).exists();
    let others = ["mix.exs", "rebar.config", "rebar.config.script"];
    let metadata = fs::read_to_string(dependency.join("hex_metadata.config"));
    let metadata = metadata.unwrap_or_default();
    let mut lines = metadata.lines();
    let tools = lines.find(|line| line.starts_with("{<<\"build_tools\">>"));
    let is_other_tool = |tools: &str| {
        ["\"mix\"", "\"rebar3\""]
            .iter()
            .any(|tool| tools.contains(tool))
    };
    has("Makefile") && !others.into_iter().any(has) && !tools.is_some_and(is_other_tool)
}

/// Makes links from compiled code to the build directory relative. mix still copies such a link if
/// [`is_compiled_by_make`] is wrong about a dependency, for example because `mix.exs` sets its `manager`.
fn make_links_relative(app: &Path, app_dir: &str) -> Result<(), TreeError> {
    // _build/ENV/lib/APP/ebin
    let walk = walkdir::WalkDir::new(app.join(app_dir).join("_build"))
        .min_depth(4)
        .max_depth(4);
    let entries = walk.into_iter().filter_map(Result::ok);
    for entry in entries.filter(walkdir::DirEntry::path_is_symlink) {
        let path = entry.path();
        let target = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
        if let Ok(inside) = target.strip_prefix(app.join(app_dir)) {
            fs::remove_file(path).map_err(TreeError::at(path, "remove the link"))?;
            let relative = Path::new("../../../..").join(inside);
            symlink(relative, path).map_err(TreeError::at(path, "link"))?;
        }
    }
    Ok(())
}

fn make_folders(app: &Path, request: &Request<'_>) -> Result<Vec<PathBuf>, TreeError> {
    let in_root = ROOT_DIRS
        .iter()
        .map(|name| app.join(join(request.app_dir, name)))
        .chain(request.own_dirs.iter().map(|name| app.join(name)));
    let in_projects = request
        .projects
        .iter()
        .flat_map(|project| PROJECT_DIRS.map(|name| app.join(project).join(name)));
    let mut created_dirs = Vec::new();
    for folder in in_root.chain(in_projects) {
        match fs::create_dir(&folder) {
            Ok(()) => created_dirs.push(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(TreeError::at(&folder, "create the folder")(source)),
        }
    }
    Ok(created_dirs)
}

/// Removes links to an empty `priv` that Mixpack created and removes again. Without it, mix wouldn't have created the
/// link.
fn remove_dangling_priv_links(app: &Path) {
    let Ok(environments) = fs::read_dir(app.join("_build")) else {
        return;
    };
    let itself = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for environment in environments.filter_map(Result::ok).filter(itself) {
        let Ok(apps) = fs::read_dir(environment.path().join("lib")) else {
            continue;
        };
        for lib in apps.filter_map(Result::ok).filter(itself) {
            let link = lib.path().join("priv");
            if link.is_symlink() && !link.exists() {
                let _ = fs::remove_file(link);
            }
        }
    }
}

//! The app's files as its commands see them, without those that the build writes.

use crate::stable_path::StablePath;
use crate::workspace::{self, Workspace, is_own};
use app::Plan;
use app::facts::join;
use app::plan::Assets;
use exec::command::Env;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use store::tree::TreeError;

/// git's own directory. git never tracks files with this name.
const GIT: &str = ".git";
/// The directory of Mixpack's own files.
pub const OWN: &str = ".mixpack";

/// Distinguishes the user's files from those that the build writes.
#[derive(Debug)]
pub struct AppTree {
    /// The build directory.
    app: PathBuf,
    /// Directories and files that the build writes, relative to the app.
    outputs: BTreeSet<PathBuf>,
    /// The directory of fetched dependencies, relative to the app, and its target if it is a link.
    deps: BTreeSet<PathBuf>,
    /// Whether the repository contains the dependencies, which then are sources.
    deps_are_pushed: AtomicBool,
}

/// The metadata of a file, link or directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path: in the build directory, or in the runtime path if a command created it there.
    pub place: PathBuf,
    pub kind: Kind,
    pub size: u64,
    /// Since 1970, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// As in chmod(1).
    pub mode: u32,
    inode: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    File,
    Folder,
    Link,
}

/// Entries by path, relative to the app. A directory comes before its contents. Links aren't followed.
pub type Entries = BTreeMap<PathBuf, Entry>;

impl Entry {
    fn of(place: PathBuf, metadata: &Metadata) -> Option<Self> {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            // Sockets, pipes and devices aren't results of a build.
            _ => return None,
        };
        Some(Self {
            place,
            kind,
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            mode: metadata.mode() & 0o7777,
            inode: metadata.ino(),
        })
    }

    /// Returns whether it is unchanged since `then`.
    #[must_use]
    pub fn is_unchanged_since(&self, then: &Self) -> bool {
        let stamp = |entry: &Self| (entry.size, entry.modified, entry.mode, entry.inode);
        let is_folder = self.kind == Kind::Folder;
        self.kind == then.kind && (is_folder || stamp(self) == stamp(then))
    }
}

impl AppTree {
    /// `dir` is the app's path for commands, and `env` their environment.
    pub fn of(plan: &Plan, workspace: &Workspace<'_>, dir: &Path, env: &Env) -> Self {
        let app_dir = &plan.app_dir.value;
        let places = &workspace.places;
        let tools = [
            &places.erlang,
            &places.elixir,
            &places.node,
            &places.yarn,
            &places.mix_home,
            &places.hex_home,
        ];
        let tools = tools.into_iter().filter(|place| is_own(place)).cloned();
        // The user may have set other directories.
        let homes = ["MIX_HOME", "HEX_HOME"].into_iter().filter_map(|name| {
            let home = Path::new(env.get(OsStr::new(name))?);
            let inside = home.strip_prefix(dir);
            Some(
                inside
                    .or(home.strip_prefix(&workspace.app))
                    .ok()?
                    .to_owned(),
            )
        });
        let modules = plan.assets.iter().flat_map(Assets::modules);
        let modules = modules.map(PathBuf::from);
        let own = [OWN, workspace::ELIXIR_SCRIPT, workspace::NODE_SCRIPT].map(PathBuf::from);
        let build = PathBuf::from(join(app_dir, "_build"));
        let outputs = tools.chain(homes).chain(modules).chain(own).chain([build]);
        Self::new(
            &workspace.app,
            join(app_dir, "deps").into(),
            outputs.collect(),
        )
    }

    /// `deps` and `outputs` are relative to the app.
    fn new(app: &Path, deps: PathBuf, outputs: Vec<PathBuf>) -> Self {
        let with_target = |path: PathBuf| [target_of_link(app, &path), Some(path)];
        Self {
            app: app.to_owned(),
            outputs: outputs
                .into_iter()
                .flat_map(with_target)
                .flatten()
                .collect(),
            deps: with_target(deps).into_iter().flatten().collect(),
            deps_are_pushed: AtomicBool::new(true),
        }
    }

    /// Detects whether the repository contains its dependencies. To be called with all entries of the app,
    /// before anything is fetched: fetched dependencies aren't the user's files.
    pub fn detect_pushed_deps(&self, entries: &Entries) {
        let is_below = |path: &PathBuf| path.ancestors().skip(1).any(|p| self.deps.contains(p));
        let pushed = entries.keys().any(is_below);
        self.deps_are_pushed.store(pushed, Ordering::SeqCst);
    }

    pub fn deps_are_pushed(&self) -> bool {
        self.deps_are_pushed.load(Ordering::SeqCst)
    }

    /// Whether the build writes this path, so that everything below it is output.
    pub fn is_output(&self, path: &Path) -> bool {
        self.outputs.contains(path)
            || self.deps.contains(path) && !self.deps_are_pushed()
            || path.file_name().is_some_and(|name| name == GIT)
    }

    /// Returns all entries except those that the build writes.
    pub fn entries(&self, path: &StablePath) -> Result<Entries, TreeError> {
        let mut entries = Entries::new();
        self.visit(path, Path::new(""), &self.app, &mut entries)
            .map_err(TreeError::at(&self.app, "read the files of"))?;
        Ok(entries)
    }

    fn visit(
        &self,
        path: &StablePath,
        folder: &Path,
        place: &Path,
        entries: &mut Entries,
    ) -> io::Result<()> {
        for (name, place) in list(path, folder, place)? {
            let relative = folder.join(name);
            if self.is_output(&relative) {
                continue;
            }
            let metadata = match place.symlink_metadata() {
                // Another step may remove files at the same time.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let Some(entry) = Entry::of(place, &metadata) else {
                continue;
            };
            let (kind, place) = (entry.kind, entry.place.clone());
            entries.insert(relative.clone(), entry);
            if kind == Kind::Folder {
                self.visit(path, &relative, &place, entries)?;
            }
        }
        Ok(())
    }
}

fn list(path: &StablePath, folder: &Path, place: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    if let Some(list) = path.list(folder)? {
        return Ok(list);
    }
    let entries = match fs::read_dir(place) {
        // Another step may remove files at the same time. If Mixpack can't read a directory, commands can't either.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let pair = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.path()))
    };
    entries.map(pair).collect()
}

/// Returns the target of a link, relative to the app, if it is within the app.
fn target_of_link(app: &Path, path: &Path) -> Option<PathBuf> {
    let place = app.join(path);
    place.is_symlink().then_some(())?;
    let (app, target) = (app.canonicalize().ok()?, place.canonicalize().ok()?);
    Some(target.strip_prefix(app).ok()?.to_owned())
}

/// Returns every entry of a directory.
#[cfg(test)]
pub(crate) fn entries_of(app: &Path) -> Entries {
    tests::tree_of(app, &[]).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable_path::Request;
    use exec::cancel::Cancel;
    use std::os::unix::fs::symlink;

    fn enter(app: &Path, runtime: &Path) -> StablePath {
        let request = Request {
            app,
            runtime,
            app_dir: ".",
            projects: &[".".to_owned(), "apps/web".to_owned()],
            home: Some(runtime),
            own_dirs: &[".mix"],
        };
        StablePath::enter(request, &Cancel::default(), || {}).unwrap()
    }

    pub(super) fn tree_of(app: &Path, outputs: &[&str]) -> (AppTree, Entries) {
        let outputs = outputs.iter().map(PathBuf::from).collect();
        let tree = AppTree::new(app, "deps".into(), outputs);
        fs::create_dir_all(app.join("apps/web")).unwrap();
        let entries = tree.entries(&enter(app, app)).unwrap();
        (tree, entries)
    }

    fn write(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn names(entries: &Entries) -> Vec<&str> {
        let files = entries
            .iter()
            .filter(|(_, entry)| entry.kind != Kind::Folder);
        files.map(|(path, _)| path.to_str().unwrap()).collect()
    }

    #[test]
    fn build_output_is_excluded_by_exact_path() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path();
        for path in [
            "lib/a.ex",
            "lib/deps/a.ex",
            "lib/_build/a.ex",
            "assets/node_modules/x/a.js",
            "assets/js/node_modules/a.js",
            "vendor/build/prod/a.beam",
            "deps/x/mix.exs",
            ".git/HEAD",
            "vendor/x/.git/HEAD",
        ] {
            write(app.join(path));
        }
        symlink("vendor/build", app.join("_build")).unwrap();
        let (tree, entries) = tree_of(app, &["_build", "assets/node_modules"]);
        let of_the_user = [
            "assets/js/node_modules/a.js",
            "lib/_build/a.ex",
            "lib/a.ex",
            "lib/deps/a.ex",
        ];
        assert_eq!(
            names(&entries),
            [
                &["assets/js/node_modules/a.js", "deps/x/mix.exs"],
                &of_the_user[1..]
            ]
            .concat()
        );
        tree.detect_pushed_deps(&entries);
        assert!(tree.deps_are_pushed());
        let mut without = entries.clone();
        without
            .retain(|path, _| path.parent() != Some(Path::new("deps/x")) && !path.ends_with("x"));
        tree.detect_pushed_deps(&without);
        let entries = tree.entries(&enter(app, app)).unwrap();
        assert_eq!(names(&entries), of_the_user);
    }

    #[test]
    fn finds_files_written_in_build_directory_and_runtime_path() {
        let dir = tempfile::tempdir().unwrap();
        let (app, runtime) = (dir.path().join("build"), dir.path().join("app"));
        for path in ["mix.exs", "VERSION", "lib/a.ex", "apps/web/mix.exs"] {
            write(app.join(path));
        }
        fs::create_dir(&runtime).unwrap();
        write(runtime.join("of the machine"));
        let path = enter(&app, &runtime);
        let tree = AppTree::new(&app, "deps".into(), vec!["_build".into(), ".mix".into()]);
        let before = tree.entries(&path).unwrap();
        let pushed = ["VERSION", "apps/web/mix.exs", "lib/a.ex", "mix.exs"];
        assert_eq!(names(&before), pushed);
        for created in ["gen/top", "apps/web/gen", "lib/gen", ".cache/x"] {
            write(runtime.join(created));
        }
        write(app.join("by npm"));
        fs::remove_file(runtime.join("VERSION")).unwrap();
        symlink("gen", runtime.join("link")).unwrap();
        let after = tree.entries(&path).unwrap();
        let created = ["apps/web/gen", "apps/web/mix.exs", "by npm", "gen/top"];
        let rest = ["lib/a.ex", "lib/gen", "link", "mix.exs"];
        assert_eq!(names(&after), [created, rest].concat());
        for name in ["lib/a.ex", "mix.exs"] {
            assert!(after[Path::new(name)].is_unchanged_since(&before[Path::new(name)]));
        }
        assert!(
            after
                .values()
                .all(|entry| entry.place.symlink_metadata().is_ok())
        );
        path.leave().unwrap();
        let seen: Vec<&str> = names(&after);
        let left = tree.entries(&enter(&app, &app)).unwrap();
        assert_eq!(names(&left), seen);
    }
}

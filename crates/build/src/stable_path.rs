//! The stable path: mix must see the same folder at every build and at run time.
//!
//! Since Elixir 1.15 mix compiles a project anew when its absolute path differs from that of the
//! last compile (elixir-lang/elixir PR 12462). Heroku builds in `/tmp/build_<hash>` and runs in
//! `/app`: without further care the whole app is compiled again at every dyno boot, and a
//! restored `_build` never fits. So the runtime path is filled with links into the build
//! directory and mix works there. Folders that hold a `mix.exs`, and those above them, are real
//! folders with links inside, since mix enters them and asks the system where it is.

use crate::cancel::Cancel;
use crate::tree::{self, TreeError};
use app::facts::join;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What we did to the runtime path, kept in it so that the next build can heal it if this one is
/// killed.
const MARKER: &str = ".mixpack-links.json";
/// It is renamed once it is whole.
const MARKER_IN_THE_MAKING: &str = ".mixpack-links.json.new";
/// Where entries of the runtime path that are in the way spend the build.
const ASIDE: &str = ".mixpack-aside";

/// Names that tools leave in HOME, which on Heroku is the runtime path. They never came into a
/// slug with the shell buildpacks either.
const HOME_DROPPINGS: [&str; 12] = [
    ".bash_history",
    ".bun",
    ".cache",
    ".config",
    ".erlang.cookie",
    ".gnupg",
    ".local",
    ".node_repl_history",
    ".npm",
    ".ssh",
    ".yarn",
    ".yarnrc",
];

/// Folders that tools make during a build. They must exist before the links do: `_build/…/priv`
/// is a relative link that is followed physically, and asset tools write to `../priv`.
const MADE_IN_ROOT: [&str; 2] = ["deps", "_build"];
const MADE_IN_PROJECTS: [&str; 1] = ["priv"];

/// The folder that tools work in, for as long as this lives.
#[derive(Debug)]
pub struct StablePath {
    dir: PathBuf,
    linked: Mutex<Option<Linked>>,
    why_not: Option<String>,
    /// Relative to it, the folder that mix works in.
    app_dir: String,
    made: Mutex<Vec<PathBuf>>,
}

#[derive(Debug)]
struct Linked {
    app: PathBuf,
    runtime: PathBuf,
    marker: Marker,
    /// Entries of the runtime path that were there before and are not in the way.
    foreign: BTreeSet<std::ffi::OsString>,
    home_is_runtime: bool,
    created_runtime: bool,
    /// What the build made here and is in the build directory now, relative to it.
    moved: BTreeSet<PathBuf>,
    /// Held until the links are gone.
    _lock: File,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marker {
    /// Relative to the runtime path, parents first.
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
    aside: Vec<PathBuf>,
}

/// What a build asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `BUILD_DIR`.
    pub app: &'a Path,
    /// Where the slug will run, usually `/app`.
    pub runtime: &'a Path,
    /// The folder that mix works in, relative to the build directory; `.` for itself.
    pub app_dir: &'a str,
    /// Folders with a `mix.exs`, that one among them.
    pub projects: &'a [String],
    pub home: Option<&'a Path>,
    /// Folders of our own at the top, made before the links.
    pub ours: &'a [&'a str],
}

impl StablePath {
    /// Fills the runtime path, or says in [`StablePath::why_not`] why it cannot be used.
    ///
    /// Waits for another build that uses the same runtime path; `waiting` is called once if so.
    pub fn enter(
        request: Request<'_>,
        cancel: &Cancel,
        waiting: impl FnOnce(),
    ) -> Result<Self, TreeError> {
        let app = fs::canonicalize(request.app)
            .map_err(TreeError::at(request.app, "find the build directory"))?;
        let made = make_folders(&app, &request)?;
        let in_place = |why_not, made| Self {
            dir: app.clone(),
            linked: Mutex::new(None),
            why_not,
            app_dir: request.app_dir.to_owned(),
            made: Mutex::new(made),
        };
        let created_runtime = !request.runtime.exists();
        if let Err(error) = fs::create_dir_all(request.runtime) {
            return Ok(in_place(Some(error.to_string()), made));
        }
        let runtime = fs::canonicalize(request.runtime)
            .map_err(TreeError::at(request.runtime, "find the runtime path"))?;
        if runtime == app {
            return Ok(in_place(None, made));
        }
        if runtime.starts_with(&app) || app.starts_with(&runtime) {
            let why = "one is inside the other".to_owned();
            return Ok(in_place(Some(why), made));
        }
        let lock = match lock(&runtime, cancel, waiting) {
            Ok(lock) => lock,
            Err(error) => return Ok(in_place(Some(error.to_string()), made)),
        };
        heal(&runtime)?;
        if let Err(error) = fs::write(runtime.join(MARKER), "{}") {
            return Ok(in_place(Some(error.to_string()), made));
        }
        let mut linked = Linked {
            home_is_runtime: request.home.is_some_and(|home| home == request.runtime),
            app,
            runtime: runtime.clone(),
            marker: Marker::default(),
            foreign: BTreeSet::new(),
            created_runtime,
            moved: BTreeSet::new(),
            _lock: lock,
        };
        if let Err(error) = linked.fill(request.projects) {
            undo(&runtime, &linked.marker)?;
            return Err(error);
        }
        Ok(Self {
            dir: runtime,
            linked: Mutex::new(Some(linked)),
            why_not: None,
            app_dir: request.app_dir.to_owned(),
            made: Mutex::new(made),
        })
    }

    /// Makes real folders of the fetched dependencies too, with links inside. To be called once
    /// they are fetched and before they are compiled.
    ///
    /// mix enters a dependency's folder and links its `priv` and `include` into `_build` by a
    /// relative path from where the system says it is: through a link that would be the build
    /// directory, and the link in `_build` would lead nowhere. Each gets a `priv`, since native
    /// code is compiled into one that may not be there yet.
    pub fn open_dependencies(&self) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(linked) = guard.as_mut() else {
            return Ok(());
        };
        let deps = PathBuf::from(join(&self.app_dir, "deps"));
        let mut folders = BTreeSet::from([deps.clone()]);
        for name in names(&linked.app.join(&deps))? {
            let folder = deps.join(name);
            let real = linked.app.join(&folder);
            if real.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                let priv_dir = real.join("priv");
                if fs::create_dir(&priv_dir).is_ok() {
                    let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                    made.push(priv_dir);
                }
                folders.insert(folder);
            }
        }
        linked.open(&deps, &folders)
    }

    /// The working directory for mix and everything else.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Why the build works in the build directory although the slug runs elsewhere.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// Brings new files into the build directory, for a step that chooses among all of them. None
    /// that looks for them here may follow.
    pub(crate) fn bring_in(&self) -> Result<(), TreeError> {
        let mut guard = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().map_or(Ok(()), Linked::bring_in)
    }

    /// Brings new files into the build directory and takes the links away.
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
                let app = linked.app.clone();
                linked.empty()?;
                app
            }
            None => self.dir.clone(),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in made.drain(..).rev() {
            // Fails, as it should, where the build has filled it.
            let _ = fs::remove_dir(folder);
        }
        remove_dangling_priv_links(&app.join(&self.app_dir));
        Ok(())
    }
}

impl Drop for StablePath {
    fn drop(&mut self) {
        // Only reached on an early return; the marker lets the next build finish what fails here.
        let _ = self.clean_up();
    }
}

impl Linked {
    fn fill(&mut self, projects: &[String]) -> Result<(), TreeError> {
        let real: BTreeSet<PathBuf> = projects
            .iter()
            .filter(|project| *project != ".")
            .flat_map(|project| {
                let below = Path::new(project).ancestors();
                below
                    .filter(|path| !path.as_os_str().is_empty())
                    .map(PathBuf::from)
            })
            .collect();
        let in_app = names(&self.app)?;
        for name in names(&self.runtime)? {
            if name == MARKER || name == ASIDE || name == MARKER_IN_THE_MAKING {
                continue;
            }
            if in_app.contains(&name) {
                self.move_aside(Path::new(&name))?;
            } else {
                self.foreign.insert(name);
            }
        }
        self.link_entries(Path::new(""), &real)
    }

    fn move_aside(&mut self, name: &Path) -> Result<(), TreeError> {
        let aside = self.runtime.join(ASIDE);
        fs::create_dir_all(&aside).map_err(TreeError::at(&aside, "create the folder"))?;
        // Said before it is done: a build that is killed in between is healed from the marker.
        self.marker.aside.push(name.to_owned());
        self.marker.save(&self.runtime)?;
        let from = self.runtime.join(name);
        fs::rename(&from, aside.join(name)).map_err(TreeError::at(&from, "move aside"))
    }

    /// Tells in the marker what is to be made, then makes it: a build that is killed at any moment
    /// is healed from the marker.
    fn link_entries(&mut self, folder: &Path, real: &BTreeSet<PathBuf>) -> Result<(), TreeError> {
        let (folders, links) = self.entries(folder, real)?;
        self.marker.folders.extend_from_slice(&folders);
        self.marker.links.extend_from_slice(&links);
        self.marker.save(&self.runtime)?;
        for folder in folders {
            let place = self.runtime.join(folder);
            fs::create_dir(&place).map_err(TreeError::at(&place, "create the folder"))?;
        }
        for link in links {
            let place = self.runtime.join(&link);
            symlink(self.app.join(link), &place).map_err(TreeError::at(&place, "link"))?;
        }
        Ok(())
    }

    /// What stands for the content of a folder: real folders, parents first, and links.
    fn entries(
        &self,
        folder: &Path,
        real: &BTreeSet<PathBuf>,
    ) -> Result<(Vec<PathBuf>, Vec<PathBuf>), TreeError> {
        let (mut folders, mut links) = (Vec::new(), Vec::new());
        for name in names(&self.app.join(folder))? {
            let entry = folder.join(name);
            let target = self.app.join(&entry);
            let is_folder = target.symlink_metadata().is_ok_and(|m| m.is_dir());
            if is_folder && real.contains(&entry) {
                let (below_folders, below_links) = self.entries(&entry, real)?;
                folders.push(entry);
                folders.extend(below_folders);
                links.extend(below_links);
            } else {
                links.push(entry);
            }
        }
        Ok((folders, links))
    }

    /// Turns the link at `folder` into a real folder, and those below it that are listed.
    fn open(&mut self, folder: &Path, real: &BTreeSet<PathBuf>) -> Result<(), TreeError> {
        let place = self.runtime.join(folder);
        if !place
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink())
        {
            // Already open, or replaced by a hook, and then it is a real folder anyway.
            return Ok(());
        }
        // Both until the link is gone: what heals goes by what it finds.
        self.marker.folders.push(folder.to_owned());
        self.marker.save(&self.runtime)?;
        fs::remove_file(&place).map_err(TreeError::at(&place, "remove the link"))?;
        self.marker.links.retain(|link| link != folder);
        fs::create_dir(&place).map_err(TreeError::at(&place, "create the folder"))?;
        self.link_entries(folder, real)
    }

    fn bring_in(&mut self) -> Result<(), TreeError> {
        let mut moved = std::mem::take(&mut self.moved);
        let collected = self.collect(Path::new(""), &mut moved);
        self.moved = moved;
        collected
    }

    fn empty(mut self) -> Result<(), TreeError> {
        self.bring_in()?;
        let moved = &self.moved;
        for link in &self.marker.links {
            let place = self.runtime.join(link);
            if place.symlink_metadata().is_err() && !moved.contains(link) {
                // A hook removed the entry: it saw only our link, it meant the file.
                tree::remove(&self.app.join(link))?;
            }
        }
        for folder in self.marker.folders.iter().rev() {
            if self.runtime.join(folder).symlink_metadata().is_err() && !moved.contains(folder) {
                tree::remove(&self.app.join(folder))?;
            }
        }
        undo(&self.runtime, &self.marker)?;
        if self.created_runtime {
            let _ = fs::remove_dir(&self.runtime);
        }
        Ok(())
    }

    /// Moves what the build made beside the links into the build directory.
    fn collect(&self, folder: &Path, moved: &mut BTreeSet<PathBuf>) -> Result<(), TreeError> {
        for name in names(&self.runtime.join(folder))? {
            let entry = folder.join(&name);
            let place = self.runtime.join(&entry);
            if folder.as_os_str().is_empty() && self.is_not_the_builds(&name) {
                continue;
            }
            let is_folder = place.symlink_metadata().is_ok_and(|found| found.is_dir());
            if is_folder && self.marker.folders.contains(&entry) {
                self.collect(&entry, moved)?;
            } else if fs::read_link(&place).is_ok_and(|to| to == self.app.join(&entry)) {
                // One of our links, as it was.
            } else {
                let target = self.app.join(&entry);
                tree::remove(&target)?;
                tree::relocate(&place, &target)?;
                moved.insert(entry);
            }
        }
        Ok(())
    }

    fn is_not_the_builds(&self, name: &std::ffi::OsStr) -> bool {
        name == MARKER
            || name == MARKER_IN_THE_MAKING
            || name == ASIDE
            || self.foreign.contains(name)
            || (self.home_is_runtime
                && name
                    .to_str()
                    .is_some_and(|name| HOME_DROPPINGS.contains(&name)))
    }
}

impl Marker {
    fn save(&self, runtime: &Path) -> Result<(), TreeError> {
        let path = runtime.join(MARKER);
        // JSON has no way to say a name that is not UTF-8; only a killed build leaves such a link.
        let named = |paths: &[PathBuf]| -> Vec<PathBuf> {
            paths
                .iter()
                .filter(|path| path.to_str().is_some())
                .cloned()
                .collect()
        };
        let json = serde_json::to_vec(&Self {
            folders: named(&self.folders),
            links: named(&self.links),
            aside: named(&self.aside),
        })
        .unwrap_or_default();
        let new = runtime.join(MARKER_IN_THE_MAKING);
        fs::write(&new, json)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(TreeError::at(&path, "write"))
    }
}

/// Undoes what the marker of a build that was killed tells of. What that build made in folders of
/// ours goes too: another build would take it for the app's.
fn heal(runtime: &Path) -> Result<(), TreeError> {
    let path = runtime.join(MARKER);
    let Ok(json) = fs::read(&path) else {
        return Ok(());
    };
    let mut marker: Marker = serde_json::from_slice(&json).unwrap_or_default();
    let is_below = |path: &PathBuf| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_))) && !path.as_os_str().is_empty()
    };
    for paths in [&mut marker.folders, &mut marker.links, &mut marker.aside] {
        paths.retain(is_below);
    }
    for folder in &marker.folders {
        let place = runtime.join(folder);
        if place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            tree::remove(&place)?;
        }
    }
    undo(runtime, &marker)
}

/// Removes links, folders that are empty without them, and brings back what was moved aside.
fn undo(runtime: &Path, marker: &Marker) -> Result<(), TreeError> {
    for link in &marker.links {
        let place = runtime.join(link);
        if place.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
            fs::remove_file(&place).map_err(TreeError::at(&place, "remove the link"))?;
        }
    }
    for folder in marker.folders.iter().rev() {
        let _ = fs::remove_dir(runtime.join(folder));
    }
    let aside = runtime.join(ASIDE);
    for name in &marker.aside {
        let kept = aside.join(name);
        if kept.symlink_metadata().is_ok() {
            tree::remove(&runtime.join(name))?;
            fs::rename(&kept, runtime.join(name)).map_err(TreeError::at(&kept, "move back"))?;
        }
    }
    let _ = fs::remove_dir(&aside);
    tree::remove(&runtime.join(MARKER_IN_THE_MAKING))?;
    tree::remove(&runtime.join(MARKER))
}

fn make_folders(app: &Path, request: &Request<'_>) -> Result<Vec<PathBuf>, TreeError> {
    let in_root = MADE_IN_ROOT
        .iter()
        .map(|name| app.join(join(request.app_dir, name)))
        .chain(request.ours.iter().map(|name| app.join(name)));
    let in_projects = request
        .projects
        .iter()
        .flat_map(|project| MADE_IN_PROJECTS.map(|name| app.join(project).join(name)));
    let mut made = Vec::new();
    for folder in in_root.chain(in_projects) {
        match fs::create_dir(&folder) {
            Ok(()) => made.push(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(TreeError::at(&folder, "create the folder")(source)),
        }
    }
    Ok(made)
}

/// An empty `priv` of ours is taken away again; mix would have made no link without it.
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

fn names(folder: &Path) -> Result<BTreeSet<std::ffi::OsString>, TreeError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(TreeError::at(folder, "list"))
}

/// Locks the folder itself, so that no lock file is left in it. [`io::ErrorKind::Interrupted`] where
/// the build was cancelled meanwhile.
pub(crate) fn lock(runtime: &Path, cancel: &Cancel, waiting: impl FnOnce()) -> io::Result<File> {
    let file = File::open(runtime)?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if cancel.is_cancelled() => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walkdir::WalkDir;

    struct Case {
        _root: tempfile::TempDir,
        app: PathBuf,
        runtime: PathBuf,
    }

    fn case(files: &[&str]) -> Case {
        let root = tempfile::tempdir().unwrap();
        let app = fs::canonicalize(root.path()).unwrap().join("build");
        let runtime = app.with_file_name("app");
        fs::create_dir_all(&runtime).unwrap();
        for file in files {
            let path = app.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        Case {
            _root: root,
            app,
            runtime,
        }
    }

    impl Case {
        /// The first project is that of the app.
        fn enter(&self, projects: &[&str]) -> StablePath {
            let projects: Vec<String> = projects.iter().map(|p| (*p).to_owned()).collect();
            let request = Request {
                app: &self.app,
                runtime: &self.runtime,
                app_dir: &projects[0],
                projects: &projects,
                home: Some(&self.runtime),
                ours: &[".mix"],
            };
            StablePath::enter(request, &Cancel::default(), || {}).unwrap()
        }

        fn left_in_runtime(&self) -> Vec<String> {
            names(&self.runtime)
                .unwrap()
                .into_iter()
                .map(|name| name.into_string().unwrap())
                .collect()
        }
    }

    #[test]
    fn what_was_brought_in_early_may_be_dropped_or_stays() {
        let case = case(&["mix.exs", "lib/a.ex", "replaced", "removed"]);
        let path = case.enter(&["."]);
        fs::remove_file(case.runtime.join("removed")).unwrap();
        for (name, text) in [("new", "1"), ("replaced.new", "2"), ("unwanted", "3")] {
            fs::write(case.runtime.join(name), text).unwrap();
        }
        let replaced = case.runtime.join("replaced");
        fs::rename(case.runtime.join("replaced.new"), replaced).unwrap();
        path.bring_in().unwrap();
        fs::remove_file(case.app.join("unwanted")).unwrap();
        path.leave().unwrap();
        let read = |name: &str| fs::read_to_string(case.app.join(name)).ok();
        assert_eq!(read("new").as_deref(), Some("1"));
        assert_eq!(read("replaced").as_deref(), Some("2"));
        assert_eq!((read("unwanted"), read("removed")), (None, None));
        assert!(case.left_in_runtime().is_empty());
    }

    #[test]
    fn mix_projects_are_real_folders_and_everything_else_is_a_link() {
        let case = case(&[
            "mix.exs",
            "lib/a.ex",
            "apps/web/mix.exs",
            "apps/web/lib/b.ex",
        ]);
        let path = case.enter(&[".", "apps/web"]);
        assert_eq!(path.dir(), case.runtime);
        let is_link = |p: &str| {
            case.runtime
                .join(p)
                .symlink_metadata()
                .unwrap()
                .is_symlink()
        };
        assert!(is_link("lib") && is_link("mix.exs") && is_link("deps") && is_link("_build"));
        assert!(!is_link("apps") && !is_link("apps/web"));
        assert!(is_link("apps/web/lib") && is_link("apps/web/priv"));
        path.leave().unwrap();
        assert_eq!(case.left_in_runtime(), [""; 0]);
        assert!(
            !case.app.join("deps").exists(),
            "an empty folder of ours stays behind"
        );
        assert!(!case.app.join("apps/web/priv").exists());
    }

    #[test]
    fn an_app_in_a_folder_and_its_path_dependencies_beside_it_are_real_folders() {
        let case = case(&[
            "README.md",
            "backend/mix.exs",
            "backend/lib/a.ex",
            "backend/deps/nif/mix.exs",
            "libs/shared/mix.exs",
            "libs/shared/lib/s.ex",
            "frontend/app.js",
        ]);
        let path = case.enter(&["backend", "libs/shared"]);
        path.open_dependencies().unwrap();
        let real = |p: &str| {
            let seen = case.runtime.join(p);
            fs::canonicalize(&seen).unwrap() == seen
        };
        for folder in [
            "backend",
            "backend/deps/nif",
            "libs/shared",
            "libs/shared/priv",
        ] {
            let is_link = folder.ends_with("priv");
            assert_eq!(real(folder), !is_link, "{folder}");
        }
        assert!(!real("frontend") && !real("backend/lib") && !real("backend/_build"));
        // As mix links what a path dependency has no `priv` for.
        let lib = path.dir().join("backend/_build/prod/lib/shared");
        fs::create_dir_all(&lib).unwrap();
        symlink("../../../../../libs/shared/priv", lib.join("priv")).unwrap();
        path.leave().unwrap();
        assert!(case.app.join("backend/_build/prod/lib/shared").is_dir());
        let dangling = case.app.join("backend/_build/prod/lib/shared/priv");
        assert!(dangling.symlink_metadata().is_err());
        for made in ["deps", "_build", "libs/shared/priv", "backend/priv"] {
            assert!(!case.app.join(made).exists(), "{made} stays behind");
        }
        assert_eq!(case.left_in_runtime(), [""; 0]);
    }

    #[test]
    fn what_the_build_makes_comes_into_the_build_directory() {
        let case = case(&["mix.exs", "apps/web/mix.exs"]);
        let path = case.enter(&[".", "apps/web"]);
        fs::write(path.dir().join("new.txt"), "new").unwrap();
        fs::write(path.dir().join("apps/web/generated.ex"), "generated").unwrap();
        fs::create_dir(path.dir().join("_build/prod")).unwrap();
        fs::create_dir(path.dir().join(".npm")).unwrap();
        path.leave().unwrap();
        let text = |p: &str| fs::read_to_string(case.app.join(p)).unwrap();
        assert_eq!(text("new.txt"), "new");
        assert_eq!(text("apps/web/generated.ex"), "generated");
        assert!(case.app.join("_build/prod").is_dir());
        assert!(
            !case.app.join(".npm").exists(),
            "a tool's cache in HOME is not the app's"
        );
        assert_eq!(case.left_in_runtime(), [".npm"]);
    }

    #[test]
    fn an_entry_that_a_tool_replaced_or_removed_is_replaced_or_removed() {
        let case = case(&["mix.exs", "mix.lock", "old.txt", "assets/app.js"]);
        let path = case.enter(&["."]);
        fs::write(path.dir().join("mix.lock.tmp"), "rewritten").unwrap();
        fs::rename(path.dir().join("mix.lock.tmp"), path.dir().join("mix.lock")).unwrap();
        fs::remove_file(path.dir().join("old.txt")).unwrap();
        path.leave().unwrap();
        let lock = case.app.join("mix.lock");
        assert_eq!(fs::read_to_string(lock).unwrap(), "rewritten");
        assert!(!case.app.join("old.txt").exists());
        assert!(case.app.join("assets/app.js").exists());
    }

    #[test]
    fn dependencies_are_real_folders_once_they_are_fetched() {
        let case = case(&[
            "mix.exs",
            "deps/unused/mix.exs",
            "deps/nif/mix.exs",
            "deps/nif/c_src/n.c",
        ]);
        let path = case.enter(&["."]);
        assert!(case.runtime.join("deps").is_symlink());
        path.open_dependencies().unwrap();
        let here = case.runtime.join("deps/nif");
        assert_eq!(
            fs::canonicalize(&here).unwrap(),
            here,
            "mix must see where it is"
        );
        assert!(here.join("c_src").is_symlink());
        // What native code is compiled into, a relative link to it, and a dependency that goes.
        fs::write(here.join("priv/n.so"), "elf").unwrap();
        fs::write(here.join("made.txt"), "made").unwrap();
        let lib = path.dir().join("_build/prod/lib/nif");
        fs::create_dir_all(&lib).unwrap();
        symlink("../../../../deps/nif/priv", lib.join("priv")).unwrap();
        fs::remove_dir_all(case.runtime.join("deps/unused")).unwrap();
        path.leave().unwrap();
        let linked = case.app.join("_build/prod/lib/nif/priv/n.so");
        assert_eq!(fs::read_to_string(linked).unwrap(), "elf");
        assert_eq!(
            fs::read_to_string(case.app.join("deps/nif/made.txt")).unwrap(),
            "made"
        );
        assert!(!case.app.join("deps/unused").exists());
        assert_eq!(case.left_in_runtime(), [""; 0]);
    }

    #[test]
    fn a_copy_of_the_source_in_the_runtime_path_comes_back_untouched() {
        let case = case(&["mix.exs", "lib/a.ex"]);
        fs::create_dir_all(case.runtime.join("lib")).unwrap();
        fs::write(case.runtime.join("lib/a.ex"), "the copy").unwrap();
        fs::write(case.runtime.join(".netrc"), "earlier buildpack").unwrap();
        let path = case.enter(&["."]);
        let seen = fs::read_to_string(path.dir().join("lib/a.ex")).unwrap();
        assert_eq!(seen, "lib/a.ex", "mix must see the build directory's file");
        assert!(path.dir().join(".netrc").exists());
        path.leave().unwrap();
        let copy = case.runtime.join("lib/a.ex");
        assert_eq!(fs::read_to_string(copy).unwrap(), "the copy");
        assert_eq!(case.left_in_runtime(), [".netrc", "lib"]);
        assert!(!case.app.join(".netrc").exists());
    }

    #[test]
    fn a_build_that_was_killed_is_healed_by_the_next() {
        let case = case(&["mix.exs", "lib/a.ex", "apps/web/mix.exs"]);
        fs::write(case.runtime.join("mix.exs"), "the copy").unwrap();
        std::mem::forget(case.enter(&[".", "apps/web"]));
        // The kernel drops the lock of a killed process; here it is still held by us.
        let marker = fs::read(case.runtime.join(MARKER)).unwrap();
        assert!(!marker.is_empty());
        heal(&case.runtime).unwrap();
        assert_eq!(case.left_in_runtime(), ["mix.exs"]);
        let copy = case.runtime.join("mix.exs");
        assert_eq!(fs::read_to_string(copy).unwrap(), "the copy");
    }

    #[test]
    fn names_that_are_not_utf_8_are_linked_and_cleaned_up() {
        use std::os::unix::ffi::OsStrExt;
        let case = case(&["mix.exs"]);
        let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
        fs::write(case.app.join(odd), "odd").unwrap();
        let path = case.enter(&["."]);
        assert_eq!(fs::read_to_string(path.dir().join(odd)).unwrap(), "odd");
        path.leave().unwrap();
        assert_eq!(case.left_in_runtime(), [""; 0]);
        assert!(case.app.join(odd).exists());
    }

    #[test]
    fn the_build_directory_itself_needs_no_links() {
        let case = case(&["mix.exs"]);
        let projects = [".".to_owned()];
        let request = Request {
            app: &case.app,
            runtime: &case.app,
            app_dir: ".",
            projects: &projects,
            home: None,
            ours: &[],
        };
        let path = StablePath::enter(request, &Cancel::default(), || {}).unwrap();
        assert_eq!(path.dir(), case.app);
        assert_eq!(path.why_not(), None);
    }

    #[test]
    fn a_runtime_path_inside_the_app_is_not_used_and_said() {
        let case = case(&["mix.exs", "sub/x"]);
        let projects = [".".to_owned()];
        let request = Request {
            app: &case.app,
            runtime: &case.app.join("sub"),
            app_dir: ".",
            projects: &projects,
            home: None,
            ours: &[],
        };
        let path = StablePath::enter(request, &Cancel::default(), || {}).unwrap();
        assert_eq!(path.dir(), case.app);
        assert_eq!(path.why_not(), Some("one is inside the other"));
    }

    #[test]
    fn a_second_build_waits_for_the_first() {
        let case = case(&["mix.exs"]);
        let first = case.enter(&["."]);
        let waited = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let projects = [".".to_owned()];
                let request = Request {
                    app: &case.app,
                    runtime: &case.runtime,
                    app_dir: ".",
                    projects: &projects,
                    home: None,
                    ours: &[],
                };
                let noted = || waited.store(true, std::sync::atomic::Ordering::SeqCst);
                StablePath::enter(request, &Cancel::default(), noted).unwrap()
            });
            std::thread::sleep(Duration::from_millis(300));
            assert!(!second.is_finished());
            first.leave().unwrap();
            second.join().unwrap().leave().unwrap();
        });
        assert!(waited.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[test]
    fn a_build_that_is_killed_at_any_moment_is_healed_by_the_next() {
        // What is told of in the marker need not have been made.
        for made in 0..6 {
            let case = case(&[
                "mix.exs",
                "lib/a.ex",
                "deps/nif/mix.exs",
                "apps/web/mix.exs",
            ]);
            fs::write(case.runtime.join("mix.exs"), "the runtime path's own").unwrap();
            let path = case.enter(&[".", "apps/web"]);
            path.open_dependencies().unwrap();
            std::mem::forget(path);
            // As the lock goes with a process.
            let held: Vec<PathBuf> = WalkDir::new(&case.runtime)
                .min_depth(1)
                .contents_first(true)
                .into_iter()
                .map(|entry| entry.unwrap().into_path())
                .filter(|path| !path.starts_with(case.runtime.join(ASIDE)))
                .filter(|path| path.file_name() != Some(MARKER.as_ref()))
                .collect();
            for path in held.iter().step_by(made + 1) {
                let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
            }
            let of_the_killed = case.runtime.join("deps/nif/left");
            if of_the_killed.parent().unwrap().is_dir() {
                fs::write(of_the_killed, "").unwrap();
            }
            heal(&case.runtime).unwrap();
            assert_eq!(case.left_in_runtime(), ["mix.exs"], "{made}");
            let own = fs::read_to_string(case.runtime.join("mix.exs")).unwrap();
            assert_eq!(own, "the runtime path's own");
            assert!(case.app.join("lib/a.ex").exists());
        }
    }

    #[test]
    fn a_marker_heals_nothing_outside() {
        let case = case(&["mix.exs"]);
        let outside = case.app.join("mix.exs");
        let marker =
            r#"{"folders":["../build",""],"links":["../build/mix.exs"],"aside":["../build"]}"#;
        fs::write(case.runtime.join(MARKER), marker).unwrap();
        heal(&case.runtime).unwrap();
        assert!(outside.exists());
        assert_eq!(case.left_in_runtime(), [""; 0]);
    }
}

//! The links to the build directory, and the files that the build creates among them.

use super::Request;
use super::marker::{BACKUP_DIR, MARKER, Marker, TEMPORARY_MARKER, undo};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use store::tree::{self, Method, TreeError};
use walkdir::{DirEntry, WalkDir};

/// The files that tools leave in HOME, which is the runtime path on Heroku. They don't ship, as with the shell
/// buildpacks.
const HOME_FILES: [&str; 12] = [
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

#[derive(Debug)]
pub(super) struct Linked {
    app: PathBuf,
    runtime: PathBuf,
    marker: Marker,
    /// Earlier entries of the runtime path that don't conflict.
    foreign: BTreeSet<OsString>,
    home_is_runtime: bool,
    created_runtime: bool,
    /// New files that were moved to the build directory, relative to it.
    moved: BTreeSet<PathBuf>,
    /// Held until the links are gone.
    _lock: File,
}

/// Directories that are too large to search for copies of links, and that commands of the app don't copy to.
const NOT_SEARCHED: [&str; 9] = [
    ".git",
    ".heroku",
    ".hex",
    ".mix",
    ".platform_tools",
    "consolidated",
    "deps",
    "ebin",
    "node_modules",
];

/// The files that commands created in the runtime path.
#[derive(Default)]
struct Created {
    entries: Vec<PathBuf>,
    /// Directories that also exist in the build directory, parents first. Their contents are in `entries`.
    folders: Vec<PathBuf>,
}

impl Linked {
    /// Fills the runtime path. Restores it after an error.
    pub(super) fn fill(
        app: PathBuf,
        runtime: PathBuf,
        request: &Request<'_>,
        created_runtime: bool,
        lock: File,
    ) -> Result<Self, TreeError> {
        let mut linked = Self {
            app,
            runtime,
            marker: Marker::default(),
            foreign: BTreeSet::new(),
            home_is_runtime: request.home.is_some_and(|home| home == request.runtime),
            created_runtime,
            moved: BTreeSet::new(),
            _lock: lock,
        };
        if let Err(error) = linked.link_projects(request.projects) {
            undo(&linked.runtime, &linked.marker)?;
            return Err(error);
        }
        Ok(linked)
    }

    /// The build directory.
    pub(super) fn app(&self) -> &Path {
        &self.app
    }

    fn link_projects(&mut self, projects: &[String]) -> Result<(), TreeError> {
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
            if name == MARKER || name == BACKUP_DIR || name == TEMPORARY_MARKER {
                continue;
            }
            if in_app.contains(&name) {
                self.back_up(Path::new(&name))?;
            } else {
                self.foreign.insert(name);
            }
        }
        self.link_entries(Path::new(""), &real)
    }

    fn back_up(&mut self, name: &Path) -> Result<(), TreeError> {
        let aside = self.runtime.join(BACKUP_DIR);
        fs::create_dir_all(&aside).map_err(TreeError::at(&aside, "create the folder"))?;
        // Save the marker first: if the build is killed, the next one cleans up with the marker.
        self.marker.aside.push(name.to_owned());
        self.marker.save(&self.runtime)?;
        let from = self.runtime.join(name);
        fs::rename(&from, aside.join(name)).map_err(TreeError::at(&from, "move aside"))
    }

    /// Saves the planned entries in the marker, then creates them: if the build is killed at any moment, the next one
    /// cleans up with the marker.
    fn link_entries(&mut self, folder: &Path, real: &BTreeSet<PathBuf>) -> Result<(), TreeError> {
        let (folders, links) = self.entries(folder, real)?;
        self.marker.folders.extend(folders.iter().cloned());
        self.marker.links.extend(links.iter().cloned());
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

    /// Returns the directories, parents first, and the links that replace the contents of a directory.
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

    /// Replaces the link at `folder` by a real directory, and also the listed ones below it.
    pub(super) fn open(
        &mut self,
        folder: &Path,
        real: &BTreeSet<PathBuf>,
    ) -> Result<(), TreeError> {
        let place = self.runtime.join(folder);
        if !place
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink())
        {
            // Already open, or replaced by a hook, which creates a real directory.
            return Ok(());
        }
        // List both until the link is removed: the cleanup checks which of them exists.
        self.marker.folders.insert(folder.to_owned());
        self.marker.save(&self.runtime)?;
        fs::remove_file(&place).map_err(TreeError::at(&place, "remove the link"))?;
        self.marker.links.remove(folder);
        fs::create_dir(&place).map_err(TreeError::at(&place, "create the folder"))?;
        self.link_entries(folder, real)
    }

    /// Replaces the link at `folder` by a copy of the directory. The files return to the build directory with those that
    /// commands create.
    pub(super) fn copy(&mut self, folder: &Path) -> Result<(), TreeError> {
        let (place, target) = (self.runtime.join(folder), self.app.join(folder));
        if fs::read_link(&place).is_ok_and(|to| to == target) {
            fs::remove_file(&place).map_err(TreeError::at(&place, "remove the link"))?;
            self.marker.links.remove(folder);
            tree::transfer(&target, &place, Method::Copy, |_| true)?;
        }
        Ok(())
    }

    /// Links the files that were created in the build directory itself since the links were created, except `skipped`
    /// ones. An entry whose link a command removed stays removed.
    pub(super) fn link_new(&mut self, skipped: impl Fn(&Path) -> bool) -> Result<(), TreeError> {
        let known = [&self.marker.links, &self.marker.folders];
        let is_known = |entry: &PathBuf| known.iter().any(|paths| paths.contains(entry));
        let mut new = Vec::new();
        for folder in
            std::iter::once(Path::new("")).chain(self.marker.folders.iter().map(PathBuf::as_path))
        {
            if !self.holds_links(folder) || !self.app.join(folder).is_dir() {
                continue;
            }
            for name in names(&self.app.join(folder))? {
                let entry = folder.join(name);
                let is_there = self.runtime.join(&entry).symlink_metadata().is_ok();
                if !is_there && !is_known(&entry) && !skipped(&entry) {
                    new.push(entry);
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.marker.links.extend(new.iter().cloned());
        self.marker.save(&self.runtime)?;
        for link in new {
            let place = self.runtime.join(&link);
            symlink(self.app.join(link), &place).map_err(TreeError::at(&place, "link"))?;
        }
        Ok(())
    }

    /// Moves files that commands created next to the links to the build directory.
    pub(super) fn move_new_files(&mut self) -> Result<(), TreeError> {
        let mut created = Created::default();
        self.created(Path::new(""), &mut created)?;
        for entry in created.entries {
            self.move_in(&entry)?;
            self.moved.insert(entry);
        }
        for folder in created.folders.iter().rev() {
            let place = self.runtime.join(folder);
            fs::remove_dir(&place).map_err(TreeError::at(&place, "remove"))?;
        }
        Ok(())
    }

    /// The same, and leaves a link in each place, so that commands still find the file.
    pub(super) fn sync_new_files(&mut self) -> Result<(), TreeError> {
        let mut created = Created::default();
        self.created(Path::new(""), &mut created)?;
        self.marker.links.extend(created.entries.iter().cloned());
        self.marker.folders.extend(created.folders);
        self.marker.save(&self.runtime)?;
        for entry in created.entries {
            self.move_in(&entry)?;
            let place = self.runtime.join(&entry);
            symlink(self.app.join(entry), &place).map_err(TreeError::at(&place, "link"))?;
        }
        Ok(())
    }

    fn move_in(&self, entry: &Path) -> Result<(), TreeError> {
        let target = self.app.join(entry);
        tree::remove(&target)?;
        tree::relocate(&self.runtime.join(entry), &target)
    }

    /// Replaces copies of the links by copies of the files. `cp -r`, `mv` and `File.cp_r` copy or move a link instead of
    /// the file, and dynos don't have the build directory.
    pub(super) fn replace_copied_links(&self) -> Result<(), TreeError> {
        let mut created = Created::default();
        self.created(Path::new(""), &mut created)?;
        let created = created.entries.iter().map(|entry| self.runtime.join(entry));
        let is_searched = |entry: &DirEntry| {
            let name = entry.file_name().to_str();
            entry.depth() == 0 || !name.is_some_and(|name| NOT_SEARCHED.contains(&name))
        };
        for top in created.chain([self.app.clone()]) {
            let walk = WalkDir::new(top).follow_root_links(false).into_iter();
            let entries = walk.filter_entry(is_searched).filter_map(Result::ok);
            for copy in entries.filter(DirEntry::path_is_symlink) {
                let target = fs::read_link(copy.path()).unwrap_or_default();
                let link = target.strip_prefix(&self.app);
                if link.is_ok_and(|link| self.marker.links.contains(link)) && target.exists() {
                    tree::remove(copy.path())?;
                    tree::transfer(&target, copy.path(), Method::Copy, |_| true)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn empty(mut self) -> Result<(), TreeError> {
        self.move_new_files()?;
        let moved = &self.moved;
        for link in &self.marker.links {
            let place = self.runtime.join(link);
            if place.symlink_metadata().is_err() && !moved.contains(link) {
                // A hook removed the link, and meant the file.
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

    /// Lists the files that commands created next to the links.
    fn created(&self, folder: &Path, created: &mut Created) -> Result<(), TreeError> {
        let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        for name in names(&self.runtime.join(folder))? {
            let entry = folder.join(&name);
            let (place, target) = (self.runtime.join(&entry), self.app.join(&entry));
            if folder.as_os_str().is_empty() && self.is_not_the_builds(&name) {
                continue;
            }
            let replaces_link = || self.marker.links.contains(&entry);
            if is_folder(&place) && self.marker.folders.contains(&entry) {
                self.created(&entry, created)?;
            } else if is_folder(&place) && is_folder(&target) && !replaces_link() {
                // A command or Mixpack created it in the build directory too.
                created.folders.push(entry.clone());
                self.created(&entry, created)?;
            } else if !fs::read_link(&place).is_ok_and(|to| to == target) {
                created.entries.push(entry);
            }
        }
        Ok(())
    }

    /// Whether this is a real directory with links of Mixpack.
    pub(super) fn holds_links(&self, folder: &Path) -> bool {
        let is_top = folder.as_os_str().is_empty();
        let is_own_link = is_top || self.marker.folders.contains(folder);
        let place = self.runtime.join(folder).symlink_metadata();
        is_own_link && place.is_ok_and(|found| found.is_dir())
    }

    /// Lists such a directory: the targets of its links, the files that commands created among them, and the
    /// files that were written to the build directory itself.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
        let is_top = folder.as_os_str().is_empty();
        let mut seen = BTreeMap::new();
        for entry in fs::read_dir(self.runtime.join(folder))? {
            let entry = entry?;
            let name = entry.file_name();
            if is_top && self.is_not_the_builds(&name) {
                continue;
            }
            let real = self.app.join(folder).join(&name);
            let is_link = fs::read_link(entry.path()).is_ok_and(|to| to == real);
            seen.insert(name, if is_link { real } else { entry.path() });
        }
        for entry in fs::read_dir(self.app.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            // A missing link means that the file was removed.
            let linked = [&self.marker.links, &self.marker.folders];
            if !linked.iter().any(|paths| paths.contains(&path)) {
                seen.entry(entry.file_name()).or_insert(entry.path());
            }
        }
        Ok(seen.into_iter().collect())
    }

    fn is_not_the_builds(&self, name: &OsStr) -> bool {
        name == MARKER
            || name == TEMPORARY_MARKER
            || name == BACKUP_DIR
            || self.foreign.contains(name)
            || (self.home_is_runtime
                && name.to_str().is_some_and(|name| HOME_FILES.contains(&name)))
    }
}

pub(super) fn names(folder: &Path) -> Result<BTreeSet<OsString>, TreeError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(TreeError::at(folder, "list"))
}

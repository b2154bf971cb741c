//! Finds libraries as the dynamic linker does (ld.so(8)), in the app and on the build image.

use super::packages::{build_only_files, without_usr};
use messages::BootFault;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use toolchain::linkage::{Linkage, Machine};
use versions::target::Arch;
use walkdir::WalkDir;

/// Resolves libraries in the image and the app.
pub(super) struct Resolver<'a> {
    /// The current path of the app.
    app: &'a Path,
    /// The path at which the app runs, as in absolute paths in files.
    runtime_path: &'a Path,
    arch: Arch,
    stack: &'a str,
    /// `LD_LIBRARY_PATH` of the build: buildpacks that install libraries set it for later ones.
    library_path: Vec<PathBuf>,
    system: Vec<PathBuf>,
    build_only: HashMap<PathBuf, String>,
    read: RefCell<HashMap<PathBuf, Option<Rc<Linkage>>>>,
    names_in_app: OnceCell<BTreeSet<String>>,
}

enum Found {
    /// In the app, or where another buildpack has installed it.
    Shipped(PathBuf),
    System(PathBuf),
    /// In the app, but not where the linker searches: something may set `LD_LIBRARY_PATH` or load it first.
    Somewhere,
    Nowhere,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        (app, runtime_path): (&'a Path, &'a Path),
        (stack, arch): (&'a str, Arch),
        library_path: Option<&str>,
    ) -> Self {
        let root = Path::new("/");
        Self {
            app,
            runtime_path,
            arch,
            stack,
            library_path: library_path
                .iter()
                .flat_map(|path| path.split(':'))
                .filter(|dir| dir.starts_with('/'))
                .map(PathBuf::from)
                .collect(),
            system: system_dirs(root, arch),
            build_only: build_only_files(root, stack, arch),
            read: RefCell::default(),
            names_in_app: OnceCell::new(),
        }
    }

    /// Reads a file once.
    pub(super) fn linkage(&self, path: &Path) -> Option<Rc<Linkage>> {
        let known = self.read.borrow().get(path).cloned();
        known.unwrap_or_else(|| {
            let linkage = Linkage::read(path).ok().flatten().map(Rc::new);
            self.read
                .borrow_mut()
                .insert(path.to_owned(), linkage.clone());
            linkage
        })
    }

    /// Returns the first reason why the dynamic linker can't load a file or one of its libraries.
    pub(super) fn fault(&self, path: &Path, linkage: &Linkage) -> Option<BootFault> {
        if linkage.machine != Machine::Arch(self.arch) {
            return Some(BootFault::WrongArchitecture {
                file: self.shown(path),
                found: linkage.machine.name().to_owned(),
                expected: self.arch.to_string(),
            });
        }
        self.needs(path, linkage, &[], &mut BTreeSet::new())
    }

    /// `inherited` has the directories in `RPATH` of the files that need this one: the linker searches them here too.
    fn needs(
        &self,
        path: &Path,
        linkage: &Linkage,
        inherited: &[PathBuf],
        seen: &mut BTreeSet<PathBuf>,
    ) -> Option<BootFault> {
        let mut dirs = self.search_dirs(path, linkage);
        dirs.extend_from_slice(inherited);
        // A name with a slash is a path.
        let names = linkage.needed.iter().filter(|name| !name.contains('/'));
        for name in names {
            let missing = |package: Option<&String>| BootFault::LibraryMissing {
                file: self.shown(path),
                library: name.clone(),
                package: package.cloned(),
                stack: self.stack.to_owned(),
            };
            match self.find(name, &dirs) {
                Found::Nowhere => return Some(missing(None)),
                Found::Somewhere => {}
                Found::System(library) => {
                    if let Some(package) = self.build_only.get(&without_usr(&library)) {
                        // This check comes last, since it lists all files of the app.
                        if !self.app_has(name) {
                            return Some(missing(Some(package)));
                        }
                    } else if let Some(version) = self.missing_version(linkage, name, &library) {
                        return Some(BootFault::LibraryTooOld {
                            file: self.shown(path),
                            library: name.clone(),
                            version,
                            stack: self.stack.to_owned(),
                        });
                    }
                }
                Found::Shipped(library) => {
                    if seen.insert(library.clone())
                        && let Some(linkage) = self.linkage(&library)
                        && let Some(fault) = self.needs(&library, &linkage, &dirs, seen)
                    {
                        return Some(fault);
                    }
                }
            }
        }
        None
    }

    fn find(&self, name: &str, dirs: &[PathBuf]) -> Found {
        let all = dirs.iter().chain(&self.library_path);
        for dir in all.filter(|dir| !self.system.contains(dir)) {
            let path = dir.join(name);
            if self.fits(&path) {
                return Found::Shipped(path);
            }
        }
        for dir in &self.system {
            let path = dir.join(name);
            if self.fits(&path) {
                return Found::System(path);
            }
        }
        if self.app_has(name) {
            Found::Somewhere
        } else {
            Found::Nowhere
        }
    }

    /// Whether a library is for this machine. The linker skips others.
    fn fits(&self, path: &Path) -> bool {
        path.is_file()
            && self
                .linkage(path)
                .is_none_or(|linkage| linkage.machine == Machine::Arch(self.arch))
    }

    /// Returns a symbol version that a file needs and the library lacks. If the library has no versions, the linker
    /// only warns.
    fn missing_version(&self, linkage: &Linkage, name: &str, library: &Path) -> Option<String> {
        let needed = linkage.versions.iter().filter(|(of, _)| of == name);
        let defined = self.linkage(library)?;
        let mut missing = needed.filter(|(_, version)| !defined.defined.contains(version));
        let version = missing.next()?.1.clone();
        // The app may have its own libc or libstdc++, for LD_LIBRARY_PATH.
        (!defined.defined.is_empty() && !self.app_has(name)).then_some(version)
    }

    /// Returns the current paths of the directories that a file names. `$ORIGIN` is its own directory, with and
    /// without links resolved.
    fn search_dirs(&self, path: &Path, linkage: &Linkage) -> Vec<PathBuf> {
        let canonical = path.canonicalize().ok();
        let origins = [Some(path), canonical.as_deref()];
        let origins: Vec<&Path> = origins
            .into_iter()
            .flatten()
            .filter_map(Path::parent)
            .collect();
        let mut dirs = Vec::new();
        for dir in &linkage.search {
            let relative = ["$ORIGIN", "${ORIGIN}"]
                .iter()
                .find_map(|name| dir.strip_prefix(name));
            match relative {
                Some(rest) => {
                    let rest = rest.trim_start_matches('/');
                    dirs.extend(origins.iter().map(|origin| origin.join(rest)));
                }
                None => dirs.push(match Path::new(dir).strip_prefix(self.runtime_path) {
                    Ok(inside) => self.app.join(inside),
                    Err(_) => PathBuf::from(dir),
                }),
            }
        }
        dirs
    }

    /// Whether the app has a file with this name, such as in `.apt`, `vendor` or another package's `priv`.
    fn app_has(&self, name: &str) -> bool {
        let names = self.names_in_app.get_or_init(|| {
            let files = WalkDir::new(self.app).into_iter().flatten();
            let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name.contains(".so")).collect()
        });
        names.contains(name)
    }

    fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.app).unwrap_or(path);
        inside.display().to_string()
    }
}

/// The directories that the linker searches last: Debian's multiarch directories, and those in `/etc/ld.so.conf.d`.
fn system_dirs(root: &Path, arch: Arch) -> Vec<PathBuf> {
    let triplet = match arch {
        Arch::Amd64 => "x86_64-linux-gnu",
        Arch::Arm64 => "aarch64-linux-gnu",
    };
    let mut dirs: Vec<PathBuf> = [
        &format!("/usr/lib/{triplet}"),
        &format!("/lib/{triplet}"),
        "/lib64",
        "/usr/lib64",
        "/usr/lib",
        "/lib",
        "/usr/local/lib",
    ]
    .map(PathBuf::from)
    .into();
    for file in super::entries(&root.join("etc/ld.so.conf.d")) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('/'));
        dirs.extend(lines.map(PathBuf::from));
    }
    dirs
}

//! The programs and libraries of the VM and of applications, and the evidence that they are used.

use super::entries;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toolchain::beam_files::{self, Atoms};
use walkdir::{DirEntry, WalkDir};

/// The programs that every start of the VM runs, in `erts-VERSION/bin`.
const ALWAYS_STARTED: [&str; 3] = ["beam.smp", "erl_child_setup", "erlexec"];

/// Directories of `priv` with files for browsers, translations and migrations: often thousands, and the VM loads none
/// of them.
const OTHER_FILES: [&str; 3] = ["static", "gettext", "repo"];

/// A file that may be loaded or started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The directory of its application. `None` for programs of the VM.
    pub(super) application: Option<PathBuf>,
}

/// Lists the programs of a VM that every start runs: `ROOT/erts-*/bin`.
pub(super) fn of_runtime(root: &Path) -> Vec<Program> {
    let dirs = entries(root).into_iter().filter(|dir| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("erts-")
    });
    let files = dirs.flat_map(|dir| ALWAYS_STARTED.map(|name| dir.join("bin").join(name)));
    let programs = files.map(|path| Program {
        path,
        application: None,
    });
    programs.filter(|program| program.path.is_file()).collect()
}

/// Lists the files in `LIB/*/priv` that may be executed or loaded, by their mode and name.
pub(super) fn of_applications(lib: &Path) -> Vec<Program> {
    entries(lib)
        .iter()
        .flat_map(|application| of_application(application))
        .collect()
}

/// Lists those of one application.
pub(super) fn of_application(application: &Path) -> Vec<Program> {
    let walk = WalkDir::new(application.join("priv")).into_iter();
    let files = walk
        .filter_entry(|entry| entry.depth() != 1 || !is_other(entry))
        .flatten()
        .filter(is_candidate);
    let programs = files.map(|entry| Program {
        path: entry.into_path(),
        application: Some(application.to_owned()),
    });
    programs.collect()
}

/// The name of an application, from its directory: `shop`, or `shop-0.1.0` in a release.
pub(super) fn name_of(application: &Path) -> Option<&str> {
    application.file_name()?.to_str()?.split('-').next()
}

fn is_other(entry: &DirEntry) -> bool {
    OTHER_FILES.iter().any(|name| entry.file_name() == *name)
}

fn is_candidate(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.file_type().is_file()
        && (name.ends_with(".so")
            || entry
                .metadata()
                .is_ok_and(|file| file.permissions().mode() & 0o111 != 0))
}

impl Program {
    /// Whether there is evidence that the file is used: every VM starts it, or code of its application names it.
    pub(super) fn is_used(&self) -> bool {
        let Some(application) = &self.application else {
            return true;
        };
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // `erlang:load_nif/2` adds the extension.
        let stem = name.strip_suffix(".so").unwrap_or(&name);
        let modules = entries(&application.join("ebin")).into_iter();
        let mut modules = modules.filter(|path| beam_files::is_module(path));
        modules.any(|module| {
            let atoms = std::fs::read(module).ok().and_then(Atoms::of);
            atoms.is_some_and(|atoms| atoms.mention(stem.as_bytes()))
        })
    }

    /// Whether the VM starts the program, or the application starts with the app: it is the app's own, part of a
    /// release, or another application's resource file names it. No resource file names a package that is used only
    /// to compile.
    pub(super) fn starts(&self, deps: &Path) -> bool {
        let Some(application) = &self.application else {
            return true;
        };
        let Some((name, lib)) = name_of(application).zip(application.parent()) else {
            return false;
        };
        if lib
            .parent()
            .is_some_and(|root| root.join("releases").is_dir())
        {
            return true;
        }
        let source = application.join("priv").canonicalize();
        let is_own = source
            .is_ok_and(|source| source.parent() != Some(application) && !source.starts_with(deps));
        let others = entries(lib)
            .into_iter()
            .filter(|other| other != application);
        let mut resources = others
            .flat_map(|other| entries(&other.join("ebin")))
            .filter(|file| file.extension().is_some_and(|end| end == "app"));
        is_own
            || resources.any(|file| {
                let text = std::fs::read_to_string(file).unwrap_or_default();
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                text.split(|c| !is_word(c)).any(|word| word == name)
            })
    }

    /// Whether the application has another file of this name, in another directory: one for each system.
    pub(super) fn has_variants(&self, all: &[Self]) -> bool {
        let same = all.iter().filter(|other| {
            other.application == self.application && other.path.file_name() == self.path.file_name()
        });
        same.map(|other| &other.path).collect::<BTreeSet<_>>().len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn write(path: &Path, content: &[u8], mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A module with a literal.
    fn module(literal: &[u8]) -> Vec<u8> {
        let mut body = b"BEAMLitT".to_vec();
        body.extend(u32::try_from(literal.len() + 4).unwrap().to_be_bytes());
        body.extend([0; 4]);
        body.extend(literal);
        body.resize(body.len().next_multiple_of(4), 0);
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        [b"FOR1", &size[..], &body].concat()
    }

    #[test]
    fn finds_files_that_may_be_loaded_or_started() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path();
        for (path, mode) in [
            ("a/priv/a.so", 0o644),
            ("a/priv/bin/port", 0o755),
            ("a/priv/data.csv", 0o644),
            ("a/priv/static/app.so", 0o644),
            ("b/c_src/b.so", 0o644),
        ] {
            write(&lib.join(path), b"", mode);
        }
        let mut found: Vec<PathBuf> = of_applications(lib)
            .into_iter()
            .map(|program| program.path.strip_prefix(lib).unwrap().to_owned())
            .collect();
        found.sort();
        assert_eq!(found, ["a/priv/a.so", "a/priv/bin/port"].map(PathBuf::from));
    }

    #[test]
    fn library_is_used_if_code_of_its_application_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let application = dir.path().join("fast_math");
        write(
            &application.join("ebin/fast.beam"),
            &module(b"/priv/fast_nif"),
            0o644,
        );
        let program = |name: &str| Program {
            path: application.join("priv").join(name),
            application: Some(application.clone()),
        };
        assert!(program("fast_nif.so").is_used());
        assert!(!program("slow_nif.so").is_used());
    }

    #[test]
    fn application_starts_if_it_is_the_apps_own_or_another_one_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (lib, deps) = (root.join("lib"), root.join("deps"));
        write(
            &lib.join("shop/ebin/shop.app"),
            b"{applications,[kernel,fast_math]}",
            0o644,
        );
        for (name, source) in [
            ("fast_math", deps.join("fast_math/priv")),
            ("fast", deps.join("fast/priv")),
            ("own", root.join("apps/own/priv")),
        ] {
            fs::create_dir_all(&source).unwrap();
            fs::create_dir_all(lib.join(name)).unwrap();
            symlink(&source, lib.join(name).join("priv")).unwrap();
        }
        let starts = |name: &str| {
            let application = Some(lib.join(name));
            let path = lib.join(name).join("priv/nif.so");
            Program { path, application }.starts(&deps)
        };
        assert!(starts("fast_math") && starts("own"));
        assert!(!starts("fast"));
    }

    #[test]
    fn files_of_one_name_are_variants() {
        let program = |path: &str| Program {
            path: PathBuf::from(path),
            application: Some(PathBuf::from("a")),
        };
        let all = ["a/priv/x86/a.so", "a/priv/arm/a.so", "a/priv/b.so"].map(program);
        assert!(all[0].has_variants(&all) && !all[2].has_variants(&all));
    }
}

//! Finds OTP applications in the slug that the app doesn't use.

use crate::context::Context;
use crate::steps::release;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use store::tree::{self, TreeError};
use toolchain::beam_files::{self, Atoms};
use toolchain::unneeded_files::{GRAPHICAL, application_name, applications};
use walkdir::{DirEntry, WalkDir};

/// The extensions of scripts and of their input. Programs in `bin` often have no extension.
const SCRIPTS: [&str; 7] = ["exs", "eex", "args", "config", "sh", "escript", "json"];

/// In bytes. Larger files are data.
const LARGEST_SCRIPT: u64 = 1 << 20;

/// Directories without scripts of the app itself.
const OTHERS_CODE: [&str; 4] = ["_build", "assets", "deps", "node_modules"];

/// An application that shares its name with the module attribute `@dialyzer`.
const ATTRIBUTE: &[u8] = b"dialyzer";

/// Returns the directories of OTP's graphical applications. Returns none if a compiled application or a process
/// names one, since it wouldn't start without it, or if there are no compiled applications to search.
pub(super) fn graphical(ctx: &Context<'_>, otp: &Path) -> Vec<PathBuf> {
    let resources = compiled_files(ctx, "app");
    let texts = resources.iter().map(|path| lossy_text(path));
    let procfile = release::procfile(ctx).unwrap_or_default();
    let names_one = texts
        .chain(procfile.0.into_values())
        .any(|text| words(&text).any(|word| GRAPHICAL.contains(&word)));
    if resources.is_empty() || names_one {
        return Vec::new();
    }
    applications(otp, &GRAPHICAL)
}

/// Returns the directories of the OTP applications in `names` that nothing in the slug refers to: no resource file
/// (`.app`), no compiled code, no script, and no other application that is in use. Code and scripts may refer to an
/// application by one of its modules. Returns none if there are no compiled applications to search.
pub(super) fn unnamed(
    ctx: &Context<'_>,
    otp: &Path,
    names: &[&str],
) -> Result<Vec<PathBuf>, TreeError> {
    let mut files = compiled_files(ctx, "app");
    if files.is_empty() {
        return Ok(Vec::new());
    }
    files.extend(compiled_files(ctx, "beam"));
    let archives = ctx.workspace.places.mix_home.join("archives");
    files.extend(modules_below(&ctx.workspace.real(&archives)));
    files.extend(scripts(&ctx.workspace.app));
    unnamed_in(files, applications(otp, names))
}

/// Returns the files with an extension in the directories of compiled applications.
fn compiled_files(ctx: &Context<'_>, extension: &str) -> Vec<PathBuf> {
    let compiled = ctx.in_app("_build").join(&ctx.plan.mix_env.value);
    let lib = ctx.workspace.real(&compiled.join("lib"));
    let directories = entries(&lib)
        .into_iter()
        .flat_map(|application| ["ebin", "consolidated"].map(|name| application.join(name)));
    let files = directories.flat_map(|dir| entries(&dir));
    files
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect()
}

fn modules_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = files_below(dir, |_| true);
    files.retain(|path| beam_files::is_module(path));
    files
}

/// Returns files that may refer to applications: the Procfile, config, migrations, and programs that the app starts.
fn scripts(app: &Path) -> Vec<PathBuf> {
    files_below(app, |entry| {
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_dir() {
            let is_hidden = entry.depth() > 0 && name.starts_with('.');
            return !is_hidden && !OTHERS_CODE.contains(&&*name);
        }
        let extension = entry.path().extension().and_then(OsStr::to_str);
        extension.is_none_or(|extension| SCRIPTS.contains(&extension))
            && entry
                .metadata()
                .is_ok_and(|file| file.len() <= LARGEST_SCRIPT)
    })
}

/// Returns the files below a directory for which, and for whose directories, `counts` is true. Doesn't follow links.
fn files_below(dir: &Path, counts: impl Fn(&DirEntry) -> bool) -> Vec<PathBuf> {
    let walk = WalkDir::new(dir).into_iter();
    walk.filter_entry(|entry| counts(entry))
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(DirEntry::into_path)
        .collect()
}

/// Returns the directories of applications that neither a file nor an application in use refers to.
fn unnamed_in(
    mut files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
) -> Result<Vec<PathBuf>, TreeError> {
    let names = Names::of(&directories);
    let mut used = BTreeSet::new();
    while !files.is_empty() {
        let found = Mutex::new(BTreeSet::new());
        tree::in_parallel(&files, |path| {
            let here = names.applications_in(path);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(here);
            Ok(())
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<usize> = found.difference(&used).copied().collect();
        files = new
            .iter()
            .flat_map(|index| entries(&directories[*index].join("ebin")))
            .collect();
        used.extend(new);
    }
    let directories = directories.into_iter().enumerate();
    let unused = directories.filter(|(index, _)| !used.contains(index));
    Ok(unused.map(|(_, directory)| directory).collect())
}

/// The names of applications and of their modules, with the index of the application.
struct Names {
    applications: HashMap<Vec<u8>, usize>,
    all: HashMap<Vec<u8>, usize>,
    /// By the first byte of a name: bit `length % 64` for the length of each name. Hashing all literals of a module
    /// would take longer than reading them, and few pass this test.
    lengths: [u64; 256],
}

impl Names {
    fn of(directories: &[PathBuf]) -> Self {
        let mut applications = HashMap::new();
        let mut all = HashMap::new();
        for (index, directory) in directories.iter().enumerate() {
            let modules = entries(&directory.join("ebin")).into_iter();
            let modules = modules.filter(|path| beam_files::is_module(path));
            all.extend(modules.filter_map(|path| {
                let name = path.file_stem()?.as_bytes().to_vec();
                Some((name, index))
            }));
            if let Some(name) = application_name(directory) {
                applications.insert(name.into(), index);
                all.insert(name.into(), index);
            }
        }
        all.remove(ATTRIBUTE);
        let mut lengths = [0; 256];
        for name in all.keys() {
            if let [first, ..] = name.as_slice() {
                lengths[usize::from(*first)] |= 1 << (name.len() % 64);
            }
        }
        Self {
            applications,
            all,
            lengths,
        }
    }

    fn application_of(&self, name: &[u8]) -> Option<usize> {
        let lengths = self.lengths[usize::from(*name.first()?)];
        if lengths & (1 << (name.len() % 64)) == 0 {
            return None;
        }
        self.all.get(name).copied()
    }

    /// Returns the indexes of the applications that a file refers to: all of them for an unreadable module.
    fn applications_in(&self, path: &Path) -> BTreeSet<usize> {
        if !beam_files::is_module(path) {
            let is_resource = path.extension() == Some(OsStr::new("app"));
            let names = if is_resource {
                &self.applications
            } else {
                &self.all
            };
            let text = lossy_text(path);
            let words = words(&text).filter_map(|word| names.get(word.as_bytes()));
            return words.copied().collect();
        }
        match fs::read(path).ok().and_then(Atoms::of) {
            Some(atoms) => atoms
                .iter()
                .filter_map(|atom| self.application_of(atom))
                .collect(),
            None => self.applications.values().copied().collect(),
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

fn lossy_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolchain::unneeded_files::RARELY_USED;

    fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A module with one atom.
    fn module(atom: &str) -> Vec<u8> {
        let mut table = vec![0, 0, 0, 1, u8::try_from(atom.len()).unwrap()];
        table.extend_from_slice(atom.as_bytes());
        let mut body = b"BEAMAtU8".to_vec();
        body.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&table);
        body.resize(body.len().next_multiple_of(4), 0);
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        [b"FOR1", &size[..], &body].concat()
    }

    /// Returns which of `ssh`, `ftp`, `xmerl` and `dialyzer` are unused. `ssh` calls `ftp`.
    fn unused(file: &str, content: impl AsRef<[u8]>) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, atom) in [
            ("lib/ssh-5.2/ebin/ssh_file.beam", "ftp"),
            ("lib/ftp-1.2/ebin/ftp.beam", "lists"),
            ("lib/xmerl-2.1/ebin/xmerl_scan.beam", "lists"),
            ("lib/dialyzer-5.3/ebin/dialyzer.beam", "lists"),
            ("lib/stdlib-6.2/ebin/lists.beam", "lists"),
        ] {
            write(root.path(), path, module(atom));
        }
        let file = write(root.path(), file, content);
        let unused = unnamed_in(vec![file], applications(root.path(), &RARELY_USED)).unwrap();
        let name = |dir: &PathBuf| application_name(dir).unwrap().to_owned();
        unused.iter().map(name).collect()
    }

    #[test]
    fn application_stays_if_it_or_a_module_of_it_is_named() {
        let all = ["dialyzer", "ftp", "ssh", "xmerl"];
        assert_eq!(unused("a.beam", module("lists")), all);
        assert_eq!(unused("a.beam", module("xmerl")), all[..3]);
        assert_eq!(unused("a.beam", module("xmerl_scan")), all[..3]);
        assert_eq!(
            unused("a.exs", "config :app, parser: :xmerl_scan"),
            all[..3]
        );
        assert_eq!(unused("a.app", "{applications,[kernel,xmerl]}"), all[..3]);
        assert_eq!(unused("a.exs", "config :app, xmerls: 1, my_ssh: 2"), all);
    }

    #[test]
    fn applications_that_a_used_one_calls_stay() {
        assert_eq!(unused("a.beam", module("ssh")), ["dialyzer", "xmerl"]);
        assert_eq!(
            unused("a.beam", module("ftp")),
            ["dialyzer", "ssh", "xmerl"]
        );
    }

    #[test]
    fn module_attribute_is_not_a_use_of_dialyzer() {
        assert!(unused("a.beam", module("dialyzer")).contains(&"dialyzer".to_owned()));
        assert!(!unused("a.app", "{applications,[dialyzer]}").contains(&"dialyzer".to_owned()));
    }

    #[test]
    fn module_that_cannot_be_read_keeps_all_applications() {
        assert!(unused("a.beam", "no module").is_empty());
    }

    #[test]
    fn modules_are_found_in_archives() {
        let home = tempfile::tempdir().unwrap();
        let module = write(home.path(), "hex-2.5/hex-2.5/ebin/mix_hex_repo.beam", "");
        write(home.path(), "hex-2.5/hex-2.5/.elixir", "");
        assert_eq!(modules_below(home.path()), [module]);
    }

    #[test]
    fn scripts_are_those_of_the_app_alone() {
        let app = tempfile::tempdir().unwrap();
        let counted = [
            "Procfile",
            "bin/run",
            "config/runtime.exs",
            "rel/vm.args.eex",
        ];
        for path in counted {
            write(app.path(), path, "text");
        }
        for path in ["deps/a/mix.exs", "lib/a.ex", ".git/HEAD", "priv/a.png"] {
            write(app.path(), path, "text");
        }
        write(app.path(), "bin/program", vec![0; 2 << 20]);
        let mut scripts = scripts(app.path());
        scripts.sort();
        assert_eq!(scripts, counted.map(|path| app.path().join(path)));
    }
}

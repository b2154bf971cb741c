//! Files and directories that modules read while they are compiled, other than those that mix tracks, such as files
//! in `@external_resource`. mix doesn't recompile a module if one of these has changed.

use crate::compilation::CompileTimeReads;
use crate::context::Context;
use crate::steps::keys;
use messages::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::json;
use workdir::variables::Salted;

/// What a module read at a path: the content of a file, the names in a directory, or whether it exists. The first line
/// of what a digest is made of.
const CONTENT: &str = "content";
const NAMES: &str = "names";
const STATUS: &str = "status";
/// The same for a file of a dependency, which the lockfile determines. Its path is that of the lockfile.
const DEPENDENCIES: &str = "dependencies";

/// The extensions of code, templates and translations. Mix, Phoenix and Gettext track these files.
const CODE: [&str; 13] = [
    "eex", "erl", "ex", "exs", "heex", "hrl", "leex", "po", "pot", "sface", "slime", "xrl", "yrl",
];

fn digest(salted: &Salted, kind: &str, path: &Path) -> String {
    salted.value(&[kind.as_bytes(), b"\n", path.as_os_str().as_bytes()].concat())
}

/// Restores the reads of the restored `_build`.
pub(crate) fn restore_reads(ctx: &Context<'_>) {
    let note = ctx.workspace.store.read_note(&note(ctx));
    let note = note.and_then(|note| serde_json::from_str::<CompileTimeReads>(&note).ok());
    let mut state = ctx.compilation.state();
    let reads = note.filter(|note| note.compiled == state.build);
    state.compile_time_reads = reads.unwrap_or(CompileTimeReads {
        incomplete: true,
        ..CompileTimeReads::default()
    });
}

/// Saves the reads of a `_build` whose newest module is of the time `compiled`.
pub(crate) fn save_reads(ctx: &Context<'_>, compiled: Option<SystemTime>) -> Result<(), Error> {
    let note = note(ctx);
    let mut state = ctx.compilation.state();
    state.compile_time_reads.compiled = compiled.map(keys::unix_seconds);
    let text = json::to_string(&state.compile_time_reads, &note)?;
    Ok(ctx.workspace.store.write_note(&note, &text)?)
}

fn note(ctx: &Context<'_>) -> String {
    format!("{}.json", keys::entry_name(ctx, "compile_time_reads"))
}

/// To be called when another VM than Mixpack's may have compiled modules.
pub(crate) fn untraced(ctx: &Context<'_>) {
    ctx.compilation.state().compile_time_reads.incomplete = true;
}

/// Adds reads by modules that a command has compiled: lines `KIND<TAB>PATH<TAB>SOURCE` with absolute paths.
pub(crate) fn add_reads(ctx: &Context<'_>, lines: &[u8]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let salted = Salted::of(ctx.workspace.store)?;
    let app = real(&ctx.workspace.app);
    let mut state = ctx.compilation.state();
    let sources = &mut state.compile_time_reads.sources;
    for line in lines.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b'\t');
        let (Some(kind), Some(path), Some(source)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let Some(path) = inside(&app, path) else {
            continue;
        };
        let kind = String::from_utf8_lossy(kind);
        let source = inside(&app, source).unwrap_or_default();
        let mut add = |kind: &str, path: &Path| {
            let known = sources.entry(digest(&salted, kind, path)).or_default();
            if known.is_empty() {
                *known = source.to_string_lossy().into_owned();
            }
        };
        add(&kind, &path);
        let of_build = path.strip_prefix(ctx.in_app("_build"));
        // mix copies `priv` if the project sets `build_embedded`: ENV/lib/APP/priv.
        if let Ok(path) = of_build {
            let path: PathBuf = path.iter().skip(3).collect();
            for project in &ctx.plan.projects {
                let project = if project == "." { "" } else { project };
                add(&kind, &Path::new(project).join(&path));
            }
        }
        if of_build.is_ok() || path.starts_with(ctx.in_app("deps")) {
            add(DEPENDENCIES, &ctx.in_app("mix.lock"));
        }
    }
    Ok(())
}

/// Returns a path relative to the app, if it is inside.
fn inside(app: &Path, path: &[u8]) -> Option<PathBuf> {
    let path = real(Path::new(OsStr::from_bytes(path)));
    path.strip_prefix(app).ok().map(Path::to_owned)
}

/// Resolves links, also of a path that doesn't exist.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Returns why the app has to be recompiled, if a module may have read a file that has changed.
pub(crate) fn changed_file(ctx: &Context<'_>) -> Result<Option<String>, Error> {
    let state = ctx.compilation.state();
    let mut changes = state.changed_files.iter().chain(&state.changed_directories);
    if state.compile_time_reads.incomplete {
        let read = changes.find(|(path, _)| may_be_read(path, &ctx.plan.projects));
        return Ok(read.map(|(path, verb)| {
            let path = path.display();
            format!("{path} {verb}, and the cache doesn't tell whether code reads it when it is compiled")
        }));
    }
    let salted = Salted::of(ctx.workspace.store)?;
    Ok(changes.find_map(|(path, verb)| {
        let reader = |kind: &str, path: &Path| {
            let sources = &state.compile_time_reads.sources;
            let source = sources.get(&digest(&salted, kind, path))?;
            Some(if source.is_empty() {
                "code"
            } else {
                source.as_str()
            })
        };
        let exists_only_once = *verb != "changed";
        let of_file = reader(CONTENT, path)
            .or_else(|| reader(STATUS, path).filter(|_| exists_only_once))
            .map(|reader| format!("{reader} reads it"));
        let of_dependencies = || {
            reader(DEPENDENCIES, path).map(|reader| format!("{reader} reads files of dependencies"))
        };
        let of_directory = || {
            let parent = path.parent().filter(|_| exists_only_once)?;
            let reader = reader(NAMES, parent)?;
            let name = if parent == Path::new("") {
                "the app's directory".into()
            } else {
                parent.to_string_lossy()
            };
            Some(format!("{reader} lists {name}"))
        };
        let what = of_file.or_else(of_dependencies).or_else(of_directory)?;
        Some(format!(
            "{} {verb}, and {what} when it is compiled",
            path.display()
        ))
    }))
}

/// Returns whether code is likely to read a file when it is compiled, if nothing else is known. Files at the top of a
/// project, hidden ones, assets and tests change often, and belong to tools.
fn may_be_read(path: &Path, projects: &[String]) -> bool {
    let inside = projects.iter().filter_map(|project| {
        let project = if project == "." { "" } else { project };
        path.strip_prefix(project).ok()
    });
    let inside = inside.min_by_key(|path| path.components().count());
    let mut parts = inside.unwrap_or(path).iter().filter_map(OsStr::to_str);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let belongs_to_tool =
        second.is_none() || first.starts_with('.') || ["assets", "test"].contains(&first);
    let extension = path.extension().and_then(OsStr::to_str);
    !belongs_to_tool && !extension.is_some_and(|extension| CODE.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tools_and_code_are_unlikely_to_be_read() {
        let projects = [".".to_owned(), "apps/web".to_owned()];
        let may_be_read = |path| may_be_read(Path::new(path), &projects);
        for path in ["priv/cats/a.png", "apps/web/priv/cats/a.png", "posts/a.md"] {
            assert!(may_be_read(path), "{path}");
        }
        for path in [
            "Procfile",
            "apps/web/Procfile",
            "assets/a.svg",
            "apps/web/assets/a.svg",
            ".github/workflows/ci.yml",
            "lib/a.ex",
            "lib/a/a.html.heex",
        ] {
            assert!(!may_be_read(path), "{path}");
        }
    }

    #[test]
    fn links_of_missing_paths_are_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(top.join("priv")).unwrap();
        std::os::unix::fs::symlink("priv", top.join("link")).unwrap();
        let path = top.join("link/a/b");
        let found = inside(&top, path.as_os_str().as_bytes());
        assert_eq!(found, Some(PathBuf::from("priv/a/b")));
        assert_eq!(inside(&top, b"/elsewhere"), None);
    }
}

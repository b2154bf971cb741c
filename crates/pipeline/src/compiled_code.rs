//! The files of a project that are compiled, or read while it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeOwner {
    App,
    Dependency,
}

/// Code of an app or dependency that a variable may be read in while it is compiled.
pub(crate) const CODE: [&str; 12] = [
    "lib",
    "src",
    "web",
    "c_src",
    "native",
    "config",
    "mix.exs",
    "rebar.config",
    "rebar.config.script",
    "Makefile",
    "Makefile.win",
    "CMakeLists.txt",
];

/// Run when the app starts, and never before.
pub(crate) const RUNTIME_CONFIG: &str = "runtime.exs";

/// In dependencies, the text of what they generate speaks of variables: `mix phx.gen.release` of
/// `PHX_HOST`, which is set between the first deploys, and all of Phoenix depends on its package.
pub(crate) const GENERATORS: &str = "lib/mix/tasks";

/// More is no source.
pub(crate) const LARGEST: u64 = 1024 * 1024;

/// The files of a project that a variable may be read in while it is compiled.
pub(crate) fn code(project: &Path, owner: CodeOwner) -> impl Iterator<Item = PathBuf> {
    let walks = CODE.iter().flat_map(move |name| {
        let walk = WalkDir::new(project.join(name)).sort_by_file_name();
        let walk = walk.into_iter().filter_entry(move |entry| {
            let generators = owner == CodeOwner::Dependency && entry.path().ends_with(GENERATORS);
            !is_tool_output(entry.path()) && !generators
        });
        walk.filter_map(Result::ok)
    });
    walks
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != RUNTIME_CONFIG)
        .filter(|entry| entry.metadata().is_ok_and(|found| found.len() <= LARGEST))
        .map(walkdir::DirEntry::into_path)
}

/// Whether a tool has made a folder: only beside the file that the tool goes by, since sources may
/// have a folder of that name too.
pub(crate) fn is_tool_output(folder: &Path) -> bool {
    const TOOL_OUTPUTS: [(&str, &str); 4] = [
        ("node_modules", "package.json"),
        ("target", "Cargo.toml"),
        ("deps", "mix.exs"),
        ("_build", "mix.exs"),
    ];
    let is_tool_output = |(name, by): (&str, &str)| {
        folder.file_name() == Some(OsStr::new(name)) && folder.with_file_name(by).exists()
    };
    TOOL_OUTPUTS.into_iter().any(is_tool_output)
}

/// The files of the app that are compiled; mix itself looks after `mix.exs` and config.
pub(crate) fn compiled_code(project: &Path) -> impl Iterator<Item = PathBuf> {
    let root = project.to_owned();
    code(project, CodeOwner::App).filter(move |path| {
        let config = ["config", "mix.exs"].map(|name| root.join(name));
        !config.iter().any(|config| path.starts_with(config))
    })
}

//! The files of a project that are compiled, or read while it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeOwner {
    App,
    Dependency,
}

/// The owner of code that may read a variable at compile time.
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

/// Evaluated only when the app starts.
pub(crate) const RUNTIME_CONFIG: &str = "runtime.exs";

/// Templates in dependencies mention variables: that of `mix phx.gen.release` mentions `PHX_HOST`, which users set
/// between their first deploys. Recompiling Phoenix would recompile everything.
pub(crate) const GENERATORS: &str = "lib/mix/tasks";

/// Larger files aren't source code.
pub(crate) const LARGEST: u64 = 1024 * 1024;

/// Returns the files of a project that may read a variable at compile time.
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

/// Returns whether a tool generated a directory. Sources may have a directory of the same name, so the tool's
/// project file has to be beside it.
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

/// Returns the compiled files of the app. Mix itself watches `mix.exs` and the config.
pub(crate) fn compiled_code(project: &Path) -> impl Iterator<Item = PathBuf> {
    let root = project.to_owned();
    code(project, CodeOwner::App).filter(move |path| {
        let config = ["config", "mix.exs"].map(|name| root.join(name));
        !config.iter().any(|config| path.starts_with(config))
    })
}

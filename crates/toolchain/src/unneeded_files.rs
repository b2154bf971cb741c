//! The files of a toolchain that are not needed to build an app, or not needed to run one.

use std::io;
use std::path::{Path, PathBuf};
use versions::target::Arch;
use walkdir::WalkDir;

/// A tool's files that no build of an app needs: documentation and sources of the tool itself. They are removed when
/// the tool is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Otp,
    Elixir,
    /// Node.js for this architecture: most of its headers are for others.
    Node(Arch),
}

/// Paths are relative to the tool, with `/`.
impl Tool {
    fn unneeded(self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        match self {
            Self::Otp => match parts.as_slice() {
                ["doc" | "man"]
                | [
                    "lib",
                    _,
                    "doc" | "emacs" | "examples" | "c_src" | "java_src",
                ] => true,
                // yielding_c_fun generates C code of the VM itself.
                [erts, "doc" | "man" | "src"] | [erts, "bin", "yielding_c_fun"] => {
                    erts.starts_with("erts-")
                }
                // Code includes headers from these directories, but not sources.
                ["lib", _, "src", .., file] => {
                    Path::new(file).extension().is_some_and(|end| end != "hrl")
                }
                _ => false,
            },
            Self::Elixir => matches!(parts.as_slice(), ["man"] | ["lib", _, "lib"]),
            Self::Node(arch) => match parts.as_slice() {
                ["share"] => true,
                ["include", "node", "openssl", "archs", platform] => {
                    *platform != openssl_name(arch)
                }
                _ => false,
            },
        }
    }

    /// Returns whether a file is not needed at run time: dynos don't compile C or install packages.
    fn unneeded_to_run(self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        match self {
            Self::Otp => match parts.as_slice() {
                ["usr"] => true,
                [erts, "include"] => erts.starts_with("erts-"),
                ["lib", library, "include"] => library.starts_with("erl_interface-"),
                [.., file] => is_static_library(file),
                [] => false,
            },
            Self::Elixir => false,
            Self::Node(_) => matches!(
                parts.as_slice(),
                ["include" | "CHANGELOG.md" | "README.md"]
                    | ["lib", "node_modules", "npm", "docs" | "man"]
            ),
        }
    }
}

/// Applications of OTP that draw windows, and those that only they use. A server has no screen.
pub const GRAPHICAL: [&str; 5] = ["debugger", "et", "observer", "reltool", "wx"];

/// Applications of OTP that few apps use. Erlang and Elixir start and run without them: of their other
/// modules, only `mod_auth_mnesia` and `observer_backend` call one of these, if an app or an observer asks
/// them to.
pub const RARELY_USED: [&str; 16] = [
    "common_test",
    "dialyzer",
    "diameter",
    "edoc",
    "eldap",
    "eunit",
    "ftp",
    "jinterface",
    "megaco",
    "mnesia",
    "odbc",
    "snmp",
    "ssh",
    "syntax_tools",
    "tftp",
    "xmerl",
];

/// The applications that test, check and document code, which servers don't do.
pub const DEVELOPMENT: [&str; 4] = ["common_test", "dialyzer", "edoc", "eunit"];

/// Returns the directories of OTP's applications with these names.
#[must_use]
pub fn applications(otp: &Path, names: &[&str]) -> Vec<PathBuf> {
    let is_named =
        |path: &PathBuf| application_name(path).is_some_and(|name| names.contains(&name));
    let entries = std::fs::read_dir(otp.join("lib")).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(is_named).collect();
    paths.sort();
    paths
}

/// Returns the name of the application in a directory such as `lib/ssh-5.2.11`.
#[must_use]
pub fn application_name(dir: &Path) -> Option<&str> {
    Some(dir.file_name()?.to_str()?.split_once('-')?.0)
}

/// The directory of OpenSSL's headers in Node, by architecture.
fn openssl_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "linux-x86_64",
        Arch::Arm64 => "linux-aarch64",
    }
}

fn is_static_library(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|end| end == "a")
}

/// Returns the topmost files and directories of the tool at `root` that no build needs.
fn to_build(root: &Path, tool: Tool) -> io::Result<Vec<PathBuf>> {
    found(root, |path| tool.unneeded(path))
}

/// Returns those that no dyno needs.
pub fn to_run(root: &Path, tool: Tool) -> io::Result<Vec<PathBuf>> {
    found(root, |path| tool.unneeded_to_run(path))
}

fn found(root: &Path, unneeded: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut walk = WalkDir::new(root).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry?;
        let relative = entry.path().strip_prefix(root).ok().and_then(Path::to_str);
        if relative.is_some_and(&unneeded) {
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}

/// Removes the files that no build needs from a newly unpacked tool.
pub(crate) fn drop_unneeded(root: &Path, tool: Tool) -> Result<(), crate::ToolchainError> {
    let paths = to_build(root, tool).map_err(crate::ToolchainError::io(root, "read"))?;
    for path in paths {
        let is_dir = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let removed = if is_dir {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(crate::ToolchainError::io(&path, "remove"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn left(
        files: &[&str],
        list: fn(&Path, Tool) -> io::Result<Vec<PathBuf>>,
        tool: Tool,
    ) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut paths: Vec<String> = list(dir.path(), tool)
            .unwrap()
            .iter()
            .map(|path| {
                path.strip_prefix(dir.path())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        paths.sort();
        paths
    }

    #[test]
    fn removes_sources_and_docs_and_keeps_headers() {
        let otp = [
            "bin/erl",
            "doc/index.html",
            "erts-15.2/bin/beam.smp",
            "erts-15.2/bin/yielding_c_fun",
            "erts-15.2/doc/chunks/erts.chunk",
            "erts-15.2/include/erl_nif.h",
            "lib/crypto-5.5/priv/lib/crypto.so",
            "lib/crypto-5.5/priv/lib/crypto.a",
            "lib/stdlib-6.2/doc/chunks/lists.chunk",
            "lib/stdlib-6.2/ebin/lists.beam",
            "lib/stdlib-6.2/src/lists.erl",
            "lib/stdlib-6.2/src/erl_internal.hrl",
            "lib/tools-4.1/emacs/erlang.el",
            "lib/xmerl-2.1/include/xmerl.hrl",
            "usr/include/ei.h",
        ];
        assert_eq!(
            left(&otp, to_build, Tool::Otp),
            [
                "doc",
                "erts-15.2/bin/yielding_c_fun",
                "erts-15.2/doc",
                "lib/stdlib-6.2/doc",
                "lib/stdlib-6.2/src/lists.erl",
                "lib/tools-4.1/emacs"
            ]
        );
        assert_eq!(
            left(&otp, to_run, Tool::Otp),
            [
                "erts-15.2/include",
                "lib/crypto-5.5/priv/lib/crypto.a",
                "usr"
            ]
        );
        let elixir = [
            "bin/mix",
            "lib/mix/ebin/Elixir.Mix.beam",
            "lib/mix/lib/mix.ex",
            "man/mix.1",
        ];
        assert_eq!(
            left(&elixir, to_build, Tool::Elixir),
            ["lib/mix/lib", "man"]
        );
        let node = [
            "bin/node",
            "CHANGELOG.md",
            "include/node/node.h",
            "include/node/openssl/archs/linux-x86_64/a.h",
            "include/node/openssl/archs/linux-aarch64/a.h",
            "lib/node_modules/npm/bin/npm-cli.js",
            "lib/node_modules/npm/docs/a.md",
        ];
        assert_eq!(
            left(&node, to_build, Tool::Node(Arch::Amd64)),
            ["include/node/openssl/archs/linux-aarch64"]
        );
        assert_eq!(
            left(&node, to_run, Tool::Node(Arch::Amd64)),
            ["CHANGELOG.md", "include", "lib/node_modules/npm/docs"]
        );
    }
}

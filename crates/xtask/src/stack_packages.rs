//! Writes the table of packages that are in the build image of a Heroku stack but not in its run image, from the
//! lists that Heroku publishes.

use crate::process::{Result, run};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

const TABLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../pipeline/src/boot_check/build_only_packages.txt"
);
const STACKS: [&str; 3] = ["22", "24", "26"];
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Parts of the names of packages without shared libraries.
const NO_LIBRARIES: [&str; 10] = [
    "-dev", "-bin", "-doc", "-data", "-perl", "-headers", "-config", "-stdlib", "-minimal",
    "libjs-",
];

/// `cargo xtask stack-packages CHECKOUT`: a clone of github.com/heroku/base-images, which may be bare.
pub(crate) fn stack_packages(args: &[OsString]) -> Result {
    let [checkout] = args else {
        return Err("usage: cargo xtask stack-packages CHECKOUT".into());
    };
    let checkout = Path::new(checkout);
    let mut stacks: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for stack in STACKS {
        let mut names = BTreeSet::new();
        for arch in ARCHITECTURES {
            let list = |image: &str| {
                git(
                    checkout,
                    &[
                        "show",
                        &format!("HEAD:{image}/installed-packages-{arch}.txt"),
                    ],
                )
            };
            // heroku-22 is only for amd64.
            let Ok(build) = list(&format!("heroku-{stack}-build")) else {
                continue;
            };
            names.extend(build_only(&build, &list(&format!("heroku-{stack}"))?));
        }
        for name in names {
            stacks.entry(name).or_default().push(stack);
        }
    }
    let source = git(checkout, &["log", "-1", "--format=%H %cs"])?;
    let lines = stacks
        .iter()
        .map(|(name, stacks)| format!("{name} {}\n", stacks.join(" ")));
    let table = format!(
        "# heroku/base-images {}\n{}",
        source.trim(),
        lines.collect::<String>()
    );
    Ok(fs::write(TABLE, table)?)
}

/// Returns the packages with libraries that are only in the first list. A line is a name, and its status in
/// parentheses if the package isn't completely installed.
fn build_only(build: &str, run: &str) -> Vec<String> {
    let names = |list: &str| -> BTreeSet<String> {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect()
    };
    let is_library = |name: &&String| {
        let has_version = name.contains(|c: char| c.is_ascii_digit());
        name.starts_with("lib")
            && has_version
            && !NO_LIBRARIES.iter().any(|part| name.contains(part))
    };
    names(build)
        .difference(&names(run))
        .filter(is_library)
        .cloned()
        .collect()
}

fn git(checkout: &Path, args: &[&str]) -> Result<String> {
    run(Command::new("git").arg("-C").arg(checkout).args(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_libraries_of_build_image_alone() {
        let build = "# List of packages\nbash\nlibgmp-dev\nlibgmp10\nlibgmpxx4ldbl\nlibisl23\nlibpython3.12-stdlib\nlibtool\n";
        let run = "# List of packages\nbash\nlibgmp10\nlibisl23 (package status: config-files)\n";
        assert_eq!(build_only(build, run), ["libgmpxx4ldbl"]);
    }
}

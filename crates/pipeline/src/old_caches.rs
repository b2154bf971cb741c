//! Removes the entries of the two shell buildpacks from the platform's cache, once a build has succeeded without
//! them. No other buildpack would.

use app::Plan;
use exec::log::Log;
use exec::progress::megabytes;
use std::fs;
use std::path::Path;
use store::Store;
use store::tree::{self, Amount};

/// The folders of the Elixir buildpack and of its fork.
const ELIXIR_CACHES: [&str; 2] = ["heroku-buildpack-elixir", "gigalixir-buildpack-elixir"];

/// The entries of the Phoenix static buildpack and of its fork in the cache, except the archives of Node.
/// Another buildpack may use some of these names too.
const STATIC_ENTRIES: [&str; 6] = [
    "phoenix-static",
    "yarn-cache",
    "bower_components",
    "node-version",
    "npm-version",
    "node_modules",
];

/// The old buildpacks whose caches have been removed, a line each.
const NOTE: &str = "reclaimed";

/// Removes the entries of the old buildpacks, once for each. An old buildpack that still runs keeps the entries that
/// it creates later. Failures are ignored, since the build has succeeded.
pub(crate) fn reclaim(plan: &Plan, tests_only: bool, store: &dyn Store, log: &Log) {
    let Some(cache) = store.shared() else {
        return;
    };
    let note = store.read_note(NOTE).unwrap_or_default();
    let mut reclaimed: Vec<&str> = note.lines().collect();
    let mut entries = Vec::new();
    if !reclaimed.contains(&"elixir") {
        reclaimed.push("elixir");
        entries.extend(elixir_caches(&cache));
    }
    // The static buildpack's cache may still be needed if assets are skipped, or before the first deploy.
    if !reclaimed.contains(&"static") && plan.skip_assets.is_none() && !tests_only {
        reclaimed.push("static");
        entries.extend(static_entries(&cache));
    }
    let now = reclaimed.join("\n");
    if now == note {
        return;
    }
    if !entries.is_empty() {
        remove(&cache, &entries, log);
    }
    if let Err(error) = store.write_note(NOTE, &now) {
        log.warning(&[error.to_string()]);
    }
}

fn remove(cache: &Path, entries: &[String], log: &Log) {
    let log = log.step("Removing the cache of the old buildpacks");
    let mut sum = Amount::default();
    for name in entries {
        let path = cache.join(name);
        let amount = tree::measure(&path);
        match tree::remove(&path) {
            Ok(()) => {
                log.detail(&format!("{name}: {}", megabytes(amount.bytes)));
                sum.files += amount.files;
                sum.bytes += amount.bytes;
            }
            Err(error) => log.warning(&error.to_string()),
        }
    }
    log.detail(&format!(
        "{} in {} files; this is done once",
        megabytes(sum.bytes),
        sum.files
    ));
}

fn elixir_caches(cache: &Path) -> Vec<String> {
    ELIXIR_CACHES
        .iter()
        .filter(|name| cache.join(name).is_dir())
        .map(|name| (*name).to_owned())
        .collect()
}

/// Returns the entries of the static buildpack, or none without an entry that only it creates.
fn static_entries(cache: &Path) -> Vec<String> {
    let node = fs::read_to_string(cache.join("node-version")).unwrap_or_default();
    let theirs = cache.join("phoenix-static").is_dir() || is_node_version(node.trim_end());
    if !theirs {
        return Vec::new();
    }
    let archives = fs::read_dir(cache)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_archive(name));
    let mut entries: Vec<String> = STATIC_ENTRIES
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    entries.extend(archives);
    entries.retain(|name| cache.join(name).symlink_metadata().is_ok());
    entries.sort();
    entries
}

/// `v22.17.0`, as `node --version` prints it.
fn is_node_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|numbers| {
        let parts: Vec<&str> = numbers.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        parts.len() == 3 && parts.iter().all(is_number)
    })
}

/// Whether this is an archive of Node, or the fork's note of its checksum.
fn is_archive(name: &str) -> bool {
    let version = name
        .strip_prefix("node-")
        .and_then(|rest| rest.strip_suffix("-linux-x64.tar.gz"))
        .or_else(|| name.strip_prefix("SHA256SUM-node-"));
    version.is_some_and(is_node_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for entry in entries {
            let path = dir.path().join(entry);
            if let Some(folder) = entry.strip_suffix('/') {
                fs::create_dir_all(dir.path().join(folder)).unwrap();
            } else {
                fs::write(path, "v24.1.0\n").unwrap();
            }
        }
        dir
    }

    /// Entries of other buildpacks, and some that look like those of the static one.
    const OTHERS: [&str; 9] = [
        "stack",
        "node/",
        "node_modules/",
        "bower_components/",
        "yarn-cache/",
        "node-v24.1.0-linux-x64.tar.gz",
        "node-vX-linux-x64.tar.gz",
        "node-tools-linux-x64.tar.gz",
        "elixir/",
    ];

    #[test]
    fn nothing_is_removed_without_static_buildpack_marker() {
        assert!(static_entries(cache(&OTHERS).path()).is_empty());
        let dir = cache(&OTHERS);
        fs::write(dir.path().join("node-version"), "22.x\n").unwrap();
        assert!(static_entries(dir.path()).is_empty());
    }

    #[test]
    fn static_buildpack_cache_is_removed_and_others_stay() {
        let all = [
            "bower_components",
            "node-v24.1.0-linux-x64.tar.gz",
            "node_modules",
            "yarn-cache",
        ];
        let dir = cache(&[&OTHERS[..], &["phoenix-static/", "npm-version"]].concat());
        let mut expected = [&all[..], &["npm-version", "phoenix-static"]].concat();
        expected.sort_unstable();
        assert_eq!(static_entries(dir.path()), expected);
        let dir = cache(&[&OTHERS[..], &["node-version", "SHA256SUM-node-v24.1.0"]].concat());
        let mut expected = [&all[..], &["node-version", "SHA256SUM-node-v24.1.0"]].concat();
        expected.sort_unstable();
        assert_eq!(static_entries(dir.path()), expected);
    }

    #[test]
    fn old_elixir_buildpack_caches_are_known_by_name() {
        let dir = cache(&[
            "gigalixir-buildpack-elixir/",
            "heroku-buildpack-elixir/",
            "stack",
        ]);
        assert_eq!(elixir_caches(dir.path()).len(), 2);
        assert!(elixir_caches(cache(&["heroku-buildpack-elixir"]).path()).is_empty());
    }
}

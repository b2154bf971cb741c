//! Lockfiles that package managers have written for the same `package.json`, in each format, without URLs of
//! archives.

use app::facts::js_lock::{Locked, parse};
use std::fs;
use std::path::Path;

/// The packages that the app needs at run time. `chalk`, its dependencies and `ms` 2.0.0 are for development, and
/// `phoenix` is a directory.
const SHIPPED: [(&str, &str); 9] = [
    ("@hotwired/turbo", "8.0.23"),
    ("debug", "4.3.4"),
    ("fsevents", "2.3.3"),
    ("js-tokens", "4.0.0"),
    ("loose-envify", "1.4.0"),
    ("ms", "2.1.2"),
    // Installed as `colors-of-terminals`.
    ("picocolors", "1.1.1"),
    ("react", "18.3.1"),
    ("use-sync-external-store", "1.2.2"),
];

const TURBO: &str = "sha512-GZ7cijxEZ6Ig71u7rD6LHaRv/wcE/hNsc+nEfiWOkLNqUgLOwo5MNGWOy5ZV9ZUDSiQx1no7YxjTNnT4O6//cQ==";

fn locked(lockfile: &str, by: &str) -> Vec<Locked> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js_lock");
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect("a file beside this one");
    parse(lockfile, &read(by), &read("package.json"))
}

fn names(locked: &[Locked]) -> Vec<(&str, &str)> {
    let names = locked.iter();
    names
        .map(|one| (one.name.as_str(), one.version.as_str()))
        .collect()
}

#[test]
fn every_lockfile_format_lists_production_packages_with_checksums() {
    for (lockfile, by) in [
        ("package-lock.json", "npm.json"),
        ("yarn.lock", "yarn-1.lock"),
        ("pnpm-lock.yaml", "pnpm-7.yaml"),
        ("pnpm-lock.yaml", "pnpm-8.yaml"),
        ("pnpm-lock.yaml", "pnpm-9.yaml"),
        ("bun.lock", "bun.lock"),
    ] {
        let locked = locked(lockfile, by);
        assert_eq!(names(&locked), SHIPPED, "{by}");
        assert_eq!(locked[0].integrity.as_deref(), Some(TURBO), "{by}");
        for one in &locked {
            let integrity = one.integrity.as_deref().unwrap_or_default();
            assert!(integrity.starts_with("sha512-"), "{by}: {one:?}");
        }
    }
}

/// It adds node-gyp and its dependencies to packages with native code.
#[test]
fn yarn_berry_lists_production_packages_without_registry_checksums() {
    for by in ["yarn-3.lock", "yarn-4.lock"] {
        let locked = locked("yarn.lock", by);
        let names = names(&locked);
        for shipped in SHIPPED {
            assert!(names.contains(&shipped), "{by}: no {shipped:?}");
        }
        assert!(names.iter().any(|(name, _)| *name == "node-gyp"), "{by}");
        for (name, version) in names {
            let for_development = ["chalk", "ansi-styles", "supports-color"].contains(&name);
            assert!(
                !for_development && (name, version) != ("ms", "2.0.0"),
                "{by}"
            );
            assert!(!["assets", "phoenix"].contains(&name), "{by}");
        }
        assert!(locked.iter().all(|one| one.integrity.is_none()), "{by}");
    }
}

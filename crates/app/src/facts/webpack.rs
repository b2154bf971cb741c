//! The webpack that builds the assets.

use super::locked_packages::locked;
use super::package_json::PackageJson;
use versions::node::{NodeRequest, NodeVersion};

/// The first release of each major version that works without OpenSSL's md4, which OpenSSL 3 removed. Webpack 4.47.0
/// and 5.61.0 compute it themselves.
const WITHOUT_MD4: [&str; 2] = ["4.47.0", "5.61.0"];
/// An option in scripts or `NODE_OPTIONS` that enables md4 in Node.js 17 and newer.
pub(crate) const LEGACY_OPENSSL: &str = "--openssl-legacy-provider";

/// Returns the version of webpack that is installed: the locked one, or else the lowest that an exact range allows.
/// `None` if it can be any version, or if the scripts enable md4.
pub(crate) fn installed(json: &PackageJson, lock: Option<&str>) -> Option<String> {
    if json
        .scripts
        .values()
        .any(|script| script.contains(LEGACY_OPENSSL))
    {
        return None;
    }
    let range = json.requires("webpack");
    let locked = lock.map(|lock| locked(lock, "webpack")).unwrap_or_default();
    let Some(range) = range else {
        // It may be the dependency of a tool such as react-scripts, if it is the only one.
        let all_need_it = locked.iter().all(|version| needs_md4(version));
        return locked.into_iter().next().filter(|_| all_need_it);
    };
    // npm uses the same syntax for all ranges.
    let parsed = NodeRequest::parse(range).ok()?;
    let matches = |version: &str| {
        NodeVersion::parse(version).is_ok_and(|version| match &parsed {
            NodeRequest::Exact(exact) => *exact == version,
            NodeRequest::Range(range) => range.matches(&version),
            _ => true,
        })
    };
    if let Some(version) = locked.iter().find(|version| matches(version)) {
        return Some(version.clone());
    }
    let newer = WITHOUT_MD4.iter().any(|version| matches(version)) || matches("5.999.0");
    let exact = range.trim_start_matches(['^', '~', '=', 'v']);
    (!newer && NodeVersion::parse(exact).is_ok()).then(|| exact.to_owned())
}

/// Whether a version of webpack hashes with md4.
pub(crate) fn needs_md4(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|n| n.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < (4, 47) || major == 5 && minor < 61,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(package: &str, lock: Option<&str>) -> Option<String> {
        installed(&PackageJson::parse(package).unwrap(), lock)
    }

    #[test]
    fn webpack_needs_md4_before_4_47_and_from_5_0_to_5_60() {
        for (version, needs) in [
            ("3.12.0", true),
            ("4.41.5", true),
            ("4.46.0", true),
            ("4.47.0", false),
            ("5.0.0", true),
            ("5.60.0", true),
            ("5.61.0", false),
            ("6.0.0", false),
            ("latest", false),
        ] {
            assert_eq!(needs_md4(version), needs, "{version}");
        }
    }

    #[test]
    fn finds_locked_version_for_requested_range() {
        let package = r#"{"devDependencies": {"webpack": "^4.41.5"}}"#;
        for lock in [
            "{\"packages\": {\n    \"node_modules/webpack\": {\n      \"version\": \"4.46.0\",\n",
            "{\"dependencies\": {\n    \"webpack\": {\n      \"version\": \"4.46.0\",\n",
            "webpack@^4.41.5:\n  version \"4.46.0\"\n",
            "\"webpack@npm:^4.41.5\":\n  version: 4.46.0\n",
            "  /webpack@4.46.0(webpack-cli@3.3.12):\n    resolution: {}\n",
            "  /webpack/4.46.0:\n    resolution: {}\n",
            "    \"webpack\": [\"webpack@4.46.0\", \"\", {}],\n",
            "webpack@^5.1.0:\n  version \"5.90.0\"\nwebpack@^4.41.5:\n  version \"4.46.0\"\n",
        ] {
            assert_eq!(of(package, Some(lock)).as_deref(), Some("4.46.0"), "{lock}");
        }
        let newer = "webpack@^4.41.5:\n  version \"4.47.0\"\n";
        assert_eq!(of(package, Some(newer)).as_deref(), Some("4.47.0"));
        let others = "webpack-cli@^3.3.2:\n  version \"3.3.12\"\n\"@x/webpack@^4.41.5\":\n  version \"4.41.5\"\n";
        assert_eq!(of(package, Some(others)), None);
    }

    #[test]
    fn range_counts_if_no_newer_version_satisfies_it() {
        let requested = |range: &str| {
            of(
                &format!("{{\"dependencies\": {{\"webpack\": \"{range}\"}}}}"),
                None,
            )
        };
        for (range, version) in [
            ("4.46.0", Some("4.46.0")),
            ("~4.46.0", Some("4.46.0")),
            ("~5.24.1", Some("5.24.1")),
            ("^3.5.0", Some("3.5.0")),
            ("^4.41.5", None),
            ("^5.0.0", None),
            ("latest", None),
        ] {
            assert_eq!(requested(range).as_deref(), version, "{range}");
        }
    }

    #[test]
    fn transitive_webpack_counts_unless_legacy_provider_is_set() {
        let lock = "webpack@4.44.2:\n  version \"4.44.2\"\n";
        assert_eq!(of("{}", Some(lock)).as_deref(), Some("4.44.2"));
        let two = format!("{lock}webpack@^5:\n  version \"5.90.0\"\n");
        assert_eq!(of("{}", Some(&two)), None);
        let legacy = r#"{"scripts": {"deploy": "NODE_OPTIONS=--openssl-legacy-provider webpack"}, "dependencies": {"webpack": "4.46.0"}}"#;
        assert_eq!(of(legacy, Some(lock)), None);
    }
}

//! node-sass, whose install script fails on a Node.js that it has no executable for. New apps of Phoenix 1.5 use it,
//! and so does `sass-brunch`.

use super::locked_packages::locked;
use super::package_json::PackageJson;
use versions::node::{NodeRequest, NodeVersion};

/// The first version of node-sass with executables for a major of Node.js, and that major; the newest first. From
/// the table in node-sass's README. 4.5.3 is the first with those for Node.js 8.
const EXECUTABLES: [((u64, u64, u64), u64); 12] = [
    ((9, 0, 0), 20),
    ((8, 0, 0), 19),
    ((7, 0, 0), 17),
    ((6, 0, 0), 16),
    ((5, 0, 0), 15),
    ((4, 14, 0), 14),
    ((4, 13, 0), 13),
    ((4, 12, 0), 12),
    ((4, 10, 0), 11),
    ((4, 9, 0), 10),
    ((4, 5, 3), 8),
    ((3, 7, 0), 6),
];

/// The last release of each major.
const LAST: [&str; 6] = ["9.0.0", "8.0.0", "7.0.3", "6.0.1", "5.0.0", "4.14.1"];

/// Returns the version of node-sass that is installed: the oldest locked one, or else the newest that the range in
/// `package.json` allows.
pub(crate) fn installed(json: &PackageJson, lock: Option<&str>) -> Option<String> {
    let parsed = |version: &String| NodeVersion::parse(version).ok();
    let locked = lock.map(|lock| locked(lock, "node-sass"));
    if let Some(version) = locked.into_iter().flatten().min_by_key(parsed) {
        return Some(version);
    }
    let newest = match NodeRequest::parse(json.requires("node-sass")?).ok()? {
        NodeRequest::Exact(version) => version.to_string(),
        NodeRequest::Range(range) => {
            let allowed = |version: &&&str| {
                NodeVersion::parse(version).is_ok_and(|version| range.matches(&version))
            };
            (*LAST.iter().find(allowed)?).to_owned()
        }
        _ => return None,
    };
    Some(newest)
}

/// Returns the newest major of Node.js that a version of node-sass has executables for, if known.
pub(crate) fn newest_node(version: &str) -> Option<u64> {
    let mut numbers = version.split('.').map_while(|n| n.parse::<u64>().ok());
    let version = (numbers.next()?, numbers.next()?, numbers.next()?);
    let of_next_major = version.0 > EXECUTABLES[0].0.0;
    let found = EXECUTABLES.iter().find(|(first, _)| version >= *first);
    found.filter(|_| !of_next_major).map(|(_, node)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_executables_up_to_one_major_of_node() {
        for (version, node) in [
            ("9.0.0", Some(20)),
            ("7.0.3", Some(17)),
            ("4.14.1", Some(14)),
            ("4.13.1", Some(13)),
            ("4.11.0", Some(11)),
            ("4.9.4", Some(10)),
            ("4.5.3", Some(8)),
            ("4.5.2", Some(6)),
            // `"node-sass": "npm:sass@^1.77"` is not node-sass.
            ("1.77.0", None),
            ("10.0.0", None),
            ("latest", None),
        ] {
            assert_eq!(newest_node(version), node, "{version}");
        }
    }

    #[test]
    fn locked_version_counts_before_range() {
        let of = |range: &str, lock: Option<&str>| {
            let json = format!("{{\"devDependencies\": {{\"node-sass\": \"{range}\"}}}}");
            installed(&PackageJson::parse(&json).unwrap(), lock)
        };
        let lock = "    \"node-sass\": {\n      \"version\": \"4.9.4\",\n";
        assert_eq!(of("^4.9.0", Some(lock)).as_deref(), Some("4.9.4"));
        assert_eq!(of("^4.9.0", None).as_deref(), Some("4.14.1"));
        assert_eq!(of(">=4", None).as_deref(), Some("9.0.0"));
        assert_eq!(of("4.5.3", None).as_deref(), Some("4.5.3"));
        assert_eq!(of("latest", None), None);
        let of_sass_brunch = "node-sass@^4.5.0:\n  version \"4.5.3\"\n";
        let json = PackageJson::parse("{}").unwrap();
        let found = installed(&json, Some(of_sass_brunch));
        assert_eq!(found.as_deref(), Some("4.5.3"));
        assert_eq!(
            installed(&json, Some("sass@^1:\n  version \"1.77.0\"\n")),
            None
        );
    }
}

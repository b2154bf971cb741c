//! Builders of assets that newer versions of Node.js don't run: brunch, which built the assets of
//! Phoenix up to 1.3, and old webpack, which built those of 1.4 and 1.5.

use crate::facts::{JsPackage, needs_md4};
use versions::node::NodeVersion;

/// The newest major of Node.js that brunch 1 and 2 run on with the plugins of their time. Node 23
/// has no `util.isRegExp`, which the minifier of `clean-css-brunch` before 2.10 calls: brunch fails on
/// style sheets from then on, and 2.9 leaves them out and ends as if all were well.
const NEWEST_NODE_FOR_BRUNCH: u64 = 22;
/// The newest one with an OpenSSL that has the hash md4.
const NEWEST_NODE_FOR_OLD_WEBPACK: u64 = 16;

/// An old builder, which limits the version of Node.js if the app requests none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldBuilder {
    /// `brunch 2`.
    name: String,
    newest_node: u64,
    /// On a newer one it may seem to succeed.
    fails_silently: bool,
}

impl OldBuilder {
    /// The builder of a `package.json`, if it is an old one.
    pub(crate) fn of(package: &JsPackage) -> Option<Self> {
        let brunch = package.json.requires("brunch").and_then(first_number);
        if let Some(major) = brunch.filter(|major| (1..=2).contains(major)) {
            return Some(Self {
                name: format!("brunch {major}"),
                newest_node: NEWEST_NODE_FOR_BRUNCH,
                fails_silently: true,
            });
        }
        let version = package.webpack.as_ref()?;
        needs_md4(version).then(|| Self {
            name: format!("webpack {version}"),
            newest_node: NEWEST_NODE_FOR_OLD_WEBPACK,
            fails_silently: false,
        })
    }

    pub(crate) fn runs_on(&self, node: &NodeVersion) -> bool {
        node.major() <= self.newest_node
    }

    /// Whether the Node.js of the last build, which succeeded, is one to keep: with other settings of
    /// webpack a newer one does.
    pub(crate) fn ran_on(&self, node: &NodeVersion) -> bool {
        self.runs_on(node) || !self.fails_silently
    }

    pub(crate) fn newest_node(&self) -> u64 {
        self.newest_node
    }

    /// Whether `--openssl-legacy-provider` among `NODE_OPTIONS` has it run on any Node.js.
    pub(crate) fn needs_legacy_openssl(&self) -> bool {
        !self.fails_silently
    }

    pub(crate) fn reason(&self) -> String {
        format!("newest that {} runs on", self.name)
    }
}

/// Of a range as npm has it: 2 of `^2.10.9`, 1 of `>= 1.8 < 1.9`. Addresses have none.
fn first_number(range: &str) -> Option<u64> {
    let number = range.trim_start_matches(['^', '~', '>', '=', 'v', ' ']);
    let end = number.find(|c: char| !c.is_ascii_digit());
    number[..end.unwrap_or(number.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_starts_with_major_version() {
        for (range, number) in [
            ("2.10.9", Some(2)),
            ("^2.10", Some(2)),
            (">= 1.8 < 1.9", Some(1)),
            ("~4", Some(4)),
            ("latest", None),
            ("github:brunch/brunch#2", None),
            ("", None),
        ] {
            assert_eq!(first_number(range), number, "{range}");
        }
    }
}

//! Asset builders that don't run on newer versions of Node.js: brunch, which built the assets of Phoenix up to 1.3,
//! old webpack, which built those of 1.4 and 1.5, and node-sass, which compiles the stylesheets of many of these
//! apps.

use crate::facts::{JsPackage, needs_md4, newest_node_for_node_sass};
use versions::node::NodeVersion;

/// The newest major of Node.js that brunch 1 and 2 run on with the plugins of their time. Node 23 has no
/// `util.isRegExp`, which the minifier of `clean-css-brunch` before 2.10 calls: from then on, brunch fails on style
/// sheets, and 2.9 omits them without an error.
const NEWEST_NODE_FOR_BRUNCH: u64 = 22;
/// The newest major with an OpenSSL that supports md4.
const NEWEST_NODE_FOR_OLD_WEBPACK: u64 = 16;

/// An old builder, which limits the version of Node.js if the app requests none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldBuilder {
    /// `brunch 2`.
    name: String,
    newest_node: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// May seem to succeed on a newer Node.js.
    Brunch,
    Webpack,
    NodeSass,
}

impl OldBuilder {
    /// Returns the old builders of a `package.json`.
    pub(crate) fn all_of(package: &JsPackage) -> impl Iterator<Item = Self> {
        let brunch = package.json.requires("brunch").and_then(first_number);
        let brunch = brunch.filter(|major| (1..=2).contains(major));
        let brunch = brunch.map(|major| Self {
            name: format!("brunch {major}"),
            newest_node: NEWEST_NODE_FOR_BRUNCH,
            kind: Kind::Brunch,
        });
        let webpack = package.webpack.as_ref();
        let webpack = webpack.filter(|version| brunch.is_none() && needs_md4(version));
        let webpack = webpack.map(|version| Self {
            name: format!("webpack {version}"),
            newest_node: NEWEST_NODE_FOR_OLD_WEBPACK,
            kind: Kind::Webpack,
        });
        let node_sass = package.node_sass.as_ref().and_then(|version| {
            Some(Self {
                name: format!("node-sass {version}"),
                newest_node: newest_node_for_node_sass(version)?,
                kind: Kind::NodeSass,
            })
        });
        brunch.into_iter().chain(webpack).chain(node_sass)
    }

    pub(crate) fn runs_on(&self, node: &NodeVersion) -> bool {
        node.major() <= self.newest_node
    }

    /// Whether to keep the Node.js of the last build, which succeeded. With some webpack settings, newer versions
    /// work.
    pub(crate) fn ran_on(&self, node: &NodeVersion) -> bool {
        self.runs_on(node) || self.kind != Kind::Brunch
    }

    pub(crate) fn newest_node(&self) -> u64 {
        self.newest_node
    }

    /// Whether it runs on any Node.js with `--openssl-legacy-provider` in `NODE_OPTIONS`.
    pub(crate) fn needs_legacy_openssl(&self) -> bool {
        self.kind == Kind::Webpack
    }

    pub(crate) fn reason(&self) -> String {
        format!("newest that {} runs on", self.name)
    }
}

/// Returns the first number of an npm range: 2 for `^2.10.9`, 1 for `>= 1.8 < 1.9`. URLs have none.
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

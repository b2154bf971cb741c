//! brunch, which built the assets of Phoenix up to 1.3.

use crate::facts::JsPackage;
use versions::node::NodeVersion;

/// The newest major of Node.js that brunch 1 and 2 run on with the plugins of their time. Node 23
/// has no `util.isRegExp`, which the minifier of `clean-css-brunch` before 2.10 calls: brunch fails on
/// style sheets from then on, and 2.9 leaves them out and ends as if all were well.
const NEWEST_NODE: u64 = 22;

/// What an old brunch asks of Node.js where nobody else asks for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brunch {
    major: u64,
    newest_node: u64,
}

impl Brunch {
    /// The brunch of a `package.json`, if it is an old one.
    pub(crate) fn of(package: &JsPackage) -> Option<Self> {
        let major = first_number(package.json.requires("brunch")?)?;
        (1..=2).contains(&major).then_some(Self {
            major,
            newest_node: NEWEST_NODE,
        })
    }

    pub(crate) fn runs_on(&self, node: &NodeVersion) -> bool {
        node.major() <= self.newest_node
    }

    pub(crate) fn reason(&self) -> String {
        format!("newest that brunch {} runs on", self.major)
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
    fn a_range_begins_with_a_major() {
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

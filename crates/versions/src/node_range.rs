//! Ranges of versions of Node, in npm's syntax.

use crate::node_version::{MAX_NUMBER, NodeVersion};
use crate::text::number;

/// A range in npm's syntax: `>=18 <21`, `^22`, `18.x || 20.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRange {
    text: String,
    /// One of these sets must hold, with all its bounds.
    sets: Vec<Vec<Bound>>,
}

impl NodeRange {
    /// Parses a range with npm's grammar (node-semver 7 in strict mode). `None` if npm rejects it.
    ///
    /// This isn't a crate, because the existing ones parse many texts differently from npm: `>=18, <21`, `~=18.2`,
    /// `>x`, `x.2`, and sets that nothing satisfies, such as `<20 20`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut written = Vec::new();
        let mut sets = Vec::new();
        for set in text.split("||") {
            let comparators = hyphen_range(set).or_else(|| comparators(set))?;
            let words: Vec<&str> = comparators.iter().map(|(_, _, text)| &**text).collect();
            written.push(if words.is_empty() {
                "*".to_owned()
            } else {
                words.join(" ")
            });
            sets.push(
                comparators
                    .iter()
                    .flat_map(|(operator, partial, _)| partial.bounds(operator))
                    .collect(),
            );
        }
        Some(Self {
            text: written.join(" || "),
            sets,
        })
    }

    #[must_use]
    pub fn matches(&self, version: &NodeVersion) -> bool {
        let version = &version.0;
        self.sets.iter().any(|set| {
            set.iter().all(|bound| bound.holds(version))
                // A range only includes a pre-release if it names a pre-release of the same version.
                && (version.pre.is_empty() || set.iter().any(|bound| bound.names(version)))
        })
    }

    /// The text as written, with each operator directly before its version.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it includes every future major: `>=18`, `*`.
    #[must_use]
    pub fn is_open_ended(&self) -> bool {
        self.matches(&NodeVersion(semver::Version::new(u64::MAX, 0, 0)))
    }
}

/// A comparison with a whole version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    comparison: Comparison,
    version: semver::Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Bound {
    fn holds(&self, version: &semver::Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    fn names(&self, version: &semver::Version) -> bool {
        let release = |v: &semver::Version| (v.major, v.minor, v.patch);
        !self.version.pre.is_empty() && release(&self.version) == release(version)
    }
}

/// npm's limit for the length of a range.
const MAX_LENGTH: usize = 256;

/// An operator, its version, and the text of both.
type Comparator = (&'static str, Partial, String);

/// Parses `18 - 20.1`: two partial versions with a hyphen that is surrounded by white space.
fn hyphen_range(set: &str) -> Option<Vec<Comparator>> {
    let words: Vec<&str> = set.split_whitespace().collect();
    let [from, "-", to] = words[..] else {
        return None;
    };
    let (from, to) = (without_prefix(from), without_prefix(to));
    Some(vec![
        (">=", Partial::parse(from)?, format!("{from} -")),
        ("<=", Partial::parse(to)?, to.to_owned()),
    ])
}

/// Parses the comparators of a set, all of which must hold. An empty set has none, and means `*`.
fn comparators(set: &str) -> Option<Vec<Comparator>> {
    let mut rest = set.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let mut operator = *OPERATORS.iter().find(|op| rest.starts_with(**op))?;
        rest = &rest[operator.len()..];
        if !operator.is_empty() {
            rest = rest.trim_start();
        }
        match (operator, rest.strip_prefix('=')) {
            (">", Some(after)) => (operator, rest) = (">=", after),
            ("<", Some(after)) => (operator, rest) = ("<=", after),
            ("~" | "~>" | "^", Some(after)) => rest = after.trim_start(),
            _ => {}
        }
        if operator == "~>" {
            operator = "~";
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (version, after) = rest.split_at(end);
        let version = without_prefix(version);
        found.push((
            operator,
            Partial::parse(version)?,
            format!("{operator}{version}"),
        ));
        rest = after.trim_start();
    }
    Some(found)
}

/// Longest first. The empty one always matches, and comes last.
const OPERATORS: [&str; 9] = [">=", "<=", "~>", ">", "<", "=", "~", "^", ""];

fn without_prefix(version: &str) -> &str {
    version.trim_start_matches(['v', '='])
}

/// `18`, `18.x`, `18.2.*`, `18.2.1-rc.1+build`; a missing number or a wildcard is `None`, and so are those after it.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre_release: semver::Prerelease,
}

impl Partial {
    fn parse(version: &str) -> Option<Self> {
        let (numbers, suffix) = match version.find(['-', '+']) {
            Some(at) => version.split_at(at),
            None => (version, ""),
        };
        let mut parts = numbers.split('.').map(|part| match part {
            "x" | "X" | "*" => Some(None),
            _ => number::<u64>(part)
                .ok()
                .filter(|n| *n <= MAX_NUMBER)
                .filter(|_| part.len() == 1 || !part.starts_with('0'))
                .map(Some),
        });
        let mut next = || parts.next().unwrap_or(Some(None));
        let (major, minor, patch) = (next()?, next()?, next()?);
        let count = numbers.split('.').count();
        let in_order =
            minor.is_none_or(|_| major.is_some()) && patch.is_none_or(|_| minor.is_some());
        if count > 3 || !in_order || (count < 3 && !suffix.is_empty()) {
            return None;
        }
        // SemVer defines the suffix, so parse it after a complete version.
        let pre_release = semver::Version::parse(&format!("1.1.1{suffix}")).ok()?.pre;
        Some(Self {
            major,
            minor,
            patch,
            pre_release,
        })
    }

    /// Converts `operator` and this version to comparisons with complete versions. None of them means any version.
    fn bounds(&self, operator: &str) -> Vec<Bound> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let bound = |comparison, version| Bound {
            comparison,
            version,
        };
        let Some(major) = self.major else {
            // No version is greater or less than any version.
            return match operator {
                ">" | "<" => vec![bound(Less, before(0, 0, 0))],
                _ => Vec::new(),
            };
        };
        let minor = self.minor.unwrap_or(0);
        let mut full_version = semver::Version::new(major, minor, self.patch.unwrap_or(0));
        if self.patch.is_some() {
            full_version.pre = self.pre_release.clone();
        }
        let end_of_line = match self.minor {
            Some(minor) => before(major, minor + 1, 0),
            None => before(major + 1, 0, 0),
        };
        let from_to = |end| {
            vec![
                bound(GreaterOrEqual, full_version.clone()),
                bound(Less, end),
            ]
        };
        match (operator, self.patch) {
            ("^", _) if major > 0 => from_to(before(major + 1, 0, 0)),
            // Below 1.0.0 every minor release may break, below 0.1.0 every patch.
            ("^", Some(patch)) if minor == 0 => from_to(before(0, 0, patch + 1)),
            (">=", _) => vec![bound(GreaterOrEqual, full_version)],
            (">", Some(_)) => vec![bound(Greater, full_version)],
            ("<", Some(_)) => vec![bound(Less, full_version)],
            ("<=", Some(_)) => vec![bound(LessOrEqual, full_version)],
            (">", None) => vec![bound(GreaterOrEqual, release_of(&end_of_line))],
            ("<", None) => vec![bound(Less, before(major, minor, 0))],
            ("<=", None) => vec![bound(Less, end_of_line)],
            ("~" | "^", _) | (_, None) => from_to(end_of_line),
            (_, Some(_)) => vec![bound(Equal, full_version)],
        }
    }
}

/// The lowest version of a release, including its pre-releases: `19.0.0-0`.
fn before(major: u64, minor: u64, patch: u64) -> semver::Version {
    let mut version = semver::Version::new(major, minor, patch);
    version.pre = semver::Prerelease::new("0").unwrap_or_default();
    version
}

fn release_of(version: &semver::Version) -> semver::Version {
    semver::Version::new(version.major, version.minor, version.patch)
}

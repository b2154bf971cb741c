//! Requirements in the syntax of `mix.exs`: `~> 1.14`, `>= 1.15.0 and < 1.19.0`.
//!
//! Source: the documentation and the parser of Elixir's `Version` module. Mix compares with `allow_pre: true`, so
//! release candidates are compared like other versions.

use crate::elixir_version::ElixirVersion;
use crate::error::{ParseError, Reason, Tool};
use std::fmt;

/// A requirement on a version of Elixir.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ElixirRequirement {
    text: String,
    /// One of these sets must hold, with all its bounds: `and` binds tighter than `or`.
    sets: Vec<Vec<Bound>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bound {
    Equal(semver::Version),
    NotEqual(semver::Version),
    Less(semver::Version),
    LessOrEqual(semver::Version),
    Greater(semver::Version),
    GreaterOrEqual(semver::Version),
    /// `~>`: from the first version up to, but excluding, the second.
    Within(semver::Version, semver::Version),
}

impl Bound {
    fn version(&self) -> &semver::Version {
        match self {
            Self::Equal(version)
            | Self::NotEqual(version)
            | Self::Less(version)
            | Self::LessOrEqual(version)
            | Self::Greater(version)
            | Self::GreaterOrEqual(version)
            | Self::Within(version, _) => version,
        }
    }

    fn holds(&self, version: &semver::Version) -> bool {
        let order = |other| version.cmp_precedence(other);
        match self {
            Self::Equal(other) => order(other).is_eq(),
            Self::NotEqual(other) => order(other).is_ne(),
            Self::Less(other) => order(other).is_lt(),
            Self::LessOrEqual(other) => order(other).is_le(),
            Self::Greater(other) => order(other).is_gt(),
            Self::GreaterOrEqual(other) => order(other).is_ge(),
            Self::Within(from, to) => order(from).is_ge() && order(to).is_lt(),
        }
    }
}

/// Longest first. Without an operator, a version matches exactly. `!` is an old form of `!=`.
const OPERATORS: [&str; 9] = ["~>", ">=", "<=", "==", "!=", ">", "<", "!", ""];

impl ElixirRequirement {
    /// Parses the syntax of `Version.parse_requirement/1`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::read(text).map_err(|reason| reason.of(Tool::Elixir, text))
    }

    /// Any version. `text` is the name of the request.
    pub(crate) fn any(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            sets: vec![Vec::new()],
        }
    }

    /// The first version in it.
    pub(crate) fn first_version(&self) -> Option<&semver::Version> {
        self.sets.first()?.first().map(Bound::version)
    }

    /// Whether it mentions a release candidate: `~> 1.18.0-rc.0`.
    pub(crate) fn names_a_candidate(&self) -> bool {
        self.text.contains('-')
    }

    pub(crate) fn read(text: &str) -> Result<Self, Reason> {
        let mut sets = vec![Vec::new()];
        let mut words = text.split_whitespace().peekable();
        if words.peek().is_none() {
            return Err(Reason::Empty);
        }
        while let Some(word) = words.next() {
            let operator = OPERATORS
                .iter()
                .find(|operator| word.starts_with(**operator))
                .copied()
                .unwrap_or_default();
            let version = match &word[operator.len()..] {
                "" => words.next().unwrap_or_default(),
                version => version,
            };
            if let Some(set) = sets.last_mut() {
                set.push(bound(operator, version)?);
            }
            match words.next() {
                None => break,
                Some("and") => {}
                Some("or") => sets.push(Vec::new()),
                Some(other) => {
                    return Err(Reason::NotANumber {
                        part: other.to_owned(),
                    });
                }
            }
            if words.peek().is_none() {
                return Err(Reason::Empty);
            }
        }
        Ok(Self {
            text: text.to_owned(),
            sets,
        })
    }

    #[must_use]
    pub fn matches(&self, version: &ElixirVersion) -> bool {
        let version = version.as_semver();
        self.sets
            .iter()
            .any(|set| set.iter().all(|bound| bound.holds(version)))
    }
}

impl fmt::Display for ElixirRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn bound(operator: &str, text: &str) -> Result<Bound, Reason> {
    if operator == "~>" {
        return within(text);
    }
    let version = full_version(text)?;
    Ok(match operator {
        ">=" => Bound::GreaterOrEqual(version),
        "<=" => Bound::LessOrEqual(version),
        ">" => Bound::Greater(version),
        "<" => Bound::Less(version),
        "!=" | "!" => Bound::NotEqual(version),
        _ => Bound::Equal(version),
    })
}

/// `~> 1.14` allows every later 1.x, `~> 1.14.2` every later 1.14.x.
fn within(text: &str) -> Result<Bound, Reason> {
    let (numbers, suffix) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (from, major, minor) = if numbers.split('.').count() == 2 {
        let from = full_version(&format!("{numbers}.0{suffix}"))?;
        let major = from.major.saturating_add(1);
        (from, major, 0)
    } else {
        let from = full_version(text)?;
        let (major, minor) = (from.major, from.minor.saturating_add(1));
        (from, major, minor)
    };
    // The upper end excludes its own candidates: 2.0.0-rc.0 doesn't satisfy `~> 1.14`.
    let mut to = semver::Version::new(major, minor, 0);
    to.pre = semver::Prerelease::new("0").unwrap_or_default();
    Ok(Bound::Within(from, to))
}

fn full_version(text: &str) -> Result<semver::Version, Reason> {
    let not_a_number = |_| Reason::NotANumber {
        part: text.to_owned(),
    };
    let text = text.strip_prefix('v').unwrap_or(text);
    semver::Version::parse(text).map_err(not_a_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(requirement: &str, version: &str) -> bool {
        ElixirRequirement::parse(requirement)
            .unwrap()
            .matches(&ElixirVersion::parse(version).unwrap())
    }

    #[test]
    fn requirement_forms_match_expected_versions() {
        for (requirement, yes, no) in [
            (
                "~> 1.14",
                &["1.14.0", "1.20.4", "1.15.0-rc.0"][..],
                &["1.13.4", "2.0.0", "2.0.0-rc.0", "1.14.0-rc.0"][..],
            ),
            (
                "~> 1.14.2",
                &["1.14.2", "1.14.5"],
                &["1.14.1", "1.15.0", "1.15.0-rc.1"],
            ),
            ("~> 1.18.0-rc.0", &["1.18.0-rc.0", "1.18.3"], &["1.19.0"]),
            (
                ">= 1.15.0 and < 1.19.0",
                &["1.15.0", "1.18.4", "1.19.0-rc.0"],
                &["1.14.5", "1.19.0"],
            ),
            (">=1.15.0 and <1.19.0", &["1.18.4"], &["1.19.0"]),
            (
                "~> 1.13.0 or ~> 1.17 and != 1.17.2",
                &["1.13.4", "1.17.1", "1.18.0"],
                &["1.14.0", "1.17.2"],
            ),
            ("1.18.3", &["1.18.3"], &["1.18.4"]),
            ("== 1.18.3", &["1.18.3"], &["1.18.4"]),
            ("! 1.18.3", &["1.18.4"], &["1.18.3"]),
            ("> 1.18.3", &["1.18.4"], &["1.18.3"]),
            ("<= 1.18.3", &["1.18.3"], &["1.18.4"]),
        ] {
            for version in yes {
                assert!(matches(requirement, version), "{requirement} {version}");
            }
            for version in no {
                assert!(!matches(requirement, version), "{requirement} {version}");
            }
        }
    }

    #[test]
    fn rejects_requirements_that_elixir_rejects() {
        for text in [
            "",
            " ",
            "~> 1",
            ">= 1.15",
            "1.18",
            "~> x.y",
            ">= 1.15.0 and",
            "and 1.0.0",
            "~>",
            "1.0.0 1.0.1",
            "~> #{@v}",
        ] {
            assert!(ElixirRequirement::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "([~><=!0-9. a-z-]|and|or){0,40}") {
            let _ = ElixirRequirement::parse(&text);
        }
    }
}

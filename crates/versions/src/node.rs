//! Node: versions, requests in npm's range syntax and in that of version managers, and the index
//! and checksums of nodejs.org/dist.

use crate::error::{ParseError, Reason, Tool};
use crate::target::Arch;
use crate::text::{clean, is_hex, number};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// An exact version of Node, or of another package of npm: `22.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeVersion(semver::Version);

impl NodeVersion {
    /// The version in `text`, with or without the `v` of the index.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        match semver::Version::parse(numbers) {
            // npm's numbers are those of JavaScript; build metadata never tells two releases apart.
            Ok(version)
                if version.build.is_empty()
                    && [version.major, version.minor, version.patch]
                        .iter()
                        .all(|number| *number <= MAX_NUMBER) =>
            {
                Ok(Self(version))
            }
            _ if numbers.is_empty() => Err(Reason::Empty.of(Tool::Node, text)),
            _ => Err(not_a_range(text).of(Tool::Node, text)),
        }
    }

    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.major
    }

    #[must_use]
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The file name of the archive: `node-v22.1.0-linux-x64.tar.gz`, in the directory `v22.1.0/`
    /// beside `SHASUMS256.txt`. Its one top directory is the name without `.tar.gz`.
    #[must_use]
    pub fn archive_name(&self, arch: Arch) -> String {
        format!("node-v{self}-linux-{}.tar.gz", arch.node_name())
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range as npm understands it: `>=18 <21`, `^22`, `18.x || 20.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRange {
    /// As it was written, with each operator directly before its version.
    text: String,
    /// One of these sets must hold, and of a set every bound.
    sets: Vec<Vec<Bound>>,
}

impl NodeRange {
    #[must_use]
    pub fn matches(&self, version: &NodeVersion) -> bool {
        let version = &version.0;
        self.sets.iter().any(|set| {
            set.iter().all(|bound| bound.holds(version))
                // A pre-release is only in a range that names a pre-release of the same release.
                && (version.pre.is_empty() || set.iter().any(|bound| bound.names(version)))
        })
    }

    /// Whether every future major is in it: `>=18`, `*`.
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

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRequest {
    /// `22.1.0`, `v22.1.0`: this one and no other.
    Exact(NodeVersion),
    /// `22`, `22.x`, `^22`, `>=18 <21`.
    Range(NodeRange),
    /// `lts`, `lts/*`: the newest version of the newest long-term line.
    Lts,
    /// `lts/jod`: the newest version of a long-term line by its code name (lower case here).
    LtsLine(String),
    /// `latest`, `current`, `node`: the newest version.
    Latest,
}

impl NodeRequest {
    /// Reads a request as it stands in a config file, in `.tool-versions`, `.nvmrc` or `package.json`.
    ///
    /// What npm rejects as a range is rejected: `>=18, <21`, `node 18`, `18 .x`.
    pub fn parse(input: &str) -> Result<Self, ParseError> {
        Self::read(clean(input)).map_err(|reason| reason.of(Tool::Node, input))
    }

    fn read(text: &str) -> Result<Self, Reason> {
        if text.is_empty() {
            return Err(Reason::Empty);
        }
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "latest" | "current" | "node" => return Ok(Self::Latest),
            "lts" | "lts/*" => return Ok(Self::Lts),
            _ => {}
        }
        if let Some(name) = lower.strip_prefix("lts/") {
            return if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()) {
                Ok(Self::LtsLine(name.to_owned()))
            } else {
                Err(not_a_range(text))
            };
        }
        let range = range(text).ok_or_else(|| not_a_range(text))?;
        Ok(
            match NodeVersion::parse(range.text.trim_start_matches('=')) {
                Ok(version) => Self::Exact(version),
                Err(_) => Self::Range(range),
            },
        )
    }
}

impl fmt::Display for NodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Range(range) => f.write_str(&range.text),
            Self::Lts => f.write_str("lts/*"),
            Self::LtsLine(name) => write!(f, "lts/{name}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

fn not_a_range(text: &str) -> Reason {
    Reason::NotARange {
        part: text.to_owned(),
    }
}

/// Reads a range by the grammar of npm (node-semver 7 in strict mode), or `None` where npm refuses it.
///
/// Written here since the crates for it read a good many texts otherwise than npm: `>=18, <21`,
/// `~=18.2`, `>x`, `x.2`, and sets that nothing satisfies, such as `<20 20`.
fn range(text: &str) -> Option<NodeRange> {
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
    Some(NodeRange {
        text: written.join(" || "),
        sets,
    })
}

/// npm's limits: the length of a version, and JavaScript's largest exact integer.
const MAX_LENGTH: usize = 256;
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// An operator, the version that it applies to, and both as they are shown.
type Comparator = (&'static str, Partial, String);

/// `18 - 20.1`: two partial versions with a hyphen that has white space on both sides.
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

/// The comparators of a set, all of which must hold; none for an empty set, which is `*`.
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

/// Longest first; the empty one is found last and always.
const OPERATORS: [&str; 9] = [">=", "<=", "~>", ">", "<", "=", "~", "^", ""];

fn without_prefix(version: &str) -> &str {
    version.trim_start_matches(['v', '='])
}

/// `18`, `18.x`, `18.2.*`, `18.2.1-rc.1+build`; a number that is missing or a wildcard is `None`,
/// and none follows it.
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
        // What may follow the numbers is SemVer's affair, so a whole version is put before it.
        let pre_release = semver::Version::parse(&format!("1.1.1{suffix}")).ok()?.pre;
        Some(Self {
            major,
            minor,
            patch,
            pre_release,
        })
    }

    /// What `operator` and this version mean, in comparisons with whole versions; none: anything.
    fn bounds(&self, operator: &str) -> Vec<Bound> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let bound = |comparison, version| Bound {
            comparison,
            version,
        };
        let Some(major) = self.major else {
            // Nothing is greater or less than any version.
            return match operator {
                ">" | "<" => vec![bound(Less, before(0, 0, 0))],
                _ => Vec::new(),
            };
        };
        let minor = self.minor.unwrap_or(0);
        let mut whole = semver::Version::new(major, minor, self.patch.unwrap_or(0));
        if self.patch.is_some() {
            whole.pre = self.pre_release.clone();
        }
        let end_of_line = match self.minor {
            Some(minor) => before(major, minor + 1, 0),
            None => before(major + 1, 0, 0),
        };
        let from_to = |end| vec![bound(GreaterOrEqual, whole.clone()), bound(Less, end)];
        match (operator, self.patch) {
            ("^", _) if major > 0 => from_to(before(major + 1, 0, 0)),
            // Below 1.0.0 every minor release may break, below 0.1.0 every patch.
            ("^", Some(patch)) if minor == 0 => from_to(before(0, 0, patch + 1)),
            (">=", _) => vec![bound(GreaterOrEqual, whole)],
            (">", Some(_)) => vec![bound(Greater, whole)],
            ("<", Some(_)) => vec![bound(Less, whole)],
            ("<=", Some(_)) => vec![bound(LessOrEqual, whole)],
            (">", None) => vec![bound(GreaterOrEqual, release_of(&end_of_line))],
            ("<", None) => vec![bound(Less, before(major, minor, 0))],
            ("<=", None) => vec![bound(Less, end_of_line)],
            ("~" | "^", _) | (_, None) => from_to(end_of_line),
            (_, Some(_)) => vec![bound(Equal, whole)],
        }
    }
}

/// The lowest version of all that belong to a release, its pre-releases included: `19.0.0-0`.
fn before(major: u64, minor: u64, patch: u64) -> semver::Version {
    let mut version = semver::Version::new(major, minor, patch);
    version.pre = semver::Prerelease::new("0").unwrap_or_default();
    version
}

fn release_of(version: &semver::Version) -> semver::Version {
    semver::Version::new(version.major, version.minor, version.patch)
}

/// One released version of Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRelease {
    pub version: NodeVersion,
    /// The code name of the long-term line in lower case, where the index says so for this very version.
    pub lts: Option<String>,
    /// The architectures that an archive for Linux is listed for.
    pub archs: Vec<Arch>,
    /// The version of npm that it comes with.
    pub npm: Option<NodeVersion>,
}

/// `index.json` of nodejs.org/dist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeIndex {
    releases: Vec<NodeRelease>,
    malformed: usize,
}

/// `index.json` is not a list of objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the index of Node versions is not the JSON that was expected: {problem}")]
pub struct IndexError {
    /// The JSON parser's words, with line and column.
    pub problem: String,
}

#[derive(Deserialize)]
struct Entry {
    version: String,
    /// `false`, or the code name.
    #[serde(default)]
    lts: serde_json::Value,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    npm: serde_json::Value,
}

impl NodeIndex {
    /// Reads `[{"version": "v22.1.0", "lts": false | "Jod", "files": ["linux-x64", …], …}, …]`.
    /// Entries that are not of this form are left out and counted.
    pub fn parse(json: &str) -> Result<Self, IndexError> {
        let entries: Vec<serde_json::Value> =
            serde_json::from_str(json).map_err(|error| IndexError {
                problem: error.to_string(),
            })?;
        let listed = entries.len();
        let mut releases: Vec<NodeRelease> = entries.into_iter().filter_map(release).collect();
        releases.sort_by(|a, b| b.version.cmp(&a.version));
        Ok(Self {
            malformed: listed - releases.len(),
            releases,
        })
    }

    /// The newest version of npm in a range, of those that a release of Node comes with.
    #[must_use]
    pub fn newest_npm(&self, range: &NodeRange) -> Option<&NodeVersion> {
        let npms = self
            .releases
            .iter()
            .filter_map(|release| release.npm.as_ref());
        npms.filter(|npm| range.matches(npm)).max()
    }

    /// Newest first.
    #[must_use]
    pub fn releases(&self) -> &[NodeRelease] {
        &self.releases
    }

    /// How many entries were not understood.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty()
    }

    /// The newest version that answers the request and has an archive for `arch`. An open-ended
    /// range (`>=18`, `*`) gets the newest that is under long-term support, if one is in it.
    pub fn choose(
        &self,
        request: &NodeRequest,
        arch: Arch,
    ) -> Result<&NodeRelease, Box<NodeNoMatch>> {
        let prefers_lts = matches!(request, NodeRequest::Range(range) if range.is_open_ended());
        let mut matching = self
            .available(arch)
            .filter(|release| self.answers(request, release));
        let newest = matching.next();
        let chosen = if prefers_lts {
            newest
                .into_iter()
                .chain(matching)
                .find(|release| self.lts_line(release).is_some())
                .or(newest)
        } else {
            newest
        };
        chosen.ok_or_else(|| Box::new(self.no_match(request, arch)))
    }

    /// The newest version of the newest long-term line that has an archive for `arch`.
    #[must_use]
    pub fn default_lts(&self, arch: Arch) -> Option<&NodeRelease> {
        self.available(arch)
            .find(|release| self.lts_line(release).is_some())
    }

    fn available(&self, arch: Arch) -> impl Iterator<Item = &NodeRelease> {
        self.releases
            .iter()
            .filter(move |release| release.archs.contains(&arch))
    }

    /// The code name of the long-term line that a release belongs to. A fresh patch of such a line
    /// was listed without its name before (nodejs/help#2618), so an older one of the same major
    /// with a name is enough.
    fn lts_line(&self, release: &NodeRelease) -> Option<&str> {
        self.releases
            .iter()
            .filter(|other| {
                other.version.major() == release.version.major() && other.version <= release.version
            })
            .find_map(|other| other.lts.as_deref())
    }

    fn answers(&self, request: &NodeRequest, release: &NodeRelease) -> bool {
        match request {
            NodeRequest::Exact(version) => release.version == *version,
            NodeRequest::Range(range) => range.matches(&release.version),
            NodeRequest::Lts => self.lts_line(release).is_some(),
            NodeRequest::LtsLine(name) => self.lts_line(release) == Some(name),
            NodeRequest::Latest => true,
        }
    }

    fn no_match(&self, request: &NodeRequest, arch: Arch) -> NodeNoMatch {
        let without_archive = self
            .releases
            .iter()
            .find(|release| self.answers(request, release))
            .map(|release| release.version.clone());
        // The first number of a range stands for the line that was meant.
        let major = match request {
            NodeRequest::Exact(version) => Some(version.major()),
            NodeRequest::Range(range) => range
                .text
                .split(|c: char| !c.is_ascii_digit())
                .find_map(|digits| digits.parse::<u64>().ok()),
            NodeRequest::Lts | NodeRequest::LtsLine(_) | NodeRequest::Latest => None,
        };
        let newest_of_line = self
            .available(arch)
            .find(|release| Some(release.version.major()) == major)
            .map(|release| release.version.clone());
        let mut newest_of_majors: Vec<&NodeVersion> = self
            .available(arch)
            .map(|release| &release.version)
            .collect();
        newest_of_majors.dedup_by_key(|version| version.major());
        if let Some(major) = major {
            newest_of_majors.sort_by_key(|version| version.major().abs_diff(major));
        }
        NodeNoMatch {
            request: request.clone(),
            nearest: newest_of_majors
                .into_iter()
                .take(NEAREST)
                .cloned()
                .collect(),
            newest_of_line,
            without_archive,
        }
    }
}

const NEAREST: usize = 5;

fn release(entry: serde_json::Value) -> Option<NodeRelease> {
    let entry: Entry = serde_json::from_value(entry).ok()?;
    let lists = |arch: &Arch| {
        let name = format!("linux-{}", arch.node_name());
        entry.files.contains(&name)
    };
    Some(NodeRelease {
        version: NodeVersion::parse(&entry.version).ok()?,
        archs: [Arch::Amd64, Arch::Arm64]
            .into_iter()
            .filter(lists)
            .collect(),
        lts: entry.lts.as_str().map(str::to_ascii_lowercase),
        npm: entry
            .npm
            .as_str()
            .and_then(|npm| NodeVersion::parse(npm).ok()),
    })
}

/// No version in the index answers a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no version of Node that answers {request} is listed for this machine")]
pub struct NodeNoMatch {
    pub request: NodeRequest,
    /// The newest version of each major, those nearest to the one asked for first; up to five.
    pub nearest: Vec<NodeVersion>,
    /// The newest version of the major that was asked for.
    pub newest_of_line: Option<NodeVersion>,
    /// A version that would answer, but is listed without an archive for this architecture.
    pub without_archive: Option<NodeVersion>,
}

/// `SHASUMS256.txt` of one version: lines `<sha256>␠␠<file>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shasums(BTreeMap<String, String>);

impl Shasums {
    /// Lines of another form are left out, so an empty file or an error page gives no digests.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (digest, file) = line.split_once(char::is_whitespace)?;
            // A star marks binary mode in the format of coreutils.
            let file = file.trim().trim_start_matches('*');
            (is_hex(digest, 64) && !file.is_empty())
                .then(|| (file.to_owned(), digest.to_ascii_lowercase()))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The lower-case hexadecimal sha256 of a file.
    #[must_use]
    pub fn get(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

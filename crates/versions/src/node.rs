//! Node: versions, requests in npm's range syntax and in that of version managers, and the index
//! and checksums of nodejs.org/dist.

use crate::error::{ParseError, Reason, Tool};
use crate::target::Arch;
use crate::text::{clean, is_hex, number, serde_as_display};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// An exact version: `22.1.0`.
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
                        .all(|number| *number <= nodejs_semver::MAX_SAFE_INTEGER) =>
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
    pub fn as_semver(&self) -> &semver::Version {
        &self.0
    }

    /// The file name of the archive: `node-v22.1.0-linux-x64.tar.gz`, in the directory `v22.1.0/`
    /// beside `SHASUMS256.txt`. Its one top directory is the name without `.tar.gz`.
    #[must_use]
    pub fn archive_name(&self, arch: Arch) -> String {
        format!("node-v{self}-linux-{}.tar.gz", arch.node_name())
    }

    fn satisfies(&self, range: &nodejs_semver::Range) -> bool {
        nodejs_semver::Version::parse(self.to_string())
            .is_ok_and(|version| version.satisfies(range))
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NodeVersion {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// A range as npm understands it, in a normal form: `>=18 <21`, `^22`, `18.x || 20.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRange {
    text: String,
    range: nodejs_semver::Range,
}

impl NodeRange {
    fn read(text: &str) -> Result<Self, Reason> {
        let normal = npm_normal_form(text).ok_or_else(|| not_a_range(text))?;
        let range = nodejs_semver::Range::parse(&normal).map_err(|_| not_a_range(text))?;
        Ok(Self {
            text: normal,
            range,
        })
    }

    #[must_use]
    pub fn matches(&self, version: &NodeVersion) -> bool {
        version.satisfies(&self.range)
    }

    /// Whether every future major is in it: `>=18`, `*`.
    #[must_use]
    pub fn is_open_ended(&self) -> bool {
        NodeVersion(semver::Version::new(nodejs_semver::MAX_SAFE_INTEGER, 0, 0))
            .satisfies(&self.range)
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
        let range = NodeRange::read(text)?;
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

impl FromStr for NodeRequest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

serde_as_display!(NodeVersion, NodeRequest);

fn not_a_range(text: &str) -> Reason {
    Reason::NotARange {
        part: text.to_owned(),
    }
}

/// Rewrites a range so that its operators stand directly before their version and nothing else is
/// left over, or says that npm's grammar (node-semver's `range.bnf` and its regular expressions in
/// strict mode) does not produce it.
///
/// The crate that evaluates ranges takes a few texts that npm refuses, and refuses `~=18.2`, which
/// npm takes; so the grammar is checked here, and only what passes is evaluated there.
fn npm_normal_form(text: &str) -> Option<String> {
    if text.len() > nodejs_semver::MAX_LENGTH {
        return None;
    }
    let sets = text
        .split("||")
        .map(|set| {
            let set = set.trim();
            if set.is_empty() {
                return Some("*".to_owned());
            }
            hyphen_range(set).or_else(|| comparators(set))
        })
        .collect::<Option<Vec<_>>>()?;
    Some(sets.join(" || "))
}

/// `18 - 20.1`: two partial versions with a hyphen that has white space on both sides.
fn hyphen_range(set: &str) -> Option<String> {
    let words: Vec<&str> = set.split_whitespace().collect();
    let [from, "-", to] = words[..] else {
        return None;
    };
    let bare = |word: &str| {
        let word = word.trim_start_matches(['v', '=']).to_owned();
        is_partial(&word).then_some(word)
    };
    Some(format!("{} - {}", bare(from)?, bare(to)?))
}

/// One or more comparators, all of which must hold.
fn comparators(set: &str) -> Option<String> {
    let mut rest = set;
    let mut written = Vec::new();
    while !rest.is_empty() {
        let operator = OPERATORS
            .iter()
            .find(|operator| rest.starts_with(**operator))?;
        rest = rest[operator.len()..]
            .trim_start_matches(|c: char| c == 'v' || c == '=' || c.is_whitespace());
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (version, after) = rest.split_at(end);
        if !is_partial(version) {
            return None;
        }
        let operator = if *operator == "~>" { "~" } else { operator };
        written.push(format!("{operator}{version}"));
        rest = after.trim_start();
    }
    Some(written.join(" "))
}

/// Longest first; the empty one is found last and always.
const OPERATORS: [&str; 9] = [">=", "<=", "~>", ">", "<", "=", "~", "^", ""];

/// `18`, `18.x`, `18.2.*`, `18.2.1-rc.1+build`: npm's `XRANGEPLAIN`.
fn is_partial(version: &str) -> bool {
    let (numbers, suffix) = match version.find(['-', '+']) {
        Some(at) => version.split_at(at),
        None => (version, ""),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_part = |part: &&str| {
        matches!(*part, "x" | "X" | "*")
            || (number::<u64>(part).is_ok_and(|n| n <= nodejs_semver::MAX_SAFE_INTEGER)
                && (part.len() == 1 || !part.starts_with('0')))
    };
    if !parts.iter().all(is_part) {
        return false;
    }
    // The rules for what may follow are SemVer's, so a whole version is put before it.
    match parts.len() {
        1 | 2 => suffix.is_empty(),
        3 => semver::Version::parse(&format!("1.1.1{suffix}")).is_ok(),
        _ => false,
    }
}

/// One released version of Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRelease {
    pub version: NodeVersion,
    /// The code name of the long-term line in lower case, where the index says so for this very version.
    pub lts: Option<String>,
    /// The architectures that an archive for Linux is listed for.
    pub archs: Vec<Arch>,
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

//! Node: requests, and the index and checksums of nodejs.org/dist.

pub use crate::node_range::NodeRange;
pub use crate::node_version::NodeVersion;

use crate::error::{ParseError, Reason, Tool};
use crate::target::Arch;
use crate::text::{clean, is_hex};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A request for Node.js.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRequest {
    /// `22.1.0`, `v22.1.0`: exactly this version.
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
    /// Parses a request from a config file, `.tool-versions`, `.nvmrc` or `package.json`.
    ///
    /// Rejects ranges that npm rejects: `>=18, <21`, `node 18`, `18 .x`.
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
                Err(Reason::not_a_range(text))
            };
        }
        let range = NodeRange::parse(text).ok_or_else(|| Reason::not_a_range(text))?;
        Ok(
            match NodeVersion::parse(range.as_str().trim_start_matches('=')) {
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
            Self::Range(range) => f.write_str(range.as_str()),
            Self::Lts => f.write_str("lts/*"),
            Self::LtsLine(name) => write!(f, "lts/{name}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// One released version of Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRelease {
    pub version: NodeVersion,
    /// The code name of the long-term line in lower case, if the index has it for this version.
    pub lts: Option<String>,
    /// The architectures with an archive for Linux in the index.
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
    /// The message of the JSON parser, with line and column.
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

    /// Returns the newest version of npm in a range that a release of Node includes.
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

    /// The number of malformed entries.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty()
    }

    /// Returns the newest version that satisfies the request and has an archive for `arch`. For an open-ended range
    /// (`>=18`, `*`), prefers the newest version with long-term support.
    pub fn choose(
        &self,
        request: &NodeRequest,
        arch: Arch,
    ) -> Result<&NodeRelease, Box<NodeNoMatch>> {
        let prefers_lts = matches!(request, NodeRequest::Range(range) if range.is_open_ended());
        let mut matching = self
            .available(arch)
            .filter(|release| self.satisfies(request, release));
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

    /// Returns the code name of a release's long-term line. New patch releases have been listed without it
    /// (nodejs/help#2618), so the name of an older release of the same major is enough.
    fn lts_line(&self, release: &NodeRelease) -> Option<&str> {
        self.releases
            .iter()
            .filter(|other| {
                other.version.major() == release.version.major() && other.version <= release.version
            })
            .find_map(|other| other.lts.as_deref())
    }

    fn satisfies(&self, request: &NodeRequest, release: &NodeRelease) -> bool {
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
            .find(|release| self.satisfies(request, release))
            .map(|release| release.version.clone());
        // The first number of a range is taken as the intended line.
        let major = match request {
            NodeRequest::Exact(version) => Some(version.major()),
            NodeRequest::Range(range) => range
                .as_str()
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

/// No version in the index satisfies a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no version of Node that answers {request} is listed for this machine")]
pub struct NodeNoMatch {
    pub request: NodeRequest,
    /// The newest version of up to five majors, those nearest to the requested one first.
    pub nearest: Vec<NodeVersion>,
    /// The newest version of the requested major.
    pub newest_of_line: Option<NodeVersion>,
    /// A version that satisfies the request, but has no archive for this architecture.
    pub without_archive: Option<NodeVersion>,
}

/// `SHASUMS256.txt` of one version: lines `<sha256>␠␠<file>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shasums(BTreeMap<String, String>);

impl Shasums {
    /// Lines of another form are skipped, so an empty file or an error page gives no checksums.
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

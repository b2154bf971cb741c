//! Erlang/OTP: versions, requests, and the list of builds for one target.

use crate::compatibility;
use crate::error::{ParseError, Reason, Tool};
use crate::listing;
use crate::text::{clean, number, without_wildcards};
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// A released version or a release candidate of OTP.
///
/// OTP versions have at least two numbers: `27.0`, `27.3.4.10`, `28.5.0.3`. There is no `27.0.0`: trailing zeros
/// after the second number are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtpVersion {
    numbers: Vec<u32>,
    candidate: Option<u32>,
}

impl OtpVersion {
    fn new(mut numbers: Vec<u32>, candidate: Option<u32>) -> Self {
        while numbers.len() > 2 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Self { numbers, candidate }
    }

    /// The version in `text`, with or without the `OTP-` of its git tag.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (numbers, candidate) =
            numbers_and_candidate(text).map_err(|reason| reason.of(Tool::Erlang, text))?;
        if numbers.len() < 2 {
            return Err(Reason::Incomplete.of(Tool::Erlang, text));
        }
        Ok(Self::new(numbers, candidate))
    }

    #[must_use]
    pub fn major(&self) -> u32 {
        self.numbers.first().copied().unwrap_or_default()
    }

    #[must_use]
    pub fn is_candidate(&self) -> bool {
        self.candidate.is_some()
    }
}

impl Ord for OtpVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release is greater than its candidates: 27.0-rc3 comes before 27.0.
        let rank = |version: &Self| (version.candidate.is_none(), version.candidate);
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| rank(self).cmp(&rank(other)))
    }
}

impl PartialOrd for OtpVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for OtpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_dotted(f, &self.numbers)?;
        match self.candidate {
            Some(candidate) => write!(f, "-rc{candidate}"),
            None => Ok(()),
        }
    }
}

/// A request for OTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OtpRequest {
    /// `27`, `27.3`, `27.3.4.x`: the newest release that starts with these numbers. Empty for `latest`.
    Line(Vec<u32>),
    /// `27.3.4`, `27.3.4.2`, `27.0.0` (which is 27.0), `27.0-rc3`: exactly this version.
    Exact(OtpVersion),
    /// `master`, `maint`, `maint-27`: the newest build of a branch, whose content changes.
    Branch(String),
}

impl OtpRequest {
    /// Parses a request from a config file, `.tool-versions` or a config var.
    pub fn parse(input: &str) -> Result<Self, ParseError> {
        Self::read(clean(input)).map_err(|reason| reason.of(Tool::Erlang, input))
    }

    fn read(text: &str) -> Result<Self, Reason> {
        let text = text.strip_prefix("ref:").unwrap_or(text);
        if is_branch(text) {
            return Ok(Self::Branch(text.to_owned()));
        }
        if text == "latest" {
            return Ok(Self::Line(Vec::new()));
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, is_line) = without_wildcards(text);
        let (numbers, candidate) = numbers_and_candidate(text)?;
        if is_line && candidate.is_none() {
            return Ok(Self::Line(numbers));
        }
        match (numbers.len(), candidate) {
            (1, Some(_)) => Err(Reason::Incomplete),
            (1 | 2, None) => Ok(Self::Line(numbers)),
            _ => Ok(Self::Exact(OtpVersion::new(numbers, candidate))),
        }
    }

    fn matches(&self, build: &OtpBuild) -> bool {
        match (self, &build.version) {
            (Self::Branch(name), None) => build.reference == *name,
            (Self::Exact(wanted), Some(version)) => version == wanted,
            (Self::Line(line), Some(version)) => {
                !version.is_candidate() && version.numbers.starts_with(line)
            }
            _ => false,
        }
    }

    /// The requested numbers. Empty for a branch.
    fn numbers(&self) -> &[u32] {
        match self {
            Self::Line(numbers) => numbers,
            Self::Exact(version) => &version.numbers,
            Self::Branch(_) => &[],
        }
    }

    /// The requested major version. `None` for `latest`, `maint` and `master`.
    #[must_use]
    pub(crate) fn major(&self) -> Option<u32> {
        match self {
            Self::Branch(name) => name.rsplit_once('-')?.1.parse().ok(),
            _ => self.numbers().first().copied(),
        }
    }

    fn wants_candidate(&self) -> bool {
        matches!(self, Self::Exact(version) if version.is_candidate())
    }
}

impl fmt::Display for OtpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(numbers) if numbers.is_empty() => f.write_str("latest"),
            // Three numbers would look like an exact version.
            Self::Line(numbers) if numbers.len() > 2 => {
                write_dotted(f, numbers)?;
                f.write_str(".x")
            }
            Self::Line(numbers) => write_dotted(f, numbers),
            // Two numbers would look like a line: `27.0.0` requests exactly 27.0.
            Self::Exact(version) if version.numbers.len() == 2 && !version.is_candidate() => {
                write!(f, "{version}.0")
            }
            Self::Exact(version) => version.fmt(f),
            Self::Branch(name) => f.write_str(name),
        }
    }
}

fn write_dotted(f: &mut fmt::Formatter<'_>, numbers: &[u32]) -> fmt::Result {
    for (at, number) in numbers.iter().enumerate() {
        if at > 0 {
            f.write_str(".")?;
        }
        write!(f, "{number}")?;
    }
    Ok(())
}

fn is_branch(text: &str) -> bool {
    matches!(text, "master" | "maint")
        || text
            .strip_prefix("maint-")
            .is_some_and(|major| number::<u32>(major).is_ok())
}

fn numbers_and_candidate(text: &str) -> Result<(Vec<u32>, Option<u32>), Reason> {
    let text = text
        .strip_prefix("OTP-")
        .or_else(|| text.strip_prefix("otp-"))
        .unwrap_or(text);
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    let (numbers, candidate) = match text.split_once('-') {
        Some((numbers, suffix)) => {
            let candidate = suffix
                .strip_prefix("rc")
                .and_then(|digits| number(digits.trim_start_matches('.')).ok())
                .ok_or_else(|| Reason::NotACandidate {
                    part: suffix.to_owned(),
                    example: "27.0-rc1",
                })?;
            (numbers, Some(candidate))
        }
        None => (text, None),
    };
    let numbers = numbers
        .split('.')
        .map(number)
        .collect::<Result<Vec<u32>, _>>()?;
    Ok((numbers, candidate))
}

/// The publisher of a build: there are two, each with its own list and archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher {
    /// builds.hex.pm, built by Bob.
    HexPm,
    /// The releases of `erlef/otp_builds`.
    Erlef,
}

/// One line of a list: an archive that exists for the list's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpBuild {
    /// The name in URLs: `OTP-27.3.4.2`, or a branch.
    pub reference: String,
    /// `None` for a branch.
    pub version: Option<OtpVersion>,
    pub git_sha: String,
    /// The RFC 3339 time in the list.
    pub built_at: String,
    /// The SHA-256 of the archive, in lower-case hex. Lines from before September 2024 have none.
    pub sha256: Option<String>,
    pub publisher: Publisher,
}

/// The builds for one operating system and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtpListing {
    builds: Vec<OtpBuild>,
    malformed: usize,
}

impl OtpListing {
    /// Reads `builds.txt` of builds.hex.pm: lines `REF GIT_SHA BUILT_AT [SHA256]`, in any order
    /// (upstream's is lexical, so that `OTP-26.2.5.2` follows `OTP-26.2.5.19`). Lines that are not
    /// of this form are left out and counted.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (lines, malformed) = listing::lines(text);
        Self::of(lines, malformed, Publisher::HexPm)
    }

    /// Reads `TARGET.csv` of `erlef/otp_builds`: a header, and rows that have at least the columns `ref_name`, `ref`,
    /// `datetime` and `sha256`. Rows of another form are skipped and counted. `None` for a text without such a
    /// header.
    #[must_use]
    pub fn parse_csv(text: &str) -> Option<Self> {
        let (rows, malformed) = listing::csv_rows(text)?;
        Some(Self::of(rows, malformed, Publisher::Erlef))
    }

    fn of(lines: Vec<listing::Line<'_>>, mut malformed: usize, publisher: Publisher) -> Self {
        let mut builds = Vec::with_capacity(lines.len());
        for line in lines {
            let version = if line.name.starts_with("OTP-") {
                let Ok(version) = OtpVersion::parse(line.name) else {
                    malformed += 1;
                    continue;
                };
                Some(version)
            } else {
                None
            };
            builds.push(OtpBuild {
                reference: line.name.to_owned(),
                version,
                git_sha: line.git_sha.to_owned(),
                built_at: line.built_at.to_owned(),
                sha256: line.sha256,
                publisher,
            });
        }
        builds.sort_by(|a, b| b.version.cmp(&a.version));
        Self { builds, malformed }
    }

    /// Merges two lists. If both have a build, this list's counts.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        let new = other
            .builds
            .into_iter()
            .filter(|build| self.get(&build.reference).is_none())
            .collect::<Vec<_>>();
        self.builds.extend(new);
        self.builds.sort_by(|a, b| b.version.cmp(&a.version));
        self.malformed += other.malformed;
        self
    }

    /// The build with this name.
    #[must_use]
    pub fn get(&self, reference: &str) -> Option<&OtpBuild> {
        self.builds
            .iter()
            .find(|build| build.reference == reference)
    }

    /// Newest version first, branches last.
    #[must_use]
    pub fn builds(&self) -> &[OtpBuild] {
        &self.builds
    }

    /// The number of malformed lines.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.builds.is_empty()
    }

    /// The names of the branches, if the list contains nothing else: `maint, master`.
    #[must_use]
    pub fn only_branches(&self) -> Option<String> {
        let branches: Vec<&str> = self.builds.iter().map(|b| b.reference.as_str()).collect();
        let releases = self.builds.iter().any(|build| build.version.is_some());
        (!releases && !branches.is_empty()).then(|| branches.join(", "))
    }

    /// Returns the newest build that satisfies the request. A release candidate is only returned if one is requested.
    pub fn choose(&self, request: &OtpRequest) -> Result<&OtpBuild, NoMatch> {
        self.builds
            .iter()
            .find(|build| request.matches(build))
            .ok_or_else(|| self.no_match(request))
    }

    /// Returns the build that satisfies the request, or else the newest release of the narrowest line that the
    /// request belongs to.
    pub(crate) fn nearest_of_line(&self, request: &OtpRequest) -> Option<&OtpBuild> {
        self.choose(request).ok().or_else(|| {
            let newest = self.no_match(request).newest_of_line;
            self.builds
                .iter()
                .find(|build| newest.is_some() && build.version == newest)
        })
    }

    /// The assumed OTP major of a build, from its name. `maint` counts as the newest released major. So does
    /// `master`, although it is the next one: no Elixir is known to support that, and versions for the newest major
    /// are the best guess.
    #[must_use]
    pub fn major_of(&self, build: &OtpBuild) -> u32 {
        let of_branch = || {
            let (_, major) = build.reference.rsplit_once('-')?;
            major.parse().ok()
        };
        let newest = || self.newest_of_majors().first().map(|(major, _)| *major);
        build
            .version
            .as_ref()
            .map(OtpVersion::major)
            .or_else(of_branch)
            .or_else(newest)
            .unwrap_or(compatibility::NEWEST_OTP)
    }

    /// The newest release of each major version, newest major first.
    pub(crate) fn newest_of_majors(&self) -> Vec<(u32, &OtpBuild)> {
        let mut majors: Vec<(u32, &OtpBuild)> = Vec::new();
        for build in &self.builds {
            if let Some(version) = &build.version
                && !version.is_candidate()
                && majors
                    .last()
                    .is_none_or(|(last, _)| *last != version.major())
            {
                majors.push((version.major(), build));
            }
        }
        majors
    }

    fn no_match(&self, request: &OtpRequest) -> NoMatch {
        let numbers = request.numbers();
        let offered: Vec<&OtpVersion> = self
            .builds
            .iter()
            .filter_map(|build| build.version.as_ref())
            .filter(|version| request.wants_candidate() || !version.is_candidate())
            .collect();
        let newest_of_line = (1..numbers.len())
            .rev()
            .find_map(|length| {
                offered
                    .iter()
                    .find(|v| !v.is_candidate() && v.numbers.starts_with(&numbers[..length]))
            })
            .map(|version| (*version).clone());
        let same_major = |version: &&&OtpVersion| numbers.first() == version.numbers.first();
        let newest = offered.iter().find(same_major).or(offered.first());
        let newer_than_listed = newest.is_some_and(|newest| numbers > newest.numbers.as_slice());
        let mut nearest: Vec<OtpVersion> = Vec::new();
        if let Some(&major) = numbers.first() {
            nearest.extend(
                offered
                    .iter()
                    .filter(|version| version.major() == major)
                    .take(NEAREST)
                    .map(|version| (*version).clone()),
            );
        }
        let mut others = self.newest_of_majors();
        if let Some(&major) = numbers.first() {
            others.retain(|(other, _)| *other != major);
            others.sort_by_key(|(other, _)| (other.abs_diff(major), Reverse(*other)));
        }
        nearest.extend(others.into_iter().filter_map(|(_, b)| b.version.clone()));
        nearest.truncate(NEAREST);
        NoMatch {
            request: request.clone(),
            nearest,
            newest_of_line,
            newer_than_listed,
        }
    }
}

const NEAREST: usize = 5;

/// No build in the list satisfies a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no build of OTP {request} is listed")]
pub struct NoMatch {
    pub request: OtpRequest,
    /// Up to five versions: those of the same major, newest first, then the newest of each neighbouring major. Empty
    /// only if the list contains no release.
    pub nearest: Vec<OtpVersion>,
    /// The newest release of the narrowest line that the request belongs to: 27.3.4.18 for the request 27.3.4.99.
    pub newest_of_line: Option<OtpVersion>,
    /// Whether it is newer than every listed version of its major, or than all versions if the major has none.
    pub newer_than_listed: bool,
}

//! Elixir: requests, and the list of builds.
//!
//! An archive of Elixir is compiled with one OTP major (`v1.18.4-otp-27`) and runs on that one and
//! on newer ones that the version supports, so a build is always chosen for an OTP major.

pub use crate::elixir_version::ElixirVersion;

use crate::compatibility::{self, Compatibility};
use crate::elixir_requirement::ElixirRequirement;
use crate::error::{ParseError, Reason, Tool};
use crate::listing;
use crate::otp::{OtpBuild, OtpListing};
use crate::text::{clean, is_path_safe, number, without_wildcards};
use std::cmp::Reverse;
use std::fmt;

/// A request for Elixir. `otp` is the `-otp-N` of a build that was pinned with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ElixirRequest {
    /// `1` or `1.18`: the newest release of that line.
    Line {
        major: u64,
        minor: Option<u64>,
        otp: Option<u32>,
    },
    /// `1.18.3`, `v1.17.0-rc.0`, `1.18.4-otp-27`: exactly this version.
    Exact {
        version: ElixirVersion,
        otp: Option<u32>,
    },
    /// `~> 1.17`, `>= 1.15.0 and < 1.18.0`, `latest`: the newest release that satisfies it.
    Range(ElixirRequirement),
    /// `branch main`, `main`, `ref:main`, `branch v1.18`: the newest build of a branch, whose content changes.
    Branch { name: String, otp: Option<u32> },
}

impl ElixirRequest {
    /// Parses a request from a config file, `.tool-versions` or a config var.
    ///
    /// `branch NAME` is the two words of the config file's `elixir_version=(branch NAME)`, with
    /// or without the parentheses.
    pub fn parse(input: &str) -> Result<Self, ParseError> {
        Self::read(clean(input)).map_err(|reason| reason.of(Tool::Elixir, input))
    }

    fn read(text: &str) -> Result<Self, Reason> {
        let text = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'))
            .map_or(text, str::trim);
        if text.is_empty() {
            return Err(Reason::Empty);
        }
        if text == "latest" {
            return Ok(Self::Range(ElixirRequirement::any(text)));
        }
        if text.starts_with(['~', '>', '<', '=', '!']) {
            return ElixirRequirement::read(text).map(Self::Range);
        }
        let named = text.strip_prefix("ref:").or_else(|| {
            let (word, name) = text.split_once(char::is_whitespace)?;
            (word == "branch").then(|| name.trim())
        });
        let (name, otp) = split_otp(named.unwrap_or(text))?;
        let numbers = name.strip_prefix('v').unwrap_or(name);
        if named.is_some() || matches!(name, "main" | "master") {
            // A tag in place of a branch is a release.
            if let Ok(version) = ElixirVersion::read(numbers) {
                return Ok(Self::Exact { version, otp });
            }
            if !is_path_safe(name) {
                return Err(Reason::NotABranch {
                    part: name.to_owned(),
                });
            }
            return Ok(Self::Branch {
                name: name.to_owned(),
                otp,
            });
        }
        let (numbers, _) = without_wildcards(numbers);
        match numbers.split('.').collect::<Vec<_>>()[..] {
            [major] => Ok(Self::Line {
                major: number(major)?,
                minor: None,
                otp,
            }),
            [major, minor] => Ok(Self::Line {
                major: number(major)?,
                minor: Some(number(minor)?),
                otp,
            }),
            _ => Ok(Self::Exact {
                version: ElixirVersion::read(numbers)?,
                otp,
            }),
        }
    }

    /// The OTP major that is pinned with `-otp-N`.
    fn pinned_otp(&self) -> Option<u32> {
        match self {
            Self::Line { otp, .. } | Self::Exact { otp, .. } | Self::Branch { otp, .. } => *otp,
            Self::Range(_) => None,
        }
    }

    /// The requested major and minor version. For a range, those of its first version.
    pub(crate) fn line(&self) -> Option<(u64, u64)> {
        match self {
            Self::Line { major, minor, .. } => Some((*major, minor.unwrap_or(0))),
            Self::Exact { version, .. } => Some((version.major(), version.minor())),
            Self::Range(requirement) => {
                let version = requirement.first_version()?;
                Some((version.major, version.minor))
            }
            Self::Branch { .. } => None,
        }
    }

    /// Whether a version satisfies the request, regardless of the OTP of the build. A branch has no version.
    #[must_use]
    pub fn matches(&self, version: &ElixirVersion) -> bool {
        match self {
            Self::Exact {
                version: wanted, ..
            } => version == wanted,
            Self::Line { major, minor, .. } => {
                !version.is_candidate()
                    && version.major() == *major
                    && minor.is_none_or(|minor| version.minor() == minor)
            }
            Self::Range(requirement) => {
                (!version.is_candidate() || requirement.names_a_candidate())
                    && requirement.matches(version)
            }
            Self::Branch { .. } => false,
        }
    }
}

/// Splits `1.18.4-otp-27` into the version and the OTP major.
fn split_otp(text: &str) -> Result<(&str, Option<u32>), Reason> {
    match text.split_once("-otp-") {
        None => Ok((text, None)),
        Some((name, major)) => match number(major) {
            Ok(otp) => Ok((name, Some(otp))),
            Err(_) => Err(Reason::NotAnOtpMajor {
                part: major.to_owned(),
            }),
        },
    }
}

impl fmt::Display for ElixirRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { major, minor, .. } => {
                write!(f, "{major}")?;
                if let Some(minor) = minor {
                    write!(f, ".{minor}")?;
                }
            }
            Self::Exact { version, .. } => version.fmt(f)?,
            Self::Range(requirement) => requirement.fmt(f)?,
            // The word distinguishes the branch v1.18 from the line 1.18.
            Self::Branch { name, .. } => write!(f, "branch {name}")?,
        }
        match self.pinned_otp() {
            Some(otp) => write!(f, "-otp-{otp}"),
            None => Ok(()),
        }
    }
}

/// One line of the list: an archive that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElixirBuild {
    /// The name in URLs: `v1.18.3-otp-27`, `v1.18.3`, `main-otp-27`.
    pub reference: String,
    /// `None` for a branch.
    pub version: Option<ElixirVersion>,
    /// The OTP major that it was compiled with. An archive without suffix was compiled with the oldest OTP that the
    /// version supports.
    pub otp: Option<u32>,
    pub git_sha: String,
    /// The RFC 3339 time in the list.
    pub built_at: String,
    /// The SHA-256 of the archive, in lower-case hex. Old lines have none.
    pub sha256: Option<String>,
}

impl ElixirBuild {
    /// The reference without its `-otp-N`.
    fn base(&self) -> &str {
        match self.reference.rsplit_once("-otp-") {
            Some((base, _)) if self.otp.is_some() => base,
            _ => &self.reference,
        }
    }
}

/// Why a pair is expected to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Elixir's documentation lists the pair, or the version is newer than the table and has a build for this OTP.
    Supported,
    /// Upstream has a build of this Elixir for this OTP.
    Published,
}

/// All builds of Elixir: `builds.txt` of builds.hex.pm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElixirListing {
    builds: Vec<ElixirBuild>,
    malformed: usize,
}

impl ElixirListing {
    /// Reads lines `NAME GIT_SHA BUILT_AT [SHA256]`, where NAME is `vX.Y.Z[-otp-N]` or
    /// `BRANCH[-otp-N]`, in any order (upstream's is lexical, `v1.10.0` before `v1.9.0`). Lines
    /// that are not of this form are left out and counted.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (lines, mut malformed) = listing::lines(text);
        let mut builds = Vec::with_capacity(lines.len());
        for line in lines {
            let Ok((name, otp)) = split_otp(line.name) else {
                malformed += 1;
                continue;
            };
            builds.push(ElixirBuild {
                reference: line.name.to_owned(),
                version: name
                    .strip_prefix('v')
                    .and_then(|numbers| ElixirVersion::read(numbers).ok()),
                otp,
                git_sha: line.git_sha.to_owned(),
                built_at: line.built_at.to_owned(),
                sha256: line.sha256,
            });
        }
        builds.sort_by(|a, b| (&b.version, b.otp).cmp(&(&a.version, a.otp)));
        Self { builds, malformed }
    }

    /// Newest version first, builds for newer OTP before those for older, branches last.
    #[must_use]
    pub fn builds(&self) -> &[ElixirBuild] {
        &self.builds
    }

    /// The builds of versions that pass, and all builds of branches, which have no version.
    #[must_use]
    pub fn only(&self, passes: impl Fn(&ElixirVersion) -> bool) -> Self {
        let passes = |build: &&ElixirBuild| build.version.as_ref().is_none_or(&passes);
        Self {
            builds: self.builds.iter().filter(passes).cloned().collect(),
            malformed: self.malformed,
        }
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

    /// The build to use on OTP `otp_major`: of the newest version that satisfies the request and has a build for this
    /// OTP, the one compiled with the newest OTP up to `otp_major`.
    ///
    /// A pair that is incompatible by [`compatibility::check`] is only chosen if upstream has a build of this version
    /// for this OTP, and no other version satisfies the request. A pinned `-otp-N` is never replaced by another
    /// build.
    pub fn choose(
        &self,
        request: &ElixirRequest,
        otp_major: u32,
    ) -> Result<&ElixirBuild, ElixirNoMatch> {
        if let ElixirRequest::Branch { name, otp } = request {
            return self.choose_branch(request, name, *otp, otp_major);
        }
        let versions = self.versions(|version| request.matches(version));
        let (good, bad): (Vec<&ElixirVersion>, Vec<&ElixirVersion>) = versions
            .iter()
            .partition(|version| !compatibility::is_known_bad(version, otp_major));
        good.into_iter()
            .chain(bad)
            .find_map(|version| self.build_for(version, request.pinned_otp(), otp_major))
            .ok_or_else(|| match versions.first() {
                None => self.not_listed(request),
                Some(version) => ElixirNoMatch::NoBuildForOtp {
                    request: request.clone(),
                    version: Some((*version).clone()),
                    otp_major,
                },
            })
    }

    fn choose_branch(
        &self,
        request: &ElixirRequest,
        name: &str,
        pinned: Option<u32>,
        otp_major: u32,
    ) -> Result<&ElixirBuild, ElixirNoMatch> {
        let builds: Vec<&ElixirBuild> = self
            .builds
            .iter()
            .filter(|build| build.version.is_none() && build.base() == name)
            .collect();
        if builds.is_empty() {
            return Err(self.not_listed(request));
        }
        newest_not_newer(builds.iter().copied(), pinned, otp_major).ok_or_else(|| {
            ElixirNoMatch::NoBuildForOtp {
                request: request.clone(),
                version: None,
                otp_major,
            }
        })
    }

    /// The newest released version that has a build for OTP `otp_major` and supports it, or else the newest that
    /// upstream has built for this OTP.
    #[must_use]
    pub fn newest_for(&self, otp_major: u32) -> Option<&ElixirBuild> {
        let versions = self.versions(|version| !version.is_candidate());
        let newest = |basis| {
            let build = |version: &&ElixirVersion| self.usable(version, None, otp_major, basis);
            versions.iter().find_map(build)
        };
        newest(Basis::Supported).or_else(|| newest(Basis::Published))
    }

    /// The distinct versions that pass, newest first.
    pub(crate) fn versions(&self, passes: impl Fn(&ElixirVersion) -> bool) -> Vec<&ElixirVersion> {
        let mut versions: Vec<&ElixirVersion> = self
            .builds
            .iter()
            .filter_map(|build| build.version.as_ref())
            .filter(|version| passes(version))
            .collect();
        versions.dedup();
        versions
    }

    /// The build of exactly this version to use on OTP `otp_major`.
    fn build_for(
        &self,
        version: &ElixirVersion,
        pinned: Option<u32>,
        otp_major: u32,
    ) -> Option<&ElixirBuild> {
        let builds = || {
            let of_version = |build: &&ElixirBuild| build.version.as_ref() == Some(version);
            self.builds.iter().filter(of_version)
        };
        let is_published = builds().any(|build| build.otp == Some(otp_major));
        if compatibility::is_known_bad(version, otp_major) && !is_published {
            return None;
        }
        // A build for another OTP only counts if the version supports the OTP that it was compiled with.
        let counts = |build: &&ElixirBuild| {
            pinned.is_some()
                || build.otp.is_none_or(|otp| {
                    otp == otp_major || !compatibility::is_known_bad(version, otp)
                })
        };
        newest_not_newer(builds().filter(counts), pinned, otp_major)
    }

    /// Why a build that was chosen for OTP `otp_major` is expected to work there.
    pub(crate) fn basis(&self, build: &ElixirBuild, otp_major: u32) -> Basis {
        let Some(version) = &build.version else {
            return Basis::Supported;
        };
        match self.usable(version, None, otp_major, Basis::Supported) {
            Some(_) => Basis::Supported,
            None => Basis::Published,
        }
    }

    /// Like [`Self::build_for`], but only on this basis.
    pub(crate) fn usable(
        &self,
        version: &ElixirVersion,
        pinned: Option<u32>,
        otp_major: u32,
        basis: Basis,
    ) -> Option<&ElixirBuild> {
        let build = self.build_for(version, pinned, otp_major)?;
        let is_published = build.otp == Some(otp_major);
        let holds = match (basis, compatibility::check(version, otp_major)) {
            (_, Compatibility::Supported) => true,
            (Basis::Supported, Compatibility::Unsupported { .. }) => false,
            (Basis::Supported, Compatibility::Unknown) | (Basis::Published, _) => is_published,
        };
        holds.then_some(build)
    }

    fn is_newer_than_listed(&self, request: &ElixirRequest) -> bool {
        let requested = match request {
            ElixirRequest::Exact { version, .. } => version.clone(),
            ElixirRequest::Line { major, minor, .. } => {
                ElixirVersion::release(*major, minor.unwrap_or(0), 0)
            }
            ElixirRequest::Range(_) | ElixirRequest::Branch { .. } => return false,
        };
        let line = |version: &ElixirVersion| (version.major(), version.minor());
        let of_line = self.versions(|version| line(version) == line(&requested));
        let all = self.versions(|_| true);
        let newest = of_line.first().or(all.first());
        newest.is_some_and(|newest| requested > **newest)
    }

    fn not_listed(&self, request: &ElixirRequest) -> ElixirNoMatch {
        let mut versions = match request {
            ElixirRequest::Exact { version, .. } if version.is_candidate() => {
                self.versions(|_| true)
            }
            _ => self.versions(|version| !version.is_candidate()),
        };
        if let Some((major, minor)) = request.line() {
            versions.sort_by_key(|version| {
                (
                    version.major().abs_diff(major),
                    version.minor().abs_diff(minor),
                    Reverse(*version),
                )
            });
        }
        ElixirNoMatch::NotListed {
            newer_than_listed: self.is_newer_than_listed(request),
            request: request.clone(),
            nearest: versions.into_iter().take(NEAREST).cloned().collect(),
        }
    }
}

const NEAREST: usize = 5;

/// Of the builds of a version or branch, returns the pinned one, or the one with the newest OTP up to `otp_major`, or
/// else one whose OTP is unknown.
fn newest_not_newer<'a>(
    builds: impl Iterator<Item = &'a ElixirBuild>,
    pinned: Option<u32>,
    otp_major: u32,
) -> Option<&'a ElixirBuild> {
    let mut builds: Vec<&ElixirBuild> = builds.collect();
    if let Some(pinned) = pinned {
        builds.retain(|build| build.otp == Some(pinned));
    }
    if builds.iter().all(|build| build.otp.is_none()) {
        return builds.first().copied();
    }
    builds
        .into_iter()
        .filter(|build| build.otp.is_some_and(|otp| otp <= otp_major))
        .max_by_key(|build| build.otp)
}

/// No build in the list satisfies a request on a given OTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElixirNoMatch {
    /// No version in the list satisfies the request.
    #[error("no build of Elixir {request} is listed")]
    NotListed {
        request: ElixirRequest,
        /// Up to five released versions, those of the nearest lines first, newest first in each.
        nearest: Vec<ElixirVersion>,
        /// Whether it is newer than every listed version of its line, or than all versions if the line has none.
        newer_than_listed: bool,
    },
    /// The version exists, but not for this OTP.
    #[error("no build of Elixir {request} can be used on OTP {otp_major}")]
    NoBuildForOtp {
        request: ElixirRequest,
        /// The newest listed version that satisfies the request. `None` for a branch.
        version: Option<ElixirVersion>,
        otp_major: u32,
    },
}

/// Completes a request for Elixir with an OTP: the newest version that satisfies it, on the newest released OTP that
/// it supports. A pinned `-otp-N` selects OTP N, or else the next newer one.
///
/// A branch gets the newest OTP that it has a build for.
#[must_use]
pub fn newest_otp_for<'o, 'e>(
    request: &ElixirRequest,
    otp: &'o OtpListing,
    elixir: &'e ElixirListing,
) -> Option<(&'o OtpBuild, &'e ElixirBuild)> {
    let mut majors = otp.newest_of_majors();
    if let Some(pinned) = request.pinned_otp() {
        majors.retain(|(major, _)| *major >= pinned);
        majors.reverse();
    }
    if matches!(request, ElixirRequest::Branch { .. }) {
        return majors.into_iter().find_map(|(major, otp_build)| {
            let build = elixir.choose(request, major).ok()?;
            (build.otp.is_none_or(|otp| otp == major)).then_some((otp_build, build))
        });
    }
    first_pair(
        &elixir.versions(|version| request.matches(version)),
        request.pinned_otp(),
        &majors,
        elixir,
    )
}

/// The default without a request: the newest released Elixir, on the newest released OTP that it supports.
#[must_use]
pub fn newest_pair<'o, 'e>(
    otp: &'o OtpListing,
    elixir: &'e ElixirListing,
) -> Option<(&'o OtpBuild, &'e ElixirBuild)> {
    first_pair(
        &elixir.versions(|version| !version.is_candidate()),
        None,
        &otp.newest_of_majors(),
        elixir,
    )
}

fn first_pair<'o, 'e>(
    versions: &[&'e ElixirVersion],
    pinned: Option<u32>,
    majors: &[(u32, &'o OtpBuild)],
    elixir: &'e ElixirListing,
) -> Option<(&'o OtpBuild, &'e ElixirBuild)> {
    let first = |basis| {
        versions.iter().find_map(|version| {
            majors.iter().find_map(|(major, otp_build)| {
                let build = elixir.usable(version, pinned, *major, basis)?;
                Some((*otp_build, build))
            })
        })
    };
    first(Basis::Supported).or_else(|| first(Basis::Published))
}

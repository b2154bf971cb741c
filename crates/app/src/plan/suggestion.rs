//! The versions to request instead of unavailable ones, as lines of the files that request them.

use super::choice::{name, otp_name};
use super::version_requests::VersionRequests;
use super::{LastBuild, Lists};
use crate::facts::mix_lock::Source;
use crate::facts::{Facts, join};
use crate::origin::{Origin, Setting};
use std::ffi::OsStr;
use std::path::Path;
use versions::elixir::ElixirBuild;
use versions::otp::OtpListing;
use versions::{ElixirRequest, ElixirRequirement, OtpRequest, ParseError, nearest_pair};

/// The pair of Erlang and Elixir that is nearest to the requested one and can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// `1.18.4`, or a branch.
    pub elixir: String,
    /// A value of `elixir:` in `mix.exs` that allows this version: `~> 1.18`.
    pub requirement: String,
    /// The places that request the two versions. Empty if the app requests neither.
    pub edits: Vec<Edit>,
    /// The reason for this pair, as a sentence without a full stop.
    pub why: String,
    /// `elixir:` of each `mix.exs` that doesn't allow this Elixir. Empty unless they allow no available
    /// version.
    pub conflicts: Vec<Setting>,
    /// The requirements of locked packages that don't allow it, which mix only warns about: name and version,
    /// requirement.
    pub conflicting_packages: Vec<(String, String)>,
    /// The oldest release of OTP that is built for the target.
    pub oldest_otp: String,
}

/// A change to a place that requests a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Lines to write to a file in place of those with the numbers, which are 1-based. There are no
    /// numbers if the lines are new, or if bash evaluates the file.
    File {
        path: String,
        numbers: Vec<u32>,
        lines: Vec<String>,
    },
    /// Config vars to set: names and values.
    ConfigVars(Vec<(String, String)>),
    /// Arguments of `mise use`, such as `erlang@27.3.4`. The command also updates `mise.lock`.
    MiseUse(Vec<String>),
}

/// Returns the pair that is nearest to the requested one: one that each `mix.exs` and the locked
/// packages allow, or else one that each `mix.exs` allows, or else any. `None` if the lists contain no
/// compatible pair.
pub(super) fn suggest(
    requests: &VersionRequests,
    facts: &Facts,
    lists: &Lists,
    last: &LastBuild,
) -> Option<Suggestion> {
    let (erlang, elixir) = (requests.erlang.as_ref(), requests.elixir.as_ref());
    let otp_request = erlang.and_then(|requested| readable(&requested.value, OtpRequest::parse));
    let elixir_request =
        elixir.and_then(|requested| readable(&requested.value, ElixirRequest::parse));
    let required = || {
        let (_, requirement) = requests.elixir_requirements.first()?;
        Some(ElixirRequest::Range(requirement.clone()))
    };
    let near = elixir_request.clone().or_else(required);
    let nearest = |allowed| nearest_pair(otp_request.as_ref(), near.as_ref(), &lists.otp, allowed);
    let locked = locked_requirements(facts, last);
    let by_mix_exs = lists.elixir.only(|version| requests.allow(version));
    let by_all = by_mix_exs.only(|version| locked.iter().all(|(_, r)| r.matches(version)));

    let unbound = nearest(&lists.elixir)?;
    let bound = nearest(&by_all).or_else(|| nearest(&by_mix_exs));
    let (otp, build) = bound.unwrap_or(unbound);
    let allowed = if bound.is_some() {
        &by_mix_exs
    } else {
        &lists.elixir
    };
    let otp_major = lists.otp.major_of(otp);
    let same_otp = otp_request.filter(|request| lists.otp.choose(request) == Ok(otp));
    let same_elixir =
        elixir_request.filter(|request| allowed.choose(request, otp_major) == Ok(build));
    let bounds = if (otp, build) == unbound {
        Vec::new()
    } else {
        bounds(requests, &locked, unbound.1)
    };
    Some(Suggestion {
        why: why(
            (&otp_name(otp), erlang.is_none() || same_otp.is_some()),
            (&name(build), elixir.is_none() || same_elixir.is_some()),
            &bounds,
        ),
        edits: edits(
            (
                erlang.map(|requested| &requested.origin),
                &same_otp.map_or_else(|| otp_name(otp), |request| request.to_string()),
            ),
            (
                elixir.map(|requested| &requested.origin),
                &same_elixir
                    .map_or_else(|| elixir_text(elixir, build), |request| request.to_string()),
            ),
        ),
        conflicts: requests
            .elixir_requirements
            .iter()
            .filter(|(_, requirement)| excludes(requirement, build))
            .map(|(requested, _)| requested.clone())
            .collect(),
        conflicting_packages: locked
            .iter()
            .filter(|(_, requirement)| excludes(requirement, build))
            .map(|(package, requirement)| (package.clone(), requirement.to_string()))
            .collect(),
        requirement: requirement(build),
        elixir: name(build),
        oldest_otp: oldest(&lists.otp)?,
    })
}

/// Returns the request in a text, or in the numbers it starts with if the text can't be parsed.
fn readable<R>(text: &str, parse: impl Fn(&str) -> Result<R, ParseError>) -> Option<R> {
    if let Ok(request) = parse(text) {
        return Some(request);
    }
    let numbers = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut numbers = &numbers[..end.unwrap_or(numbers.len())];
    loop {
        if let Ok(request) = parse(numbers) {
            return Some(request);
        }
        (numbers, _) = numbers.rsplit_once('.')?;
    }
}

/// Returns `elixir:` of the packages with the same version in `mix.lock` as in the last build, by name and
/// version.
fn locked_requirements(facts: &Facts, last: &LastBuild) -> Vec<(String, ElixirRequirement)> {
    let packages = facts.locked.iter().filter_map(|locked| match &locked.from {
        Source::Hex {
            package, version, ..
        } => Some(format!("{package} {version}")),
        Source::Git { .. } => None,
    });
    packages
        .filter_map(|package| {
            let requirement = last.elixir_requirements.get(&package)?;
            let requirement = ElixirRequirement::parse(requirement).ok()?;
            Some((package, requirement))
        })
        .collect()
}

fn excludes(requirement: &ElixirRequirement, build: &ElixirBuild) -> bool {
    let version = build.version.as_ref();
    version.is_some_and(|version| !requirement.matches(version))
}

/// Returns the requirements that exclude the pair that would be nearer.
fn bounds(
    requests: &VersionRequests,
    locked: &[(String, ElixirRequirement)],
    nearer: &ElixirBuild,
) -> Vec<String> {
    let of_mix_exs = requests.elixir_requirements.iter();
    let of_mix_exs = of_mix_exs
        .filter(|(_, requirement)| excludes(requirement, nearer))
        .map(|(requested, _)| requested.origin.to_string());
    let of_packages = locked
        .iter()
        .filter(|(_, requirement)| excludes(requirement, nearer))
        .map(|(package, _)| package.clone());
    of_mix_exs.chain(of_packages.take(1)).collect()
}

fn why(
    (otp, same_otp): (&str, bool),
    (elixir, same_elixir): (&str, bool),
    bounds: &[String],
) -> String {
    let allowed = match bounds {
        [] => String::new(),
        [only] => format!(" that {only} allows"),
        several => format!(" that {} allow", several.join(" and ")),
    };
    let and = if bounds.is_empty() { "" } else { " and" };
    match (same_otp, same_elixir) {
        (true, false) => {
            format!(
                "Elixir {elixir} is the nearest version{allowed}{and} that runs on Erlang/OTP {otp}"
            )
        }
        (false, true) => format!(
            "Erlang/OTP {otp} is the nearest version built for this stack that runs Elixir {elixir}"
        ),
        _ => format!(
            "Elixir {elixir} on Erlang/OTP {otp} is the nearest pair{allowed}{and} that is built for this stack"
        ),
    }
}

/// Returns the version of Elixir, with `-otp-N` if the app pins that.
fn elixir_text(requested: Option<&Setting>, build: &ElixirBuild) -> String {
    let is_pinned = requested.is_some_and(|requested| requested.value.contains("-otp-"));
    if is_pinned && build.otp.is_some() {
        build.reference.trim_start_matches('v').to_owned()
    } else {
        name(build)
    }
}

fn requirement(build: &ElixirBuild) -> String {
    match &build.version {
        Some(version) if version.is_candidate() => format!("~> {version}"),
        Some(version) => format!("~> {}.{}", version.major(), version.minor()),
        // Allowed by every requirement.
        None => String::new(),
    }
}

fn oldest(list: &OtpListing) -> Option<String> {
    let versions = list.builds().iter().filter_map(|b| b.version.as_ref());
    let oldest = versions.filter(|version| !version.is_candidate()).min()?;
    Some(oldest.to_string())
}

/// Writes each version to the place that requests it, or else to the place of the other one.
fn edits(
    (erlang_place, erlang): (Option<&Origin>, &str),
    (elixir_place, elixir): (Option<&Origin>, &str),
) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (tool, version, place, other) in [
        ("erlang", erlang, erlang_place, elixir_place),
        ("elixir", elixir, elixir_place, erlang_place),
    ] {
        let number = match place {
            Some(Origin::File { line, .. }) if *line > 0 => Some(*line),
            _ => None,
        };
        let new = match place.or(other) {
            Some(Origin::File { path, .. }) => of_file(path, tool, version, number),
            Some(Origin::ConfigVar(_)) => {
                Edit::ConfigVars(vec![(format!("{tool}_version"), version.to_owned())])
            }
            Some(Origin::LastBuild | Origin::Default(_)) | None => continue,
        };
        if !edits.last_mut().is_some_and(|last| last.merge(&new)) {
            edits.push(new);
        }
    }
    edits
}

fn of_file(path: &str, tool: &str, version: &str, number: Option<u32>) -> Edit {
    let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
    let branch = version.strip_prefix("branch ");
    // The syntax of asdf and mise.
    let of_asdf = branch.map_or_else(|| version.to_owned(), |branch| format!("ref:{branch}"));
    let of_bash = match branch {
        Some(_) => format!("({version})"),
        None => shell_words::quote(version).into_owned(),
    };
    let (path, line) = match file {
        ".tool-versions" => (path.to_owned(), format!("{tool} {of_asdf}")),
        ".erlang-version" | ".elixir-version" => {
            (join(folder, &format!(".{tool}-version")), of_asdf)
        }
        _ => match Path::new(file).extension().and_then(OsStr::to_str) {
            Some("lock") => return Edit::MiseUse(vec![format!("{tool}@{of_asdf}")]),
            Some("toml") => (path.to_owned(), format!("{tool} = {of_asdf:?}")),
            _ => (path.to_owned(), format!("{tool}_version={of_bash}")),
        },
    };
    Edit::File {
        path,
        numbers: number.into_iter().collect(),
        lines: vec![line],
    }
}

impl Edit {
    /// Merges another edit of the same place.
    fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File {
                    path,
                    numbers,
                    lines,
                },
                Self::File {
                    path: other,
                    numbers: more,
                    lines: new,
                },
            ) if path == other => {
                numbers.extend(more);
                numbers.sort_unstable();
                numbers.dedup();
                lines.extend_from_slice(new);
            }
            (Self::ConfigVars(vars), Self::ConfigVars(new)) => vars.extend_from_slice(new),
            (Self::MiseUse(tools), Self::MiseUse(new)) => tools.extend_from_slice(new),
            _ => return false,
        }
        true
    }
}

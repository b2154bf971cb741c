//! The choice of Erlang and Elixir. They are chosen as a pair, since not all versions are compatible.

use super::choice::{malformed, name, newest_of_lines, os, otp_name};
use super::suggestion::suggest;
use super::version_requests::VersionRequests;
use super::{Choice, LastBuild, Lists, Plan, PlanError, VersionError};
use crate::facts::Facts;
use crate::origin::{Origin, Setting};
use versions::Tool;
use versions::compatibility;
use versions::elixir::{
    self, ElixirBuild, ElixirListing, ElixirNoMatch, ElixirRequest, ElixirVersion,
};
use versions::otp::{OtpBuild, OtpListing, OtpRequest, OtpVersion};
use versions::target::Target;

type Pair = (Choice<OtpBuild>, Choice<ElixirBuild>);

pub(super) fn pair_or_suggestion(
    requests: &VersionRequests,
    facts: &Facts,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, PlanError> {
    choose_pair(requests, target, lists, last).map_err(|error| PlanError::Version {
        error,
        suggestion: suggest(requests, facts, lists, last).map(Box::new),
    })
}

fn choose_pair(
    requests: &VersionRequests,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, VersionError> {
    let otp = requests.erlang.clone();
    let elixir = requests.elixir.clone();
    let otp_request = otp
        .as_ref()
        .map(|requested| parse_otp(requested, &lists.otp));
    let otp_request = otp_request.transpose()?;
    let elixir_request = elixir
        .as_ref()
        .map(|requested| parse_elixir(requested, &lists.elixir));
    let elixir_request = elixir_request.transpose()?;
    let pair = Pairing {
        requests,
        allowed: lists.elixir.only(|version| requests.allow(version)),
        target,
        lists,
    };
    match (otp.zip(otp_request), elixir.zip(elixir_request)) {
        (Some(otp), Some(elixir)) => pair.both_requested(otp, elixir),
        (Some(otp), None) => pair.otp_requested(otp),
        (None, Some(elixir)) => pair.elixir_requested(elixir),
        (None, None) => pair.none_requested(last),
    }
}

/// The input of the choice.
struct Pairing<'a> {
    requests: &'a VersionRequests,
    /// The builds of Elixir that every `mix.exs` allows.
    allowed: ElixirListing,
    target: &'a Target,
    lists: &'a Lists,
}

impl Pairing<'_> {
    fn both_requested(
        &self,
        (otp, otp_request): (Setting, OtpRequest),
        (elixir, elixir_request): (Setting, ElixirRequest),
    ) -> Result<Pair, VersionError> {
        let (target, lists) = (self.target, self.lists);
        let erlang = choose_otp(&otp, &otp_request, target, lists)?;
        let major = lists.otp.major_of(&erlang.build);
        let Ok(build) = self.allowed.choose(&elixir_request, major) else {
            let choice = choose_elixir(&elixir, &elixir_request, &erlang, target, lists)?;
            return Err(self.requests.refuse(&elixir, &choice.build));
        };
        let elixir = elixir_choice(build, Some(elixir.value), elixir.origin);
        Ok((erlang, elixir))
    }

    fn otp_requested(&self, (otp, request): (Setting, OtpRequest)) -> Result<Pair, VersionError> {
        let (requests, lists) = (self.requests, self.lists);
        let erlang = choose_otp(&otp, &request, self.target, lists)?;
        let major = lists.otp.major_of(&erlang.build);
        let newest = lists.elixir.newest_for(major);
        let newest = newest.ok_or_else(|| VersionError::NoElixirFor {
            requested: otp,
            otp: erlang.version.clone(),
        })?;
        let build = self.allowed.newest_for(major);
        let build = build.ok_or_else(|| requests.refuse_all(newest, Some(&erlang)))?;
        let reason = requests.reason(format!("newest for OTP {major}"), build, newest);
        let elixir = elixir_choice(build, None, Origin::Default(reason));
        Ok((erlang, elixir))
    }

    fn elixir_requested(
        &self,
        (requested, request): (Setting, ElixirRequest),
    ) -> Result<Pair, VersionError> {
        let lists = self.lists;
        let Some((otp, elixir)) = elixir::newest_otp_for(&request, &lists.otp, &self.allowed)
        else {
            if let Some((_, elixir)) = elixir::newest_otp_for(&request, &lists.otp, &lists.elixir) {
                return Err(self.requests.refuse(&requested, elixir));
            }
            // Choose with the newest OTP to find out which of the two is the problem.
            let miss = lists.elixir.choose(&request, compatibility::NEWEST_OTP);
            return Err(match miss {
                Err(ElixirNoMatch::NotListed {
                    nearest,
                    newer_than_listed,
                    ..
                }) => no_such_elixir(&requested, self.target, &nearest, newer_than_listed),
                _ => VersionError::NoOtpFor {
                    requested,
                    target: os(self.target),
                },
            });
        };
        let reason = format!("newest that Elixir {} runs on", name(elixir));
        let erlang = otp_choice(otp, None, Origin::Default(reason));
        Ok((
            erlang,
            elixir_choice(elixir, Some(requested.value), requested.origin),
        ))
    }

    /// Keeps the versions of the last build: without a request, nothing is upgraded.
    fn none_requested(&self, last: &LastBuild) -> Result<Pair, VersionError> {
        let (requests, allowed, lists) = (self.requests, &self.allowed, self.lists);
        let previous = last.erlang.as_deref().zip(last.elixir.as_deref());
        let previous = previous.and_then(|(otp, elixir)| {
            let otp = OtpRequest::parse(otp).ok()?;
            let otp = lists.otp.choose(&otp).ok()?;
            let elixir = ElixirRequest::parse(elixir).ok()?;
            let elixir = allowed.choose(&elixir, lists.otp.major_of(otp)).ok()?;
            Some((otp, elixir))
        });
        if let Some((otp, elixir)) = previous {
            return Ok((
                otp_choice(otp, None, Origin::LastBuild),
                elixir_choice(elixir, None, Origin::LastBuild),
            ));
        }
        let newest = elixir::newest_pair(&lists.otp, &lists.elixir);
        let (_, newest) = newest.ok_or_else(|| VersionError::NoCompatiblePair {
            target: os(self.target),
        })?;
        let (otp, elixir) = elixir::newest_pair(&lists.otp, allowed)
            .ok_or_else(|| requests.refuse_all(newest, None))?;
        let why =
            |reason: &str| Origin::Default(requests.reason(reason.to_owned(), elixir, newest));
        let erlang_why = if elixir == newest {
            why("newest")
        } else {
            Origin::Default(format!("newest that Elixir {} runs on", name(elixir)))
        };
        Ok((
            otp_choice(otp, None, erlang_why),
            elixir_choice(elixir, None, why("newest")),
        ))
    }
}

/// Returns whether the first list of OTP builds is enough for this plan, so that the second one needs no
/// request. `is_current` is `false` for a cached list of an earlier build.
///
/// An exact version, and the version of the last build, are the same in both lists. The newest version
/// is only known from a current list. If the list lacks the version of the last build, the second list
/// was ahead of it then: both are fetched, to avoid a downgrade.
#[must_use]
pub fn otp_list_suffices(
    planned: &Result<Plan, PlanError>,
    listing: &OtpListing,
    last: &LastBuild,
    is_current: bool,
) -> bool {
    let plan = match planned {
        Ok(plan) => plan,
        Err(PlanError::Version {
            error:
                VersionError::NoSuchVersion {
                    tool: Tool::Erlang, ..
                }
                | VersionError::NoOtpFor { .. }
                | VersionError::NoCompatiblePair { .. },
            ..
        }) => return false,
        Err(_) => return true,
    };
    let requested = plan.erlang.requested.as_deref();
    let is_exact = requested.is_some_and(|requested| {
        OtpRequest::parse(requested)
            .is_ok_and(|requested| matches!(requested, OtpRequest::Exact(_)))
    });
    if is_exact || plan.erlang.source == Origin::LastBuild {
        return true;
    }
    let has = |version: &String| {
        OtpRequest::parse(version).is_ok_and(|request| listing.choose(&request).is_ok())
    };
    is_current && last.erlang.as_ref().is_none_or(has)
}

fn parse_otp(requested: &Setting, list: &OtpListing) -> Result<OtpRequest, VersionError> {
    OtpRequest::parse(&requested.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        malformed(
            requested,
            &error,
            newest_of_lines(released, OtpVersion::major),
        )
    })
}

fn parse_elixir(requested: &Setting, list: &ElixirListing) -> Result<ElixirRequest, VersionError> {
    ElixirRequest::parse(&requested.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        let line = |version: &ElixirVersion| (version.major(), version.minor());
        malformed(requested, &error, newest_of_lines(released, line))
    })
}

fn choose_otp(
    requested: &Setting,
    request: &OtpRequest,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<OtpBuild>, VersionError> {
    let build = lists
        .otp
        .choose(request)
        .map_err(|miss| VersionError::NoSuchVersion {
            tool: Tool::Erlang,
            requested: requested.clone(),
            target: os(target),
            nearest: miss.nearest.iter().map(OtpVersion::to_string).collect(),
            newest_of_line: miss.newest_of_line.as_ref().map(OtpVersion::to_string),
            newer_than_listed: miss.newer_than_listed,
        })?;
    Ok(otp_choice(
        build,
        Some(requested.value.clone()),
        requested.origin.clone(),
    ))
}

fn choose_elixir(
    requested: &Setting,
    request: &ElixirRequest,
    erlang: &Choice<OtpBuild>,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<ElixirBuild>, VersionError> {
    let major = lists.otp.major_of(&erlang.build);
    match lists.elixir.choose(request, major) {
        Ok(build) => Ok(elixir_choice(
            build,
            Some(requested.value.clone()),
            requested.origin.clone(),
        )),
        Err(ElixirNoMatch::NotListed {
            nearest,
            newer_than_listed,
            ..
        }) => Err(no_such_elixir(
            requested,
            target,
            &nearest,
            newer_than_listed,
        )),
        Err(ElixirNoMatch::NoBuildForOtp { version, .. }) => Err(VersionError::IncompatiblePair {
            elixir: version.map_or_else(|| requested.value.clone(), |version| version.to_string()),
            elixir_source: requested.origin.clone(),
            otp: erlang.version.clone(),
            otp_source: erlang.source.clone(),
        }),
    }
}

fn no_such_elixir(
    requested: &Setting,
    target: &Target,
    nearest: &[ElixirVersion],
    newer_than_listed: bool,
) -> VersionError {
    VersionError::NoSuchVersion {
        tool: Tool::Elixir,
        requested: requested.clone(),
        target: os(target),
        nearest: nearest.iter().map(ElixirVersion::to_string).collect(),
        newest_of_line: None,
        newer_than_listed,
    }
}

fn otp_choice(build: &OtpBuild, requested: Option<String>, source: Origin) -> Choice<OtpBuild> {
    Choice {
        version: otp_name(build),
        requested,
        source,
        build: build.clone(),
    }
}

fn elixir_choice(
    build: &ElixirBuild,
    requested: Option<String>,
    source: Origin,
) -> Choice<ElixirBuild> {
    Choice {
        version: name(build),
        requested,
        source,
        build: build.clone(),
    }
}

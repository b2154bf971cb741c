//! Which Erlang and which Elixir: they are chosen together, since not every pair goes together.

use super::choice::{malformed, name, newest_of_lines, os, otp_name};
use super::requested::Requested;
use super::suggestion::suggest;
use super::{Choice, LastBuild, Lists, Plan, PlanError, VersionError};
use crate::facts::Facts;
use crate::origin::{Asked, Origin};
use versions::Tool;
use versions::compatibility;
use versions::elixir::{
    self, ElixirBuild, ElixirListing, ElixirNoMatch, ElixirRequest, ElixirVersion,
};
use versions::otp::{OtpBuild, OtpListing, OtpRequest, OtpVersion};
use versions::target::Target;

type Pair = (Choice<OtpBuild>, Choice<ElixirBuild>);

pub(super) fn pair_or_suggestion(
    requested: &Requested,
    facts: &Facts,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, PlanError> {
    choose_pair(requested, target, lists, last).map_err(|error| PlanError::Version {
        error,
        suggestion: suggest(requested, facts, lists, last).map(Box::new),
    })
}

fn choose_pair(
    requested: &Requested,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, VersionError> {
    let otp = requested.erlang.clone();
    let elixir = requested.elixir.clone();
    let otp_request = otp.as_ref().map(|asked| parse_otp(asked, &lists.otp));
    let otp_request = otp_request.transpose()?;
    let elixir_request = elixir
        .as_ref()
        .map(|asked| parse_elixir(asked, &lists.elixir));
    let elixir_request = elixir_request.transpose()?;
    let pair = Pairing {
        requested,
        allowed: lists.elixir.only(|version| requested.allow(version)),
        target,
        lists,
    };
    match (otp.zip(otp_request), elixir.zip(elixir_request)) {
        (Some(otp), Some(elixir)) => pair.both_asked(otp, elixir),
        (Some(otp), None) => pair.otp_asked(otp),
        (None, Some(elixir)) => pair.elixir_asked(elixir),
        (None, None) => pair.unasked(last),
    }
}

/// What a pair is chosen from.
struct Pairing<'a> {
    requested: &'a Requested,
    /// The builds of Elixir that every `mix.exs` allows.
    allowed: ElixirListing,
    target: &'a Target,
    lists: &'a Lists,
}

impl Pairing<'_> {
    fn both_asked(
        &self,
        (otp, otp_request): (Asked, OtpRequest),
        (elixir, elixir_request): (Asked, ElixirRequest),
    ) -> Result<Pair, VersionError> {
        let (target, lists) = (self.target, self.lists);
        let erlang = choose_otp(&otp, &otp_request, target, lists)?;
        let major = lists.otp.major_of(&erlang.build);
        let Ok(build) = self.allowed.choose(&elixir_request, major) else {
            let choice = choose_elixir(&elixir, &elixir_request, &erlang, target, lists)?;
            return Err(self.requested.refuse(&elixir, &choice.build));
        };
        let elixir = elixir_choice(build, Some(elixir.value), elixir.origin);
        Ok((erlang, elixir))
    }

    fn otp_asked(&self, (otp, request): (Asked, OtpRequest)) -> Result<Pair, VersionError> {
        let (requested, lists) = (self.requested, self.lists);
        let erlang = choose_otp(&otp, &request, self.target, lists)?;
        let major = lists.otp.major_of(&erlang.build);
        let newest = lists.elixir.newest_for(major);
        let newest = newest.ok_or_else(|| VersionError::NoElixirFor {
            asked: otp,
            otp: erlang.version.clone(),
        })?;
        let build = self.allowed.newest_for(major);
        let build = build.ok_or_else(|| requested.refuse_all(newest, Some(&erlang)))?;
        let reason = requested.reason(format!("newest for OTP {major}"), build, newest);
        let elixir = elixir_choice(build, None, Origin::Default(reason));
        Ok((erlang, elixir))
    }

    fn elixir_asked(&self, (asked, request): (Asked, ElixirRequest)) -> Result<Pair, VersionError> {
        let lists = self.lists;
        let Some((otp, elixir)) = elixir::newest_otp_for(&request, &lists.otp, &self.allowed)
        else {
            if let Some((_, elixir)) = elixir::newest_otp_for(&request, &lists.otp, &lists.elixir) {
                return Err(self.requested.refuse(&asked, elixir));
            }
            // Any OTP will do to learn which of the two is the matter.
            let miss = lists.elixir.choose(&request, compatibility::NEWEST_OTP);
            return Err(match miss {
                Err(ElixirNoMatch::NotListed {
                    nearest,
                    newer_than_listed,
                    ..
                }) => no_such_elixir(&asked, self.target, &nearest, newer_than_listed),
                _ => VersionError::NoOtpFor {
                    asked,
                    target: os(self.target),
                },
            });
        };
        let reason = format!("newest that Elixir {} runs on", name(elixir));
        let erlang = otp_choice(otp, None, Origin::Default(reason));
        Ok((
            erlang,
            elixir_choice(elixir, Some(asked.value), asked.origin),
        ))
    }

    /// Nobody is upgraded behind their back: without a request, the last build's versions stay.
    fn unasked(&self, last: &LastBuild) -> Result<Pair, VersionError> {
        let (requested, allowed, lists) = (self.requested, &self.allowed, self.lists);
        let kept = last.erlang.as_deref().zip(last.elixir.as_deref());
        let kept = kept.and_then(|(otp, elixir)| {
            let otp = OtpRequest::parse(otp).ok()?;
            let otp = lists.otp.choose(&otp).ok()?;
            let elixir = ElixirRequest::parse(elixir).ok()?;
            let elixir = allowed.choose(&elixir, lists.otp.major_of(otp)).ok()?;
            Some((otp, elixir))
        });
        if let Some((otp, elixir)) = kept {
            return Ok((
                otp_choice(otp, None, Origin::LastBuild),
                elixir_choice(elixir, None, Origin::LastBuild),
            ));
        }
        let newest = elixir::newest_pair(&lists.otp, &lists.elixir);
        let (_, newest) = newest.ok_or_else(|| VersionError::NothingGoesTogether {
            target: os(self.target),
        })?;
        let (otp, elixir) = elixir::newest_pair(&lists.otp, allowed)
            .ok_or_else(|| requested.refuse_all(newest, None))?;
        let why =
            |reason: &str| Origin::Default(requested.reason(reason.to_owned(), elixir, newest));
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

/// Whether one list of OTP builds has said all that a plan needs; where not, the other place that
/// publishes them may have it. `is_current`: the list is not one from an earlier build.
///
/// What is named in full, or was used by the last build, is no other in another list. What is the
/// newest that a list has is settled by a current one. That this one lacks what the last build
/// used tells that the other one was ahead of it: then both are asked, so that nobody goes back.
#[must_use]
pub fn otp_is_settled(
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
                | VersionError::NothingGoesTogether { .. },
            ..
        }) => return false,
        Err(_) => return true,
    };
    let asked = plan.erlang.asked.as_deref();
    let is_exact = asked.is_some_and(|asked| {
        OtpRequest::parse(asked).is_ok_and(|asked| matches!(asked, OtpRequest::Exact(_)))
    });
    if is_exact || plan.erlang.source == Origin::LastBuild {
        return true;
    }
    let has = |version: &String| {
        OtpRequest::parse(version).is_ok_and(|request| listing.choose(&request).is_ok())
    };
    is_current && last.erlang.as_ref().is_none_or(has)
}

fn parse_otp(asked: &Asked, list: &OtpListing) -> Result<OtpRequest, VersionError> {
    OtpRequest::parse(&asked.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        malformed(asked, &error, newest_of_lines(released, OtpVersion::major))
    })
}

fn parse_elixir(asked: &Asked, list: &ElixirListing) -> Result<ElixirRequest, VersionError> {
    ElixirRequest::parse(&asked.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        let line = |version: &ElixirVersion| (version.major(), version.minor());
        malformed(asked, &error, newest_of_lines(released, line))
    })
}

fn choose_otp(
    asked: &Asked,
    request: &OtpRequest,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<OtpBuild>, VersionError> {
    let build = lists
        .otp
        .choose(request)
        .map_err(|miss| VersionError::NoSuchVersion {
            tool: Tool::Erlang,
            asked: asked.clone(),
            target: os(target),
            nearest: miss.nearest.iter().map(OtpVersion::to_string).collect(),
            newest_of_line: miss.newest_of_line.as_ref().map(OtpVersion::to_string),
            newer_than_listed: miss.newer_than_listed,
        })?;
    Ok(otp_choice(
        build,
        Some(asked.value.clone()),
        asked.origin.clone(),
    ))
}

fn choose_elixir(
    asked: &Asked,
    request: &ElixirRequest,
    erlang: &Choice<OtpBuild>,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<ElixirBuild>, VersionError> {
    let major = lists.otp.major_of(&erlang.build);
    match lists.elixir.choose(request, major) {
        Ok(build) => Ok(elixir_choice(
            build,
            Some(asked.value.clone()),
            asked.origin.clone(),
        )),
        Err(ElixirNoMatch::NotListed {
            nearest,
            newer_than_listed,
            ..
        }) => Err(no_such_elixir(asked, target, &nearest, newer_than_listed)),
        Err(ElixirNoMatch::NoBuildForOtp { version, .. }) => Err(VersionError::NotForThisOtp {
            elixir: version.map_or_else(|| asked.value.clone(), |version| version.to_string()),
            elixir_source: asked.origin.clone(),
            otp: erlang.version.clone(),
            otp_source: erlang.source.clone(),
        }),
    }
}

fn no_such_elixir(
    asked: &Asked,
    target: &Target,
    nearest: &[ElixirVersion],
    newer_than_listed: bool,
) -> VersionError {
    VersionError::NoSuchVersion {
        tool: Tool::Elixir,
        asked: asked.clone(),
        target: os(target),
        nearest: nearest.iter().map(ElixirVersion::to_string).collect(),
        newest_of_line: None,
        newer_than_listed,
    }
}

fn otp_choice(build: &OtpBuild, asked: Option<String>, source: Origin) -> Choice<OtpBuild> {
    Choice {
        version: otp_name(build),
        asked,
        source,
        build: build.clone(),
    }
}

fn elixir_choice(
    build: &ElixirBuild,
    asked: Option<String>,
    source: Origin,
) -> Choice<ElixirBuild> {
    Choice {
        version: name(build),
        asked,
        source,
        build: build.clone(),
    }
}

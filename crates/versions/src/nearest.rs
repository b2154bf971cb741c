//! The pair of Elixir and OTP to suggest in place of an unavailable one.

use crate::elixir::{Basis, ElixirBuild, ElixirListing, ElixirRequest};
use crate::otp::{OtpBuild, OtpListing, OtpRequest};
use std::cmp::Reverse;

/// Returns the listed pair that is nearest to the requests. In this order: the same minor version of Elixir on the
/// same OTP; on another OTP, a newer one before an older one; a newer Elixir on the same OTP; and the nearest Elixir,
/// again a newer one first. If a tool isn't requested, its newest version is the nearest.
///
/// `elixir` contains the builds that may be suggested. `None` if the lists contain no compatible pair.
#[must_use]
pub fn nearest_pair<'o, 'e>(
    otp_request: Option<&OtpRequest>,
    elixir_request: Option<&ElixirRequest>,
    otp: &'o OtpListing,
    elixir: &'e ElixirListing,
) -> Option<(&'o OtpBuild, &'e ElixirBuild)> {
    let requested_build = otp_request.and_then(|request| otp.nearest_of_line(request));
    let requested_major = match requested_build {
        Some(build) => Some(otp.major_of(build)),
        None => otp_request.and_then(OtpRequest::major),
    };
    let majors = otp.newest_of_majors().into_iter().map(|(major, newest)| {
        let requested = requested_build.filter(|_| requested_major == Some(major));
        (major, requested.unwrap_or(newest))
    });
    let only_requested = requested_major.zip(requested_build);
    let pairs = majors.chain(only_requested).flat_map(|(major, otp_build)| {
        candidates(elixir_request, elixir, major)
            .into_iter()
            .map(move |(basis, build)| (major, otp_build, basis, build))
    });
    let nearest = pairs.min_by_key(|(major, _, basis, build)| {
        let version = build.version.as_ref();
        let matches = |request: &ElixirRequest| version.is_none_or(|v| request.matches(v));
        let distance = elixir_distance(elixir_request, build);
        let is_same_otp = requested_major == Some(*major);
        let changes = match distance {
            NO_DISTANCE => 0,
            (_, is_older, ..) if is_same_otp && !is_older => 1,
            _ => 2,
        };
        (
            changes,
            distance,
            *basis != Basis::Supported,
            otp_distance(requested_major, *major),
            !elixir_request.is_none_or(matches),
            Reverse(version),
        )
    });
    nearest.map(|(_, otp_build, _, build)| (otp_build, build))
}

/// The builds that can be used on OTP `otp_major`: the requested one, and one of each release.
fn candidates<'e>(
    request: Option<&ElixirRequest>,
    elixir: &'e ElixirListing,
    otp_major: u32,
) -> Vec<(Basis, &'e ElixirBuild)> {
    let requested = request.and_then(|request| elixir.choose(request, otp_major).ok());
    let requested = requested.map(|build| (elixir.basis(build, otp_major), build));
    let releases = elixir.versions(|version| !version.is_candidate());
    let releases = releases.into_iter().filter_map(|version| {
        let usable = |basis| Some((basis, elixir.usable(version, None, otp_major, basis)?));
        usable(Basis::Supported).or_else(|| usable(Basis::Published))
    });
    requested.into_iter().chain(releases).collect()
}

const NO_DISTANCE: (bool, bool, u64, u64) = (false, false, 0, 0);

/// Returns whether it isn't the requested branch, whether it is older than requested, and the differences in major
/// and minor versions.
fn elixir_distance(request: Option<&ElixirRequest>, build: &ElixirBuild) -> (bool, bool, u64, u64) {
    let (Some(request), Some(version)) = (request, &build.version) else {
        return NO_DISTANCE;
    };
    if request.matches(version) {
        return NO_DISTANCE;
    }
    let Some(requested) = request.line() else {
        return (true, false, 0, 0);
    };
    let found = (version.major(), version.minor());
    (
        false,
        found < requested,
        found.0.abs_diff(requested.0),
        found.1.abs_diff(requested.1),
    )
}

/// Returns whether it is older than requested, and the difference in major versions.
fn otp_distance(requested: Option<u32>, found: u32) -> (bool, u32) {
    let requested = requested.unwrap_or(u32::MAX);
    let is_older = found < requested && requested != u32::MAX;
    (is_older, found.abs_diff(requested))
}

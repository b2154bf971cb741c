//! What `elixir:` of each `mix.exs` allows, and how a version that it does not allow is refused.

use super::choice::name;
use super::requested::Requested;
use super::{Choice, VersionError};
use crate::origin::{Asked, Origin};
use versions::elixir::{ElixirBuild, ElixirVersion};
use versions::otp::OtpBuild;

impl Requested {
    pub(super) fn allow(&self, version: &ElixirVersion) -> bool {
        self.broken_by(version).is_none()
    }

    /// The first requirement that a version does not satisfy.
    fn broken_by(&self, version: &ElixirVersion) -> Option<&Asked> {
        self.elixir_requirements
            .iter()
            .find(|(_, requirement)| !requirement.matches(version))
            .map(|(asked, _)| asked)
    }

    /// The requirement to name when `build` is refused. A build that some requirement allows is
    /// refused by the others, so that there always is one.
    fn refusing(&self, build: &ElixirBuild) -> Asked {
        let broken = build.version.as_ref().and_then(|v| self.broken_by(v));
        let first = || self.elixir_requirements.first().map(|(asked, _)| asked);
        broken
            .or_else(first)
            .cloned()
            .unwrap_or_else(|| Asked::new(String::new(), Origin::file("mix.exs", 0)))
    }

    pub(super) fn refuse(&self, asked: &Asked, build: &ElixirBuild) -> VersionError {
        VersionError::NotWhatMixExsAllows {
            elixir: name(build),
            elixir_source: asked.origin.clone(),
            requirement: self.refusing(build),
        }
    }

    pub(super) fn refuse_all(
        &self,
        newest: &ElixirBuild,
        otp: Option<&Choice<OtpBuild>>,
    ) -> VersionError {
        VersionError::NoElixirThatMixExsAllows {
            newest: name(newest),
            otp: otp.map(|otp| (otp.version.clone(), otp.source.clone())),
            requirement: self.refusing(newest),
        }
    }

    /// Why a build was chosen, with the requirement where that made the difference.
    pub(super) fn reason(
        &self,
        reason: String,
        chosen: &ElixirBuild,
        newest: &ElixirBuild,
    ) -> String {
        if chosen == newest {
            return reason;
        }
        format!("{reason} that {} allows", self.refusing(newest).origin)
    }
}

//! The requirements on Elixir in `mix.exs`, and the errors for a version that violates one.

use super::choice::name;
use super::version_requests::VersionRequests;
use super::{Choice, VersionError};
use crate::origin::{Origin, Setting};
use versions::elixir::{ElixirBuild, ElixirVersion};
use versions::otp::OtpBuild;

impl VersionRequests {
    pub(super) fn allow(&self, version: &ElixirVersion) -> bool {
        self.first_violated(version).is_none()
    }

    /// Returns the first requirement that the version violates.
    fn first_violated(&self, version: &ElixirVersion) -> Option<&Setting> {
        self.elixir_requirements
            .iter()
            .find(|(_, requirement)| !requirement.matches(version))
            .map(|(requested, _)| requested)
    }

    /// Returns the requirement to name in the error about `build`.
    fn refusing_requirement(&self, build: &ElixirBuild) -> Setting {
        let broken = build.version.as_ref().and_then(|v| self.first_violated(v));
        let first = || {
            self.elixir_requirements
                .first()
                .map(|(requested, _)| requested)
        };
        broken
            .or_else(first)
            .cloned()
            .unwrap_or_else(|| Setting::new(String::new(), Origin::file("mix.exs", 0)))
    }

    pub(super) fn refuse(&self, requested: &Setting, build: &ElixirBuild) -> VersionError {
        VersionError::DisallowedByMixExs {
            elixir: name(build),
            elixir_source: requested.origin.clone(),
            requirement: self.refusing_requirement(build),
        }
    }

    pub(super) fn refuse_all(
        &self,
        newest: &ElixirBuild,
        otp: Option<&Choice<OtpBuild>>,
    ) -> VersionError {
        VersionError::NoElixirAllowedByMixExs {
            newest: name(newest),
            otp: otp.map(|otp| (otp.version.clone(), otp.source.clone())),
            requirement: self.refusing_requirement(newest),
        }
    }

    /// Returns why a build was chosen, with the requirement if it affected the choice.
    pub(super) fn reason(
        &self,
        reason: String,
        chosen: &ElixirBuild,
        newest: &ElixirBuild,
    ) -> String {
        if chosen == newest {
            return reason;
        }
        format!(
            "{reason} that {} allows",
            self.refusing_requirement(newest).origin
        )
    }
}

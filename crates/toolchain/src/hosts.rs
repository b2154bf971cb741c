//! The artifact hosts, and the variables of the ecosystem that point elsewhere.

use exec::credentials::OTP_BUILDS_URL;
use fetch::{Url, UserInfo};
use versions::ElixirVersion;
use versions::installers;

const OTP_BUILDS: &str = "https://github.com/erlef/otp_builds";

/// Base URLs without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Precompiled OTP and Elixir: `HEX_BUILDS_URL`, else builds.hex.pm.
    pub builds: String,
    /// OTP where the first host has none: `MIXPACK_OTP_BUILDS_URL`, else `erlef/otp_builds`. None
    /// where `HEX_BUILDS_URL` alone is set: its host stands for upstream, and there may be no way
    /// to any other.
    pub otp_builds: Option<String>,
    /// Node: `NODEJS_ORG_MIRROR`, else nodejs.org/dist.
    pub node: String,
    /// The registry of Hex packages, as Hex itself finds it (`Hex.Repo` and `Hex.State` of Hex 2.5):
    /// `HEX_TRUSTED_MIRROR_URL`, `HEX_TRUSTED_MIRROR`, `HEX_MIRROR_URL` or `HEX_MIRROR`, else
    /// repo.hex.pm.
    pub registry: String,
    hex_builds_url: Option<String>,
    hex_mirror: Option<String>,
}

impl Hosts {
    /// `variable` answers with the value of an environment variable or config var.
    #[must_use]
    pub fn new(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let url = |name: &str| {
            let value = variable(name)?.trim().trim_end_matches('/').to_owned();
            (!value.is_empty()).then_some(value)
        };
        let hex_builds_url = url("HEX_BUILDS_URL");
        let public = || hex_builds_url.is_none().then(|| OTP_BUILDS.to_owned());
        Self {
            otp_builds: url(OTP_BUILDS_URL).or_else(public),
            builds: hex_builds_url
                .clone()
                .unwrap_or_else(|| "https://builds.hex.pm".to_owned()),
            node: url("NODEJS_ORG_MIRROR").unwrap_or_else(|| "https://nodejs.org/dist".to_owned()),
            registry: [
                "HEX_TRUSTED_MIRROR_URL",
                "HEX_TRUSTED_MIRROR",
                "HEX_MIRROR_URL",
                "HEX_MIRROR",
            ]
            .into_iter()
            .find_map(url)
            .unwrap_or_else(|| "https://repo.hex.pm".to_owned()),
            hex_mirror: url("HEX_MIRROR"),
            hex_builds_url,
        }
    }

    /// The user info (`user:password`, or a token) in any of the URLs, and its password alone: what
    /// a log must never show.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        [
            Some(&self.builds),
            self.otp_builds.as_ref(),
            Some(&self.node),
            Some(&self.registry),
            self.hex_mirror.as_ref(),
        ]
        .into_iter()
        .flatten()
        .filter_map(|url| Url::parse(url)?.user_info())
        .flat_map(UserInfo::secrets)
        .map(str::to_owned)
        .collect()
    }

    /// Whether a list of installers is signed: upstream's are, and mix up to 1.18 insists on that. A
    /// host that `HEX_BUILDS_URL` or `HEX_MIRROR` names is trusted by whoever names it.
    #[must_use]
    pub fn signature(&self, elixir: &ElixirVersion) -> Signature {
        if elixir.is_at_least_minor(19) {
            Signature::NotRequired
        } else if self.hex_builds_url.is_some() || self.hex_mirror.is_some() {
            Signature::IfPresent
        } else {
            Signature::Needed
        }
    }

    /// Where Hex and rebar3 are published for this Elixir.
    #[must_use]
    pub fn installers(&self, elixir: &ElixirVersion) -> String {
        installers::base_url(
            elixir,
            self.hex_builds_url.as_deref(),
            self.hex_mirror.as_deref(),
        )
    }
}

/// Whether a list must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// By upstream.
    Needed,
    /// On a host that the app sets, the signature is optional, but must be valid.
    IfPresent,
    /// This Elixir's mix requires none.
    NotRequired,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_default_to_upstream() {
        let hosts = Hosts::new(&|_| None);
        assert_eq!(hosts.builds, "https://builds.hex.pm");
        assert_eq!(hosts.otp_builds.as_deref(), Some(OTP_BUILDS));
        assert_eq!(hosts.node, "https://nodejs.org/dist");
        assert_eq!(hosts.registry, "https://repo.hex.pm");
    }

    #[test]
    fn mirror_credentials_are_secrets() {
        for name in [
            "NODEJS_ORG_MIRROR",
            "MIXPACK_OTP_BUILDS_URL",
            "HEX_TRUSTED_MIRROR",
        ] {
            let hosts = Hosts::new(&|variable| {
                (variable == name).then(|| "https://me:s3cr3t@mirror/dist?a=b@c".to_owned())
            });
            assert_eq!(hosts.secrets(), ["me:s3cr3t", "s3cr3t"], "{name}");
        }
    }

    #[test]
    fn builds_mirror_disables_erlef_builds_unless_configured() {
        let mirror = |name: &str| (name == "HEX_BUILDS_URL").then(|| "http://mirror".to_owned());
        assert_eq!(Hosts::new(&mirror).otp_builds, None);
        let both = |name: &str| match name {
            "HEX_BUILDS_URL" => Some("http://mirror".to_owned()),
            "MIXPACK_OTP_BUILDS_URL" => Some("http://mirror/otp_builds/".to_owned()),
            _ => None,
        };
        let other = Hosts::new(&both).otp_builds;
        assert_eq!(other.as_deref(), Some("http://mirror/otp_builds"));
    }

    #[test]
    fn mirror_url_drops_trailing_slash_and_empty_one_is_ignored() {
        let hosts = Hosts::new(&|name| match name {
            "HEX_BUILDS_URL" => Some("http://127.0.0.1:8000/ ".to_owned()),
            _ => Some(String::new()),
        });
        assert_eq!(hosts.builds, "http://127.0.0.1:8000");
        assert_eq!(hosts.node, "https://nodejs.org/dist");
        let elixir = ElixirVersion::parse("1.18.3").unwrap();
        assert_eq!(hosts.installers(&elixir), "http://127.0.0.1:8000");
    }
}

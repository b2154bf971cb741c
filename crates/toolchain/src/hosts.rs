//! The artifact hosts, and the variables of the ecosystem that point elsewhere.

use exec::credentials::OTP_BUILDS_URL;
use fetch::{Url, UserInfo};
use versions::ElixirVersion;
use versions::installers;

const BUILDS: &str = "https://builds.hex.pm";
const OTP_BUILDS: &str = "https://github.com/erlef/otp_builds";
const NODE: &str = "https://nodejs.org/dist";
const REGISTRY: &str = "https://repo.hex.pm";

/// Base URLs without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Precompiled OTP and Elixir: `HEX_BUILDS_URL`, else builds.hex.pm.
    pub builds: String,
    /// OTP builds that the first host lacks: `MIXPACK_OTP_BUILDS_URL`, else `erlef/otp_builds`. `None` if only
    /// `HEX_BUILDS_URL` is set: its host replaces upstream, and others may be unreachable.
    pub otp_builds: Option<String>,
    /// Node: `NODEJS_ORG_MIRROR`, else nodejs.org/dist.
    pub node: String,
    /// The registry of Hex packages, from the same variables as in Hex itself (`Hex.Repo` and `Hex.State` of Hex
    /// 2.5): `HEX_TRUSTED_MIRROR_URL`, `HEX_TRUSTED_MIRROR`, `HEX_MIRROR_URL` or `HEX_MIRROR`, else repo.hex.pm.
    pub registry: String,
    hex_builds_url: Option<String>,
    hex_mirror: Option<String>,
}

impl Hosts {
    /// `variable` returns the value of an environment variable or config var.
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
            builds: hex_builds_url.clone().unwrap_or_else(|| BUILDS.to_owned()),
            node: url("NODEJS_ORG_MIRROR").unwrap_or_else(|| NODE.to_owned()),
            registry: [
                "HEX_TRUSTED_MIRROR_URL",
                "HEX_TRUSTED_MIRROR",
                "HEX_MIRROR_URL",
                "HEX_MIRROR",
            ]
            .into_iter()
            .find_map(url)
            .unwrap_or_else(|| REGISTRY.to_owned()),
            hex_mirror: url("HEX_MIRROR"),
            hex_builds_url,
        }
    }

    /// Returns the user info (`user:password`, or a token) in any of the URLs, and the passwords alone. The log must
    /// mask them.
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

    /// Returns the upstream URL of a file, and the variable of the mirror that it came from, if any. Files that ship
    /// must not contain hosts from config vars.
    #[must_use]
    pub fn upstream_url(&self, url: &str) -> (String, Option<&'static str>) {
        let mirrors = [
            (Some(&self.builds), "HEX_BUILDS_URL", BUILDS),
            (self.otp_builds.as_ref(), OTP_BUILDS_URL, OTP_BUILDS),
            (Some(&self.node), "NODEJS_ORG_MIRROR", NODE),
            (self.hex_mirror.as_ref(), "HEX_MIRROR", REGISTRY),
        ];
        let matching = mirrors
            .into_iter()
            .filter_map(|(root, variable, upstream)| {
                let path = url.strip_prefix(root?.as_str())?;
                let is_mirror = root? != upstream;
                Some((path, upstream, is_mirror.then_some(variable)))
            });
        // A URL may be a prefix of another.
        let nearest = matching.min_by_key(|(path, ..)| path.len());
        nearest.map_or_else(
            || (fetch::redact(url), None),
            |(path, upstream, mirror)| (format!("{upstream}{path}"), mirror),
        )
    }

    /// Returns whether a list of installers must be signed. Upstream's are, and mix up to 1.18 requires it. By
    /// setting `HEX_BUILDS_URL` or `HEX_MIRROR`, the user trusts that host.
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

    /// Returns the base URL of Hex and rebar3 for this Elixir.
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
    /// It must be signed by upstream.
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
    fn upstream_url_names_no_mirror() {
        let url = |hosts: &Hosts, url: &str| {
            let (url, mirror) = hosts.upstream_url(url);
            format!("{url} {}", mirror.unwrap_or_default())
        };
        let upstream = Hosts::new(&|_| None);
        let node = "https://nodejs.org/dist/v24.0.0/node.tar.gz";
        assert_eq!(url(&upstream, node), format!("{node} "));
        let mirrors = Hosts::new(&|name| match name {
            "HEX_BUILDS_URL" => Some("http://me:s3cr3t@mirror".to_owned()),
            OTP_BUILDS_URL => Some("http://me:s3cr3t@mirror/otp".to_owned()),
            _ => None,
        });
        for (from, expected) in [
            ("/builds/a", "https://builds.hex.pm/builds/a HEX_BUILDS_URL"),
            (
                "/otp/a",
                "https://github.com/erlef/otp_builds/a MIXPACK_OTP_BUILDS_URL",
            ),
        ] {
            assert_eq!(
                url(&mirrors, &format!("http://me:s3cr3t@mirror{from}")),
                expected
            );
        }
        assert!(!url(&mirrors, "http://me:s3cr3t@other/a").contains("s3cr3t"));
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

//! The artifact hosts, and the variables of the ecosystem that point elsewhere.

use versions::ElixirVersion;
use versions::installers;

/// Base URLs without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Precompiled OTP and Elixir: `HEX_BUILDS_URL`, else builds.hex.pm.
    pub builds: String,
    /// Node: `NODEJS_ORG_MIRROR`, else nodejs.org/dist.
    pub node: String,
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
        Self {
            builds: hex_builds_url
                .clone()
                .unwrap_or_else(|| "https://builds.hex.pm".to_owned()),
            node: url("NODEJS_ORG_MIRROR").unwrap_or_else(|| "https://nodejs.org/dist".to_owned()),
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
            Some(&self.node),
            self.hex_mirror.as_ref(),
        ]
        .into_iter()
        .flatten()
        .filter_map(|url| {
            let (_, rest) = url.split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            let (user_info, _) = authority.rsplit_once('@')?;
            Some(user_info.to_owned())
        })
        .flat_map(|user_info| {
            let password = user_info.split_once(':').map(|(_, p)| p.to_owned());
            [Some(user_info), password]
        })
        .flatten()
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_unless_told_otherwise() {
        let hosts = Hosts::new(&|_| None);
        assert_eq!(hosts.builds, "https://builds.hex.pm");
        assert_eq!(hosts.node, "https://nodejs.org/dist");
    }

    #[test]
    fn the_credentials_of_a_mirror_are_known_as_secrets() {
        let hosts = Hosts::new(&|name| {
            (name == "NODEJS_ORG_MIRROR").then(|| "https://me:s3cr3t@mirror/dist?a=b@c".to_owned())
        });
        assert_eq!(hosts.secrets(), ["me:s3cr3t", "s3cr3t"]);
    }

    #[test]
    fn a_mirror_is_taken_without_its_last_slash_and_an_empty_one_is_none() {
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

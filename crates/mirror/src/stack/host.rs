//! What of the host is visible inside: its certificate authorities, and how it reaches the network.

use std::ffi::OsString;
use std::fs;

/// Variables that are handed through when the host sets them, because the npm registry cannot be
/// reached without them on a host behind a proxy or with a registry of its own.
pub const NETWORK_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
];

/// Where the image keeps the authorities that curl, git, OpenSSL and Erlang trust.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The certificate authorities that this host trusts.
#[derive(Debug)]
pub struct Authorities {
    pub pem: Vec<u8>,
    /// The host names some by a variable: Node, which has a list of its own, must be told too.
    pub private: bool,
}

impl Authorities {
    /// The bundle that `SSL_CERT_FILE` names or the system's, and that of `NODE_EXTRA_CA_CERTS`;
    /// none where neither can be read.
    #[must_use]
    pub fn of_host() -> Option<Self> {
        let openssl = set("SSL_CERT_FILE");
        let node = set("NODE_EXTRA_CA_CERTS");
        let private = openssl.is_some() || node.is_some();

        let system = openssl.unwrap_or_else(|| CA_BUNDLE.into());
        let mut pem = Vec::new();
        for source in [Some(&system), node.as_ref().filter(|&node| *node != system)] {
            if let Some(text) = source.and_then(|source| fs::read(source).ok()) {
                pem.extend(text);
                pem.push(b'\n');
            }
        }
        (!pem.is_empty()).then_some(Self { pem, private })
    }
}

/// A variable of this process that is not empty.
pub(super) fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

//! The parts of the host that are visible inside: its certificate authorities, and its network variables.

use std::ffi::OsString;
use std::fs;

/// Variables that are passed on if the host sets them. Without them, a host behind a proxy or with its own registry
/// can't reach the npm registry.
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

/// The path in the image of the authorities that curl, git, OpenSSL and Erlang trust.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The certificate authorities that this host trusts.
#[derive(Debug)]
pub struct Authorities {
    pub pem: Vec<u8>,
    /// Whether a variable of the host sets them. If so, Node needs a variable too, since it has its own list.
    pub private: bool,
}

impl Authorities {
    /// Reads the bundle of `SSL_CERT_FILE` or of the system, and that of `NODE_EXTRA_CA_CERTS`. `None` if neither is
    /// readable.
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

/// Returns a variable of this process, unless it is empty.
pub(super) fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

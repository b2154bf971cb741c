//! Hex's registry of packages: <https://repo.hex.pm>, or a mirror of it.
//!
//! The files, their compression and their signatures are those of `registry-v2.md` in
//! github.com/hexpm/specifications (read in November 2026).

use crate::signature::{is_signed, rsa_key};
use fetch::{Client, FetchError};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use thiserror::Error;
use versions::hex_registry::{Findings, Index, Malformed, Signed};

/// hexpm's key: `Hex.Repo` in lib/hex/repo.ex of Hex 2.5.1, where it hasn't changed since 2016.
const HEXPM_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApqREcFDt5vV21JVe2QNB
Edvzk6w36aNFhVGWN5toNJRjRJ6m4hIuG4KaXtDWVLjnvct6MYMfqhC79HAGwyF+
IqR6Q6a5bbFSsImgBJwz1oadoVKD6ZNetAuCIK84cjMrEFRkELtEIPNHblCzUkkM
3rS9+DPlnfG8hBvGi6tvQIuZmXGCxF/73hU0/MyGhbmEjIKRtG6b0sJYKelRLTPW
XgK7s5pESgiwf2YC/2MGDXjAJfpfCd0RpLdvd4eRiXtVlE9qO9bND94E7PgQ/xqZ
J1i2xWFndWa6nfFnRxZmCStCOZWYYPlaxr+FZceFbpMwzTNs4g3d4tLNUcbKAIH4
0wIDAQAB
-----END PUBLIC KEY-----
";

/// The name of hex.pm's own repository, in registry files and in `mix.lock`.
pub const HEXPM: &str = "hexpm";

/// The maximum sizes of a file, in bytes. hex.pm's `/versions` had 0.45 MB in 2026.
const MAX_SIZE: u64 = 16 * 1024 * 1024;
const MAX_UNCOMPRESSED: u64 = 128 * 1024 * 1024;

/// Why a registry file can't be used.
#[derive(Debug, Error)]
pub enum RegistryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Not compressed with gzip, too large, or not of the format.
    #[error("{url} is not a file of Hex's registry")]
    Malformed { url: String },
    #[error("the signature of {url} is invalid")]
    NotSigned { url: String },
    /// The signed file is for something else.
    #[error("{url} is a file of another package or repository")]
    Other { url: String },
}

/// The registry's URL, and the key to verify it with.
#[derive(Debug, Clone)]
pub struct Registry {
    client: Client,
    /// The URL, without a trailing slash.
    url: String,
    /// `RSAPublicKey`. None if the user turned verification off, as `HEX_UNSAFE_REGISTRY` does.
    key: Option<Vec<u8>>,
}

impl Registry {
    /// `client` sets timeouts and retries.
    #[must_use]
    pub fn new(client: Client, url: &str, verified: bool) -> Self {
        Self {
            client,
            url: url.to_owned(),
            key: verified.then(|| rsa_key(HEXPM_KEY).unwrap_or_default()),
        }
    }

    /// Fetches `/versions`: the releases of all public packages that are retired or have an
    /// advisory.
    pub fn index(&self) -> Result<Index, RegistryError> {
        self.read("versions", |payload| {
            let index = Index::parse(payload)?;
            let ours = index.repository == HEXPM;
            Ok(ours.then_some(index))
        })
    }

    /// Fetches `/packages/NAME` for what it says about a release. A release that has been removed
    /// has no findings.
    pub fn findings(&self, package: &str, version: &str) -> Result<Findings, RegistryError> {
        self.read(&format!("packages/{package}"), |payload| {
            let (repository, name, findings) = Findings::parse(payload, version)?;
            let ours = repository == HEXPM && name == package;
            Ok(ours.then(|| findings.unwrap_or_default()))
        })
    }

    fn read<T>(
        &self,
        path: &str,
        parse: impl FnOnce(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> Result<T, RegistryError> {
        let url = format!("{}/{path}", self.url);
        let compressed = self.client.bytes(&url, MAX_SIZE, &())?;
        let url = fetch::redact(&url);
        let malformed = || RegistryError::Malformed { url: url.clone() };
        let mut file = Vec::new();
        let mut reader = MultiGzDecoder::new(&compressed[..]).take(MAX_UNCOMPRESSED);
        reader.read_to_end(&mut file).map_err(|_| malformed())?;
        let signed = Signed::parse(&file).map_err(|Malformed| malformed())?;
        if let Some(key) = &self.key
            && !is_signed(key, signed.payload, signed.signature)
        {
            return Err(RegistryError::NotSigned { url });
        }
        match parse(signed.payload) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(RegistryError::Other { url }),
            Err(Malformed) => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fetch::Settings;
    use mirror::{Override, Server};
    use tempfile::TempDir;

    /// `/packages/plug` of an invented registry, and its key.
    const PLUG: &[u8] = include_bytes!("hex_registry/plug.gz");
    const KEY: &str = include_str!("hex_registry/test-key.pem");

    fn findings(
        answer: Override,
        package: &str,
        key: Option<&str>,
    ) -> Result<Findings, RegistryError> {
        let root = TempDir::new().unwrap();
        let host = Server::start(root.path()).unwrap();
        host.set_override(format!("/packages/{package}"), answer);
        let client = Client::new(Settings {
            attempts: 1,
            ..Settings::default()
        });
        let url = host.url().replace("http://", "http://me:s3cr3t@");
        let registry = Registry {
            client,
            url,
            key: key.map(|pem| rsa_key(pem).unwrap()),
        };
        registry.findings(package, "1.0.0")
    }

    #[test]
    fn registry_file_needs_valid_signature() {
        let plug = || Override::Body(PLUG.to_vec());
        let found = findings(plug(), "plug", Some(KEY)).unwrap();
        assert_eq!(found.retired.unwrap().message.as_deref(), Some("use 1.1"));
        assert_eq!(found.advisories[0].id, "GHSA-test");
        let of_another = findings(plug(), "plug", Some(HEXPM_KEY));
        let error = of_another.unwrap_err();
        assert!(matches!(error, RegistryError::NotSigned { .. }), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        assert!(findings(plug(), "plug", None).is_ok());
    }

    #[test]
    fn rejects_other_package_and_malformed_files() {
        let other = findings(Override::Body(PLUG.to_vec()), "jason", Some(KEY));
        assert!(matches!(other, Err(RegistryError::Other { .. })));
        for body in [&b"<html>login</html>"[..], b"", &PLUG[..PLUG.len() - 20]] {
            let page = findings(Override::Body(body.to_vec()), "plug", None);
            assert!(matches!(page, Err(RegistryError::Malformed { .. })));
        }
        let missing = findings(Override::Status(404), "plug", Some(KEY));
        let error = missing.unwrap_err();
        assert!(matches!(error, RegistryError::Fetch(_)), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

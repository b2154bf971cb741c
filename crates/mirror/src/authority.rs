//! Temporary keys and certificates, created with Debian's `openssl`: an authority with one certificate for many host
//! names, and a key to sign lists.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// The validity of a certificate in days, longer than any test or benchmark.
const DAYS: &str = "7";
const EC_KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot run openssl: {0}")]
    Spawn(io::Error),
    #[error("openssl {verb} failed: {message}")]
    Failed { verb: String, message: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the certificate cannot be served: {0}")]
    Certificate(String),
}

/// A private authority, and its certificate.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// Creates an authority, and a certificate for all of `names`.
    pub fn issue<'name>(names: impl IntoIterator<Item = &'name str>) -> Result<Self, Error> {
        let authority = Self { dir: folder()? };
        let names: Vec<String> = names
            .into_iter()
            .map(|name| format!("DNS:{name}"))
            .collect();
        let dir = authority.dir.path();
        let ca = ["-keyout", "ca.key", "-out", "ca.pem"];
        openssl(
            dir,
            &[
                &["req", "-x509", "-days", DAYS][..],
                &EC_KEY,
                &ca,
                &["-subj", "/CN=Test mirror"],
            ]
            .concat(),
        )?;
        let alternative = format!("subjectAltName={}", names.join(","));
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        let site = [
            "-keyout",
            "site.key",
            "-out",
            "site.pem",
            "-subj",
            "/CN=Test mirror's hosts",
        ];
        let extensions = [
            "-addext",
            &alternative,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        openssl(
            dir,
            &[
                &["req", "-x509", "-days", DAYS][..],
                &EC_KEY,
                &by,
                &site,
                &extensions,
            ]
            .concat(),
        )?;
        Ok(authority)
    }

    /// Returns the authority's certificate, in PEM.
    pub fn certificate(&self) -> Result<String, Error> {
        read(&self.dir.path().join("ca.pem"))
    }

    /// Returns the TLS configuration of a server with these names.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let unusable = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
        let chain = CertificateDer::pem_file_iter(self.dir.path().join("site.pem"))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(&error))?;
        let key = PrivateKeyDer::from_pem_file(self.dir.path().join("site.key"))
            .map_err(|error| unusable(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        Ok(Arc::new(config))
    }
}

/// A key to sign installer lists with (contracts 6.3).
#[derive(Debug)]
pub struct SigningKey {
    dir: TempDir,
}

impl SigningKey {
    pub fn make() -> Result<Self, Error> {
        let key = Self { dir: folder()? };
        let dir = key.dir.path();
        openssl(dir, &["genrsa", "-out", "private.pem", "2048"])?;
        openssl(
            dir,
            &["rsa", "-in", "private.pem", "-pubout", "-out", "public.pem"],
        )?;
        Ok(key)
    }

    /// Returns the public key in PEM, for `mix local.public_keys`.
    pub fn public(&self) -> Result<String, Error> {
        read(&self.dir.path().join("public.pem"))
    }

    /// Returns the text of the `.signed` file for `list`: RSA with SHA-512, in base64.
    pub fn sign(&self, list: &[u8]) -> Result<String, Error> {
        let dir = self.dir.path();
        let file = dir.join("list");
        fs::write(&file, list).map_err(|source| Error::Io { path: file, source })?;
        openssl(
            dir,
            &[
                "dgst",
                "-sha512",
                "-sign",
                "private.pem",
                "-out",
                "signature",
                "list",
            ],
        )?;
        openssl(
            dir,
            &[
                "base64",
                "-A",
                "-in",
                "signature",
                "-out",
                "signature.base64",
            ],
        )?;
        read(&dir.join("signature.base64"))
    }
}

fn folder() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|source| Error::Io {
        path: std::env::temp_dir(),
        source,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

fn openssl(dir: &Path, args: &[&str]) -> Result<(), Error> {
    let output = Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::Spawn)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        verb: args.first().copied().unwrap_or_default().to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_verifies_only_with_its_key() {
        let (key, other) = (SigningKey::make().unwrap(), SigningKey::make().unwrap());
        key.sign(b"2.5.1,digest,1.18.0,27\n").unwrap();
        let verify = |public: &SigningKey| {
            let public = public.dir.path().join("public.pem");
            let args = ["dgst", "-sha512", "-signature", "signature", "-verify"];
            openssl(
                key.dir.path(),
                &[&args[..], &[public.to_str().unwrap(), "list"]].concat(),
            )
        };
        verify(&key).unwrap();
        assert!(matches!(verify(&other), Err(Error::Failed { .. })));
    }
}

use sha2::{Digest, Sha256, Sha512};

use crate::checksum::{Algorithm, Checksum};
use crate::error::Kind;

/// Digests of the bytes read so far: always sha256, which callers record, and sha512 if that is published.
pub(crate) struct Digests {
    sha256: Sha256,
    sha512: Option<Sha512>,
}

impl Digests {
    pub(crate) fn new(published: Option<&Checksum>) -> Self {
        let sha512 = matches!(published, Some(Checksum::Sha512(_))).then(Sha512::new);
        Self {
            sha256: Sha256::new(),
            sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
    }

    /// Verifies the published checksum, if any. Returns the sha256 of all bytes.
    pub(crate) fn verify(self, published: Option<&Checksum>) -> Result<String, Kind> {
        let sha256 = hex::encode(self.sha256.finalize());
        let (algorithm, expected, actual) = match published {
            None => return Ok(sha256),
            Some(Checksum::Sha256(expected)) => (Algorithm::Sha256, expected, sha256.clone()),
            Some(Checksum::Sha512(expected)) => {
                let sum = self.sha512.map(|sha512| hex::encode(sha512.finalize()));
                (Algorithm::Sha512, expected, sum.unwrap_or_default())
            }
        };
        if actual.eq_ignore_ascii_case(expected) {
            Ok(sha256)
        } else {
            let expected = expected.to_ascii_lowercase();
            Err(Kind::ChecksumMismatch {
                expected,
                actual,
                algorithm,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4 test vectors for "abc".
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const SHA512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    fn verify(published: Option<&Checksum>) -> Result<String, Kind> {
        let mut digests = Digests::new(published);
        digests.update(b"a");
        digests.update(b"bc");
        digests.verify(published)
    }

    #[test]
    fn sha256_and_sha512_match_in_either_case() {
        for published in [
            None,
            Some(Checksum::Sha256(SHA256.to_owned())),
            Some(Checksum::Sha256(SHA256.to_ascii_uppercase())),
            Some(Checksum::Sha512(SHA512.to_owned())),
            Some(Checksum::Sha512(SHA512.to_ascii_uppercase())),
        ] {
            assert_eq!(verify(published.as_ref()).unwrap(), SHA256, "{published:?}");
        }
    }

    #[test]
    fn other_digests_do_not_match() {
        let shorter = SHA256.get(..63).unwrap().to_owned();
        for published in [
            Checksum::Sha256(shorter),
            Checksum::Sha256(String::new()),
            Checksum::Sha512(String::new()),
            Checksum::Sha512(SHA256.to_owned()),
            Checksum::Sha256(SHA512.to_owned()),
        ] {
            let mismatch = verify(Some(&published)).unwrap_err();
            assert!(
                matches!(mismatch, Kind::ChecksumMismatch { .. }),
                "{published:?}"
            );
        }
    }
}

//! The signatures of the lists of installers: `hex.csv.signed` for `hex.csv`, in base64, with RSA (PKCS#1 v1.5) and
//! SHA-512, as verified by `Mix.Local` of Elixir 1.1 to 1.18.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey};
use std::fs;
use std::path::Path;

/// The key in Mix (`in-memory public key for Elixir`), from the compiled `Mix.PublicKey` of Elixir 1.14.0.
/// `Mix.Local` of 1.18.3 has the same. The tests contain a list that it has signed.
const ELIXIR_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAslPz1mAfyAvRv8W8xOdv
HQMbDJkDKfRhsL4JBGwGH7qw0xh+TbaUlNaM3pF+i8VUjS/4FeXjT/OAUEAHu5Y2
rBVlx00QcH8Dpbyf+H73XiCs0MXnTSecqDgzx6i6NMi8knklHT7yHySHtuuPmPuN
Po8QTKolCKftwPE/iNDeyZfwufd+hTCoCQdoTVcB01SElfNtvKRtoKbx35q80IPr
rOcGsALmr58+bWqCTY/51kFeRxzrPJ5LdcLU/AebyWddD4IUfPDxk16jTiCagMWA
JPSwo8NUrWDIBbD+rEUp06y0ek276rG5Tzm/3Bma56RN/u6nAqBTBE8F2Hu2QBKj
lQIDAQAB
-----END PUBLIC KEY-----
";

/// The trusted keys: Elixir's, and those that `mix local.public_keys` has added to a `MIX_HOME`, for mirrors that
/// sign their own lists.
#[derive(Debug, Clone)]
pub struct Keys {
    /// `RSAPublicKey` of RFC 8017, in DER.
    keys: Vec<Vec<u8>>,
}

impl Keys {
    /// Ignores files in `mix_home/public_keys` that aren't RSA keys in PEM.
    #[must_use]
    pub fn of(mix_home: &Path) -> Self {
        let added = fs::read_dir(mix_home.join("public_keys"));
        let added = added.into_iter().flatten().flatten();
        let added = added.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        Self {
            keys: [ELIXIR_KEY.to_owned()]
                .into_iter()
                .chain(added)
                .filter_map(|pem| rsa_key(&pem))
                .collect(),
        }
    }

    /// Whether one of the keys has signed the text.
    #[must_use]
    pub(crate) fn have_signed(&self, text: &str, signature: &str) -> bool {
        let signature: String = signature.split_whitespace().collect();
        let Ok(signature) = BASE64_STANDARD.decode(signature) else {
            return false;
        };
        let mut keys = self.keys.iter();
        keys.any(|key| is_signed(key, text.as_bytes(), &signature))
    }
}

/// Whether this `RSAPublicKey` has signed it.
pub(crate) fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, key)
        .verify(message, signature)
        .is_ok()
}

/// Returns the key in a `SubjectPublicKeyInfo` (RFC 5280) with the algorithm `rsaEncryption`.
///
/// For keys of 2048 to 8192 bits, each of the two lengths before the key takes two bytes.
pub(crate) fn rsa_key(pem: &str) -> Option<Vec<u8>> {
    const ALGORITHM: [u8; 16] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
        0x03,
    ];
    let (_, after) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (base64, _) = after.split_once("-----END PUBLIC KEY-----")?;
    let base64: String = base64.split_whitespace().collect();
    let der = BASE64_STANDARD.decode(base64).ok()?;
    let bits = der.strip_prefix(&[0x30, 0x82])?.get(2..)?;
    let key = bits.strip_prefix(&ALGORITHM)?.strip_prefix(&[0x82])?;
    Some(key.get(2..)?.strip_prefix(&[0])?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hex-1.x.csv` of hex.pm for Hex 0.13.2, from 2016, and its signature.
    const LIST: &str = include_str!("signature/hex-1.x.csv");
    const SIGNED: &str = include_str!("signature/hex-1.x.csv.signed");

    #[test]
    fn verifies_signature_of_hex_pm() {
        let nothing = tempfile::tempdir().unwrap();
        let keys = Keys::of(nothing.path());
        assert!(keys.have_signed(LIST, SIGNED));
        assert!(keys.have_signed(LIST, &SIGNED.replace('\n', "\r\n")));
        for (list, signature) in [
            (LIST.replacen('0', "1", 1), SIGNED.to_owned()),
            (format!("{LIST}\n"), SIGNED.to_owned()),
            (LIST.to_owned(), SIGNED.replacen('d', "e", 1)),
            (LIST.to_owned(), String::new()),
            (LIST.to_owned(), "<html>not found</html>".to_owned()),
        ] {
            assert!(!keys.have_signed(&list, &signature), "{list}{signature}");
        }
    }

    #[test]
    fn invalid_key_file_is_ignored() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("public_keys");
        fs::create_dir(&folder).unwrap();
        let cut = ELIXIR_KEY.replace("MIIBIjANBgkqhkiG9w0B", "");
        for (name, text) in [("empty", ""), ("words", "a key"), ("cut", &cut)] {
            fs::write(folder.join(name), text).unwrap();
            assert_eq!(rsa_key(text), None, "{name}");
        }
        let keys = Keys::of(home.path());
        assert_eq!(keys.keys.len(), 1);
        assert!(keys.have_signed(LIST, SIGNED));
    }
}

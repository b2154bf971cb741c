//! The keys of writers, and the secret that hides values in cache keys.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Base64 as people paste it, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Separates these HMACs from any other use of the same secret.
const MAC_DOMAIN: &[u8] = b"mixpack shared store: value, version 1\0";

/// The random values for a new store, in the formats of their config vars.
#[derive(Clone, PartialEq, Eq)]
pub struct Generated {
    /// The private Ed25519 seed, in base64.
    pub signing_key: String,
    /// The public key of `signing_key`, in base64.
    pub public_key: String,
    /// 32 random bytes, in base64.
    pub secret: String,
}

/// Generates the keys of a writer, and a secret for everyone who uses the store. Returns `None` if the
/// system has no random numbers.
#[must_use]
pub fn generate() -> Option<Generated> {
    let random = SystemRandom::new();
    let mut seed = [0; 32];
    let mut secret = [0; 32];
    random.fill(&mut seed).ok()?;
    random.fill(&mut secret).ok()?;
    Some(Generated {
        signing_key: BASE64_STANDARD.encode(seed),
        public_key: SigningKey::of_seed(&seed)?.writer().to_base64(),
        secret: BASE64_STANDARD.encode(secret),
    })
}

/// Returns the public key of a signing key, both in base64, or `None` if it isn't one.
#[must_use]
pub fn public_key_of(signing_key: &str) -> Option<String> {
    Some(SigningKey::parse(signing_key)?.writer().to_base64())
}

/// Decodes the 32 bytes of a key.
fn decode(text: &str) -> Option<[u8; 32]> {
    LENIENT.decode(text.trim()).ok()?.try_into().ok()
}

/// The private key of a writer.
pub(crate) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Parses an Ed25519 seed in base64.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::of_seed(&decode(text)?)
    }

    fn of_seed(seed: &[u8; 32]) -> Option<Self> {
        Some(Self(Ed25519KeyPair::from_seed_unchecked(seed).ok()?))
    }

    pub(crate) fn writer(&self) -> Writer {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        Writer::of(key)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

/// The public key of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    key: [u8; 32],
    /// The directory of the writer's objects: the first 16 bytes of the key's SHA-256, in hex.
    pub(crate) id: String,
}

impl Writer {
    /// Parses an Ed25519 public key in base64.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self::of(decode(text)?))
    }

    fn of(key: [u8; 32]) -> Self {
        let id = hex::encode(&digest(&SHA256, &key).as_ref()[..16]);
        Self { key, id }
    }

    fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(self.key)
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(message, signature)
            .is_ok()
    }
}

/// The secret that all users of the store share.
pub(crate) struct Secret(hmac::Key);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// Returns the HMAC-SHA256 of a named value, in hex. The lengths are included, so pairs with the same
    /// concatenation differ.
    pub(crate) fn mac(&self, name: &str, value: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(MAC_DOMAIN);
        for part in [name.as_bytes(), value] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        hex::encode(context.sign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn signs_as_in_the_rfc() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SigningKey::parse(&BASE64_STANDARD.encode(seed.unwrap())).unwrap();
        assert_eq!(
            hex::encode(key.writer().key),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"");
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a"));
        assert!(key.writer().has_signed(b"", &signature));
        assert!(!key.writer().has_signed(b"x", &signature));
    }

    #[test]
    fn generated_keys_belong_together_and_differ() {
        let first = generate().unwrap();
        let second = generate().unwrap();
        assert_eq!(
            public_key_of(&first.signing_key),
            Some(first.public_key.clone())
        );
        assert_ne!(first.signing_key, second.signing_key);
        assert_ne!(first.secret, second.secret);
        assert_ne!(first.secret, first.signing_key);
    }

    #[test]
    fn keys_are_32_bytes_of_base64() {
        let key = generate().unwrap().signing_key;
        assert_eq!(
            public_key_of(&format!(" {}\n", key.trim_end_matches('='))),
            public_key_of(&key)
        );
        assert_eq!(public_key_of("c2hvcnQ="), None);
        assert_eq!(public_key_of("not base64!"), None);
        assert_eq!(public_key_of(""), None);
    }

    #[test]
    fn mac_depends_on_secret_name_and_value() {
        let secret = Secret::new("0123456789abcdef");
        let mac = secret.mac("NAME", b"value");
        assert_eq!(mac.len(), 64);
        assert_eq!(mac, secret.mac("NAME", b"value"));
        assert_ne!(mac, secret.mac("NAMEv", b"alue"));
        assert_ne!(mac, secret.mac("NAME", b"other"));
        assert_ne!(mac, Secret::new("0123456789abcdeg").mac("NAME", b"value"));
    }
}

//! An object of the store, and its form in bytes.
//!
//! ```text
//! magic      8  "MIXPKOBJ"
//! version    1  1
//! signature 64  Ed25519, over "mixpack shared store: statement, version 1\0" and the envelope
//! length     4  of the envelope, big-endian
//! envelope      JSON: key, length and SHA-256 of the archive, the caller's statement
//! archive       to the end
//! ```

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::{SigningKey, Writer};

/// The maximum size of an object, in bytes.
pub(crate) const MAX_SIZE: u64 = 256 << 20;
/// The maximum size of an envelope, in bytes.
const MAX_ENVELOPE: usize = 1 << 20;

const MAGIC: &[u8] = b"MIXPKOBJ\x01";
const SIGNATURE: usize = 64;
const LENGTH: usize = 4;
const DOMAIN: &[u8] = b"mixpack shared store: statement, version 1\0";

/// An entry of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The caller's facts about the archive.
    pub statement: Value,
    /// A `tar.gz` from [`pack`](crate::pack). Some objects only have a statement.
    pub archive: Option<Vec<u8>>,
}

/// The signed part.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    key: String,
    archive: Option<Digest>,
    statement: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Digest {
    length: u64,
    /// In lower-case hex.
    sha256: String,
}

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self {
            length: bytes.len() as u64,
            sha256: hex::encode(digest(&SHA256, bytes)),
        }
    }
}

/// The reason why bytes aren't the requested object. Completes "the object …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    NotAnObject,
    Page,
    Truncated,
    Signature,
    Envelope,
    OtherKey,
    Archive,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "isn't an object of Mixpack",
            Self::Page => "is an HTML page",
            Self::Truncated => "is truncated",
            Self::Signature => "isn't signed by the writer it is stored for",
            Self::Envelope => "has a malformed statement",
            Self::OtherKey => "was signed for another key",
            Self::Archive => "has an archive that doesn't match its checksum",
        })
    }
}

/// Signs an object. Returns `None` if it is too large to be stored.
pub(crate) fn seal(object: &Object, key: &str, signer: &SigningKey) -> Option<Vec<u8>> {
    let envelope = Envelope {
        key: key.to_owned(),
        archive: object.archive.as_deref().map(Digest::of),
        statement: object.statement.clone(),
    };
    let envelope = serde_json::to_vec(&envelope).ok()?;
    if envelope.len() > MAX_ENVELOPE {
        return None;
    }
    let length = u32::try_from(envelope.len()).ok()?.to_be_bytes();
    let signature = signer.sign(&signed(&envelope));
    let archive = object.archive.as_deref().unwrap_or_default();
    let bytes = [MAGIC, &signature, &length, &envelope, archive].concat();
    (bytes.len() as u64 <= MAX_SIZE).then_some(bytes)
}

/// Verifies that the bytes are an object that `writer` has stored under `key`.
pub(crate) fn open(mut bytes: Vec<u8>, key: &str, writer: &Writer) -> Result<Object, Invalid> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(without_magic(&bytes));
    };
    let (signature, rest) = rest.split_at_checked(SIGNATURE).ok_or(Invalid::Truncated)?;
    let (length, rest) = rest
        .split_first_chunk::<LENGTH>()
        .ok_or(Invalid::Truncated)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_ENVELOPE {
        return Err(Invalid::Envelope);
    }
    let (envelope, archive) = rest.split_at_checked(length).ok_or(Invalid::Truncated)?;
    if !writer.has_signed(&signed(envelope), signature) {
        return Err(Invalid::Signature);
    }
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| Invalid::Envelope)?;
    if envelope.key != key {
        return Err(Invalid::OtherKey);
    }
    let archive = match &envelope.archive {
        None if archive.is_empty() => None,
        None => return Err(Invalid::Archive),
        Some(expected) if (archive.len() as u64) < expected.length => {
            return Err(Invalid::Truncated);
        }
        Some(expected) => {
            let actual = Digest::of(archive);
            if actual.length != expected.length || actual.sha256 != expected.sha256 {
                return Err(Invalid::Archive);
            }
            let start = MAGIC.len() + SIGNATURE + LENGTH + length;
            bytes.drain(..start);
            Some(bytes)
        }
    };
    Ok(Object {
        statement: envelope.statement,
        archive,
    })
}

fn signed(envelope: &[u8]) -> Vec<u8> {
    [DOMAIN, envelope].concat()
}

fn without_magic(bytes: &[u8]) -> Invalid {
    let text = bytes.trim_ascii_start();
    if MAGIC.starts_with(bytes) {
        Invalid::Truncated
    } else if text.starts_with(b"<") {
        Invalid::Page
    } else {
        Invalid::NotAnObject
    }
}

#[cfg(test)]
mod tests;

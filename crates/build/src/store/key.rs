//! Keys: the names of entries, and what a reader is told of two that differ.

use super::Key;
use crate::digest::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The first eight bytes of the key's SHA-256, in hex: enough to tell the few entries apart.
pub(super) fn digest(key: &Key) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in key {
        for part in [name, value] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    hex(&hasher.finalize()[..8])
}

/// In words, every way in which two keys differ.
pub(crate) fn differences(kept: &Key, wanted: &Key) -> Vec<String> {
    let names: BTreeSet<&String> = kept.keys().chain(wanted.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (kept.get(name), wanted.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(_), Some(new)) if !is_readable(new) => Some(format!("{name} changed")),
            (Some(old), Some(new)) => Some(format!("{name} changed from {old} to {new}")),
            (Some(_), None) => Some(format!("{name} is no longer there")),
            (None, _) => Some(format!("{name} is new")),
        })
        .collect()
}

/// Digests and documents say nothing to a reader.
fn is_readable(value: &str) -> bool {
    let is_digest = value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit());
    !is_digest && value.len() < 80
}

//! Values of config vars by their digest: enough to see that one has changed, and not the value.

use sha2::{Digest, Sha256};

/// Four bytes of the SHA-256, in hex.
pub(crate) fn short(value: &[u8]) -> String {
    let digest = Sha256::digest(value);
    let short = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{short:08x}")
}

//! Keys: the names of entries, and the differences of two keys for the log.

use super::Key;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The first eight bytes of the key's SHA-256, in hex: enough to distinguish the few entries.
pub(crate) fn digest(key: &Key) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in key {
        for part in [name, value] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    hex::encode(&hasher.finalize()[..8])
}

/// The prefixes of the names of variables and files in a key.
const VARIABLE: &str = "variable ";
const FILE: &str = "file ";
/// The maximum number of variables in a reason.
const MAX_NAMES: usize = 6;

/// Returns the part of a key for variables: their digests by name.
#[must_use]
pub fn key_of_variables(variables: BTreeMap<String, String>) -> Key {
    let variables = variables.into_iter();
    variables
        .map(|(name, digest)| (format!("{VARIABLE}{name}"), digest))
        .collect()
}

/// Returns the part of a key for files: their digests by path.
#[must_use]
pub fn key_of_files(files: BTreeMap<String, String>) -> Key {
    let files = files.into_iter();
    files
        .map(|(path, digest)| (format!("{FILE}{path}"), digest))
        .collect()
}

/// Describes all differences between two keys.
#[must_use]
pub fn differences(cached: &Key, wanted: &Key) -> Vec<String> {
    let names: BTreeSet<&String> = cached.keys().chain(wanted.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| cached.get(*name) != wanted.get(*name));
    let mut variables = Vec::new();
    let mut reasons = Vec::new();
    for name in differ {
        if let Some(variable) = name.strip_prefix(VARIABLE) {
            // Some variables also have a part of their own.
            if !cached.contains_key(variable) && !wanted.contains_key(variable) {
                variables.push(variable);
            }
            continue;
        }
        let shown = name.strip_prefix(FILE).unwrap_or(name);
        reasons.push(match (cached.get(name), wanted.get(name)) {
            (Some(old), Some(new)) if is_readable(old) && is_readable(new) => {
                format!("{shown} changed from {old} to {new}")
            }
            (Some(_), Some(_)) => format!("{shown} changed"),
            (Some(_), None) => format!("{shown} is no longer there"),
            (None, _) => format!("{shown} is new"),
        });
    }
    if !variables.is_empty() {
        let more = match variables.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        variables.truncate(MAX_NAMES);
        let variables = variables.join(", ");
        reasons.push(format!("the environment changed ({variables}{more})"));
    }
    reasons
}

/// Whether to show a value. Digests, documents and empty values mean nothing to readers.
fn is_readable(value: &str) -> bool {
    let is_digest = value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit());
    !is_digest && !value.is_empty() && value.len() < 80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn differences_name_files_and_variables_without_digests() {
        let key = |files: &[(&str, &str)], variables: &[(&str, &str)], plain: &[(&str, &str)]| {
            let mut key = map(plain);
            key.extend(key_of_files(map(files)));
            key.extend(key_of_variables(map(variables)));
            key
        };
        let digest = "0123456789abcdef";
        let other = "f123456789abcdef";
        let cached = key(
            &[("assets/package.json", digest), ("assets/.npmrc", digest)],
            &[("API_URL", digest), ("CI", digest), ("MIX_TARGET", digest)],
            &[("Node.js", "22.1.0"), ("MIX_TARGET", digest), ("npm", "")],
        );
        let wanted = key(
            &[("assets/package.json", other)],
            &[("API_URL", other), ("NEW", digest), ("MIX_TARGET", other)],
            &[
                ("Node.js", "24.0.0"),
                ("MIX_TARGET", other),
                ("npm", "11.0.0"),
            ],
        );
        assert_eq!(
            differences(&cached, &wanted),
            [
                "MIX_TARGET changed",
                "Node.js changed from 22.1.0 to 24.0.0",
                "assets/.npmrc is no longer there",
                "assets/package.json changed",
                "npm changed",
                "the environment changed (API_URL, CI, NEW)",
            ]
        );
        assert!(differences(&cached, &cached).is_empty());
    }

    #[test]
    fn many_changed_variables_are_counted() {
        let names = ["A", "B", "C", "D", "E", "F", "G", "H"];
        let variables = names.map(|name| (name, "0123456789abcdef"));
        let wanted = key_of_variables(map(&variables));
        assert_eq!(
            differences(&Key::new(), &wanted),
            ["the environment changed (A, B, C, D, E, F and 2 more)"]
        );
    }
}

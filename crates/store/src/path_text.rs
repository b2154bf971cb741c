//! Paths in JSON. File names are bytes, but JSON is text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The prefix of a path that isn't UTF-8, before its bytes in hex. No path contains this character.
const IN_HEX: char = '\0';

/// A path in JSON, also as a key: its text, or its bytes in hex if it isn't UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathText(pub PathBuf);

impl Borrow<Path> for PathText {
    fn borrow(&self) -> &Path {
        &self.0
    }
}

impl Serialize for PathText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.0.to_str() {
            return serializer.serialize_str(text);
        }
        let bytes = hex::encode(self.0.as_os_str().as_bytes());
        serializer.serialize_str(&format!("{IN_HEX}{bytes}"))
    }
}

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Some(digits) = text.strip_prefix(IN_HEX) else {
            return Ok(Self(text.into()));
        };
        let bytes = hex::decode(digits).map_err(D::Error::custom)?;
        Ok(Self(OsString::from_vec(bytes).into()))
    }
}

/// For a field with a list of paths: `#[serde(with = "json::paths")]`.
pub mod paths {
    use crate::path_text::PathText;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::path::PathBuf;

    pub fn serialize<'a, S: Serializer, P>(paths: &'a P, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a P: IntoIterator<Item = &'a PathBuf>,
    {
        serializer.collect_seq(paths.into_iter().cloned().map(PathText))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, P: FromIterator<PathBuf>>(
        deserializer: D,
    ) -> Result<P, D::Error> {
        let paths = Vec::<PathText>::deserialize(deserializer)?;
        Ok(paths.into_iter().map(|path| path.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::ffi::OsStr;

    #[test]
    fn any_path_round_trips_through_json() {
        let paths: [&[u8]; 4] = [b"lib/a.ex", b"priv/caf\xe9.txt", "priv/é".as_bytes(), b""];
        let paths = paths.map(|bytes| PathText(OsStr::from_bytes(bytes).into()));
        let map: BTreeMap<PathText, u8> = paths.into_iter().zip(0..).collect();
        let json = serde_json::to_string(&map).unwrap();
        assert!(json.contains(r#""lib/a.ex":0"#), "{json}");
        assert_eq!(
            serde_json::from_str::<BTreeMap<PathText, u8>>(&json).unwrap(),
            map
        );
        for broken in [r#"{"\u00006":0}"#, r#"{"\u0000zz":0}"#] {
            let read = serde_json::from_str::<BTreeMap<PathText, u8>>(broken);
            assert!(read.is_err() || broken.contains("00006"), "{broken}");
        }
    }
}

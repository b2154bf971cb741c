//! The files of Hex's registry that list retired releases and security advisories.
//!
//! They are Protocol Buffers: `signed.proto`, `versions.proto` and `package.proto` of
//! github.com/hexpm/specifications, read in November 2026 at commit b172bf58. hex.pm fills them in
//! `lib/hexpm/repository/registry_builder.ex`. Unknown fields are skipped, as the format requires.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Texts of the registry are truncated to this number of characters.
const MAX_CHARACTERS: usize = 300;

/// A file that isn't a registry file of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a file of Hex's registry")]
pub struct Malformed;

/// The envelope of each registry file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    pub payload: &'a [u8],
    /// The signature: RSA (PKCS#1 v1.5) with SHA-512. Empty if the file isn't signed.
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads a file after decompression.
    pub fn parse(file: &'a [u8]) -> Result<Self, Malformed> {
        let (mut payload, mut signature) = (None, &[][..]);
        for field in Fields(file) {
            match field? {
                (1, Value::Bytes(bytes)) => payload = Some(bytes),
                (2, Value::Bytes(bytes)) => signature = bytes,
                _ => {}
            }
        }
        let payload = payload.ok_or(Malformed)?;
        Ok(Self { payload, signature })
    }
}

/// `/versions`: the releases that are retired or have an advisory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The name of the repository, such as `hexpm`.
    pub repository: String,
    /// Versions by package.
    pub flagged: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    /// Reads the payload of `/versions`.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut index = Self::default();
        for field in Fields(payload) {
            match field? {
                (1, Value::Bytes(package)) => index.add(package)?,
                (2, Value::Bytes(name)) => index.repository = text(name)?,
                _ => {}
            }
        }
        Ok(index)
    }

    fn add(&mut self, package: &[u8]) -> Result<(), Malformed> {
        let (mut name, mut versions, mut flagged) = (&[][..], Vec::new(), Vec::new());
        for field in Fields(package) {
            match field? {
                (1, Value::Bytes(bytes)) => name = bytes,
                (2, Value::Bytes(version)) => versions.push(version),
                // Indexes of retired versions, and of those with advisories.
                (3 | 5, value) => flagged.extend(numbers(&value)?),
                _ => {}
            }
        }
        if flagged.is_empty() {
            return Ok(());
        }
        let versions = flagged
            .into_iter()
            .map(|at| text(versions.get(at).ok_or(Malformed)?))
            .collect::<Result<_, _>>()?;
        self.flagged.insert(text(name)?, versions);
        Ok(())
    }
}

/// The retirement and advisories of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    pub retired: Option<Retirement>,
    /// The advisories, one for each vulnerability.
    pub advisories: Vec<Advisory>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// The reason, such as `security` or `deprecated`.
    pub reason: String,
    /// A message of the package's maintainer.
    pub message: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The ID: `EEF-CVE-2026-32686`, `GHSA-…` or `CVE-…`.
    pub id: String,
    /// Other identifiers of the same vulnerability.
    pub aliases: BTreeSet<String>,
    pub summary: String,
    pub url: String,
    /// The severity, such as `high`.
    pub severity: Option<String>,
}

impl Findings {
    /// Reads the payload of `/packages/NAME`, together with the repository and the package that it names. `None` for
    /// a release that the package doesn't have.
    pub fn parse(
        payload: &[u8],
        version: &str,
    ) -> Result<(String, String, Option<Self>), Malformed> {
        let (mut package, mut repository, mut release) = (String::new(), String::new(), None);
        let mut advisories = Vec::new();
        for field in Fields(payload) {
            match field? {
                (1, Value::Bytes(bytes)) => {
                    let (of, retired, indexes) = parse_release(bytes)?;
                    if of == version.as_bytes() {
                        release = Some((retired, indexes));
                    }
                }
                (2, Value::Bytes(bytes)) => package = text(bytes)?,
                (3, Value::Bytes(bytes)) => repository = text(bytes)?,
                (4, Value::Bytes(bytes)) => advisories.push(Advisory::parse(bytes)?),
                _ => {}
            }
        }
        let findings = match release {
            None => None,
            Some((retired, indexes)) => {
                let of_release = indexes
                    .into_iter()
                    .map(|at| advisories.get(at).cloned().ok_or(Malformed));
                Some(Self {
                    retired,
                    advisories: by_vulnerability(of_release.collect::<Result<_, _>>()?),
                })
            }
        };
        Ok((repository, package, findings))
    }
}

type Release<'a> = (&'a [u8], Option<Retirement>, Vec<usize>);

fn parse_release(bytes: &[u8]) -> Result<Release<'_>, Malformed> {
    let (mut version, mut retired, mut advisories) = (&[][..], None, Vec::new());
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => version = bytes,
            (4, Value::Bytes(bytes)) => retired = Some(Retirement::parse(bytes)?),
            (6, value) => advisories.extend(numbers(&value)?),
            _ => {}
        }
    }
    Ok((version, retired, advisories))
}

impl Retirement {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut reason, mut message) = (0, None);
        for field in Fields(bytes) {
            match field? {
                (1, Value::Number(number)) => reason = number,
                (2, Value::Bytes(bytes)) => message = Some(text(bytes)?),
                _ => {}
            }
        }
        // Clients have to accept reasons that are added later.
        let reason = match reason {
            1 => "invalid",
            2 => "security",
            3 => "deprecated",
            4 => "renamed",
            _ => "other",
        };
        Ok(Self {
            reason: reason.to_owned(),
            message: message.filter(|message| !message.is_empty()),
        })
    }
}

impl Advisory {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const SEVERITIES: [&str; 5] = ["none", "low", "medium", "high", "critical"];
        let mut advisory = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(bytes)) => advisory.id = text(bytes)?,
                (2, Value::Bytes(bytes)) => advisory.summary = text(bytes)?,
                (3, Value::Bytes(bytes)) => advisory.url = text(bytes)?,
                (4, Value::Number(at)) => {
                    let at = usize::try_from(at).map_err(|_| Malformed)?;
                    advisory.severity = SEVERITIES.get(at).map(|&severity| severity.to_owned());
                }
                (7, Value::Bytes(bytes)) => {
                    advisory.aliases.insert(text(bytes)?);
                }
                _ => {}
            }
        }
        Ok(advisory)
    }

    /// The primary ID and all others.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(String::as_str);
        [self.id.as_str()].into_iter().chain(aliases)
    }

    /// Advisories of several databases with the same key are about one vulnerability.
    fn key(&self) -> String {
        let cve = self.ids().find(|id| id.starts_with("CVE-"));
        cve.unwrap_or(&self.id).to_owned()
    }

    /// The rank by which Hex selects one of the advisories of a vulnerability.
    fn priority(&self) -> (usize, String) {
        const DATABASES: [&str; 3] = ["EEF-", "GHSA-", "NVD-"];
        let database = DATABASES.iter().position(|name| self.id.starts_with(name));
        (database.unwrap_or(DATABASES.len()), self.id.clone())
    }
}

/// Merges advisories of one vulnerability, as `hex_advisory:group_for_display` of `hex_core` 0.19 does.
fn by_vulnerability(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let mut merged: BTreeMap<String, Advisory> = BTreeMap::new();
    for advisory in advisories {
        let key = advisory.key();
        let Some(other) = merged.remove(&key) else {
            merged.insert(key, advisory);
            continue;
        };
        let mut both = [advisory, other];
        both.sort_by_key(Advisory::priority);
        let [mut first, second] = both;
        let others = second.ids().map(str::to_owned).collect::<Vec<_>>();
        first.aliases.extend(others);
        first.aliases.remove(&first.id);
        merged.insert(key, first);
    }
    merged.into_values().collect()
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A value of a type that none of the fields above has.
    Other,
}

/// The fields of a message in the wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), with
/// their numbers. Ends after an error.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.bytes(8).map(|_| Value::Other)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Reads a repeated number, packed or not: readers have to accept both.
fn numbers(value: &Value<'_>) -> Result<Vec<usize>, Malformed> {
    let index = |number| usize::try_from(number).map_err(|_| Malformed);
    match value {
        Value::Number(number) => Ok(vec![index(*number)?]),
        Value::Other => Err(Malformed),
        Value::Bytes(packed) => {
            let mut rest = Fields(packed);
            let mut numbers = Vec::new();
            while !rest.0.is_empty() {
                numbers.push(index(rest.number().ok_or(Malformed)?)?);
            }
            Ok(numbers)
        }
    }
}

/// Returns a text for the log. Removes control characters, since maintainers write some of these texts.
fn text(bytes: &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    Ok(words.join(" ").chars().take(MAX_CHARACTERS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(number: u64) -> Vec<u8> {
        let mut bytes = vec![];
        let mut rest = number;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes
    }

    fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
        [
            number(field << 3 | 2),
            number(bytes.len() as u64),
            bytes.to_vec(),
        ]
        .concat()
    }

    fn varint(field: u64, value: u64) -> Vec<u8> {
        [number(field << 3), number(value)].concat()
    }

    fn texts(fields: &[(u64, &str)]) -> Vec<u8> {
        let fields = fields
            .iter()
            .map(|(field, text)| bytes(*field, text.as_bytes()));
        fields.collect::<Vec<_>>().concat()
    }

    fn set(versions: &[&str]) -> BTreeSet<String> {
        versions.iter().map(|&version| version.to_owned()).collect()
    }

    #[test]
    fn index_lists_retired_and_vulnerable_versions() {
        let plug = texts(&[
            (1, "plug"),
            (2, "1.0.0"),
            (2, "1.1.0"),
            (2, "1.2.0"),
            (4, "hexpm"),
        ]);
        let plug = [plug, bytes(3, &[0]), bytes(5, &[0, 2])].concat();
        let unpacked = [texts(&[(1, "old"), (2, "1.0.0")]), varint(3, 0)].concat();
        let clean = texts(&[(1, "jason"), (2, "1.4.4")]);
        let file = [
            bytes(1, &plug),
            bytes(1, &clean),
            bytes(1, &unpacked),
            texts(&[(2, "hexpm")]),
        ];
        let index = Index::parse(&file.concat()).unwrap();
        assert_eq!(index.repository, "hexpm");
        let expected = [("old", set(&["1.0.0"])), ("plug", set(&["1.0.0", "1.2.0"]))];
        let expected = expected.map(|(name, versions)| (name.to_owned(), versions));
        assert_eq!(index.flagged, expected.into());
        // An index out of range.
        let broken = [texts(&[(1, "plug"), (2, "1.0.0")]), bytes(3, &[1])].concat();
        assert_eq!(Index::parse(&bytes(1, &broken)), Err(Malformed));
    }

    fn package() -> Vec<u8> {
        let score = [number(5 << 3 | 5), vec![0, 0, 0, 0x41]].concat();
        let ghsa = texts(&[(1, "GHSA-1"), (2, "In GHSA's words"), (7, "CVE-2026-1")]);
        let eef = texts(&[
            (1, "EEF-CVE-2026-1"),
            (2, "Line\r\n one\x1b[31m"),
            (3, "https://osv.example/1"),
        ]);
        let eef = [
            eef,
            varint(4, 3),
            score,
            texts(&[(6, "api"), (7, "CVE-2026-1")]),
        ]
        .concat();
        let other = texts(&[(1, "GHSA-2"), (2, "Another")]);
        let retired = [varint(1, 2), texts(&[(2, "use 1.1")])].concat();
        let release = [
            texts(&[(1, "1.0.0"), (2, "sum")]),
            bytes(4, &retired),
            bytes(6, &[0, 1, 2]),
        ];
        let newer = [texts(&[(1, "1.1.0")]), bytes(4, &varint(1, 9))].concat();
        let releases = [bytes(1, &release.concat()), bytes(1, &newer)].concat();
        let names = texts(&[(2, "plug"), (3, "hexpm")]);
        [
            releases,
            names,
            bytes(4, &ghsa),
            bytes(4, &eef),
            bytes(4, &other),
        ]
        .concat()
    }

    #[test]
    fn findings_deduplicate_advisories_and_strip_control_characters() {
        let package = package();
        let (repository, name, findings) = Findings::parse(&package, "1.0.0").unwrap();
        assert_eq!((repository.as_str(), name.as_str()), ("hexpm", "plug"));
        let findings = findings.unwrap();
        let retired = findings.retired.unwrap();
        assert_eq!(
            (retired.reason.as_str(), retired.message.as_deref()),
            ("security", Some("use 1.1"))
        );
        let [first, second] = &findings.advisories[..] else {
            panic!("{:?}", findings.advisories)
        };
        let expected = Advisory {
            id: "EEF-CVE-2026-1".to_owned(),
            aliases: set(&["CVE-2026-1", "GHSA-1"]),
            summary: "Line one [31m".to_owned(),
            url: "https://osv.example/1".to_owned(),
            severity: Some("high".to_owned()),
        };
        assert_eq!(first, &expected);
        assert_eq!(second.id, "GHSA-2");
        assert_eq!(second.severity, None);
        // An unknown reason.
        let (_, _, newer) = Findings::parse(&package, "1.1.0").unwrap();
        let newer = newer.unwrap();
        assert_eq!(newer.retired.unwrap().reason, "other");
        assert_eq!(newer.advisories, []);
        assert_eq!(Findings::parse(&package, "2.0.0").unwrap().2, None);
    }

    #[test]
    fn envelope_has_payload_and_signature() {
        let file = texts(&[(1, "payload"), (2, "signature")]);
        let signed = Signed::parse(&file).unwrap();
        assert_eq!(
            (signed.payload, signed.signature),
            (&b"payload"[..], &b"signature"[..])
        );
        assert_eq!(
            Signed::parse(&texts(&[(1, "payload")])).unwrap().signature,
            b""
        );
        for broken in [&b""[..], b"<html>", &file[..5], &[0x0a], &[0xff; 12]] {
            assert_eq!(Signed::parse(broken), Err(Malformed), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(noise: Vec<u8>, at in 0..400_usize, byte: u8) {
            let mut changed = package();
            let at = at.min(changed.len() - 1);
            changed[at] = byte;
            for bytes in [noise, changed] {
                let _ = Signed::parse(&bytes);
                let _ = Index::parse(&bytes);
                let _ = Findings::parse(&bytes, "1.0.0");
            }
        }
    }
}

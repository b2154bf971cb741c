//! Samples of the files that upstream publishes, and how today's files differ.
//!
//! A sample has a few lines of a list, or the important paths of an archive. Parsers depend on its *facts*: columns
//! and their kinds, fields and their types, paths. Today's files must have the same facts.

mod live;

pub use live::changes_at;

use serde_json::Value;
use std::collections::BTreeSet;
use versions::elixir::ElixirListing;
use versions::installers::{InstallerList, Package, Scheme};
use versions::node::{NodeIndex, Shasums};
use versions::otp::OtpListing;

/// The kind of file that a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A list with one build per line. Fields are separated by this character, or by spaces.
    Lines(Option<char>),
    Json,
    /// The paths of an archive or package: all at its top, and others that Mixpack uses.
    Paths,
}

pub struct Sample {
    /// The file in `samples`.
    pub name: &'static str,
    pub text: &'static str,
    /// Where the sample was read, and when it was published there.
    pub source: &'static str,
    pub format: Format,
    /// Upstream's URL. An archive's URL is in a list.
    pub url: &'static str,
    /// How many entries Mixpack's own parser doesn't understand.
    pub not_understood: fn(&str) -> usize,
}

macro_rules! sample {
    ($name:literal, $format:expr, $url:literal, $parser:expr, $source:literal) => {
        Sample {
            name: $name,
            text: include_str!(concat!("samples/", $name)),
            source: $source,
            format: $format,
            url: $url,
            not_understood: $parser,
        }
    };
}

const SPACES: Format = Format::Lines(None);
const COMMAS: Format = Format::Lines(Some(','));

/// All were read on 2026-11-28.
pub const SAMPLES: [Sample; 15] = [
    sample!(
        "otp-builds.txt",
        SPACES,
        "https://builds.hex.pm/builds/otp/amd64/ubuntu-24.04/builds.txt",
        |text| OtpListing::parse(text).malformed(),
        "erlef/setup-beam, test/otp/ubuntu-24.04/builds.txt at 6ed3c52 (2024-06-11) and \
         test/otp/ubuntu-26.04/builds.txt at fa47191 (2026-06-11)"
    ),
    sample!(
        "elixir-builds.txt",
        SPACES,
        "https://builds.hex.pm/builds/elixir/builds.txt",
        |text| ElixirListing::parse(text).malformed(),
        "erlef/setup-beam, test/elixir/builds.txt at 6ed3c52 (2024-05-11)"
    ),
    sample!(
        "otp_builds.csv",
        COMMAS,
        "https://github.com/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv",
        |text| OtpListing::parse_csv(text).map_or(1, |list| list.malformed()),
        "erlef/otp_builds, builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv at 5fc6768 (2026-09-15)"
    ),
    sample!(
        "hex.csv",
        COMMAS,
        "https://builds.hex.pm/installs/hex.csv",
        |text| InstallerList::parse(text, Package::Hex, Scheme::ByElixirAndOtp).malformed(),
        "DigitalWestern/tog, tools/test_catalog.py at 1bd06db, which has it from there (2026-09-23)"
    ),
    sample!(
        "rebar.csv",
        COMMAS,
        "https://builds.hex.pm/installs/rebar.csv",
        |text| InstallerList::parse(text, Package::Rebar3, Scheme::ByElixirAndOtp).malformed(),
        "DigitalWestern/tog, tools/test_catalog.py at 1bd06db, which has it from there (2026-09-23)"
    ),
    sample!(
        "hex-1.x.csv",
        COMMAS,
        "https://builds.hex.pm/installs/hex-1.x.csv",
        |text| InstallerList::parse(text, Package::Hex, Scheme::ByElixir).malformed(),
        "hexpm/hex, hex-1.x.csv at 425945f (2016)"
    ),
    sample!(
        "rebar3-1.x.csv",
        COMMAS,
        "https://builds.hex.pm/installs/rebar3-1.x.csv",
        |text| InstallerList::parse(text, Package::Rebar3, Scheme::ByElixir).malformed(),
        "no copy was found; a row of hex-1.x.csv, since elixir-lang/elixir's scripts write both in one form"
    ),
    sample!(
        "node-index.json",
        Format::Json,
        "https://nodejs.org/dist/index.json",
        |text| NodeIndex::parse(text).map_or(1, |index| index.malformed()),
        "a public repository's test that quotes two rows of it (2026-09-16), with fewer files in each; \
         the fields are those of nodejs/nodejs-dist-indexer, src/dist-indexer.js at 687da08"
    ),
    sample!(
        "node-shasums.txt",
        SPACES,
        "https://nodejs.org/dist/latest/SHASUMS256.txt",
        |text| usize::from(Shasums::parse(text).is_empty()),
        "pnpm/pnpm, pacquet/crates/crypto-shasums-file/src/tests.rs at f5c3ed1 (v22.11.0, 2024-10-29)"
    ),
    sample!(
        "otp.paths",
        Format::Paths,
        "",
        |_| 0,
        "hexpm/bob, priv/scripts/otp/build_otp_ubuntu.sh at 1d9aad9: the folder that OTP's `make release` \
         makes, under the name of the reference. `Install`, which makes `bin`, has not run \
         (erts/etc/unix/Install.src of erlang/otp at 09f7a5a)"
    ),
    sample!(
        "otp_builds.paths",
        Format::Paths,
        "",
        |_| 0,
        "erlef/otp_builds, scripts/docker/build_otp_ubuntu.sh at a3a1242: the same, after `Install`"
    ),
    sample!(
        "elixir.paths",
        Format::Paths,
        "",
        |_| 0,
        "elixir-lang/elixir, Makefile at 63a7a05: what `Precompiled.zip` is made of"
    ),
    sample!(
        "node.paths",
        Format::Paths,
        "",
        |_| 0,
        "a public page with a listing of node-v6.11.3-linux-x64; nothing newer was found"
    ),
    sample!(
        "hex.paths",
        Format::Paths,
        "",
        |_| 0,
        "`mix archive.build` of elixir-lang/elixir at 63a7a05, which makes it"
    ),
    sample!(
        "npm-packages.txt",
        Format::Paths,
        "",
        |_| 0,
        "the npm registry, by `npm pack --dry-run --json`: yarn 1.22.22, @yarnpkg/cli-dist 4.18.1, pnpm \
         12.21.0, npm 11.21.2 and @oven/bun-linux-x64 1.4.5"
    ),
];

/// Describes each difference of `live` in a line.
#[must_use]
pub fn changes(sample: &Sample, live: &str) -> Vec<String> {
    let then = facts(sample.format, sample.text, sample.text);
    let now = facts(sample.format, live, sample.text);
    let mut lines: Vec<String> = now
        .difference(&then)
        .map(|fact| format!("  new:  {fact}"))
        .collect();
    lines.extend(then.difference(&now).map(|fact| format!("  gone: {fact}")));
    let not_understood = (sample.not_understood)(live);
    if not_understood > 0 {
        lines.push(format!(
            "  entries that Mixpack doesn't understand: {not_understood}"
        ));
    }
    if !lines.is_empty() {
        let Sample {
            name, url, source, ..
        } = sample;
        let at = if url.is_empty() {
            String::new()
        } else {
            format!(" at {url}")
        };
        lines.insert(0, format!("{name}{at} is not as in the sample"));
        lines.push(format!("  sample: {source}"));
    }
    lines
}

/// Paths count only if they are at the top, or also in the sample.
fn facts(format: Format, text: &str, sample: &str) -> BTreeSet<String> {
    match format {
        Format::Lines(separator) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| match separator {
                Some(separator) => line_facts(line, line.split(separator)),
                None => line_facts(line, line.split_whitespace()),
            })
            .collect(),
        Format::Json => match serde_json::from_str(text) {
            Ok(value) => json_facts(&value),
            Err(error) => BTreeSet::from([error.to_string()]),
        },
        Format::Paths => {
            let depth = |path: &String| path.matches('/').count();
            let known: BTreeSet<String> = paths(sample).collect();
            let top = known.iter().map(depth).min().unwrap_or_default();
            let counts = |path: &String| depth(path) == top || known.contains(path);
            paths(text).filter(counts).collect()
        }
    }
}

/// A line without any digest, such as a header, is a fact itself.
fn line_facts<'a>(line: &str, fields: impl Iterator<Item = &'a str>) -> String {
    let kinds: Vec<&str> = fields.map(|field| kind(field.trim())).collect();
    if kinds.iter().any(|kind| kind.starts_with("sha")) {
        kinds.join(" ")
    } else {
        line.to_owned()
    }
}

fn kind(field: &str) -> &'static str {
    let begins_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_hex = field.bytes().all(|byte| byte.is_ascii_hexdigit());
    match field.len() {
        40 if is_hex => "sha1",
        64 if is_hex => "sha256",
        128 if is_hex => "sha512",
        _ if begins_with_digit(field) && field.ends_with('Z') => "time",
        _ if begins_with_digit(field) => "version",
        _ if field.strip_prefix("OTP-").is_some_and(begins_with_digit) => "OTP-version",
        _ if field.strip_prefix('v').is_some_and(begins_with_digit) => "v-version",
        _ => "name",
    }
}

/// The fields of a document with their types: `[].lts: string`. Names that are data are left out.
#[must_use]
pub fn json_facts(value: &Value) -> BTreeSet<String> {
    fn add(value: &Value, path: &str, facts: &mut BTreeSet<String>) {
        let is_plain = |name: &String| {
            let is_digest = name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
            !is_digest
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(values) => {
                for value in values {
                    add(value, &format!("{path}[]"), facts);
                }
                return;
            }
            Value::Object(fields) => {
                let are_fields = fields.keys().all(is_plain);
                for (name, value) in fields {
                    let name = if are_fields { name } else { "NAME" };
                    add(value, &format!("{path}.{name}"), facts);
                }
                return;
            }
        };
        facts.insert(format!("{path}: {kind}"));
    }
    let mut facts = BTreeSet::new();
    add(value, "", &mut facts);
    facts
}

/// Paths without versions, and without the top-level directory, if there is only one.
fn paths(text: &str) -> impl Iterator<Item = String> {
    let first = text.split(['/', '\n']).next().unwrap_or_default();
    let inside = |line: &str| {
        line.strip_prefix(first)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let top = text.lines().all(inside).then_some(first);
    text.lines().map(
        move |line| match top.and_then(|top| line.strip_prefix(top)) {
            Some(rest) => format!("TOP{}", without_versions(rest)),
            None => without_versions(line),
        },
    )
}

/// `erts-15.2.7` and `erts-16.0` are one path.
fn without_versions(path: &str) -> String {
    let mut shown = String::new();
    let mut chars = path.chars().peekable();
    while let Some(char) = chars.next() {
        if !char.is_ascii_digit() {
            shown.push(char);
            continue;
        }
        shown.push('N');
        while chars
            .next_if(|next| next.is_ascii_digit() || *next == '.')
            .is_some()
        {}
    }
    shown
}

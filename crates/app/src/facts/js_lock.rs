//! The registry packages in the lockfiles of JavaScript package managers, with their versions, except those only for
//! development.
//!
//! If a lockfile doesn't mark development packages, they follow from the dependency graph. Packages in doubt count as
//! shipped. Packages from directories, git and other sources are left out if the lockfile has no version for them.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A locked package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// Its own name, even if it is installed under an alias.
    pub name: String,
    pub version: String,
    /// The checksums of the package's archive, as words `ALGORITHM-BASE64` (w3.org/TR/SRI).
    pub integrity: Option<String>,
}

/// Reads a lockfile. `file` is its name, and `package` the text of the `package.json` next to it. Skips malformed
/// parts, since the package manager reports them.
#[must_use]
pub fn parse(file: &str, text: &str, package: &str) -> Vec<Locked> {
    let locked = match file {
        "package-lock.json" | "npm-shrinkwrap.json" => npm(text),
        "yarn.lock" => yarn(text, package),
        "pnpm-lock.yaml" => pnpm(text),
        "bun.lock" => bun(text),
        _ => Vec::new(),
    };
    let locked: BTreeSet<Locked> = locked.into_iter().collect();
    locked.into_iter().collect()
}

/// Whether this is a version, which starts with a digit, and not the URL of another source.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Splits `@scope/name@rest` at the first `@` after the first character.
fn split_name(spec: &str) -> Option<(&str, &str)> {
    let at = spec.get(1..)?.find('@')? + 1;
    Some((&spec[..at], &spec[at + 1..]))
}

/// A dependency of a package: its name, and the range or version.
type Need = (String, String);

/// An entry of a lockfile.
#[derive(Debug, Default)]
struct Entry {
    locked: Option<Locked>,
    needs: Vec<Need>,
}

/// Returns all entries that `roots` need, directly or indirectly. `found` returns the entries that a need of an entry
/// may resolve to.
fn reachable(
    entries: &[Entry],
    roots: Vec<usize>,
    found: impl Fn(usize, &Need) -> Vec<usize>,
) -> Vec<Locked> {
    let mut reachable: BTreeSet<usize> = roots.iter().copied().collect();
    let mut waiting = roots;
    while let Some(at) = waiting.pop() {
        for need in &entries[at].needs {
            let new = found(at, need).into_iter();
            waiting.extend(new.filter(|entry| reachable.insert(*entry)));
        }
    }
    let locked = reachable
        .into_iter()
        .filter_map(|at| entries[at].locked.clone());
    locked.collect()
}

fn all(entries: Vec<Entry>) -> Vec<Locked> {
    entries
        .into_iter()
        .filter_map(|entry| entry.locked)
        .collect()
}

/// `package-lock.json`, from version 2 on (docs.npmjs.com/cli/configuring-npm/package-lock-json).
#[derive(Debug, Deserialize)]
struct PackageLock {
    #[serde(default)]
    packages: BTreeMap<String, NpmPackage>,
}

#[derive(Debug, Deserialize)]
struct NpmPackage {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
}

fn npm(text: &str) -> Vec<Locked> {
    let Ok(lock) = serde_json::from_str::<PackageLock>(text) else {
        return Vec::new();
    };
    lock.packages
        .into_iter()
        .filter(|(_, package)| !package.dev && !package.link)
        .filter_map(|(place, package)| {
            let (_, name) = place.rsplit_once("node_modules/")?;
            Some(Locked {
                name: package.name.unwrap_or_else(|| name.to_owned()),
                version: package.version?,
                integrity: package.integrity,
            })
        })
        .collect()
}

/// The dependencies in `package.json`, without those for development.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, String>,
    /// Each workspace has its own `package.json`.
    workspaces: Option<Value>,
}

/// The maximum depth of lines to read in a lockfile.
const MAX_DEPTH: usize = 6;

/// Visits the lines of an indented file. `visit` gets the parent keys of a line, its own key, and its value, which is
/// empty for a line with children.
fn walk<'a>(
    text: &'a str,
    pair: fn(&'a str) -> Option<(String, &'a str)>,
    mut visit: impl FnMut(&[&str], &str, &str),
) {
    let mut above: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        let mut indent = line.len() - content.len();
        let mut content = content.trim_end();
        if content.starts_with('#') || content.starts_with("- ") {
            continue;
        }
        // A key of more than 1024 characters follows a question mark, and its value follows a colon on the next line.
        let long = content.strip_prefix("? ");
        if let Some(rest) = content.strip_prefix(':') {
            indent += 1;
            content = rest.trim_start();
        }
        let long = long.map(|key| (unquoted(key).to_owned(), ""));
        let Some((key, value)) = long.or_else(|| pair(content)) else {
            continue;
        };
        above.retain(|(at, _)| *at < indent);
        let keys: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
        visit(&keys, &key, unquoted(value));
        if value.is_empty() && above.len() < MAX_DEPTH {
            above.push((indent, key));
        }
    }
}

fn unquoted(text: &str) -> &str {
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(text)
}

/// Splits a YAML line `key: value`, in the forms that package managers write.
fn yaml(line: &str) -> Option<(String, &str)> {
    let (key, value) = match line.chars().next()? {
        quote @ ('"' | '\'') => {
            let (key, rest) = line[1..].split_once(quote)?;
            (key, rest.strip_prefix(':')?)
        }
        _ => match line.split_once(": ") {
            Some(pair) => pair,
            None => (line.strip_suffix(':')?, ""),
        },
    };
    Some((key.to_owned(), value.trim()))
}

/// Splits a line of yarn 1, `key value`, or `key:` with children. Several keys are separated by commas. Removes
/// quotes, which have no meaning in keys and values.
fn yarn_1_pair(line: &str) -> Option<(String, &str)> {
    if let Some(keys) = line.strip_suffix(':') {
        return Some((keys.replace('"', ""), ""));
    }
    let (key, value) = match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"')?,
        None => line.split_once(' ')?,
    };
    Some((key.to_owned(), value.trim()))
}

/// `yarn.lock` of yarn 1, and of yarn 2 and newer, which is YAML: entries have the ranges in
/// `package.json` files as their keys.
fn yarn(text: &str, package: &str) -> Vec<Locked> {
    let berry = text.lines().any(|line| line == "__metadata:");
    let mut entries: Vec<Entry> = Vec::new();
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let pair = if berry { yaml } else { yarn_1_pair };
    walk(text, pair, |above, key, value| match above {
        [] => {
            for key in key.split(", ") {
                keys.insert(key.to_owned(), entries.len());
                if let Some((name, _)) = split_name(key) {
                    names
                        .entry(name.to_owned())
                        .or_default()
                        .push(entries.len());
                }
            }
            entries.push(Entry::default());
        }
        [of] => {
            if let Some(entry) = entries.last_mut() {
                yarn_fact(entry, berry, of, key, value);
            }
        }
        [_, "dependencies" | "optionalDependencies"] => {
            if let Some(entry) = entries.last_mut() {
                entry.needs.push((key.to_owned(), value.to_owned()));
            }
        }
        _ => {}
    });
    let found = |(name, range): &Need| {
        let as_written = keys.get(&format!("{name}@{range}"));
        // Yarn 4 writes the protocol in ranges too, yarn 2 and 3 only in keys.
        let of_registry = || keys.get(&format!("{name}@npm:{range}"));
        match as_written.or_else(of_registry) {
            Some(entry) => vec![*entry],
            // The range isn't a key if the app sets `resolutions`.
            None => names.get(name).cloned().unwrap_or_default(),
        }
    };
    match serde_json::from_str::<Package>(package) {
        Ok(package) if package.workspaces.is_none() => {
            let mut needs = package.dependencies;
            needs.extend(package.optional_dependencies);
            let roots = needs.into_iter().flat_map(|need| found(&need)).collect();
            reachable(&entries, roots, |_, need| found(need))
        }
        _ => all(entries),
    }
}

/// Adds a line of an entry with these keys.
fn yarn_fact(entry: &mut Entry, berry: bool, keys: &str, key: &str, value: &str) {
    match (berry, key) {
        (false, "version") => {
            let Some((name, range)) = split_name(keys) else {
                return;
            };
            if range.starts_with("file:") || range.starts_with("link:") {
                return;
            }
            let alias = range.strip_prefix("npm:").and_then(split_name);
            entry.locked = Some(Locked {
                name: alias.map_or(name, |(name, _)| name).to_owned(),
                version: value.to_owned(),
                integrity: None,
            });
        }
        (false, "integrity") => {
            if let Some(locked) = &mut entry.locked {
                locked.integrity = Some(value.to_owned());
            }
        }
        // `name@npm:1.0.0`, and `name@patch:name@npm%3A1.0.0#…` with patches. The checksums of yarn 2 and newer are
        // of yarn's own archives.
        (true, "resolution") => {
            let Some((name, at)) = split_name(value) else {
                return;
            };
            let version = match (at.strip_prefix("npm:"), at.strip_prefix("patch:")) {
                (Some(version), _) => version,
                (_, Some(of)) => of.split_once("@npm%3A").map_or("", |(_, version)| version),
                _ => "",
            };
            let version = version.split([':', '#']).next().unwrap_or_default();
            if is_version(version) {
                entry.locked = Some(Locked {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    integrity: None,
                });
            }
        }
        _ => {}
    }
}

/// `pnpm-lock.yaml` in formats 5 and 6, in which packages have a flag for development, and 9, in which `snapshots`
/// contains the dependency graph (github.com/pnpm/spec, lockfile).
fn pnpm(text: &str) -> Vec<Locked> {
    let mut format = String::new();
    let mut packages: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut for_development = BTreeSet::new();
    let mut roots: Vec<Need> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    walk(text, yaml, |above, key, value| match (above, key) {
        ([], "lockfileVersion") => value.clone_into(&mut format),
        (["packages"], _) => {
            packages.insert(key.to_owned(), None);
        }
        (["packages", id], "resolution") => {
            packages.insert((*id).to_owned(), integrity(value));
        }
        (["packages", id, "resolution"], "integrity") => {
            packages.insert((*id).to_owned(), Some(value.to_owned()));
        }
        (["packages", id], "dev") if value == "true" => {
            for_development.insert((*id).to_owned());
        }
        (
            [
                "importers",
                _,
                "dependencies" | "optionalDependencies",
                name,
            ],
            "version",
        ) => {
            roots.push(((*name).to_owned(), value.to_owned()));
        }
        (["snapshots"], _) => {
            keys.insert(key.to_owned(), entries.len());
            entries.push(Entry::default());
        }
        (["snapshots", _, "dependencies" | "optionalDependencies"], _) => {
            if let Some(entry) = entries.last_mut() {
                entry.needs.push((key.to_owned(), value.to_owned()));
            }
        }
        _ => {}
    });
    let by_slash = format.starts_with('5');
    if by_slash || format.starts_with('6') {
        let packages = packages.into_iter();
        let shipped = packages.filter(|(id, _)| !for_development.contains(id));
        return shipped
            .filter_map(|(id, integrity)| {
                let (name, version) = split_path(&id, if by_slash { '/' } else { '@' })?;
                Some(Locked {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    integrity,
                })
            })
            .collect();
    }
    for (key, at) in &keys {
        let id = key.split_once('(').map_or(key.as_str(), |(id, _)| id);
        let Some((name, version)) = split_name(id).filter(|(_, version)| is_version(version))
        else {
            continue;
        };
        entries[*at].locked = Some(Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            integrity: packages.get(id).cloned().flatten(),
        });
    }
    let found = |(name, version): &Need| {
        let by_name = keys.get(&format!("{name}@{version}"));
        // The package may be installed under an alias.
        let found = by_name.or_else(|| keys.get(version));
        found.copied().into_iter().collect::<Vec<usize>>()
    };
    let roots = roots.iter().flat_map(found).collect();
    reachable(&entries, roots, |_, need| found(need))
}

/// `/name/1.0.0_peer@2.0.0` of format 5, and `/name@1.0.0(peer@2.0.0)` of 6. Packages without a leading slash aren't
/// from a registry.
fn split_path(id: &str, between: char) -> Option<(&str, &str)> {
    let id = id.strip_prefix('/')?.split('(').next()?;
    let (name, version) = id.rsplit_once(between)?;
    Some((name, version.split('_').next()?))
}

/// Returns the integrity in `{integrity: sha512-…, tarball: …}`.
fn integrity(resolution: &str) -> Option<String> {
    let (_, rest) = resolution.split_once("integrity: ")?;
    let end = rest.find([',', '}', ' ']).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

/// `bun.lock`: JSON with trailing commas (bun.sh/docs/install/lockfile). The keys of packages are their paths in
/// `node_modules`, without the name of that directory.
#[derive(Debug, Deserialize)]
struct BunLock {
    #[serde(default)]
    workspaces: BTreeMap<String, Package>,
    #[serde(default)]
    packages: BTreeMap<String, Vec<Value>>,
}

fn bun(text: &str) -> Vec<Locked> {
    let Ok(lock) = serde_json::from_str::<BunLock>(&without_trailing_commas(text)) else {
        return Vec::new();
    };
    let places: Vec<&str> = lock.packages.keys().map(String::as_str).collect();
    let entries: Vec<Entry> = lock
        .packages
        .values()
        .map(|parts| bun_entry(parts))
        .collect();
    let found = |folders: &str, name: &str| {
        let mut folders: Vec<&str> = folders.split('/').collect();
        loop {
            let place = [&folders[..], &[name]].concat().join("/");
            let place = place.trim_start_matches('/');
            if let Ok(at) = places.binary_search(&place) {
                return vec![at];
            }
            // A scope is not a directory of packages.
            folders.pop();
            if folders.last().is_some_and(|folder| folder.starts_with('@')) {
                folders.pop();
            }
            if folders.is_empty() {
                return places.binary_search(&name).into_iter().collect();
            }
        }
    };
    let roots = lock.workspaces.values().flat_map(|package| {
        let needs = package.dependencies.keys();
        let needs = needs.chain(package.optional_dependencies.keys());
        needs.flat_map(|name| found("", name)).collect::<Vec<_>>()
    });
    let roots = roots.collect();
    reachable(&entries, roots, |at, (name, _)| found(places[at], name))
}

/// Reads `["name@version", registry, {dependencies, …}, integrity]`.
fn bun_entry(parts: &[Value]) -> Entry {
    let words: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    let spec = words.first().copied().and_then(split_name);
    let locked = spec
        .filter(|(_, version)| is_version(version))
        .map(|(name, version)| Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            integrity: words
                .last()
                .filter(|word| word.contains('-'))
                .map(|word| (*word).to_owned()),
        });
    let mut needs = Vec::new();
    if let Some(facts) = parts.iter().find_map(Value::as_object) {
        let no_need = facts.get("optionalPeers").and_then(Value::as_array);
        let is_needed = |name: &&String| {
            let mut optional = no_need.into_iter().flatten();
            !optional.any(|optional| optional.as_str() == Some(name))
        };
        for group in ["dependencies", "optionalDependencies", "peerDependencies"] {
            let group = facts.get(group).and_then(Value::as_object);
            let names = group.into_iter().flat_map(|group| group.keys());
            let names = names.filter(is_needed);
            needs.extend(names.map(|name| (name.clone(), String::new())));
        }
    }
    Entry { locked, needs }
}

fn without_trailing_commas(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if in_string {
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
        } else if c == '"' {
            in_string = true;
        } else if c == ',' && text[at + 1..].trim_start().starts_with(['}', ']']) {
            continue;
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(locked: &[Locked]) -> Vec<String> {
        let named = locked.iter();
        named
            .map(|one| format!("{}@{}", one.name, one.version))
            .collect()
    }

    const YARN: &str = r#"a@1.0.0:
  version "1.0.0"
  dependencies:
    "@s/b" "^1.0.0 || ^2.0.0"

"@s/b@2.0.0":
  version "2.0.0"

c@1:
  version "1.0.0"
"#;

    #[test]
    fn yarn_resolution_is_found_by_package_name() {
        let package = r#"{"dependencies": {"a": "^1.0.0"}, "resolutions": {"@s/b": "2.0.0"}}"#;
        let locked = parse("yarn.lock", YARN, package);
        assert_eq!(named(&locked), ["@s/b@2.0.0", "a@1.0.0"]);
        // The dependencies of workspaces are in their own files.
        let package = r#"{"workspaces": ["packages/*"]}"#;
        assert_eq!(parse("yarn.lock", YARN, package).len(), 3);
    }

    #[test]
    fn reads_explicit_yaml_keys() {
        let peers = "p".repeat(1100);
        let text = format!(
            "lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.0({peers}@2.0.0)

snapshots:

  ? a@1.0.0({peers}@2.0.0)
  : dependencies:
      b: 1.0.0

  b@1.0.0: {{}}

  c@1.0.0: {{}}
"
        );
        let locked = parse("pnpm-lock.yaml", &text, "{}");
        assert_eq!(named(&locked), ["a@1.0.0", "b@1.0.0"]);
    }

    #[test]
    fn bun_dependencies_resolve_like_node_modules() {
        let text = r#"{"workspaces": {"": {"dependencies": {"@s/a": "1"}}}, "packages": {
            "@s/a": ["@s/a@1.0.0", "", {"dependencies": {"b": "1", "c": "1"}}, "sha512-AA=="],
            "@s/a/b": ["b@1.0.0", "", {"dependencies": {"c": "2"}}, "sha512-AA=="],
            "@s/a/b/c": ["c@2.0.0", "", {}, "sha512-AA==",],
            "@s/c": ["@s/c@9.0.0", "", {}, "sha512-AA=="],
            "b": ["b@9.0.0", "", {}, "sha512-AA=="],
            "c": ["c@1.0.0, ]", "", {}, "sha512-AA=="],
        }}"#;
        let locked = parse("bun.lock", text, "{}");
        let expected = ["@s/a@1.0.0", "b@1.0.0", "c@1.0.0, ]", "c@2.0.0"];
        assert_eq!(named(&locked), expected);
    }

    #[test]
    fn invalid_lockfile_yields_no_packages() {
        let files = [
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
        ];
        let texts = [
            "",
            "\"",
            "{",
            "a:\n:\n? ",
            "<<<<<<< HEAD\n",
            "é@é:\n  version\n",
        ];
        for file in files {
            for text in texts {
                assert_eq!(parse(file, text, "{}"), [], "{file}: {text:?}");
            }
        }
    }
}

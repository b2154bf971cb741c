//! The project's mise files: `mise.toml` in all of its places, and the lockfiles next to them.
//!
//! Source: `LOCAL_CONFIG_FILENAMES`, `env_config_patterns` and `lockfile_path_for_config` of
//! github.com/jdx/mise, and <https://mise.jdx.dev/configuration.html>. Files named `*.local.toml` are
//! not committed, and are left out.

use super::error::ReadError;
use super::files::in_any_encoding;
use super::paths::{join, path_from};
use super::tool_versions::{names, tool_name};
use super::version_files::VersionEntry;
use crate::origin::{Origin, Setting};
use std::ffi::OsStr;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use versions::Tool;

/// The files of a directory, in order of precedence.
const FILES: [&str; 9] = [
    ".mise.toml",
    "mise.toml",
    "mise/config.toml",
    ".mise/config.toml",
    ".mise/conf.d",
    ".config/mise.toml",
    ".config/mise/mise.toml",
    ".config/mise/config.toml",
    ".config/mise/conf.d",
];

/// The files for one environment, which take precedence over the others.
const ENVIRONMENT_FILES: [&str; 6] = [
    ".mise.{env}.toml",
    ".mise/config.{env}.toml",
    "mise.{env}.toml",
    "mise/config.{env}.toml",
    ".config/mise.{env}.toml",
    ".config/mise/config.{env}.toml",
];

/// The files of the repository that may set `MISE_ENV`.
const SETTINGS: [&str; 2] = [".miserc.toml", ".config/miserc.toml"];

/// Returns the requests in the files in the app's directory and the ones above it, in order of precedence.
/// `mise_env` is the config var `MISE_ENV`.
pub(crate) fn entries(
    dir: &Path,
    app: &str,
    mise_env: Option<&str>,
) -> Result<Vec<VersionEntry>, ReadError> {
    let mut folders: Vec<&str> = Path::new(app)
        .ancestors()
        .filter_map(Path::to_str)
        .collect();
    // The last ancestor is empty: the root.
    folders.retain(|folder| !folder.is_empty() && *folder != ".");
    folders.push(".");
    let environments = match mise_env {
        Some(list) => list.split(',').map(str::to_owned).collect(),
        None => environments(dir, &folders)?,
    };
    let mut entries = Vec::new();
    for folder in folders {
        // The last environment takes precedence.
        for env in environments.iter().rev().map(|env| env.trim()) {
            if !env.is_empty() && !env.contains('/') {
                for name in ENVIRONMENT_FILES {
                    let path = join(folder, &name.replace("{env}", env));
                    entries.extend(entries_of_file(dir, &path, &format!("mise.{env}.lock"))?);
                }
            }
        }
        for name in FILES {
            let path = join(folder, name);
            if name.ends_with("conf.d") {
                for fragment in fragments(dir, &path) {
                    entries.extend(entries_of_file(dir, &fragment, "../mise.lock")?);
                }
            } else {
                entries.extend(entries_of_file(dir, &path, "mise.lock")?);
            }
        }
    }
    Ok(entries)
}

/// Returns the environments that a `.miserc.toml` lists.
fn environments(dir: &Path, folders: &[&str]) -> Result<Vec<String>, ReadError> {
    for folder in folders {
        for name in SETTINGS {
            let path = join(folder, name);
            let Some((text, _)) = in_any_encoding(dir, &path)? else {
                continue;
            };
            let table = parse(&path, &text)?;
            let Some(env) = table.get_ref().get("env") else {
                continue;
            };
            return Ok(match env.get_ref() {
                DeValue::Array(list) => list
                    .iter()
                    .filter_map(|env| Some(env.get_ref().as_str()?.to_owned()))
                    .collect(),
                env => env.as_str().map(str::to_owned).into_iter().collect(),
            });
        }
    }
    Ok(Vec::new())
}

/// Lists the files of a `conf.d`. The last by name takes precedence.
fn fragments(dir: &Path, folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(dir.join(folder)).into_iter().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !name.contains(".local."))
        .filter(|name| Path::new(name).extension() == Some(OsStr::new("toml")))
        .collect();
    names.sort_by(|a, b| b.cmp(a));
    names.iter().map(|name| join(folder, name)).collect()
}

/// Returns the requests in one file. `lock` is its lockfile, relative to its directory.
fn entries_of_file(dir: &Path, path: &str, lock: &str) -> Result<Vec<VersionEntry>, ReadError> {
    let Some((text, _)) = in_any_encoding(dir, path)? else {
        return Ok(Vec::new());
    };
    let table = parse(path, &text)?;
    let table = table.get_ref();
    let mut entries = requested(path, &text, table);
    let setting = |section: &str, key: &str| {
        let section = table.get(section)?.get_ref().as_table()?;
        section.get(key)?.get_ref().as_bool()
    };
    if !entries.is_empty() && setting("settings", "lockfile") != Some(false) {
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let lock = path_from(folder, lock);
        if let Some((text, _)) = in_any_encoding(dir, &lock)? {
            let locked = locked(&lock, &text)?;
            for entry in &mut entries {
                entry.lock(&locked);
            }
        }
    }
    Ok(entries)
}

/// The `[tools]` of a file: `erlang = "27"`, `node = ["22", "20"]` (the first counts),
/// `elixir = {version = "1.18"}`. Other tools are left out.
fn requested(path: &str, text: &str, table: &DeTable<'_>) -> Vec<VersionEntry> {
    let tools = table.get("tools").map(Spanned::get_ref);
    let tools = tools.and_then(|tools| tools.as_table());
    let entry = |tool: Tool| {
        let (name, value) = tools?
            .iter()
            .find(|(name, _)| names(tool).contains(&tool_name(name.get_ref())))?;
        let value = version(value.get_ref())?;
        // In mise, `prefix:1.18` requests the newest version that starts with 1.18, like `1.18` here.
        let value = value.strip_prefix("prefix:").unwrap_or(value);
        let line = line_at(text, name.span().start);
        Some(VersionEntry {
            tool,
            requested: Setting::new(value.to_owned(), Origin::file(path, line)),
        })
    };
    [Tool::Erlang, Tool::Elixir, Tool::Node]
        .into_iter()
        .filter_map(entry)
        .collect()
}

/// The versions of a lockfile: `[[tools.erlang]]` with a `version`.
fn locked(path: &str, text: &str) -> Result<Vec<VersionEntry>, ReadError> {
    let table = parse(path, text)?;
    let Some(tools) = table.get_ref().get("tools") else {
        return Ok(Vec::new());
    };
    let tools = tools.get_ref().as_table().into_iter().flatten();
    let mut entries = Vec::new();
    for (name, value) in tools {
        let is_of = |tool: &Tool| names(*tool).contains(&tool_name(name.get_ref()));
        let known = [Tool::Erlang, Tool::Elixir, Tool::Node];
        let Some(tool) = known.into_iter().find(is_of) else {
            continue;
        };
        let tables: Vec<&DeValue<'_>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(Spanned::get_ref).collect(),
            one => vec![one],
        };
        for version in tables.into_iter().filter_map(|table| table.get("version")) {
            if let Some(text_of_version) = version.get_ref().as_str() {
                let line = line_at(text, version.span().start);
                let origin = Origin::file(path, line);
                entries.push(VersionEntry {
                    tool,
                    requested: Setting::new(text_of_version.to_owned(), origin),
                });
            }
        }
    }
    Ok(entries)
}

impl VersionEntry {
    /// Replaces the request by the first locked version that satisfies it, if any.
    fn lock(&mut self, locked: &[Self]) {
        let mut locked = locked.iter().filter(|locked| locked.tool == self.tool);
        let satisfied = |locked: &&Self| satisfies(&self.requested.value, &locked.requested.value);
        if let Some(found) = locked.find(satisfied)
            && found.requested.value != self.requested.value
        {
            self.requested = found.requested.clone();
        }
    }
}

/// Returns whether a locked version satisfies a request of mise.
fn satisfies(request: &str, version: &str) -> bool {
    let [request, version] = [request, version].map(|text| text.strip_prefix('v').unwrap_or(text));
    if request == "latest" || request.starts_with("lts") {
        return true;
    }
    let rest = version.strip_prefix(request);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

fn parse<'a>(path: &str, text: &'a str) -> Result<Spanned<DeTable<'a>>, ReadError> {
    DeTable::parse(text).map_err(|error| ReadError::Toml {
        path: path.to_owned(),
        line: error.span().map_or(0, |span| line_at(text, span.start)),
        message: error.message().to_owned(),
    })
}

/// Returns the version in a value. A number without quotes is taken as written.
fn version<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        DeValue::Integer(number) => Some(number.as_str()),
        DeValue::Float(number) => Some(number.as_str()),
        DeValue::Array(list) => version(list.iter().next()?.get_ref()),
        DeValue::Table(table) => version(table.get("version")?.get_ref()),
        DeValue::Boolean(_) | DeValue::Datetime(_) => None,
    }
}

fn line_at(text: &str, at: usize) -> u32 {
    let newlines = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    u32::try_from(newlines).map_or(0, |newlines| newlines + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    /// `VALUE PLACE` of each entry of a tool.
    fn found(files: &[(&str, &str)], app_dir: &str, env: Option<&str>) -> Vec<String> {
        let dir = app(files);
        let entries = entries(dir.path(), app_dir, env).unwrap();
        let elixir = entries.iter().filter(|entry| entry.tool == Tool::Elixir);
        elixir
            .map(|entry| format!("{} {}", entry.requested.value, entry.requested.origin))
            .collect()
    }

    fn read(text: &str) -> Vec<(Tool, String, String)> {
        let dir = app(&[("mise.toml", text)]);
        let entries = entries(dir.path(), ".", None).unwrap();
        let entries = entries.into_iter().map(|entry| {
            let Setting { value, origin } = entry.requested;
            (entry.tool, value, origin.to_string())
        });
        entries.collect()
    }

    fn in_line(tool: Tool, value: &str, line: u32) -> (Tool, String, String) {
        (tool, value.to_owned(), format!("mise.toml:{line}"))
    }

    #[test]
    fn reads_every_version_form_of_mise_toml() {
        let text = "\u{feff}# tools\r\n[env]\r\nerlang = \"1\"\r\n[tools]\r\nerlang = \"27\" # newest\r\n\"core:elixir\" = {version = \"1.18.4-otp-27\"}\r\nnode = [\"22\", \"20\"]\r\nusage = \"latest\"\r\n";
        assert_eq!(
            read(text),
            [
                in_line(Tool::Erlang, "27", 5),
                in_line(Tool::Elixir, "1.18.4-otp-27", 6),
                in_line(Tool::Node, "22", 7),
            ]
        );
        assert_eq!(
            read("[tools]\n\"asdf:elixir\" = 1.18\nnodejs = 22\nerlang = \"prefix:27.3\"\n"),
            [
                in_line(Tool::Erlang, "27.3", 4),
                in_line(Tool::Elixir, "1.18", 2),
                in_line(Tool::Node, "22", 3),
            ]
        );
        assert_eq!(
            read("[tools.elixir]\nversion = \"1.17\"\n"),
            [in_line(Tool::Elixir, "1.17", 1)]
        );
        assert_eq!(read("tools = 1\n"), []);
        assert_eq!(read("[tools]\nnode = []\nerlang = true\nelixir = {}\n"), []);
    }

    #[test]
    fn invalid_file_names_line() {
        for (path, text, other) in [
            ("mise.toml", "[tools]\nerlang = \"27\nelixir = 1\n", ""),
            ("mise.lock", "\n<<<<<<< HEAD\n", "tools.erlang = \"27\"\n"),
            (".miserc.toml", "\nenv = [\n", ""),
        ] {
            let dir = app(&[("mise.toml", other), (path, text)]);
            let error = entries(dir.path(), ".", None).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with(&format!("{path}:2: ")), "{message}");
        }
    }

    #[test]
    fn nearest_config_file_wins() {
        const ELIXIR: &str = "tools.elixir = \"1.18\"\n";
        let places = [
            "api/.mise.toml",
            "api/mise.toml",
            "api/mise/config.toml",
            "api/.mise/config.toml",
            "api/.mise/conf.d/20.toml",
            "api/.mise/conf.d/10.toml",
            "api/.config/mise.toml",
            "api/.config/mise/mise.toml",
            "api/.config/mise/config.toml",
            "api/.config/mise/conf.d/10.toml",
            ".mise.toml",
            ".config/mise/config.toml",
        ];
        let files: Vec<_> = places.iter().map(|place| (*place, ELIXIR)).collect();
        let expected: Vec<_> = places.iter().map(|p| format!("1.18 {p}:1")).collect();
        assert_eq!(found(&files, "api", None), expected);
        // A file instead of a directory contains no config files.
        assert_eq!(found(&[("mise", ""), (".config", "")], ".", None), [""; 0]);
        let others = [
            "mise.local.toml",
            "mise.prod.toml",
            ".mise/conf.d/.hidden.toml",
            ".mise/conf.d/readme.md",
            "other/mise.toml",
        ];
        let files: Vec<_> = others.iter().map(|place| (*place, ELIXIR)).collect();
        assert_eq!(found(&files, "api", None), [""; 0]);
    }

    #[test]
    fn environment_specific_files_are_read_as_in_mise() {
        let files = [
            ("mise.toml", "tools.elixir = \"1\"\n"),
            ("mise.prod.toml", "tools.elixir = \"2\"\n"),
            (".config/mise/config.ci.toml", "tools.elixir = \"3\"\n"),
        ];
        let prod = "2 mise.prod.toml:1";
        let ci = "3 .config/mise/config.ci.toml:1";
        let base = "1 mise.toml:1";
        assert_eq!(found(&files, ".", None), [base]);
        assert_eq!(found(&files, ".", Some("prod")), [prod, base]);
        assert_eq!(found(&files, ".", Some("prod, ci")), [ci, prod, base]);
        assert_eq!(found(&files, ".", Some("../x,,staging")), [base]);
        let rc = (".miserc.toml", "env = [\"ci\"]\n");
        let with_rc = [&files[..], &[rc]].concat();
        assert_eq!(found(&with_rc, ".", None), [ci, base]);
        // The variable takes precedence.
        assert_eq!(found(&with_rc, ".", Some("prod")), [prod, base]);
    }

    const LOCK: &str = "[[tools.elixir]]\nversion = \"1.18.4-otp-27\"\nbackend = \"core:elixir\"\n\n[tools.elixir.platforms.linux-x64]\nsize = 1\n\n[[tools.node]]\nversion = \"22.1.0\"\n";

    #[test]
    fn locked_version_is_used_if_it_matches_request() {
        for (request, lock, expected) in [
            ("1.18", LOCK, "1.18.4-otp-27 mise.lock:2"),
            ("1", LOCK, "1.18.4-otp-27 mise.lock:2"),
            ("latest", LOCK, "1.18.4-otp-27 mise.lock:2"),
            ("1.18.4-otp-27", LOCK, "1.18.4-otp-27 mise.toml:1"),
            // A prefix of a number doesn't match, and neither does another version.
            ("1.1", LOCK, "1.1 mise.toml:1"),
            ("1.17", LOCK, "1.17 mise.toml:1"),
            ("system", LOCK, "system mise.toml:1"),
            ("1.18", "tools = 1\n", "1.18 mise.toml:1"),
            (
                "1.18",
                "[tools.elixir]\nversion = \"1.18.2\"\n",
                "1.18.2 mise.lock:2",
            ),
        ] {
            let text = format!("tools.elixir = \"{request}\"\n");
            let files = [("mise.toml", &*text), ("mise.lock", lock)];
            assert_eq!(found(&files, ".", None), [expected], "{request}");
        }
        let off = "tools.elixir = \"1.18\"\nsettings.lockfile = false\n";
        let files = [("mise.toml", off), ("mise.lock", LOCK)];
        assert_eq!(found(&files, ".", None), ["1.18 mise.toml:1"]);
    }

    #[test]
    fn each_file_uses_lockfile_of_its_directory_and_environment() {
        for (file, lock, env) in [
            ("mise.toml", "mise.lock", None),
            (".config/mise.toml", ".config/mise.lock", None),
            (".mise/config.toml", ".mise/mise.lock", None),
            (".mise/conf.d/x.toml", ".mise/mise.lock", None),
            ("mise.prod.toml", "mise.prod.lock", Some("prod")),
        ] {
            let files = [(file, "tools.elixir = \"1.18\"\n"), (lock, LOCK)];
            let expected = format!("1.18.4-otp-27 {lock}:2");
            assert_eq!(found(&files, ".", env), [expected]);
        }
        let elsewhere = [
            ("mise.prod.toml", "tools.elixir = \"1.18\"\n"),
            ("mise.lock", LOCK),
        ];
        let found = found(&elsewhere, ".", Some("prod"));
        assert_eq!(found, ["1.18 mise.prod.toml:1"]);
    }
}

//! The parts of `package.json` that affect the JavaScript half of a build.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The fields that Mixpack reads. npm checks the others.
///
/// Shape: <https://docs.npmjs.com/cli/configuring-npm/package-json>. A field of an unexpected type is an error, since
/// npm would fail on it later with a less clear message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PackageJson {
    pub name: Option<String>,
    pub scripts: BTreeMap<String, String>,
    /// Old packages have a list here. npm ignores it.
    #[serde(deserialize_with = "string_values")]
    pub engines: BTreeMap<String, String>,
    pub package_manager: Option<String>,
    /// Any shape is accepted here and in the next three: npm checks them.
    pub dependencies: serde_json::Value,
    pub dev_dependencies: serde_json::Value,
    pub optional_dependencies: serde_json::Value,
    pub workspaces: serde_json::Value,
    /// The pins of the version manager Volta: `{"node": "22.1.0"}`. Any shape is accepted, since npm ignores it.
    pub volta: serde_json::Value,
    /// For npm 10.9 and newer: `{"runtime": {"name": "node", "version": "^22"}}`. Each entry may be a list.
    pub dev_engines: serde_json::Value,
}

impl PackageJson {
    /// Reads the text of a `package.json`.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.trim_start_matches('\u{feff}'))
    }

    /// Returns the requested versions of Node: section, key and value, in order of precedence.
    pub(crate) fn node_versions(&self) -> Vec<(&'static str, &'static str, String)> {
        let engines = self.engines.get("node").cloned();
        let volta = self.volta["node"].as_str();
        let runtimes = match &self.dev_engines["runtime"] {
            serde_json::Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let runtime = runtimes
            .iter()
            .find(|runtime| runtime["name"] == "node")
            .and_then(|runtime| runtime["version"].as_str());
        [
            ("engines", "node", engines),
            ("volta", "node", volta.map(str::to_owned)),
            ("devEngines", "version", runtime.map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(section, key, value)| {
            let value = value.filter(|value| !value.trim().is_empty())?;
            Some((section, key, value))
        })
        .collect()
    }

    /// Returns the package managers in `devEngines.packageManager`, in their order. npm 10.9 and newer check
    /// them (<https://docs.npmjs.com/cli/configuring-npm/package-json#devengines>).
    pub(crate) fn dev_managers(&self) -> Vec<DevManager> {
        // The entries of a list fail together, with the default `onFail` of the last one.
        let entries = match &self.dev_engines["packageManager"] {
            serde_json::Value::Array(entries) => entries.as_slice(),
            one => std::slice::from_ref(one),
        };
        let managers = entries.iter().enumerate().filter_map(|(at, manager)| {
            let version = manager["version"].as_str().unwrap_or("*").trim();
            let fails_by_default = at + 1 == entries.len();
            Some(DevManager {
                name: manager["name"].as_str()?.to_owned(),
                version: Some(version)
                    .filter(|version| !["", "*"].contains(version))
                    .map(str::to_owned),
                is_required: match manager["onFail"].as_str() {
                    Some("ignore" | "warn") => false,
                    Some(_) => true,
                    None => fails_by_default,
                },
            })
        });
        managers.collect()
    }

    /// The globs of `workspaces`: a list, or yarn's object with the list `packages`.
    pub(crate) fn workspaces(&self) -> Vec<String> {
        let list = match &self.workspaces {
            serde_json::Value::Object(object) => object.get("packages"),
            list => Some(list),
        };
        let globs = list.and_then(|list| list.as_array()).into_iter().flatten();
        globs
            .filter_map(|glob| glob.as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Whether it depends on a package with this name.
    pub(crate) fn names(&self, package: &str) -> bool {
        let lists = [
            &self.dependencies,
            &self.dev_dependencies,
            &self.optional_dependencies,
        ];
        lists.iter().any(|list| !list[package].is_null())
    }

    /// Returns directories that are dependencies, as written: `../deps/phoenix`.
    pub(crate) fn folders(&self) -> Vec<&str> {
        let lists = [
            &self.dependencies,
            &self.dev_dependencies,
            &self.optional_dependencies,
        ];
        let versions = lists.into_iter().filter_map(|list| list.as_object());
        let versions = versions.flat_map(|list| list.values());
        versions
            .filter_map(|version| {
                let version = version.as_str()?;
                let schemes = ["file:", "link:", "portal:"];
                let named = schemes.iter().find_map(|s| version.strip_prefix(s));
                named.or_else(|| version.starts_with('.').then_some(version))
            })
            .collect()
    }

    /// Returns the first script that runs when packages are installed and may change files.
    pub(crate) fn install_script(&self) -> Option<&str> {
        const SCRIPTS: [&str; 7] = [
            "preinstall",
            "install",
            "postinstall",
            "prepublish",
            "preprepare",
            "prepare",
            "postprepare",
        ];
        // These only change `node_modules`, or nothing without git.
        const HARMLESS: [&str; 2] = ["patch-package", "husky"];
        SCRIPTS.into_iter().find(|name| {
            self.scripts.get(*name).is_some_and(|line| {
                let program = line.split_whitespace().next().unwrap_or_default();
                !HARMLESS.contains(&program) || line.contains(['&', ';', '|'])
            })
        })
    }

    /// Returns the version or range of a package, if it is a dependency of either kind.
    #[must_use]
    pub fn requires(&self, package: &str) -> Option<&str> {
        let lists = [&self.dev_dependencies, &self.dependencies];
        lists.into_iter().find_map(|list| list[package].as_str())
    }

    #[must_use]
    pub(crate) fn has_script(&self, name: &str) -> bool {
        self.scripts.contains_key(name)
    }
}

/// A package manager that `devEngines` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevManager {
    pub(crate) name: String,
    /// A range in npm's syntax. `None` for any version.
    pub(crate) version: Option<String>,
    /// Whether another package manager is an error (`onFail`).
    pub(crate) is_required: bool,
}

impl DevManager {
    /// Formats it like a value of `packageManager`.
    pub(crate) fn shown(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Reads the strings of an object. Any other value counts as an empty object.
fn string_values<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let serde_json::Value::Object(entries) = serde_json::Value::deserialize(value)? else {
        return Ok(BTreeMap::new());
    };
    let texts = entries.into_iter();
    Ok(texts
        .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
        .collect())
}

/// Returns the line, 1-based, of `key` in `section`; 0 if it isn't found. A text search is enough to point at a place
/// in a parsed file.
pub(crate) fn line_of(text: &str, section: &str, key: &str) -> u32 {
    let find = |from: usize, name: &str| {
        let name = format!("\"{name}\"");
        text[from..].find(&name).map(|at| from + at)
    };
    let at = find(0, section).and_then(|start| find(start, key));
    at.map_or(0, |at| {
        (1..)
            .zip(text[..=at].lines())
            .last()
            .map_or(0, |(line, _)| line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scripts_engines_and_package_manager() {
        let json = PackageJson::parse(
            r#"{"name":"assets","scripts":{"deploy":"esbuild"},"engines":{"node":"22.x"},
                "packageManager":"npm@10.9.0","dependencies":{"phoenix":"file:../deps/phoenix"}}"#,
        )
        .unwrap();
        assert!(json.has_script("deploy"));
        assert!(!json.has_script("build"));
        assert_eq!(json.engines["node"], "22.x");
        assert_eq!(json.package_manager.as_deref(), Some("npm@10.9.0"));
    }

    #[test]
    fn malformed_engines_are_ignored() {
        for engines in [
            r#"["node >= 0.10", "npm"]"#,
            r#""node 20""#,
            "null",
            r#"{"node": 20, "npm": ["10"]}"#,
        ] {
            let json = PackageJson::parse(&format!("{{\"engines\": {engines}}}")).unwrap();
            assert_eq!(json.node_versions(), [], "{engines}");
        }
        let json = PackageJson::parse(r#"{"engines": {"node": "20", "vscode": {}}}"#).unwrap();
        assert_eq!(json.engines["node"], "20");
    }

    #[test]
    fn finds_line_of_key_in_section() {
        let text = "{\n \"node\": 1,\n \"engines\": {\n  \"node\": \"22\"}}";
        assert_eq!(line_of(text, "engines", "node"), 4);
        assert_eq!(
            line_of("{\"engines\": {\"node\": \"22\"}}", "engines", "node"),
            1
        );
        assert_eq!(line_of(text, "engines", "npm"), 0);
    }

    #[test]
    fn node_version_comes_from_engines_then_volta_then_dev_engines() {
        let json = PackageJson::parse(
            r#"{"engines":{"node":">=18"},"volta":{"node":"22.1.0","extends":"../package.json"},
                "devEngines":{"runtime":[{"name":"bun","version":"1"},{"name":"node","version":"^22"}]}}"#,
        )
        .unwrap();
        let values: Vec<_> = json
            .node_versions()
            .into_iter()
            .map(|found| found.2)
            .collect();
        assert_eq!(values, [">=18", "22.1.0", "^22"]);
        let one = r#"{"devEngines":{"runtime":{"name":"node","version":"24"}}}"#;
        let one = PackageJson::parse(one).unwrap().node_versions();
        assert_eq!(one, [("devEngines", "version", "24".to_owned())]);
        for nothing in [
            "{}",
            r#"{"volta":null,"devEngines":[]}"#,
            r#"{"devEngines":{"runtime":"node"}}"#,
        ] {
            assert_eq!(PackageJson::parse(nothing).unwrap().node_versions(), []);
        }
    }

    #[test]
    fn reads_dev_engines_package_manager_as_object_or_list() {
        let managers = |text: &str| {
            let text = format!("{{\"devEngines\": {{\"packageManager\": {text}}}}}");
            let managers = PackageJson::parse(&text).unwrap().dev_managers();
            let managers = managers.into_iter().map(|manager| {
                let version = manager.version.unwrap_or_default();
                format!("{}@{version} {}", manager.name, manager.is_required)
            });
            managers.collect::<Vec<_>>()
        };
        let one = r#"{"name": "pnpm", "version": "^10"}"#;
        assert_eq!(managers(one), ["pnpm@^10 true"]);
        let warned = r#"{"name": "yarn", "version": "*", "onFail": "warn"}"#;
        assert_eq!(managers(warned), ["yarn@ false"]);
        let list = r#"[{"name": "npm", "version": ">=11"}, {"name": "pnpm", "onFail": "download"}, {"name": "bun"}]"#;
        assert_eq!(
            managers(list),
            ["npm@>=11 false", "pnpm@ true", "bun@ true"]
        );
        for nothing in ["null", "[]", "\"pnpm\"", "{\"version\": \"1\"}"] {
            assert!(managers(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn reads_workspaces_as_list_or_object() {
        for text in [
            r#"["a", "b/*"]"#,
            r#"{"packages": ["a", "b/*"], "nohoist": ["c"]}"#,
        ] {
            let json = PackageJson::parse(&format!("{{\"workspaces\": {text}}}")).unwrap();
            assert_eq!(json.workspaces(), ["a", "b/*"]);
        }
        assert!(
            PackageJson::parse("{\"workspaces\": true}")
                .unwrap()
                .workspaces()
                .is_empty()
        );
    }

    #[test]
    fn finds_dependencies_and_dev_dependencies() {
        let text = r#"{"dependencies":{"a":"1"},"devDependencies":{"b":"^2"}}"#;
        let json = PackageJson::parse(text).unwrap();
        assert_eq!(
            [json.requires("a"), json.requires("b"), json.requires("c")],
            [Some("1"), Some("^2"), None]
        );
        let odd = PackageJson::parse(r#"{"dependencies":[],"devDependencies":null}"#).unwrap();
        assert_eq!(odd.requires("a"), None);
    }

    #[test]
    fn syntax_error_has_location() {
        let error = PackageJson::parse("{\n  \"scripts\": {,}\n}").unwrap_err();
        assert_eq!(error.line(), 2);
    }

    #[test]
    fn accepts_byte_order_mark() {
        assert!(PackageJson::parse("\u{feff}{}").is_ok());
    }
}

//! The build record: what was built, for `bin/release`, `bin/test`, the next build, and people.
//!
//! Written to `.mixpack/build.json` in the slug, and cached for the next build. Contains no values of config vars
//! except `MIX_ENV` and the app's directory.

use app::plan::{LastBuild, Plan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use store::tree::TreeError;

/// The version in logs and records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The record's path, relative to the app.
pub const PATH: &str = ".mixpack/build.json";

/// The record of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of Mixpack.
    pub mixpack: String,
    pub stack: String,
    pub mix_env: String,
    /// The app's directory in the slug.
    #[serde(default = "root_dir")]
    pub app_dir: String,
    /// `erlang`, `elixir`, `node`, `hex`, `rebar3`: version.
    pub tools: BTreeMap<String, String>,
    pub phoenix: bool,
    /// The name of the assembled release.
    pub release: Option<String>,
    /// The release's directory, relative to the root of the repository, if this build created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_dir: Option<String>,
    /// Default process types, for those that the Procfile doesn't define.
    pub processes: BTreeMap<String, String>,
    /// The arguments of `mix test`.
    pub test_args: Option<String>,
    /// The Elixir requirement of each package, by name and version: `phoenix 1.7.10`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elixir_requirements: BTreeMap<String, String>,
}

/// The default of `app_dir` for a record of a version without that field.
fn root_dir() -> String {
    ".".to_owned()
}

/// Versions of tools by their names.
pub type Tools = BTreeMap<String, String>;

impl Record {
    /// Returns the record for a plan, before mix has loaded the project.
    #[must_use]
    pub fn of(plan: &Plan, mixpack: &str) -> Self {
        let mut tools = BTreeMap::from([
            ("erlang".to_owned(), plan.erlang.version.clone()),
            ("elixir".to_owned(), plan.elixir.version.clone()),
        ]);
        // The next build can't install the Node.js of another buildpack.
        if let Some(node) = plan.node.as_ref().filter(|_| !plan.node_is_preinstalled) {
            tools.insert("node".to_owned(), node.version.clone());
        }
        Self {
            mixpack: mixpack.to_owned(),
            stack: plan.target.stack.clone(),
            mix_env: plan.mix_env.value.clone(),
            app_dir: plan.app_dir.value.clone(),
            tools,
            phoenix: plan.phoenix,
            release: None,
            release_dir: None,
            processes: plan
                .processes
                .iter()
                .map(|(name, process)| (name.clone(), process.command.clone()))
                .collect(),
            test_args: plan.test_args.clone(),
            elixir_requirements: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The record of the slug in `app`, if Mixpack built it.
    #[must_use]
    pub fn of_slug(app: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(app.join(PATH)).ok()?)
    }

    pub fn to_json(&self) -> Result<String, TreeError> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| TreeError::at(Path::new(PATH), "write")(error.into()))?;
        Ok(format!("{json}\n"))
    }

    #[must_use]
    pub fn last_build(&self) -> LastBuild {
        LastBuild {
            erlang: self.tools.get("erlang").cloned(),
            elixir: self.tools.get("elixir").cloned(),
            node: self.tools.get("node").cloned(),
            hex: self.tools.get("hex").cloned(),
            rebar3: self.tools.get("rebar3").cloned(),
            elixir_requirements: self.elixir_requirements.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images and caches contain records of other versions, so fields are only added, never removed.
    #[test]
    fn reads_records_of_oldest_and_newer_versions() {
        const FIRST: &str = r#"{
            "mixpack": "0.1.0", "stack": "heroku-24", "mix_env": "prod",
            "tools": {"elixir": "1.18.3", "erlang": "27.3.4"}, "phoenix": true, "release": null,
            "processes": {"web": "mix phx.server"}, "test_args": null
        }"#;
        let first = Record::parse(FIRST).unwrap();
        assert_eq!(first.app_dir, ".");
        assert_eq!(first.last_build().erlang.as_deref(), Some("27.3.4"));
        let later = FIRST.replacen('{', r#"{"later": {"field": [1]}, "#, 1);
        assert_eq!(Record::parse(&later), Some(first));
    }

    #[test]
    fn record_keeps_every_field_of_first_version() {
        let fields = [
            "mixpack",
            "stack",
            "mix_env",
            "tools",
            "phoenix",
            "release",
            "processes",
            "test_args",
        ];
        let record = Record {
            mixpack: String::new(),
            stack: String::new(),
            mix_env: String::new(),
            app_dir: root_dir(),
            tools: BTreeMap::new(),
            phoenix: false,
            release: None,
            release_dir: None,
            processes: BTreeMap::new(),
            test_args: None,
            elixir_requirements: BTreeMap::new(),
        };
        let written: serde_json::Value = serde_json::from_str(&record.to_json().unwrap()).unwrap();
        for field in fields {
            assert!(written.get(field).is_some(), "{field}");
        }
    }
}

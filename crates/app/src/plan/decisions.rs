//! The decisions of a build. Plain data.

use super::{Assets, Choice, ChosenTool, Process, Slim, StepName};
use crate::facts::Procfile;
use crate::origin::Setting;
use crate::settings::Hooks;
use serde::Serialize;
use std::collections::BTreeMap;
use versions::elixir::ElixirBuild;
use versions::node::NodeVersion;
use versions::otp::OtpBuild;
use versions::target::Target;

/// Everything that a build is going to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    #[serde(serialize_with = "as_string")]
    pub target: Target,
    pub mix_env: Setting,
    #[serde(skip)]
    pub erlang: Choice<OtpBuild>,
    /// The OTP major that versions were chosen for. For a branch, it is a guess.
    #[serde(skip)]
    pub otp_major: u32,
    #[serde(skip)]
    pub elixir: Choice<ElixirBuild>,
    #[serde(skip)]
    pub node: Option<Choice<NodeVersion>>,
    /// The version of Hex from a setting or from the last build. `None` for the newest one that runs on this
    /// Elixir.
    #[serde(skip)]
    pub hex: Option<Setting>,
    /// The same for rebar3.
    #[serde(skip)]
    pub rebar3: Option<Setting>,
    pub runtime_path: String,
    /// The directory in which mix runs, relative to the root of the repository, like all paths of a plan.
    pub app_dir: Setting,
    pub hooks: Hooks,
    pub assets: Vec<Assets>,
    /// Whether the project is a Phoenix app, judging by its files.
    pub phoenix: bool,
    /// The namespace of Phoenix's mix tasks: `phx`, or `phoenix` before Phoenix 1.3. If `mix.lock` has no version,
    /// the build asks mix which of the two exists.
    pub phoenix_ex: String,
    pub release: bool,
    /// Why a release is built or not, if the platform decides and not the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_why: Option<String>,
    /// Arguments of `mix test` for Heroku CI.
    pub test_args: Option<String>,
    /// Whether to prune Node.js. With `Some(false)`, it ships even if nothing runs it.
    #[serde(serialize_with = "as_bool")]
    pub remove_node: Option<bool>,
    pub slim: Slim,
    /// Why `node_modules` and npm ship, if they do: the place in the app that runs Node.js.
    pub node_use: Option<String>,
    /// Whether assets of the last build may be restored if their inputs haven't changed.
    pub reuse_assets: bool,
    /// Whether code is recompiled with each OTP patch version.
    #[serde(skip)]
    pub rebuild_on_otp_patch: bool,
    /// Whether the build checks that the app can boot.
    #[serde(skip)]
    pub boot_check: bool,
    /// Whether the log contains the full output of tools.
    #[serde(skip)]
    pub verbose: bool,
    /// Whether there is a `mix.lock`, so that an unchanged app has the same dependencies.
    pub locked: bool,
    /// Whether the slug contains only the release.
    pub release_alone: bool,
    /// The setting that leaves the assets to another buildpack, as a phrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_assets: Option<String>,
    /// Whether to run `mix deps.get --check-locked`: mix.lock must be up to date with mix.exs.
    pub check_locked: bool,
    /// Whether a command of the app removes executables such as esbuild from `_build`.
    pub removes_executables: bool,
    /// Whether an earlier buildpack has installed Node.js.
    #[serde(rename = "node_given")]
    pub node_is_preinstalled: bool,
    /// Variables that the config files export, and their other assignments.
    #[serde(skip)]
    pub exported: Vec<(String, String)>,
    #[serde(skip)]
    pub shell_variables: Vec<(String, String)>,
    /// The directories in the app with a `mix.exs`. The first one is the app's own.
    pub projects: Vec<String>,
    /// The directories with a `mix.exs` outside the app's directory.
    #[serde(rename = "beside")]
    pub sibling_projects: Vec<String>,
    pub umbrella: bool,
    /// The setting that requests a clean build, which drops everything of earlier builds first.
    pub clean: Option<String>,
    /// The digest of the value of `MIXPACK_CLEAN_BUILD`, if this build is the clean one for it. The caller
    /// sets this.
    #[serde(skip)]
    pub clean_build_digest: Option<String>,
    #[serde(serialize_with = "as_objects")]
    pub steps: Vec<StepName>,
    /// The Erlang/OTP of the last build.
    #[serde(skip)]
    pub last_erlang: Option<String>,
    pub processes: BTreeMap<String, Process>,
    /// The `Procfile` of the app's directory, if the root has none.
    pub app_procfile: Option<Procfile>,
    /// Every setting that has a value, by name.
    #[serde(skip)]
    pub set: Vec<(String, Setting)>,
    /// Warnings for the log.
    pub warnings: Vec<String>,
}

fn as_string<S: serde::Serializer>(target: &Target, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format!("{} ({})", target.os, target.arch))
}

#[allow(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's signature"
)]
fn as_bool<S: serde::Serializer>(value: &Option<bool>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_bool(*value == Some(true))
}

/// Serializes as `[{"name": "erlang"}, …]`, so that steps can get more fields later.
fn as_objects<S: serde::Serializer>(steps: &[StepName], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(steps.iter().map(|name| BTreeMap::from([("name", name)])))
}

impl Plan {
    #[must_use]
    pub fn has(&self, step: StepName) -> bool {
        self.steps.contains(&step)
    }

    /// Whether Node.js is in the slug. An earlier buildpack's stays where it is.
    #[must_use]
    pub fn node_ships(&self) -> bool {
        let by_default =
            self.node_is_preinstalled || self.slim == Slim::None || self.node_use.is_some();
        self.node.is_some() && !self.remove_node.unwrap_or(!by_default)
    }

    /// Whether the last build had another Erlang/OTP, or there was none.
    #[must_use]
    pub fn otp_changes(&self) -> bool {
        self.last_erlang.as_ref() != Some(&self.erlang.version)
    }

    /// Whether Erlang or Elixir is a branch, whose version is known once it is installed.
    #[must_use]
    pub fn has_branch(&self) -> bool {
        self.erlang.build.version.is_none() || self.elixir.build.version.is_none()
    }

    /// Returns the assets that the build creates, for each Phoenix app.
    pub fn built_assets(&self) -> impl Iterator<Item = &Assets> {
        let is_planned = self.has(StepName::Assets);
        self.assets.iter().filter(move |_| is_planned)
    }

    /// Returns Erlang, Elixir, and Node if it is needed.
    pub fn tools(&self) -> impl Iterator<Item = ChosenTool<'_>> {
        let node = self.node.as_ref().map(|node| node.tool("node"));
        [self.erlang.tool("erlang"), self.elixir.tool("elixir")]
            .into_iter()
            .chain(node)
    }

    /// The document of `mixpack plan --json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let tools = self.tools().map(|tool| {
            let (version, requested, source) = (tool.version, tool.requested, tool.source);
            let json =
                serde_json::json!({"version": version, "asked": requested, "source": source});
            (tool.name.to_owned(), json)
        });
        let tools = tools.collect();
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["tools"] = serde_json::Value::Object(tools);
        json
    }
}

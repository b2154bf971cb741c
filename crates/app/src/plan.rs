//! The plan: every decision of a build, with its reason and its place. Plain data.

mod assets;
mod choice;
mod erlang_and_elixir;
mod error;
mod hook_commands;
mod install;
mod node;
mod phoenix;
mod processes;
mod requirements;
mod slug;
mod steps;
mod suggestion;
mod warnings;

pub use assets::{AssetBuild, Assets, needs_node};
pub use choice::{Choice, ChosenTool, LastBuild, Lists};
pub use erlang_and_elixir::otp_is_settled;
pub use error::{PlanError, VersionError};
pub use install::Install;
pub use phoenix::{PHOENIX, PHX, phoenix_ex_of};
pub use processes::Process;
pub use slug::Slim;
pub use steps::StepName;
pub use suggestion::{Edit, Suggestion};

use crate::facts::{Facts, PROCFILE};
use crate::origin::{Asked, Origin};
use crate::procfile::Procfile;
use crate::settings::{Hooks, Settings};
use crate::wishes::Wishes;
use assets::{asset_dirs, assets, removes_executables};
use erlang_and_elixir::pair_or_suggestion;
use phoenix::phoenix_ex;
use processes::{processes, tool_of_a_process};
use serde::Serialize;
use slug::{more_than_the_release, release, slim};
use std::collections::BTreeMap;
use steps::steps;
use versions::elixir::ElixirBuild;
use versions::node::NodeVersion;
use versions::otp::OtpBuild;
use versions::target::Target;
use warnings::{assets_path_without_package, other_mix_envs, warnings_about};

/// Everything that a build is going to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    #[serde(serialize_with = "as_string")]
    pub target: Target,
    pub mix_env: Asked,
    #[serde(skip)]
    pub erlang: Choice<OtpBuild>,
    /// The OTP major that versions were chosen for. Of a branch it is a guess.
    #[serde(skip)]
    pub otp_major: u32,
    #[serde(skip)]
    pub elixir: Choice<ElixirBuild>,
    #[serde(skip)]
    pub node: Option<Choice<NodeVersion>>,
    /// The Hex that is to be used, by a setting or by the last build. Else it is the newest for the
    /// Elixir that runs.
    #[serde(skip)]
    pub hex: Option<Asked>,
    /// The same for rebar3.
    #[serde(skip)]
    pub rebar3: Option<Asked>,
    pub runtime_path: String,
    /// The folder that mix works in, relative to the top of the repository, as all paths of a plan
    /// are.
    pub app_dir: Asked,
    pub hooks: Hooks,
    pub assets: Vec<Assets>,
    /// Whether the project is a Phoenix app, as far as its files tell.
    pub phoenix: bool,
    /// The namespace of Phoenix' mix tasks: `phx`, or `phoenix` before Phoenix 1.3. Where `mix.lock`
    /// doesn't name a version, the build asks mix which of the two exists.
    pub phoenix_ex: String,
    pub release: bool,
    /// Why one is built or not, where the platform and not the app decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_why: Option<String>,
    /// Arguments of `mix test` for Heroku CI.
    pub test_args: Option<String>,
    pub remove_node: bool,
    pub slim: Slim,
    /// Why `node_modules` and npm ship, if they do: where the app speaks of running Node.js.
    pub node_use: Option<String>,
    /// Assets may be those of the last build, where nothing they are made of has changed.
    pub reuse_assets: bool,
    /// Code is compiled again with each patch of OTP.
    #[serde(skip)]
    pub rebuild_on_otp_patch: bool,
    /// The log has everything that tools say.
    #[serde(skip)]
    pub verbose: bool,
    /// There is a `mix.lock`: the same app has the same dependencies.
    pub locked: bool,
    /// The release is all that the slug holds.
    pub release_alone: bool,
    /// Another buildpack makes what browsers load: who says so, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_assets: Option<String>,
    /// `mix deps.get --check-locked`: mix.lock must be in step with mix.exs.
    pub check_locked: bool,
    /// A command of the app removes the executables of esbuild and its like from `_build`.
    pub removes_executables: bool,
    /// Node.js is there already, by an earlier buildpack.
    pub node_given: bool,
    /// Variables that the config files export, and their other assignments.
    #[serde(skip)]
    pub exported: Vec<(String, String)>,
    #[serde(skip)]
    pub shell_variables: Vec<(String, String)>,
    /// Folders of the app that hold a `mix.exs`; the root is the app's folder itself.
    pub projects: Vec<String>,
    /// Such folders outside of the app's.
    pub beside: Vec<String>,
    pub umbrella: bool,
    /// Everything kept from earlier builds is dropped first, and who asked for it.
    pub clean: Option<String>,
    /// What that is done for and not again, as a digest. Not known to the app's own files.
    #[serde(skip)]
    pub clean_once: Option<String>,
    #[serde(serialize_with = "as_objects")]
    pub steps: Vec<StepName>,
    /// The Erlang/OTP of the last build.
    #[serde(skip)]
    pub last_erlang: Option<String>,
    pub processes: BTreeMap<String, Process>,
    /// The `Procfile` of the app's folder, where the top has none.
    pub app_procfile: Option<Procfile>,
    /// Every setting that has a value, by name.
    #[serde(skip)]
    pub set: Vec<(String, Asked)>,
    /// Things worth saying that stop nothing.
    pub warnings: Vec<String>,
}

fn as_string<S: serde::Serializer>(target: &Target, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format!("{} ({})", target.os, target.arch))
}

/// `[{"name": "erlang"}, …]`: more may be said of a step one day.
fn as_objects<S: serde::Serializer>(steps: &[StepName], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(steps.iter().map(|name| BTreeMap::from([("name", name)])))
}

impl Plan {
    #[must_use]
    pub fn has(&self, step: StepName) -> bool {
        self.steps.contains(&step)
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

    /// The assets that the build makes: those of each Phoenix app.
    pub fn built_assets(&self) -> impl Iterator<Item = &Assets> {
        let is_planned = self.has(StepName::Assets);
        self.assets.iter().filter(move |_| is_planned)
    }

    /// Erlang, Elixir, and Node where it is needed.
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
            let (version, asked, source) = (tool.version, tool.asked, tool.source);
            let json = serde_json::json!({"version": version, "asked": asked, "source": source});
            (tool.name.to_owned(), json)
        });
        let tools = tools.collect();
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["tools"] = serde_json::Value::Object(tools);
        json
    }
}

/// Decides everything.
pub fn plan(
    facts: &Facts,
    settings: &Settings,
    target: Target,
    mix_env: Asked,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Plan, PlanError> {
    let dirs = asset_dirs(facts, settings)?;
    let folders: Vec<&str> = dirs.iter().map(|(_, assets)| assets.as_str()).collect();
    let wishes = Wishes::of(facts, settings, &folders);
    let (erlang, elixir) = pair_or_suggestion(&wishes, facts, &target, lists, last)?;
    let otp_major = lists.otp.major_of(&erlang.build);
    let node = node::node(facts, settings, &wishes, &target, lists, last)?;
    let npm = |asked: Option<&str>| node::npm(facts, node.as_ref(), lists, asked);
    let assets = assets(facts, settings, &npm)?;
    // Nobody is upgraded behind their back; another Elixir is a change of their own.
    let same_elixir = last.elixir.as_ref() == Some(&elixir.version);
    let installer = |asked: &Option<Asked>, kept: &Option<String>| {
        let kept = kept.clone().filter(|_| same_elixir);
        let stays = || kept.map(|version| Asked::new(version, Origin::LastBuild));
        asked.clone().or_else(stays)
    };
    let hex = installer(&settings.hex_version, &last.hex);
    let rebar3 = installer(&settings.rebar3_version, &last.rebar3);
    let phoenix = facts.phoenix_locked || facts.projects.iter().any(|p| p.guess.phoenix);
    let removes_executables = removes_executables(facts, settings, &assets);
    let node_given = node.is_some() && facts.given_node.is_some();
    let check_locked = settings.check_locked && facts.has_lock && can_check_locked(&elixir);
    let calls_mix = tool_of_a_process(facts);
    let (release, release_why) = release(facts, settings, calls_mix.as_deref());
    let slim = slim(settings, release, calls_mix.as_deref())?;
    let release_alone = release && slim == Slim::Full && calls_mix.is_none();
    let mut warnings: Vec<String> = wishes.warnings(node.is_some()).collect();
    warnings.extend(warnings_about(
        facts,
        settings,
        &target,
        (&erlang, otp_major),
        &elixir,
    ));
    warnings.extend(assets_path_without_package(settings, &assets));
    warnings.extend(more_than_the_release(release, slim, calls_mix));
    warnings.extend(other_mix_envs(facts, &mix_env.value, release));
    let (phoenix_ex, ignored) = phoenix_ex(facts, settings);
    warnings.extend(ignored);
    Ok(Plan {
        hex,
        rebar3,
        rebuild_on_otp_patch: settings.rebuild_on_otp_patch,
        steps: steps((settings, release, slim), node.is_some(), phoenix, &assets),
        last_erlang: last.erlang.clone(),
        processes: processes(
            facts,
            release,
            phoenix.then_some(&phoenix_ex),
            &mix_env.value,
        ),
        app_procfile: facts
            .procfile
            .clone()
            .filter(|_| facts.procfile_path != PROCFILE),
        target,
        mix_env,
        erlang,
        otp_major,
        elixir,
        node,
        runtime_path: settings.runtime_path.clone(),
        app_dir: facts.app_dir.clone(),
        hooks: settings.hooks.clone(),
        assets,
        phoenix,
        phoenix_ex,
        release,
        release_why,
        // A config var is there when the tests run, and its value is not ours to write down.
        test_args: settings
            .test_args
            .as_ref()
            .filter(|asked| matches!(asked.origin, Origin::File { .. }))
            .map(|asked| asked.value.clone()),
        remove_node: settings.remove_node || slim == Slim::Full,
        skip_assets: settings.skip_assets.clone(),
        release_alone,
        slim,
        node_use: facts.node_use.clone(),
        reuse_assets: settings.reuse_assets && !hooks_before_assets(settings),
        verbose: settings.verbose,
        locked: facts.has_lock,
        check_locked,
        removes_executables,
        node_given,
        exported: settings.exported.clone(),
        shell_variables: settings.shell_variables.clone(),
        projects: facts.projects.iter().map(|p| p.dir.clone()).collect(),
        beside: facts.beside.clone(),
        umbrella: facts.root().apps_path.is_some(),
        clean: asked_clean(settings),
        clean_once: None,
        set: settings.set.clone(),
        warnings,
    })
}

/// Elixir has `mix deps.get --check-locked` since 1.15; branches are newer.
fn can_check_locked(elixir: &Choice<ElixirBuild>) -> bool {
    let version = elixir.build.version.as_ref();
    version.is_none_or(|version| version.is_at_least_minor(15))
}

/// The user's own commands may make what the assets are made of, of anything at all.
fn hooks_before_assets(settings: &Settings) -> bool {
    let before = Hooks {
        post_compile: None,
        ..settings.hooks.clone()
    };
    before.any()
}

/// Who asks for everything that was kept to be dropped.
fn asked_clean(settings: &Settings) -> Option<String> {
    let by_cache = settings.clean_cache.then_some("clean_cache=true");
    let by_rebuild = settings.always_rebuild.then_some("always_rebuild=true");
    by_rebuild.or(by_cache).map(str::to_owned)
}

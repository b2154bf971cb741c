//! The plan: every decision of a build, with its reason and its place. Plain data.

use crate::facts::{Facts, JsPackage, PROCFILE, clean, join};
use crate::launcher;
use crate::origin::{Asked, Origin};
use crate::package_manager::{Manager, PackageManager};
use crate::procfile::Procfile;
use crate::settings::{COMPILE_SCRIPT, Hooks, RELEASE, Settings};
use crate::wishes::Wishes;
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;
use versions::compatibility::{self, Compatibility};
use versions::elixir::{
    self, ElixirBuild, ElixirListing, ElixirNoMatch, ElixirRequest, ElixirVersion,
};
use versions::node::{NodeIndex, NodeRequest, NodeVersion};
use versions::otp::{OtpBuild, OtpListing, OtpRequest, OtpVersion};
use versions::target::{Arch, Basis, Target};
use versions::{ParseError, Tool};

/// A tool and why this version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice<T> {
    /// As upstream names the artifact's version: `27.3.4.2`, `1.18.3`, `24.4.0`, or a branch.
    pub version: String,
    /// What the user wrote, where they wrote anything.
    pub asked: Option<String>,
    pub source: Origin,
    #[serde(skip)]
    pub build: T,
}

/// How the JavaScript dependencies of one folder are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// The folder with `package.json`.
    pub dir: String,
    pub manager: PackageManager,
    /// The lockfile that it keeps to.
    pub lockfile: Option<String>,
    /// `npm ci`, `yarn install --frozen-lockfile` and their like.
    pub command: Vec<String>,
    pub why: String,
    /// Files and folders, relative to the app, that decide what is installed; or why that cannot be
    /// told, so that it is installed in every build.
    pub inputs: Result<Vec<String>, String>,
}

/// How much is left out of the slug.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slim {
    /// Nothing.
    None,
    /// What no dyno can use.
    #[default]
    Standard,
    /// Node.js too, and everything but the release where one is built and nothing else is called.
    Full,
}

impl Slim {
    const WORDS: [(&'static str, Self); 3] = [
        ("none", Self::None),
        ("standard", Self::Standard),
        ("full", Self::Full),
    ];

    fn of(asked: Option<&Asked>, unasked: Self) -> Result<Self, PlanError> {
        let Some(asked) = asked else {
            return Ok(unasked);
        };
        Self::WORDS
            .iter()
            .find(|(word, _)| *word == asked.value)
            .map(|(_, slim)| *slim)
            .ok_or_else(|| PlanError::NoSuchLevel {
                asked: asked.clone(),
                levels: Self::WORDS.map(|(word, _)| word.to_owned()).into(),
            })
    }
}

/// What builds the assets of one Phoenix app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AssetBuild {
    /// The app's own script, sourced by bash as the Phoenix static buildpack does.
    CustomScript { path: String },
    /// `npm run SCRIPT`, or as the package manager has it, in the folder of the `package.json`.
    Script { name: String },
    /// The mix alias `assets.deploy`; mix itself has the last word on whether it exists.
    MixAlias,
    /// Nothing but the digest.
    Nothing,
}

/// The assets of one Phoenix app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assets {
    /// The Phoenix app's folder.
    pub phoenix_dir: String,
    /// Where its asset sources are.
    pub assets_dir: String,
    pub install: Option<Install>,
    /// There is a `bower.json` beside them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bower: bool,
    pub build: AssetBuild,
    pub why: String,
}

impl Assets {
    fn needs_node(&self) -> bool {
        self.install.is_some() || self.bower
    }
}

/// A step's name; the string is what logs, reports and `needs` use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    Erlang,
    Elixir,
    Node,
    Hex,
    PreCompile,
    Restore,
    HookPreFetchDependencies,
    Deps,
    HookPreCompile,
    Javascript,
    Compile,
    HookPostCompile,
    Assets,
    Digest,
    Release,
    Save,
    Profile,
    Slim,
    PostCompile,
}

impl StepName {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erlang => "erlang",
            Self::Elixir => "elixir",
            Self::Node => "node",
            Self::Hex => "hex",
            Self::PreCompile => "pre_compile",
            Self::Restore => "restore",
            Self::HookPreFetchDependencies => "hook_pre_fetch_dependencies",
            Self::Deps => "deps",
            Self::HookPreCompile => "hook_pre_compile",
            Self::Javascript => "javascript",
            Self::Compile => "compile",
            Self::HookPostCompile => "hook_post_compile",
            Self::Assets => "assets",
            Self::Digest => "digest",
            Self::Release => "release",
            Self::Save => "save",
            Self::Profile => "profile",
            Self::Slim => "slim",
            Self::PostCompile => "post_compile",
        }
    }
}

/// A step, and the steps that must have ended before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepPlan {
    pub name: StepName,
    pub needs: Vec<StepName>,
    /// Nothing else runs beside it: the user's own commands.
    pub alone: bool,
}

/// A process type that the platform starts when the app's Procfile does not name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    pub command: String,
    pub why: String,
    /// What only mix can say is guessed until the build has asked it.
    pub guess: bool,
}

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
    pub runtime_path: String,
    /// The folder that mix works in, relative to the top of the repository, as all paths of a plan
    /// are.
    pub app_dir: Asked,
    pub hooks: Hooks,
    pub assets: Vec<Assets>,
    /// Whether the project is a Phoenix app, as far as its files tell.
    pub phoenix: bool,
    /// The namespace of Phoenix' mix tasks: `phx`, or `phoenix` before Phoenix 1.3.
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
    /// The log has everything that tools say.
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
    pub steps: Vec<StepPlan>,
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

impl Plan {
    #[must_use]
    pub fn has(&self, step: StepName) -> bool {
        self.steps.iter().any(|planned| planned.name == step)
    }

    /// The document of `mixpack plan --json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut tools = serde_json::Map::new();
        let mut tool = |name: &str, version: &str, asked: Option<&String>, source: &Origin| {
            tools.insert(
                name.to_owned(),
                serde_json::json!({"version": version, "asked": asked, "source": source}),
            );
        };
        let (erlang, elixir) = (&self.erlang, &self.elixir);
        tool(
            "erlang",
            &erlang.version,
            erlang.asked.as_ref(),
            &erlang.source,
        );
        tool(
            "elixir",
            &elixir.version,
            elixir.asked.as_ref(),
            &elixir.source,
        );
        if let Some(node) = &self.node {
            tool("node", &node.version, node.asked.as_ref(), &node.source);
        }
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["tools"] = serde_json::Value::Object(tools);
        json
    }
}

/// What upstream offers.
#[derive(Debug, Clone)]
pub struct Lists {
    pub otp: OtpListing,
    pub elixir: ElixirListing,
    /// Only asked for when the app needs Node.
    pub node: Option<NodeIndex>,
}

/// What the last build of this app used, as its record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastBuild {
    pub erlang: Option<String>,
    pub elixir: Option<String>,
    pub node: Option<String>,
}

/// Why there can be no plan. All of these are the user's to mend.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("{tool} version {:?} at {} is not a version: {reason}", asked.value, asked.origin)]
    Malformed {
        tool: Tool,
        asked: Asked,
        reason: String,
        /// The newest release of each of the newest lines, newest first.
        available: Vec<String>,
    },
    #[error("no build of {tool} {} for {target}", asked.value)]
    NoSuchVersion {
        tool: Tool,
        asked: Asked,
        target: String,
        /// The newest first.
        nearest: Vec<String>,
        newest_of_line: Option<String>,
    },
    #[error("Elixir {elixir} does not go with OTP {otp}")]
    NotForThisOtp {
        /// The version that was found for what was asked, or the branch.
        elixir: String,
        elixir_source: Origin,
        otp: String,
        otp_source: Origin,
        /// The OTP majors that this Elixir goes with and that are built for the target, ascending.
        usable: Vec<u32>,
        /// The first release of the same line of Elixir that does go with this OTP.
        first_patch: Option<String>,
    },
    #[error("no OTP built for {target} goes with Elixir {}", asked.value)]
    NoOtpFor { asked: Asked, target: String },
    #[error("no Elixir goes with OTP {otp}")]
    NoElixirFor {
        asked: Asked,
        /// The version that was found for what was asked, or the branch.
        otp: String,
    },
    #[error("nothing in the lists for {target} goes together")]
    NothingGoesTogether { target: String },
    /// What was asked for is not what `mix.exs` allows.
    #[error("Elixir {elixir} is not {} of {}", requirement.value, requirement.origin)]
    NotWhatMixExsAllows {
        /// The version that was found for what was asked.
        elixir: String,
        elixir_source: Origin,
        requirement: Asked,
    },
    /// Nothing was asked for, and nothing that is listed is what `mix.exs` allows.
    #[error("no Elixir that is listed is {} of {}", requirement.value, requirement.origin)]
    NoElixirThatMixExsAllows {
        requirement: Asked,
        /// The OTP that was asked for, and where.
        otp: Option<(String, Origin)>,
        /// The newest that would run.
        newest: String,
    },
    #[error("no long-term release of Node.js for {arch} is listed")]
    NoNode { arch: String },
    #[error("two lockfiles in {dir}")]
    TwoLockfiles { dir: String, lockfiles: Vec<String> },
    /// `packageManager` names one package manager, and the lockfile is another's.
    #[error("packageManager is {}, and there is {lockfile}", asked.value)]
    ManagerContradicted {
        asked: Asked,
        manager: Manager,
        /// Relative to the app.
        lockfile: String,
    },
    #[error("packageManager {:?} is not understood", asked.value)]
    MalformedManager { asked: Asked },
    #[error("{} is no level of slimming", asked.value)]
    NoSuchLevel { asked: Asked, levels: Vec<String> },
    #[error("{} does not hold a {missing}", asked.value)]
    NoSuchFolder {
        key: &'static str,
        asked: Asked,
        missing: &'static str,
    },
}

/// Whether the app's assets need Node: then the caller fetches its list.
#[must_use]
pub fn needs_node(facts: &Facts, settings: &Settings) -> bool {
    settings.skip_assets.is_none()
        && asset_dirs(facts, settings).is_ok_and(|dirs| {
            dirs.iter()
                .any(|(_, assets)| facts.package_in(assets).is_some() || facts.has_bower(assets))
        })
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
    let assets = assets(facts, settings)?;
    let folders: Vec<&str> = assets.iter().map(|a| a.assets_dir.as_str()).collect();
    let wishes = Wishes::of(facts, settings, &folders);
    let (erlang, elixir) = choose_pair(&wishes, &target, lists, last)?;
    let otp_major = lists.otp.major_of(&erlang.build);
    let given = facts
        .given_node
        .as_ref()
        .filter(|_| assets.iter().any(Assets::needs_node));
    let node = match (&lists.node, given) {
        (_, Some(given)) => {
            let why = "an earlier buildpack installed it";
            Some(node_choice(given, None, Origin::Default(why.to_owned())))
        }
        (Some(index), None) if assets.iter().any(Assets::needs_node) => {
            Some(choose_node(&wishes, &target, index, last)?)
        }
        _ => None,
    };
    let phoenix = facts.phoenix_locked || facts.projects.iter().any(|p| p.guess.phoenix);
    // Elixir has `--check-locked` since 1.15; branches are newer.
    let checks = elixir
        .build
        .version
        .as_ref()
        .is_none_or(|version| (version.major(), version.minor()) >= (1, 15));
    let removes_executables = removes_executables(facts, settings, &assets);
    let node_given = node.is_some() && facts.given_node.is_some();
    let branches = branches(&erlang, &elixir);
    let check_locked = settings.check_locked && facts.has_lock && checks;
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
    if let (true, Slim::Full) = (release, slim) {
        warnings.extend(calls_mix.map(|process| {
            format!("the Procfile's {process} calls mix, iex or elixir: the slug holds more than the release")
        }));
    }
    Ok(Plan {
        steps: steps(
            (settings, release, slim),
            node.is_some(),
            phoenix,
            &assets,
            &branches,
        ),
        processes: processes(facts, release, phoenix, &mix_env.value),
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
        phoenix_ex: phoenix_ex(facts, settings),
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

/// What is worth saying of the choices and of the settings.
fn warnings_about(
    facts: &Facts,
    settings: &Settings,
    target: &Target,
    (erlang, otp_major): (&Choice<OtpBuild>, u32),
    elixir: &Choice<ElixirBuild>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(elixir_version), Compatibility::Unknown) = (
        &elixir.build.version,
        pair_compatibility(&elixir.build, otp_major),
    ) {
        warnings.push(format!(
            "Elixir {elixir_version} with OTP {} is newer than what this version of Mixpack knows of; going on",
            erlang.version
        ));
    }
    let script = &settings.compile_script;
    if settings.skip_assets.is_none()
        && script != COMPILE_SCRIPT
        && !facts.root_files.contains(script)
    {
        warnings.push(format!(
            "compile={script} names the app's own asset script, and there is no such file at the top of the app"
        ));
    }
    warnings.extend(build_path_outside(facts));
    if target.basis == Basis::NearestCompatible {
        warnings.push(format!(
            "there are no OTP builds for {}; those for {} are the nearest that run on it",
            target.stack, target.os
        ));
    }
    warnings
}

/// The user's own commands may make what the assets are made of, of anything at all.
fn hooks_before_assets(settings: &Settings) -> bool {
    let hooks = &settings.hooks;
    [
        &hooks.pre_compile,
        &hooks.hook_pre_fetch_dependencies,
        &hooks.hook_pre_compile,
        &hooks.hook_compile,
        &hooks.hook_post_compile,
    ]
    .into_iter()
    .any(Option::is_some)
}

/// Who asks for everything that was kept to be dropped.
fn asked_clean(settings: &Settings) -> Option<String> {
    let by_cache = settings.clean_cache.then_some("clean_cache=true");
    let by_rebuild = settings.always_rebuild.then_some("always_rebuild=true");
    by_rebuild.or(by_cache).map(str::to_owned)
}

/// The tools of which a branch is asked for.
fn branches(erlang: &Choice<OtpBuild>, elixir: &Choice<ElixirBuild>) -> Vec<StepName> {
    [
        (StepName::Erlang, erlang.build.version.is_none()),
        (StepName::Elixir, elixir.build.version.is_none()),
    ]
    .into_iter()
    .filter_map(|(tool, is_branch)| is_branch.then_some(tool))
    .collect()
}

/// How much is left out: what prefers releases does so for small images.
fn slim(settings: &Settings, release: bool, calls_mix: Option<&str>) -> Result<Slim, PlanError> {
    let small = release && settings.prefers_release && calls_mix.is_none();
    let unasked = if small { Slim::Full } else { Slim::default() };
    Slim::of(settings.slim.as_ref(), unasked)
}

/// Whether a release is built; and why, where the app does not say.
fn release(facts: &Facts, settings: &Settings, calls_mix: Option<&str>) -> (bool, Option<String>) {
    if let Some(asked) = &settings.release {
        return (asked.value == "true", None);
    }
    if !settings.prefers_release {
        return (false, None);
    }
    let root = facts.root();
    if let Some(process) = calls_mix {
        let why = format!(
            "none is built, since the {process} of {} calls mix, iex or elixir",
            facts.procfile_path
        );
        return (false, Some(why));
    }
    if root.apps_path.is_some() && root.release.is_none() {
        let path = join(&facts.app_dir.value, "mix.exs");
        let why = format!("none is built, since {path} of the umbrella defines none");
        return (false, Some(why));
    }
    let why = format!("it is all that the image holds; {RELEASE}=false keeps mix");
    (true, Some(why))
}

/// A process type that needs more than the release to start.
fn tool_of_a_process(facts: &Facts) -> Option<String> {
    let mut types = facts.procfile.iter().flat_map(|procfile| &procfile.0);
    types
        .find(|(_, command)| {
            let mut words = command.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c)));
            words.any(|word| ["mix", "iex", "elixir", "erl"].contains(&word))
        })
        .map(|(name, _)| name.clone())
}

/// An app of an umbrella that is named as the app's folder.
fn build_path_outside(facts: &Facts) -> Option<String> {
    let asked = facts.root().build_path.as_ref();
    let asked = asked.filter(|asked| asked.value.starts_with(".."))?;
    Some(format!(
        "{} has build_path {:?}, outside of the app's folder: nothing of it is kept for the next build. Deploy an app of an umbrella from the top of the umbrella",
        asked.origin, asked.value
    ))
}

/// As the Phoenix guide has it: `mix assets.deploy && rm -f _build/esbuild*`, in a hook or in a
/// script of `package.json`.
fn removes_executables(facts: &Facts, settings: &Settings, assets: &[Assets]) -> bool {
    let removes = |line: &str| line.contains("rm ") && line.contains("_build/");
    let hook = settings.hooks.hook_post_compile.as_ref();
    hook.is_some_and(|hook| removes(&hook.value))
        || assets.iter().any(|assets| {
            let AssetBuild::Script { name } = &assets.build else {
                return false;
            };
            let package = facts.package_in(&assets.assets_dir);
            package
                .and_then(|package| package.json.scripts.get(name))
                .is_some_and(|line| removes(line))
        })
}

fn phoenix_ex(facts: &Facts, settings: &Settings) -> String {
    let before_1_3 = || {
        let version = facts.phoenix_version.as_deref()?;
        let mut numbers = version
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?) < (1, 3))
    };
    match &settings.phoenix_ex {
        Some(asked) => asked.value.clone(),
        None if before_1_3() == Some(true) => "phoenix".to_owned(),
        None => "phx".to_owned(),
    }
}

type Pair = (Choice<OtpBuild>, Choice<ElixirBuild>);

fn choose_pair(
    wishes: &Wishes,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, PlanError> {
    let otp = wishes.erlang.clone();
    let elixir = wishes.elixir.clone();
    let otp_request = otp.as_ref().map(|asked| parse_otp(asked, &lists.otp));
    let otp_request = otp_request.transpose()?;
    let elixir_request = elixir
        .as_ref()
        .map(|asked| parse_elixir(asked, &lists.elixir));
    let elixir_request = elixir_request.transpose()?;
    let allowed = lists.elixir.only(|version| wishes.allow(version));
    match (otp.zip(otp_request), elixir.zip(elixir_request)) {
        (Some((otp, otp_request)), Some((elixir, elixir_request))) => {
            let erlang = choose_otp(&otp, &otp_request, target, lists)?;
            let build = allowed.choose(&elixir_request, lists.otp.major_of(&erlang.build));
            let Ok(build) = build else {
                let choice = choose_elixir(&elixir, &elixir_request, &erlang, target, lists)?;
                return Err(wishes.refuse(&elixir, &choice.build));
            };
            let elixir = elixir_choice(build, Some(elixir.value), elixir.origin);
            Ok((erlang, elixir))
        }
        (Some((otp, request)), None) => {
            let erlang = choose_otp(&otp, &request, target, lists)?;
            let major = lists.otp.major_of(&erlang.build);
            let newest = lists.elixir.newest_for(major);
            let newest = newest.ok_or_else(|| PlanError::NoElixirFor {
                asked: otp.clone(),
                otp: erlang.version.clone(),
            })?;
            let build = allowed
                .newest_for(major)
                .ok_or_else(|| wishes.refuse_all(newest, Some(&erlang)))?;
            let reason = wishes.reason(format!("newest for OTP {major}"), build, newest);
            let elixir = elixir_choice(build, None, Origin::Default(reason));
            Ok((erlang, elixir))
        }
        (None, Some((asked, request))) => {
            let found = elixir::newest_otp_for(&request, &lists.otp, &allowed);
            let Some((otp, elixir)) = found else {
                if let Some((_, elixir)) =
                    elixir::newest_otp_for(&request, &lists.otp, &lists.elixir)
                {
                    return Err(wishes.refuse(&asked, elixir));
                }
                // Any OTP will do to learn which of the two is the matter.
                let miss = lists.elixir.choose(&request, compatibility::NEWEST_OTP);
                return Err(match miss {
                    Err(ElixirNoMatch::NotListed { nearest, .. }) => {
                        no_such_elixir(&asked, target, &nearest)
                    }
                    _ => PlanError::NoOtpFor {
                        asked,
                        target: os(target),
                    },
                });
            };
            let reason = format!("newest that Elixir {} runs on", name(elixir));
            let erlang = otp_choice(otp, None, Origin::Default(reason));
            Ok((
                erlang,
                elixir_choice(elixir, Some(asked.value), asked.origin),
            ))
        }
        (None, None) => unasked_pair(wishes, &allowed, target, lists, last),
    }
}

/// Whether one list of OTP builds has said all that a plan needs; where not, the other place that
/// publishes them may have it. `is_current`: the list is not one from an earlier build.
///
/// What is named in full, or was used by the last build, is no other in another list. What is the
/// newest that a list has is settled by a current one. That this one lacks what the last build
/// used tells that the other one was ahead of it: then both are asked, so that nobody goes back.
#[must_use]
pub fn otp_is_settled(
    planned: &Result<Plan, PlanError>,
    listing: &OtpListing,
    last: &LastBuild,
    is_current: bool,
) -> bool {
    let plan = match planned {
        Ok(plan) => plan,
        Err(
            PlanError::NoSuchVersion {
                tool: Tool::Erlang, ..
            }
            | PlanError::NoOtpFor { .. }
            | PlanError::NothingGoesTogether { .. },
        ) => return false,
        Err(_) => return true,
    };
    let asked = plan.erlang.asked.as_deref();
    let is_exact = asked.is_some_and(|asked| {
        OtpRequest::parse(asked).is_ok_and(|asked| matches!(asked, OtpRequest::Exact(_)))
    });
    if is_exact || plan.erlang.source == Origin::LastBuild {
        return true;
    }
    let has = |version: &String| {
        OtpRequest::parse(version).is_ok_and(|request| listing.choose(&request).is_ok())
    };
    is_current && last.erlang.as_ref().is_none_or(has)
}

/// Nobody is upgraded behind their back: without a wish, the last build's versions stay.
fn unasked_pair(
    wishes: &Wishes,
    allowed: &ElixirListing,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Pair, PlanError> {
    let kept = last.erlang.as_deref().zip(last.elixir.as_deref());
    let kept = kept.and_then(|(otp, elixir)| {
        let otp = OtpRequest::parse(otp).ok()?;
        let otp = lists.otp.choose(&otp).ok()?;
        let elixir = ElixirRequest::parse(elixir).ok()?;
        let elixir = allowed.choose(&elixir, lists.otp.major_of(otp)).ok()?;
        Some((otp, elixir))
    });
    if let Some((otp, elixir)) = kept {
        return Ok((
            otp_choice(otp, None, Origin::LastBuild),
            elixir_choice(elixir, None, Origin::LastBuild),
        ));
    }
    let newest = elixir::newest_pair(&lists.otp, &lists.elixir);
    let (_, newest) =
        newest.ok_or_else(|| PlanError::NothingGoesTogether { target: os(target) })?;
    let (otp, elixir) =
        elixir::newest_pair(&lists.otp, allowed).ok_or_else(|| wishes.refuse_all(newest, None))?;
    let why = |reason: &str| Origin::Default(wishes.reason(reason.to_owned(), elixir, newest));
    let erlang_why = if elixir == newest {
        why("newest")
    } else {
        Origin::Default(format!("newest that Elixir {} runs on", name(elixir)))
    };
    Ok((
        otp_choice(otp, None, erlang_why),
        elixir_choice(elixir, None, why("newest")),
    ))
}

impl Wishes {
    fn allow(&self, version: &ElixirVersion) -> bool {
        self.broken_by(version).is_none()
    }

    /// The first requirement that a version does not satisfy.
    fn broken_by(&self, version: &ElixirVersion) -> Option<&Asked> {
        self.elixir_requirements
            .iter()
            .find(|(_, requirement)| !requirement.matches(version))
            .map(|(asked, _)| asked)
    }

    /// The requirement to name when `build` is refused. A build that some requirement allows is
    /// refused by the others, so that there always is one.
    fn refusing(&self, build: &ElixirBuild) -> Asked {
        let broken = build.version.as_ref().and_then(|v| self.broken_by(v));
        let first = || self.elixir_requirements.first().map(|(asked, _)| asked);
        broken
            .or_else(first)
            .cloned()
            .unwrap_or_else(|| Asked::new(String::new(), Origin::file("mix.exs", 0)))
    }

    fn refuse(&self, asked: &Asked, build: &ElixirBuild) -> PlanError {
        PlanError::NotWhatMixExsAllows {
            elixir: name(build),
            elixir_source: asked.origin.clone(),
            requirement: self.refusing(build),
        }
    }

    fn refuse_all(&self, newest: &ElixirBuild, otp: Option<&Choice<OtpBuild>>) -> PlanError {
        PlanError::NoElixirThatMixExsAllows {
            newest: name(newest),
            otp: otp.map(|otp| (otp.version.clone(), otp.source.clone())),
            requirement: self.refusing(newest),
        }
    }

    /// Why a build was chosen, with the requirement where that made the difference.
    fn reason(&self, reason: String, chosen: &ElixirBuild, newest: &ElixirBuild) -> String {
        if chosen == newest {
            return reason;
        }
        format!("{reason} that {} allows", self.refusing(newest).origin)
    }
}

/// How many releases a message about a malformed version offers.
const OFFERED: usize = 5;

fn parse_otp(asked: &Asked, list: &OtpListing) -> Result<OtpRequest, PlanError> {
    OtpRequest::parse(&asked.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        malformed(asked, &error, newest_of_lines(released, OtpVersion::major))
    })
}

fn parse_elixir(asked: &Asked, list: &ElixirListing) -> Result<ElixirRequest, PlanError> {
    ElixirRequest::parse(&asked.value).map_err(|error| {
        let released = list
            .builds()
            .iter()
            .filter_map(|build| build.version.as_ref());
        let released = released.filter(|version| !version.is_candidate());
        let line = |version: &ElixirVersion| (version.major(), version.minor());
        malformed(asked, &error, newest_of_lines(released, line))
    })
}

fn parse_node(asked: &Asked, index: &NodeIndex, arch: Arch) -> Result<NodeRequest, PlanError> {
    NodeRequest::parse(&asked.value).map_err(|error| {
        let built = index
            .releases()
            .iter()
            .filter(|release| release.archs.contains(&arch));
        let versions = built.map(|release| &release.version);
        malformed(asked, &error, newest_of_lines(versions, NodeVersion::major))
    })
}

fn malformed(asked: &Asked, error: &ParseError, available: Vec<String>) -> PlanError {
    PlanError::Malformed {
        tool: error.tool,
        reason: error.reason.to_string(),
        asked: asked.clone(),
        available,
    }
}

/// The first version of each line; `versions` are newest first.
fn newest_of_lines<'a, V: ToString + 'a, L: PartialEq>(
    versions: impl Iterator<Item = &'a V>,
    line: impl Fn(&V) -> L,
) -> Vec<String> {
    let mut newest: Vec<&V> = Vec::new();
    for version in versions {
        if newest.last().is_none_or(|last| line(last) != line(version)) {
            newest.push(version);
        }
    }
    newest.into_iter().take(OFFERED).map(V::to_string).collect()
}

fn choose_otp(
    asked: &Asked,
    request: &OtpRequest,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<OtpBuild>, PlanError> {
    let build = lists
        .otp
        .choose(request)
        .map_err(|miss| PlanError::NoSuchVersion {
            tool: Tool::Erlang,
            asked: asked.clone(),
            target: os(target),
            nearest: miss.nearest.iter().map(OtpVersion::to_string).collect(),
            newest_of_line: miss.newest_of_line.as_ref().map(OtpVersion::to_string),
        })?;
    Ok(otp_choice(
        build,
        Some(asked.value.clone()),
        asked.origin.clone(),
    ))
}

fn choose_elixir(
    asked: &Asked,
    request: &ElixirRequest,
    erlang: &Choice<OtpBuild>,
    target: &Target,
    lists: &Lists,
) -> Result<Choice<ElixirBuild>, PlanError> {
    let major = lists.otp.major_of(&erlang.build);
    match lists.elixir.choose(request, major) {
        Ok(build) => Ok(elixir_choice(
            build,
            Some(asked.value.clone()),
            asked.origin.clone(),
        )),
        Err(ElixirNoMatch::NotListed { nearest, .. }) => {
            Err(no_such_elixir(asked, target, &nearest))
        }
        Err(ElixirNoMatch::NoBuildForOtp {
            version, usable, ..
        }) => Err(PlanError::NotForThisOtp {
            first_patch: version.as_ref().and_then(|version| {
                match compatibility::check(version, major) {
                    Compatibility::Unsupported { first_patch, .. } => {
                        first_patch.map(|patch| patch.to_string())
                    }
                    Compatibility::Supported | Compatibility::Unknown => None,
                }
            }),
            elixir: version.map_or_else(|| asked.value.clone(), |version| version.to_string()),
            elixir_source: asked.origin.clone(),
            otp: erlang.version.clone(),
            otp_source: erlang.source.clone(),
            usable: usable
                .into_iter()
                .filter(|major| {
                    lists
                        .otp
                        .builds()
                        .iter()
                        .any(|build| lists.otp.major_of(build) == *major)
                })
                .collect(),
        }),
    }
}

fn no_such_elixir(asked: &Asked, target: &Target, nearest: &[ElixirVersion]) -> PlanError {
    PlanError::NoSuchVersion {
        tool: Tool::Elixir,
        asked: asked.clone(),
        target: os(target),
        nearest: nearest.iter().map(ElixirVersion::to_string).collect(),
        newest_of_line: None,
    }
}

/// `ubuntu-24.04 (amd64)`.
fn os(target: &Target) -> String {
    format!("{} ({})", target.os, target.arch)
}

fn pair_compatibility(elixir: &ElixirBuild, otp_major: u32) -> Compatibility {
    match &elixir.version {
        Some(version) => compatibility::check(version, otp_major),
        None => Compatibility::Unknown,
    }
}

/// `1.18.3`, or the branch.
fn name(build: &ElixirBuild) -> String {
    build
        .version
        .as_ref()
        .map_or_else(|| build.reference.clone(), ElixirVersion::to_string)
}

fn otp_choice(build: &OtpBuild, asked: Option<String>, source: Origin) -> Choice<OtpBuild> {
    Choice {
        version: build
            .version
            .as_ref()
            .map_or_else(|| build.reference.clone(), OtpVersion::to_string),
        asked,
        source,
        build: build.clone(),
    }
}

fn elixir_choice(
    build: &ElixirBuild,
    asked: Option<String>,
    source: Origin,
) -> Choice<ElixirBuild> {
    Choice {
        version: name(build),
        asked,
        source,
        build: build.clone(),
    }
}

fn choose_node(
    wishes: &Wishes,
    target: &Target,
    index: &NodeIndex,
    last: &LastBuild,
) -> Result<Choice<NodeVersion>, PlanError> {
    let range = wishes.node_range.as_ref();
    let brunch = wishes.brunch.as_ref();
    let allowed = |version: &NodeVersion| {
        range.is_none_or(|(_, range)| range.matches(version))
            && brunch.is_none_or(|brunch| brunch.runs_on(version))
    };
    let Some(asked) = &wishes.node else {
        let kept = last.node.as_deref().and_then(|kept| {
            let request = NodeRequest::parse(kept).ok()?;
            let release = index.choose(&request, target.arch).ok()?;
            allowed(&release.version).then_some(release)
        });
        if let Some(release) = kept {
            return Ok(node_choice(&release.version, None, Origin::LastBuild));
        }
        let for_brunch = brunch.and_then(|brunch| {
            let mut releases = index
                .releases()
                .iter()
                .filter(|release| release.lts.is_some() && release.archs.contains(&target.arch));
            let release = releases.find(|release| allowed(&release.version))?;
            let source = Origin::Default(brunch.reason());
            Some(node_choice(&release.version, None, source))
        });
        if let Some(choice) = for_brunch {
            return Ok(choice);
        }
        return match range {
            Some((asked, range)) => {
                node_for(asked, &NodeRequest::Range(range.clone()), target, index)
            }
            None => index
                .default_lts(target.arch)
                .map(|release| {
                    let source = Origin::Default("newest LTS".to_owned());
                    node_choice(&release.version, None, source)
                })
                .ok_or_else(|| PlanError::NoNode {
                    arch: target.arch.to_string(),
                }),
        };
    };
    node_for(
        asked,
        &parse_node(asked, index, target.arch)?,
        target,
        index,
    )
}

fn node_for(
    asked: &Asked,
    request: &NodeRequest,
    target: &Target,
    index: &NodeIndex,
) -> Result<Choice<NodeVersion>, PlanError> {
    let release = index
        .choose(request, target.arch)
        .map_err(|miss| PlanError::NoSuchVersion {
            tool: Tool::Node,
            target: os(target),
            nearest: miss.nearest.iter().map(NodeVersion::to_string).collect(),
            newest_of_line: miss.newest_of_line.as_ref().map(NodeVersion::to_string),
            asked: asked.clone(),
        })?;
    Ok(node_choice(
        &release.version,
        Some(asked.value.clone()),
        asked.origin.clone(),
    ))
}

fn node_choice(
    version: &NodeVersion,
    asked: Option<String>,
    source: Origin,
) -> Choice<NodeVersion> {
    Choice {
        version: version.to_string(),
        asked,
        source,
        build: version.clone(),
    }
}

/// The Phoenix apps and their asset folders.
fn asset_dirs(facts: &Facts, settings: &Settings) -> Result<Vec<(String, String)>, PlanError> {
    let phoenix_dirs: Vec<String> = match &settings.phoenix_relative_path {
        Some(asked) => {
            let dir = join(&facts.app_dir.value, &clean(&asked.value));
            if !facts.projects.iter().any(|project| project.dir == dir) {
                return Err(PlanError::NoSuchFolder {
                    key: "phoenix_relative_path",
                    asked: asked.clone(),
                    missing: "mix.exs",
                });
            }
            vec![dir]
        }
        None if facts.root().apps_path.is_some() => facts
            .projects
            .iter()
            .filter(|project| project.guess.phoenix)
            .map(|project| project.dir.clone())
            .collect(),
        None => vec![facts.app_dir.value.clone()],
    };
    Ok(phoenix_dirs
        .into_iter()
        .map(|dir| {
            let assets = assets_dir(facts, settings, &dir);
            (dir, assets)
        })
        .collect())
}

/// Where the asset sources of a Phoenix app are. The static buildpack's rule, for apps that have
/// its config file: a configured folder with a `package.json`, else a `package.json` beside
/// `mix.exs`, else `assets`. Without its config file a `package.json` in `assets` goes first.
fn assets_dir(facts: &Facts, settings: &Settings, phoenix_dir: &str) -> String {
    let configured = settings
        .assets_path
        .as_ref()
        .map(|asked| join(phoenix_dir, &clean(&asked.value)))
        .filter(|dir| facts.package_in(dir).is_some());
    let beside = || {
        facts
            .package_in(phoenix_dir)
            .map(|package| package.dir.clone())
    };
    let assets = join(phoenix_dir, "assets");
    let in_assets = facts.package_in(&assets).is_some();
    let has_config = facts.static_config != crate::facts::ConfigFile::Missing;
    match configured {
        Some(dir) => dir,
        None if in_assets && !has_config => assets,
        None => beside().unwrap_or(assets),
    }
}

fn assets(facts: &Facts, settings: &Settings) -> Result<Vec<Assets>, PlanError> {
    if settings.skip_assets.is_some() {
        return Ok(Vec::new());
    }
    asset_dirs(facts, settings)?
        .into_iter()
        .map(|(phoenix_dir, assets_dir)| {
            let install = match facts.package_in(&assets_dir) {
                Some(package) => Some(install(package, settings)?),
                None => None,
            };
            let (build, why) = asset_build(facts, settings, &phoenix_dir, &assets_dir);
            Ok(Assets {
                bower: facts.has_bower(&assets_dir),
                phoenix_dir,
                assets_dir,
                install,
                build,
                why,
            })
        })
        .collect()
}

fn asset_build(
    facts: &Facts,
    settings: &Settings,
    phoenix_dir: &str,
    assets_dir: &str,
) -> (AssetBuild, String) {
    let script = &settings.compile_script;
    if facts.root_files.contains(script) {
        let path = join(&facts.app_dir.value, script);
        let why = format!("the app has its own `{path}`");
        return (AssetBuild::CustomScript { path }, why);
    }
    let package = facts.package_in(assets_dir);
    let has = |name: &str| package.is_some_and(|package| package.json.has_script(name));
    let path = join(assets_dir, "package.json");
    let npm = |name: &str| {
        let why = format!("{path} has a script `{name}`");
        let name = name.to_owned();
        (AssetBuild::Script { name }, why)
    };
    let alias = facts
        .projects
        .iter()
        .any(|p| p.dir == phoenix_dir && p.guess.assets_deploy);
    if has("deploy") {
        npm("deploy")
    } else if alias {
        let path = join(phoenix_dir, "mix.exs");
        let why = format!("{path} has an alias `assets.deploy`");
        (AssetBuild::MixAlias, why)
    } else if has("build") {
        npm("build")
    } else {
        (AssetBuild::Nothing, "no asset script found".to_owned())
    }
}

fn install(package: &JsPackage, settings: &Settings) -> Result<Install, PlanError> {
    let manager = PackageManager::choose(package, settings)?;
    let lockfile = package.lockfiles.first();
    let lockfile = lockfile.map(|name| join(&package.dir, name));
    let why = match &lockfile {
        Some(lockfile) => format!("{lockfile} is there"),
        None => "there is no lockfile".to_owned(),
    };
    Ok(Install {
        inputs: inputs(package),
        dir: package.dir.clone(),
        command: manager.install(lockfile.is_some()),
        manager,
        lockfile,
        why,
    })
}

/// What decides the content of `node_modules`, beside Node and the package manager.
fn inputs(package: &JsPackage) -> Result<Vec<String>, String> {
    const BESIDE: [&str; 11] = [
        "package.json",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".yarn/patches",
        ".yarn/plugins",
        ".yarn/releases",
        ".pnpmfile.cjs",
        "pnpm-workspace.yaml",
        "bunfig.toml",
        "patches",
    ];
    const AT_THE_TOP: [&str; 3] = [".npmrc", ".yarnrc", ".yarnrc.yml"];
    let json = &package.json;
    if package.lockfiles.is_empty() {
        return Err("there is no lockfile".to_owned());
    }
    if !json.workspaces.is_null() {
        return Err("there are workspaces".to_owned());
    }
    if let Some(script) = json.script_of_installing() {
        return Err(format!("there is a script `{script}`"));
    }
    let lockfiles = package.lockfiles.iter().map(String::as_str);
    let beside = lockfiles.chain(BESIDE).map(|name| join(&package.dir, name));
    let mut inputs: Vec<String> = beside.chain(AT_THE_TOP.map(str::to_owned)).collect();
    for folder in json.folders() {
        let resolved = resolved(&package.dir, folder);
        inputs.push(resolved.ok_or_else(|| format!("{folder} is outside of the app"))?);
    }
    inputs.sort();
    inputs.dedup();
    Ok(inputs)
}

/// `../deps/phoenix`, seen from `assets`, is `deps/phoenix`; nothing outside of the app is anything.
fn resolved(dir: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in dir.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn steps(
    (settings, release, slim): (&Settings, bool, Slim),
    node: bool,
    phoenix: bool,
    assets: &[Assets],
    branches: &[StepName],
) -> Vec<StepPlan> {
    use StepName as Name;
    let hooks = &settings.hooks;
    let mut steps: Vec<StepPlan> = Vec::new();
    let mut add = |name: Name, needs: &[Name], alone: bool| {
        // Only what is part of this plan can be waited for.
        let needs = needs
            .iter()
            .copied()
            .filter(|need| steps.iter().any(|step: &StepPlan| step.name == *need))
            .collect();
        steps.push(StepPlan { name, needs, alone });
    };
    let tools = [Name::Erlang, Name::Elixir, Name::Hex];
    let tools_of_hooks = [tools.as_slice(), &[Name::Node]].concat();
    add(Name::Erlang, &[], false);
    add(Name::Elixir, &[], false);
    if node {
        add(Name::Node, &[], false);
    }
    // Which Hex fits a branch is known once the branch can be asked for its version.
    add(Name::Hex, branches, false);
    if hooks.pre_compile.is_some() {
        add(Name::PreCompile, &tools_of_hooks, true);
    }
    add(Name::Restore, &[Name::PreCompile], false);
    // mix never had Node: it was the static buildpack, after it, that installed that.
    let ready = [tools.as_slice(), &[Name::PreCompile, Name::Restore]].concat();
    if hooks.hook_pre_fetch_dependencies.is_some() {
        let ready = [ready.as_slice(), &[Name::Node]].concat();
        add(Name::HookPreFetchDependencies, &ready, true);
    }
    let ready = [ready.as_slice(), &[Name::HookPreFetchDependencies]].concat();
    add(Name::Deps, &ready, false);
    if hooks.hook_pre_compile.is_some() {
        add(Name::HookPreCompile, &[Name::Deps, Name::Node], true);
    }
    if node {
        // After deps: package.json may name `file:../deps/phoenix`.
        add(
            Name::Javascript,
            &[Name::Node, Name::Deps, Name::HookPreCompile],
            false,
        );
    }
    // A replaced compile command is the user's own: it runs alone, with JavaScript in place.
    let own_compile = hooks.hook_compile.is_some();
    let mut needs = vec![Name::Deps, Name::HookPreCompile];
    if own_compile {
        needs.push(Name::Javascript);
    }
    add(Name::Compile, &needs, own_compile);
    let compiled = [Name::Compile, Name::Javascript];
    if hooks.hook_post_compile.is_some() {
        add(Name::HookPostCompile, &compiled, true);
    }
    let builds_assets = assets
        .iter()
        .any(|assets| assets.build != AssetBuild::Nothing);
    let after_hook = [compiled.as_slice(), &[Name::HookPostCompile]].concat();
    if (builds_assets || phoenix) && settings.skip_assets.is_none() {
        add(Name::Assets, &after_hook, true);
        add(Name::Digest, &[Name::Assets], false);
    }
    let last = [after_hook.as_slice(), &[Name::Assets, Name::Digest]].concat();
    if release {
        add(Name::Release, &last, false);
    }
    let last = [last.as_slice(), &[Name::Release]].concat();
    add(Name::Save, &last, false);
    add(Name::Profile, &last, false);
    if hooks.post_compile.is_some() {
        add(Name::PostCompile, &[Name::Save, Name::Profile], true);
    }
    if slim != Slim::None {
        // The last hook may still need all of it, and so does what is kept for the next build.
        let all = [Name::Save, Name::Profile, Name::PostCompile];
        add(Name::Slim, &all, false);
    }
    steps
}

fn processes(
    facts: &Facts,
    release: bool,
    phoenix: bool,
    mix_env: &str,
) -> BTreeMap<String, Process> {
    let root = facts.root();
    let in_app_dir = |command: &str| launcher::command(&facts.app_dir.value, command);
    let process = if release {
        let name = root
            .release
            .clone()
            .or_else(|| root.app.clone())
            .unwrap_or_else(|| "RELEASE".to_owned());
        Process {
            command: in_app_dir(&format!("_build/{mix_env}/rel/{name}/bin/{name} start")),
            why: "a release is built".to_owned(),
            guess: true,
        }
    } else if phoenix {
        Process {
            command: in_app_dir("mix phx.server"),
            why: "Phoenix is a dependency".to_owned(),
            guess: true,
        }
    } else {
        Process {
            command: in_app_dir("mix run --no-halt"),
            why: "not a Phoenix app".to_owned(),
            guess: true,
        }
    };
    BTreeMap::from([("web".to_owned(), process)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package_json::PackageJson;

    fn package(json: &str, lockfile: Option<&str>) -> JsPackage {
        JsPackage {
            dir: "assets".to_owned(),
            json: PackageJson::parse(json).unwrap(),
            node: Vec::new(),
            manager: None,
            lockfiles: lockfile.into_iter().map(str::to_owned).collect(),
            lock_format: None,
        }
    }

    #[test]
    fn what_decides_node_modules_is_known_or_why_not() {
        let lock = Some("package-lock.json");
        let json = r#"{"dependencies": {"phoenix": "file:../deps/phoenix", "a": "1.0.0"},
            "devDependencies": {"b": "./vendor/b"}, "scripts": {"postinstall": "patch-package"}}"#;
        let inputs_of = |json: &str, lock| inputs(&package(json, lock));
        let known = inputs_of(json, lock).unwrap();
        for path in [
            "assets/package.json",
            "assets/package-lock.json",
            "assets/patches",
            "assets/vendor/b",
            "deps/phoenix",
            ".npmrc",
        ] {
            assert!(known.iter().any(|input| input == path), "{path}");
        }
        for (json, lock, why) in [
            ("{}", None, "there is no lockfile"),
            (r#"{"workspaces": ["x"]}"#, lock, "there are workspaces"),
            (
                r#"{"scripts": {"postinstall": "patch-package && cp a b"}}"#,
                lock,
                "there is a script `postinstall`",
            ),
            (
                r#"{"dependencies": {"x": "file:../../x"}}"#,
                lock,
                "../../x is outside of the app",
            ),
        ] {
            assert_eq!(inputs_of(json, lock), Err(why.to_owned()), "{json}");
        }
    }
}

//! The steps of a build, and which must have ended before which begins.

use super::{AssetBuild, Assets, Choice, Slim};
use crate::settings::Settings;
use serde::Serialize;
use versions::elixir::ElixirBuild;
use versions::otp::OtpBuild;

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

pub(super) fn steps(
    (settings, release, slim): (&Settings, bool, Slim),
    node: bool,
    phoenix: bool,
    assets: &[Assets],
    (branches, otp_changes): (&[StepName], bool),
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
    // Whether another patch of OTP goes with what was compiled, only what is installed can tell.
    let erlang = otp_changes.then_some(Name::Erlang);
    let first: Vec<Name> = erlang.into_iter().chain([Name::PreCompile]).collect();
    add(Name::Restore, &first, false);
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

/// The tools of which a branch is asked for.
pub(super) fn branches(erlang: &Choice<OtpBuild>, elixir: &Choice<ElixirBuild>) -> Vec<StepName> {
    [
        (StepName::Erlang, erlang.build.version.is_none()),
        (StepName::Elixir, elixir.build.version.is_none()),
    ]
    .into_iter()
    .filter_map(|(tool, is_branch)| is_branch.then_some(tool))
    .collect()
}

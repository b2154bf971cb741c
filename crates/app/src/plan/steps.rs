//! The steps of a build.

use super::{AssetBuild, Assets, Slim};
use crate::settings::Settings;
use serde::Serialize;

/// A step's name. The string is its name in logs and reports.
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
    PostCompile,
    Slim,
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

/// Returns the steps of a build, in the order in which they start.
pub(super) fn steps(
    (settings, release, slim): (&Settings, bool, Slim),
    node: bool,
    phoenix: bool,
    assets: &[Assets],
) -> Vec<StepName> {
    use StepName as Name;
    let hooks = &settings.hooks;
    let builds_assets = assets
        .iter()
        .any(|assets| assets.build != AssetBuild::Nothing);
    let has_assets = (builds_assets || phoenix) && settings.skip_assets.is_none();
    [
        (Name::Erlang, true),
        (Name::Elixir, true),
        (Name::Node, node),
        (Name::Hex, true),
        (Name::PreCompile, hooks.pre_compile.is_some()),
        (Name::Restore, true),
        (
            Name::HookPreFetchDependencies,
            hooks.hook_pre_fetch_dependencies.is_some(),
        ),
        (Name::Deps, true),
        (Name::HookPreCompile, hooks.hook_pre_compile.is_some()),
        (Name::Javascript, node),
        (Name::Compile, true),
        (Name::HookPostCompile, hooks.hook_post_compile.is_some()),
        (Name::Assets, has_assets),
        (Name::Digest, has_assets),
        (Name::Release, release),
        (Name::Save, true),
        (Name::Profile, true),
        (Name::PostCompile, hooks.post_compile.is_some()),
        // Pruning comes last: the last hook and the build cache may need everything.
        (Name::Slim, slim != Slim::None),
    ]
    .into_iter()
    .filter_map(|(name, runs)| runs.then_some(name))
    .collect()
}

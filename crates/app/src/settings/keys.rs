//! The names of all settings.

use crate::facts::app_dir;

/// The default name of the app's own asset script, which the key `compile` overrides.
pub(crate) const COMPILE_SCRIPT: &str = "compile";
/// The config var that turns off the check of mix.lock.
pub(super) const CHECK_LOCKED: &str = "MIXPACK_CHECK_LOCKED";
/// The config var that leaves the assets to another buildpack.
pub(super) const SKIP_ASSETS: &str = "MIXPACK_SKIP_ASSETS";
/// The config var that sets whether a release is built.
pub(crate) const RELEASE: &str = "MIXPACK_RELEASE";
/// The config var that sets how much to prune from the slug.
pub(super) const SLIM: &str = "MIXPACK_SLIM";
/// The config var that turns off restoring assets of the last build.
pub(super) const REUSE_ASSETS: &str = "MIXPACK_REUSE_ASSETS";
/// The config var that recompiles code with each OTP patch version.
pub(super) const REBUILD_ON_OTP_PATCH: &str = "MIXPACK_REBUILD_ON_OTP_PATCH";
/// The config var that turns off the boot check.
pub(super) const BOOT_CHECK: &str = "MIXPACK_BOOT_CHECK";
/// The config var that prints the full output of tools.
pub(super) const VERBOSE: &str = "MIXPACK_VERBOSE";

/// Node's own config var, for options of the VM.
pub(super) const NODE_OPTIONS: &str = "NODE_OPTIONS";

/// Mixpack's own config vars that affect the plan.
pub(super) const CONFIG_VARS: [&str; 9] = [
    app_dir::CONFIG_VAR,
    CHECK_LOCKED,
    SKIP_ASSETS,
    RELEASE,
    SLIM,
    REUSE_ASSETS,
    REBUILD_ON_OTP_PATCH,
    BOOT_CHECK,
    VERBOSE,
];

pub(super) const ELIXIR_KEYS: [&str; 21] = [
    app_dir::KEY,
    "erlang_version",
    "elixir_version",
    "hex_version",
    "rebar3_version",
    "always_rebuild",
    "release",
    "runtime_path",
    "hook_pre_fetch_dependencies",
    "hook_pre_compile",
    "hook_compile",
    "hook_post_compile",
    "pre_compile",
    "post_compile",
    "config_vars_to_export",
    "test_args",
    "slim",
    "rebuild_on_otp_patch",
    "reuse_assets",
    "skip_assets",
    "boot_check",
];

pub(super) const STATIC_KEYS: [&str; 10] = [
    "clean_cache",
    "compile",
    "node_version",
    "npm_version",
    "yarn_version",
    "phoenix_relative_path",
    "remove_node",
    "assets_path",
    "phoenix_ex",
    "config_vars_to_export",
];

/// The keys of both files.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    ELIXIR_KEYS.into_iter().chain(STATIC_KEYS)
}

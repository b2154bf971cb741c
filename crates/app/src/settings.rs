//! The user's settings, merged from the two config files and the config vars.
//!
//! Keys and defaults: those of the Elixir buildpack and the Phoenix static buildpack. Each keeps its own precedence:
//! a line of `elixir_buildpack.config` overrides a config var of the same name, and a config var overrides a line of
//! `phoenix_static_buildpack.config`.

pub mod assignment_typo;
mod keys;
pub mod name_typo;

pub(crate) use keys::{COMPILE_SCRIPT, RELEASE};

use crate::facts::shell_config::Assignment;
use crate::facts::{ConfigFile, Facts, LEGACY_OPENSSL};
use crate::origin::{Origin, Setting};
use keys::{
    BOOT_CHECK, CHECK_LOCKED, NODE_OPTIONS, REBUILD_ON_OTP_PATCH, REUSE_ASSETS, SKIP_ASSETS, SLIM,
    VERBOSE,
};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The hooks of `elixir_buildpack.config`: shell commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hooks {
    /// Deprecated. Runs before the cache is restored.
    pub pre_compile: Option<Setting>,
    pub hook_pre_fetch_dependencies: Option<Setting>,
    pub hook_pre_compile: Option<Setting>,
    /// Replaces `mix compile`.
    pub hook_compile: Option<Setting>,
    pub hook_post_compile: Option<Setting>,
    /// Deprecated. Runs after everything else.
    pub post_compile: Option<Setting>,
}

impl Hooks {
    /// Whether there are any hooks.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// The user's settings, with their origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub erlang_version: Option<Setting>,
    pub elixir_version: Option<Setting>,
    pub hex_version: Option<Setting>,
    pub rebar3_version: Option<Setting>,
    pub node_version: Option<Setting>,
    pub npm_version: Option<Setting>,
    pub yarn_version: Option<Setting>,
    pub always_rebuild: bool,
    pub clean_cache: bool,
    /// Whether a release is built, if the app sets it.
    pub release: Option<Setting>,
    /// Whether a release is built by default, unless the app needs mix at run time.
    pub prefers_release: bool,
    pub remove_node: Option<bool>,
    /// The setting that leaves the assets to another buildpack, as a phrase.
    pub skip_assets: Option<String>,
    /// Whether mix.lock has to be up to date with mix.exs.
    pub check_locked: bool,
    /// The path at which the slug runs, `/app` by default.
    pub runtime_path: String,
    pub hooks: Hooks,
    /// The app's own asset script, relative to the app.
    pub compile_script: String,
    pub phoenix_relative_path: Option<Setting>,
    pub assets_path: Option<Setting>,
    pub phoenix_ex: Option<Setting>,
    pub test_args: Option<Setting>,
    /// How much to prune from the slug: `none`, `standard` or `full`.
    pub slim: Option<Setting>,
    /// Whether assets of the last build may be restored if their inputs haven't changed.
    pub reuse_assets: bool,
    /// Whether code is recompiled with each OTP patch version, even if the compiler is the same.
    pub rebuild_on_otp_patch: bool,
    /// Whether the build checks that the app can boot.
    pub boot_check: bool,
    /// Whether the log contains the full output of tools.
    pub verbose: bool,
    /// Whether `NODE_OPTIONS` enables the legacy algorithms of OpenSSL 3.
    pub legacy_openssl: bool,
    /// Variables that the config files export to every command.
    pub exported: Vec<(String, String)>,
    /// Their other assignments, which hooks see as with the old buildpack.
    pub shell_variables: Vec<(String, String)>,
    /// Every key and config var in effect, sorted by name.
    pub set: Vec<(String, Setting)>,
}

impl Settings {
    /// Merges the files (already evaluated, see [`ConfigFile::NeedsBash`]) with the config vars that `config_var`
    /// returns.
    #[must_use]
    pub fn merge(facts: &Facts, config_var: &dyn Fn(&str) -> Option<String>) -> Self {
        let sources = Sources {
            facts,
            config_var,
            set: RefCell::default(),
        };
        let yes = |requested: Option<Setting>| {
            requested.is_some_and(|requested| requested.value == "true")
        };
        let exported = sources.other_variables(true);
        let merged = Self {
            erlang_version: sources.elixir_key("erlang_version"),
            elixir_version: sources.elixir_key("elixir_version"),
            hex_version: sources.elixir_key("hex_version"),
            rebar3_version: sources.elixir_key("rebar3_version"),
            node_version: sources.static_key("node_version"),
            npm_version: sources.static_key("npm_version"),
            yarn_version: sources.static_key("yarn_version"),
            always_rebuild: yes(sources.elixir_config("always_rebuild")),
            clean_cache: yes(sources.static_key("clean_cache")),
            release: sources.mixpack_setting(RELEASE, "release"),
            prefers_release: false,
            remove_node: sources
                .static_key("remove_node")
                .and_then(|requested| requested.value.parse().ok()),
            skip_assets: match sources.mixpack_setting(SKIP_ASSETS, "skip_assets") {
                Some(requested) => {
                    (requested.value == "true").then(|| requested.origin.to_string())
                }
                None => facts
                    .later_static
                    .as_ref()
                    .map(|later| format!("{} lists {} after this one", later.origin, later.value)),
            },
            check_locked: sources
                .config_var_setting(CHECK_LOCKED)
                .is_none_or(|requested| requested.value != "false"),
            runtime_path: sources
                .elixir_config("runtime_path")
                .map_or_else(|| "/app".to_owned(), |a| a.value),
            hooks: Hooks {
                pre_compile: sources.elixir_key("pre_compile"),
                hook_pre_fetch_dependencies: sources.elixir_key("hook_pre_fetch_dependencies"),
                hook_pre_compile: sources.elixir_key("hook_pre_compile"),
                hook_compile: sources.elixir_key("hook_compile"),
                hook_post_compile: sources.elixir_key("hook_post_compile"),
                post_compile: sources.elixir_key("post_compile"),
            },
            compile_script: sources
                .static_key("compile")
                .map_or_else(|| COMPILE_SCRIPT.to_owned(), |a| a.value),
            phoenix_relative_path: sources.static_key("phoenix_relative_path"),
            assets_path: sources.static_key("assets_path"),
            phoenix_ex: sources.static_key("phoenix_ex"),
            test_args: sources.elixir_key("test_args"),
            slim: sources.mixpack_setting(SLIM, "slim"),
            reuse_assets: sources
                .mixpack_setting(REUSE_ASSETS, "reuse_assets")
                .is_none_or(|requested| requested.value != "false"),
            rebuild_on_otp_patch: yes(
                sources.mixpack_setting(REBUILD_ON_OTP_PATCH, "rebuild_on_otp_patch")
            ),
            boot_check: sources
                .mixpack_setting(BOOT_CHECK, "boot_check")
                .is_none_or(|requested| requested.value != "false"),
            verbose: yes(sources.config_var_setting(VERBOSE)),
            legacy_openssl: exported
                .iter()
                .filter(|(name, _)| name == NODE_OPTIONS)
                .map(|(_, value)| value.clone())
                .chain(config_var(NODE_OPTIONS))
                .any(|value| value.contains(LEGACY_OPENSSL)),
            exported,
            shell_variables: sources.other_variables(false),
            set: Vec::new(),
        };
        Self {
            set: sources.set.into_inner().into_iter().collect(),
            ..merged
        }
    }
}

/// The config files and the config vars.
struct Sources<'a> {
    facts: &'a Facts,
    config_var: &'a dyn Fn(&str) -> Option<String>,
    /// The keys and config vars that were looked up and have a value.
    set: RefCell<BTreeMap<String, Setting>>,
}

impl Sources<'_> {
    fn found(&self, key: &str, value: &str, origin: Origin) -> Option<Setting> {
        let value = value.trim();
        (!value.is_empty()).then(|| {
            let requested = Setting::new(value.to_owned(), origin);
            self.set
                .borrow_mut()
                .insert(key.to_owned(), requested.clone());
            requested
        })
    }

    fn config_var_setting(&self, key: &str) -> Option<Setting> {
        let value = (self.config_var)(key)?;
        self.found(key, &value, Origin::ConfigVar(key.to_owned()))
    }

    fn file_setting(&self, file: &ConfigFile, path: &str, key: &str) -> Option<Setting> {
        let mut lines = assignments(file).iter().rev();
        let line = lines.find(|line| line.name == key)?;
        self.found(key, &line.value.text(), Origin::file(path, line.line))
    }

    /// Returns a key that the Elixir buildpack set itself before it read the file, so that a config var never had an
    /// effect.
    fn elixir_config(&self, key: &str) -> Option<Setting> {
        let facts = self.facts;
        self.file_setting(&facts.elixir_config, &facts.elixir_config_path, key)
    }

    fn elixir_key(&self, key: &str) -> Option<Setting> {
        let in_file = self.elixir_config(key);
        in_file.or_else(|| self.config_var_setting(key))
    }

    fn static_key(&self, key: &str) -> Option<Setting> {
        let facts = self.facts;
        let in_file = || self.file_setting(&facts.static_config, &facts.static_config_path, key);
        self.config_var_setting(key).or_else(in_file)
    }

    /// Returns one of Mixpack's own settings. The config var overrides the file.
    fn mixpack_setting(&self, config_var: &str, key: &str) -> Option<Setting> {
        let of_var = self.config_var_setting(config_var);
        of_var.or_else(|| self.elixir_config(key))
    }

    /// Returns the variables in the files that aren't settings.
    fn other_variables(&self, exported: bool) -> Vec<(String, String)> {
        let files = [&self.facts.elixir_config, &self.facts.static_config];
        files
            .into_iter()
            .flat_map(assignments)
            .filter(|line| line.exported == exported && keys::all().all(|key| key != line.name))
            .map(|line| (line.name.clone(), line.value.text()))
            .collect()
    }
}

fn assignments(file: &ConfigFile) -> &[Assignment] {
    match file {
        ConfigFile::Values(list) => list,
        ConfigFile::Missing | ConfigFile::NeedsBash { .. } => &[],
    }
}

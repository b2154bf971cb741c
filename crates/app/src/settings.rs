//! The two config files and the config vars, merged into what the user wants.
//!
//! Keys and defaults: those of the Elixir buildpack and the Phoenix static buildpack.
//! Each keeps its own precedence: a line of `elixir_buildpack.config` wins over a config var of
//! the same name, a config var wins over a line of `phoenix_static_buildpack.config`.

pub mod assignment_typo;
mod keys;
pub mod mistyped;

pub(crate) use keys::{COMPILE_SCRIPT, RELEASE};

use crate::facts::shell_config::Assignment;
use crate::facts::{ConfigFile, Facts, LEGACY_OPENSSL};
use crate::origin::{Asked, Origin};
use keys::{
    CHECK_LOCKED, NODE_OPTIONS, REBUILD_ON_OTP_PATCH, REUSE_ASSETS, SKIP_ASSETS, SLIM, VERBOSE,
};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The hooks of `elixir_buildpack.config`: lines of shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hooks {
    /// Deprecated; before anything of the cache is restored.
    pub pre_compile: Option<Asked>,
    pub hook_pre_fetch_dependencies: Option<Asked>,
    pub hook_pre_compile: Option<Asked>,
    /// Replaces `mix compile`.
    pub hook_compile: Option<Asked>,
    pub hook_post_compile: Option<Asked>,
    /// Deprecated; after everything else.
    pub post_compile: Option<Asked>,
}

impl Hooks {
    /// Whether there is one at all.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What the user asks for, with its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub erlang_version: Option<Asked>,
    pub elixir_version: Option<Asked>,
    pub hex_version: Option<Asked>,
    pub rebar3_version: Option<Asked>,
    pub node_version: Option<Asked>,
    pub npm_version: Option<Asked>,
    pub yarn_version: Option<Asked>,
    pub always_rebuild: bool,
    pub clean_cache: bool,
    /// Whether a release is built, where anybody says so.
    pub release: Option<Asked>,
    /// Where nobody does, one is, unless the app needs mix at run time.
    pub prefers_release: bool,
    pub remove_node: bool,
    /// Another buildpack makes what browsers load: who says so, in words.
    pub skip_assets: Option<String>,
    /// Whether mix.lock has to be in step with mix.exs.
    pub check_locked: bool,
    /// Where the slug runs: `/app` unless the app says otherwise.
    pub runtime_path: String,
    pub hooks: Hooks,
    /// The app's own asset script, relative to the app.
    pub compile_script: String,
    pub phoenix_relative_path: Option<Asked>,
    pub assets_path: Option<Asked>,
    pub phoenix_ex: Option<Asked>,
    pub test_args: Option<Asked>,
    /// What is left out of the slug: `none`, `standard` or `full`.
    pub slim: Option<Asked>,
    /// Whether assets may be those of the last build, where nothing they are made of has changed.
    pub reuse_assets: bool,
    /// Whether code is compiled again with each patch of OTP, whatever that changes.
    pub rebuild_on_otp_patch: bool,
    /// Whether the log has everything that tools say.
    pub verbose: bool,
    /// `NODE_OPTIONS` turns on what OpenSSL 3 has turned off.
    pub legacy_openssl: bool,
    /// Variables that the config files export to every command.
    pub exported: Vec<(String, String)>,
    /// Their other assignments, which hooks could always see.
    pub shell_variables: Vec<(String, String)>,
    /// Every key and config var that has a say, by name, sorted.
    pub set: Vec<(String, Asked)>,
}

impl Settings {
    /// Merges the files (already evaluated, see [`ConfigFile::NeedsBash`]) with the config vars
    /// that `config_var` knows.
    #[must_use]
    pub fn merge(facts: &Facts, config_var: &dyn Fn(&str) -> Option<String>) -> Self {
        let elixir = assignments(&facts.elixir_config);
        let statics = assignments(&facts.static_config);
        let (elixir_path, static_path) = (&facts.elixir_config_path, &facts.static_config_path);
        let set = RefCell::new(BTreeMap::new());
        let asked = |key: &str, value: &str, origin: Origin| {
            let value = value.trim();
            (!value.is_empty()).then(|| {
                let asked = Asked::new(value.to_owned(), origin);
                set.borrow_mut().insert(key.to_owned(), asked.clone());
                asked
            })
        };
        let of_file = |file: &str, list: &[Assignment], key: &str| {
            let line = list.iter().rev().find(|line| line.name == key)?;
            asked(key, &line.value.text(), Origin::file(file, line.line))
        };
        let of_var = |key: &str| asked(key, &config_var(key)?, Origin::ConfigVar(key.to_owned()));
        let elixir_key = |key: &str| of_file(elixir_path, elixir, key).or_else(|| of_var(key));
        let static_key = |key: &str| of_var(key).or_else(|| of_file(static_path, statics, key));
        // The old pack set these three itself before it read the file: a config var never won.
        let defaulted = |key: &str| of_file(elixir_path, elixir, key);
        let yes = |asked: Option<Asked>| asked.is_some_and(|asked| asked.value == "true");
        let others = |exported: bool| {
            let known = |name: &str| keys::all().any(|key| key == name);
            elixir
                .iter()
                .chain(statics)
                .filter(|line| line.exported == exported && !known(&line.name))
                .map(|line| (line.name.clone(), line.value.text()))
                .collect()
        };
        let exported: Vec<(String, String)> = others(true);
        let merged = Self {
            erlang_version: elixir_key("erlang_version"),
            elixir_version: elixir_key("elixir_version"),
            hex_version: elixir_key("hex_version"),
            rebar3_version: elixir_key("rebar3_version"),
            node_version: static_key("node_version"),
            npm_version: static_key("npm_version"),
            yarn_version: static_key("yarn_version"),
            always_rebuild: yes(defaulted("always_rebuild")),
            clean_cache: yes(static_key("clean_cache")),
            release: of_var(RELEASE).or_else(|| defaulted("release")),
            prefers_release: false,
            remove_node: yes(static_key("remove_node")),
            skip_assets: match of_var(SKIP_ASSETS).or_else(|| defaulted("skip_assets")) {
                Some(asked) => (asked.value == "true").then(|| asked.origin.to_string()),
                None => facts
                    .later_static
                    .as_ref()
                    .map(|later| format!("{} lists {} after this one", later.origin, later.value)),
            },
            check_locked: of_var(CHECK_LOCKED).is_none_or(|asked| asked.value != "false"),
            runtime_path: defaulted("runtime_path").map_or_else(|| "/app".to_owned(), |a| a.value),
            hooks: Hooks {
                pre_compile: elixir_key("pre_compile"),
                hook_pre_fetch_dependencies: elixir_key("hook_pre_fetch_dependencies"),
                hook_pre_compile: elixir_key("hook_pre_compile"),
                hook_compile: elixir_key("hook_compile"),
                hook_post_compile: elixir_key("hook_post_compile"),
                post_compile: elixir_key("post_compile"),
            },
            compile_script: static_key("compile")
                .map_or_else(|| COMPILE_SCRIPT.to_owned(), |a| a.value),
            phoenix_relative_path: static_key("phoenix_relative_path"),
            assets_path: static_key("assets_path"),
            phoenix_ex: static_key("phoenix_ex"),
            test_args: elixir_key("test_args"),
            slim: of_var(SLIM).or_else(|| defaulted("slim")),
            reuse_assets: of_var(REUSE_ASSETS)
                .or_else(|| defaulted("reuse_assets"))
                .is_none_or(|asked| asked.value != "false"),
            rebuild_on_otp_patch: yes(
                of_var(REBUILD_ON_OTP_PATCH).or_else(|| defaulted("rebuild_on_otp_patch"))
            ),
            verbose: yes(of_var(VERBOSE)),
            legacy_openssl: exported
                .iter()
                .filter(|(name, _)| name == NODE_OPTIONS)
                .map(|(_, value)| value.clone())
                .chain(config_var(NODE_OPTIONS))
                .any(|value| value.contains(LEGACY_OPENSSL)),
            exported,
            shell_variables: others(false),
            set: Vec::new(),
        };
        Self {
            set: set.into_inner().into_iter().collect(),
            ..merged
        }
    }
}

fn assignments(file: &ConfigFile) -> &[Assignment] {
    match file {
        ConfigFile::Values(list) => list,
        ConfigFile::Missing | ConfigFile::NeedsBash { .. } => &[],
    }
}

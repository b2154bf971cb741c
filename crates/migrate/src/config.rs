//! `elixir_buildpack.config` and `phoenix_static_buildpack.config`: Mixpack reads both unchanged, but some lines have
//! another meaning.

use crate::Notes;
use app::facts::ELIXIR_CONFIG;
use app::facts::app_dir::KEY;
use app::facts::shell_config::{Outcome, Value, parse};

/// Internal variables of the old buildpacks that a config file could use.
const INTERNAL: [&str; 9] = [
    "cache_path",
    "env_path",
    "build_pack_path",
    "build_pack_dir",
    "cache_dir",
    "env_dir",
    "heroku_dir",
    "phoenix_dir",
    "assets_dir",
];

/// The keys of hooks.
const HOOKS: [&str; 6] = [
    "pre_compile",
    "post_compile",
    "hook_pre_fetch_dependencies",
    "hook_pre_compile",
    "hook_compile",
    "hook_post_compile",
];

/// Adds a note about the app's directory in the config file of Gigalixir's releases buildpack.
pub(crate) fn check_release_config(text: &str, notes: &mut Notes<'_>) {
    let Outcome::Plain(config) = parse(text) else {
        return;
    };
    let dirs = config.assignments.iter().filter(|a| a.name == KEY);
    for assignment in dirs {
        if let Value::Text(dir) = &assignment.value
            && !["", ".", "./"].contains(&dir.as_str())
        {
            let line = usize::try_from(assignment.line).unwrap_or(1);
            notes.add(line, format!("Mixpack doesn't read this file. To build the app in {dir}, set {KEY}={dir} in {ELIXIR_CONFIG} at the top, and remove hooks that move the build there."));
        }
    }
}

pub(crate) fn check(text: &str, notes: &mut Notes<'_>) {
    for (line, content) in (1..).zip(text.lines()) {
        let uses = |name: &&&str| {
            content.contains(&format!("${name}")) || content.contains(&format!("${{{name}}}"))
        };
        if let Some(name) = INTERNAL
            .iter()
            .find(uses)
            .filter(|_| !content.trim_start().starts_with('#'))
        {
            notes.add(line, format!("${name} was a variable of the old buildpack's own code, and is empty now. Config files see config vars, $MIX_ENV, $build_path and $build_dir."));
        }
    }
    let Outcome::Plain(config) = parse(text) else {
        return;
    };
    for assignment in &config.assignments {
        let value = match &assignment.value {
            Value::Text(text) => text.as_str(),
            Value::Words(_) => "",
        };
        let text = match &*assignment.name {
            "erlang_version" if is_two_part(value) => format!(
                "erlang_version={value} was exactly {value}, and now stands for the newest {value}.x. For the exact one, write erlang_version={value}.0."
            ),
            "clean_cache" | "always_rebuild" if value == "true" => format!(
                "{}=true makes every build start from scratch, which takes minutes. Mixpack keeps its cache consistent: try without this line.",
                assignment.name
            ),
            "config_vars_to_export" => "config_vars_to_export has no effect any more: the build sees every config var. You can remove this line.".to_owned(),
            hook if HOOKS.contains(&hook) && sets_variables(value) => format!(
                "{hook} ran in the old buildpack's own shell, so the variables that it set stayed for the rest of the build. Mixpack runs each hook in a separate shell. Set config vars, or add lines such as `export NAME=value` to this file."
            ),
            _ => continue,
        };
        notes.add(usize::try_from(assignment.line).unwrap_or(1), text);
    }
}

/// Whether a hook changes its shell: `source ./env.sh`, `export A=b`.
fn sets_variables(hook: &str) -> bool {
    let mut words = hook.split_whitespace().skip_while(|word| *word == "eval");
    words
        .next()
        .is_some_and(|word| ["source", ".", "export"].contains(&word))
}

fn is_two_part(version: &str) -> bool {
    let parts: Vec<&str> = version.split('.').collect();
    parts.len() == 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

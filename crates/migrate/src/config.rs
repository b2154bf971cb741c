//! `elixir_buildpack.config` and `phoenix_static_buildpack.config`: Mixpack reads both as they are. Some lines mean
//! something else to it.

use crate::Notes;
use app::facts::shell_config::{Outcome, Value, parse};

/// Variables of the old buildpacks' own code that a config file could use.
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
            _ => continue,
        };
        notes.add(usize::try_from(assignment.line).unwrap_or(1), text);
    }
}

fn is_two_part(version: &str) -> bool {
    let parts: Vec<&str> = version.split('.').collect();
    parts.len() == 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

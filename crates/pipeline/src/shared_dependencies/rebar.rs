//! Packages that rebar3 compiles, in a VM of its own. Their reads aren't known, so the shared store only keeps those
//! whose code can't run while it is compiled.

use std::fs;
use std::path::Path;
use store::digest;
use walkdir::WalkDir;

/// Keys of `rebar.config` with code or commands (rebar3.org, "Configuration"). Project plugins aren't loaded for a
/// dependency.
const KEYS: [&str; 6] = [
    "plugins",
    "port_env",
    "port_specs",
    "post_hooks",
    "pre_hooks",
    "provider_hooks",
];

/// Checks the sources of a package.
///
/// # Errors
///
/// A phrase, if code of it may run.
pub(crate) fn check(package: &Path) -> Result<(), String> {
    let walk = WalkDir::new(package).into_iter().filter_map(Result::ok);
    for entry in walk.filter(|entry| entry.file_type().is_file()) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default();
        if extension == "script" {
            return Err(format!("has {name}, which rebar3 runs"));
        }
        let is_config = name == "rebar.config";
        let is_resource = name.ends_with(".app.src");
        if !is_config && !is_resource && extension != "erl" && extension != "hrl" {
            continue;
        }
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if text.contains("parse_transform") {
            return Err(format!("has a parse transform in {name}"));
        }
        if let Some(key) = is_config
            .then(|| {
                keys(&text)
                    .into_iter()
                    .find(|key| KEYS.contains(&key.as_str()))
            })
            .flatten()
        {
            return Err(format!("has {key} in rebar.config"));
        }
        // `{vsn, git}` and `{vsn, {cmd, "..."}}` run a program.
        let version = text.split_once("vsn").map_or("", |(_, after)| after);
        let version = version.trim_start_matches([',', ' ', '\t', '\n']);
        if is_resource && !version.starts_with(['"', '<']) {
            return Err(format!("computes its version in {name}"));
        }
    }
    Ok(())
}

/// The keys of the terms of a file: `{KEY, …}.`
fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut depth = 0_u32;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '%' => drop(chars.by_ref().find(|c| *c == '\n')),
            '$' => drop(chars.next()),
            '"' | '\'' => {
                while let Some(inside) = chars.next() {
                    match inside {
                        '\\' => drop(chars.next()),
                        end if end == c => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' | '(' => {
                if depth == 0 {
                    let is_space = |c: &char| c.is_whitespace();
                    while chars.next_if(is_space).is_some() {}
                    let mut key = String::new();
                    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        key.push(c);
                    }
                    keys.push(key);
                }
                depth += 1;
            }
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    keys
}

/// Returns a digest of the rebar3 that mix uses.
pub(crate) fn digest(mix_home: &Path) -> String {
    // MIX_HOME/elixir/1-18-otp-27/rebar3, MIX_HOME/rebar3
    let files = WalkDir::new(mix_home).max_depth(3).sort_by_file_name();
    let files = files.into_iter().filter_map(Result::ok);
    let rebar3 = files.filter(|entry| entry.file_name() == "rebar3");
    rebar3
        .filter_map(|entry| digest::sha256_of(entry.path()).ok())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_whose_code_may_run_is_not_shared() {
        let config = |text: &'static str| ("rebar.config", text);
        for (file, why) in [
            (
                config(
                    "{deps, []}.\n{profiles, [{test, [{plugins, [covertool]}]}]}.\n{project_plugins, [x]}.",
                ),
                None,
            ),
            (config("% {plugins, [x]}.\n{erl_opts, [debug_info]}."), None),
            (
                config("{ plugins, [x]}."),
                Some("has plugins in rebar.config"),
            ),
            (
                config("{deps, []}. {pre_hooks, [{compile, \"make\"}]}."),
                Some("has pre_hooks in rebar.config"),
            ),
            (
                config("{erl_opts, [{parse_transform, x}]}."),
                Some("has a parse transform in rebar.config"),
            ),
            (
                ("rebar.config.script", ""),
                Some("has rebar.config.script, which rebar3 runs"),
            ),
            (
                ("src/a.erl", "-module(a).\n-compile({parse_transform, b})."),
                Some("has a parse transform in a.erl"),
            ),
            (("src/a.erl", "-module(a)."), None),
            (
                ("src/a.app.src", "{application, a, [{vsn, \"1.0\"}]}."),
                None,
            ),
            (
                ("src/a.app.src", "{application, a, [{vsn, git}]}."),
                Some("computes its version in a.app.src"),
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("src")).unwrap();
            fs::write(dir.path().join(file.0), file.1).unwrap();
            assert_eq!(check(dir.path()).err().as_deref(), why, "{file:?}");
        }
    }
}

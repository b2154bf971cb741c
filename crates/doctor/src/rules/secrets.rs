//! Rules about secrets, and about the config vars that the app needs.

use super::endpoint::configured;
use crate::config::{Lookup, MissingImport, Set};
use crate::context::{Context, line_of};
use crate::elixir::value::Value;
use crate::finding::{Findings, Severity};

/// The variables that the platform sets for each dyno.
const PLATFORM: [&str; 12] = [
    "PORT",
    "DYNO",
    "HOME",
    "PATH",
    "LANG",
    "USER",
    "HOSTNAME",
    "PHX_SERVER",
    "MIX_ENV",
    "PWD",
    "RELEASE_NAME",
    "RELEASE_ROOT",
];

const EXAMPLE: &str =
    "In config/runtime.exs, set:\n  secret_key_base: System.fetch_env!(\"SECRET_KEY_BASE\")";

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    imports(context, out);
    let endpoints = &context.sources.endpoints;
    for endpoint in configured(context, endpoints) {
        let found = context
            .config
            .get(&endpoint.app, &[&endpoint.module, "secret_key_base"]);
        match found {
            Lookup::Set(Set {
                value: Value::Text(_),
                file,
                line,
                ..
            }) if context.tracked.is_pushed(file) => {
                out.error(
                    "secret-in-file",
                    (file, line),
                    format!("The secret key base of {} is in a committed file. Everyone who can read the repository can forge sessions.", endpoint.module),
                    format!("{EXAMPLE}\nThen:\n  heroku config:set SECRET_KEY_BASE=\"$(mix phx.gen.secret)\""),
                );
            }
            Lookup::Missing => out.warning(
                "secret-missing",
                endpoint.at(),
                format!("The configuration for {} sets no secret_key_base for {}, which sessions and live views need.", context.input.mix_env, endpoint.module),
                EXAMPLE,
            ),
            _ => {}
        }
    }
    committed_env_files(context, out);
    app_json_secret(context, out);
    config_vars(context, out);
    unread(context, out);
}

fn imports(context: &Context<'_>, out: &mut Findings) {
    let code = "import-not-committed";
    let missing = &context.config.missing;
    // A hook may write the file.
    let hooks = context.input.plan.map(|plan| &plan.hooks);
    let has_hook = hooks.is_some_and(|hooks| {
        let before = [
            &hooks.pre_compile,
            &hooks.hook_pre_fetch_dependencies,
            &hooks.hook_pre_compile,
        ];
        before.iter().any(|hook| hook.is_some()) || hooks.hook_compile.is_some()
    });
    let severity = if has_hook {
        Severity::Warning
    } else {
        Severity::Error
    };
    for MissingImport { file, line, path } in missing {
        out.add(
            severity,
            code,
            (file, *line),
            format!("{path} doesn't exist, so compiling fails, unless a hook writes it."),
            secret_edit(path),
        );
    }
    let followed = &context.config.imports;
    for (file, line, path) in followed {
        if !context.tracked.is_pushed(path) {
            let why = if context.tracked.is_ignored(path) {
                "is ignored by git"
            } else {
                "isn't committed"
            };
            out.error(
                code,
                (file, *line),
                format!(
                    "{path} {why}, so it doesn't reach the platform, and compiling fails there, unless a hook writes it."
                ),
                secret_edit(path),
            );
        }
    }
}

fn secret_edit(path: &str) -> String {
    if path.ends_with(".secret.exs") {
        "Read the secrets from the environment in config/runtime.exs (Elixir 1.11 and later), and remove this import. Or make the file read the environment, remove it from .gitignore and commit it.".to_owned()
    } else {
        format!("Commit it:\n  git add --force {path}")
    }
}

/// Files that `heroku local` and others read.
fn committed_env_files(context: &Context<'_>, out: &mut Findings) {
    for name in [".env", ".env.prod", ".env.production"] {
        if !context.tracked.is_tracked(name) {
            continue;
        }
        let text = context.read(name).unwrap_or_default();
        let secret = (1..).zip(text.lines()).find(|(_, line)| {
            let line = line.trim().trim_start_matches("export ");
            let value = line.strip_prefix("SECRET_KEY_BASE=");
            value.is_some_and(|value| value.trim_matches(['"', '\'']).len() >= 32)
        });
        if let Some((line, _)) = secret {
            out.note(
                "env-file-committed",
                (name, line),
                format!("{name} is committed and contains a SECRET_KEY_BASE. If the deployed app uses the same one, everyone who can read the repository can forge sessions."),
                format!("Generate another one for the platform:\n  heroku config:set SECRET_KEY_BASE=\"$(mix phx.gen.secret)\"\nand stop tracking the file:\n  git rm --cached {name}"),
            );
        }
    }
}

fn app_json_secret(context: &Context<'_>, out: &mut Findings) {
    let Some(text) = &context.app_json else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let value = &json["env"]["SECRET_KEY_BASE"];
    let value = value.as_str().or_else(|| value["value"].as_str());
    if value.is_some_and(|value| value.len() >= 32) {
        let line = line_of(text, "SECRET_KEY_BASE");
        out.error(
            "secret-in-file",
            ("app.json", line),
            "app.json contains the value of SECRET_KEY_BASE. Everyone who can read the repository can forge sessions.",
            "Let the platform generate it:\n  \"SECRET_KEY_BASE\": {\"generator\": \"secret\"}",
        );
    }
}

/// The variables that the app doesn't start without.
fn config_vars(context: &Context<'_>, out: &mut Findings) {
    let mut required = context.config.required.clone();
    required.retain(|(name, ..)| !PLATFORM.contains(&name.as_str()));
    let mut seen = Vec::new();
    required.retain(|(name, ..)| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    if context.knows_config_vars() {
        for (name, file, line) in required {
            if context.config_var(&name).is_none() {
                out.error(
                    "config-var-missing",
                    (&file, line),
                    format!("The app doesn't start without the config var {name}."),
                    format!("Set it:\n  heroku config:set {name}=…"),
                );
            }
        }
    } else if let Some((_, file, line)) = required.first() {
        let names: Vec<&str> = required.iter().map(|(name, ..)| name.as_str()).collect();
        let (file, line) = (file.clone(), *line);
        let them = if names.len() == 1 {
            "the config var"
        } else {
            "these config vars"
        };
        out.note(
            "config-vars",
            (&file, line),
            format!("The app doesn't start without {them}: {}.", names.join(", ")),
            "Compare them with those that are set, and let doctor check them:\n  heroku config --shell > FILE\n  mixpack doctor --env FILE DIR",
        );
    }
}

/// Adds notes about the parts that the rules can't read.
fn unread(context: &Context<'_>, out: &mut Findings) {
    let unread = &context.config.unread;
    for (file, line) in unread {
        out.note(
            "config-not-read",
            (file, *line),
            "This part of the configuration is computed, so doctor doesn't know its values, and doesn't report missing settings.",
            "Check it by hand.",
        );
    }
}

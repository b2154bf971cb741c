//! Rules about the `Procfile`: its processes, their commands, and migrations.

use crate::context::{Context, line_of};
use crate::finding::Findings;
use crate::sources::deployed_dirs;
use app::facts::shell_config::Value;
use app::facts::{ConfigFile, PROCFILE, join};

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    misnamed(context, out);
    let file = context.procfile();
    let text = match (&context.input.facts.procfile, context.read(&file)) {
        (Some(_), Some(text)) => text,
        _ => String::new(),
    };
    lines(out, &file, &text);
    let processes = context.input.facts.procfile.clone().unwrap_or_default();
    if !processes.0.is_empty() && !processes.0.contains_key("web") && is_phoenix(context) {
        let default = context
            .input
            .plan
            .and_then(|plan| plan.processes.get("web"));
        let default = default.map_or("mix phx.server", |process| &process.command);
        out.note(
            "procfile-without-web",
            (&file, 1),
            format!("The Procfile names no process type web, so the platform runs {default}."),
            format!("To make that explicit, add a line. Change the command if you mean another one:\n  web: {default}"),
        );
    }
    for (kind, command) in &processes.0 {
        let at = (file.as_str(), line_of(&text, &format!("{kind}:")));
        programs(context, out, at, kind, command);
        release_commands(context, out, at, command);
        old_tasks(context, out, at, command);
    }
    migrations(context, out, &file, &text);
}

fn is_phoenix(context: &Context<'_>) -> bool {
    !context.sources.endpoints.is_empty() || context.input.facts.phoenix_locked
}

/// A `Procfile` with a wrong name.
fn misnamed(context: &Context<'_>, out: &mut Findings) {
    if context.input.facts.procfile.is_some() {
        return;
    }
    for name in ["procfile", "Procfile.txt", "ProcFile", "PROCFILE"] {
        if context.tracked.is_tracked(name) || (context.exists(name) && !context.exists(PROCFILE)) {
            out.warning(
                "procfile-name",
                (name, 1),
                format!("The platform only reads a file named Procfile, and ignores {name}."),
                format!("Rename it:\n  git mv {name} Procfile"),
            );
        }
    }
}

/// Lines that the platform ignores.
fn lines(out: &mut Findings, file: &str, text: &str) {
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let name = trimmed.split_once(':').map(|(name, _)| name.trim());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !name.is_some_and(|name| !name.is_empty() && name.chars().all(is_name)) {
            out.warning(
                "procfile-line",
                (file, number),
                "This line isn't a process type and a command, so the platform ignores it.",
                "Write it as:\n  TYPE: COMMAND",
            );
        }
    }
}

/// Directories whose files the build creates.
const BUILT: [&str; 9] = [
    "_build/",
    "deps/",
    "node_modules/",
    "assets/node_modules/",
    ".heroku/",
    ".platform_tools/",
    "priv/static/",
    ".mixpack/",
    "vendor/",
];

/// A program of the repository that a process starts has to exist.
fn programs(context: &Context<'_>, out: &mut Findings, at: (&str, u32), kind: &str, command: &str) {
    let procfile = app::facts::Procfile([(kind.to_owned(), command.to_owned())].into());
    let found: Option<String> = procfile
        .files()
        .next()
        .map(|(_, path)| path.to_string_lossy().into_owned());
    let Some(path) = found else {
        return;
    };
    let path = path.trim_start_matches("./").to_owned();
    let base = at.0.rsplit_once('/').map_or(".", |(dir, _)| dir);
    let in_repository = join(base, &path);
    let has_hooks = context.input.plan.is_some_and(|plan| plan.hooks.any());
    if BUILT.iter().any(|built| path.starts_with(built)) || has_hooks {
        return;
    }
    if !context.exists(&in_repository) {
        out.error(
            "procfile-command",
            at,
            format!("The process type {kind} starts {path}, which doesn't exist."),
            format!("Correct the path, or commit the file:\n  git add {in_repository}"),
        );
    } else if !context.tracked.is_pushed(&in_repository) {
        out.error(
            "procfile-command",
            at,
            format!("The process type {kind} starts {path}, which isn't committed."),
            format!("Commit it:\n  git add --force {in_repository}"),
        );
    }
}

/// A command of a release that isn't built, or that the release doesn't have.
fn release_commands(context: &Context<'_>, out: &mut Findings, at: (&str, u32), command: &str) {
    let Some(plan) = context.input.plan else {
        return;
    };
    let Some((_, rest)) = command.split_once("/rel/") else {
        return;
    };
    if plan.hooks.any() {
        return;
    }
    let program: Vec<&str> = rest
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .split('/')
        .collect();
    if !plan.release {
        return out.error(
            "procfile-command",
            at,
            format!("`{command}` needs a release, but the build makes none."),
            "In elixir_buildpack.config, set:\n  release=true",
        );
    }
    if let [_, "bin", script @ ("server" | "migrate")] = program[..] {
        let overlay = context.path(&format!("rel/overlays/bin/{script}"));
        if !context.exists(&overlay) {
            out.error(
                "procfile-command",
                at,
                format!(
                    "`{command}` starts bin/{script} of the release, but {overlay} doesn't exist."
                ),
                "Generate it:\n  mix phx.gen.release --ecto",
            );
        }
    }
}

/// Tasks that newer versions don't have.
fn old_tasks(context: &Context<'_>, out: &mut Findings, at: (&str, u32), command: &str) {
    if command.contains("mix phoenix.") && context.locks_at_least("phoenix", (1, 4)) == Some(true) {
        out.error(
            "procfile-command",
            at,
            "Since Phoenix 1.4, the tasks of Phoenix are named phx.*, and phoenix.* don't exist.",
            format!(
                "Replace the line with:\n  {}",
                command.replace("mix phoenix.", "mix phx.")
            ),
        );
    }
    if command.contains("mix phx.") && context.locks_at_least("phoenix", (1, 3)) == Some(false) {
        out.error(
            "procfile-command",
            at,
            "Before Phoenix 1.3, the tasks of Phoenix are named phoenix.*.",
            format!(
                "Replace the line with:\n  {}",
                command.replace("mix phx.", "mix phoenix.")
            ),
        );
    }
}

fn migrates(command: &str) -> bool {
    ["ecto.migrate", "bin/migrate", ".migrate", "ecto.setup"]
        .iter()
        .any(|word| command.contains(word))
}

/// The name of a hook that migrates, and its line.
fn migrating_hook<'c>(context: &Context<'c>) -> Option<(&'c str, u32)> {
    let ConfigFile::Values(assignments) = &context.input.facts.elixir_config else {
        return None;
    };
    let mut hooks = assignments.iter().filter(|assignment| {
        let is_hook = assignment.name.ends_with("_compile") || assignment.name.starts_with("hook_");
        is_hook && matches!(&assignment.value, Value::Text(command) if migrates(command))
    });
    hooks.next().map(|hook| (hook.name.as_str(), hook.line))
}

fn migrations(context: &Context<'_>, out: &mut Findings, file: &str, text: &str) {
    let processes = context.input.facts.procfile.clone().unwrap_or_default();
    let release = processes.0.get("release");
    if let Some(command) = release
        && ["ecto.create", "ecto.setup", "ecto.reset", "ecto.drop"]
            .iter()
            .any(|task| command.contains(task))
    {
        return out.warning(
            "migrations",
            (file, line_of(text, "release:")),
            format!("`{command}` runs at each deploy. It creates or drops the database, which the user of a database add-on may not do."),
            "Migrate only:\n  release: POOL_SIZE=2 mix ecto.migrate",
        );
    }
    if let Some((hook, line)) = migrating_hook(context) {
        return out.note(
            "migrations",
            (&context.input.facts.elixir_config_path, line),
            format!("{hook} migrates the database during the build: while the old code still serves requests, and even if the deploy fails afterwards."),
            format!("Take it out of {hook}, and migrate in a release phase. In the Procfile:\n  release: POOL_SIZE=2 mix ecto.migrate"),
        );
    }
    let web = processes.0.get("web").filter(|command| migrates(command));
    if let (Some(_), None) = (web, release) {
        return out.note(
            "migrations",
            (file, line_of(text, "web:")),
            "Migrations run whenever a web dyno starts, in every dyno, and count as time to boot.",
            "Move them to a release phase:\n  release: POOL_SIZE=2 mix ecto.migrate",
        );
    }
    if release.is_some() || web.is_some() {
        return;
    }
    let dirs = deployed_dirs(context.input.facts);
    let found = dirs.iter().map(|dir| join(dir, "priv/repo/migrations"));
    let Some(dir) = found.into_iter().find(|dir| context.exists(dir)) else {
        return;
    };
    if context.sources.migrates {
        return;
    }
    let mix_exs = context.path("mix.exs");
    let at = match context.input.facts.procfile {
        Some(_) => (file, 1),
        None => (&*mix_exs, 1),
    };
    let command = if context.release && context.exists(&context.path("rel/overlays/bin/migrate")) {
        let name = context.input.facts.root();
        let name = name.release.as_ref().or(name.app.as_ref());
        format!(
            "_build/prod/rel/{}/bin/migrate",
            name.map_or("NAME", |name| name)
        )
    } else {
        "POOL_SIZE=2 mix ecto.migrate".to_owned()
    };
    out.note(
        "migrations",
        at,
        format!("{dir} has migrations, but no process type `release` runs them. Run them by hand after a deploy, or let each deploy run them."),
        format!("Add a line to the Procfile:\n  release: {command}"),
    );
}

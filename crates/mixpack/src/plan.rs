//! `mixpack plan [--json] DIR`.

use crate::platform::{has_color, print_text, process_env, stopped};
use crate::table::table;
use app::facts::{PROCFILE, Procfile, join};
use app::plan::{AssetBuild, Assets, StepName};
use app::{Origin, Plan, Setting, text_file};
use exec::cancel::Cancel;
use exec::environment::Environment;
use exec::log::{Log, Style};
use fetch::{Client, Settings};
use messages::Error;
use messages::Wording;
use pipeline::hide_secrets;
use planning::Platform;
use std::path::Path;
use std::process::ExitCode;
use toolchain::Hosts;

/// Settings that the table of tools shows.
const VERSIONS: [&str; 3] = ["erlang_version", "elixir_version", "node_version"];

/// A row of a plan's tables, without its reason: name and value.
pub(crate) type Row = (String, String);

pub(crate) fn plan(dir: &Path, json: bool) -> ExitCode {
    let log = Log::to_stdio(has_color(), Style::Arrows);
    let environment = Environment::new(process_env(), exec::command::Env::new());
    // Without signal handling, the shell still ends this process. Only the bash of a config file would continue.
    let cancel = Cancel::on_signals().unwrap_or_default();
    match make(dir, &environment, &log, &cancel) {
        Ok(plan) if json => {
            print_text(&format!("{:#}\n", plan.to_json()));
            ExitCode::SUCCESS
        }
        Ok(plan) => {
            print_text(&shown(dir, &plan));
            if !plan.warnings.is_empty() {
                log.warning(&plan.warnings);
            }
            ExitCode::SUCCESS
        }
        Err(_) if cancel.signal().is_some() => stopped(&cancel),
        Err(error) => {
            let words = Wording::new(messages::Platform::Local, &environment).for_a_plan();
            log.error(&words.explain(&error).without_secrets(&log).lines());
            ExitCode::FAILURE
        }
    }
}

fn make(dir: &Path, environment: &Environment, log: &Log, cancel: &Cancel) -> Result<Plan, Error> {
    let hosts = Hosts::new(&|name| environment.get(name));
    hide_secrets(log, environment, &hosts);
    planning::plan(planning::Request {
        app: dir,
        environment,
        client: &Client::new(Settings {
            cancel: cancel.flag(),
            ..Settings::default()
        }),
        hosts: &hosts,
        last: None,
        store: None,
        platform: &Platform::default(),
        observer: &(),
        cancel,
    })
}

fn shown(dir: &Path, plan: &Plan) -> String {
    let target = &plan.target;
    let head = format!(
        "Stack {}: builds for {} ({})\n",
        target.stack, target.os, target.arch
    );
    let tables = [
        head,
        table(["TOOL", "VERSION", "REQUESTED", "FROM"], &tools(plan)),
        table(["STEP", "COMMAND"], &steps(plan)),
        table(["PROCESS", "COMMAND", "FROM"], &processes(dir, plan)),
        table(["SETTING", "FROM", "VALUE"], &settings(plan)),
    ];
    tables.join("\n")
}

/// The rows that differ between two plans, in the order of the second: those of the first have a `-`, those of the
/// second a `+`.
pub(crate) fn difference(base: (&Path, &Plan), head: (&Path, &Plan)) -> Vec<(char, Row)> {
    let [base, head] = [base, head].map(|(dir, plan)| rows(dir, plan));
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in head.iter().chain(&base) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut difference = Vec::new();
    for name in names {
        for (sign, rows, others) in [('-', &base, &head), ('+', &head, &base)] {
            let of_name = rows
                .iter()
                .filter(|row| row.0 == *name && !others.contains(row));
            difference.extend(of_name.map(|row| (sign, row.clone())));
        }
    }
    difference
}

fn rows(dir: &Path, plan: &Plan) -> Vec<Row> {
    let target = &plan.target;
    let stack = format!(
        "{}: builds for {} ({})",
        target.stack, target.os, target.arch
    );
    let mut rows = vec![("stack".to_owned(), stack)];
    rows.extend(
        tools(plan)
            .into_iter()
            .map(|[name, version, ..]| (name, version)),
    );
    let named = |kind: &str, name: &str, value: String| (format!("{kind} {name}"), value);
    let steps = steps(plan);
    // The command of a step already shows the setting with the same name.
    let mut settings = settings(plan);
    settings.retain(|[name, ..]| steps.iter().all(|[step, _]| step != name));
    let steps = steps.into_iter();
    rows.extend(steps.map(|[name, command]| named("step", &name, command)));
    let processes = processes(dir, plan).into_iter();
    rows.extend(processes.map(|[kind, command, _]| named("process", &kind, command)));
    let settings = settings.into_iter();
    rows.extend(settings.map(|[name, _, value]| named("setting", &name, value)));
    rows
}

fn from(origin: &Origin) -> String {
    match origin {
        Origin::Default(reason) => reason.clone(),
        origin => origin.to_string(),
    }
}

fn tools(plan: &Plan) -> Vec<[String; 4]> {
    let rows = plan.tools().map(|tool| {
        let requested = tool.requested.unwrap_or("-");
        [tool.name, tool.version, requested, &from(tool.source)].map(str::to_owned)
    });
    let mut rows: Vec<_> = rows.collect();
    if plan.node.is_none() {
        let why = plan.skip_assets.as_ref().map_or_else(
            || "there is no package.json for assets".to_owned(),
            |why| format!("assets are skipped ({why})"),
        );
        rows.push(["node", "not needed", "-", &why].map(str::to_owned));
    }
    rows
}

fn steps(plan: &Plan) -> Vec<[String; 2]> {
    let rows = plan.steps.iter().map(|step| {
        let command = command(plan, *step);
        let command = command.filter(|command| !command.is_empty());
        let command = command.unwrap_or_else(|| "-".to_owned());
        [step.as_str().to_owned(), command]
    });
    rows.collect()
}

/// Returns the command of a step, if users know it.
fn command(plan: &Plan, step: StepName) -> Option<String> {
    let hooks = &plan.hooks;
    let hook = |hook: &Option<Setting>| {
        let first = hook.as_ref()?.value.trim().lines().next()?;
        Some(first.to_owned())
    };
    let of_assets = |command: fn(&Assets) -> Option<String>| {
        let mut commands: Vec<String> = plan.assets.iter().filter_map(command).collect();
        commands.dedup();
        commands.join(", ")
    };
    match step {
        StepName::Deps => Some("mix deps.get".to_owned()),
        StepName::Compile => hook(&hooks.hook_compile).or_else(|| Some("mix compile".to_owned())),
        StepName::Javascript => Some(of_assets(|assets| {
            let install = assets.install.as_ref().filter(|_| !assets.left_to_hook);
            install.map(|install| install.command.join(" "))
        })),
        StepName::Assets => Some(of_assets(|assets| {
            (assets.build != AssetBuild::Nothing).then(|| assets.built_by())
        })),
        StepName::Digest => Some(format!("mix {}.digest", plan.phoenix_ex)),
        StepName::Release => Some("mix release".to_owned()),
        StepName::PreCompile => hook(&hooks.pre_compile),
        StepName::HookPreFetchDependencies => hook(&hooks.hook_pre_fetch_dependencies),
        StepName::HookPreCompile => hook(&hooks.hook_pre_compile),
        StepName::HookPostCompile => hook(&hooks.hook_post_compile),
        StepName::PostCompile => hook(&hooks.post_compile),
        StepName::Erlang
        | StepName::Elixir
        | StepName::Node
        | StepName::Hex
        | StepName::Restore
        | StepName::Save
        | StepName::Profile
        | StepName::Slim => None,
    }
}

/// Returns the processes of the Procfile, and the default ones.
fn processes(dir: &Path, plan: &Plan) -> Vec<[String; 3]> {
    let (path, named) = if let Some(procfile) = &plan.app_procfile {
        (join(&plan.app_dir.value, PROCFILE), procfile.clone())
    } else {
        let text = text_file::read(&dir.join(PROCFILE)).unwrap_or_default();
        (PROCFILE.to_owned(), Procfile::parse(&text))
    };
    let mut rows: Vec<[String; 3]> = named
        .0
        .iter()
        .map(|(kind, command)| [kind.clone(), command.clone(), path.clone()])
        .collect();
    for (kind, process) in &plan.processes {
        if !named.0.contains_key(kind) {
            let guess = if process.guess {
                "; mix has the last word"
            } else {
                ""
            };
            rows.push([
                kind.clone(),
                process.command.clone(),
                format!("{}{guess}", process.why),
            ]);
        }
    }
    rows
}

/// Lists the settings other than versions. The value comes last, since a hook may be long.
fn settings(plan: &Plan) -> Vec<[String; 3]> {
    let row = |name: &str, from: String, value: &str| {
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { " …" } else { "" };
        [name.to_owned(), from, format!("{first}{more}")]
    };
    let of = |name: &str, requested: &Setting| row(name, from(&requested.origin), &requested.value);
    let mut rows = vec![of("MIX_ENV", &plan.mix_env)];
    if !matches!(plan.app_dir.origin, Origin::Default(_)) {
        rows.push(of("app in", &plan.app_dir));
    }
    if let Some(why) = &plan.release_why {
        rows.push(row("release", why.clone(), &plan.release.to_string()));
    }
    for assets in plan.built_assets() {
        rows.push(row("assets", assets.why.clone(), &assets.built_by()));
    }
    let set = plan.set.iter();
    let others = set.filter(|(name, _)| !VERSIONS.contains(&name.as_str()));
    rows.extend(others.map(|(name, requested)| of(name, requested)));
    rows
}

//! `mixpack plan [--json] DIR`.

use crate::platform::{process_env, say};
use crate::table::table;
use app::facts::{PROCFILE, join};
use app::procfile::Procfile;
use app::{Asked, Origin, Plan, text_file};
use build::Error;
use build::environment::Environment;
use build::explain::{self, Wording};
use build::log::{Log, Style};
use build::prepare::{self, Platform};
use build::whole::hide_secrets;
use fetch::{Client, Settings};
use std::path::Path;
use std::process::ExitCode;
use toolchain::Hosts;

/// Settings that the table of the tools tells.
const VERSIONS: [&str; 3] = ["erlang_version", "elixir_version", "node_version"];

pub(crate) fn plan(dir: &Path, json: bool) -> ExitCode {
    let log = Log::to_stdio(std::env::var_os("NO_COLOR").is_none(), Style::Arrows);
    let environment = Environment::new(process_env(), build::command::Env::new());
    match make(dir, &environment, &log) {
        Ok(plan) if json => {
            say(&format!("{:#}\n", plan.to_json()));
            ExitCode::SUCCESS
        }
        Ok(plan) => {
            say(&shown(dir, &plan));
            if !plan.warnings.is_empty() {
                log.warning(&plan.warnings);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let words = Wording::new(explain::Platform::Local, &environment).for_a_plan();
            log.error(&words.explain(&error).without_secrets(&log).lines());
            ExitCode::FAILURE
        }
    }
}

fn make(dir: &Path, environment: &Environment, log: &Log) -> Result<Plan, Error> {
    let hosts = Hosts::new(&|name| environment.get(name));
    hide_secrets(log, environment, &hosts);
    prepare::plan(prepare::Request {
        app: dir,
        environment,
        client: &Client::new(Settings::default()),
        hosts: &hosts,
        last: None,
        store: None,
        platform: &Platform::default(),
        observer: &(),
    })
}

fn shown(dir: &Path, plan: &Plan) -> String {
    let target = &plan.target;
    let head = format!(
        "Stack {}: builds for {} ({})\n",
        target.stack, target.os, target.arch
    );
    [
        head,
        tools(plan),
        steps(plan),
        processes(dir, plan),
        settings(plan),
    ]
    .join("\n")
}

fn from(origin: &Origin) -> String {
    match origin {
        Origin::Default(reason) => reason.clone(),
        origin => origin.to_string(),
    }
}

fn tools(plan: &Plan) -> String {
    let rows = plan.tools().map(|tool| {
        let asked = tool.asked.unwrap_or("-");
        [tool.name, tool.version, asked, &from(tool.source)].map(str::to_owned)
    });
    let mut rows: Vec<_> = rows.collect();
    if plan.node.is_none() {
        let why = plan.skip_assets.as_ref().map_or_else(
            || "there is no package.json for assets".to_owned(),
            |why| format!("assets are skipped ({why})"),
        );
        rows.push(["node", "not needed", "-", &why].map(str::to_owned));
    }
    table(["TOOL", "VERSION", "ASKED", "FROM"], &rows)
}

fn steps(plan: &Plan) -> String {
    let rows = plan.steps.iter().map(|step| {
        let needs: Vec<&str> = step.needs.iter().map(|need| need.as_str()).collect();
        let needs = if needs.is_empty() {
            "-".to_owned()
        } else {
            needs.join(", ")
        };
        let alone = if step.alone { "; runs alone" } else { "" };
        [step.name.as_str().to_owned(), format!("{needs}{alone}")]
    });
    table(["STEP", "WAITS FOR"], &rows.collect::<Vec<_>>())
}

/// Those of the Procfile, wherever it is, and those that the platform is given.
fn processes(dir: &Path, plan: &Plan) -> String {
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
    table(["PROCESS", "COMMAND", "FROM"], &rows)
}

/// What is set beside versions. The value comes last: a hook may be long.
fn settings(plan: &Plan) -> String {
    let row = |name: &str, from: String, value: &str| {
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { " …" } else { "" };
        [name.to_owned(), from, format!("{first}{more}")]
    };
    let of = |name: &str, asked: &Asked| row(name, from(&asked.origin), &asked.value);
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
    rows.extend(others.map(|(name, asked)| of(name, asked)));
    table(["SETTING", "FROM", "VALUE"], &rows)
}

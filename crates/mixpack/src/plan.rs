//! `mixpack plan [--json] DIR`.

use crate::platform::{process_env, say};
use app::Plan;
use app::facts::{PROCFILE, join};
use app::procfile::Procfile;
use build::Error;
use build::environment::Environment;
use build::explain::explain;
use build::log::{Log, Style};
use build::prepare::{self, Platform};
use fetch::{Client, Settings};
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use toolchain::Hosts;

pub(crate) fn plan(dir: &Path, json: bool) -> ExitCode {
    let log = Log::to_stdio(std::env::var_os("NO_COLOR").is_none(), Style::Arrows);
    match make(dir) {
        Ok(plan) if json => {
            say(&format!("{:#}\n", plan.to_json()));
            ExitCode::SUCCESS
        }
        Ok(plan) => {
            prepare::show(&log.step("Planning"), &plan);
            say(&steps(&plan));
            ExitCode::SUCCESS
        }
        Err(error) => {
            log.error(&explain(&error).lines());
            ExitCode::FAILURE
        }
    }
}

fn make(dir: &Path) -> Result<Plan, Error> {
    let environment = Environment::new(process_env(), build::command::Env::new());
    let hosts = Hosts::new(&|name| environment.get(name));
    prepare::plan(prepare::Request {
        app: dir,
        environment: &environment,
        client: &Client::new(Settings::default()),
        hosts: &hosts,
        last: None,
        store: None,
        platform: &Platform::default(),
        observer: &(),
    })
}

fn steps(plan: &Plan) -> String {
    let mut text = String::from("-----> Steps\n");
    for step in &plan.steps {
        let needs: Vec<&str> = step.needs.iter().map(|need| need.as_str()).collect();
        let after = if needs.is_empty() {
            "at once".to_owned()
        } else {
            format!("after {}", needs.join(", "))
        };
        let alone = if step.alone { ", alone" } else { "" };
        let _ = writeln!(text, "       {:<28} {after}{alone}", step.name.as_str());
    }
    text.push_str("-----> Processes\n");
    if let Some(Procfile(types)) = &plan.app_procfile {
        let path = join(&plan.app_dir.value, PROCFILE);
        for (kind, command) in types {
            let _ = writeln!(text, "       {kind}: {command} ({path})");
        }
    }
    let named = |kind: &String| {
        let procfile = plan.app_procfile.as_ref();
        procfile.is_some_and(|Procfile(types)| types.contains_key(kind))
    };
    for (kind, process) in plan.processes.iter().filter(|(kind, _)| !named(kind)) {
        let guess = if process.guess {
            "; mix has the last word"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "       {kind}: {} ({}{guess})",
            process.command, process.why
        );
    }
    text
}

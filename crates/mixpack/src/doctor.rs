//! `mixpack doctor [--json | --sarif | --github] [--env FILE] [--base DIR] DIR`.

use crate::env_file::EnvFile;
use crate::platform::{in_color, print_text, process_env, stopped};
use crate::pull_request::{self, Checked};
use doctor::{Finding, Input, Place, Severity};
use exec::cancel::Cancel;
use exec::command::Env;
use exec::environment::Environment;
use exec::log::{Log, Style};
use fetch::{Client, Settings};
use messages::{Error, Fault, Wording};
use pipeline::hide_secrets;
use planning::Platform;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toolchain::Hosts;

/// The format of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Text,
    Json,
    Sarif,
    Github,
}

/// The arguments of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    dir: PathBuf,
    format: Format,
    env_file: Option<PathBuf>,
    /// The same app at the base of a pull request.
    base: Option<PathBuf>,
}

impl Call {
    /// Parses the arguments. `None` if they are invalid.
    pub(crate) fn parse(args: &[OsString]) -> Option<Self> {
        let mut call = Self::default();
        let mut dirs = Vec::new();
        let mut formats = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--json") => formats.push(Format::Json),
                Some("--sarif") => formats.push(Format::Sarif),
                Some("--github") => formats.push(Format::Github),
                Some("--base") => call.base = Some(args.next()?.into()),
                Some("--env") => call.env_file = Some(args.next()?.into()),
                Some(option) if option.starts_with("--") => {
                    call.env_file = Some(option.strip_prefix("--env=")?.into());
                }
                _ => dirs.push(PathBuf::from(arg)),
            }
        }
        let [dir] = &dirs[..] else {
            return None;
        };
        call.dir.clone_from(dir);
        call.format = match formats[..] {
            [] => Format::Text,
            [format] => format,
            _ => return None,
        };
        let compares = call.base.is_some() && call.format != Format::Github;
        (!compares).then_some(call)
    }
}

pub(crate) fn doctor(call: &Call) -> ExitCode {
    let config_vars = match call.env_file.as_deref().map(variables).transpose() {
        Ok(config_vars) => config_vars,
        Err(problem) => {
            eprintln!("mixpack: {problem}");
            return ExitCode::from(2);
        }
    };
    if let Some(dir) = [Some(&call.dir), call.base.as_ref()]
        .into_iter()
        .flatten()
        .find(|dir| !dir.is_dir())
    {
        eprintln!("mixpack: {} is not a directory", dir.display());
        return ExitCode::from(2);
    }
    let cancel = Cancel::on_signals().unwrap_or_default();
    let check = |dir| check(dir, config_vars.as_deref(), &cancel);
    let head = check(&call.dir);
    let base = call.base.as_deref().map(check);
    if cancel.signal().is_some() {
        return stopped(&cancel);
    }
    let findings = &head.findings;
    let fails = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    match call.format {
        Format::Text => print_text(&doctor::text(findings, in_color())),
        Format::Json => print_text(&format!("{:#}\n", doctor::json(findings))),
        Format::Sarif => {
            let sarif = doctor::sarif(findings, planning::record::VERSION);
            print_text(&format!("{sarif:#}\n"));
        }
        Format::Github => match pull_request::report(head, base.as_ref()) {
            Ok(annotations) => print_text(&annotations),
            Err(problem) => {
                eprintln!("mixpack: {problem}");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::from(u8::from(fails))
}

/// Reads the config vars in a file with the output of `heroku config --shell`.
fn variables(path: &Path) -> Result<Vec<(String, String)>, String> {
    let file = EnvFile::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = file.ok_or_else(|| format!("{} doesn't exist", path.display()))?;
    for line in file.invalid_lines {
        eprintln!(
            "mixpack: {}:{line} is no KEY=VALUE, and is passed over",
            path.display()
        );
    }
    Ok(file.variables)
}

fn check<'a>(
    dir: &'a Path,
    config_vars: Option<&[(String, String)]>,
    cancel: &Cancel,
) -> Checked<'a> {
    let mut process = process_env();
    let names_stack = |(name, _): &(String, String)| name == "STACK";
    if !config_vars.is_some_and(|vars| vars.iter().any(names_stack)) {
        let stack = || doctor::stack(dir).into();
        process.entry("STACK".into()).or_insert_with(stack);
    }
    let vars = config_vars.unwrap_or_default().iter();
    let vars: Env = vars
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let environment = Environment::new(process, vars);
    let log = Log::to_stdio(false, Style::Arrows);
    let hosts = Hosts::new(&|name| environment.get(name));
    hide_secrets(&log, &environment, &hosts);
    let request = planning::Request {
        app: dir,
        environment: &environment,
        client: &Client::new(Settings {
            cancel: cancel.flag(),
            ..Settings::default()
        }),
        hosts: &hosts,
        last: None,
        store: None,
        platform: &Platform {
            executes_nothing: true,
            ..Platform::default()
        },
        observer: &(),
        cancel,
    };
    let facts = match planning::read(&request) {
        Ok(facts) => facts,
        Err(error) => {
            return Checked {
                dir,
                findings: vec![of_error(dir, ".", &error, &environment, &log)],
                plan: None,
            };
        }
    };
    let (plan, error) = match planning::plan_with(request, facts.clone()) {
        Ok(plan) => (Some(plan), None),
        Err(error) => (None, Some(error)),
    };
    let mut findings = doctor::check(Input {
        top: dir,
        facts: &facts,
        plan: plan.as_ref(),
        mix_env: &environment.mix_env().value,
        config_vars,
    });
    let of_plan =
        error.map(|error| of_error(dir, &facts.app_dir.value, &error, &environment, &log));
    findings.extend(of_plan);
    doctor::sort(&mut findings);
    Checked {
        dir,
        findings,
        plan,
    }
}

/// Converts an error of the plan to a finding: a note if the app isn't the cause.
fn of_error(
    dir: &Path,
    app_dir: &str,
    error: &Error,
    environment: &Environment,
    log: &Log,
) -> Finding {
    let words = Wording::new(messages::Platform::Heroku, environment).for_a_plan();
    let explanation = words.explain(error).without_secrets(log);
    let sentences = explanation.cause.iter().map(String::as_str);
    let title = format!("{}.", explanation.title);
    let message: Vec<&str> = [&*title].into_iter().chain(sentences).collect();
    let message = message.join("\n");
    let edit = explanation.cure.join("\n");
    let place = doctor::place_in(dir, &format!("{message}\n{edit}"));
    let (severity, message) = match explanation.fault {
        Fault::User => (Severity::Error, message),
        Fault::Upstream | Fault::Machine => (
            Severity::Note,
            format!("Versions aren't checked: {message}"),
        ),
    };
    Finding {
        code: explanation.code,
        severity,
        place: place.unwrap_or_else(|| Place::new(app::facts::join(app_dir, "mix.exs"), 1)),
        message,
        edit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Option<Call> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Call::parse(&args)
    }

    #[test]
    fn options_may_come_before_and_after_directory() {
        let call = |format, env: Option<&str>| Call {
            dir: "app".into(),
            format,
            env_file: env.map(PathBuf::from),
            base: None,
        };
        assert_eq!(parsed(&["app"]), Some(call(Format::Text, None)));
        assert_eq!(parsed(&["--json", "app"]), Some(call(Format::Json, None)));
        let both = Some(call(Format::Sarif, Some("vars")));
        assert_eq!(parsed(&["app", "--sarif", "--env", "vars"]), both);
        assert_eq!(parsed(&["--env=vars", "--sarif", "app"]), both);
        let compared = Call {
            base: Some("base".into()),
            ..call(Format::Github, None)
        };
        assert_eq!(
            parsed(&["--github", "--base", "base", "app"]),
            Some(compared)
        );
        for args in [
            &[][..],
            &["--base", "base", "app"],
            &["--github", "--json", "app"],
            &["a", "b"],
            &["--env"],
            &["a", "--yaml"],
            &["a", "--json", "--sarif"],
        ] {
            assert_eq!(parsed(args), None, "{args:?}");
        }
    }
}

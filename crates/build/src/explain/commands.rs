//! Commands that failed: the app's own, and those that are run for it.

use super::{Explanation, quoted};
use crate::command::CommandError;
use crate::error::Doing;
use app::facts::join;

pub(super) fn command(doing: &Doing, error: &CommandError) -> Explanation {
    match doing {
        Doing::Hook { key, asked } => {
            let explanation = Explanation::user("hook-failed", format!("{key} failed"));
            let explanation = explanation.because(format!("{} sets it to:", asked.origin));
            let explanation = explanation.because_all(quoted(&asked.value));
            happened(explanation, "It", error)
                .so("bash runs it in the app's folder, with MIX_ENV and the build's tools on PATH. Correct it there, or what it calls.")
        }
        Doing::Deps => failed(
            Explanation::user("deps-get-failed", "the dependencies could not be fetched"),
            error,
        )
        .so("Is mix.lock committed and in step with mix.exs? On your machine, then commit it:")
        .typing("mix deps.get")
        .so("A private dependency needs credentials: hook_pre_fetch_dependencies can set them up."),
        Doing::Compile => failed(
            Explanation::user("compile-failed", "the app does not compile"),
            error,
        )
        .so("The step's output has all of it, with files and lines. The same on your machine:")
        .typing("MIX_ENV=prod mix compile --force")
        .so("What config/*.exs reads from the environment must be a config var; what only config/runtime.exs reads need not be."),
        Doing::JsInstall { dir } => failed(
            Explanation::user(
                "javascript-install-failed",
                format!("the packages of {} could not be installed", join(dir, "package.json")),
            ),
            error,
        )
        .so(format!(
            "Is {} committed and in step with {}? In the folder of the two, then commit it:",
            join(dir, "package-lock.json"),
            join(dir, "package.json")
        ))
        .typing("npm install"),
        Doing::CustomScript { path } => failed(
            Explanation::user(
                "custom-asset-script-failed",
                format!("the app's own `{path}` failed"),
            ),
            error,
        )
        .so(format!(
            "bash sources `{path}` with `set -e` in the folder of the assets: the first command that fails ends it."
        )),
        Doing::AssetScript { script, package } => failed(
            Explanation::user(
                "asset-script-failed",
                format!("the script `{script}` of {package} failed"),
            ),
            error,
        )
        .so(format!(
            "The script is under `scripts` in {package}. The same on your machine, in the folder of that file:"
        ))
        .typing(format!("npm run {script}")),
        Doing::AssetsDeploy => mix_task("assets-deploy-failed", "assets.deploy", error)
            .so("Its steps are under `aliases` in mix.exs. What it runs must be a dependency in prod too, not `only: :dev`."),
        Doing::Digest => mix_task("digest-failed", "phx.digest", error),
        Doing::Release => mix_task("release-failed", "release", error)
            .so("What a release holds is under `releases` in mix.exs."),
        Doing::Answers => failed(
            Explanation::user(
                "mix-project-unreadable",
                "mix could not be asked about the project",
            ),
            error,
        )
        .so("mix.exs and the code must load by themselves. The same on your machine:")
        .typing("MIX_ENV=prod mix help --names"),
    }
}

fn mix_task(code: &'static str, task: &str, error: &CommandError) -> Explanation {
    failed(Explanation::user(code, format!("mix {task} failed")), error)
        .so("The step's output has all of it. The same on your machine:")
        .typing(format!("MIX_ENV=prod mix {task}"))
}

/// What happened to a command that Mixpack chose, which is named.
fn failed(explanation: Explanation, error: &CommandError) -> Explanation {
    let command = match error {
        CommandError::Start { command, .. } | CommandError::Failed { command, .. } => command,
        CommandError::Cancelled => "",
    };
    happened(explanation, &format!("`{command}`"), error)
}

fn happened(explanation: Explanation, subject: &str, error: &CommandError) -> Explanation {
    match error {
        CommandError::Failed {
            status,
            code,
            output,
            ..
        } => {
            let telling = telling(output);
            let explanation = if telling.is_empty() {
                explanation.because(format!(
                    "{subject} ended with {status}, and printed nothing."
                ))
            } else {
                explanation
                    .because(format!("{subject} ended with {status}. From its output:"))
                    .because_all(quoted(&telling.join("\n")))
            };
            if *code == KILLED {
                explanation.because(
                    "Signal 9 came from outside: most often the machine had no memory left.",
                )
            } else {
                explanation
            }
        }
        CommandError::Start { source, .. } => {
            explanation.because(format!("{subject} could not be started: {source}."))
        }
        CommandError::Cancelled => explanation.because("It was stopped."),
    }
}

/// A shell's status of a process that `SIGKILL` ended.
const KILLED: i32 = 128 + 9;

/// How lines begin from which on a tool tells what is wrong: Elixir's compiler, mix, npm; esbuild
/// writes `✘ [ERROR]`.
const TELLING: [&str; 7] = [
    "error:",
    "== Compilation error",
    "** (",
    "npm error",
    "npm ERR!",
    "✘ [ERROR]",
    "Error:",
];

/// How npm goes on when it has told: with its manual.
const MANUAL: [&str; 3] = [
    "npm error Clean install a project",
    "npm error Usage:",
    "npm error A complete log of this run",
];

/// The lines of a tool's output that tell most, repeated where the eye is: they scroll away in a
/// long log. From the first that looks like an error on, or else the last ones.
fn telling(output: &[String]) -> Vec<&str> {
    const FROM_ERROR: usize = 14;
    const LAST: usize = 6;
    let says_something = |line: &&str| !matches!(line.trim(), "" | "npm error" | "npm ERR!");
    let starts = |line: &str, with: &[&str]| {
        let line = line.trim_start();
        with.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = output
        .iter()
        .map(String::as_str)
        .filter(says_something)
        .collect();
    match lines.iter().position(|line| starts(line, &TELLING)) {
        Some(at) => lines[at..]
            .iter()
            .copied()
            .take_while(|line| !starts(line, &MANUAL))
            .take(FROM_ERROR)
            .collect(),
        None => lines[lines.len().saturating_sub(LAST)..].to_vec(),
    }
}

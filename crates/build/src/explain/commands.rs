//! Commands that failed: the app's own, and those that are run for it.

use super::known::known;
use super::{Explanation, Wording, quoted};
use crate::command::CommandError;
use crate::credentials::{GIT_CREDENTIALS, GIT_SSH_KEY, HEX_ORGANIZATION_KEYS};
use crate::error::Doing;
use app::Origin;
use app::facts::join;
use app::package_manager::Manager;

/// The cause that a tool's output tells, or else what became of the command.
pub(super) fn command(doing: &Doing, error: &CommandError, words: &Wording) -> Explanation {
    known(doing, error, words).unwrap_or_else(|| unknown(doing, error, words))
}

fn unknown(doing: &Doing, error: &CommandError, words: &Wording) -> Explanation {
    let (var, a_var) = (words.config_var(), words.a_config_var());
    let mix_env = &words.mix_env;
    match doing {
        Doing::Hook { key, asked } => {
            let explanation = Explanation::user("hook-failed", format!("{key} failed"));
            let explanation = explanation.because(format!("{} sets it to:", words.origin(&asked.origin)));
            let explanation = explanation.because_all(quoted(&asked.value));
            happened(explanation, "It", error, None)
                .so("bash runs it in the app's folder, with MIX_ENV and the build's tools on PATH. Correct it there, or what it calls.")
        }
        Doing::Deps => failed(
            Explanation::user("deps-get-failed", "the dependencies could not be fetched"),
            error,
        )
        .so("Is mix.lock committed and in step with mix.exs? On your machine, then commit it:")
        .typing("mix deps.get")
        .so(format!("A private dependency needs credentials, from the {var}s {GIT_CREDENTIALS}, {GIT_SSH_KEY} or {HEX_ORGANIZATION_KEYS}.")),
        Doing::Compile => failed(
            Explanation::user("compile-failed", "the app does not compile"),
            error,
        )
        .so("The step's output has all of it, with files and lines. The same on your machine:")
        .typing(words.mix("compile --force"))
        .so(format!("A variable that config/config.exs or config/{mix_env}.exs reads must be {a_var}. One that only config/runtime.exs reads need not be.")),
        Doing::PackageManager { spec, origin } => package_manager(spec, origin, error, words),
        Doing::JsInstall {
            dir,
            manager,
            lockfile,
        } => javascript_install(dir, *manager, lockfile.as_deref(), error),
        Doing::Bower { file } => failed(
            Explanation::user(
                "bower-failed",
                format!("the components of {file} could not be installed"),
            ),
            error,
        )
        .so(format!(
            "Where components ask for different versions of another, name the one to take under `resolutions` in {file}: here nobody can answer bower's question. The same on your machine, in the folder of that file:"
        ))
        .typing("bower install --config.interactive=false"),
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
        Doing::AssetScript {
            command,
            script,
            package,
            ..
        } => failed(
            Explanation::user(
                "asset-script-failed",
                format!("the script `{script}` of {package} failed"),
            ),
            error,
        )
        .so(format!(
            "The script is under `scripts` in {package}. The same on your machine, in the folder of that file:"
        ))
        .typing(command),
        Doing::AssetsDeploy => mix_task("assets-deploy-failed", "assets.deploy", error, words)
            .so(format!("Its steps are under `aliases` in mix.exs. A package whose tasks it runs must be a dependency in {mix_env} too, not only in :dev.")),
        Doing::Digest => mix_task("digest-failed", "phx.digest", error, words),
        Doing::Release => mix_task("release-failed", "release", error, words)
            .so("What a release holds is under `releases` in mix.exs."),
        Doing::Answers => failed(
            Explanation::user(
                "mix-project-unreadable",
                "mix could not be asked about the project",
            ),
            error,
        )
        .so("mix.exs and the code must load by themselves. The same on your machine:")
        .typing(words.mix("help --names")),
    }
}

fn package_manager(
    spec: &str,
    origin: &Origin,
    error: &CommandError,
    words: &Wording,
) -> Explanation {
    failed(
            Explanation::user(
                "package-manager-not-installed",
                format!("{spec} could not be fetched from the npm registry"),
            ),
            error,
        )
        .so(format!(
            "That version is requested by {}. If there is no such version, correct it there; if the registry was not reached, {}.",
            match origin {
                Origin::Default(_) => "nothing but Mixpack itself".to_owned(),
                origin => words.origin(origin),
            },
            words.again()
        ))
}

fn javascript_install(
    dir: &str,
    manager: Manager,
    lockfile: Option<&str>,
    error: &CommandError,
) -> Explanation {
    let package = join(dir, "package.json");
    let explanation = failed(
        Explanation::user(
            "javascript-install-failed",
            format!("the packages of {package} could not be installed"),
        ),
        error,
    );
    match lockfile {
                Some(lockfile) => explanation.so(format!(
                    "Is {lockfile} committed and in step with {package}? In the folder of the two, then commit it:"
                )),
                None => explanation.so(format!(
                    "There is no lockfile beside {package}: what is installed may change with every build. In its folder, then commit what it writes:"
                )),
            }
            .typing(format!("{manager} install"))
}

fn mix_task(code: &'static str, task: &str, error: &CommandError, words: &Wording) -> Explanation {
    failed(Explanation::user(code, format!("mix {task} failed")), error)
        .so("The step's output has all of it. The same on your machine:")
        .typing(words.mix(task))
}

/// What happened to a command that Mixpack chose, which is named.
fn failed(explanation: Explanation, error: &CommandError) -> Explanation {
    happened(explanation, &named(error), error, None)
}

/// A command as the subject of a sentence.
pub(super) fn named(error: &CommandError) -> String {
    let command = match error {
        CommandError::Start { command, .. } | CommandError::Failed { command, .. } => command,
        CommandError::Cancelled => "",
    };
    format!("`{command}`")
}

/// `at` is the line of the output that tells the cause, where that is known.
pub(super) fn happened(
    explanation: Explanation,
    subject: &str,
    error: &CommandError,
    at: Option<usize>,
) -> Explanation {
    match error {
        CommandError::Failed { status, output, .. } => {
            let telling = telling(output, at);
            if telling.is_empty() {
                explanation.because(format!(
                    "{subject} ended with {status}, and printed nothing."
                ))
            } else {
                explanation
                    .because(format!("{subject} ended with {status}. From its output:"))
                    .because_all(quoted(&telling.join("\n")))
            }
        }
        CommandError::Start { source, .. } => {
            explanation.because(format!("{subject} could not be started: {source}."))
        }
        CommandError::Cancelled => explanation.because("It was stopped."),
    }
}

/// How lines begin from which on a tool tells what is wrong: Elixir's compiler, mix, Hex, npm; esbuild
/// writes `✘ [ERROR]`.
const TELLING: [&str; 12] = [
    "error:",
    "== Compilation error",
    "** (",
    "Failed to fetch record for",
    "npm error",
    "npm ERR!",
    "✘ [ERROR]",
    "Error:",
    "error ",
    "ERR_PNPM_",
    " ERR_PNPM_",
    "➤ YN0028",
];

/// How mix says that another program has failed, which has told why just before.
const PASSED_ON: [&str; 2] = ["** (Mix) `", "** (Mix) Could not compile"];

/// What mix says when all was well so far.
const PROGRESS: [&str; 3] = ["==> ", "Compiling ", "Generated "];

/// How npm goes on when it has told: with its manual.
const MANUAL: [&str; 3] = [
    "npm error Clean install a project",
    "npm error Usage:",
    "npm error A complete log of this run",
];

/// The lines of a tool's output that tell most, repeated where the eye is: they scroll away in a
/// long log. From the first that looks like an error on, or those before it where it only passes on
/// that another program failed, if the one that tells the cause is among them; else from that one
/// on; or else the last ones.
fn telling(output: &[String], at: Option<usize>) -> Vec<&str> {
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
    let cause = |first: usize| {
        let before = if starts(lines[first], &PASSED_ON) {
            LAST
        } else {
            0
        };
        let earlier = lines[..first].iter().rev().take(before);
        first - earlier.take_while(|line| !starts(line, &PROGRESS)).count()
    };
    let told: Vec<&str> = match lines.iter().position(|line| starts(line, &TELLING)) {
        Some(first) => lines[cause(first)..]
            .iter()
            .copied()
            .take_while(|line| !starts(line, &MANUAL))
            .take(FROM_ERROR)
            .collect(),
        None => lines[lines.len().saturating_sub(LAST)..].to_vec(),
    };
    let mut quoted = match at {
        Some(at) if !told.contains(&output[at].as_str()) => output[at..]
            .iter()
            .map(String::as_str)
            .take_while(says_something)
            .take(LAST)
            .collect(),
        _ => told,
    };
    // A tool may say the same of each file.
    quoted.dedup();
    quoted
}

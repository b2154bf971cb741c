//! Failed commands: the app's own, and those that Mixpack runs.

use super::failed_command::{happened, named};
use super::known_failures::known_failure;
use super::{Explanation, Wording, quoted};
use app::facts::{Manager, join};
use app::{Origin, Setting};
use exec::Action;
use exec::command::CommandError;
use exec::credentials::{GIT_CREDENTIALS, GIT_SSH_KEY, HEX_ORGANIZATION_KEYS};

/// Explains a failed command by the known cause in its output, or else by its step.
pub(super) fn command(action: &Action, error: &CommandError, words: &Wording) -> Explanation {
    known_failure(action, error, words).unwrap_or_else(|| unknown(action, error, words))
}

fn unknown(action: &Action, error: &CommandError, words: &Wording) -> Explanation {
    let (var, a_var) = (words.config_var(), words.a_config_var());
    let mix_env = &words.mix_env;
    match action {
        Action::Hook { key, requested } => hook(key, requested, error, words),
        Action::Deps => failed(
            Explanation::user("deps-get-failed", "could not fetch the dependencies"),
            error,
        )
        .so("Check that mix.lock is committed and up to date with mix.exs. Run this on your machine, and commit mix.lock:")
        .typing("mix deps.get")
        .so(format!("A private dependency needs credentials. Set the {var} {GIT_CREDENTIALS}, {GIT_SSH_KEY} or {HEX_ORGANIZATION_KEYS}.")),
        Action::Compile => failed(
            Explanation::user("compile-failed", "the app does not compile"),
            error,
        )
        .so("See the step's output for all errors, with files and lines. To reproduce them on your machine:")
        .typing(words.mix("compile --force"))
        .so(format!("A variable that config/config.exs or config/{mix_env}.exs reads must be set as {a_var}. One that only config/runtime.exs reads is not needed in the build.")),
        Action::PackageManager { spec, origin } => package_manager(spec, origin, error, words),
        Action::JsInstall {
            dir,
            manager,
            lockfile,
        } => javascript_install(dir, *manager, lockfile.as_deref(), error),
        Action::Bower { file } => failed(
            Explanation::user(
                "bower-failed",
                format!("could not install the components in {file}"),
            ),
            error,
        )
        .so(format!(
            "If components require different versions of another one, choose a version under `resolutions` in {file}: bower can't prompt during a build. To reproduce the error on your machine, in the directory of that file:"
        ))
        .typing("bower install --config.interactive=false"),
        Action::CustomScript { path } => failed(
            Explanation::user(
                "custom-asset-script-failed",
                format!("the app's asset script `{path}` failed"),
            ),
            error,
        )
        .so(format!(
            "Fix the command that failed in `{path}`. bash sources the script with `set -e` in the assets directory, so the first failing command ends it."
        )),
        Action::AssetScript {
            command,
            script,
            package,
            ..
        } => failed(
            Explanation::user(
                "asset-script-failed",
                format!("the script `{script}` in {package} failed"),
            ),
            error,
        )
        .so(format!(
            "Fix it under `scripts` in {package}. To reproduce the error on your machine, in the directory of that file:"
        ))
        .typing(command),
        Action::AssetsDeploy => mix_task("assets-deploy-failed", "assets.deploy", error, words)
            .so(format!("The alias is defined under `aliases` in mix.exs. A package whose tasks it runs must be a dependency in {mix_env} too, not only in :dev.")),
        Action::Digest => mix_task("digest-failed", "phx.digest", error, words),
        Action::Release => mix_task("release-failed", "release", error, words)
            .so("Releases are configured under `releases` in mix.exs."),
        Action::ProjectInfo => failed(
            Explanation::user(
                "mix-project-unreadable",
                "mix could not load the project",
            ),
            error,
        )
        .so("Fix the errors in mix.exs or in the code. To reproduce them on your machine:")
        .typing(words.mix("help --names")),
    }
}

fn hook(key: &str, requested: &Setting, error: &CommandError, words: &Wording) -> Explanation {
    let explanation = Explanation::user("hook-failed", format!("{key} failed"))
        .because(format!("{} sets it to:", words.origin(&requested.origin)))
        .because_all(quoted(&requested.value));
    happened(explanation, "It", error, None)
        .so("Fix the hook, or the script it calls. bash runs it in the app's directory, with MIX_ENV set and the build's tools on PATH.")
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
                format!("could not fetch {spec} from the npm registry"),
            ),
            error,
        )
        .so(format!(
            "That version is requested by {}. If it doesn't exist, correct it there; if the registry was unreachable, {}.",
            match origin {
                Origin::Default(_) => "Mixpack itself".to_owned(),
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
            format!("could not install the packages in {package}"),
        ),
        error,
    );
    match lockfile {
                Some(lockfile) => explanation.so(format!(
                    "Check that {lockfile} is committed and up to date with {package}. Run this in their directory, and commit the lockfile:"
                )),
                None => explanation.so(format!(
                    "There is no lockfile next to {package}, so each build may install different versions. Run this in its directory, and commit the lockfile:"
                )),
            }
            .typing(format!("{manager} install"))
}

fn mix_task(code: &'static str, task: &str, error: &CommandError, words: &Wording) -> Explanation {
    failed(Explanation::user(code, format!("mix {task} failed")), error)
        .so("See the step's output for the whole error. To reproduce it on your machine:")
        .typing(words.mix(task))
}

/// Adds how a command that Mixpack chose failed, by the name of the command.
fn failed(explanation: Explanation, error: &CommandError) -> Explanation {
    happened(explanation, &named(error), error, None)
}

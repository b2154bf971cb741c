//! The catalogue of errors: what each means to the user, and what to do next.
//!
//! One exhaustive match: an error without a message does not compile.

use crate::command::CommandError;
use crate::error::{Doing, Error};
use app::facts::ReadError;
use app::plan::PlanError;
use app::{Asked, Origin};
use fetch::{Class, FetchError, Kind};
use toolchain::ToolchainError;
use versions::Tool;
use versions::target::TargetError;

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The app, its files or its settings.
    User,
    /// A host that something is fetched from.
    Upstream,
    /// The machine, or Mixpack itself.
    Machine,
}

/// An error as the user reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Stable, for searching and for reports.
    pub code: &'static str,
    pub fault: Fault,
    /// One line.
    pub title: String,
    /// What happened, where, and what to do.
    pub body: Vec<String>,
}

impl Explanation {
    /// The paragraphs of the log: a title, the body, the code.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("Build failed: {}", self.title), String::new()];
        lines.extend(self.body.iter().cloned());
        if self.fault == Fault::Upstream {
            lines.push(String::new());
            lines.push("Nothing in your app is at fault. The next build starts from the same cache.".into());
        }
        lines.push(String::new());
        lines.push(format!("Error code: {}", self.code));
        lines
    }
}

fn user(code: &'static str, title: impl Into<String>, body: Vec<String>) -> Explanation {
    Explanation {
        code,
        fault: Fault::User,
        title: title.into(),
        body,
    }
}

fn machine(code: &'static str, title: impl Into<String>, body: Vec<String>) -> Explanation {
    Explanation {
        fault: Fault::Machine,
        ..user(code, title, body)
    }
}

/// What an error means.
#[must_use]
pub fn explain(error: &Error) -> Explanation {
    match error {
        Error::Read(error) => read(error),
        Error::Plan(error) => plan(error),
        Error::Target(error) => target(error),
        Error::Architecture(name) => machine(
            "architecture-not-supported",
            format!("there are no Erlang builds for {name}"),
            vec!["Erlang is published for amd64 (x86_64) and arm64 (aarch64) only.".into()],
        ),
        Error::EnvDir { path, source } => machine(
            "config-vars-unreadable",
            "the config vars cannot be read",
            vec![format!("{}: {source}", path.display())],
        ),
        Error::ConfigFile {
            file,
            line,
            construct,
            status,
            output,
        } => {
            let mut body = vec![
                format!("{file}:{line} holds {construct}, so bash was asked to evaluate the file."),
                format!("It ended with {status}:"),
            ];
            body.extend(output.lines().map(|line| format!("  {line}")));
            body.push(format!("Correct {file}; `bash -n {file}` shows the same on your machine."));
            user("config-file-not-evaluated", format!("{file} cannot be evaluated"), body)
        }
        Error::Toolchain(error) => toolchain(error),
        Error::Command { doing, source } => command(doing, source),
        Error::WhichRelease { names, .. } => user(
            "release-not-named",
            "mix.exs defines several releases and no default",
            vec![
                format!("Defined: {}.", names.join(", ")),
                format!(
                    "Say which one to build in the project of mix.exs: default_release: :{}",
                    names.first().map_or("NAME", String::as_str)
                ),
            ],
        ),
        Error::Tree(error) => machine(
            "file-system",
            "a file cannot be read or written",
            vec![
                error.to_string(),
                "Is the disk full, or is the folder owned by another user?".into(),
            ],
        ),
        Error::Cancelled => machine("cancelled", "stopped before it was done", vec![]),
    }
}

fn read(error: &ReadError) -> Explanation {
    match error {
        ReadError::NoMixExs { found, .. } => {
            let there = if found.is_empty() {
                "The folder is empty.".to_owned()
            } else {
                format!("There are: {}", found.join(" "))
            };
            user(
                "no-mix-exs",
                "there is no mix.exs at the top of the app",
                vec![
                    "Mixpack builds Elixir apps, whose mix.exs stands at the top of the repository.".into(),
                    there,
                    "Is mix.exs committed (git ls-files mix.exs), and not listed in .slugignore?".into(),
                ],
            )
        }
        ReadError::Io { path, source } => machine(
            "app-file-unreadable",
            format!("{path} cannot be read"),
            vec![source.to_string()],
        ),
        ReadError::PackageJson {
            path,
            line,
            message,
        } => user(
            "package-json-invalid",
            format!("{path} is not valid"),
            vec![
                format!("{path}:{line}: {message}"),
                format!("`node -e 'require(\"./{path}\")'` shows the same on your machine."),
            ],
        ),
    }
}

fn plan(error: &PlanError) -> Explanation {
    match error {
        PlanError::Malformed {
            tool,
            asked,
            reason,
        } => user(
            "version-malformed",
            format!("{:?} is not a version of {}", asked.value, product(*tool)),
            vec![
                format!("{}: {:?}: {reason}.", place(asked), asked.value),
                format!("Write {}.", examples(*tool)),
            ],
        ),
        PlanError::NoSuchVersion {
            tool,
            asked,
            target,
            nearest,
            newest_of_line,
        } => {
            let mut body = vec![format!(
                "{} asks for {}, but the list of builds for {target} has none that matches.",
                place(asked),
                asked.value
            )];
            if let Some(newest) = newest_of_line {
                body.push(format!("The newest of that line is {newest}."));
            }
            if !nearest.is_empty() {
                body.push(format!("The nearest that are there: {}.", nearest.join(", ")));
            }
            body.push(mend(asked));
            user(
                "version-not-available",
                format!("there is no {} {} for {target}", product(*tool), asked.value),
                body,
            )
        }
        PlanError::NotForThisOtp {
            elixir,
            elixir_source,
            otp,
            otp_source,
            usable,
        } => {
            let majors: Vec<String> = usable.iter().map(u32::to_string).collect();
            user(
                "elixir-otp-incompatible",
                format!("Elixir {elixir} does not go with Erlang/OTP {otp}"),
                vec![
                    format!("Elixir {elixir} (from {elixir_source}) goes with OTP {}.", list(&majors)),
                    format!("OTP {otp} comes from {otp_source}."),
                    "Change one of the two. A partial version, such as erlang_version=27, follows the patches.".into(),
                ],
            )
        }
        PlanError::NoOtpFor { asked, target } => user(
            "no-otp-for-elixir",
            format!("no Erlang/OTP built for {target} goes with Elixir {}", asked.value),
            vec![
                format!("{} asks for Elixir {}.", place(asked), asked.value),
                "Its OTP versions are too old for this stack, or have not been built. Use a newer Elixir.".into(),
            ],
        ),
        PlanError::NothingGoesTogether { target } => Explanation {
            fault: Fault::Upstream,
            ..user(
                "lists-do-not-fit",
                format!("upstream's lists hold nothing that goes together for {target}"),
                vec!["Name the versions in elixir_buildpack.config, or try again later.".into()],
            )
        },
        PlanError::TwoLockfiles { dir, lockfiles } => user(
            "two-lockfiles",
            format!("{dir} has more than one lockfile"),
            vec![
                format!("Found: {}. Which package manager is meant cannot be told.", lockfiles.join(", ")),
                format!(
                    "Keep the one you use; for npm: git rm {}",
                    lockfiles
                        .iter()
                        .filter(|name| *name != "package-lock.json")
                        .map(|name| app::facts::join(dir, name))
                        .collect::<Vec<_>>()
                        .join(" ")
                ),
            ],
        ),
        PlanError::UnsupportedManager { manager, lockfile } => user(
            "package-manager-not-supported",
            format!("{manager} is not supported yet"),
            vec![
                format!("{lockfile} asks for {manager}; this version of Mixpack installs with npm only."),
                "Commit a package-lock.json in its place (npm install makes one).".into(),
            ],
        ),
        PlanError::NoSuchFolder {
            key,
            asked,
            missing,
        } => user(
            "folder-not-found",
            format!("{key} names a folder without {missing}"),
            vec![
                format!("{}: {key}={}", place(asked), asked.value),
                format!("It is relative to the top of the app and must hold a {missing}."),
            ],
        ),
    }
}

fn target(error: &TargetError) -> Explanation {
    match error {
        TargetError::EndOfLife { stack } => user(
            "stack-end-of-life",
            format!("the stack {stack} has reached its end of life"),
            vec![
                "Neither Heroku nor Erlang's builds support it any more. Your Erlang version is not the matter.".into(),
                "Move to a current stack: heroku stack:set heroku-24".into(),
            ],
        ),
        TargetError::UnknownStack { stack } => user(
            "stack-unknown",
            format!("the stack {stack:?} is not known"),
            vec![
                "STACK must be heroku-NN or gigalixir-NN (Ubuntu NN.04), or unset.".into(),
                "Your Erlang version is not the matter.".into(),
            ],
        ),
        TargetError::UnknownSystem { system } => machine(
            "system-unknown",
            format!("no Erlang builds are known to run on {system}"),
            vec![
                "Without STACK the system itself must be Ubuntu, or Debian 12 or 13.".into(),
                "To take the builds of an Ubuntu release anyway: STACK=heroku-24 (Ubuntu 24.04).".into(),
            ],
        ),
    }
}

fn toolchain(error: &ToolchainError) -> Explanation {
    match error {
        ToolchainError::Fetch { what, source } => fetching(what, source),
        ToolchainError::EmptyList { what, url } => upstream(
            "list-empty",
            format!("{what} is empty"),
            vec![
                format!("{url} answered, with no entry in it."),
                "That has happened at upstream for a few minutes. Try again.".into(),
            ],
        ),
        ToolchainError::UnreadableList { what, url, problem } => upstream(
            "list-unreadable",
            format!("{what} cannot be read"),
            vec![format!("{url}: {problem}"), "Try again.".into()],
        ),
        ToolchainError::NoChecksum { url, file } => upstream(
            "checksum-not-published",
            format!("no checksum is published for {file}"),
            vec![
                format!("{url} does not name it. What cannot be verified is not installed."),
                "A release that was made minutes ago may lack its files: ask for an earlier one, or try again later.".into(),
            ],
        ),
        ToolchainError::NoInstaller {
            package,
            elixir,
            otp,
            url,
        } => upstream(
            "installer-not-published",
            format!("no {package} is published for Elixir {elixir} and OTP {otp}"),
            vec![format!("Looked in {url}.")],
        ),
        ToolchainError::UnexpectedArchive { url, missing } => upstream(
            "archive-unexpected",
            "an archive does not hold what it should",
            vec![format!("{url} holds no {missing}.")],
        ),
        ToolchainError::OtpInstall { status, output } => machine(
            "otp-install-failed",
            "Erlang's own Install script failed",
            vec![format!("{status}: {output}")],
        ),
        ToolchainError::Io {
            path,
            doing,
            source,
        } => machine(
            "file-system",
            "a file cannot be read or written",
            vec![format!("{}: cannot {doing}: {source}", path.display())],
        ),
    }
}

fn upstream(code: &'static str, title: impl Into<String>, body: Vec<String>) -> Explanation {
    Explanation {
        fault: Fault::Upstream,
        ..user(code, title, body)
    }
}

fn fetching(what: &str, error: &FetchError) -> Explanation {
    let mut body = vec![format!("{}: {}", error.url, error.kind)];
    if let Some(to) = &error.redirected_to {
        body.push(format!("The host had redirected to {to}."));
    }
    if error.attempts > 1 {
        body.push(format!("Tried {} times.", error.attempts));
    }
    let mut explanation = match error.class() {
        Class::Unreachable => upstream(
            "host-unreachable",
            format!("{what} could not be fetched: the host is not reachable"),
            vec!["Try again. Behind a proxy, set HTTPS_PROXY; a mirror is named by HEX_BUILDS_URL or NODEJS_ORG_MIRROR.".into()],
        ),
        Class::Failing => upstream(
            "host-failing",
            format!("{what} could not be fetched: the host failed"),
            vec!["Try again in a few minutes.".into()],
        ),
        Class::Missing => upstream(
            "artifact-missing",
            format!("{what} is not there"),
            vec!["The list names it, but the file is missing: ask for another version, or try again later. A mirror (HEX_BUILDS_URL, NODEJS_ORG_MIRROR) must hold the files of its lists.".into()],
        ),
        Class::Refused => upstream(
            "host-refused",
            format!("{what} could not be fetched: the host refused"),
            vec!["Are the credentials in the URL of your mirror right?".into()],
        ),
        Class::Integrity if matches!(error.kind, Kind::ChecksumMismatch { .. }) => upstream(
            "checksum-mismatch",
            format!("{what} is not what was published"),
            vec!["The bytes that came do not have the published checksum. Nothing of them was used or kept. Try again; if it stays, tell whoever runs the host.".into()],
        ),
        Class::Integrity => upstream(
            "artifact-damaged",
            format!("{what} came damaged"),
            vec!["Nothing of it was used or kept. Try again.".into()],
        ),
        Class::Address => user(
            "url-invalid",
            format!("{what} could not be fetched: the address is wrong"),
            vec!["Correct HEX_BUILDS_URL, HEX_MIRROR or NODEJS_ORG_MIRROR.".into()],
        ),
        Class::Local => machine(
            "file-system",
            format!("{what} could not be written"),
            vec!["Is the disk full, or the cache directory read-only?".into()],
        ),
        Class::Cancelled => machine("cancelled", "stopped before it was done", vec![]),
    };
    body.append(&mut explanation.body);
    Explanation {
        body,
        ..explanation
    }
}

fn command(doing: &Doing, error: &CommandError) -> Explanation {
    let (code, title, mut advice) = match doing {
        Doing::Hook { key, asked } => (
            "hook-failed",
            format!("{key} failed"),
            vec![
                format!("It is set in {}: {}", asked.origin, asked.value),
                "It runs in the app's folder, by bash, with MIX_ENV and the tools of the build.".into(),
            ],
        ),
        Doing::Deps => (
            "deps-get-failed",
            "the dependencies could not be fetched".to_owned(),
            vec![
                "The output above says which one. Is mix.lock committed and up to date (mix deps.get on your machine)?".into(),
                "A private dependency needs credentials, for instance from hook_pre_fetch_dependencies.".into(),
            ],
        ),
        Doing::Compile => (
            "compile-failed",
            "the app does not compile".to_owned(),
            vec![
                "The output above has the file and line. The same on your machine: MIX_ENV=prod mix compile --force".into(),
                "What config/*.exs reads with System.get_env must be a config var; what config/runtime.exs reads need not.".into(),
            ],
        ),
        Doing::JsInstall { dir } => (
            "javascript-install-failed",
            format!("the JavaScript dependencies of {dir} could not be installed"),
            vec![format!(
                "The output above has npm's reason. Is {} in step with package.json (npm install, then commit it)?",
                app::facts::join(dir, "package-lock.json")
            )],
        ),
        Doing::CustomScript { path } => (
            "asset-script-failed",
            format!("the app's own `{path}` failed"),
            vec![format!("{path} is sourced by bash with `set -e`, in the folder of the assets.")],
        ),
        Doing::AssetScript { script, package } => (
            "asset-script-failed",
            format!("the script `{script}` of {package} failed"),
            vec![format!(
                "The output above has its reason. The same on your machine: npm run {script} beside {package}"
            )],
        ),
        Doing::AssetsDeploy => (
            "assets-deploy-failed",
            "mix assets.deploy failed".to_owned(),
            vec!["The output above has its reason. The same on your machine: MIX_ENV=prod mix assets.deploy".into()],
        ),
        Doing::Digest => (
            "digest-failed",
            "mix phx.digest failed".to_owned(),
            vec!["The output above has its reason. The same on your machine: MIX_ENV=prod mix phx.digest".into()],
        ),
        Doing::Release => (
            "release-failed",
            "the release could not be built".to_owned(),
            vec!["The output above has its reason. The same on your machine: MIX_ENV=prod mix release --overwrite".into()],
        ),
        Doing::Answers => (
            "mix-project-unreadable",
            "mix could not be asked about the project".to_owned(),
            vec!["The output above has its reason.".into()],
        ),
    };
    let mut body = match error {
        CommandError::Failed {
            command,
            status,
            output,
            ..
        } => {
            let mut body = vec![format!("`{command}` ended with {status}.")];
            body.extend(last_words(output));
            body
        }
        CommandError::Start { command, source } => {
            vec![format!("`{command}` could not be started: {source}.")]
        }
        CommandError::Cancelled => vec!["It was stopped.".to_owned()],
    };
    body.append(&mut advice);
    user(code, title, body)
}

/// The last lines of a tool's output again, where the eye is: they scroll away in a long log.
fn last_words(output: &[String]) -> Vec<String> {
    const MOST: usize = 5;
    let said: Vec<&String> = output.iter().filter(|line| !line.trim().is_empty()).collect();
    let last = &said[said.len().saturating_sub(MOST)..];
    if last.is_empty() {
        return vec!["It printed nothing.".to_owned()];
    }
    let mut lines = vec!["Its last words:".to_owned()];
    lines.extend(last.iter().map(|line| format!("  {line}")));
    lines
}

fn product(tool: Tool) -> &'static str {
    match tool {
        Tool::Erlang => "Erlang/OTP",
        Tool::Elixir => "Elixir",
        Tool::Node => "Node.js",
    }
}

fn examples(tool: Tool) -> &'static str {
    match tool {
        Tool::Erlang => "27.3.4 for one release, or 27 for the newest of that line",
        Tool::Elixir => "1.18.3 for one release, or 1.18 for the newest of that line",
        Tool::Node => "22.1.0 for one release, or 22 for the newest of that line",
    }
}

fn place(asked: &Asked) -> String {
    asked.origin.to_string()
}

fn mend(asked: &Asked) -> String {
    match &asked.origin {
        Origin::File { path, .. } => format!("Change it in {path}, or remove the line to get the newest."),
        Origin::ConfigVar(name) => format!("Change the config var {name}, or unset it."),
        Origin::LastBuild | Origin::Default(_) => "Name another version in elixir_buildpack.config.".to_owned(),
    }
}

/// `25, 26 and 27`.
fn list(items: &[String]) -> String {
    match items {
        [] => "none that is built for this stack".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

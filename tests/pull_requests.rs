//! The script of `action.yml` on pull requests, run as GitHub Actions runs it: the environment, the event,
//! and a checkout as actions/checkout makes it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::Server;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use whole_builds::action::Action;
use whole_builds::pages::page;
use whole_builds::{artifact_host, repository};

/// A repository on GitHub with a pull request, and the directory of a job.
struct PullRequest {
    temp: tempfile::TempDir,
    host: Server,
    /// The directory of the app in the repository.
    below: &'static str,
    base: String,
    merge: String,
}

struct Run {
    output: Output,
    summary: String,
    outputs: String,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
        ])
        .args(args)
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl PullRequest {
    /// `change` edits the app. On the base branch, it has a line in its `Procfile` that the platform ignores.
    fn new(below: &'static str, change: impl FnOnce(&Path)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let [origin, seed] = ["origin", "seed"].map(|name| temp.path().join(name));
        fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "--quiet", "--bare"]);
        // As on GitHub.
        git(
            &origin,
            &["config", "uploadpack.allowReachableSHA1InWant", "true"],
        );
        git(temp.path(), &["clone", "--quiet", "origin", "seed"]);
        let app = seed.join(below);
        whole_builds::copy(&repository().join("fixtures/phoenix-npm"), &app);
        fs::write(app.join("Procfile"), "web mix phx.server\n").unwrap();
        let commit = |message: &str| {
            git(&seed, &["add", "--all"]);
            git(&seed, &["commit", "--quiet", "--message", message]);
        };
        commit("Start");
        git(&seed, &["checkout", "--quiet", "-b", "change"]);
        change(&app);
        commit("Change");
        git(&seed, &["checkout", "--quiet", "main"]);
        fs::write(seed.join("README"), "The base branch goes on.\n").unwrap();
        commit("Go on");
        let base = git(&seed, &["rev-parse", "HEAD"]);
        git(&seed, &["push", "--quiet", "origin", "main", "change"]);
        git(&seed, &["merge", "--quiet", "--no-ff", "change"]);
        git(
            &seed,
            &["push", "--quiet", "origin", "HEAD:refs/pull/1/merge"],
        );
        let merge = git(&seed, &["rev-parse", "HEAD"]);
        Self {
            temp,
            host: artifact_host(),
            below,
            base,
            merge,
        }
    }

    fn workspace(&self) -> PathBuf {
        self.temp.path().join("work")
    }

    fn checkout(&self, depth: u32) {
        let work = self.workspace();
        let _ = fs::remove_dir_all(&work);
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        // Git ignores --depth for a plain path.
        let url = format!("file://{}", self.temp.path().join("origin").display());
        git(&work, &["remote", "add", "origin", &url]);
        let depth = format!("--depth={depth}");
        git(
            &work,
            &[
                "fetch",
                "--quiet",
                "--no-tags",
                &depth,
                "origin",
                &self.merge,
            ],
        );
        git(&work, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    }

    fn run(&self, event: &str, with: &[(&str, &str)]) -> Run {
        let action = Action::read();
        let payload: Value = json!({ "pull_request": { "base": { "sha": self.base } } });
        let [step] = &action.runs.steps[..] else {
            panic!("one step");
        };
        let files = ["script", "summary", "outputs"].map(|name| self.temp.path().join(name));
        let [script, summary, outputs] = &files;
        fs::write(script, &step.run).unwrap();
        for file in [summary, outputs] {
            fs::write(file, "").unwrap();
        }
        let mut with = with.to_vec();
        if !self.below.is_empty() && !with.iter().any(|(name, _)| *name == "directory") {
            with.push(("directory", self.below));
        }
        let env = step
            .env
            .iter()
            .map(|(name, value)| (name, action.evaluated(value, &with, &payload)));
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .arg(script)
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.temp.path())
            .env(
                "MIXPACK_EXE",
                std::env::var_os("MIXPACK_EXE").expect("MIXPACK_EXE: run `cargo xtask test`"),
            )
            .env("HEX_BUILDS_URL", self.host.url())
            .env("NODEJS_ORG_MIRROR", format!("{}/dist", self.host.url()))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", repository())
            .env("GITHUB_WORKSPACE", self.workspace())
            .env("GITHUB_EVENT_NAME", event)
            .env("GITHUB_BASE_REF", "main")
            .env("GITHUB_SHA", &self.merge)
            .env("GITHUB_OUTPUT", outputs)
            .env("GITHUB_STEP_SUMMARY", summary)
            .envs(env);
        let output = command.output().unwrap();
        let [summary, outputs] = [summary, outputs].map(|file| fs::read_to_string(file).unwrap());
        Run {
            output,
            summary,
            outputs,
        }
    }
}

impl Run {
    fn log(&self) -> String {
        assert_eq!(String::from_utf8_lossy(&self.output.stderr), "");
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// A release, built with another Node, that listens on a fixed port. The line of the Procfile is corrected.
fn to_a_release(app: &Path) {
    let versions = "erlang_version=27\n";
    replace(
        &app.join("elixir_buildpack.config"),
        versions,
        &format!("{versions}release=true\n"),
    );
    replace(
        &app.join("phoenix_static_buildpack.config"),
        "node_version=24",
        "node_version=22",
    );
    replace(&app.join("config/runtime.exs"), "port: port", "port: 4000");
    fs::write(app.join("Procfile"), "worker: mix run work.exs\n").unwrap();
    fs::write(app.join("work.exs"), "").unwrap();
}

#[test]
fn pull_request_gets_annotations_and_changes() {
    let pull_request = PullRequest::new("", to_a_release);
    pull_request.checkout(2);
    let run = pull_request.run("pull_request", &[]);
    let log = run.log();
    insta::assert_snapshot!("annotations", log);
    insta::assert_snapshot!("summary", run.summary);
    assert_eq!(run.output.status.code(), Some(1));
    let (_, count) = log.trim_end().rsplit_once('\n').unwrap();
    let number = |level: &str| {
        count
            .split(", ")
            .find_map(|part| part.strip_suffix(level))
            .unwrap()
            .trim()
    };
    let errors = format!("errors={}\n", number("error"));
    assert!(run.outputs.starts_with(&errors), "{}", run.outputs);
    let shown = page("docs/pull-requests.md");
    assert!(
        shown.contains(&log),
        "docs/pull-requests.md shows it: {log}"
    );
    let (_, changes) = run
        .summary
        .split_once("### Changes of the build\n")
        .unwrap();
    let (changes, _) = changes.split_once("### New findings\n").unwrap();
    assert!(
        shown.contains(changes),
        "docs/pull-requests.md shows it: {changes}"
    );

    // The checkout is as before.
    let work = pull_request.workspace();
    assert_eq!(git(&work, &["status", "--porcelain"]), "");
    assert_eq!(git(&work, &["worktree", "list"]).lines().count(), 1);

    let run = pull_request.run("pull_request", &[("fail-on", "never")]);
    assert_eq!(run.log(), log);
    assert_eq!(run.output.status.code(), Some(0));
}

#[test]
fn annotations_of_a_subdirectory_have_paths_from_the_top() {
    let pull_request = PullRequest::new("apps/a,b:100%", to_a_release);
    pull_request.checkout(2);
    let run = pull_request.run("pull_request", &[]);
    let log = run.log();
    assert!(
        log.contains("::error file=apps/a%2Cb%3A100%25/config/runtime.exs,line=22,title="),
        "{log}"
    );
    assert!(
        run.summary
            .contains("\napps/a,b:100%/config/runtime.exs:22  port-not"),
        "{}",
        run.summary
    );
    assert!(
        run.summary.contains("\n- process worker") || run.summary.contains("\n+ process worker")
    );
    assert!(
        run.summary.contains("\n### Fixed findings\n"),
        "{}",
        run.summary
    );
}

#[test]
fn commit_that_a_shallow_checkout_lacks_is_fetched() {
    let pull_request = PullRequest::new("", to_a_release);
    pull_request.checkout(1);
    let run = pull_request.run("pull_request", &[]);
    assert!(run.log().contains("port-not-from-environment"));
    assert!(run.summary.contains("\n+ step release"), "{}", run.summary);

    pull_request.checkout(1);
    let origin = pull_request.temp.path().join("origin");
    fs::rename(&origin, origin.with_extension("gone")).unwrap();
    let run = pull_request.run("pull_request", &[]);
    let base = &pull_request.base;
    let why = format!(
        "Not compared with the base branch: the checkout has no commit {base}, and git can't fetch it. Set \"fetch-depth: 2\" for actions/checkout.\n"
    );
    assert!(run.log().ends_with(&why), "{}", run.log());
    assert!(
        run.summary.ends_with(&why) && !run.summary.contains("###"),
        "{}",
        run.summary
    );
    assert_eq!(
        run.output.status.code(),
        Some(1),
        "the app's errors still count"
    );
}

#[test]
fn unchanged_build_says_so_and_old_notes_are_not_annotated() {
    let pull_request = PullRequest::new("", |app| {
        fs::write(app.join("README.md"), "An app\n").unwrap();
    });
    pull_request.checkout(2);
    let run = pull_request.run("pull_request", &[]);
    let log = run.log();
    assert!(!log.contains("::notice"), "{log}");
    let none = "### Changes of the build\n\nNone: the same versions, steps, processes and settings.\n\n<details>";
    assert!(run.summary.contains(none), "{}", run.summary);
    assert_eq!(run.output.status.code(), Some(0));
}

#[test]
fn nothing_of_the_pull_request_runs() {
    let temp = tempfile::tempdir().unwrap();
    let trace = temp.path().join("trace");
    let pull_request = PullRequest::new("", |app| {
        let touch = format!("$(touch {})", trace.display());
        fs::write(
            app.join("elixir_buildpack.config"),
            format!("erlang_version={touch}\n"),
        )
        .unwrap();
        fs::write(app.join(".gitattributes"), "* filter=ran\n").unwrap();
    });
    pull_request.checkout(2);
    let run = pull_request.run("pull_request", &[]);
    assert!(
        run.log().contains("Mixpack%3A config-needs-bash"),
        "{}",
        run.log()
    );
    assert!(!trace.exists());
}

#[test]
fn mistakes_in_the_workflow_are_named() {
    let pull_request = PullRequest::new("", |app| fs::write(app.join("x"), "").unwrap());
    pull_request.checkout(2);
    for (event, with, message) in [
        (
            "pull_request_target",
            ("fail-on", "never"),
            "::error title=Mixpack::Mixpack refuses to run on pull_request_target: that event gives secrets and a token with write access to a job, which must not handle the code of a pull request. Use \"on: pull_request\".\n",
        ),
        (
            "pull_request",
            ("fail-on", "warning"),
            "::error title=Mixpack::fail-on is \"warning\". Set it to \"error\" or \"never\".\n",
        ),
        (
            "pull_request",
            ("directory", "a%\n::error::b"),
            "::error title=Mixpack::The directory \"a%25%0A::error::b\" doesn't exist. Check out the repository with actions/checkout before this step, and set \"directory\" relative to the top.\n",
        ),
    ] {
        let run = pull_request.run(event, &[with]);
        assert_eq!(run.log(), message);
        assert_eq!(run.output.status.code(), Some(2));
        assert_eq!((&*run.summary, &*run.outputs), ("", ""));
    }
    assert!(
        pull_request.host.requests().is_empty(),
        "nothing was fetched"
    );
}

#[test]
fn other_events_are_checked_without_a_comparison() {
    let pull_request = PullRequest::new("", to_a_release);
    pull_request.checkout(1);
    let mut run = pull_request.run("merge_group", &[]);
    assert!(
        run.summary.contains("\n+ step release"),
        "the event's commit is fetched: {}",
        run.summary
    );
    fs::remove_dir_all(pull_request.workspace().join(".git")).unwrap();
    run = pull_request.run("push", &[("stack", "heroku-22")]);
    let why = "Not compared with the base branch: there is no repository, or no pull request.\n";
    assert!(run.log().ends_with(why), "{}", run.log());
    assert!(
        run.summary.contains("heroku-22") || run.summary.contains("ubuntu-22.04"),
        "{}",
        run.summary
    );
}

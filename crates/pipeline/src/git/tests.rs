use super::*;
use std::process::Output;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository, and a recorder before the real git.
struct Case {
    dir: TempDir,
    env: Env,
    recorder: Recorder,
}

impl Case {
    fn new(variables: &[(&str, &str)]) -> Self {
        let mut env: Env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", "/nowhere"),
        ]
        .iter()
        .chain(variables)
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
        let recorder = Recorder::install_on_path(&mut env).unwrap().expect("git");
        let case = Self {
            dir: tempfile::tempdir().unwrap(),
            env,
            recorder,
        };
        fs::create_dir_all(case.top().join("sub")).unwrap();
        case
    }

    fn top(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("app")
    }

    fn run(&self, program: &str, folder: &str, words: &[&str], path: Option<&str>) -> Output {
        let mut command = Command::new("/usr/bin/env");
        command.arg(program).args(words).env_clear().envs(&self.env);
        command.current_dir(self.top().join(folder));
        if let Some(path) = path {
            command.env("PATH", path);
        }
        loop {
            let output = command.output().unwrap();
            // A fork of a parallel test may still have the new script open for writing.
            if !String::from_utf8_lossy(&output.stderr).contains("Text file busy") {
                return output;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn git(&self, folder: &str, words: &[&str]) -> Output {
        self.run("git", folder, words, None)
    }

    fn answers(&self) -> Answers {
        self.recorder.answers(&[&self.top()])
    }

    /// Commits a file, without recording.
    fn commit(&self, text: &str) {
        fs::write(self.top().join("file"), text).unwrap();
        let who = ["-c", "user.name=a", "-c", "user.email=a@b.example"];
        for words in [
            &["init", "--quiet"] as &[&str],
            &["add", "file"],
            &[&who[..], &["commit", "--quiet", "-m", "it's $HOME"]].concat(),
        ] {
            let output = self.git(".", words);
            assert!(output.status.success(), "{output:?}");
        }
    }

    /// Runs the dyno's `git`, with no other git on `PATH`.
    fn on_dyno(&self, folder: &str, words: &[&str]) -> Output {
        let bin = self.top().join(FOLDER);
        fs::create_dir_all(&bin).unwrap();
        let git = bin.join("git");
        fs::write(&git, replay(&self.answers())).unwrap();
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
        // The tools that the script needs, without git.
        let tools = self.dir.path().join("tools");
        fs::create_dir_all(&tools).unwrap();
        for tool in ["sh", "dirname", "sed", "cat"] {
            let _ = std::os::unix::fs::symlink(format!("/bin/{tool}"), tools.join(tool));
            if !tools.join(tool).exists() {
                let _ = fs::remove_file(tools.join(tool));
                std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), tools.join(tool)).unwrap();
            }
        }
        let path = format!("{}:{}", bin.display(), tools.display());
        let program = bin.join("git");
        self.run(&program.to_string_lossy(), folder, words, Some(&path))
    }
}

#[test]
fn dyno_repeats_git_answers_of_build() {
    let case = Case::new(&[]);
    case.commit("one");
    let commands = [
        (".", vec!["rev-parse", "--short", "HEAD"]),
        ("sub", vec!["log", "-1", "--format=%s", "--", ".."]),
        (".", vec!["describe", "--tags"]),
        (".", vec!["-C", "sub", "rev-parse", "--show-prefix"]),
        (".", vec!["status", "--porcelain"]),
    ];
    let in_build: Vec<Output> = commands
        .iter()
        .map(|(at, words)| case.git(at, words))
        .collect();
    assert!(!in_build[2].status.success(), "there is no tag");
    assert_eq!(in_build[1].stdout, b"it's $HOME\n");
    fs::remove_dir_all(case.top().join(".git")).unwrap();
    for ((at, words), expected) in commands.iter().zip(in_build) {
        assert_eq!(case.on_dyno(at, words), expected, "{words:?}");
    }
    let not_recorded = case.on_dyno("sub", &["rev-parse", "--short", "HEAD"]);
    assert_eq!(not_recorded.status.code(), Some(127));
}

#[test]
fn real_git_answers_first() {
    let case = Case::new(&[]);
    case.commit("one");
    let question = ["log", "-1", "--format=%H"];
    case.git(".", &question);
    case.commit("two");
    let bin = case.top().join(FOLDER);
    case.on_dyno(".", &question);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let git = bin.join("git");
    let ask = || {
        case.run(&git.to_string_lossy(), ".", &question, Some(&path))
            .stdout
    };
    let answers = case.answers();
    let kept = answers.values().next().unwrap().stdout.clone();
    assert_ne!(String::from_utf8(ask()).unwrap(), kept);
    // Without a repository, the real git can't answer.
    fs::remove_dir_all(case.top().join(".git")).unwrap();
    assert_eq!(String::from_utf8(ask()).unwrap(), kept);
}

#[test]
fn platform_commit_answers_like_git_without_repository() {
    for variable in ["SOURCE_VERSION", "GIT_REV"] {
        let with = Case::new(&[]);
        with.commit("one");
        let head = with.git(".", &["rev-parse", "HEAD"]).stdout;
        let head = String::from_utf8(head).unwrap().trim().to_owned();
        let without = Case::new(&[(variable, &head)]);
        for words in [
            &["rev-parse", "HEAD"] as &[&str],
            &["rev-parse", "--short", "HEAD"],
            &["rev-parse", "--verify", "--short=10", "HEAD"],
            &["describe", "--always"],
            &["describe", "--tags", "--always", "--dirty", "--abbrev=9"],
            &["log", "-1", "--format=%h"],
            &["log", "-n", "1", "--pretty=format:%H"],
            &["log", "--pretty=format:%h", "-n1"],
            &["--no-pager", "log", "-1", "--pretty=%H", "HEAD"],
            &["show", "-s", "--format=%h"],
            &["rev-list", "-1", "HEAD"],
            &["rev-list", "--max-count=1", "--abbrev-commit", "HEAD"],
        ] {
            let expected = with.git(".", words);
            assert!(expected.status.success(), "{words:?}");
            assert_eq!(without.git(".", words), expected, "{words:?}");
            assert_eq!(without.on_dyno(".", words), expected, "{words:?}");
        }
        let answers = without.answers();
        let of = answers.values().map(|answer| answer.variable.as_deref());
        assert!(of.eq(std::iter::repeat_n(Some(variable), answers.len())));
    }
}

#[test]
fn questions_beyond_commit_fail_like_git() {
    for (commit, words) in [
        (SHA, &["describe", "--tags"] as &[&str]),
        (SHA, &["log", "-1", "--format=%ci"]),
        (SHA, &["log", "--format=%H"]),
        (SHA, &["rev-parse", "HEAD~1"]),
        (SHA, &["rev-parse", "--abbrev-ref", "HEAD"]),
        (SHA, &["status"]),
        ("v12", &["rev-parse", "HEAD"]),
        ("", &["rev-parse", "HEAD"]),
    ] {
        let case = Case::new(&[("SOURCE_VERSION", commit)]);
        let output = case.git(".", words);
        assert_eq!(output.status.code(), Some(128), "{words:?}");
        assert!(!output.stderr.is_empty());
        assert_eq!(case.on_dyno(".", words), output, "{words:?}");
        assert!(case.answers().values().all(|answer| answer.no_repository));
    }
}

#[test]
fn only_questions_about_app_are_recorded() {
    let case = Case::new(&[]);
    case.commit("one");
    fs::create_dir_all(case.top().join("deps/x")).unwrap();
    case.git("deps/x", &["rev-parse", "HEAD"]);
    case.git(".", &["config", "--get", "user.name"]);
    case.git(".", &["--version"]);
    case.git(
        ".",
        &["--git-dir=.git", "rev-parse", "--verify", "--quiet", "HEAD"],
    );
    case.git("..", &["rev-parse", "HEAD"]);
    assert_eq!(case.answers(), Answers::new());
}

#[test]
fn changed_git_answer_is_detected() {
    let case = Case::new(&[]);
    case.commit("one");
    case.git(".", &["rev-parse", "HEAD"]);
    let then = case.answers();
    let ask = || case.recorder.rerun(&then, &case.top(), &case.env);
    assert_eq!(ask(), then);
    case.commit("two");
    assert_ne!(ask(), then);
    assert_eq!(case.answers(), then, "asking again is not kept");
}

#[test]
fn finds_code_that_calls_git() {
    for (code, line) in [
        ("defmodule A do\n  @sha System.cmd(\"git\", [])", Some(2)),
        ("@sha :os.cmd('git rev-parse HEAD')", Some(1)),
        ("@version Mix.Project.config()[:version]", Some(1)),
        ("SHA := $(shell git describe)", Some(1)),
        ("@url \"https://host/a.git\"", None),
        ("# a git of digits", None),
    ] {
        assert_eq!(git_call_line(code), line, "{code}");
    }
}

#[test]
fn git_dependency_has_origin_and_commit() {
    let case = Case::new(&[]);
    case.commit("one");
    for words in [
        &["remote", "add", "upstream", "https://wrong.example/"] as &[&str],
        &["remote", "add", "origin", "https://git.example/a b.git"],
        &["checkout", "--quiet", "--detach"],
    ] {
        assert!(case.git(".", words).status.success());
    }
    for words in [
        &["--git-dir=.git", "config", "remote.origin.url"] as &[&str],
        &["--git-dir=.git", "rev-parse", "--verify", "--quiet", "HEAD"],
    ] {
        assert_eq!(case.on_dyno(".", words), case.git(".", words), "{words:?}");
    }
}

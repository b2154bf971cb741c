//! Records the git commands of `mix.exs`, config and code in the build, and replays their output on the dyno.
//!
//! Heroku's images for dynos have no git from heroku-24 on, and slugs contain no repository. Without git, mix fails
//! to start. If git's output differs from that in the build, mix recompiles.

use exec::command::Env;
use exec::environment::prepend_path;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use store::tree::TreeError;
use tempfile::TempDir;

/// The folder of the dyno's `git` in the slug.
pub const FOLDER: &str = ".mixpack/bin";

/// The wrapper that comes before git on the build's `PATH`.
const RECORD: &str = include_str!("git/record.sh");
/// The `git` of the dyno.
const REPLAY: &str = include_str!("git/replay.sh");
/// Overrides the directory in which [`RECORD`] saves answers, for a single command.
const VARIABLE: &str = "MIXPACK_GIT_ANSWERS";
/// Longer outputs, in bytes, aren't recorded: no code needs them on a dyno.
const MAX_OUTPUT: usize = 64 * 1024;

/// A git command, and its directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Relative to the top of the repository.
    pub folder: String,
    pub words: Vec<String>,
}

/// The output of a git command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// The variable whose commit was used instead of a repository.
    pub variable: Option<String>,
    pub no_repository: bool,
}

/// Questions with their answers.
pub(crate) type Answers = BTreeMap<Question, Answer>;

/// Records git's answers until it is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    folder: TempDir,
    reported: Mutex<BTreeSet<Question>>,
}

impl Recorder {
    /// Puts a recording `git` before the real one on the `PATH` of `env`, if there is one.
    pub(crate) fn install_on_path(env: &mut Env) -> Result<Option<Self>, TreeError> {
        let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join("git"));
        let Some(git) = found.into_iter().find(|git| is_executable(git)) else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new().prefix("mixpack-git-").tempdir();
        let folder = folder.map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let quote = |path: &Path| shell_words::quote(&path.to_string_lossy()).into_owned();
        let answers = folder.path().join("answers");
        let script = RECORD
            .replace("@REAL@", &quote(&git))
            .replace("@ANSWERS@", &quote(&answers));
        let bin = folder.path().join("bin");
        for folder in [&answers, &bin] {
            fs::create_dir(folder).map_err(TreeError::at(folder, "create the folder"))?;
        }
        let program = bin.join("git");
        fs::write(&program, script).map_err(TreeError::at(&program, "write"))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .map_err(TreeError::at(&program, "make executable"))?;
        prepend_path(env, &[bin]);
        let reported = Mutex::default();
        Ok(Some(Self { folder, reported }))
    }

    /// Marks a question as reported. Returns `false` if it already was.
    pub(crate) fn mark_reported(&self, question: &Question) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.insert(question.clone())
    }

    /// Returns all answers so far to questions that were asked below `tops`, the paths of the repository's root. The
    /// last answer to a question counts.
    pub(crate) fn answers(&self, tops: &[&Path]) -> Answers {
        read(&self.folder.path().join("answers"), tops)
    }

    /// Runs the same git commands again. `top` is the root of the repository.
    pub(crate) fn rerun(&self, answers: &Answers, top: &Path, env: &Env) -> Answers {
        let now = self.folder.path().join("now");
        if fs::create_dir_all(&now).is_err() {
            return Answers::new();
        }
        for question in answers.keys() {
            let git = self.folder.path().join("bin/git");
            let folder = top.join(&question.folder);
            let mut command = Command::new(git);
            command.args(&question.words).current_dir(folder);
            command.env_clear().envs(env).env(VARIABLE, &now);
            // A command that can't be started has no answer.
            let _ = command.output();
        }
        read(&now, &[top])
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn read(answers: &Path, tops: &[&Path]) -> Answers {
    let entries = fs::read_dir(answers).into_iter().flatten();
    let mut read: Vec<_> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let time = folder.join("status").metadata().ok()?.modified().ok()?;
            Some((time, folder))
        })
        .collect();
    read.sort();
    let read = read.into_iter();
    read.filter_map(|(_, folder)| read_answer(&folder, tops))
        .collect()
}

/// Reads an answer. Ignores one that is not text, one from another directory, and one about a dependency.
fn read_answer(folder: &Path, tops: &[&Path]) -> Option<(Question, Answer)> {
    let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let ran_in = PathBuf::from(text("folder")?.trim_end_matches('\n'));
    let inside = tops.iter().find_map(|top| ran_in.strip_prefix(top).ok())?;
    if inside.components().any(|part| part.as_os_str() == "deps") {
        return None;
    }
    let question = Question {
        folder: match inside.to_str()? {
            "" => ".".to_owned(),
            inside => inside.to_owned(),
        },
        words: text("question")?.lines().map(str::to_owned).collect(),
    };
    let answer = Answer {
        status: text("status")?.parse().ok()?,
        stdout: text("stdout")?,
        stderr: text("stderr")?,
        variable: text("variable"),
        no_repository: folder.join("no-repository").exists(),
    };
    let small = answer.stdout.len() + answer.stderr.len() <= MAX_OUTPUT;
    small.then_some((question, answer))
}

/// Returns the script for the dyno that repeats git's output from the build.
pub(crate) fn replay(answers: &Answers) -> String {
    let mut cases = String::new();
    for (question, answer) in answers {
        let call = format!("{} {}", question.folder, question.words.join(" "));
        let quoted = |text: &str| shell_words::quote(text).into_owned();
        let _ = writeln!(cases, "  {})\n    answer \"$@\"", quoted(&call));
        for (text, to) in [(&answer.stdout, ""), (&answer.stderr, " >&2")] {
            if !text.is_empty() {
                let _ = writeln!(cases, "    printf %s {}{to}", quoted(text));
            }
        }
        let _ = writeln!(cases, "    exit {} ;;", answer.status);
    }
    REPLAY.replace("@ANSWERS@", &cases)
}

/// Returns the line of code that calls git while it is compiled, or reads a value that `mix.exs` may have
/// from git.
pub(crate) fn git_call_line(code: &str) -> Option<u32> {
    let asks = |line: &&str| {
        let marks = [
            "\"git\"",
            "'git'",
            "\"git ",
            "'git ",
            "(git ",
            "$(shell git ",
            "Mix.Project",
        ];
        marks.iter().any(|mark| line.contains(mark))
    };
    let mut lines = (1..).zip(code.lines());
    lines.find(|(_, line)| asks(line)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests;

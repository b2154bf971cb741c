//! The git commands of the app: their results for the log, for the dyno and for the next build.

use crate::compiled_code::compiled_code;
use crate::context::Context;
use crate::git::{Answers, Question, git_call_line, replay};
use crate::steps::keys;
use exec::log::StepLog;
use exec::secrets;
use messages::Error;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use store::json;
use store::tree::TreeError;

/// Returns the answers of git so far, without those that contain secrets.
pub(crate) fn git_answers(ctx: &Context<'_>) -> Answers {
    let Some(recorder) = &ctx.git else {
        return Answers::new();
    };
    let mut answers = recorder.answers(&[&ctx.dir, &ctx.workspace.app]);
    let secrets = secrets::of_config_vars(&ctx.workspace.environment);
    answers.retain(|_, answer| {
        let holds = |text: &String| secrets.iter().any(|secret| text.contains(&secret.text));
        !holds(&answer.stdout) && !holds(&answer.stderr)
    });
    answers
}

/// Logs each question once, with its answer, if the build has no repository.
pub(crate) fn report_git_answers(ctx: &Context<'_>, log: &StepLog<'_>) {
    let Some(recorder) = &ctx.git else {
        return;
    };
    for (question, answer) in git_answers(ctx) {
        if !answer.no_repository || !recorder.mark_reported(&question) {
            continue;
        }
        let command = shown(&question);
        match &answer.variable {
            Some(variable) => log.detail(&format!(
                "`{command}` is answered from {variable}: the build has no git repository"
            )),
            None => log.warning(&format!(
                "`{command}` fails, since the build has no git repository; the dyno gets the same answer.\n\
                 Read the commit from a variable of the platform, such as SOURCE_VERSION, or write the version into mix.exs"
            )),
        }
    }
}

/// Returns the code that calls git at compile time, and a git command whose output has changed.
pub(crate) fn changed_git_answer(ctx: &Context<'_>) -> Option<(String, String)> {
    let recorder = ctx.git.as_ref()?;
    let then = noted_git_answers(ctx)?;
    if then.is_empty() {
        return None;
    }
    let app = &ctx.workspace.app;
    let mut projects = ctx.plan.projects.iter();
    let place = projects.find_map(|project| {
        compiled_code(&app.join(project)).find_map(|path| {
            let line = git_call_line(&fs::read_to_string(&path).ok()?)?;
            Some(format!("{}:{line}", path.strip_prefix(app).ok()?.display()))
        })
    })?;
    let now = recorder.rerun(&then, &ctx.dir, &ctx.env);
    let changed = then.iter().find(|(question, answer)| {
        now.get(*question)
            .is_none_or(|now| now.stdout != answer.stdout)
    });
    Some((place, shown(changed?.0)))
}

pub(crate) fn noted_git_answers(ctx: &Context<'_>) -> Option<Answers> {
    let note = ctx.workspace.store.read_note(&git_note(ctx))?;
    let answers: Vec<_> = serde_json::from_str(&note).ok()?;
    Some(answers.into_iter().collect())
}

pub(crate) fn save_git_answers(ctx: &Context<'_>) -> Result<(), Error> {
    let answers: Vec<_> = git_answers(ctx).into_iter().collect();
    let note = git_note(ctx);
    let json = json::to_string(&answers, &note)?;
    Ok(ctx.workspace.store.write_note(&note, &json)?)
}

fn git_note(ctx: &Context<'_>) -> String {
    format!("{}.json", keys::entry_name(ctx, "git"))
}

/// Returns the questions so far.
pub(crate) fn git_questions(ctx: &Context<'_>) -> BTreeSet<Question> {
    git_answers(ctx).into_keys().collect()
}

/// Writes the `git` of the dyno. Returns whether it has answers from this build.
pub(crate) fn write_git(ctx: &Context<'_>) -> Result<bool, Error> {
    let answers = git_answers(ctx);
    let path = format!("{}/git", crate::git::FOLDER);
    ctx.write(&path, &replay(&answers))?;
    let git = ctx.workspace.real(Path::new(&path));
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755))
        .map_err(TreeError::at(&git, "make executable"))?;
    Ok(!answers.is_empty())
}

/// Formats a question as a shell command.
fn shown(question: &Question) -> String {
    let words = shell_words::join(&question.words);
    match question.folder.as_str() {
        "." => format!("git {words}"),
        folder => format!("git {words} (in {folder})"),
    }
}

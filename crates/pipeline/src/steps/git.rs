//! What the app asks git: what the log says of it, what the dyno and the next build get.

use crate::context::Context;
use crate::git::{Answers, Question, asking_line, replay};
use crate::steps::stale::compiled_code;
use exec::log::StepLog;
use exec::secrets;
use messages::Error;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::PoisonError;
use store::json;
use store::tree::TreeError;

impl Context<'_> {
    /// What git has answered so far, without what holds secrets.
    pub(crate) fn git_answers(&self) -> Answers {
        let Some(recorder) = &self.git else {
            return Answers::new();
        };
        let mut answers = recorder.answers(&[&self.dir, &self.workspace.app]);
        let secrets = secrets::of_config_vars(&self.workspace.environment);
        answers.retain(|_, answer| {
            let holds = |text: &String| secrets.iter().any(|secret| text.contains(&secret.text));
            !holds(&answer.stdout) && !holds(&answer.stderr)
        });
        answers
    }

    /// Says once of each question what came of it where the build has no repository.
    pub(crate) fn tell_of_git(&self, log: &StepLog<'_>) {
        let told = self.told_of_git.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        for (question, answer) in self.git_answers() {
            if !answer.no_repository || !told.insert(question.clone()) {
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

    /// The code that asked git while it was compiled, and a question that has another answer now.
    pub(crate) fn changed_git_answer(&self) -> Option<(String, String)> {
        let recorder = self.git.as_ref()?;
        let then = self.noted_git_answers()?;
        if then.is_empty() {
            return None;
        }
        let app = &self.workspace.app;
        let mut projects = self.plan.projects.iter();
        let place = projects.find_map(|project| {
            compiled_code(&app.join(project)).find_map(|path| {
                let line = asking_line(&fs::read_to_string(&path).ok()?)?;
                Some(format!("{}:{line}", path.strip_prefix(app).ok()?.display()))
            })
        })?;
        let now = recorder.ask_again(&then, &self.dir, &self.env);
        let changed = then.iter().find(|(question, answer)| {
            now.get(*question)
                .is_none_or(|now| now.stdout != answer.stdout)
        });
        Some((place, shown(changed?.0)))
    }

    pub(crate) fn noted_git_answers(&self) -> Option<Answers> {
        let note = self.workspace.store.read_note(&self.git_note())?;
        let answers: Vec<_> = serde_json::from_str(&note).ok()?;
        Some(answers.into_iter().collect())
    }

    pub(crate) fn save_git_answers(&self) -> Result<(), Error> {
        let answers: Vec<_> = self.git_answers().into_iter().collect();
        let note = self.git_note();
        let json = json::to_string(&answers, &note)?;
        Ok(self.workspace.store.write_note(&note, &json)?)
    }

    fn git_note(&self) -> String {
        format!("{}.json", self.kept_as("git"))
    }

    /// The questions so far.
    pub(crate) fn git_questions(&self) -> BTreeSet<Question> {
        self.git_answers().into_keys().collect()
    }

    /// Writes the `git` of the dyno; whether it has answers of this build.
    pub(crate) fn write_git(&self) -> Result<bool, Error> {
        let answers = self.git_answers();
        let path = format!("{}/git", crate::git::FOLDER);
        self.write(&path, &replay(&answers))?;
        let git = self.workspace.real(Path::new(&path));
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755))
            .map_err(TreeError::at(&git, "make executable"))?;
        Ok(!answers.is_empty())
    }
}

/// A question as a person would type it.
fn shown(question: &Question) -> String {
    let words = shell_words::join(&question.words);
    match question.folder.as_str() {
        "." => format!("git {words}"),
        folder => format!("git {words} (in {folder})"),
    }
}

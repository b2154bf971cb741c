//! `deps` and `_build` from one build to the next.

use crate::error::Error;
use crate::log::seconds;
use crate::run::Build;
use crate::sources::Sources;
use crate::store::{Key, Restored};
use crate::told::megabytes;
use crate::tree::TreeError;
use std::path::Path;

/// The note with the modification times of the app's files.
const SOURCES: &str = "sources.json";

impl Build<'_> {
    /// What compiled code depends on beside its sources, which mix itself looks after.
    fn build_key(&self) -> Key {
        let plan = self.plan;
        [
            ("stack", plan.target.stack.clone()),
            ("architecture", plan.target.arch.to_string()),
            ("OTP", plan.erlang.version.clone()),
            ("Elixir", plan.elixir.build.reference.clone()),
            ("MIX_ENV", plan.mix_env.value.clone()),
            ("working directory", self.dir.to_string_lossy().into_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub(crate) fn restore(&self) -> Result<(), Error> {
        let log = self.means.log.step("Restoring the last build");
        for (name, key) in [("deps", Key::new()), ("_build", self.build_key())] {
            let place = self.workspace.real(Path::new(name));
            match self.workspace.store.restore(name, &key, &place)? {
                Restored::Nothing => log.detail(&format!("{name}: nothing kept")),
                Restored::InApp => log.detail(&format!("{name}: the app brings its own")),
                Restored::Taken(amount) => {
                    log.detail(&format!(
                        "{name}: {} files, {}",
                        amount.files,
                        megabytes(amount.bytes)
                    ));
                    if name == "_build" {
                        self.restore_times()?;
                    }
                }
                Restored::Dropped(reasons) => {
                    for reason in reasons {
                        log.detail(&format!("{name}: dropped, since {reason}"));
                    }
                }
            }
        }
        self.restore_executables()?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    fn restore_times(&self) -> Result<(), Error> {
        let app = &self.workspace.app;
        let kept = self.workspace.store.read_note(SOURCES);
        if let Some(sources) = kept.as_deref().and_then(Sources::parse) {
            sources
                .restore_times(app)
                .map_err(TreeError::at(app, "set the times of files in"))?;
        }
        Ok(())
    }

    pub(crate) fn save(&self) -> Result<(), Error> {
        let log = self.means.log.step("Keeping this build for the next");
        let rel = format!("{}/rel", self.plan.mix_env.value);
        self.keep_executables()?;
        self.save_digested()?;
        let executables = self.executable_names();
        let mut skip: Vec<&str> = executables.iter().map(String::as_str).collect();
        skip.push(&rel);
        for (name, key, skip) in [
            ("deps", Key::new(), vec![]),
            ("_build", self.build_key(), skip),
        ] {
            let from = self.workspace.real(Path::new(name));
            if !from.is_dir() {
                continue;
            }
            let amount = self.workspace.store.save(name, &key, &from, &skip)?;
            log.detail(&format!(
                "{name}: {} files, {}",
                amount.files,
                megabytes(amount.bytes)
            ));
        }
        let app = &self.workspace.app;
        let sources = Sources::of(app).map_err(TreeError::at(app, "read the files of"))?;
        self.workspace.store.write_note(SOURCES, &sources.to_json())?;
        self.workspace.store.forget_unused()?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }
}

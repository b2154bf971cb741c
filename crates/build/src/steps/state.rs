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
    /// What sources depend on: some dependencies put native code beside them.
    fn deps_key(&self) -> Key {
        let target = &self.plan.target;
        [
            ("stack", target.stack.clone()),
            ("architecture", target.arch.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// What compiled code depends on beside its sources, which mix itself looks after.
    fn build_key(&self) -> Key {
        let plan = self.plan;
        // A branch has a new build under the same name whenever it moves.
        let build = |version: &str, is_branch: bool, sha256: &Option<String>, built_at: &str| match (
            is_branch, sha256,
        ) {
            (false, _) => version.to_owned(),
            (true, Some(sha256)) => format!("{version} ({sha256})"),
            (true, None) => format!("{version} ({built_at})"),
        };
        let (otp, elixir) = (&plan.erlang.build, &plan.elixir.build);
        let otp_is_branch = otp.version.is_none();
        let elixir_is_branch = elixir.version.is_none();
        let mut key = self.deps_key();
        key.extend(
            [
                (
                    "OTP",
                    build(
                        &plan.erlang.version,
                        otp_is_branch,
                        &otp.sha256,
                        &otp.built_at,
                    ),
                ),
                (
                    "Elixir",
                    build(
                        &elixir.reference,
                        elixir_is_branch,
                        &elixir.sha256,
                        &elixir.built_at,
                    ),
                ),
                ("MIX_ENV", plan.mix_env.value.clone()),
                ("working directory", self.dir.to_string_lossy().into_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        key
    }

    pub(crate) fn restore(&self) -> Result<(), Error> {
        let log = self.means.log.step("Restoring the last build");
        for (name, key) in [("deps", self.deps_key()), ("_build", self.build_key())] {
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
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    /// The `priv` folders, relative to `deps`, that were made for dependencies and stayed empty.
    fn empty_privs(&self) -> Vec<String> {
        let deps = self.workspace.real(Path::new("deps"));
        let is_empty = |name: &String| {
            std::fs::read_dir(deps.join(name)).is_ok_and(|mut entries| entries.next().is_none())
        };
        std::fs::read_dir(&deps)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(format!("{}/priv", entry.ok()?.file_name().to_str()?)))
            .filter(is_empty)
            .collect()
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
        let empty = self.empty_privs();
        for (name, key, skip) in [
            (
                "deps",
                self.deps_key(),
                empty.iter().map(String::as_str).collect(),
            ),
            ("_build", self.build_key(), vec![rel.as_str()]),
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
        self.workspace
            .store
            .write_note(SOURCES, &sources.to_json())?;
        self.workspace.store.forget_unused()?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }
}

//! `deps` and `_build` from one build to the next.

use crate::app_tree::Entries;
use crate::context::Context;
use crate::erlang_compiler;
use crate::sources::Sources;
use crate::steps::kept_assets::AssetFiles;
use crate::steps::project::Project;
use app::plan::StepName;
use exec::log::{StepLog, seconds};
use exec::progress::megabytes;
use messages::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::json;
use store::tree::{self, TreeError};
use store::{Key, Restored};
use walkdir::{DirEntry, WalkDir};

/// The note with the modification times of the app's files.
const SOURCES: &str = "sources";
/// The note that says something while `_build` and the notes on it are being kept: those of two
/// builds do not go together.
const UNFINISHED: &str = "unfinished";
/// The note with what [`erlang_compiler::digest`] has said of an OTP.
const COMPILER: &str = "compiler.json";
/// Where buildpacks install tools.
const OF_BUILDPACKS: &str = ".heroku";
/// A clock may be set back by this much without a word.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// The state of the last build, as far as it is valid for this one.
#[derive(Debug, Default)]
pub(crate) struct LastBuild {
    /// `_build` was restored.
    pub(crate) build: bool,
    /// The app's files as they were pushed, with the times of the last build.
    pub(crate) pushed: Sources,
    /// Everything that decides the assets, where that can be told.
    pub(crate) assets: Option<Key>,
}

#[derive(Serialize, Deserialize)]
struct NotedCompiler {
    /// As upstream's list names it.
    otp: String,
    digest: String,
}

impl Context<'_> {
    /// What sources depend on: some dependencies put native code beside them.
    fn deps_key(&self) -> Key {
        let target = &self.plan.target;
        let mut key: Key = [
            ("stack", target.stack.clone()),
            ("architecture", target.arch.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let app_dir = &self.plan.app_dir.value;
        if app_dir != "." {
            key.insert("app folder".to_owned(), app_dir.clone());
        }
        key
    }

    /// The name of something kept, apart for every `MIX_ENV`: tests do not drop what a deploy left.
    pub(crate) fn kept_as(&self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mix_env: String = self.plan.mix_env.value.chars().map(plain).collect();
        format!("{name}-{mix_env}")
    }

    /// Which Erlang and Elixir there is: what code is compiled by.
    pub(crate) fn vm_key(&self) -> Key {
        // A branch has a new build under the same name whenever it moves.
        let build = |version: &str, is_branch: bool, commit: &str| {
            if is_branch {
                format!("{version} ({commit})")
            } else {
                version.to_owned()
            }
        };
        let plan = self.plan;
        let (otp, elixir) = (&plan.erlang.build, &plan.elixir.build);
        [
            (
                "OTP",
                build(&plan.erlang.version, otp.version.is_none(), &otp.git_sha),
            ),
            (
                "Elixir",
                build(&elixir.reference, elixir.version.is_none(), &elixir.git_sha),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// What of Erlang/OTP decides compiled code. A patch that changes none of it keeps `_build`.
    fn compiler_key(&self) -> Result<Key, Error> {
        let plan = self.plan;
        let mut key = self.vm_key();
        if plan.rebuild_on_otp_patch || plan.erlang.build.version.is_none() {
            return Ok(key);
        }
        let compiler = self.compiler_digest()?.unwrap_or_default();
        key.insert("OTP".to_owned(), plan.otp_major.to_string());
        key.insert(
            "the compiler, a header or a native library of OTP".to_owned(),
            compiler,
        );
        Ok(key)
    }

    /// Of the OTP of this build: as an earlier build with the same one has noted, or of what is
    /// installed. `None` where it isn't yet: then the last build had this
    /// very version and has lost its note.
    fn compiler_digest(&self) -> Result<Option<String>, Error> {
        if let Some(digest) = self.compiler_digest.get() {
            return Ok(Some(digest.clone()));
        }
        let note = self.workspace.store.read_note(COMPILER);
        let noted = note.and_then(|note| serde_json::from_str::<NotedCompiler>(&note).ok());
        let otp = &self.plan.erlang.build.reference;
        let digest = match noted.filter(|noted| noted.otp == *otp) {
            Some(noted) => noted.digest,
            None if self.has_erlang.load(Ordering::SeqCst) => {
                let root = self.workspace.real(&self.workspace.places.erlang);
                erlang_compiler::digest(&root)?
            }
            None => return Ok(None),
        };
        Ok(Some(self.compiler_digest.get_or_init(|| digest).clone()))
    }

    fn note_compiler(&self) -> Result<(), Error> {
        let Some(digest) = self.compiler_digest.get().cloned() else {
            return Ok(());
        };
        let otp = self.plan.erlang.build.reference.clone();
        let note = json::to_string(&NotedCompiler { otp, digest }, COMPILER)?;
        Ok(self.workspace.store.write_note(COMPILER, &note)?)
    }

    /// What compiled code depends on beside its sources, which mix itself looks after.
    pub(crate) fn build_key(&self) -> Result<Key, Error> {
        let plan = self.plan;
        let mut key = self.deps_key();
        key.extend(self.compiler_key()?);
        key.extend(
            [
                ("MIX_ENV", plan.mix_env.value.clone()),
                (
                    "working directory",
                    self.app_dir.to_string_lossy().into_owned(),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        key.extend(
            self.workspace
                .variables(&self.env, changes_what_is_compiled)?,
        );
        Ok(key)
    }

    pub(crate) fn restore(&self) -> Result<LastBuild, Error> {
        let log = self.log.step("Restoring cache");
        self.remove_old_release()?;
        let entries = self.entries()?;
        let mut pushed = Sources::of(&entries, &Sources::default())?;
        self.tree.see_deps(&entries);
        let mut found = LastBuild::default();
        for (name, key, step) in [
            ("deps", self.deps_key(), StepName::Deps),
            ("_build", self.build_key()?, StepName::Compile),
        ] {
            let place = self.workspace.real(&self.in_app(name));
            let mut restored = self
                .workspace
                .store
                .restore(&self.kept_as(name), &key, &place)?;
            if matches!(restored, Restored::Taken(_))
                && name == "_build"
                && let Some(reason) = self.unusable(&place)
            {
                // The folder itself may be one that mix is led to.
                tree::clear(&place)?;
                restored = Restored::Dropped(vec![reason]);
            }
            let fact = format!("{}_cache", name.trim_start_matches('_'));
            self.report.set(&fact, restored.as_str());
            match restored {
                Restored::Nothing => log.detail(&format!("{name}: not in the cache")),
                Restored::InApp => log.detail(&format!("{name}: part of the app")),
                Restored::Taken(amount) => {
                    if amount.files > 0 {
                        self.has_kept(step);
                    }
                    log.detail(&format!(
                        "{name}: {} files, {}",
                        amount.files,
                        megabytes(amount.bytes)
                    ));
                    if name == "_build" {
                        found.build = true;
                        let compiled = compiled_at(&place);
                        self.state().build = compiled.map(second_of);
                        self.restore_times(&mut pushed, &entries, compiled)?;
                    }
                }
                Restored::Dropped(reasons) => {
                    for reason in reasons {
                        log.detail(&format!("{name}: discarded because {reason}"));
                    }
                }
            }
        }
        found.assets = self.restore_assets(&pushed, &log)?;
        found.pushed = pushed;
        self.restore_executables()?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        // Each step's block is whole.
        drop(log);
        if found.build {
            self.begin_without_compiled()?;
        }
        Ok(found)
    }

    /// Why a `_build` that is what was kept is of no use all the same.
    fn unusable(&self, place: &Path) -> Option<String> {
        let unfinished = self.workspace.store.read_note(&self.unfinished());
        if unfinished.is_some_and(|text| !text.is_empty()) {
            return Some("the last build was interrupted while saving it".to_owned());
        }
        if self.noted_variables().is_none() || self.noted_git_answers().is_none() {
            return Some("the build cache doesn't say what it was compiled with".to_owned());
        }
        let now = SystemTime::now() + CLOCK_SLACK;
        compiled_at(place)
            .is_some_and(|at| at > now)
            .then(|| "it is newer than the current time: the clock was set back".to_owned())
    }

    /// What `mix release` makes in `_build`, relative to it: nothing of it is for the next build.
    fn products_in_build(&self, project: &Project) -> Vec<String> {
        let build = self.in_app("_build");
        let made = [self.release_dirs(project), self.tarballs(project)].concat();
        let inside = made
            .iter()
            .filter_map(|path| path.strip_prefix(&build).ok());
        let inside = inside.filter_map(|path| Some(path.to_str()?.to_owned()));
        let rel = format!("{}/rel", self.plan.mix_env.value);
        inside.chain([rel]).collect()
    }

    fn unfinished(&self) -> String {
        self.kept_as(UNFINISHED)
    }

    fn sources(&self) -> String {
        format!("{}.json", self.kept_as(SOURCES))
    }

    /// The `priv` folders, relative to `deps`, that were made for dependencies and stayed empty.
    fn empty_privs(&self) -> Vec<String> {
        let deps = self.workspace.real(&self.in_app("deps"));
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

    /// `compiled`: when what was restored was.
    fn restore_times(
        &self,
        pushed: &mut Sources,
        entries: &Entries,
        compiled: Option<SystemTime>,
    ) -> Result<(), Error> {
        let kept = self.workspace.store.read_note(&self.sources());
        let kept = kept.as_deref().and_then(Sources::parse).unwrap_or_default();
        // Python takes compiled code for stale where the time of its source has changed.
        let skipped = |path: &Path| path.starts_with(OF_BUILDPACKS);
        Ok(pushed.restore_times(entries, &kept, a_second_after(compiled), skipped)?)
    }

    /// The app's files, without those that the build writes.
    pub(crate) fn entries(&self) -> Result<Entries, TreeError> {
        self.tree.entries(self.path)
    }

    /// Keeps what has been compiled, before anything that can fail comes after it: some platforms keep
    /// the cache of a build that fails.
    pub(crate) fn save_compiled(&self, pushed: &Sources, project: &Project) -> Result<(), Error> {
        let build = self.workspace.real(&self.in_app("_build"));
        let (compiled, restored) = (compiled_at(&build).map(second_of), self.state().build);
        if compiled == restored {
            return Ok(());
        }
        match self.keep_whole(|| self.keep_compiled(pushed, project).map(drop)) {
            // The last step says so, if there is no more room by then.
            Err(Error::Tree(_)) if !self.cancel.is_cancelled() => Ok(()),
            kept => kept,
        }
    }

    /// Keeps what the next build can use. The app has been built: that this fails does not end it.
    pub(crate) fn save(
        &self,
        restored: &LastBuild,
        project: &Project,
        assets: &AssetFiles,
    ) -> Result<(), Error> {
        let log = self.log.step("Saving cache");
        match self.keep_whole(|| self.keep_state(restored, project, assets, &log)) {
            Err(Error::Tree(error)) if !self.cancel.is_cancelled() => {
                log.warning(&format!("the cache is incomplete: {error}"));
                log.warning("the next build repeats the missing work");
            }
            kept => kept?,
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    /// A build that finds what this has begun and not ended takes none of it.
    fn keep_whole(&self, keep: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let store = self.workspace.store;
        store.write_note(&self.unfinished(), "unfinished")?;
        self.path.settle()?;
        keep()?;
        Ok(store.write_note(&self.unfinished(), "")?)
    }

    fn keep_state(
        &self,
        restored: &LastBuild,
        project: &Project,
        assets: &AssetFiles,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        self.keep_executables()?;
        self.save_digested(&project.info)?;
        for line in self.keep_compiled(&restored.pushed, project)? {
            log.detail(&line);
        }
        self.save_assets(assets, restored.assets.as_ref(), log)?;
        Ok(self.workspace.store.forget_unused()?)
    }

    /// `deps`, `_build` and the notes that go with them. Gives lines for the log.
    fn keep_compiled(&self, pushed: &Sources, project: &Project) -> Result<Vec<String>, Error> {
        let store = self.workspace.store;
        let products = self.products_in_build(project);
        let executables = self.executable_names();
        let mut skip: Vec<&str> = executables.iter().map(String::as_str).collect();
        skip.extend(products.iter().map(String::as_str));
        let empty = self.empty_privs();
        let mut lines = Vec::new();
        for (name, key, skip) in [
            (
                "deps",
                self.deps_key(),
                empty.iter().map(String::as_str).collect(),
            ),
            ("_build", self.build_key()?, skip),
        ] {
            let from = self.workspace.real(&self.in_app(name));
            if !from.is_dir() {
                continue;
            }
            if name == "deps" {
                let packages = std::fs::read_dir(&from).map_or(0, Iterator::count);
                self.report.set("dependencies", packages);
            }
            let amount = store.save(&self.kept_as(name), &key, &from, &skip)?;
            lines.push(format!(
                "{name}: {} files, {}",
                amount.files,
                megabytes(amount.bytes)
            ));
        }
        lines.extend(self.save_generated()?);
        self.save_variables()?;
        self.save_git_answers()?;
        self.note_compiler()?;
        let mut entries = self.entries()?;
        entries.retain(|path, _| pushed.has(path));
        let sources = Sources::of(&entries, pushed)?.unchanged_from(pushed);
        let note = self.sources();
        store.write_note(&note, &sources.to_json(&note)?)?;
        Ok(lines)
    }
}

/// A time that mix, which knows whole seconds, takes for later than another one. Where that is of this
/// very second, or the clock has been set back a little since, it is waited for: a time to come would
/// be warned about.
fn a_second_after(time: Option<SystemTime>) -> SystemTime {
    loop {
        let now = SystemTime::now();
        if time.is_none_or(|time| second_of(now) > second_of(time)) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// In seconds since 1970, which archives of a cache keep.
pub(super) fn second_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// When the newest of mix's manifests in a `_build` was written: what it goes by.
pub(super) fn compiled_at(build: &Path) -> Option<SystemTime> {
    let is_manifest = |entry: &DirEntry| {
        let folder = entry.path().parent().and_then(Path::file_name);
        folder.is_some_and(|name| name == ".mix")
    };
    // _build/ENV/lib/APP/.mix/compile.elixir
    let walk = WalkDir::new(build).min_depth(5).max_depth(5);
    let walk = walk.into_iter().filter_map(Result::ok).filter(is_manifest);
    walk.filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max()
}

/// `ERL_COMPILER_OPTIONS`, `ELIXIR_ERL_OPTIONS`, `MIX_TARGET`, …: every switch of Mix and of the VM,
/// but those that only say where things are, what is printed, and how much runs at once.
fn changes_what_is_compiled(name: &str) -> bool {
    const NOT: [&str; 9] = [
        "ERL_EPMD_ADDRESS",
        "ERL_EPMD_PORT",
        "ERL_ROOTDIR",
        "MIX_ARCHIVES",
        "MIX_DEBUG",
        "MIX_ENV",
        "MIX_HOME",
        "MIX_QUIET",
        "MIX_REBAR3",
    ];
    let switch = name.starts_with("ERL_") || name.starts_with("MIX_");
    let aside = ["ERL_CRASH_DUMP", "MIX_INSTALL_", "MIX_OS_"];
    name == "ELIXIR_ERL_OPTIONS"
        || (switch && !NOT.contains(&name) && !aside.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_this_second_is_older_than_what_changes_now() {
        let second = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = SystemTime::now();
        assert!(second(a_second_after(Some(now))) > second(now));
        let before = SystemTime::now();
        let long_ago = now - Duration::from_mins(1);
        assert!(a_second_after(Some(long_ago)) < before + Duration::from_millis(500));
    }

    #[test]
    fn switches_of_compilers_are_in_the_key() {
        let names = [
            "ERL_COMPILER_OPTIONS",
            "ERL_CRASH_DUMP_SECONDS",
            "ELIXIR_ERL_OPTIONS",
            "MIX_TARGET",
            "MIX_HOME",
            "DATABASE_URL",
        ];
        let switches: Vec<&str> = names
            .into_iter()
            .filter(|name| changes_what_is_compiled(name))
            .collect();
        assert_eq!(
            switches,
            ["ERL_COMPILER_OPTIONS", "ELIXIR_ERL_OPTIONS", "MIX_TARGET"]
        );
    }
}

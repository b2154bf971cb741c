//! Restores compiled dependencies from the shared store, and adds those that this build compiled.
//!
//! The key of a dependency is a chain. It starts with the inputs known before compiling: the sources, the compilers,
//! the options, and the keys of the dependencies compiled before. The store's object for that key is either the
//! compiled dependency, or a list of further inputs that compiling it read: variables, config, modules that exist or
//! not. Their digests in this build continue the key. Compiling with the same inputs reads the same, so each chain
//! leads to one result ("constructive traces" in Build Systems à la Carte, Mokhov, Mitchell and Peyton Jones).

use crate::context::Context;
use crate::dependencies::mentions::Code;
use crate::dependencies::{Dependency, State};
use crate::shared_dependencies::candidate::Candidate;
use crate::shared_dependencies::reads::{
    COMPILER_OPTIONS, Inputs, Kind, Mac, Read, parse_config, sets,
};
use crate::shared_dependencies::{Entry, Statement, mix_exs, rebar};
use crate::steps::keys::{self, Otp};
use exec::log::StepLog;
use exec::progress::megabytes;
use exec::secrets;
use messages::Error;
use serde::{Deserialize, Serialize};
use shared_store::{Object, SharedStore};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;
use store::digest;
use workdir::leaked_secrets::Finders;

/// Increase this when the format of keys or entries changes.
const FORMAT: &str = "2";
/// The maximum number of links of a chain. Each link is another set of inputs.
const LONGEST_CHAIN: usize = 8;
/// The number of parallel requests.
const REQUESTS: usize = 8;

/// Opens the store that the app's config vars name.
pub(crate) fn open(ctx: &Context<'_>) -> Result<Option<SharedStore>, Error> {
    let settings = planning::shared_store_settings(&ctx.workspace.environment)?;
    Ok(settings.map(|settings| SharedStore::open(settings, ctx.cancel.flag())))
}

/// Returns the names of the user's variables whose values may be in the config.
pub(crate) fn secret_names(ctx: &Context<'_>) -> BTreeSet<String> {
    let secrets = secrets::uncacheable(&ctx.workspace.environment);
    secrets.into_iter().map(|secret| secret.name).collect()
}

/// The dependencies of this build, with their keys.
pub(crate) struct Shared<'a> {
    ctx: &'a Context<'a>,
    store: &'a SharedStore,
    inputs: Inputs<'a>,
    dependencies: BTreeMap<String, Candidate<'a>>,
    /// The digest of the inputs that all dependencies share.
    base: String,
    state: Mutex<Results>,
}

#[derive(Default)]
struct Results {
    /// The keys of dependencies whose compiled code is in the store, or could be.
    keys: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    bytes: u64,
    added: BTreeSet<String>,
    /// Config that compiling has set. Dependencies compiled later in the same VM may have read it.
    set: BTreeSet<String>,
    /// Dependencies that can't be shared, with the reason.
    not_shared: BTreeMap<String, String>,
}

/// The note with the keys of the dependencies in `_build`.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    /// The writers that the build trusted. Dependencies that use code of other writers must not be signed later.
    writers: String,
    keys: BTreeMap<String, NotedKey>,
}

/// The key of a compiled dependency in `_build`.
#[derive(Serialize, Deserialize)]
struct NotedKey {
    key: String,
    compiled: String,
}

impl<'a> Shared<'a> {
    /// `config` is the output of the task that lists dependencies.
    pub(crate) fn new(
        ctx: &'a Context<'a>,
        store: &'a SharedStore,
        mac: Mac<'a>,
        (list, code, undeclared): (&'a [Dependency], &[Code], &BTreeSet<(usize, usize)>),
        config: &str,
    ) -> Result<Option<Self>, Error> {
        // A VM always has some config. An empty file would make every value look absent.
        let Some(config) = parse_config(config).filter(|config| !config.is_empty()) else {
            return Ok(None);
        };
        let mut owners = BTreeMap::new();
        for (dependency, code) in list.iter().zip(code) {
            for module in &code.defined {
                owners
                    .entry(module.clone())
                    .or_insert(dependency.name.clone());
            }
        }
        let environment = &ctx.workspace.environment;
        let inputs = Inputs {
            env: &ctx.env,
            config_vars: environment
                .config_vars()
                .map(|(name, _)| name.to_owned())
                .collect(),
            config,
            owners,
            packages: list.iter().map(|one| one.name.clone()).collect(),
            folders: folders(ctx, list),
            roots: roots(ctx, list),
            tools: tools(ctx),
            mac,
        };
        let Some(options) = inputs.compiler_options() else {
            return Ok(None);
        };
        let base = base_key(ctx, mac, options)?;
        let shared = Self {
            ctx,
            store,
            inputs,
            dependencies: Candidate::of(list, undeclared),
            base,
            state: Mutex::default(),
        };
        shared.read_note();
        Ok(Some(shared))
    }

    fn lock(&self) -> MutexGuard<'_, Results> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restores dependencies from the store. Returns the names of those that are in `_build` now.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        let to_compile = self.dependencies.values();
        let to_compile = to_compile.filter(|candidate| candidate.dependency.is_to_compile());
        let mut waiting: Vec<&Candidate<'_>> = to_compile.collect();
        loop {
            // The dependencies before these have been looked up.
            let names: BTreeSet<String> =
                waiting.iter().map(|candidate| candidate.name()).collect();
            let is_ready = |candidate: &&Candidate<'_>| candidate.finds.is_disjoint(&names);
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
            if ready.is_empty() || self.ctx.cancel.is_cancelled() {
                break;
            }
            let queue = Mutex::new(ready.into_iter());
            std::thread::scope(|scope| {
                for _ in 0..REQUESTS {
                    scope.spawn(|| {
                        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        while let Some(candidate) = next() {
                            if self.may_be_there(candidate) {
                                self.take_one(candidate);
                            }
                        }
                    });
                }
            });
            waiting = later;
        }
        self.lock().taken.clone()
    }

    /// Whether every dependency that mentions it without depending on it is compiled, as it would be without a store.
    fn may_be_there(&self, candidate: &Candidate<'_>) -> bool {
        let state = self.lock();
        candidate.mentioned_by.iter().all(|name| {
            let other = self.dependencies.get(name);
            let is_compiled = |other: &Candidate<'_>| other.dependency.state == State::Compiled;
            state.taken.contains(name) || other.is_some_and(is_compiled)
        })
    }

    fn take_one(&self, candidate: &Candidate<'_>) {
        let dependency = candidate.dependency;
        if self.store.excepts(&dependency.name, &dependency.version) {
            return;
        }
        let Some(mut key) = self.first_key(candidate) else {
            return;
        };
        for _ in 0..LONGEST_CHAIN {
            let Some(object) = self.store.get(&key) else {
                return;
            };
            match serde_json::from_value(object.statement) {
                Ok(Statement::Reads(reads)) => match self.next_key(&key, &reads, candidate) {
                    Ok(next) => key = next,
                    Err(_) => return,
                },
                Ok(Statement::Compiled(entry)) => {
                    let archive = object.archive.unwrap_or_default();
                    if entry.restore(&archive, &dependency.build, &dependency.dir) {
                        let mut state = self.lock();
                        state.keys.insert(dependency.name.clone(), key);
                        state.taken.insert(dependency.name.clone());
                        state.bytes += archive.len() as u64;
                    }
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Returns the start of the chain. `None` if one of its own dependencies has no key.
    fn first_key(&self, candidate: &Candidate<'_>) -> Option<String> {
        let dependency = candidate.dependency;
        let variables = self.variables_of_mix_exs(candidate).ok()?;
        let state = self.lock();
        let found: Option<Vec<(&String, &String)>> = candidate
            .depends_on
            .iter()
            .map(|name| Some((name, state.keys.get(name)?)))
            .collect();
        let parts = (
            &self.base,
            &dependency.name,
            &dependency.version,
            &dependency.dir,
            &dependency.build,
            &dependency.manager,
            (self.inputs.mac)("options", dependency.options.as_bytes()),
            candidate.sources.as_ref()?.digest(),
            variables,
            found?,
        );
        Some(digest::sha256(&serde_json::to_vec(&parts).ok()?))
    }

    /// Returns the digests of the variables that its `mix.exs` reads when mix loads it, before tracing starts.
    fn variables_of_mix_exs(&self, candidate: &Candidate<'_>) -> Result<Vec<String>, String> {
        let text = fs::read_to_string(candidate.dependency.dir.join("mix.exs")).unwrap_or_default();
        let names = mix_exs::variables(&text)?.into_iter();
        let finds = self.keys_of_found(candidate);
        let value = |name| {
            let read = Read::variable(name);
            self.inputs.value(&read, candidate.reader(&finds))
        };
        names.map(value).collect()
    }

    /// Continues the chain with the values of the reads in this build.
    fn next_key(
        &self,
        key: &str,
        reads: &BTreeSet<Read>,
        candidate: &Candidate<'_>,
    ) -> Result<String, String> {
        let finds = self.keys_of_found(candidate);
        let value = |read| Ok((read, self.inputs.value(read, candidate.reader(&finds))?));
        let values: Result<Vec<(&Read, String)>, String> = reads.iter().map(value).collect();
        let parts = serde_json::to_vec(&(key, values?)).map_err(|error| error.to_string())?;
        Ok(digest::sha256(&parts))
    }

    /// Returns the keys of dependencies that are compiled before it and that it doesn't depend on.
    fn keys_of_found(&self, candidate: &Candidate<'_>) -> BTreeMap<String, String> {
        let state = self.lock();
        let others = candidate.finds.difference(&candidate.depends_on);
        let key = |name: &String| Some((name.clone(), state.keys.get(name)?.clone()));
        others.filter_map(key).collect()
    }

    /// Whether compiling has to be traced.
    pub(crate) fn adds(&self) -> bool {
        self.store.can_write()
    }

    /// Adds a dependency that this build compiled. `reads` is the output of the tracing task.
    pub(crate) fn add(&self, name: &str, reads: &str) {
        let Some(candidate) = self.dependencies.get(name) else {
            return;
        };
        let result = self.try_to_add(candidate, reads);
        self.lock().set.extend(sets(reads).map(str::to_owned));
        match result {
            Ok(true) => drop(self.lock().added.insert(name.to_owned())),
            Ok(false) => {}
            Err(reason) => drop(self.lock().not_shared.insert(name.to_owned(), reason)),
        }
    }

    /// Returns whether the dependency is in the store now.
    fn try_to_add(&self, candidate: &Candidate<'_>, reads: &str) -> Result<bool, String> {
        let dependency = candidate.dependency;
        if self.store.excepts(&dependency.name, &dependency.version) {
            return Err("excepted by MIXPACK_STORE_EXCEPT".to_owned());
        }
        if dependency.state == State::ToCompileAlone {
            return Err("runs make or a command".to_owned());
        }
        if dependency.manager == "rebar3" {
            rebar::check(&dependency.dir)?;
        }
        self.variables_of_mix_exs(candidate)?;
        let Some(mut key) = self.first_key(candidate) else {
            let state = self.lock();
            let other = candidate
                .depends_on
                .iter()
                .find(|name| !state.keys.contains_key(*name));
            let other = other.map_or("", String::as_str);
            return Err(format!("depends on {other}, which isn't in the store"));
        };
        if self.lock().set.contains(COMPILER_OPTIONS) {
            return Err("may have compiler options that another dependency sets".to_owned());
        }
        let finds = self.keys_of_found(candidate);
        let mut reads = self.inputs.parse(reads, candidate.reader(&finds))?;
        let is_set =
            |read: &&Read| read.kind == Kind::Config && self.lock().set.contains(&read.name);
        if let Some(read) = reads.iter().find(is_set) {
            let name = &read.name;
            return Err(format!(
                "reads the config {name}, which another dependency sets"
            ));
        }
        for _ in 0..LONGEST_CHAIN {
            let object = self.store.get(&key);
            let statement = object.and_then(|object| serde_json::from_value(object.statement).ok());
            match statement {
                Some(Statement::Reads(earlier)) => {
                    key = self.next_key(&key, &earlier, candidate)?;
                    reads = &reads - &earlier;
                }
                Some(Statement::Compiled(_)) if reads.is_empty() => {
                    self.lock().keys.insert(dependency.name.clone(), key);
                    return Ok(false);
                }
                Some(Statement::Compiled(_)) => {
                    let first = reads.first().map_or("", |read| &read.name);
                    return Err(format!("another build compiled it without reading {first}"));
                }
                None if reads.is_empty() => {
                    let (entry, archive) = self.pack(candidate)?;
                    let object = Object {
                        statement: to_value(&Statement::Compiled(entry))?,
                        archive: Some(archive),
                    };
                    let is_added = self.store.put(&key, &object);
                    self.lock().keys.insert(dependency.name.clone(), key);
                    return Ok(is_added);
                }
                None => {
                    let object = Object {
                        statement: to_value(&Statement::Reads(reads.clone()))?,
                        archive: None,
                    };
                    if !self.store.put(&key, &object) {
                        return Ok(false);
                    }
                    key = self.next_key(&key, &reads, candidate)?;
                    reads.clear();
                }
            }
        }
        Ok(false)
    }

    fn pack(&self, candidate: &Candidate<'_>) -> Result<(Entry, Vec<u8>), String> {
        let dependency = candidate.dependency;
        let sources = candidate.sources.as_ref();
        let sources = sources.ok_or("has sources that can't be read")?;
        let secrets = secrets::uncacheable(&self.ctx.workspace.environment);
        let finders = Finders::of(&secrets);
        let secret = |path: &Path, bytes: Vec<u8>| {
            let name = finders.find_first(path, bytes);
            name.map(str::to_owned)
        };
        Entry::pack(&dependency.build, &dependency.dir, sources, &secret)
    }

    /// Logs the restored and added dependencies, and saves the keys for the next build. Returns whether any were
    /// restored.
    pub(crate) fn finish(&self, log: &StepLog<'_>) -> bool {
        let state = self.lock();
        let mut compilation = self.ctx.compilation.state();
        compilation.taken.clone_from(&state.taken);
        drop(compilation);
        if let (bytes, 1..) = (state.bytes, state.taken.len()) {
            log.detail(&format!(
                "{} from the shared store, {}",
                dependencies(state.taken.len()),
                megabytes(bytes)
            ));
        }
        if !state.added.is_empty() {
            log.detail(&format!(
                "added {} to the shared store",
                dependencies(state.added.len())
            ));
        }
        for (name, reason) in &state.not_shared {
            log.detail(&format!("not in the shared store: {name} {reason}"));
        }
        if let Some(trouble) = self.store.trouble() {
            log.warning(&trouble);
        }
        let noted = |(name, key): (&String, &String)| {
            let compiled = compiled_at(self.dependencies.get(name)?.dependency)?;
            let key = key.clone();
            Some((name.clone(), NotedKey { key, compiled }))
        };
        let note = Note {
            writers: self.store.writers(),
            keys: state.keys.iter().filter_map(noted).collect(),
        };
        // Without the note, the next build doesn't find dependents of the compiled dependencies in the store.
        if let Ok(note) = serde_json::to_string(&note) {
            let store = self.ctx.workspace.store;
            let _ = store.write_note(&note_name(self.ctx), &note);
        }
        !state.taken.is_empty()
    }

    /// Reads the keys of compiled dependencies, if they haven't changed since the note was written.
    fn read_note(&self) {
        let note = self.ctx.workspace.store.read_note(&note_name(self.ctx));
        let note = note.and_then(|note| serde_json::from_str::<Note>(&note).ok());
        let note = note.filter(|note| note.writers == self.store.writers());
        let mut state = self.lock();
        for (name, noted) in note.unwrap_or_default().keys {
            let candidate = self.dependencies.get(&name);
            let dependency = candidate.map(|candidate| candidate.dependency);
            let dependency = dependency.filter(|one| {
                one.state == State::Compiled && !self.store.excepts(&one.name, &one.version)
            });
            if dependency.and_then(compiled_at) == Some(noted.compiled) {
                state.keys.insert(name, noted.key);
            }
        }
    }
}

/// `1 dependency`, `34 dependencies`.
pub(crate) fn dependencies(count: usize) -> String {
    match count {
        1 => "1 dependency".to_owned(),
        _ => format!("{count} dependencies"),
    }
}

fn to_value(statement: &Statement) -> Result<serde_json::Value, String> {
    serde_json::to_value(statement).map_err(|error| error.to_string())
}

fn note_name(ctx: &Context<'_>) -> String {
    keys::entry_name(ctx, "shared-keys")
}

/// Returns the time of a dependency's compiled code in seconds, the precision of cache archives, with a digest of its
/// resource file.
fn compiled_at(dependency: &Dependency) -> Option<String> {
    let resource = dependency
        .build
        .join(format!("ebin/{}.app", dependency.name));
    let modified = resource.metadata().ok()?.modified().ok()?;
    let seconds = modified.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(format!(
        "{seconds} {}",
        digest::short(&fs::read(resource).ok()?)
    ))
}

/// Returns a digest of the inputs that all dependencies of a build share.
fn base_key(ctx: &Context<'_>, mac: Mac<'_>, options: &str) -> Result<String, Error> {
    let mut key = keys::compiler_key(ctx, Otp::Installed)?;
    let target = &ctx.plan.target;
    for (name, value) in [
        ("format", FORMAT.to_owned()),
        ("stack", target.stack.clone()),
        ("architecture", target.arch.to_string()),
        ("MIX_ENV", ctx.plan.mix_env.value.clone()),
        (
            "working directory",
            ctx.app_dir.to_string_lossy().into_owned(),
        ),
        ("rebar3", rebar::digest(&mix_home(ctx))),
        (COMPILER_OPTIONS, options.to_owned()),
    ] {
        key.insert(name.to_owned(), value);
    }
    for (name, value) in &ctx.env {
        let Some(name) = name.to_str() else { continue };
        if keys::affects_compilation(name) || name == "HOME" {
            key.insert(name.to_owned(), mac(name, value.as_bytes()));
        }
    }
    let bytes = store::json::to_vec(&key, Path::new("key"))?;
    Ok(digest::sha256(&bytes))
}

fn mix_home(ctx: &Context<'_>) -> PathBuf {
    let home = ctx.env.get(OsStr::new("MIX_HOME"));
    home.map_or_else(
        || ctx.mix_path(&ctx.workspace.places.mix_home),
        PathBuf::from,
    )
}

/// Returns the directories of packages, both as mix names them and with links resolved.
fn folders(ctx: &Context<'_>, list: &[Dependency]) -> BTreeMap<PathBuf, String> {
    let mut folders = BTreeMap::new();
    for dependency in list {
        for folder in [&dependency.dir, &dependency.build] {
            for folder in names_of(ctx, folder) {
                folders.insert(folder, dependency.name.clone());
            }
        }
    }
    folders
}

fn roots(ctx: &Context<'_>, list: &[Dependency]) -> Vec<PathBuf> {
    let roots: BTreeSet<&Path> = list
        .iter()
        .flat_map(|dependency| [dependency.dir.parent(), dependency.build.parent()])
        .flatten()
        .collect();
    roots
        .into_iter()
        .flat_map(|root| names_of(ctx, root))
        .collect()
}

fn tools(ctx: &Context<'_>) -> Vec<PathBuf> {
    let places = &ctx.workspace.places;
    let installed = [&places.erlang, &places.elixir, &places.hex_home];
    let installed = installed.map(|place| ctx.mix_path(place));
    installed
        .into_iter()
        .chain([mix_home(ctx)])
        .flat_map(|tool| names_of(ctx, &tool))
        .collect()
}

/// Returns the names of a path: the one that mix uses, and the one with links resolved, since the runtime path links
/// to the app.
fn names_of(ctx: &Context<'_>, path: &Path) -> BTreeSet<PathBuf> {
    let inside = path.strip_prefix(&ctx.dir);
    let real = inside.map(|inside| ctx.workspace.app.join(inside));
    let names = [
        Some(path.to_owned()),
        real.ok(),
        fs::canonicalize(path).ok(),
    ];
    names.into_iter().flatten().collect()
}

//! Security advisories and retired packages, in builds in which Hex doesn't report them: those that
//! skip `mix deps.get`, and those with Hex before 2.5.
//!
//! The registry is queried at most once a day, on a separate thread. A build waits for the response for at most a
//! second after the request. The whole list of flagged releases is cached, so it also covers a lockfile that changes
//! during the day.

mod warning;

use crate::context::Context;
use crate::mix_info::Ignored;
use crate::project::Dependencies;
use app::facts::mix_lock::{self, Source};
use app::text_file;
use exec::environment::Environment;
use exec::log::Log;
use fetch::{Client, Settings};
use planning::cached_lists::now;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use store::json;
use toolchain::hex_registry::{HEXPM, Registry, RegistryError};
use versions::hex_registry::Findings;

const NOTE: &str = "advisories.json";
/// Seconds between two requests for the list.
const DAY: u64 = 24 * 3600;
/// The minimum time to wait for a response. Without it, builds that take a second would never get one.
const MIN_WAIT: Duration = Duration::from_secs(1);
/// The maximum number of releases whose details are requested. Each takes a request.
const MAX_LOOKUPS: usize = 20;

/// The registry's responses, cached for a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The registry's URL, without credentials.
    registry: String,
    /// Seconds since 1970.
    #[serde(rename = "asked_at")]
    requested_at: u64,
    /// Whether the last request failed. If so, the other fields are from an earlier request.
    failed: bool,
    /// The versions of each package that are retired or have advisories.
    flagged: BTreeMap<String, BTreeSet<String>>,
    /// Details of the flagged releases that the app uses.
    found: Vec<Found>,
}

/// A package of hex.pm in `mix.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Locked {
    package: String,
    version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    release: Locked,
    findings: Findings,
}

/// The check of one build. Without a request, it reports cached findings or nothing.
#[derive(Default)]
pub(crate) struct Check {
    locked: Vec<Locked>,
    /// From an earlier build, until this build has received a response.
    note: Note,
    request: Option<Request>,
}

/// A pending request.
struct Request {
    started: Instant,
    answer: Receiver<Result<Note, RegistryError>>,
    cancel: Arc<AtomicBool>,
}

impl Check {
    /// Starts the check. To be called when dependencies are in place.
    pub(crate) fn begin(
        ctx: &Context<'_>,
        installers: &BTreeMap<String, String>,
        deps: &Dependencies,
    ) -> Self {
        let hex = installers.get("hex");
        if deps.fetched && hex.is_some_and(|hex| reports_advisories(hex)) {
            return Self::default();
        }
        let registry = &ctx.hosts.registry;
        let note = ctx.workspace.store.read_note(NOTE);
        let before = Note::read(note.as_deref(), registry);
        let environment = &ctx.workspace.environment;
        Self::begin_with(environment, registry, before, locked_packages(ctx))
    }

    fn begin_with(environment: &Environment, url: &str, before: Note, locked: Vec<Locked>) -> Self {
        let is_set = |name| environment.get(name).is_some_and(|value| is_true(&value));
        let is_due = !locked.is_empty() && before.is_due(&locked, now());
        let verified = !is_set("HEX_UNSAFE_REGISTRY");
        let request = (is_due && !is_set("HEX_OFFLINE"))
            .then(|| Request::send(url, verified, &before, &locked));
        Self {
            locked,
            note: before,
            request: request.flatten(),
        }
    }

    /// Warns about flagged releases in use. To be called when every step has succeeded. Caches the registry's
    /// response for a day, if it has arrived.
    pub(crate) fn report(mut self, ctx: &Context<'_>, ignored: &Ignored) {
        if let Some(request) = self.request.take() {
            self.receive_answer(&request, ctx.log);
            // If the note can't be written, the next build sends a request again.
            if let Ok(note) = json::to_string(&self.note, NOTE) {
                let _ = ctx.workspace.store.write_note(NOTE, &note);
            }
        }
        let lines = self.lines(ignored);
        if !lines.is_empty() {
            ctx.log.warning(&lines);
        }
    }

    fn receive_answer(&mut self, request: &Request, log: &Log) {
        let remaining = MIN_WAIT.saturating_sub(request.started.elapsed());
        let answer = request.answer.recv_timeout(remaining);
        request.cancel.store(true, Ordering::Relaxed);
        let answer =
            answer.map_err(|_| "the registry didn't answer before the build ended".to_owned());
        match answer.and_then(|answer| answer.map_err(|error| error.to_string())) {
            Ok(note) => self.note = note,
            Err(why) => {
                // Warn once, until a request succeeds.
                if !self.note.failed {
                    log.warning(&warning::not_checked(&why));
                }
                self.note = std::mem::take(&mut self.note).with_failure(now());
            }
        }
    }

    /// Returns the warning about everything that the app doesn't ignore.
    fn lines(&self, ignored: &Ignored) -> Vec<String> {
        let is_used = |found: &&Found| self.locked.contains(&found.release);
        let in_use = self.note.found.iter().filter(is_used);
        let others = self.note.flagged(&self.locked).count();
        let others = others.saturating_sub(MAX_LOOKUPS);
        warning::lines(in_use, others, ignored)
    }
}

impl Request {
    /// `None` if no thread could be started.
    fn send(url: &str, verified: bool, before: &Note, locked: &[Locked]) -> Option<Self> {
        let cancel = Arc::<AtomicBool>::default();
        let client = Client::new(Settings {
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            attempts: 1,
            cancel: Arc::clone(&cancel),
            ..Settings::default()
        });
        let registry = Registry::new(client, url, verified);
        let (note, locked) = (before.clone(), locked.to_vec());
        let (send, answer) = mpsc::channel();
        // The thread is detached, since the build doesn't wait for it to end. The receiver may be gone by then.
        let thread = thread::Builder::new().spawn(move || {
            let _ = send.send(note.refresh(&registry, &locked, now()));
        });
        let started = Instant::now();
        thread.ok().map(|_| Self {
            started,
            answer,
            cancel,
        })
    }
}

impl Note {
    /// Reads the note of earlier builds. Discards one from another registry.
    fn read(note: Option<&str>, registry: &str) -> Self {
        let registry = fetch::redact(registry);
        let note = note.and_then(|note| serde_json::from_str::<Self>(note).ok());
        note.filter(|note| note.registry == registry)
            .unwrap_or_else(|| Self {
                registry,
                ..Self::default()
            })
    }

    /// Whether the list is less than 24 hours old.
    fn is_fresh(&self, now: u64) -> bool {
        now.checked_sub(self.requested_at)
            .is_some_and(|age| age < DAY)
    }

    fn is_due(&self, locked: &[Locked], now: u64) -> bool {
        !self.is_fresh(now) || !self.failed && self.unknown(locked).next().is_some()
    }

    fn flagged<'a>(&self, locked: &'a [Locked]) -> impl Iterator<Item = &'a Locked> {
        locked.iter().filter(|release| {
            let versions = self.flagged.get(&release.package);
            versions.is_some_and(|versions| versions.contains(&release.version))
        })
    }

    /// Releases in use whose details haven't been looked up yet.
    fn unknown<'a>(&self, locked: &'a [Locked]) -> impl Iterator<Item = &'a Locked> {
        let is_known = |release: &Locked| self.found.iter().any(|found| found.release == *release);
        let first = self.flagged(locked).take(MAX_LOOKUPS);
        first.filter(move |release| !is_known(release))
    }

    /// Requests what this note lacks from the registry.
    fn refresh(
        self,
        registry: &Registry,
        locked: &[Locked],
        now: u64,
    ) -> Result<Self, RegistryError> {
        let mut note = if self.is_fresh(now) && !self.failed {
            self
        } else {
            Self {
                registry: self.registry,
                requested_at: now,
                failed: false,
                flagged: registry.index()?.flagged,
                found: Vec::new(),
            }
        };
        let unknown: Vec<Locked> = note.unknown(locked).cloned().collect();
        for release in unknown {
            let findings = registry.findings(&release.package, &release.version)?;
            note.found.push(Found { release, findings });
        }
        Ok(note)
    }

    /// Records a failed request. The findings of earlier requests stay valid.
    fn with_failure(self, now: u64) -> Self {
        Self {
            requested_at: now,
            failed: true,
            ..self
        }
    }
}

/// The packages of hex.pm that the build uses. Packages only for development aren't in `deps`.
fn locked_packages(ctx: &Context<'_>) -> Vec<Locked> {
    let lock = ctx.workspace.real(&ctx.in_app("mix.lock"));
    let deps = ctx.workspace.real(&ctx.in_app("deps"));
    // MIX_DEPS_PATH may name another directory.
    let is_used = |app: &str| !deps.exists() || deps.join(app).exists();
    let lock = text_file::read(&lock).unwrap_or_default();
    let used = mix_lock::parse(&lock)
        .into_iter()
        .filter(|locked| is_used(&locked.app));
    used.filter_map(|locked| match locked.from {
        Source::Hex {
            package,
            version,
            repository,
            ..
        } if repository == HEXPM => Some(Locked { package, version }),
        _ => None,
    })
    .collect()
}

/// Whether `mix deps.get` of this Hex reports advisories. All versions report retired packages.
fn reports_advisories(hex: &str) -> bool {
    let mut numbers = hex
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (2, 5)
}

/// Parses a variable the way Hex does (`to_boolean` of lib/hex/state.ex).
fn is_true(value: &str) -> bool {
    ["1", "true", "TRUE"].contains(&value)
}

#[cfg(test)]
mod tests;

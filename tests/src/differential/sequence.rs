//! Runs sequences of steps, and finds a shorter one that still shows a difference.

use super::change::{Change, Failure, Step, steps};
use super::classic::Classic;
use super::compare::{differences, digested_files};
use super::host::Host;
use super::images::Images;
use super::platform::{Built, Platform};
use super::subject::Subject;
use crate::repository;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An incremental build that differs from a clean one.
#[derive(Debug)]
pub struct Found {
    /// The changes up to that build.
    pub steps: Vec<Step>,
    pub differences: Vec<String>,
    /// Of the incremental build.
    pub log: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = serde_json::to_string(&self.steps).expect("changes are JSON");
        writeln!(f, "after {steps}")?;
        for difference in self.differences.iter().take(20) {
            writeln!(f, "  {difference}")?;
        }
        let more = self.differences.len().saturating_sub(20);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        write!(f, "{}", self.log)
    }
}

/// Two executables that alternate, with one cache.
#[derive(Debug)]
pub struct Turns {
    /// Builds first, and at every other step; only its builds are compared with clean ones.
    pub tested: PathBuf,
    pub other: PathBuf,
    /// The path of the executable under test, to which the next one is copied.
    pub place: PathBuf,
}

impl Turns {
    /// Chooses the executable of the next build.
    pub fn take(&self, executable: &Path) {
        fs::copy(executable, &self.place).expect("an executable");
    }

    /// Whether the build of this step is compared.
    fn take_at(&self, step: usize) -> bool {
        let is_tested = step.is_multiple_of(2);
        self.take(if is_tested { &self.tested } else { &self.other });
        is_tested
    }
}

/// Runs the sequence of a seed, and compares each step with a clean build. Shortens a failing sequence for at most
/// `shorten`.
pub fn check(
    api: Api,
    seed: u64,
    count: usize,
    shorten: Duration,
    turns: Option<&Turns>,
) -> Result<(), Box<Found>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut tree = steps(count).new_tree(&mut runner).expect("a sequence");
    println!("seed {seed}");
    let Err(found) = run(api, &tree.current(), Compare::EachStep, turns) else {
        return Ok(());
    };
    println!("seed {seed}: {found}");
    let until = Instant::now() + shorten;
    let mut shortest = found;
    // Steps after a difference are not needed for it.
    while tree.current().len() > shortest.steps.len() && tree.simplify() {
        if tree.current().len() < shortest.steps.len() {
            tree.complicate();
        }
    }
    let mut more = tree.simplify();
    while more && Instant::now() < until {
        match run(api, &tree.current(), Compare::LastStep, turns) {
            Err(found) => {
                shortest = found;
                more = tree.simplify();
            }
            Ok(()) => more = tree.complicate(),
        }
    }
    Err(shortest)
}

/// A sequence as it was printed.
pub fn replay(api: Api, steps: &str, turns: Option<&Turns>) -> Result<(), Box<Found>> {
    let steps: Vec<Step> = serde_json::from_str(steps).expect("a sequence as it was printed");
    run(api, &steps, Compare::EachStep, turns)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    EachStep,
    LastStep,
}

/// The platform that builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Classic,
    /// Cloud Native, with `pack`: needs Docker.
    CloudNative,
}

impl Api {
    fn platform(self) -> Box<dyn Platform> {
        match self {
            Self::Classic => Box::new(Classic::new()),
            Self::CloudNative => Box::new(Images::new()),
        }
    }
}

fn run(
    api: Api,
    steps: &[Step],
    compare: Compare,
    turns: Option<&Turns>,
) -> Result<(), Box<Found>> {
    let [platform, clean] = [api.platform(), api.platform()];
    let source = platform.source().to_owned();
    let mut subject = Subject::new(source, Host::shared().second_commit.clone());
    let mut old_digests = BTreeSet::new();
    // The first build has no changes before it.
    let first = Step::new();
    let all: Vec<&Step> = std::iter::once(&first).chain(steps).collect();
    for (number, step) in all.iter().enumerate() {
        let is_last = number + 1 == all.len();
        let found = |differences: Vec<String>, log: String| {
            let steps = steps[..number].to_vec();
            Box::new(Found {
                steps,
                differences,
                log,
            })
        };
        for change in *step {
            subject.apply(change);
            disturb(&*platform, &mut subject, change)
                .map_err(|log| found(vec!["a build that should fail succeeds".to_owned()], log))?;
        }
        subject.push();
        let is_tested = turns.is_none_or(|turns| turns.take_at(number));
        let built = platform.deploy(&subject, &format!("incremental-{number}"));
        if !is_tested && !built.succeeded {
            return Err(found(
                vec!["the other executable fails".to_owned()],
                built.log,
            ));
        }
        if is_tested && (compare == Compare::EachStep || is_last) {
            let other = clean.deploy_clean(&subject, is_last);
            let json = serde_json::to_string(step).expect("changes are JSON");
            println!(
                "  {number}: {:.1?}, clean {:.1?}: {json}",
                built.took, other.took
            );
            let different = compared(&built, &other, &old_digests);
            if !different.is_empty() {
                return Err(found(different, built.log));
            }
            if is_last {
                let log = built.log.clone();
                let answers = [platform.answer(built), clean.answer(other)];
                if answers[0] != answers[1] || !answers[0].ends_with("\n[]") {
                    return Err(found(answers.to_vec(), log));
                }
                return Ok(());
            }
            clean.discard(other);
        }
        old_digests.extend(digested_files(&built.slug));
        platform.discard(built);
    }
    Ok(())
}

fn compared(built: &Built, clean: &Built, old_digests: &BTreeSet<PathBuf>) -> Vec<String> {
    match (built.succeeded, clean.succeeded) {
        (true, true) => differences(&built.slug, &clean.slug, old_digests),
        (true, false) => vec![format!("only the clean build fails:\n{}", clean.log)],
        (false, true) => vec!["only the incremental build fails".to_owned()],
        (false, false) => vec!["no build of this state succeeds".to_owned()],
    }
}

/// Applies a change of builds and caches, and reverts the source of a failing build afterwards. If that build
/// succeeds, the error is its log.
fn disturb(platform: &dyn Platform, subject: &mut Subject, change: &Change) -> Result<(), String> {
    let failure = match change {
        Change::MoveCache { times } => {
            platform.move_cache(*times);
            return Ok(());
        }
        Change::LoseCache => {
            platform.lose_cache();
            return Ok(());
        }
        Change::Fail(Failure::Killed { after_ms }) => {
            platform.kill(subject, Duration::from_millis((*after_ms).into()));
            return Ok(());
        }
        Change::Fail(failure) => failure,
        _ => return Ok(()),
    };
    let greeting = Path::new("lib/everything/greeting.ex");
    let append = |path: &str, text: &str| {
        let path = Path::new(path);
        let old = fs::read_to_string(subject.source.join(path)).expect("a file of the app");
        subject.write(path, &(old + text));
    };
    match failure {
        Failure::Compile => append("lib/everything/greeting.ex", "defmodule\n"),
        Failure::Assets => append("assets/js/app.js", "import \"./missing.js\"\n"),
        Failure::Hook | Failure::Killed { .. } => {
            append("elixir_buildpack.config", "hook_post_compile=false\n");
        }
    }
    let built = platform.deploy(subject, "failing");
    let (succeeded, log) = (built.succeeded, built.log.clone());
    platform.discard(built);
    let fixture = repository().join("fixtures/everything").join(greeting);
    subject.write(greeting, &fs::read_to_string(fixture).expect("the fixture"));
    subject.apply(change);
    if succeeded { Err(log) } else { Ok(()) }
}

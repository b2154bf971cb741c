//! The dependencies that `mix compile` would compile, and the order in which several VMs may compile them.
//!
//! A dependency is compiled after its own dependencies, as `Mix.Dep.Converger` sorts them. mix compiles one after the
//! other, so a package may also use modules of a package that it doesn't declare in `deps`, as in
//! `Code.ensure_loaded?(Jason)`. If one package [mentions](mentions) modules of another, the two are compiled in
//! mix's order here too.

pub(crate) mod mentions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A dependency of the project, as the task [`DEPENDENCIES_TASK`](crate::mix_info::DEPENDENCIES_TASK) writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The name of its OTP application.
    pub(crate) name: String,
    pub(crate) state: State,
    /// Its directory in `_build`.
    pub(crate) build: PathBuf,
    /// Its sources.
    pub(crate) dir: PathBuf,
    /// The names of its own dependencies.
    pub(crate) children: Vec<String>,
    /// The build tool: `mix`, `rebar3`.
    pub(crate) manager: String,
    /// The version of its package, or its git commit.
    pub(crate) version: String,
    /// A digest of its options in `mix.exs`.
    pub(crate) options: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In the app's repository. Left to mix.
    Local,
    Compiled,
    ToCompile,
    /// Has to be compiled while nothing else is.
    ToCompileAlone,
}

impl Dependency {
    pub(crate) fn is_to_compile(&self) -> bool {
        matches!(self.state, State::ToCompile | State::ToCompileAlone)
    }
}

/// Parses lines `NAME<TAB>STATE<TAB>BUILD<TAB>DIRECTORY<TAB>CHILD CHILD<TAB>MANAGER<TAB>VERSION<TAB>OPTIONS`, in mix's
/// order. `None` if one has another form.
pub(crate) fn parse(text: &str) -> Option<Vec<Dependency>> {
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        let state = match fields.next()? {
            "local" => State::Local,
            "compiled" => State::Compiled,
            "compile" => State::ToCompile,
            "alone" => State::ToCompileAlone,
            _ => return None,
        };
        Some(Dependency {
            name,
            state,
            build: fields.next()?.into(),
            dir: fields.next()?.into(),
            children: fields
                .next()?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            manager: fields.next()?.to_owned(),
            version: fields.next()?.to_owned(),
            options: fields.next()?.to_owned(),
        })
    };
    text.lines().map(line).collect()
}

/// Returns the positions of the dependencies to compile before each one: those it depends on, and the earlier ones in
/// its pairs of `mentions`.
fn before(
    dependencies: &[Dependency],
    mentions: &BTreeSet<(usize, usize)>,
) -> Vec<BTreeSet<usize>> {
    let positions: BTreeMap<&str, usize> = dependencies
        .iter()
        .enumerate()
        .map(|(at, dependency)| (dependency.name.as_str(), at))
        .collect();
    let before = |(at, dependency): (usize, &Dependency)| {
        let children = dependency.children.iter();
        let children = children.filter_map(|child| positions.get(child.as_str()).copied());
        let mentioned = mentions.iter().filter(|(_, later)| *later == at);
        children
            .filter(|child| *child < at)
            .chain(mentioned.map(|(earlier, _)| *earlier))
            .collect()
    };
    dependencies.iter().enumerate().map(before).collect()
}

/// Returns the transitive closure of [`before`].
fn below(before: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut below: Vec<BTreeSet<usize>> = Vec::new();
    for direct in before {
        let mut all = direct.clone();
        all.extend(direct.iter().flat_map(|other| &below[*other]));
        below.push(all);
    }
    below
}

/// Returns the names of the dependencies that are compiled before each one.
pub(crate) fn found(
    dependencies: &[Dependency],
    mentions: &BTreeSet<(usize, usize)>,
) -> Vec<BTreeSet<String>> {
    let name = |at: &usize| dependencies[*at].name.clone();
    let below = below(&before(dependencies, mentions));
    below
        .iter()
        .map(|positions| positions.iter().map(name).collect())
        .collect()
}

/// A queue of dependencies that are waiting, being compiled, or compiled.
pub(crate) struct Queue {
    jobs: Vec<Job>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) name: String,
    /// Its directory in `_build`.
    pub(crate) build: PathBuf,
    /// The dependencies that are compiled before it.
    pub(crate) finds: BTreeSet<String>,
    alone: bool,
    waits_for: BTreeSet<usize>,
    /// Seconds from its start to the end of the last dependency that waits for it.
    path: f64,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
    Done,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Compile(usize, Job),
    /// Wait for a dependency that is being compiled.
    Wait,
    Done,
}

impl Queue {
    /// `dependencies` are in mix's order. `mentions` has the pairs that have to keep this order. `seconds` estimates
    /// how long compiling a dependency takes.
    ///
    /// Dependencies that need a local one are not queued.
    pub(crate) fn new(
        dependencies: &[Dependency],
        mentions: &BTreeSet<(usize, usize)>,
        seconds: impl Fn(&Dependency) -> f64,
    ) -> Self {
        let before = before(dependencies, mentions);
        let below = below(&before);
        let mut jobs: Vec<Job> = Vec::new();
        // Position in `dependencies` -> in `jobs`.
        let mut scheduled: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, dependency) in dependencies.iter().enumerate() {
            let is_ready = |other: &usize| {
                scheduled.contains_key(other) || dependencies[*other].state == State::Compiled
            };
            if !dependency.is_to_compile() || !before[at].iter().all(is_ready) {
                continue;
            }
            let waits_for = before[at]
                .iter()
                .filter_map(|other| scheduled.get(other).copied());
            let waits_for = waits_for.collect();
            scheduled.insert(at, jobs.len());
            jobs.push(Job {
                name: dependency.name.clone(),
                build: dependency.build.clone(),
                finds: below[at]
                    .iter()
                    .map(|other| dependencies[*other].name.clone())
                    .collect(),
                alone: dependency.state == State::ToCompileAlone,
                waits_for,
                path: seconds(dependency),
                progress: Progress::Waiting,
            });
        }
        // A job waits only for earlier ones, so the later ones are done here.
        for at in (0..jobs.len()).rev() {
            let after = jobs.iter().filter(|job| job.waits_for.contains(&at));
            let longest = after.map(|job| job.path).fold(0.0, f64::max);
            jobs[at].path += longest;
        }
        Self { jobs }
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Returns the longest path, in seconds.
    pub(crate) fn longest_path(&self) -> f64 {
        self.jobs.iter().map(|job| job.path).fold(0.0, f64::max)
    }

    /// Returns the next job for an idle VM: the ready one with the longest path.
    pub(crate) fn next(&mut self) -> Next {
        let is = |job: &Job, progress| job.progress == progress;
        if self.jobs.iter().all(|job| is(job, Progress::Done)) {
            return Next::Done;
        }
        let running: Vec<&Job> = self
            .jobs
            .iter()
            .filter(|job| is(job, Progress::Running))
            .collect();
        let may_start = |job: &Job| {
            let compiled = |other: &usize| is(&self.jobs[*other], Progress::Done);
            let others = if job.alone {
                running.is_empty()
            } else {
                running.iter().all(|job| !job.alone)
            };
            is(job, Progress::Waiting) && others && job.waits_for.iter().all(compiled)
        };
        let ready = self
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| may_start(job));
        let best = ready.max_by(|(at, one), (after, other)| {
            // A job that has to run alone comes last, when the fewest others wait for it.
            let alone = other.alone.cmp(&one.alone);
            let path = one.path.total_cmp(&other.path);
            alone.then(path).then(after.cmp(at))
        });
        match best.map(|(at, _)| at) {
            Some(at) => {
                self.jobs[at].progress = Progress::Running;
                Next::Compile(at, self.jobs[at].clone())
            }
            None => Next::Wait,
        }
    }

    pub(crate) fn done(&mut self, at: usize) {
        self.jobs[at].progress = Progress::Done;
    }

    /// Drops the jobs that haven't started.
    pub(crate) fn abandon(&mut self) {
        for job in &mut self.jobs {
            if job.progress == Progress::Waiting {
                job.progress = Progress::Done;
            }
        }
    }

    /// Returns the jobs that are being compiled.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Job> {
        let jobs = self.jobs.iter();
        jobs.filter(|job| job.progress == Progress::Running)
    }
}

#[cfg(test)]
mod tests;

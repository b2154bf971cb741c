//! Filters the output of a tool that succeeds, down to actionable warnings and a line with the result. The
//! output of a tool that fails is printed in full.
//!
//! The output of the app's own commands (hooks, asset scripts, `assets.deploy`) is printed unfiltered.

use crate::Action;
use crate::log::StepLog;
use app::facts::Manager;
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of dependencies in a line.
const MAX_NAMES: usize = 6;
/// The hint about omitted lines.
const PRINTED: &str = "Set MIXPACK_VERBOSE=true to print them";
/// The hint about a dependency that reported a failure.
const RECOMPILE: &str = "A dependency reported a failure, see above. Later builds don't compile it again. To compile \
                         everything again, set MIXPACK_CLEAN_BUILD to a new value";

/// Whether a line is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Shown,
    Hidden,
}

/// Filters the output of one command.
pub struct OutputFilter {
    output: ToolOutput,
    shown: Vec<String>,
    /// The current activity of the command, in a word or two.
    at: Option<String>,
}

enum ToolOutput {
    Compile(Compile),
    Fetch {
        got: Vec<String>,
        /// Whether there was any output, which means that mix has checked dependencies.
        has_output: bool,
    },
    Digest,
    Release {
        created: bool,
    },
    Install {
        summary: Option<String>,
        warned: bool,
    },
    Machinery,
}

impl OutputFilter {
    /// Returns a filter for a command that Mixpack runs, and `None` for one of the app. `fetched` returns the
    /// OTP applications of dependencies outside the repository.
    pub fn of(action: &Action, fetched: impl FnOnce() -> BTreeSet<String>) -> Option<Self> {
        let output = match action {
            Action::Hook { .. }
            | Action::CustomScript { .. }
            | Action::AssetScript { .. }
            | Action::AssetsDeploy => return None,
            Action::Compile | Action::ProjectInfo => ToolOutput::Compile(Compile::new(fetched())),
            Action::Deps => ToolOutput::Fetch {
                got: Vec::new(),
                has_output: false,
            },
            Action::Digest => ToolOutput::Digest,
            Action::Release => ToolOutput::Release { created: false },
            Action::JsInstall {
                manager: Manager::Npm | Manager::Yarn | Manager::Pnpm | Manager::Bun,
                ..
            } => ToolOutput::Install {
                summary: None,
                warned: false,
            },
            Action::PackageManager { .. } | Action::Bower { .. } => ToolOutput::Machinery,
        };
        Some(Self {
            output,
            shown: Vec::new(),
            at: None,
        })
    }

    /// Takes the next line.
    pub fn take(&mut self, line: &str) {
        let visibility = match &mut self.output {
            ToolOutput::Compile(compile) => compile.take(line, &mut self.shown),
            ToolOutput::Fetch { got, has_output } => {
                *has_output = true;
                fetching(line, got)
            }
            ToolOutput::Digest => digesting(line),
            ToolOutput::Release { created } => releasing(line, created),
            ToolOutput::Install { summary, warned } => installing(line, summary, warned),
            ToolOutput::Machinery => Visibility::Hidden,
        };
        if visibility == Visibility::Shown {
            let blank = line.trim().is_empty();
            if !blank || self.shown.last().is_some_and(|last| !last.is_empty()) {
                self.shown.push(line.trim_end().to_owned());
            }
        }
        let at = match &self.output {
            ToolOutput::Compile(compile) => compile.at.clone(),
            _ => Some(line.trim().trim_start_matches("* ").to_owned()),
        };
        self.at = at.filter(|at| !at.is_empty()).or(self.at.take());
    }

    /// Returns the current activity of the command.
    #[must_use]
    pub fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// Prints the warnings and the result of a command that has succeeded.
    pub fn finish(mut self, log: &StepLog<'_>) {
        while self.shown.last().is_some_and(String::is_empty) {
            self.shown.pop();
        }
        for line in &self.shown {
            log.detail(line);
        }
        for line in self.summary() {
            log.detail(&line);
        }
    }

    fn summary(&self) -> Vec<String> {
        match &self.output {
            ToolOutput::Compile(compile) => compile.summary(),
            ToolOutput::Install { summary, warned } => {
                let mut lines: Vec<String> = summary.iter().cloned().collect();
                if *warned {
                    lines.push(format!("warnings omitted. {PRINTED}"));
                }
                lines
            }
            ToolOutput::Fetch {
                has_output: false, ..
            }
            | ToolOutput::Digest
            | ToolOutput::Release { .. }
            | ToolOutput::Machinery => Vec::new(),
            ToolOutput::Fetch { got, .. } if got.is_empty() => {
                vec!["dependencies are up to date".to_owned()]
            }
            ToolOutput::Fetch { got, .. } => vec![format!("fetched {}", dependencies(got))],
        }
    }
}

/// `2 dependencies: jason, phoenix`.
fn dependencies(names: &[String]) -> String {
    let noun = if names.len() == 1 {
        "dependency"
    } else {
        "dependencies"
    };
    format!("{} {noun}: {}", names.len(), first_names(names))
}

/// `jason, phoenix`, with the number of the others if there are many.
#[must_use]
pub fn first_names(names: &[String]) -> String {
    let (first, more) = match names.len().checked_sub(MAX_NAMES) {
        // A single further name is as short as `and 1 more`.
        None | Some(0 | 1) => (names, String::new()),
        Some(more) => (&names[..MAX_NAMES], format!(" and {more} more")),
    };
    first.join(", ") + &more
}

/// The output of `mix compile`, which compiles dependencies first (`Mix.Tasks.Deps.Compile`).
#[derive(Default)]
struct Compile {
    fetched: BTreeSet<String>,
    /// The current project of each VM. VMs that compile dependencies in parallel have a number
    /// (`Mix.Tasks.Deps.Partition`).
    projects: BTreeMap<Option<u32>, Project>,
    at: Option<String>,
    /// Compiled dependencies, in order.
    dependencies: Vec<String>,
    /// The number of compiled files of each of the app's own projects.
    own: Vec<(String, u32)>,
    warnings: u32,
    /// Whether a dependency reported a failure and went on.
    is_incomplete: bool,
}

#[derive(Default)]
struct Project {
    /// The name. Unknown for the root project until another one has been compiled.
    name: Option<String>,
    is_fetched: bool,
    /// Whether rebar3 compiles it. rebar3 doesn't print when it is done.
    by_rebar: bool,
    /// Its header, until one of its lines is shown.
    header: Option<String>,
}

impl Compile {
    fn new(fetched: BTreeSet<String>) -> Self {
        Self {
            fetched,
            ..Self::default()
        }
    }

    fn take(&mut self, line: &str, shown: &mut Vec<String>) -> Visibility {
        let (vm, line) = numbered(line);
        let project = self.projects.entry(vm).or_default();
        if let Some(name) = line.strip_prefix("==> ") {
            *project = Project {
                name: Some(name.to_owned()),
                is_fetched: self.fetched.contains(name),
                by_rebar: false,
                header: Some(line.to_owned()),
            };
            self.at = project.name.clone();
            return Visibility::Hidden;
        }
        if let Some(message) = line.strip_prefix("===> ") {
            if let Some(name) = message.strip_prefix("Compiling ") {
                *project = Project {
                    name: Some(name.to_owned()),
                    is_fetched: self.fetched.contains(name),
                    by_rebar: true,
                    header: None,
                };
                self.at = project.name.clone();
                let is_fetched = project.is_fetched;
                self.compiled(name, is_fetched, 0);
            }
            return Visibility::Hidden;
        }
        if let Some(files) = files(line) {
            if project.by_rebar {
                *project = Project::default();
            }
            let (name, is_fetched) = (project.name.clone(), project.is_fetched);
            self.compiled(name.as_deref().unwrap_or_default(), is_fetched, files);
            return Visibility::Hidden;
        }
        if let Some(name) = generated(line) {
            if project.name.is_none()
                && let Some((unnamed, _)) = self.own.iter_mut().find(|(name, _)| name.is_empty())
            {
                name.clone_into(unnamed);
            }
            // The app is generated without compiled files if a file was removed.
            let is_fetched = project.is_fetched;
            self.compiled(name, is_fetched, 0);
            return Visibility::Hidden;
        }
        if project.is_fetched {
            if is_warning(line) {
                self.warnings += 1;
            } else if is_failure(line) {
                shown.extend(project.header.take());
                shown.push(line.to_owned());
                self.is_incomplete = true;
            }
            return Visibility::Hidden;
        }
        if line.starts_with("Consolidated ") {
            return Visibility::Hidden;
        }
        if !line.trim().is_empty()
            && let Some(header) = project.header.take()
        {
            shown.push(header);
        }
        Visibility::Shown
    }

    fn compiled(&mut self, name: &str, is_fetched: bool, files: u32) {
        if is_fetched {
            if !self.dependencies.iter().any(|known| known == name) {
                self.dependencies.push(name.to_owned());
            }
        } else if let Some((_, all)) = self.own.iter_mut().find(|(known, _)| known == name) {
            *all += files;
        } else {
            self.own.push((name.to_owned(), files));
        }
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.dependencies.is_empty() {
            lines.push(format!("compiled {}", dependencies(&self.dependencies)));
        }
        if self.warnings > 0 {
            let noun = if self.warnings == 1 {
                "warning"
            } else {
                "warnings"
            };
            lines.push(format!(
                "{} {noun} in dependencies omitted. {PRINTED}",
                self.warnings
            ));
        }
        if self.is_incomplete {
            lines.push(RECOMPILE.to_owned());
        }
        for (name, files) in &self.own {
            let name = if name.is_empty() { "the app" } else { name };
            lines.push(match files {
                0 => format!("compiled {name}"),
                1 => format!("compiled {name}: 1 file"),
                _ => format!("compiled {name}: {files} files"),
            });
        }
        lines
    }
}

/// Returns the number of the VM, 1 for `1> Compiling 2 files (.ex)`, and the rest of the line.
fn numbered(line: &str) -> (Option<u32>, &str) {
    let numbered = line.split_once("> ");
    numbered
        .and_then(|(number, rest)| Some((Some(number.parse().ok()?), rest)))
        .unwrap_or((None, line))
}

/// Returns the number of files in `Compiling 12 files (.ex)`.
fn files(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("Compiling ")?.split_once(' ')?;
    rest.starts_with("file").then(|| number.parse().ok())?
}

/// Returns the app in `Generated my_app app`.
fn generated(line: &str) -> Option<&str> {
    line.strip_prefix("Generated ")?.strip_suffix(" app")
}

/// Whether a line is a warning: `warning: unused`, `src/a.erl:1:2: Warning: unused`.
fn is_warning(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("warning:") || line.contains(": Warning:") || line.contains(": warning:")
}

/// Filters the output of `mix deps.get`, which lists every package that it has checked.
fn fetching(line: &str, got: &mut Vec<String>) -> Visibility {
    const HIDDEN_LINES: [&str; 9] = [
        "Resolving Hex dependencies",
        "Resolution completed in ",
        "Unchanged:",
        "New:",
        "Upgraded:",
        "Downgraded:",
        "All dependencies are up to date",
        "All dependencies have been fetched",
        "A new Hex version is available",
    ];
    // Progress messages of git.
    const GIT_PROGRESS: [&str; 6] = [
        "remote: ",
        "origin/",
        "From ",
        " * ",
        "HEAD is now at ",
        "Switched to ",
    ];
    let of_a_dependency = ["* Getting ", "* Updating "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix));
    if let Some(name) = of_a_dependency.and_then(|rest| rest.split(' ').next()) {
        got.push(name.to_owned());
        return Visibility::Hidden;
    }
    if is_version(line) || usual(line, &GIT_PROGRESS) == Visibility::Hidden {
        return Visibility::Hidden;
    }
    usual(line, &HIDDEN_LINES)
}

/// Hides blank lines, and lines with the prefixes of a normal run.
fn usual(line: &str, begins: &[&str]) -> Visibility {
    if line.trim().is_empty() || begins.iter().any(|begin| line.starts_with(begin)) {
        Visibility::Hidden
    } else {
        Visibility::Shown
    }
}

/// Whether a line is ` jason 1.4.4` or ` jason 1.4.3 => 1.4.4`, without a suffix such as `RETIRED!`.
fn is_version(line: &str) -> bool {
    let words: Vec<&str> = match line.strip_prefix("  ") {
        Some(rest) if !rest.starts_with(' ') => rest.split_whitespace().collect(),
        _ => return false,
    };
    let version = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    match words.as_slice() {
        [_, now] => version(now),
        [_, before, "=>", now] => version(before) && version(now),
        _ => false,
    }
}

/// Filters the output of `mix phx.digest` and `mix phx.digest.clean`, in an umbrella for each app.
fn digesting(line: &str) -> Visibility {
    usual(
        line,
        &[
            "Check your digested files at ",
            "Clean complete for ",
            "==> ",
        ],
    )
}

/// Filters the output of `mix release`, which ends with instructions to start the release (`Mix.Tasks.Release`).
fn releasing(line: &str, created: &mut bool) -> Visibility {
    if *created {
        return Visibility::Hidden;
    }
    if line.starts_with("Release ") && line.contains("created at ") {
        *created = true;
        return Visibility::Shown;
    }
    usual(line, &["* assembling ", "* using ", "* skipping "])
}

/// Filters the output of npm, yarn, pnpm or bun. Most of their warnings are about indirect dependencies: deprecated
/// packages, missing peers.
fn installing(line: &str, summary: &mut Option<String>, warned: &mut bool) -> Visibility {
    // Warnings that can explain a failure of the next step: a package requires another Node.js, or its script wasn't
    // run.
    const SHOWN_PREFIXES: [&str; 5] = [
        "ebadengine",
        "unsupported engine",
        "is incompatible with",
        "ignored build scripts",
        "blocked ",
    ];
    let words = line.trim();
    let lower = words.to_ascii_lowercase();
    if SHOWN_PREFIXES.iter().any(|shown| lower.contains(shown)) {
        return Visibility::Shown;
    }
    let is_sum = lower.starts_with("added ")
        || lower.starts_with("packages: +")
        || lower.contains(" packages installed");
    if is_sum {
        *summary = Some(words.to_owned());
    }
    // The last lines of npm and yarn 1, of pnpm, and of newer versions of yarn.
    let begins = ["npm warn", "warning ", "warn "];
    *warned |= begins.iter().any(|mark| lower.starts_with(mark)) || lower.contains("with warnings");
    Visibility::Hidden
}

#[cfg(test)]
mod tests;

/// Whether a line reports a failure that doesn't fail the build, such as `AppSignal installation failed: ...` for a
/// download. Lines of compilers' messages are indented.
fn is_failure(line: &str) -> bool {
    let text = line.to_lowercase();
    let failures = [
        "installation failed",
        "failed to ",
        "could not ",
        "couldn't ",
    ];
    !line.starts_with(' ') && failures.iter().any(|failure| text.contains(failure))
}

//! The catalogue of errors: the message for each, with its cause and the next action.
//!
//! All matches are exhaustive: an error without a message doesn't compile.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod boot;
mod commands;
mod config_file;
mod error;
mod failed_command;
mod fetch_failures;
mod known_failures;
mod requests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod version;
mod wording;

pub use boot::BootFault;
pub use wording::{Activity, Platform, Wording};

pub use error::{Error, SearchedList};
use exec::log::Log;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The app, its files or its settings.
    User,
    /// A host of a download.
    Upstream,
    /// The machine, or Mixpack itself.
    Machine,
}

/// An error as the user reads it.
///
/// Paragraphs of `cause` and `cure` are wrapped when printed, except those that start with two spaces: commands and
/// quoted output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The code. It is stable, so that users can search for it.
    pub code: &'static str,
    pub fault: Fault,
    /// The failure, as one sentence without a full stop.
    pub title: String,
    /// The cause, and its place.
    pub cause: Vec<String>,
    /// The next action.
    pub cure: Vec<String>,
    activity: Activity,
}

/// The page with a section for each code. When the repository has a public URL, the page's URL belongs here, and
/// nowhere else.
const CATALOGUE: &str = "docs/errors.md";

/// The columns of a line. With the prefix `remote: ! `, it fits on a usual terminal.
const WIDTH: usize = 90;

impl Explanation {
    fn user(code: &'static str, title: impl Into<String>) -> Self {
        Self {
            code,
            fault: Fault::User,
            title: title.into(),
            cause: Vec::new(),
            cure: Vec::new(),
            activity: Activity::default(),
        }
    }

    fn upstream(code: &'static str, title: impl Into<String>) -> Self {
        Self {
            fault: Fault::Upstream,
            ..Self::user(code, title)
        }
    }

    fn machine(code: &'static str, title: impl Into<String>) -> Self {
        Self {
            fault: Fault::Machine,
            ..Self::user(code, title)
        }
    }

    fn because(mut self, paragraph: impl Into<String>) -> Self {
        self.cause.push(paragraph.into());
        self
    }

    fn because_all(mut self, paragraphs: impl IntoIterator<Item = String>) -> Self {
        self.cause.extend(paragraphs);
        self
    }

    /// Removes the cause, for an error that shares everything else with another one.
    fn without_cause(self) -> Self {
        Self {
            cause: Vec::new(),
            ..self
        }
    }

    /// Adds an action as a paragraph.
    fn so(mut self, paragraph: impl Into<String>) -> Self {
        self.cure.push(paragraph.into());
        self
    }

    /// Adds a command to type.
    fn typing(mut self, command: impl AsRef<str>) -> Self {
        self.cure.push(format!("  {}", command.as_ref()));
        self
    }

    /// Hides the log's secrets. Must run before [`lines`](Self::lines), which may break a secret in two.
    #[must_use]
    pub fn without_secrets(mut self, log: &Log) -> Self {
        let texts = self.cause.iter_mut().chain(&mut self.cure);
        for text in texts.chain([&mut self.title]) {
            *text = log.without_secrets(text);
        }
        self
    }

    /// Returns the lines of the log: title, cause, cure, code, the page that describes the code, and the command that
    /// shows its section. The page comes first, since not every user has the command.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = wrapped(&format!("{}: {}", self.heading(), self.title));
        for part in [&self.cause, &self.cure] {
            if !part.is_empty() {
                lines.push(String::new());
                lines.extend(part.iter().flat_map(|paragraph| wrapped(paragraph)));
            }
        }
        if self.fault == Fault::Upstream && self.activity == Activity::Build {
            lines.push("The build cache was not changed.".to_owned());
        }
        lines.push(String::new());
        lines.push(format!("Error code: {}", self.code));
        lines.push(format!(
            "See {CATALOGUE}#{} in the buildpack's repository, or run:",
            self.code
        ));
        lines.push(format!("  mixpack explain {}", self.code));
        lines
    }
}

/// The maximum length of a word that is shown in full. Some files of several megabytes are a single word.
const MAX_WORD: usize = 1000;

/// Wraps a paragraph at [`WIDTH`] columns. A longer word gets its own line.
fn wrapped(paragraph: &str) -> Vec<String> {
    if paragraph.starts_with("  ") {
        return vec![paragraph.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        let word = match word.char_indices().nth(MAX_WORD) {
            Some((at, _)) => &format!("{}…", &word[..at]),
            None => word,
        };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Explains an error in the words of a build on Heroku.
#[must_use]
pub fn explain(error: &Error) -> Explanation {
    Wording::default().explain(error)
}

impl Wording {
    /// Explains an error.
    #[must_use]
    pub fn explain(&self, error: &Error) -> Explanation {
        Explanation {
            activity: self.activity(),
            ..explained(error, self)
        }
    }
}

fn explained(error: &Error, words: &Wording) -> Explanation {
    match error {
        Error::Read(error) => requests::read(error, words),
        Error::Plan(error) => requests::plan(error, words),
        Error::NotListed { error, searched } => requests::not_listed(error, searched, words),
        Error::Target(error) => requests::target(error, words),
        Error::Architecture(name) => Explanation::machine(
            "architecture-not-supported",
            format!("the architecture {name} is not supported"),
        )
        .because("Erlang and Node.js are only built for amd64 (x86_64) and arm64 (aarch64).")
        .so("Build on a machine with one of these architectures."),
        Error::EnvDir { path, source } => {
            let vars = words.config_vars();
            Explanation::machine("config-vars-unreadable", format!("could not read the {vars}"))
                .because(format!("{}: {source}", path.display()))
                .so(format!("Make that directory readable for the build user. The platform creates it (ENV_DIR), with one file per {}.", words.config_var()))
        }
        Error::ConfigFile {
            file,
            line,
            construct,
            syntax_error,
            status,
            output,
        } => config_file::evaluation_failed(
            (file, *line, construct),
            syntax_error.as_ref(),
            status,
            output,
        ),
        Error::ConfigCommand {
            file,
            line,
            written,
            is_last,
            status,
            output,
        } => config_file::command_failed((file, *line, written), *is_last, status, output),
        Error::Toolchain(error) => fetch_failures::toolchain(error, words),
        Error::Command { action, source } => commands::command(action, source, words),
        Error::WhichRelease { names, origin } => requests::which_release(names, origin),
        Error::NoSuchInstaller {
            name,
            requested,
            elixir,
            newest,
        } => requests::no_such_installer(name, requested, elixir, newest),
        Error::DistilleryReleaseMissing { rel, config } => {
            requests::distillery_release_missing(rel, config)
        }
        Error::ReleaseMissing {
            name,
            path,
            mix_exs,
        } => requests::release_missing(name, path, mix_exs),
        Error::ManagerHash {
            spec,
            origin,
            algorithm,
            expected,
            found,
        } => requests::manager_hash(spec, &words.origin(origin), algorithm, expected, found),
        Error::OutsideApp { place, to } => requests::outside_app(place, to),
        Error::SharedStore {
            variable,
            problem,
            fix,
        } => requests::shared_store(variable, problem, fix, words),
        Error::Boot(fault) => boot::explain(fault, words),
        Error::Tree(error) => file_system(error.to_string()),
        Error::Cancelled => cancelled(),
    }
}

fn cancelled() -> Explanation {
    Explanation::machine("cancelled", "it was interrupted")
        .because("A signal stopped it: from the platform, from a time limit, or from the keyboard.")
        .so("Start it again. The build cache is intact.")
}

fn file_system(problem: String) -> Explanation {
    Explanation::machine("file-system", "could not read or write a file")
        .because(problem)
        .so("Check that the disk isn't full, and that the build user owns that directory.")
}

/// `25, 26 and 27`.
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Returns the lines of a tool's text, indented.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("  {}", line.trim_end()))
}

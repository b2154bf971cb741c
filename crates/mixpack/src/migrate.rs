//! `mixpack migrate [--write] [--url URL] DIR`.

use crate::paragraph::wrap;
use crate::platform::{BUILDPACK_DIR, in_color, print_text, process_env, stopped};
use app::facts::shell_config::{self, Outcome};
use app::facts::{ConfigFile, buildpacks};
use app::plan::{self, PlanError};
use app::{Facts, Plan, text_file};
use exec::cancel::Cancel;
use exec::environment::Environment;
use exec::log::{Log, Style};
use fetch::{Client, Settings};
use messages::{Error, Fault, Wording};
use migrate::{Commands, Edited, File, Migration, Note};
use pipeline::hide_secrets;
use planning::Platform;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use toolchain::Hosts;
use walkdir::WalkDir;

/// The placeholder for an unknown URL.
const PLACEHOLDER: &str = "https://github.com/<owner>/mixpack";
/// Directories without files of the app itself.
const NOT_OWN: [&str; 6] = [
    ".git",
    "_build",
    "deps",
    "node_modules",
    "vendor",
    ".elixir_ls",
];
/// The maximum size of a file, in bytes. Larger files don't mention buildpacks.
const MAX_SIZE: u64 = 1 << 20;

/// The arguments of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    dir: PathBuf,
    write: bool,
    url: Option<String>,
}

impl Call {
    /// Parses the arguments. `None` if they are invalid.
    pub(crate) fn parse(args: &[OsString]) -> Option<Self> {
        let mut call = Self::default();
        let mut dirs = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--write") => call.write = true,
                Some("--url") => call.url = Some(args.next()?.to_str()?.to_owned()),
                Some(option) if option.starts_with("--") => {
                    call.url = Some(option.strip_prefix("--url=")?.to_owned());
                }
                _ => dirs.push(PathBuf::from(arg)),
            }
        }
        let [dir] = &dirs[..] else {
            return None;
        };
        call.dir.clone_from(dir);
        Some(call)
    }
}

pub(crate) fn migrate(call: &Call) -> ExitCode {
    let dir = &call.dir;
    if !dir.is_dir() {
        eprintln!("mixpack: {} is not a directory", dir.display());
        return ExitCode::from(2);
    }
    let known_url = call.url.clone().or_else(own_url);
    let url = known_url.as_deref().unwrap_or(PLACEHOLDER);
    let mut unread = Vec::new();
    let files = files(dir, &mut unread);
    let mut migration = migrate::migrate(&files, url);
    migration.notes.extend(unread);
    let cancel = Cancel::on_signals().unwrap_or_default();
    let planned = plan(dir, &files, &mut migration, &cancel);
    if cancel.signal().is_some() {
        return stopped(&cancel);
    }
    print_text(&report(&migration));
    let writes = call.write && !migration.edited.is_empty();
    if writes && let Err(problem) = write(dir, &migration.edited, known_url.is_some()) {
        let mut text = String::new();
        wrap(&mut text, "", &format!("Nothing was written: {problem}"));
        eprint!("{text}");
        return ExitCode::FAILURE;
    }
    let code = ExitCode::from(u8::from(planned.is_err()));
    match planned {
        Ok(sentence) => {
            let mut text = String::new();
            wrap(&mut text, "", &sentence);
            text.push('\n');
            print_text(&text);
        }
        Err(lines) => Log::to_stdio(false, Style::Arrows).error(&lines),
    }
    print_text(&outcome(&migration, known_url.is_some(), writes));
    let commands = migrate::commands(&files, &migration.edited, url);
    print_text(&for_platforms(&commands));
    code
}

/// Mixpack's URL: the remote that this executable's repository was cloned from.
fn own_url() -> Option<String> {
    let dir = PathBuf::from(std::env::var_os(BUILDPACK_DIR)?);
    let config = text_file::read(&dir.join(".git/config")).ok()?;
    let origin = config.split("[remote \"origin\"]").nth(1)?;
    let mut lines = origin
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let url = lines.find_map(|line| line.trim().strip_prefix("url = "))?;
    // A platform has no ssh key or password.
    let url = match url
        .strip_prefix("git@")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((host, path)) => format!("https://{host}/{path}"),
        None => url.to_owned(),
    };
    (url.starts_with("https://") && !url.contains('@')).then_some(url)
}

/// Reads the files of the app that may mention the old buildpacks, by path.
fn files(dir: &Path, notes: &mut Vec<Note>) -> Vec<File> {
    let walk = WalkDir::new(dir).sort_by_file_name().into_iter();
    let is_own = |name: &std::ffi::OsStr| !NOT_OWN.iter().any(|other| name == *other);
    let mut files = Vec::new();
    for entry in walk
        .filter_entry(|entry| entry.depth() == 0 || is_own(entry.file_name()))
        .flatten()
    {
        let path = entry.path().strip_prefix(dir).ok().and_then(Path::to_str);
        let Some(path) = path.filter(|path| migrate::is_read(path)) else {
            continue;
        };
        if entry.file_type().is_dir() || entry.metadata().is_ok_and(|data| data.len() > MAX_SIZE) {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let path = path.to_owned();
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|_| entry.file_type().is_file());
        if let Some(text) = text {
            files.push(File { path, text });
        } else if [migrate::APP_JSON, buildpacks::FILE].contains(&&*path) {
            notes.push(Note {
                place: path,
                text: "This is a link, or isn't UTF-8, so it wasn't read.".to_owned(),
            });
        }
    }
    files
}

/// Returns the diff and the notes.
fn report(migration: &Migration) -> String {
    let in_color = in_color();
    let mut text = String::new();
    for edited in &migration.edited {
        text.push_str(&migrate::diff(edited, in_color));
        text.push('\n');
    }
    if !migration.notes.is_empty() {
        text.push_str("Left to you:\n\n");
        for Note { place, text: note } in &migration.notes {
            let _ = writeln!(text, "{place}");
            wrap(&mut text, "    ", note);
        }
        text.push('\n');
    }
    text
}

/// Returns the result.
fn outcome(migration: &Migration, knows_url: bool, is_written: bool) -> String {
    let names: Vec<&str> = migration
        .edited
        .iter()
        .map(|edited| edited.path.as_str())
        .collect();
    let names = names.join(", ");
    let done = match (names.is_empty(), is_written) {
        (true, _) => "No file has to change.".to_owned(),
        (false, true) => format!("Changed: {names}"),
        (false, false) if knows_url => {
            format!("Not changed yet: {names}. Add --write to make these changes.")
        }
        (false, false) => format!(
            "Not changed yet: {names}. Add --write to make these changes, and --url with the URL of Mixpack's repository."
        ),
    };
    let mut text = String::new();
    wrap(&mut text, "", &done);
    text
}

/// Returns the commands to type.
fn for_platforms(commands: &[Commands]) -> String {
    let mut text = String::new();
    for commands in commands {
        let platform = commands.platform.as_str();
        let parts = [
            (format!("On {platform}:"), &commands.forward),
            (format!("To go back on {platform}:"), &commands.back),
        ];
        for (heading, lines) in parts {
            let _ = write!(text, "\n{heading}\n\n");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    text
}

/// Writes all files, or none: writes temporary files next to them first, then renames all.
fn write(dir: &Path, edited: &[Edited], knows_url: bool) -> Result<(), String> {
    if !knows_url {
        return Err(format!(
            "Mixpack's URL isn't known. Add --url with the URL of its repository, which {PLACEHOLDER} stands for above."
        ));
    }
    let changed = uncommitted(dir, edited);
    if !changed.is_empty() {
        return Err(format!(
            "there are uncommitted changes in {}. Commit them first, so that you can go back.",
            changed.join(", ")
        ));
    }
    let written: Result<Vec<_>, _> = edited
        .iter()
        .map(|edited| beside(&dir.join(&edited.path), &edited.new))
        .collect();
    let mut written = written
        .map_err(|error| error.to_string())?
        .into_iter()
        .zip(edited);
    let mut done: Vec<&Edited> = Vec::new();
    let failed = written.find_map(|(file, edited)| {
        let renamed = file.persist(dir.join(&edited.path));
        done.push(edited);
        renamed
            .err()
            .map(|error| format!("{}: {}", edited.path, error.error))
    });
    let Some(failed) = failed else {
        return Ok(());
    };
    // The last one has failed.
    for edited in &done[..done.len() - 1] {
        let restored = std::fs::write(dir.join(&edited.path), &edited.old);
        restored
            .map_err(|error| format!("{failed}. {} could not be restored: {error}", edited.path))?;
    }
    Err(failed)
}

/// Writes a text to a new file in the same directory, with the same permissions.
fn beside(path: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new()
        .prefix(".mixpack-")
        .tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Returns the files with uncommitted changes. None outside a repository, or without git.
fn uncommitted<'a>(dir: &Path, edited: &'a [Edited]) -> Vec<&'a str> {
    let is_changed = |edited: &&Edited| {
        let mut git = Command::new("git");
        // The repository's configuration could make `status` start a program.
        git.args([
            "-c",
            "core.fsmonitor=false",
            "status",
            "--porcelain",
            "--ignored",
            "--",
        ]);
        let output = git
            .arg(&edited.path)
            .current_dir(dir)
            .stderr(Stdio::null())
            .output();
        output.is_ok_and(|output| !output.stdout.is_empty())
    };
    edited
        .iter()
        .filter(is_changed)
        .map(|edited| edited.path.as_str())
        .collect()
}

/// Plans the migrated app. Returns a sentence, or the lines of an error that requires a change of the app. If its
/// versions aren't built for the stack, adds an edit to the migration that requests the nearest ones.
fn plan(
    dir: &Path,
    files: &[File],
    migration: &mut Migration,
    cancel: &Cancel,
) -> Result<String, Vec<String>> {
    let mut process = process_env();
    let stack = || doctor::stack(dir).into();
    process.entry("STACK".into()).or_insert_with(stack);
    let environment = Environment::new(process, exec::command::Env::new());
    let log = Log::to_stdio(false, Style::Arrows);
    let hosts = Hosts::new(&|name| environment.get(name));
    hide_secrets(&log, &environment, &hosts);
    let request = planning::Request {
        app: dir,
        environment: &environment,
        client: &Client::new(Settings {
            cancel: cancel.flag(),
            ..Settings::default()
        }),
        hosts: &hosts,
        last: None,
        store: None,
        platform: &Platform {
            executes_nothing: true,
            ..Platform::default()
        },
        observer: &(),
        cancel,
    };
    let words = Wording::new(messages::Platform::Local, &environment).for_a_plan();
    let explain = |error: &Error| words.explain(error).without_secrets(&log);
    let planned = planning::read(&request).and_then(|mut facts| {
        let list = migration
            .edited
            .iter()
            .find(|edited| edited.path == buildpacks::FILE);
        if let Some(list) = list {
            facts.later_static = buildpacks::later_static(&list.new);
        }
        let error = match planning::plan_with(request, facts.clone()) {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let Some((edited, note)) = other_versions(files, &facts, &error, &explain(&error)) else {
            return Err(error);
        };
        if let Outcome::Plain(config) = shell_config::parse(&edited.new) {
            facts.elixir_config = ConfigFile::Values(config.assignments);
        }
        // Notes about the versions that are replaced.
        let is_about_version = |note: &Note| note.text.starts_with("erlang_version=");
        migration.notes.retain(|note| !is_about_version(note));
        migration.edited.push(edited);
        migration.notes.push(note);
        planning::plan_with(request, facts)
    });
    match planned {
        Ok(plan) => Ok(can_build(&plan)),
        Err(error) => {
            let explanation = explain(&error);
            if explanation.fault == Fault::User {
                return Err(explanation.lines());
            }
            let (title, code) = (&explanation.title, explanation.code);
            Ok(format!(
                "Whether Mixpack can build the app was not checked: {title} ({code})."
            ))
        }
    }
}

fn can_build(plan: &Plan) -> String {
    let tools: Vec<String> = plan
        .tools()
        .map(|tool| format!("{} {}", tool.name, tool.version))
        .collect();
    format!(
        "Mixpack can build the app for {}: {}. `mixpack plan` shows the steps, and `mixpack doctor` possible problems.",
        plan.target.stack,
        tools.join(", ")
    )
}

/// Returns the edit of `elixir_buildpack.config` that requests the nearest versions, after a plan failed.
fn other_versions(
    files: &[File],
    facts: &Facts,
    error: &Error,
    explanation: &messages::Explanation,
) -> Option<(Edited, Note)> {
    let (Error::Plan(error) | Error::NotListed { error, .. }) = error else {
        return None;
    };
    let PlanError::Version {
        suggestion: Some(suggestion),
        ..
    } = error
    else {
        return None;
    };
    let [
        plan::Edit::File {
            path,
            numbers,
            lines,
        },
    ] = &suggestion.edits[..]
    else {
        return None;
    };
    let is_alone = suggestion.conflicts.is_empty() && *path == facts.elixir_config_path;
    let file = files
        .iter()
        .find(|file| file.path == *path)
        .filter(|_| is_alone)?;
    let edited = migrate::with_assignments(file, numbers, lines)?;
    let title = &explanation.title;
    let note = Note {
        place: format!("{path}:{}", numbers.first()?),
        text: format!(
            "{title}, so the lines now request the nearest versions. Try the app's tests with them. If the app stays on another stack, set STACK to its name, and run `mixpack migrate` again."
        ),
    };
    Some((edited, note))
}

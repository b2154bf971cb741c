//! `mixpack build` and `mixpack run`: builds and runs a slug on the user's machine, like on Heroku.
//!
//! The app is copied as a push would send it, and the slug runs in its build directory, so `/app` isn't used.

use crate::env_file::EnvFile;
use crate::platform::{print_text, process_env, run_build};
use app::facts::Procfile;
use app::text_file;
use exec::command::Env;
use heroku::compile::Compile;
use planning::record::Record;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use store::tree::{self, Method};

/// Files that a push wouldn't send, for an app without git.
const UNPUSHED: [&str; 6] = [
    ".git",
    "_build",
    "deps",
    "node_modules",
    ".elixir_ls",
    ".env",
];

/// The directories of an app: `slug`, `cache`, `env`.
struct Home(PathBuf);

impl Home {
    /// In the user's cache directory, named after the app's directory and a digest of its path.
    fn of(app: &Path) -> Result<Self, String> {
        let app = std::fs::canonicalize(app).map_err(|e| format!("{}: {e}", app.display()))?;
        let caches = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
            .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
        let digest = Sha256::digest(app.as_os_str().as_encoded_bytes());
        let short = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        let name = app.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self(
            caches.join("mixpack").join(format!("{name}-{short:08x}")),
        ))
    }

    fn slug(&self) -> PathBuf {
        self.0.join("slug")
    }
}

/// `timeline` is the file for the timeline.
pub(crate) fn build(app: &Path, timeline: Option<PathBuf>) -> ExitCode {
    let home = match Home::of(app) {
        Ok(home) => home,
        Err(problem) => return fail(&problem),
    };
    let slug = home.slug();
    if let Err(error) = tree::remove(&slug)
        .map_err(|e| e.to_string())
        .and_then(|()| copy(app, &slug))
    {
        return fail(&error);
    }
    let code = run_build(&Compile {
        build_dir: slug.clone(),
        cache_dir: home.0.join("cache"),
        env_dir: home.0.join("env"),
        buildpack_dir: None,
        process_env: process_env(),
        runtime_path: Some(slug.clone()),
        timeline,
    });
    if code == ExitCode::SUCCESS {
        print_text(&format!("       slug: {}\n", slug.display()));
        print_text(&format!("       start it: mixpack run {}\n", app.display()));
    }
    code
}

/// Copies the files that a push would send: those that git tracks or would track, or without git, everything but
/// output of builds.
fn copy(app: &Path, slug: &Path) -> Result<(), String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(app)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            ".",
        ])
        .output();
    let tracked: Option<std::collections::BTreeSet<PathBuf>> = match listed {
        Ok(output) if output.status.success() => Some(
            output
                .stdout
                .split(|byte| *byte == 0)
                .filter(|path| !path.is_empty())
                .flat_map(|path| {
                    Path::new(OsStr::from_bytes(path))
                        .ancestors()
                        .map(PathBuf::from)
                        .collect::<Vec<_>>()
                })
                .collect(),
        ),
        _ => None,
    };
    let keep = |path: &Path| match &tracked {
        Some(tracked) => tracked.contains(path),
        None => !path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| UNPUSHED.contains(&name)),
    };
    tree::transfer(app, slug, Method::Copy, keep)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Starts a process of the slug like a dyno: sources `.profile.d`, then runs the command of the Procfile, or the
/// default one. The command replaces this process, so it gets the signals. Only returns if it couldn't be started.
pub(crate) fn run(app: &Path, kind: &str) -> ExitCode {
    let slug = match Home::of(app) {
        Ok(home) => home.slug(),
        Err(problem) => return fail(&problem),
    };
    let Some(record) = Record::of_slug(&slug) else {
        return fail(&format!(
            "{} has not been built: mixpack build {0}",
            app.display()
        ));
    };
    let mut types: BTreeMap<String, String> = record.processes;
    if let Ok(text) = text_file::read(&slug.join("Procfile")) {
        types.extend(Procfile::parse(&text).0);
    }
    let Some(command) = types.get(kind) else {
        let known: Vec<&str> = types.keys().map(String::as_str).collect();
        return fail(&format!(
            "there is no process type {kind}; there are: {}",
            known.join(", ")
        ));
    };
    let mut env = match variables(app, &record.app_dir) {
        Ok(env) => env,
        Err(problem) => return fail(&problem),
    };
    let port = env.entry("PORT".into()).or_insert_with(|| "4000".into());
    print_text(&format!(
        "starting {kind} on port {}: {command}\n",
        port.to_string_lossy()
    ));
    // Like on a dyno, the command is a shell line, in a shell that has sourced the profile. Bash replaces itself by
    // the last command of the line.
    let script = "for f in .profile.d/*.sh; do . \"$f\"; done; exec bash -c \"$1\"";
    let error = Command::new("bash")
        .args(["-c", script, "bash", command])
        .current_dir(&slug)
        .env_clear()
        .envs(env)
        .exec();
    fail(&format!("bash could not be started: {error}"))
}

/// Returns the shell's variables, and those of `.env` that the shell doesn't set. `.env` is next to the Procfile: in
/// the root, or else in the app's directory. Its values are never printed.
fn variables(app: &Path, app_dir: &str) -> Result<Env, String> {
    let mut env = process_env();
    for path in [app.join(".env"), app.join(app_dir).join(".env")] {
        let file = EnvFile::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let Some(file) = file else {
            continue;
        };
        for line in file.invalid_lines {
            eprintln!(
                "mixpack: {}:{line} is no KEY=VALUE, and is passed over",
                path.display()
            );
        }
        let of_shell = env.clone();
        let new = file.variables.into_iter();
        let new = new.map(|(name, value)| (name.into(), value.into()));
        env.extend(new.filter(|(name, _)| !of_shell.contains_key(name)));
        break;
    }
    Ok(env)
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("mixpack: {problem}");
    ExitCode::FAILURE
}

//! Rules about dependencies: the lockfile, git, paths, private packages, and native code.

use crate::context::{Context, line_of};
use crate::elixir::value::Value;
use crate::finding::Findings;
use crate::mix_exs::{Dependency, MixFile};
use crate::paths::normalized;
use crate::sources::deployed_dirs;
use app::facts::join;
use app::facts::mix_exs::lock_contains;
use app::facts::mix_lock::Source;
use versions::ElixirRequirement;
use versions::elixir::ElixirVersion;

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    let lock_path = context.path("mix.lock");
    let lock = context.read(&lock_path);
    let mut declared = Vec::new();
    for dir in deployed_dirs(context.input.facts) {
        let path = join(&dir, "mix.exs");
        let file = MixFile::read(&context.read(&path).unwrap_or_default());
        declared.push((dir, path, file));
    }
    lockfile(context, out, &lock_path, lock.as_deref(), &declared);
    for (dir, path, file) in &declared {
        paths(context, out, dir, path, file);
        compilers(context, out, path, file);
    }
    let left_out: Vec<&str> = declared
        .iter()
        .flat_map(|(.., file)| &file.dependencies)
        .filter(|dependency| dependency.is_in(context.input.mix_env) == Some(false))
        .map(|dependency| dependency.name.as_str())
        .collect();
    let lock = lock.unwrap_or_default();
    for locked in context.input.facts.locked.clone() {
        if left_out.contains(&&*locked.app) {
            continue;
        }
        let at = (
            lock_path.as_str(),
            line_of(&lock, &format!("\"{}\":", locked.app)),
        );
        match &locked.from {
            Source::Git { url, .. } => git(context, out, at, &locked.app, url),
            Source::Hex { repository, .. } => private(context, out, at, &locked.app, repository),
        }
    }
    submodules(context, out);
    native(context, out, &lock_path, &lock, &left_out);
}

type Declared = (String, String, MixFile);

fn lockfile(
    context: &Context<'_>,
    out: &mut Findings,
    path: &str,
    lock: Option<&str>,
    declared: &[Declared],
) {
    let mix_exs = context.path("mix.exs");
    let env = context.input.mix_env;
    let is_needed =
        |dependency: &Dependency| dependency.is_in(env) == Some(true) && !dependency.is_local();
    let has_own = declared.iter().any(|(.., file)| file.has_own_lockfile);
    let mut all = declared.iter().flat_map(|(_, path, file)| {
        file.dependencies
            .iter()
            .map(move |dependency| (path, dependency))
    });
    let Some(lock) = lock else {
        if !has_own && let Some((_, dependency)) = all.find(|(_, dependency)| is_needed(dependency))
        {
            out.warning(
                "lockfile-missing",
                (&mix_exs, dependency.line),
                format!(
                    "{path} doesn't exist, so each build takes the newest versions of dependencies."
                ),
                format!("Create and commit it:\n  mix deps.get\n  git add {path}"),
            );
        }
        return;
    };
    if !context.tracked.is_pushed(path) {
        return out.warning(
            "lockfile-missing",
            (path, 1),
            format!(
                "{path} isn't committed, so each build takes the newest versions of dependencies."
            ),
            format!("Remove it from .gitignore, and commit it:\n  git add --force {path}"),
        );
    }
    if lock.contains("\n<<<<<<< ") || lock.contains("\n>>>>>>> ") {
        return out.error(
            "lockfile-out-of-step",
            (path, line_of(lock, "<<<<<<< ")),
            format!("{path} contains a merge conflict, so mix can't read it."),
            "Resolve it:\n  mix deps.get",
        );
    }
    let checks = context.input.plan.is_none_or(|plan| plan.check_locked);
    if has_own || !checks {
        return;
    }
    let needed: Vec<(&String, &Dependency)> = all
        .filter(|(_, dependency)| is_needed(dependency))
        .collect();
    for (file, dependency) in needed {
        let name = &dependency.name;
        let problem = if lock_contains(lock, name) {
            mismatch(context, dependency)
        } else {
            Some(format!("{path} has no entry for it"))
        };
        if let Some(problem) = problem {
            out.error(
                "lockfile-out-of-step",
                (file, dependency.line),
                format!(
                    "{file} requires {name}, but {problem}. `mix deps.get --check-locked` fails."
                ),
                format!("Run this and commit {path}:\n  mix deps.get"),
            );
        }
    }
}

/// Returns the problem if the locked version doesn't match the requirement.
fn mismatch(context: &Context<'_>, dependency: &Dependency) -> Option<String> {
    let requirement = dependency.requirement.as_deref()?;
    let git = ["git", "github"]
        .iter()
        .any(|key| dependency.option(key).is_some());
    let locked = context
        .input
        .facts
        .locked
        .iter()
        .find(|locked| locked.app == dependency.name)?;
    let Source::Hex { version, .. } = &locked.from else {
        return None;
    };
    let parsed = ElixirRequirement::parse(requirement).ok()?;
    let matches = parsed.matches(&ElixirVersion::parse(version).ok()?);
    (!matches && !git)
        .then(|| format!("the lockfile has {version}, which doesn't match {requirement:?}"))
}

fn paths(context: &Context<'_>, out: &mut Findings, dir: &str, file: &str, declared: &MixFile) {
    for dependency in &declared.dependencies {
        let Some(Value::Text(path)) = dependency.option("path") else {
            continue;
        };
        let is_used = dependency.is_in(context.input.mix_env) == Some(true);
        // An environment variable may control it.
        if !is_used || dependency.option("in_umbrella").is_some() {
            continue;
        }
        let problem = match normalized(dir.trim_start_matches('.'), path) {
            None => "is outside the repository".to_owned(),
            Some(path) if !context.exists(&join(&path, "mix.exs")) => {
                "contains no mix.exs".to_owned()
            }
            Some(path) if !context.tracked.is_pushed(&join(&path, "mix.exs")) => {
                "isn't committed".to_owned()
            }
            Some(_) => continue,
        };
        out.error(
            "path-dependency",
            (file, dependency.line),
            format!("The directory of {}, {path}, {problem}.", dependency.name),
            "Move the dependency into the repository and commit it, or take it from git or Hex.",
        );
    }
}

/// Compilers that call tools which only build images have.
fn compilers(context: &Context<'_>, out: &mut Findings, path: &str, file: &MixFile) {
    let stack = context.input.plan.map(|plan| plan.target.stack.as_str());
    let is_slim = stack.is_none_or(|stack| stack != "heroku-22" && stack != "gigalixir-22");
    let web_uses_mix = context.web().is_none_or(|web| web.contains("mix "));
    for (name, line) in &file.compilers {
        let tool = match name.as_str() {
            "elixir_make" | "make" => "make and a C compiler",
            "rustler" => "Rust",
            _ => continue,
        };
        if !context.release && is_slim && web_uses_mix {
            out.warning(
                "native-compiler",
                (path, *line),
                format!("The compiler :{name} needs {tool}. A dyno has neither, and mix runs the compilers whenever it starts the app."),
                "Build a release, which starts without mix. In elixir_buildpack.config:\n  release=true",
            );
        }
    }
}

fn git(context: &Context<'_>, out: &mut Findings, at: (&str, u32), app: &str, url: &str) {
    if url.starts_with("git://") {
        let edit = match url.strip_prefix("git://") {
            Some(rest) => format!("In mix.exs, use https:\n  https://{rest}"),
            None => String::new(),
        };
        return out.error(
            "git-dependency",
            at,
            format!(
                "{app} comes from {url}. Hosts such as GitHub no longer serve the protocol git://."
            ),
            edit,
        );
    }
    if !url.starts_with("git@") && !url.starts_with("ssh://") {
        return;
    }
    let vars = ["GIT_SSH_KEY", "GIT_SSH_COMMAND", "GIT_CREDENTIALS"];
    if vars.iter().any(|name| context.config_var(name).is_some()) {
        return;
    }
    let message = format!("{app} comes from {url}. The build needs a key for it.");
    let edit = "Set a deploy key of that repository (docs/private-packages.md):\n  heroku config:set GIT_SSH_KEY=\"$(cat deploy_key)\"";
    if context.knows_config_vars() {
        out.error("git-dependency", at, message, edit);
    } else {
        out.note("git-dependency", at, message, edit);
    }
}

fn private(
    context: &Context<'_>,
    out: &mut Findings,
    at: (&str, u32),
    app: &str,
    repository: &str,
) {
    let Some(organization) = repository.strip_prefix("hexpm:") else {
        return;
    };
    let vars = ["HEX_ORGANIZATION_KEYS", "HEX_REPOS_KEY"];
    if vars.iter().any(|name| context.config_var(name).is_some()) {
        return;
    }
    let message = format!(
        "{app} is a private package of the Hex organisation {organization}. The build needs a key for it."
    );
    let edit = format!(
        "Set a key (docs/private-packages.md):\n  heroku config:set HEX_ORGANIZATION_KEYS=\"{organization}:KEY\""
    );
    if context.knows_config_vars() {
        out.error("private-package", at, message, edit);
    } else {
        out.note("private-package", at, message, edit);
    }
}

fn submodules(context: &Context<'_>, out: &mut Findings) {
    let Some(text) = context.read(".gitmodules") else {
        return;
    };
    let line = line_of(&text, "url");
    let is_private = text.contains("git@") || text.contains("ssh://");
    let more = if is_private {
        " The builder has no SSH key for them."
    } else {
        ""
    };
    out.note(
        "git-submodule",
        (".gitmodules", line),
        format!("`git push` to Heroku fetches submodules. Deploys from GitHub, Heroku CI and archives of the source don't.{more}"),
        "If the app needs the submodule at run time, copy it into the repository, or make it a dependency in mix.exs.",
    );
}

/// Packages that start programs which no stack image contains, with a word in the names of buildpacks that install
/// them.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("chromic_pdf", "Chrome", "chrome"),
    ("pdf_generator", "wkhtmltopdf or Chrome", "pdf"),
    ("puppeteer_pdf", "Puppeteer and Chrome", "puppeteer"),
    ("ffmpex", "FFmpeg", "ffmpeg"),
    ("xav", "FFmpeg", "ffmpeg"),
    ("thumbnex", "FFmpeg", "ffmpeg"),
];

fn native(context: &Context<'_>, out: &mut Findings, path: &str, lock: &str, left_out: &[&str]) {
    let listed = buildpacks(context);
    let provides = |word: &str| listed.contains(word) || listed.contains("apt");
    for (package, program, word) in PROGRAMS {
        if lock_contains(lock, package) && !left_out.contains(&package) && !provides(word) {
            out.note(
                "native-program",
                (path, line_of(lock, &format!("\"{package}\":"))),
                format!("{package} starts {program}, which the stack images don't contain."),
                "Add a buildpack that installs it, before this one:\n  heroku buildpacks:add --index 1 URL",
            );
        }
    }
    let uses_rustler = lock_contains(lock, "rustler") && !left_out.contains(&"rustler");
    let crate_dir = context.path("native");
    let entries = std::fs::read_dir(context.input.top.join(&crate_dir))
        .into_iter()
        .flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let manifest = names
        .map(|name| format!("{crate_dir}/{name}/Cargo.toml"))
        .find(|manifest| context.exists(manifest));
    if let (Some(manifest), true, false) = (manifest, uses_rustler, provides("rust")) {
        out.warning(
            "native-program",
            (&manifest, 1),
            "The app compiles Rust code, and the build images contain no Rust.",
            "Add a buildpack that installs Rust, before this one:\n  heroku buildpacks:add --index 1 https://github.com/emk/heroku-buildpack-rust",
        );
    }
}

/// The buildpacks that the repository names.
fn buildpacks(context: &Context<'_>) -> String {
    let mut listed = context.read(".buildpacks").unwrap_or_default();
    listed.push_str(context.app_json.as_deref().unwrap_or_default());
    listed.to_ascii_lowercase()
}

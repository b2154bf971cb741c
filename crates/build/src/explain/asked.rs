//! What the app's files and settings ask for and cannot have.

use super::{Explanation, Wording, list, version};
use crate::error::LookedInto;
use crate::kept_lists::time;
use app::app_dir;
use app::facts::{ReadError, join};
use app::package_manager::Manager;
use app::plan::PlanError;
use app::text_file::Encoding;
use app::{Asked, Origin};
use std::path::Path;
use versions::target::TargetError;

pub(super) fn leads_out(place: &str, to: &Path) -> Explanation {
    Explanation::user(
        "folder-outside-app",
        format!("{place} is not in the app"),
    )
    .because(format!(
        "It is a link, or the path goes through one, and leads to {}. A build writes and deletes there, which it does in the app alone.",
        to.display()
    ))
    .so("Commit a folder in place of the link, or nothing: the build makes those that it needs. A path of a config file must stay in the repository. Links in git:")
    .typing("git ls-files --stage | grep ^120000")
}

pub(super) fn read(error: &ReadError, words: &Wording) -> Explanation {
    match error {
        ReadError::NoMixExs {
            found,
            below,
            phoenix,
            ..
        } => no_mix_exs(found, below, phoenix, words),
        ReadError::AppDirOutside { asked } => Explanation::user(
            "app-folder-outside",
            "the app's folder is not in the repository",
        )
        .because(format!("{} sets it to {}.", words.place(&asked.origin), asked.value))
        .so("Name a folder of the repository, relative to its top and without `..`, such as backend or services/backend."),
        ReadError::NoAppInFolder {
            asked,
            is_folder,
            below,
        } => {
            let problem = if *is_folder {
                "and there is no mix.exs in it"
            } else {
                "and there is no such folder"
            };
            let explanation = Explanation::user(
                "app-folder-without-mix-exs",
                format!("there is no app in {}", asked.value),
            )
            .because(format!(
                "{} names it as the app's folder, {problem}.",
                words.place(&asked.origin)
            ));
            if below.is_empty() {
                return explanation
                    .so("Commit mix.exs there, or correct the folder. It is relative to the top of the repository.");
            }
            in_a_folder(explanation, below)
                .so("Correct it. The folder is relative to the top of the repository, in the letters, upper and lower case, that git has.")
        }
        ReadError::Io { path, source } => Explanation::machine(
            "app-file-unreadable",
            format!("{path} cannot be read"),
        )
        .because(format!("{path}: {source}"))
        .so("It must be a regular file that the user that builds may read. Commit it as one."),
        ReadError::Encoding { path, encoding } => Explanation::user(
            "file-encoding",
            format!("{path} is encoded as {}", encoding.as_str()),
        )
        .because(format!(
            "The programs that read {path} expect UTF-8.{}",
            match encoding {
                Encoding::Utf16 => " PowerShell's `>` writes UTF-16.",
                Encoding::Utf8 | Encoding::Utf32 => "",
            }
        ))
        .so("Save it as UTF-8 in your editor and commit it, or convert it:")
        .typing(format!("iconv -f {} -t UTF-8 {path} > converted", encoding.as_str()))
        .typing(format!("mv converted {path}")),
        ReadError::PackageJson {
            path,
            line,
            message,
        } => Explanation::user("package-json-invalid", format!("{path} is not valid"))
            .because(format!("{path}:{line}: {message}"))
            .so("Correct it and commit it. The same on your machine:")
            .typing(format!("node -e 'require(\"./{path}\")'")),
        ReadError::Toml {
            path,
            line,
            message,
        } => Explanation::user("toml-invalid", format!("{path} is not valid TOML"))
            .because(format!("{path}:{line}: {message}"))
            .so("Correct it and commit it. The same on your machine:")
            .typing("mise ls --local"),
    }
}

fn no_mix_exs(
    found: &[String],
    below: &[String],
    phoenix: &[String],
    words: &Wording,
) -> Explanation {
    let holds = if found.is_empty() {
        "It is empty.".to_owned()
    } else {
        format!("It holds: {}", found.join(" "))
    };
    let explanation = Explanation::user("no-mix-exs", "there is no mix.exs at the top of the app")
        .because(format!(
            "An Elixir app has its mix.exs in the folder that is pushed. {holds}"
        ));
    let Some(first) = below.first() else {
        return explanation
            .so(format!(
                "Commit mix.exs there, and take it out of {}. Whether git has it:",
                words.ignore_file()
            ))
            .typing("git ls-files mix.exs");
    };
    let explanation = in_a_folder(explanation, below);
    let (explanation, name_it) = match phoenix {
        [only] => (
            explanation.because(format!("The app in {only} uses Phoenix.")),
            "Name that folder",
        ),
        _ if below.len() == 1 => (explanation, "Name that folder"),
        _ => (explanation, "If the first of these is the app, name it"),
    };
    explanation
        .so(format!(
            "{name_it} in elixir_buildpack.config at the top, and commit that:"
        ))
        .typing(format!("{}={}", app_dir::KEY, shell_words::quote(first)))
        .so(format!(
            "Or set {}, which counts for this app alone:",
            words.a_config_var()
        ))
        .typing(format!(
            "{} {}={}",
            words.set(),
            app_dir::CONFIG_VAR,
            shell_words::quote(first)
        ))
}

/// Says which folders of the repository do have a `mix.exs`.
fn in_a_folder(explanation: Explanation, below: &[String]) -> Explanation {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = below.iter().take(SHOWN).cloned().collect();
    if below.len() > SHOWN {
        shown.push("others".to_owned());
    }
    explanation.because(format!("There is a mix.exs in {}.", list(&shown)))
}

pub(super) fn which_release(names: &[String], origin: &Origin) -> Explanation {
    if names.is_empty() {
        return Explanation::user("release-not-defined", "mix.exs defines no release")
            .because(format!(
                "release=true asks for one, and an umbrella has none until {origin} defines it."
            ))
            .so(format!("Define one in the project of {origin}:"))
            .typing("releases: [my_app: [applications: [my_app_web: :permanent]]]");
    }
    let first = names.first().map_or("my_app", String::as_str);
    Explanation::user(
        "release-not-named",
        "mix.exs defines several releases and no default",
    )
    .because(format!("{origin} defines {}.", list(names)))
    .so(format!("Name the one to build in the project of {origin}:"))
    .typing(format!("default_release: :{first}"))
}

pub(super) fn release_missing(name: &str, path: &str, mix_exs: &str) -> Explanation {
    Explanation::user("release-missing", format!("mix release made no {path}"))
        .because(format!(
            "web would start it. mix release succeeded, so the options of the release {name} in {mix_exs} are the reason: \
             a function among its `steps:` moves the release, or `include_executables_for:` leaves out :unix."
        ))
        .so("Leave the release where mix assembles it, with the start script for Unix. Or name the command that starts it in a Procfile:")
        .typing("web: PATH/OF/THE/RELEASE start")
}

pub(super) fn no_such_installer(
    name: &str,
    asked: &Asked,
    elixir: &str,
    newest: &str,
) -> Explanation {
    let key = format!("{}_version", name.to_lowercase());
    Explanation::user(
        "installer-version-unknown",
        format!("there is no {name} {} for Elixir {elixir}", asked.value),
    )
    .because(format!(
        "{} asks for it. Hex.pm lists other versions for this Elixir; the newest is {newest}.",
        asked.origin
    ))
    .so("Ask for that one, or remove the setting:")
    .typing(format!("{key}={newest}"))
}

pub(super) fn distillery_release_missing(rel: &str, config: &str) -> Explanation {
    Explanation::user(
        "release-missing",
        format!("mix distillery.release made no release in {rel}"),
    )
    .because(format!(
        "The command succeeded, so {config} has the release assembled elsewhere, with `output_dir`. Only what is in {rel} is started."
    ))
    .so(format!("Remove `output_dir` from {config}."))
}

#[allow(clippy::too_many_lines, reason = "an arm for each error")]
pub(super) fn plan(error: &PlanError, words: &Wording) -> Explanation {
    match error {
        PlanError::Version { error, suggestion } => {
            version::explain(error, suggestion.as_deref(), words)
        }
        PlanError::NoNode { arch } => Explanation::upstream(
            "no-node-listed",
            format!("upstream lists no long-term release of Node.js for {arch}"),
        )
        .because("The app asks for no version of Node.js, so the newest of these would have been taken.")
        .so("Set node_version in phoenix_static_buildpack.config, or try again later. A mirror (NODEJS_ORG_MIRROR) must hold upstream's list whole."),
        PlanError::TwoLockfiles { dir, lockfiles } => two_lockfiles(dir, lockfiles),
        PlanError::ManagerContradicted {
            asked,
            manager,
            lockfile,
        } => Explanation::user(
            "package-manager-contradicted",
            "packageManager and the lockfile are not of the same package manager",
        )
        .because(format!(
            "{} has packageManager {:?}, and {lockfile} is a lockfile of {}.",
            words.origin(&asked.origin),
            asked.value,
            lockfile_manager(lockfile)
        ))
        .so(format!("If {manager} is meant, remove the other's lockfile:"))
        .typing(format!("git rm {lockfile}"))
        .so(format!(
            "Then commit the one that `{manager} install` writes. If {manager} is not meant, remove packageManager, or name the other there."
        )),
        PlanError::MalformedManager { asked } => Explanation::user(
            "package-manager-malformed",
            format!("packageManager {:?} is not understood", asked.value),
        )
        .because(format!("{} sets it.", words.origin(&asked.origin)))
        .so("Write the package manager (npm, yarn, pnpm or bun), an @ and its version, such as pnpm@9.1.0. A hash may follow: +sha512.…"),
        PlanError::UnknownDevManager { asked } => Explanation::user(
            "dev-engines-manager-unknown",
            format!("Mixpack does not support the package manager {}", asked.value),
        )
        .because(format!(
            "{} requires it (devEngines.packageManager).",
            words.origin(&asked.origin)
        ))
        .so("Name npm, yarn, pnpm or bun there, or set its onFail to \"ignore\": the lockfile then decides."),
        PlanError::NoSuchLevel { asked, levels } => Explanation::user(
            "slim-level-unknown",
            format!("{:?} is no level of slimming", asked.value),
        )
        .because(format!("{} sets it.", words.place(&asked.origin)))
        .so(format!("Write one of {}.", levels.join(", "))),
        PlanError::NoSuchFolder {
            key,
            asked,
            missing,
        } => Explanation::user(
            "folder-not-found",
            format!("{key} names a folder without {missing}"),
        )
        .because(format!("{} sets it to {}.", words.place(&asked.origin), asked.value))
        .so(format!(
            "Correct it. The folder is relative to the top of the app, and {missing} must be in it."
        )),
    }
}

fn two_lockfiles(dir: &str, lockfiles: &[String]) -> Explanation {
    let is_npm =
        |name: &&String| matches!(name.as_str(), "package-lock.json" | "npm-shrinkwrap.json");
    // Where there is one of npm's it is likely the one that is meant.
    let stays = lockfiles.iter().find(is_npm).or(lockfiles.first());
    let others: Vec<String> = lockfiles
        .iter()
        .filter(|name| Some(*name) != stays)
        .map(|name| join(dir, name))
        .collect();
    let folder = match dir {
        "." => "the app",
        dir => dir,
    };
    let stays = stays.map_or("package-lock.json", String::as_str);
    Explanation::user(
        "two-lockfiles",
        format!("{folder} has more than one lockfile"),
    )
    .because(format!(
        "Found {}. Which package manager is meant cannot be told.",
        list(lockfiles)
    ))
    .so(format!("Keep the one that you use. If that is {stays}:"))
    .typing(format!("git rm {}", others.join(" ")))
}

fn lockfile_manager(lockfile: &str) -> Manager {
    Manager::of_lockfile(lockfile.rsplit('/').next().unwrap_or(lockfile))
}

pub(super) fn manager_hash(
    spec: &str,
    origin: &str,
    algorithm: &str,
    expected: &str,
    found: &str,
) -> Explanation {
    Explanation::user(
        "package-manager-hash",
        format!("{spec} is not the one that packageManager names"),
    )
    .because(format!("{origin} names its {algorithm}:"))
    .because(format!("  {expected}"))
    .because("The npm registry has one with:")
    .because(format!("  {found}"))
    .so("If the version was changed by hand, let corepack write both, and commit package.json:")
    .typing(format!("corepack use {spec}"))
    .so("If it was not, do not go on before you know which registry the package comes from.")
}

/// A version that no list has, with the lists that were looked into.
pub(super) fn not_listed(
    error: &PlanError,
    looked_into: &[LookedInto],
    words: &Wording,
) -> Explanation {
    let lists = looked_into.iter().map(|list| match &list.read {
        Ok(at) => {
            let branches = list.only_branches.as_ref();
            let branches = branches.map(|names| format!("; only branches: {names}"));
            let branches = branches.unwrap_or_default();
            format!("  {} (read on {}{branches})", list.url, time(*at))
        }
        Err(error) => format!("  {error}"),
    });
    let explanation = plan(error, words)
        .because("Looked for in:")
        .because_all(lists);
    let mut read = looked_into.iter().filter(|list| list.read.is_ok());
    if !read.all(|list| list.only_branches.is_some()) {
        return explanation;
    }
    Explanation::upstream("no-release-listed", explanation.title)
        .because_all(explanation.cause)
    .so("No list contains a release, so there is none to suggest. Try again later. If a mirror is set (HEX_BUILDS_URL, MIXPACK_OTP_BUILDS_URL), check that it serves upstream's complete lists.")
    .so("A branch can be requested by its name. Its content changes from build to build.")
}

/// Speaks of the stack alone: people have read such errors as errors of their Erlang version.
pub(super) fn target(error: &TargetError, words: &Wording) -> Explanation {
    const ABOUT: &str = "This is about the stack, not about a version that the app asks for.";
    match error {
        TargetError::EndOfLife { stack } => Explanation::user(
            "stack-end-of-life",
            format!("the stack {stack} has reached its end of life"),
        )
        .because(format!("STACK is {stack}, which the platform no longer builds for."))
        .because(ABOUT)
        .so(format!("Move the app to a current stack, then {}:", words.again()))
        .typing(words.current_stack()),
        TargetError::UnknownStack { stack } => {
            Explanation::user("stack-unknown", format!("the stack {stack:?} is not known"))
                .because(format!("STACK is {stack:?}."))
                .because(ABOUT)
                .so("STACK must be heroku-NN or gigalixir-NN, which stand for Ubuntu NN.04 (heroku-24), or cnb, or not be set: then the system says what it is.")
        }
        TargetError::UnknownSystem { system } => Explanation::machine(
            "system-unknown",
            format!("the system {system} is not one that builds are known to run on"),
        )
        .because("STACK is not set, and /etc/os-release names neither Ubuntu nor Debian 12 or 13.")
        .so("To take what is built for an Ubuntu release all the same, set STACK, such as STACK=heroku-24 for Ubuntu 24.04."),
    }
}

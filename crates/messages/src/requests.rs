//! Errors in the app's files and settings, and requests that can't be met.

use super::{Explanation, Wording, list, version};
use crate::SearchedList;
use app::facts::{Manager, ReadError, app_dir, join};
use app::plan::PlanError;
use app::text_file::Encoding;
use app::{Origin, Setting};
use std::path::Path;
use versions::lifecycle::minute_of_unix_time;
use versions::target::TargetError;

pub(super) fn outside_app(place: &str, to: &Path) -> Explanation {
    Explanation::user(
        "folder-outside-app",
        format!("{place} points outside the app"),
    )
    .because(format!(
        "It, or a directory above it, is a symbolic link: the path resolves to {}. A build writes and deletes files there, and only does so inside the app.",
        to.display()
    ))
    .so("Commit a directory instead of the link, or nothing: the build creates the directories it needs. A path in a config file must stay inside the repository. To list the links in git:")
    .typing("git ls-files --stage | grep ^120000")
}

pub(super) fn read(error: &ReadError, words: &Wording) -> Explanation {
    match error {
        ReadError::NoMixExs {
            found,
            candidate_dirs,
            phoenix,
            ..
        } => no_mix_exs(found, candidate_dirs, phoenix, words),
        ReadError::AppDirOutside { requested } => Explanation::user(
            "app-folder-outside",
            "the app's directory is outside the repository",
        )
        .because(format!("{} sets it to {}.", words.place(&requested.origin), requested.value))
        .so("Set it to a directory of the repository, relative to the root and without `..`, such as backend or services/backend."),
        ReadError::NoAppInFolder {
            requested,
            is_folder,
            candidate_dirs,
        } => {
            let problem = if *is_folder {
                "but it contains no mix.exs"
            } else {
                "but that directory does not exist"
            };
            let explanation = Explanation::user(
                "app-folder-without-mix-exs",
                format!("no app found in {}", requested.value),
            )
            .because(format!(
                "{} sets it as the app's directory, {problem}.",
                words.place(&requested.origin)
            ));
            if candidate_dirs.is_empty() {
                return explanation
                    .so("Commit mix.exs there, or correct the path. It is relative to the root of the repository.");
            }
            with_candidate_dirs(explanation, candidate_dirs)
                .so("Correct the path. It is relative to the root of the repository, and upper and lower case must match the name in git.")
        }
        ReadError::Io { path, source } => Explanation::machine(
            "app-file-unreadable",
            format!("{path} cannot be read"),
        )
        .because(format!("{path}: {source}"))
        .so("Commit it as a regular file that the build user can read."),
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
        } => Explanation::user("package-json-invalid", format!("{path} is invalid"))
            .because(format!("{path}:{line}: {message}"))
            .so("Fix it and commit it. To see the error on your machine:")
            .typing(format!("node -e 'require(\"./{path}\")'")),
        ReadError::Toml {
            path,
            line,
            message,
        } => Explanation::user("toml-invalid", format!("{path} is not valid TOML"))
            .because(format!("{path}:{line}: {message}"))
            .so("Fix it and commit it. To see the error on your machine:")
            .typing("mise ls --local"),
    }
}

fn no_mix_exs(
    found: &[String],
    candidate_dirs: &[String],
    phoenix: &[String],
    words: &Wording,
) -> Explanation {
    let contents = if found.is_empty() {
        "It is empty.".to_owned()
    } else {
        format!("It contains: {}", found.join(" "))
    };
    let explanation = Explanation::user("no-mix-exs", "there is no mix.exs in the app's root")
        .because(format!(
            "An Elixir app has its mix.exs in the root of the repository. {contents}"
        ));
    let Some(first) = candidate_dirs.first() else {
        return explanation
            .so(format!(
                "Commit mix.exs there, and make sure that {} doesn't list it. To check that git has it:",
                words.ignore_file()
            ))
            .typing("git ls-files mix.exs");
    };
    let explanation = with_candidate_dirs(explanation, candidate_dirs);
    let (explanation, set_it) = match phoenix {
        [only] => (
            explanation.because(format!("The app in {only} uses Phoenix.")),
            "Set that directory",
        ),
        _ if candidate_dirs.len() == 1 => (explanation, "Set that directory"),
        _ => (explanation, "If the first of these is the app, set it"),
    };
    explanation
        .so(format!(
            "{set_it} in elixir_buildpack.config in the root, and commit that file:"
        ))
        .typing(format!("{}={}", app_dir::KEY, shell_words::quote(first)))
        .so(format!(
            "Or set {}, which applies to this app only:",
            words.a_config_var()
        ))
        .typing(format!(
            "{} {}={}",
            words.set(),
            app_dir::CONFIG_VAR,
            shell_words::quote(first)
        ))
}

/// Adds the directories of the repository that contain a `mix.exs`.
fn with_candidate_dirs(explanation: Explanation, candidate_dirs: &[String]) -> Explanation {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = candidate_dirs.iter().take(SHOWN).cloned().collect();
    if candidate_dirs.len() > SHOWN {
        shown.push("others".to_owned());
    }
    explanation.because(format!("There is a mix.exs in {}.", list(&shown)))
}

pub(super) fn which_release(names: &[String], origin: &Origin) -> Explanation {
    if names.is_empty() {
        return Explanation::user("release-not-defined", "mix.exs defines no release")
            .because(format!(
                "release=true requires one, and an umbrella has none unless {origin} defines it."
            ))
            .so(format!("Define one in `def project` of {origin}:"))
            .typing("releases: [my_app: [applications: [my_app_web: :permanent]]]");
    }
    let first = names.first().map_or("my_app", String::as_str);
    Explanation::user(
        "release-not-named",
        "mix.exs defines several releases but no default",
    )
    .because(format!("{origin} defines {}.", list(names)))
    .so(format!(
        "Choose the release to build in `def project` of {origin}:"
    ))
    .typing(format!("default_release: :{first}"))
}

pub(super) fn release_missing(name: &str, path: &str, mix_exs: &str) -> Explanation {
    Explanation::user("release-missing", format!("mix release did not create {path}"))
        .because(format!(
            "The web process would start it. mix release succeeded, so the options of the release {name} in {mix_exs} are the cause: \
             a function in `steps:` moves the release, or `include_executables_for:` omits :unix."
        ))
        .so("Leave the release where mix assembles it, and include the start script for Unix. Or add a Procfile with the command that starts the release:")
        .typing("web: PATH/OF/THE/RELEASE start")
}

pub(super) fn no_such_installer(
    name: &str,
    requested: &Setting,
    elixir: &str,
    newest: &str,
) -> Explanation {
    let key = format!("{}_version", name.to_lowercase());
    Explanation::user(
        "installer-version-unknown",
        format!(
            "{name} {} is not available for Elixir {elixir}",
            requested.value
        ),
    )
    .because(format!(
        "{} requests it. Hex.pm lists other versions for this Elixir; the newest is {newest}.",
        requested.origin
    ))
    .so("Request that one, or remove the setting:")
    .typing(format!("{key}={newest}"))
}

pub(super) fn distillery_release_missing(rel: &str, config: &str) -> Explanation {
    Explanation::user(
        "release-missing",
        format!("mix distillery.release did not create a release in {rel}"),
    )
    .because(format!(
        "The command succeeded, so `output_dir` in {config} puts the release elsewhere. Mixpack only starts releases in {rel}."
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
            format!("upstream lists no LTS release of Node.js for {arch}"),
        )
        .because("The app requests no version of Node.js, so Mixpack would use the newest LTS release.")
        .so("Set node_version in phoenix_static_buildpack.config, or try again later. A mirror (NODEJS_ORG_MIRROR) must serve upstream's complete list."),
        PlanError::TwoLockfiles { dir, lockfiles } => two_lockfiles(dir, lockfiles),
        PlanError::ManagerContradicted {
            requested,
            manager,
            lockfile,
        } => Explanation::user(
            "package-manager-contradicted",
            "packageManager and the lockfile belong to different package managers",
        )
        .because(format!(
            "{} sets packageManager to {:?}, but {lockfile} belongs to {}.",
            words.origin(&requested.origin),
            requested.value,
            lockfile_manager(lockfile)
        ))
        .so(format!("If you use {manager}, remove the other lockfile:"))
        .typing(format!("git rm {lockfile}"))
        .so(format!(
            "Then run `{manager} install` and commit the lockfile it writes. If you don't use {manager}, correct packageManager, or remove it."
        )),
        PlanError::MalformedManager { requested } => Explanation::user(
            "package-manager-malformed",
            format!("packageManager {:?} is malformed", requested.value),
        )
        .because(format!("{} sets it.", words.origin(&requested.origin)))
        .so("Write the package manager (npm, yarn, pnpm or bun), an @ and the version, such as pnpm@9.1.0. A hash may follow: +sha512.…"),
        PlanError::UnknownDevManager { requested } => Explanation::user(
            "dev-engines-manager-unknown",
            format!("Mixpack does not support the package manager {}", requested.value),
        )
        .because(format!(
            "{} requires it (devEngines.packageManager).",
            words.origin(&requested.origin)
        ))
        .so("Use npm, yarn, pnpm or bun there, or set its onFail to \"ignore\": the lockfile then determines the package manager."),
        PlanError::UnknownSlimLevel { requested, levels } => Explanation::user(
            "slim-level-unknown",
            format!("{:?} is not a valid slim level", requested.value),
        )
        .because(format!("{} sets it.", words.place(&requested.origin)))
        .so(format!("Set it to one of {}.", levels.join(", "))),
        PlanError::NoSuchFolder {
            key,
            requested,
            missing,
        } => Explanation::user(
            "folder-not-found",
            format!("{key} is set to a directory without {missing}"),
        )
        .because(format!("{} sets it to {}.", words.place(&requested.origin), requested.value))
        .so(format!(
            "Correct the path. It is relative to the root of the app, and the directory must contain {missing}."
        )),
    }
}

fn two_lockfiles(dir: &str, lockfiles: &[String]) -> Explanation {
    let is_npm =
        |name: &&String| matches!(name.as_str(), "package-lock.json" | "npm-shrinkwrap.json");
    // npm's lockfile, if any, is most likely the one in use.
    let used_lockfile = lockfiles.iter().find(is_npm).or(lockfiles.first());
    let others: Vec<String> = lockfiles
        .iter()
        .filter(|name| Some(*name) != used_lockfile)
        .map(|name| join(dir, name))
        .collect();
    let folder = match dir {
        "." => "the app",
        dir => dir,
    };
    let used_lockfile = used_lockfile.map_or("package-lock.json", String::as_str);
    Explanation::user(
        "two-lockfiles",
        format!("{folder} has more than one lockfile"),
    )
    .because(format!(
        "Found {}. Mixpack can't tell which package manager to use.",
        list(lockfiles)
    ))
    .so(format!(
        "Keep only the one that you use. If that is {used_lockfile}:"
    ))
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
        format!("{spec} doesn't match the hash in packageManager"),
    )
    .because(format!("{origin} expects this {algorithm}:"))
    .because(format!("  {expected}"))
    .because("The package from the npm registry has:")
    .because(format!("  {found}"))
    .so("If you changed the version by hand, let corepack write the version and the hash, and commit package.json:")
    .typing(format!("corepack use {spec}"))
    .so("If you didn't, find out which registry the package comes from before you continue.")
}

/// A setting of the shared store that can't be used.
pub(super) fn shared_store(
    variable: &str,
    problem: &str,
    fix: &str,
    words: &Wording,
) -> Explanation {
    let summary = format!("{variable} {problem}");
    Explanation::user("shared-store-setting", summary)
        .because(format!(
            "The {} is a setting of the shared store of compiled dependencies.",
            words.config_var()
        ))
        .so(format!("{fix}."))
        .so("To build without the store, remove MIXPACK_STORE.")
}

/// A version that no list contains, with the lists that were searched.
pub(super) fn not_listed(
    error: &PlanError,
    searched: &[SearchedList],
    words: &Wording,
) -> Explanation {
    let lists = searched.iter().map(|list| match &list.read {
        Ok(at) => {
            let branches = list.only_branches.as_ref();
            let branches = branches.map(|names| format!("; only branches: {names}"));
            let branches = branches.unwrap_or_default();
            format!(
                "  {} (read on {}{branches})",
                list.url,
                minute_of_unix_time(*at)
            )
        }
        Err(error) => format!("  {error}"),
    });
    let explanation = plan(error, words)
        .because("Lists searched:")
        .because_all(lists);
    let mut read = searched.iter().filter(|list| list.read.is_ok());
    if !read.all(|list| list.only_branches.is_some()) {
        return explanation;
    }
    Explanation::upstream("no-release-listed", explanation.title)
        .because_all(explanation.cause)
    .so("No list contains a release, so there is none to suggest. Try again later. If a mirror is set (HEX_BUILDS_URL, MIXPACK_OTP_BUILDS_URL), check that it serves upstream's complete lists.")
    .so("A branch can be requested by its name. Its content changes from build to build.")
}

/// Only mentions the stack, since users have mistaken such errors for problems with their Erlang version.
pub(super) fn target(error: &TargetError, words: &Wording) -> Explanation {
    const ABOUT: &str = "This concerns the stack, not a version that the app requests.";
    match error {
        TargetError::EndOfLife { stack } => Explanation::user(
            "stack-end-of-life",
            format!("the stack {stack} has reached end of life"),
        )
        .because(format!("STACK is {stack}, which the platform no longer supports."))
        .because(ABOUT)
        .so(format!("Move the app to a current stack, and {}:", words.again()))
        .typing(words.current_stack()),
        TargetError::UnknownStack { stack } => {
            Explanation::user("stack-unknown", format!("the stack {stack:?} is unknown"))
                .because(format!("STACK is {stack:?}."))
                .because(ABOUT)
                .so("Set STACK to heroku-NN or gigalixir-NN (heroku-24 stands for Ubuntu 24.04) or to cnb, or unset it to have Mixpack detect the system.")
        }
        TargetError::UnknownSystem { system } => Explanation::machine(
            "system-unknown",
            format!("the system {system} is not supported"),
        )
        .because("No builds are known to run on it: STACK is not set, and /etc/os-release names neither Ubuntu nor Debian 12 or 13.")
        .so("To use the builds for an Ubuntu release anyway, set STACK, such as STACK=heroku-24 for Ubuntu 24.04."),
    }
}

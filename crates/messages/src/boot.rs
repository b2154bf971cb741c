//! The messages for apps that can't boot, as errors and as warnings.

use super::{Explanation, Wording, list, wrapped};
use thiserror::Error;

/// A reason why a built app can't boot. Files are relative to the app, or absolute if they are
/// outside of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum BootFault {
    /// A library is missing at run time.
    #[error("{file} needs {library}, which is missing at run time")]
    LibraryMissing {
        file: String,
        /// `libquadmath.so.0`.
        library: String,
        /// The package that contains it on the build image. `None` if the build image doesn't have it either.
        package: Option<String>,
        /// `heroku-24`.
        stack: String,
    },
    /// A library lacks a version of its symbols.
    #[error("{file} needs {version} of {library}")]
    LibraryTooOld {
        file: String,
        library: String,
        /// `GLIBC_2.38`.
        version: String,
        stack: String,
    },
    #[error("{file} is for {found}, not {expected}")]
    WrongArchitecture {
        file: String,
        found: String,
        expected: String,
    },
    #[error("{file} can't be loaded: {problem}")]
    ModuleUnusable {
        file: String,
        /// The problem, as the rest of a sentence that starts with "It".
        problem: String,
    },
    /// The process type web starts a release that wasn't built.
    #[error("web starts {path}, which does not exist")]
    ReleaseNotBuilt {
        path: String,
        /// The releases that were built, as paths of their start scripts.
        scripts: Vec<String>,
    },
}

impl BootFault {
    /// Returns the lines of a warning.
    #[must_use]
    pub fn warning(&self, words: &Wording) -> Vec<String> {
        let Explanation {
            title, cause, cure, ..
        } = explain(self, words);
        let paragraphs = [format!("{title}.")].into_iter().chain(cause).chain(cure);
        paragraphs.flat_map(|text| wrapped(&text)).collect()
    }
}

pub(super) fn explain(fault: &BootFault, words: &Wording) -> Explanation {
    match fault {
        BootFault::LibraryMissing {
            file,
            library,
            package,
            stack,
        } => library_missing((file, library), package.as_deref(), stack, words),
        BootFault::LibraryTooOld {
            file,
            library,
            version,
            stack,
        } => Explanation::user(
            "boot-library-too-old",
            format!("{file} needs {version}, which {library} on {stack} doesn't have"),
        )
        .because("It was compiled on a newer system, for example in a precompiled package, so it can't be loaded on this stack.")
        .so("Move the app to a newer stack, or have the build compile the library. Packages with precompiled libraries have a setting for that, such as `force_build: true` of rustler_precompiled.")
        .so(TURN_OFF),
        BootFault::WrongArchitecture {
            file,
            found,
            expected,
        } => Explanation::user(
            "boot-wrong-architecture",
            format!("{file} is compiled for {found}, but the app runs on {expected}"),
        )
        .because("The VM can't load it. Most such files were compiled on another machine and then committed.")
        .so("Remove compiled files from git, and list them in .gitignore, so that the build compiles them:")
        .typing("git rm --cached -r --ignore-unmatch 'priv/*.so' 'priv/native'")
        .so(TURN_OFF),
        BootFault::ModuleUnusable { file, problem } => Explanation::user(
            "boot-module-unusable",
            format!("the VM can't load the module {file}"),
        )
        .because(format!("It {problem}."))
        .so("If a hook, a step of the release or a dependency writes the file, correct that. The next build compiles the app and its dependencies again.")
        .so(TURN_OFF),
        BootFault::ReleaseNotBuilt { path, scripts } => release_not_built(path, scripts),
    }
}

const TURN_OFF: &str =
    "If the app starts nonetheless, set boot_check=false in elixir_buildpack.config.";

fn library_missing(
    (file, library): (&str, &str),
    package: Option<&str>,
    stack: &str,
    words: &Wording,
) -> Explanation {
    let explanation = Explanation::user(
        "boot-library-missing",
        format!("{file} needs {library}, which is missing at run time"),
    );
    let Some(package) = package else {
        return explanation
            .because(format!(
                "Neither the app nor the image of {stack} has this library."
            ))
            .so("Ship the library with the app, or use a package that is linked with it statically.")
            .so(TURN_OFF);
    };
    explanation
        .because(format!(
            "The library is in the Ubuntu package {package}. The image that builds apps on {stack} has this package, but the image that runs them doesn't."
        ))
        .so(format!(
            "Ship the library with the app: list {package} in {}, and add the buildpack that installs it before this one:",
            words.apt_file()
        ))
        .typing(format!("{} {}", words.add_buildpack(), words.apt()))
        .so(TURN_OFF)
}

fn release_not_built(path: &str, scripts: &[String]) -> Explanation {
    let explanation = Explanation::user(
        "boot-release-not-built",
        format!("the Procfile's web starts {path}, which doesn't exist"),
    );
    match scripts {
        [] => explanation
            .because("The build made no release.")
            .so("To build one, set release=true in elixir_buildpack.config. Otherwise, correct the Procfile, for example:")
            .typing("web: mix phx.server"),
        [first, ..] => explanation
            .because(format!("The build made {}.", list(scripts)))
            .so("Correct the Procfile:")
            .typing(format!("web: {first} start")),
    }
}

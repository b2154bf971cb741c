//! Checks, once everything is built, that the app can boot where it will run.
//!
//! A build that works and an app that doesn't start have a few causes that its files show: a native library
//! that only the build image has or that is compiled for another system, a damaged module, a process that
//! starts a release that wasn't built. The check starts no VM and no code of the app: it reads the headers of
//! programs and libraries, and sees compiled modules while [`workdir::leaked_secrets`] reads them anyway.
//!
//! To reject an app that works is worse than to miss one that doesn't. So the build fails only if everything is
//! known: the image that the app runs on, that the app loads the file when it starts, and that nothing else
//! can supply what it needs. Without one of these, the check warns; without evidence that a file is
//! used at all, it is silent.

mod libraries;
mod packages;
mod programs;
mod resolver;

use crate::request::{Built, Request};
use crate::steps::state;
use app::Plan;
use app::facts::join;
use exec::log::Log;
use messages::{BootFault, Error, Platform, Wording};
use planning::RunImage;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use toolchain::beam_files;
use workdir::workspace::Workspace;

/// The check of one build.
pub(crate) struct BootCheck<'a> {
    plan: &'a Plan,
    workspace: &'a Workspace<'a>,
    built: &'a Built,
    run_image: &'a RunImage,
    log: &'a Log,
    modules: Mutex<Vec<Finding>>,
}

/// A fault, and whether it is certain to keep the app from booting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    is_fatal: bool,
    fault: BootFault,
}

impl<'a> BootCheck<'a> {
    pub(crate) fn new(
        request: &'a Request<'_>,
        plan: &'a Plan,
        workspace: &'a Workspace<'a>,
        built: &'a Built,
    ) -> Self {
        Self {
            plan,
            workspace,
            built,
            run_image: &request.platform.run_image,
            log: request.log,
            modules: Mutex::default(),
        }
    }

    /// Checks a compiled module.
    pub(crate) fn module(&self, path: &Path, content: &[u8]) {
        // The version of a branch is a guess.
        let is_guess = self.plan.has_branch();
        let otp = if is_guess { 0 } else { self.plan.otp_major };
        if !self.plan.boot_check || !is_loadable(path) {
            return;
        }
        let Some(problem) = beam_files::problem(content, otp) else {
            return;
        };
        let fault = BootFault::ModuleUnusable {
            file: self.relative(path),
            problem: problem.to_owned(),
        };
        let is_fatal = is_listed(path);
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.push(Finding { is_fatal, fault });
    }

    /// Reports what was found. Warns of all faults but the first fatal one, which is the error.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if !self.plan.boot_check || self.workspace.environment.tests_only().is_some() {
            return Ok(());
        }
        let mut findings = libraries::check(&self);
        findings.extend(self.release_of_web());
        let modules = self.modules.into_inner();
        let modules = modules.unwrap_or_else(PoisonError::into_inner);
        if !modules.is_empty() {
            // Mix takes them for compiled.
            state::discard_compiled(self.workspace.store, self.plan)?;
        }
        findings.extend(modules);
        findings.sort();
        let (fatal, others): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().partition(|finding| finding.is_fatal);
        let platform = match self.run_image {
            RunImage::Likely(_) => Platform::CloudNative,
            RunImage::Unknown | RunImage::Certain(_) => Platform::Heroku,
        };
        let words = Wording::new(platform, &self.workspace.environment);
        let mut fatal = fatal.into_iter().map(|finding| finding.fault);
        let first = fatal.next();
        for fault in fatal.chain(others.into_iter().map(|finding| finding.fault)) {
            self.log.warning(&fault.warning(&words));
        }
        first.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// A release that the process type web starts and that wasn't built. Only the build makes files in its
    /// directory, so no later buildpack can supply them.
    fn release_of_web(&self) -> Option<Finding> {
        let base = process_dir(self.plan);
        let build = format!("_build/{}/rel/", self.plan.mix_env.value);
        let mut files = self.built.procfile.files();
        let (_, path) = files.find(|(kind, _)| *kind == "web")?;
        let path = path.strip_prefix(".").unwrap_or(path);
        let at = self.workspace.real(Path::new(base)).join(path);
        if !path.starts_with(&build) || at.exists() || *self.run_image == RunImage::Unknown {
            return None;
        }
        let releases = self.workspace.real(Path::new(&join(base, &build)));
        let names = entries(&releases).into_iter().filter_map(|release| {
            let name = release.file_name()?.to_str()?.to_owned();
            let script = format!("{build}{name}/bin/{name}");
            release.join("bin").join(&name).is_file().then_some(script)
        });
        Some(Finding {
            is_fatal: matches!(self.run_image, RunImage::Certain(_)),
            fault: BootFault::ReleaseNotBuilt {
                path: path.display().to_string(),
                scripts: names.collect(),
            },
        })
    }

    /// A file as messages name it.
    fn relative(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.workspace.app).unwrap_or(path);
        inside.display().to_string()
    }
}

/// The directory in which processes start, relative to the top.
pub(crate) fn process_dir(plan: &Plan) -> &str {
    match plan.app_procfile {
        Some(_) => &plan.app_dir.value,
        None => ".",
    }
}

/// Whether a module is where the VM loads modules from. Names that begin with a dot are those of other systems'
/// helper files (`._Elixir.Shop.beam` of macOS).
fn is_loadable(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let folder = path.parent().and_then(Path::file_name);
    beam_files::is_module(path)
        && name.is_some_and(|name| !name.starts_with('.'))
        && folder.is_some_and(|folder| folder == "ebin" || folder == "consolidated")
}

/// Whether a module is part of its application: its resource file lists it. Mix itself writes consolidated
/// protocols.
fn is_listed(path: &Path) -> bool {
    let (Some(folder), Some(module)) = (path.parent(), path.file_stem()) else {
        return false;
    };
    let module = module.to_string_lossy();
    folder.ends_with("consolidated")
        || entries(folder).iter().any(|file| {
            let is_resource = file.extension().is_some_and(|end| end == "app");
            is_resource
                && std::fs::read_to_string(file).is_ok_and(|text| {
                    let mut names = text.split(|c: char| "[]{},' \n".contains(c));
                    names.any(|name| name == module)
                })
        })
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_modules_in_the_code_path_count() {
        for (path, counts) in [
            ("lib/shop/ebin/Elixir.Shop.beam", true),
            ("lib/shop/consolidated/Elixir.Enumerable.beam", true),
            ("lib/shop/ebin/._Elixir.Shop.beam", false),
            ("lib/shop/priv/template.beam", false),
            ("lib/shop/ebin/shop.app", false),
        ] {
            assert_eq!(is_loadable(Path::new(path)), counts, "{path}");
        }
    }

    #[test]
    fn module_is_part_of_application_whose_resource_file_lists_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("shop.app"),
            "{application,shop,[{modules,['Elixir.Shop','Elixir.Shop.Cart']}]}.",
        )
        .unwrap();
        let listed = |name: &str| is_listed(&dir.path().join(name));
        assert!(listed("Elixir.Shop.beam") && listed("Elixir.Shop.Cart.beam"));
        assert!(!listed("Elixir.Sho.beam") && !listed("Elixir.Old.beam"));
    }
}

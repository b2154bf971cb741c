//! Checks whether the built app can boot on the run image.
//!
//! Some causes of a successful build whose app doesn't start are visible in its files: a native library that only
//! the build image has, or that is compiled for another system; a damaged module; a process that starts a release
//! that wasn't built. The check runs neither a VM nor code of the app. It reads the headers of programs and
//! libraries, and gets the modules that [`workdir::leaked_secrets`] reads anyway.
//!
//! Rejecting an app that works would be worse than missing one that doesn't. So the build only fails if the run
//! image is known, the app loads the file when it starts, and nothing else can supply the missing part. Otherwise
//! the check warns, or says nothing if there is no evidence that the file is used.

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

/// A fault, and whether it certainly prevents the app from booting.
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
        // The OTP version of a branch isn't certain.
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

    /// Reports the faults.
    ///
    /// # Errors
    ///
    /// The first fatal fault. All others are warnings.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if !self.plan.boot_check || self.workspace.environment.tests_only().is_some() {
            return Ok(());
        }
        let mut findings = libraries::check(&self);
        findings.extend(self.release_of_web());
        let modules = self.modules.into_inner();
        let modules = modules.unwrap_or_else(PoisonError::into_inner);
        if !modules.is_empty() {
            // Mix wouldn't recompile them in the next build.
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

    /// Returns a finding if `web` starts a release that wasn't built. A later buildpack can't supply it, since only
    /// this build writes to its directory.
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

    /// Returns the path to show in messages.
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

/// Returns whether a module is in a directory from which the VM loads modules. Names that start with a dot belong to
/// helper files of other systems (`._Elixir.Shop.beam` on macOS).
fn is_loadable(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let folder = path.parent().and_then(Path::file_name);
    beam_files::is_module(path)
        && name.is_some_and(|name| !name.starts_with('.'))
        && folder.is_some_and(|folder| folder == "ebin" || folder == "consolidated")
}

/// Returns whether the resource file of the application lists a module. Consolidated protocols aren't listed, but
/// belong to the application too.
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

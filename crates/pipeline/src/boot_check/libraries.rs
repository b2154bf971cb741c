//! Checks that the VM, NIFs and port programs find their libraries on the run image.

use super::programs::{self, Program};
use super::resolver::Resolver;
use super::{BootCheck, Finding, entries};
use messages::BootFault;
use planning::RunImage;
use std::path::Path;
use toolchain::linkage::Linkage;

/// The file in which an app lists the packages that heroku-buildpack-apt installs, and where to.
const APT: [&str; 2] = ["Aptfile", ".apt"];

/// Checks every file of the VM and of applications. Finds nothing if it isn't known which image runs the app.
pub(super) fn check(check: &BootCheck<'_>) -> Vec<Finding> {
    let (stack, is_certain) = match check.run_image {
        RunImage::Unknown => return Vec::new(),
        RunImage::Likely(stack) => (stack, false),
        RunImage::Certain(stack) => (stack, true),
    };
    let workspace = check.workspace;
    let programs = programs(check);
    let resolver = Resolver::new(
        (&workspace.app, Path::new(&check.plan.runtime_path)),
        (stack, check.plan.target.arch),
        workspace.environment.get("LD_LIBRARY_PATH").as_deref(),
    );
    let [aptfile, installed] = APT.map(|name| workspace.app.join(name).exists());
    let deps = workspace.real(Path::new(&app::facts::join(
        &check.plan.app_dir.value,
        "deps",
    )));
    let mut findings: Vec<Finding> = Vec::new();
    for program in &programs {
        let Some(linkage) = resolver.linkage(&program.path) else {
            continue;
        };
        let Some(fault) = resolver.fault(&program.path, &linkage) else {
            continue;
        };
        // The next checks are slow, and run only for files with a fault.
        if !program.is_used() || !is_real(&fault, program, &programs) {
            continue;
        }
        // A later buildpack may still install what the Aptfile lists.
        let may_come = aptfile && !installed;
        let is_fatal =
            is_certain && !may_come && keeps_from_booting(&fault, program, &linkage, &deps);
        if !findings.iter().any(|other| is_same(&other.fault, &fault)) {
            findings.push(Finding { is_fatal, fault });
        }
    }
    findings
}

/// The files of the release if there is one, and else those of `_build`; and those of Erlang in the slug.
fn programs(check: &BootCheck<'_>) -> Vec<Program> {
    let workspace = check.workspace;
    let release = check.built.release_dir.as_ref();
    let mut programs = if let Some(release) = release.map(|dir| workspace.real(dir)) {
        let of_vm = programs::of_runtime(&release);
        [of_vm, programs::of_applications(&release.join("lib"))].concat()
    } else {
        let build = format!("_build/{}/lib", check.plan.mix_env.value);
        let lib = app::facts::join(&check.plan.app_dir.value, &build);
        programs::of_applications(&workspace.real(Path::new(&lib)))
    };
    // A release that ships alone has its own Erlang. Of OTP's applications, only crypto is checked, since no app has
    // a network connection without it. Libraries of others, such as odbc and wx, may be missing from every image.
    let erlang = workspace.real(&workspace.places.erlang);
    programs.extend(programs::of_runtime(&erlang));
    let applications = entries(&erlang.join("lib")).into_iter();
    let crypto = applications.filter(|dir| programs::name_of(dir) == Some("crypto"));
    programs.extend(crypto.flat_map(|dir| programs::of_application(&dir)));
    programs
}

/// Whether a fault matters for a file that is used. Packages ship variants of a file for several systems, and only
/// one fits.
fn is_real(fault: &BootFault, program: &Program, all: &[Program]) -> bool {
    matches!(
        fault,
        BootFault::LibraryMissing {
            package: Some(_),
            ..
        }
    ) || !program.has_variants(all)
}

/// Whether the app can't boot or work with this fault. The VM loads NIFs with their modules, and a release loads
/// those at start. A port program may never be started.
fn keeps_from_booting(
    fault: &BootFault,
    program: &Program,
    linkage: &Linkage,
    deps: &Path,
) -> bool {
    let is_known = match fault {
        // `LD_LIBRARY_PATH` may be set only at run time.
        BootFault::LibraryMissing { package, .. } => package.is_some(),
        BootFault::LibraryTooOld { .. } | BootFault::WrongArchitecture { .. } => true,
        BootFault::ModuleUnusable { .. } | BootFault::ReleaseNotBuilt { .. } => false,
    };
    let is_loaded = program.application.is_none() || linkage.is_nif;
    let starts = is_loaded && program.starts(deps);
    is_known && starts
}

/// Whether two files lack the same library: one message is enough.
fn is_same(one: &BootFault, other: &BootFault) -> bool {
    match (one, other) {
        (
            BootFault::LibraryMissing { library: one, .. },
            BootFault::LibraryMissing { library: other, .. },
        ) => one == other,
        _ => one == other,
    }
}

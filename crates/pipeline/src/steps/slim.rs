//! Leaving out of the slug what no dyno can use. Everything that is left out is told, with its size.

use crate::context::Context;
use crate::steps::project::Project;
use crate::steps::release::Release;
use crate::workspace::is_own;
use app::plan::Slim;
use app::text_file;
use exec::log::StepLog;
use exec::progress::megabytes;
use messages::Error;
use std::fs;
use std::path::{Path, PathBuf};
use store::tree::{self, TreeError};
use toolchain::unneeded::{self, Tool};

/// What stays of the `.git` of a dependency: mix asks git for the commit that is checked out, and
/// where it came from, whenever it starts. gitrepository-layout(5) has what makes it a repository.
const OF_GIT: [&str; 3] = ["HEAD", "config", "packed-refs"];

/// At the top of an app whose release is all that it needs.
const STAYS_BESIDE_A_RELEASE: [&str; 6] = [
    "Procfile",
    "app.json",
    ".profile",
    ".profile.d",
    ".mixpack",
    ".buildpacks",
];

impl Context<'_> {
    pub(crate) fn slim(&self, project: &Project) -> Result<(), Error> {
        let log = self.log.step("Pruning files not needed at run time");
        self.path.bring_in()?;
        let mut all = self.of_releases(project, &log)?;
        if self.release_can_stand_alone(project, &log) {
            all += self.all_but_the_release(project, &log)?;
        } else {
            all += self.of_tools(&log)?;
            all += self.of_dependencies(&log)?;
            all += self.of_javascript(&log)?;
        }
        if all == 0 {
            log.detail("nothing to prune");
        }
        log.detail(&format!(
            "{} in total. Set MIXPACK_SLIM=none to keep everything",
            megabytes(all)
        ));
        Ok(())
    }

    /// Archives of releases, unless a process unpacks one.
    fn of_releases(&self, project: &Project, log: &StepLog<'_>) -> Result<u64, Error> {
        let procfile = self.procfile().unwrap_or_default();
        if procfile.0.values().any(|line| line.contains(".tar.gz")) {
            return Ok(0);
        }
        let tarballs = self.tarballs(project);
        let tarballs: Vec<PathBuf> = tarballs.iter().map(|t| self.workspace.real(t)).collect();
        leave_out("release: archive (.tar.gz)", &tarballs, log)
    }

    fn of_tools(&self, log: &StepLog<'_>) -> Result<u64, Error> {
        let places = &self.workspace.places;
        let arch = self.plan.target.arch;
        let mut tools = vec![(
            "Erlang: headers, static libraries",
            &places.erlang,
            Tool::Otp,
        )];
        if self.plan.node.is_some() && !self.plan.node_given {
            let what = "Node.js: headers, npm's manual";
            tools.push((what, &places.node, Tool::Node(arch)));
        }
        let mut bytes = 0;
        for (what, place, tool) in tools {
            let root = self.workspace.real(place);
            if is_own(place) && root.is_dir() {
                let paths = unneeded::to_run(&root, tool);
                let paths = paths.map_err(TreeError::at(&root, "read"))?;
                bytes += leave_out(what, &paths, log)?;
            }
        }
        Ok(bytes)
    }

    fn of_dependencies(&self, log: &StepLog<'_>) -> Result<u64, Error> {
        let mut of_git = Vec::new();
        for git in self.git_dependencies() {
            // Whose links lead elsewhere is not of mix' making.
            let folders = ["", "objects", "refs"].map(|name| git.join(name));
            if !folders.iter().all(|folder| is_folder(folder)) {
                continue;
            }
            // On a branch the commit would stand elsewhere.
            let head = fs::read_to_string(git.join("HEAD")).unwrap_or_default();
            if !head.trim().bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue;
            }
            for path in entries(&git) {
                match path.file_name().and_then(|name| name.to_str()) {
                    Some(name) if OF_GIT.contains(&name) => {}
                    // They have to be there, and nothing in them.
                    Some("objects" | "refs") => of_git.extend(entries(&path)),
                    _ => of_git.push(path),
                }
            }
        }
        let hex = self.workspace.real(&self.workspace.places.hex_home);
        let packages = ["packages", "cache.ets"].map(|name| hex.join(name));
        let mut bytes = leave_out("dependencies: histories of git", &of_git, log)?;
        bytes += leave_out("Hex: archives of packages", &packages, log)?;
        Ok(bytes)
    }

    /// The `.git` of each dependency that came from git.
    fn git_dependencies(&self) -> Vec<PathBuf> {
        entries(&self.workspace.real(&self.in_app("deps")))
            .into_iter()
            .filter(|dependency| is_folder(dependency))
            .map(|dependency| dependency.join(".git"))
            .filter(|git| is_folder(git))
            .collect()
    }

    fn of_javascript(&self, log: &StepLog<'_>) -> Result<u64, Error> {
        if self.node_modules_ship() {
            if let (Some(why), true) = (&self.plan.node_use, self.plan.node.is_some()) {
                log.detail(&format!(
                    "keeping node_modules and npm because {why} runs Node.js. If it doesn't, set remove_node=true"
                ));
            }
            return Ok(0);
        }
        let mut bytes = 0;
        for assets in &self.plan.assets {
            for modules in assets.modules() {
                let place = self.workspace.real(Path::new(&modules));
                bytes += leave_out(&modules, &[place], log)?;
            }
        }
        let place = &self.workspace.places.node;
        if self.plan.node.is_some() && !self.plan.node_given && is_own(place) {
            let node = self.workspace.real(place);
            let npm = ["bin/npm", "bin/npx", "bin/corepack", "lib/node_modules"]
                .map(|name| node.join(name));
            bytes += leave_out("Node.js: npm", &npm, log)?;
        }
        Ok(bytes)
    }

    /// Whether what npm installed is in the slug, and why.
    pub(crate) fn node_modules_ship(&self) -> bool {
        !self.plan.remove_node && (self.plan.slim == Slim::None || self.plan.node_use.is_some())
    }

    /// A release without a runtime of its own (`include_erts: false`) runs on the one in the slug.
    fn release_can_stand_alone(&self, project: &Project, log: &StepLog<'_>) -> bool {
        let release = project.release.as_ref();
        let Some(release) = release.filter(|_| self.plan.release_alone) else {
            return false;
        };
        let has_runtime = self.has_runtime(release);
        if !has_runtime {
            log.warning("the release doesn't include Erlang, so the slug keeps it");
        }
        has_runtime
    }

    /// Whether slimming leaves the release alone.
    pub(crate) fn release_stands_alone(&self, release: Option<&Release>) -> bool {
        self.plan.release_alone && release.is_some_and(|release| self.has_runtime(release))
    }

    fn has_runtime(&self, release: &Release) -> bool {
        entries(&self.made(&release.dir))
            .iter()
            .filter_map(|path| path.file_name())
            .any(|name| name.to_string_lossy().starts_with("erts-"))
    }

    fn all_but_the_release(&self, project: &Project, log: &StepLog<'_>) -> Result<u64, Error> {
        let build = self.in_app("_build");
        let compiled = build.join(&self.plan.mix_env.value);
        let mut stays: Vec<PathBuf> = STAYS_BESIDE_A_RELEASE.map(PathBuf::from).into();
        stays.extend([self.in_app("Procfile"), compiled.join("rel")]);
        for dir in self.release_dirs(project) {
            // By way of a link it is elsewhere in the app.
            let real = self.workspace.real(&dir).canonicalize();
            let real = real.ok().and_then(|real| {
                let inside = real.strip_prefix(&self.workspace.app).ok()?;
                Some(inside.to_owned())
            });
            stays.extend(real.filter(|real| *real != dir));
            stays.push(dir);
        }
        stays.retain(|path| self.workspace.real(path).exists());
        let mut others = Vec::new();
        self.beside(Path::new(""), &stays, &mut others);
        let bytes = leave_out("everything but the release", &others, log)?;
        // Processes start in it, also where the release is elsewhere.
        let app_dir = self.workspace.real(Path::new(&self.plan.app_dir.value));
        fs::create_dir_all(&app_dir).map_err(TreeError::at(&app_dir, "create the folder"))?;
        Ok(bytes)
    }

    /// What is in a folder of the app, and neither stays nor leads to what stays.
    fn beside(&self, folder: &Path, stays: &[PathBuf], others: &mut Vec<PathBuf>) {
        for path in entries(&self.workspace.real(folder)) {
            let name = path.file_name().unwrap_or_default();
            let here = folder.join(name);
            let at_top = folder.as_os_str().is_empty();
            if stays.contains(&here) || at_top && self.is_called(&name.to_string_lossy()) {
                continue;
            }
            if stays.iter().any(|stays| stays.starts_with(&here)) {
                if is_folder(&path) {
                    self.beside(&here, stays, others);
                }
            } else {
                others.push(path);
            }
        }
    }

    /// Whether the Procfile speaks of something at the top of the app: a script of the user's.
    fn is_called(&self, name: &str) -> bool {
        let procfile = text_file::read(&self.workspace.real(Path::new("Procfile")));
        procfile.is_ok_and(|text| {
            text.split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)))
                .any(|word| word == name)
        })
    }
}

/// What git knows of each dependency that came from it, relative to the app.
pub(crate) fn git_configs(app: &Path, deps: &str) -> Vec<PathBuf> {
    let dependencies = entries(&app.join(deps)).into_iter();
    dependencies
        .filter_map(|path| Some(Path::new(deps).join(path.file_name()?).join(".git/config")))
        .filter(|config| app.join(config).is_file())
        .collect()
}

/// Removes paths and says what they held.
fn leave_out(what: &str, paths: &[PathBuf], log: &StepLog<'_>) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in paths {
        bytes += tree::measure(path).bytes;
        tree::remove(path)?;
    }
    if bytes > 0 {
        log.detail(&format!("{what:<44} {:>9}", megabytes(bytes)));
    }
    Ok(bytes)
}

/// Itself, and not by way of a link.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

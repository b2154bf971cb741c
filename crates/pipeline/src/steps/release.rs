//! The release: where mix assembles it, and how it starts.

use crate::context::Context;
use crate::mix_info::{CODE_PATHS_TASK, DISTILLERY, MixInfo};
use crate::project::{Project, Release};
use crate::steps::mix_command;
use app::facts::{DISTILLERY_CONFIG, PROCFILE, Procfile, join};
use exec::Action;
use exec::log::{StepLog, seconds};
use messages::Error;
use planning::record::Record;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use store::tree::{self, TreeError};

/// The file that every release has, relative to its directory.
const START_ERL: &str = "releases/start_erl.data";

/// Decides where the release is assembled: in mix's directory, unless it wouldn't ship from there.
pub(crate) fn plan_release(
    ctx: &Context<'_>,
    name: &str,
    mix_info: &MixInfo,
    log: &StepLog<'_>,
) -> Release {
    let path = mix_info.release_path(name);
    let (dir, moved) = match place_in_slug(ctx, &path, mix_info) {
        Ok(dir) => (dir, false),
        Err(why) => {
            let rel = format!("_build/{}/rel/{name}", ctx.plan.mix_env.value);
            let dir = ctx.in_app(&rel);
            log.warning(&format!(
                "mix would assemble the release {name} in {}, {why}; assembling it in {} instead",
                path.display(),
                dir.display()
            ));
            (dir, true)
        }
    };
    let name = name.to_owned();
    Release {
        name,
        dir,
        moved,
        is_new: false,
        start: None,
    }
}

/// Returns a directory relative to the root of the repository, or the reason why a release there can't ship.
fn place_in_slug(ctx: &Context<'_>, path: &Path, mix_info: &MixInfo) -> Result<PathBuf, String> {
    let inside = |path: &Path| path.strip_prefix(&ctx.dir).map(Path::to_owned);
    let Ok(dir) = inside(path) else {
        return Err("outside of the app's folder, which alone ships".to_owned());
    };
    let compiled = inside(&mix_info.build_path.join("lib")).ok();
    let projects = ctx.plan.projects.iter().map(PathBuf::from);
    let own = projects.chain(compiled).chain([ctx.in_app("deps")]);
    if own.into_iter().any(|own| own.starts_with(&dir)) {
        return Err("among the app's own files".to_owned());
    }
    if let Some(to) = ctx.bounds.target_outside(&dir) {
        return Err(format!("a link that leads to {}", to.display()));
    }
    let command = path_from_app_dir(&ctx.plan.app_dir.value, &dir);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if !command.chars().all(is_plain) {
        return Err("a path that a process type can't hold".to_owned());
    }
    Ok(dir)
}

/// Whether Distillery builds the release. mix builds the releases that `mix.exs` defines.
pub(crate) fn uses_distillery(ctx: &Context<'_>, mix_info: &MixInfo) -> bool {
    let config = ctx.workspace.real(&ctx.in_app(DISTILLERY_CONFIG));
    mix_info.releases.is_empty() && mix_info.has_task(DISTILLERY) && config.is_file()
}

/// Builds a release with Distillery. Only the result shows which release it is.
fn distillery_release(ctx: &Context<'_>, project: &Project) -> Result<Option<Release>, Error> {
    let log = ctx.log.step("Building the release");
    log.detail(&format!(
        "{DISTILLERY_CONFIG} is there, and mix.exs defines no release"
    ));
    let shown = format!("mix {DISTILLERY} --no-tar");
    log.detail(&format!("$ {shown}"));
    let tasks: [&[&str]; 3] = [&["compile"], &[CODE_PATHS_TASK], &[DISTILLERY, "--no-tar"]];
    let rel = ctx.in_app(&format!("_build/{}/rel", ctx.plan.mix_env.value));
    let is_new = newest_release(&ctx.mix_path(&rel)).is_none();
    mix_command::mix(ctx, Action::Release, &tasks, &shown, &log)?;
    let Some(name) = newest_release(&ctx.mix_path(&rel)) else {
        if has_own_web(ctx) {
            return Ok(None);
        }
        return Err(Error::DistilleryReleaseMissing {
            rel: rel.to_string_lossy().into_owned(),
            config: join(&ctx.plan.app_dir.value, DISTILLERY_CONFIG),
        });
    };
    let dir = rel.join(&name);
    let bin = path_from_app_dir(&ctx.plan.app_dir.value, &dir.join("bin"));
    let command = format!("{bin}/{name} foreground");
    let start = Some(mix_command::web(ctx, project, &command, &log));
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok(Some(Release {
        name,
        dir,
        moved: false,
        is_new,
        start,
    }))
}

/// Assembles the release. Returns it, or `None` without one.
pub(crate) fn assemble(ctx: &Context<'_>, project: &Project) -> Result<Option<Release>, Error> {
    let info = &project.info;
    if uses_distillery(ctx, info) {
        return distillery_release(ctx, project);
    }
    let Some(release) = &project.release else {
        return Ok(None);
    };
    let log = ctx.log.step("Building the release");
    let place = ctx.mix_path(&release.dir);
    let is_new = fs::read_dir(&place).map_or(true, |mut entries| entries.next().is_none());
    restore_cookie(ctx, release)?;
    // mix accepts only names of releases in mix.exs. Without any, it assembles a default release.
    let mut args = vec!["release"];
    if info.releases.iter().any(|r| r.name == release.name) {
        args.push(&release.name);
    }
    args.push("--overwrite");
    let path = place.to_string_lossy();
    if release.moved {
        args.extend(["--path", &path]);
    }
    ctx.tool(Action::Release, "mix", &args, &ctx.app_dir, &log)?;
    ctx.path.replace_copied_links()?;
    save_cookie(ctx, release)?;
    let command = start_command(ctx, release, info, &log)?;
    let start = Some(mix_command::web(ctx, project, &command, &log));
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok(Some(Release {
        is_new,
        start,
        ..release.clone()
    }))
}

/// Returns the command that starts a release: `bin/server` if an overlay provides it.
fn start_command(
    ctx: &Context<'_>,
    release: &Release,
    info: &MixInfo,
    log: &StepLog<'_>,
) -> Result<String, Error> {
    let (name, place) = (&release.name, ctx.mix_path(&release.dir));
    let bin = format!(
        "{}/bin",
        path_from_app_dir(&ctx.plan.app_dir.value, &release.dir)
    );
    let server = place.join("bin/server");
    if server.is_file() {
        let text = fs::read_to_string(&server).unwrap_or_default();
        let executable = |file: &fs::Metadata| file.permissions().mode() & 0o111 != 0;
        if !server.metadata().is_ok_and(|found| executable(&found)) {
            log.warning(&format!(
                "{bin}/server is not executable, so web starts {bin}/{name}. Make the overlay executable and commit that: \
                 git update-index --chmod=+x rel/overlays/bin/server"
            ));
        } else if let Some(other) = other_started_release(&text, name, info) {
            log.detail(&format!(
                "{bin}/server starts the release {other}, so web starts {bin}/{name}"
            ));
        } else {
            return Ok(format!("{bin}/server"));
        }
    }
    let start = format!("{bin}/{name}");
    if !place.join("bin").join(name).is_file() && !has_own_web(ctx) {
        let path = release.dir.join("bin").join(name);
        return Err(Error::ReleaseMissing {
            name: name.clone(),
            path: path.to_string_lossy().into_owned(),
            mix_exs: join(&ctx.plan.app_dir.value, "mix.exs"),
        });
    }
    Ok(format!("{start} start"))
}

fn has_own_web(ctx: &Context<'_>) -> bool {
    let procfile = procfile(ctx);
    procfile.is_some_and(|procfile| procfile.0.contains_key("web"))
}

/// Returns the `Procfile` in use.
pub(crate) fn procfile(ctx: &Context<'_>) -> Option<Procfile> {
    let of_app = ctx.plan.app_procfile.clone();
    of_app.or_else(|| {
        let text = fs::read_to_string(ctx.workspace.real(Path::new(PROCFILE))).ok()?;
        Some(Procfile::parse(&text))
    })
}

/// Returns the current path of a file that this build created: below the stable path, until its files are moved to
/// the build directory.
pub(crate) fn current_path(ctx: &Context<'_>, place: &Path) -> PathBuf {
    let stable = ctx.mix_path(place);
    if stable.exists() {
        stable
    } else {
        ctx.workspace.real(place)
    }
}

/// The directories of all releases that mix can assemble and that would ship: a hook may have assembled any of them.
pub(crate) fn release_dirs(ctx: &Context<'_>, project: &Project) -> Vec<PathBuf> {
    let mix_info = &project.info;
    let paths = mix_info
        .release_names()
        .map(|name| mix_info.release_path(name));
    let places = paths.filter_map(|path| place_in_slug(ctx, &path, mix_info).ok());
    let planned = project.release.as_ref().map(|release| release.dir.clone());
    let mut dirs: Vec<PathBuf> = places.chain(planned).collect();
    dirs.sort();
    dirs.dedup();
    dirs
}

/// The archives of releases (`steps: [:assemble, :tar]`), relative to the root. mix puts them next to `rel` in its
/// build path, or into a release with a `path:` (`make_tar/1` in lib/mix/lib/mix/tasks/release.ex).
pub(crate) fn tarballs(ctx: &Context<'_>, project: &Project) -> Vec<PathBuf> {
    let mix_info = &project.info;
    let mut tarballs = Vec::new();
    let build_path = mix_info.build_path.strip_prefix(&ctx.dir).ok();
    let folders = build_path.map(Path::to_owned).into_iter();
    for folder in folders.chain(release_dirs(ctx, project)) {
        let entries = fs::read_dir(current_path(ctx, &folder))
            .into_iter()
            .flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for file in names {
            let is_one = |name: &str| {
                let release = current_path(ctx, &dir_of(name, project));
                is_tarball(&file, name, &release)
            };
            if mix_info.release_names().any(is_one) {
                tarballs.push(folder.join(file));
            }
        }
    }
    tarballs
}

/// Removes a release that an earlier build left in this directory, since it is not a source file of this build.
pub(crate) fn remove_old_release(ctx: &Context<'_>) -> Result<(), Error> {
    let app = &ctx.workspace.app;
    let Some(dir) = Record::of_slug(app).and_then(|record| record.release_dir) else {
        return Ok(());
    };
    let dir = Path::new(&dir);
    let place = app.join(dir);
    let is_release = dir.is_relative() && place.join(START_ERL).is_file();
    let own = ctx
        .plan
        .projects
        .iter()
        .any(|own| Path::new(own).starts_with(dir));
    if is_release && !own && ctx.bounds.target_outside(dir).is_none() {
        tree::remove(&place)?;
    }
    Ok(())
}

/// Restores the release's cookie. mix generates a cookie unless it finds one (`make_cookie` in
/// lib/mix/lib/mix/release.ex). With the same cookie, an unchanged app gives an identical release, and nodes of two
/// deploys can connect.
fn restore_cookie(ctx: &Context<'_>, release: &Release) -> Result<(), Error> {
    let place = cookie(ctx, release);
    let saved = ctx.workspace.store.read_note(&cookie_note(release));
    if let (Some(saved), Some(folder)) = (saved, place.parent()) {
        fs::create_dir_all(folder).map_err(TreeError::at(folder, "create the folder"))?;
        fs::write(&place, saved).map_err(TreeError::at(&place, "write"))?;
    }
    Ok(())
}

/// Caches a cookie that mix generated. Any other cookie is the app's own, and may be the value of a config var.
fn save_cookie(ctx: &Context<'_>, release: &Release) -> Result<(), Error> {
    let cookie = fs::read_to_string(cookie(ctx, release)).unwrap_or_default();
    let is_random = cookie.len() == 56
        && cookie.ends_with("====")
        && ctx.workspace.environment.without_values(&cookie) == cookie;
    if is_random {
        let note = cookie_note(release);
        ctx.workspace.store.write_note(&note, &cookie)?;
    }
    Ok(())
}

fn cookie(ctx: &Context<'_>, release: &Release) -> PathBuf {
    ctx.mix_path(&release.dir).join("releases/COOKIE")
}

fn dir_of(name: &str, project: &Project) -> PathBuf {
    match &project.release {
        Some(release) if release.name == name => release.dir.clone(),
        _ => project.info.release_path(name),
    }
}

/// Converts a directory relative to the repository's root to a path relative to `app_dir`.
fn path_from_app_dir(app_dir: &str, dir: &Path) -> String {
    let below = match app_dir {
        "." => Some(dir.to_owned()),
        _ => dir.strip_prefix(app_dir).map(Path::to_owned).ok(),
    };
    let path = below.unwrap_or_else(|| {
        let up: PathBuf = Path::new(app_dir).components().map(|_| "..").collect();
        up.join(dir)
    });
    path.to_string_lossy().into_owned()
}

/// Returns the name of the release that was assembled last. A hook may have assembled others.
fn newest_release(rel: &Path) -> Option<String> {
    let entries = fs::read_dir(rel).into_iter().flatten();
    let releases = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let assembled = entry.path().join(START_ERL).metadata().ok()?;
        Some((
            assembled.modified().ok()?,
            entry.file_name().into_string().ok()?,
        ))
    });
    releases.max().map(|(_, name)| name)
}

fn cookie_note(release: &Release) -> String {
    format!("{}{}", store::COOKIE, release.name)
}

/// Returns the release that a `bin/server` starts, if it isn't `name`. Overlays are copied into every release, and
/// the script from `mix phx.gen.release` names one release.
fn other_started_release<'a>(script: &str, name: &str, mix_info: &'a MixInfo) -> Option<&'a str> {
    let words = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = |name: &str| script.split(words).any(|word| word == name);
    if names(name) {
        return None;
    }
    mix_info.release_names().find(|other| names(other))
}

/// Whether a file is the archive of a release: `shop-0.1.0.tar.gz`. A version may be any text.
fn is_tarball(file: &str, name: &str, release: &Path) -> bool {
    let version = file
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".tar.gz"));
    version.is_some_and(|version| {
        version.starts_with(|c: char| c.is_ascii_digit())
            || !version.is_empty() && release.join("releases").join(version).is_dir()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_path_is_relative_to_app_directory() {
        let seen = |app_dir: &str, dir: &str| path_from_app_dir(app_dir, Path::new(dir));
        assert_eq!(seen(".", "_build/prod/rel/a"), "_build/prod/rel/a");
        assert_eq!(seen("apps/back", "apps/back/out"), "out");
        assert_eq!(seen("apps/back", "out/a"), "../../out/a");
    }

    #[test]
    fn start_script_of_other_release_is_recognized() {
        let mix_info = MixInfo::parse("release\tshop\t\nrelease\tshop_admin\t\n");
        let starts = |script: &str| other_started_release(script, "shop_admin", &mix_info);
        assert_eq!(starts("#!/bin/sh\nexec ./shop start\n"), Some("shop"));
        assert_eq!(starts("exec ./shop_admin start\n"), None);
        assert_eq!(starts("exec \"./$RELEASE\" start\n"), None);
        let both = "case $X in a) exec ./shop start;; *) exec ./shop_admin start;; esac";
        assert_eq!(starts(both), None);
    }

    #[test]
    fn release_tarballs_match_name_and_version() {
        let release = tempfile::tempdir().unwrap();
        fs::create_dir_all(release.path().join("releases/nightly")).unwrap();
        let is = |file: &str| is_tarball(file, "shop", release.path());
        assert!(is("shop-0.1.0.tar.gz") && is("shop-2.0.0-rc.1+ab12.tar.gz"));
        assert!(is("shop-nightly.tar.gz"));
        assert!(!is("shop-assets.tar.gz") && !is("shop-.tar.gz"));
        assert!(!is("shop_admin-0.1.0.tar.gz") && !is("shop-0.1.0.zip"));
    }
}

//! Lists the components that ship, for the software bill of materials (SBOM).

use crate::component::{Component, Origin};
use crate::context::Context;
use crate::fetched;
use crate::project::Project;
use crate::steps::release;
use app::facts::mix_lock::{self, Source};
use app::facts::{join, js_lock};
use app::plan::Install;
use app::text_file;
use planning::record::Record;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Lists the components that ship. To be called when everything is built, before pruning.
pub(crate) fn components(ctx: &Context<'_>, project: &Project, runs_node: bool) -> Vec<Component> {
    let mut components = BTreeSet::new();
    let record = Record::of(ctx.plan, planning::record::VERSION);
    for (name, version) in &record.tools {
        if ["erlang", "elixir"].contains(&name.as_str()) || name == "node" && runs_node {
            components.insert(Component {
                name: name.clone(),
                version: version.clone(),
                origin: Origin::Toolchain,
            });
        }
    }
    components.extend(locked_by_mix(ctx, project));
    for assets in &ctx.plan.assets {
        if let Some(install) = &assets.install {
            components.extend(locked_by_npm(ctx, install));
        }
    }
    components.into_iter().collect()
}

/// The compiled dependencies of the release, or of the project without one.
fn locked_by_mix(ctx: &Context<'_>, project: &Project) -> Vec<Component> {
    let lock = ctx.workspace.real(&ctx.in_app("mix.lock"));
    let lock = text_file::read(&lock).unwrap_or_default();
    let shipped = shipped_apps(ctx, project);
    mix_lock::parse(&lock)
        .into_iter()
        .filter(|locked| shipped.contains(&locked.app))
        .map(|locked| match locked.from {
            Source::Hex {
                package,
                version,
                repository,
                inner_sha256,
                sha256,
            } => Component {
                name: package,
                version,
                origin: Origin::Hex {
                    repository,
                    inner_sha256,
                    sha256,
                },
            },
            Source::Git { url, commit } => Component {
                name: locked.app,
                version: commit,
                origin: Origin::Git {
                    url: fetched::public_url(&ctx.workspace.environment, &url),
                },
            },
        })
        .collect()
}

fn shipped_apps(ctx: &Context<'_>, project: &Project) -> BTreeSet<String> {
    let folder = match &project.release {
        Some(release) => release.dir.join("lib"),
        None => ctx.in_app(&format!("_build/{}/lib", ctx.plan.mix_env.value)),
    };
    let entries = fs::read_dir(release::current_path(ctx, &folder));
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // Releases name directories `phoenix-1.8.1`. Application names contain no dash.
        .map(|name| name.split('-').next().unwrap_or_default().to_owned())
        .collect()
}

/// Returns the installed packages that aren't only for development. They may be part of the assets, or ship in
/// `node_modules`.
fn locked_by_npm(ctx: &Context<'_>, install: &Install) -> Vec<Component> {
    let in_folder = |name: &str| {
        let path = join(&install.dir, name);
        text_file::read(&ctx.workspace.real(Path::new(&path))).unwrap_or_default()
    };
    // A lockfile that wasn't pushed exists by now.
    let lockfile = match &install.lockfile {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => install.manager.manager.lockfile(),
    };
    js_lock::parse(lockfile, &in_folder(lockfile), &in_folder("package.json"))
        .into_iter()
        .map(|locked| Component {
            name: locked.name,
            version: locked.version,
            origin: Origin::Npm {
                integrity: locked.integrity,
            },
        })
        .collect()
}

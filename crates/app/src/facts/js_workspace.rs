//! JavaScript workspaces: a `package.json` or `pnpm-workspace.yaml` names the directory of the assets as
//! a member. The lockfile of all members is at its root, and packages are installed there.

use super::error::ReadError;
use super::files::optional;
use super::js_package::{self, JsPackage, Member, Workspace};
use super::package_json::PackageJson;
use super::package_manager::Manager;
use super::paths::join;
use super::{node_sass, webpack};
use fast_glob::glob_match;
use saphyr_parser::{Event, Parser};
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

/// pnpm's file with the members of a workspace.
const PNPM_WORKSPACE: &str = "pnpm-workspace.yaml";

/// Returns the package in a directory, with its workspace.
pub(super) fn package(
    dir: &Path,
    app: &str,
    folder: &str,
    has_static_config: bool,
) -> Result<Option<JsPackage>, ReadError> {
    let Some(text) = optional(dir, &join(folder, "package.json"))? else {
        return Ok(None);
    };
    let mut package = js_package::parse(dir, folder, &text, has_static_config)?;
    let manager_of = |package: &JsPackage| {
        let lockfile = package.lockfiles.first();
        lockfile.map(|name| Manager::of_lockfile(name))
    };
    let Some(mut workspace) = workspace(dir, app, &package, has_static_config)? else {
        return Ok(Some(package));
    };
    // A member with a lockfile of another package manager is not installed with the others.
    let own = manager_of(&package);
    if own.is_none() || own == manager_of(&workspace.root) {
        let root = &mut workspace.root;
        root.manager = root.manager.take().or_else(|| package.manager.clone());
        if let Some(name) = root.lockfiles.first() {
            let lock = optional(dir, &join(&root.dir, name))?;
            package.webpack = webpack::installed(&package.json, lock.as_deref());
            package.node_sass = node_sass::installed(&package.json, lock.as_deref());
        }
        package.workspace = Some(workspace);
    }
    Ok(Some(package))
}

/// Returns the nearest workspace in the directory of a package or above it, within the repository.
fn workspace(
    dir: &Path,
    app: &str,
    package: &JsPackage,
    has_static_config: bool,
) -> Result<Option<Workspace>, ReadError> {
    let deps = join(app, "deps");
    for above in Path::new(&package.dir).ancestors() {
        let above = match above.to_str() {
            Some("") | None => ".",
            Some(above) => above,
        };
        let pnpm_workspace = optional(dir, &join(above, PNPM_WORKSPACE))?;
        let json = optional(dir, &join(above, "package.json"))?;
        if json.is_none() && pnpm_workspace.is_none() {
            continue;
        }
        // The root of a pnpm workspace needs no package.json. An invalid one above declares nothing.
        let json = json.unwrap_or_else(|| "{}".to_owned());
        let Ok(root) = js_package::parse(dir, above, &json, has_static_config) else {
            continue;
        };
        let pnpm_workspace = pnpm_workspace.as_deref();
        let found = Workspace::declared(dir, &deps, root, pnpm_workspace, &package.dir);
        if found.is_some() || pnpm_workspace.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl Workspace {
    /// Returns the workspace that is declared by the package in `root` and the text of the `pnpm-workspace.yaml` next
    /// to it, if `folder` is part of it. `deps` is the directory of fetched dependencies.
    fn declared(
        top: &Path,
        deps: &str,
        root: JsPackage,
        pnpm_workspace: Option<&str>,
        folder: &str,
    ) -> Option<Self> {
        let locked = root.lockfiles.first();
        let manager = locked.map(|name| Manager::of_lockfile(name));
        let manager = manager.or_else(|| root.declared_manager());
        // Only pnpm reads `pnpm-workspace.yaml`, and it reads nothing else.
        let by_pnpm = manager.map_or(pnpm_workspace.is_some(), |named| named == Manager::Pnpm);
        let (patterns, file) = if by_pnpm {
            (packages_of_yaml(pnpm_workspace?), PNPM_WORKSPACE)
        } else {
            (root.json.workspaces(), "package.json")
        };
        let patterns = Patterns::of(&patterns);
        let inside = relative(&root.dir, folder)?;
        if patterns.positive.is_empty() || inside != "." && !patterns.includes(inside) {
            return None;
        }
        let deps = relative(&root.dir, deps);
        Some(Self {
            members: members(top, &root.dir, &patterns, deps),
            declared_by: join(&root.dir, file),
            includes_deps: deps.is_some_and(|deps| patterns.includes(&join(deps, "any"))),
            root: Box::new(root),
        })
    }
}

/// Returns the directory relative to `root`, if it is `root` or below.
fn relative<'a>(root: &str, folder: &'a str) -> Option<&'a str> {
    match root {
        "." => Some(folder),
        _ if folder == root => Some("."),
        _ => folder.strip_prefix(root)?.strip_prefix('/'),
    }
}

/// The globs of a workspace, relative to its root.
struct Patterns {
    positive: Vec<String>,
    negative: Vec<String>,
}

impl Patterns {
    fn of(patterns: &[String]) -> Self {
        let plain = |pattern: &str| {
            let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
            pattern.trim_end_matches('/').to_owned()
        };
        let (negative, positive): (Vec<&String>, Vec<&String>) = patterns
            .iter()
            .partition(|pattern| pattern.starts_with('!'));
        Self {
            positive: positive.into_iter().map(|p| plain(p)).collect(),
            negative: negative.into_iter().map(|p| plain(&p[1..])).collect(),
        }
    }

    /// Whether the patterns include a directory. `apps/**` includes `apps`, since package managers search for a
    /// `package.json` in each.
    fn includes(&self, folder: &str) -> bool {
        let file = format!("{folder}/package.json");
        let is_one = |pattern: &String| glob_match(format!("{pattern}/package.json"), &file);
        self.positive.iter().any(is_one) && !self.negative.iter().any(is_one)
    }
}

fn members(top: &Path, root: &str, patterns: &Patterns, deps: Option<&str>) -> Vec<Member> {
    let is_searched = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        // Globs of package managers skip hidden directories and installed packages. mix compiles to `_build`.
        let is_skipped = ["node_modules", "_build"].contains(&&*name);
        entry.depth() == 0 || !(name.starts_with('.') || is_skipped)
    };
    let place = top.join(root);
    let walk = WalkDir::new(&place).sort_by_file_name().into_iter();
    let files = walk
        .filter_entry(is_searched)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() == "package.json" && entry.depth() > 1);
    let found = files.filter_map(|entry| {
        let folder = entry.path().parent()?.strip_prefix(&place).ok()?.to_str()?;
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        patterns.includes(folder).then(|| Member {
            dir: join(root, folder),
            json: PackageJson::parse(&text).ok(),
        })
    });
    let mut members: Vec<Member> = found.collect();
    // Mix dependencies are fetched before packages are installed.
    let in_deps = patterns.positive.iter().filter(|pattern| {
        let is_glob = pattern.contains(['*', '?', '[', '{', '\\']);
        deps.is_some_and(|deps| Path::new(pattern).starts_with(deps)) && !is_glob
    });
    for folder in in_deps {
        let dir = join(root, folder);
        if !members.iter().any(|member| member.dir == dir) {
            members.push(Member { dir, json: None });
        }
    }
    members
}

/// The list `packages` at the top of a `pnpm-workspace.yaml` (<https://pnpm.io/pnpm-workspace_yaml>). pnpm itself
/// reports invalid YAML.
fn packages_of_yaml(text: &str) -> Vec<String> {
    let mut packages = Vec::new();
    let mut depth = 0;
    let mut is_key = true;
    let mut key = String::new();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((Event::MappingStart(..) | Event::SequenceStart(..), _)) => depth += 1,
            Ok((Event::MappingEnd | Event::SequenceEnd, _)) => {
                depth -= 1;
                is_key = true;
            }
            Ok((Event::Scalar(value, ..), _)) if depth == 1 => {
                if is_key {
                    key = value.into_owned();
                }
                is_key = !is_key;
            }
            Ok((Event::Scalar(value, ..), _)) if depth == 2 && key == "packages" => {
                packages.push(value.into_owned());
            }
            Ok(_) => {}
            Err(_) => return Vec::new(),
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_workspace_packages_in_every_yaml_style() {
        for text in [
            "packages:\n  - assets\n  - \"packages/*\"\n  - '!**/test/**'\n",
            "# members\nlinkWorkspacePackages: true\npackages: [assets, 'packages/*', \"!**/test/**\"] # all\n",
            "catalog:\n  packages: 1.0.0\noverrides: {packages: 2.0.0}\npackages:\n- assets\n- packages/*\n- '!**/test/**'\nonlyBuiltDependencies:\n- esbuild\n",
        ] {
            let packages = packages_of_yaml(text);
            assert_eq!(packages, ["assets", "packages/*", "!**/test/**"], "{text}");
        }
        for nothing in [
            "",
            "catalog:\n  packages: [x]\n",
            "packages: [",
            "packages:\n",
        ] {
            assert!(packages_of_yaml(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn workspace_globs_match_like_package_managers() {
        let names = |patterns: &[&str], folder: &str| {
            let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
            Patterns::of(&patterns).includes(folder)
        };
        for (patterns, folder, named) in [
            (&["assets"][..], "assets", true),
            (&["./assets/"], "assets", true),
            (&["/assets"], "assets", true),
            (&["packages/*"], "packages/greet", true),
            (&["packages/*"], "packages/a/b", false),
            (&["apps/**"], "apps", true),
            (&["apps/**"], "apps/web/assets", true),
            (&["apps/*/assets"], "apps/web/assets", true),
            (&["{assets,ui}"], "ui", true),
            (&["packages/*"], "assets", false),
            (&["asset"], "assets", false),
            (&["*", "!assets"], "assets", false),
            (&["*", "!ui"], "assets", true),
        ] {
            assert_eq!(names(patterns, folder), named, "{patterns:?} {folder}");
        }
    }
}

//! The installation of JavaScript dependencies, and the inputs that determine `node_modules`.

use super::PlanError;
use super::package_manager::{NpmOf, PackageManager};
use crate::facts::{JsPackage, LOCKFILES, PackageJson, Workspace, join};
use crate::settings::Settings;
use serde::Serialize;

/// The installation of the JavaScript dependencies in one directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// The directory with `package.json`, or the root of a workspace.
    pub dir: String,
    /// That directory, and those of a workspace's members: each may get a `node_modules`.
    pub packages: Vec<String>,
    pub manager: PackageManager,
    /// The lockfile that it follows.
    pub lockfile: Option<String>,
    /// `npm ci`, `yarn install --frozen-lockfile` or an equivalent.
    pub command: Vec<String>,
    pub why: String,
    /// The files and directories, relative to the app, that determine the installed packages; or the
    /// reason why they are unknown, so that every build installs.
    pub inputs: Result<Vec<String>, String>,
}

pub(super) fn install(
    package: &JsPackage,
    settings: &Settings,
    npm: NpmOf<'_>,
) -> Result<Install, PlanError> {
    let workspace = package.workspace.as_ref();
    let (source, workspace) = (workspace.map_or(package, |w| &w.root), workspace);
    let manager = PackageManager::choose(source, settings, npm)?;
    // Older versions don't support workspaces.
    if workspace.is_some() && manager.is_npm_before(7, 0) {
        let alone = JsPackage {
            workspace: None,
            ..package.clone()
        };
        let mut alone = install(&alone, settings, npm)?;
        alone
            .why
            .push_str("; npm supports workspaces from version 7 on");
        return Ok(alone);
    }
    // These versions only read `npm-shrinkwrap.json`.
    let is_read = |name: &&String| !(*name == "package-lock.json" && manager.is_npm_before(5, 0));
    let lockfile = source.lockfiles.iter().find(is_read);
    let lockfile = lockfile.map(|name| join(&source.dir, name));
    let command = manager.install(lockfile.is_some());
    let members = workspace.map_or(&[][..], |workspace| &workspace.members);
    let members = members.iter().map(|member| &member.dir);
    Ok(Install {
        inputs: inputs(source, workspace, &manager),
        why: why(source, workspace, &manager, lockfile.as_deref()),
        dir: source.dir.clone(),
        packages: [&source.dir].into_iter().chain(members).cloned().collect(),
        command,
        manager,
        lockfile,
    })
}

fn why(
    source: &JsPackage,
    workspace: Option<&Workspace>,
    manager: &PackageManager,
    lockfile: Option<&str>,
) -> String {
    let mut why = vec![match (lockfile, source.lockfiles.first()) {
        (Some(lockfile), _) => format!("found {lockfile}"),
        (None, Some(unread)) => format!("this npm ignores {}", join(&source.dir, unread)),
        (None, None) => "no lockfile".to_owned(),
    }];
    if !source.ignored_lockfiles.is_empty() {
        let ignored = source.ignored_lockfiles.join(", ");
        why.push(format!("ignoring {ignored}, as the static buildpack did"));
    }
    if let Some(workspace) = workspace {
        why.push(format!("{} declares a workspace", workspace.declared_by));
    }
    let npm = manager.npm.as_ref();
    if let Some(npm) = npm.filter(|_| manager.is_npm_before(5, 7)) {
        why.push(format!("npm {npm} has no `npm ci`"));
    }
    why.join("; ")
}

/// Returns the inputs that determine `node_modules`, apart from Node and the package manager.
fn inputs(
    package: &JsPackage,
    workspace: Option<&Workspace>,
    manager: &PackageManager,
) -> Result<Vec<String>, String> {
    const FILES_NEXT_TO_PACKAGE: [&str; 12] = [
        "package.json",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".yarn/patches",
        ".yarn/plugins",
        ".yarn/releases",
        ".pnpmfile.cjs",
        ".pnpmfile.mjs",
        "pnpm-workspace.yaml",
        "bunfig.toml",
        "patches",
    ];
    const FILES_IN_ROOT: [&str; 3] = [".npmrc", ".yarnrc", ".yarnrc.yml"];
    if package.lockfiles.is_empty() {
        return Err("no lockfile".to_owned());
    }
    // npm before 5.7 installs other versions than the locked ones if `package.json` requires them.
    if let Some(npm) = manager.npm.as_ref().filter(|_| manager.is_npm_before(5, 7)) {
        return Err(format!("npm {npm} does not always follow the lockfile"));
    }
    if let Some(workspace) = workspace.filter(|workspace| workspace.includes_deps) {
        let file = &workspace.declared_by;
        return Err(format!("{file} includes everything in deps"));
    }
    let members = workspace.map_or(&[][..], |workspace| &workspace.members);
    let none = PackageJson::default();
    let packages = members
        .iter()
        .map(|member| (&member.dir, member.json.as_ref().unwrap_or(&none)));
    let packages: Vec<(&String, &PackageJson)> = [(&package.dir, &package.json)]
        .into_iter()
        .chain(packages)
        .collect();
    let mut inputs: Vec<String> = FILES_IN_ROOT.map(str::to_owned).into();
    inputs.extend(
        package
            .lockfiles
            .iter()
            .map(|name| join(&package.dir, name)),
    );
    for (dir, json) in &packages {
        if let Some(script) = json.install_script() {
            return Err(format!("package.json has a `{script}` script"));
        }
        inputs.extend(FILES_NEXT_TO_PACKAGE.map(|name| join(dir, name)));
        for folder in json.folders() {
            let resolved = resolved(dir, folder);
            inputs.push(resolved.ok_or_else(|| format!("{folder} is outside the app"))?);
        }
    }
    for member in members {
        // pnpm may have a lockfile for each member.
        inputs.extend(LOCKFILES.map(|name| join(&member.dir, name)));
        // Other packages get copies of its files, or links to its programs.
        let is_needed = |name| packages.iter().any(|(_, json)| json.names(name));
        if member.name().is_none_or(is_needed) {
            inputs.push(member.dir.clone());
        }
    }
    inputs.sort();
    inputs.dedup();
    Ok(inputs)
}

/// Resolves `../deps/phoenix` in `assets` to `deps/phoenix`. Paths outside the app are `None`.
fn resolved(dir: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in dir.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Manager;
    use crate::origin::Origin;

    fn package(json: &str, lockfile: Option<&str>) -> JsPackage {
        JsPackage {
            dir: "assets".to_owned(),
            json: PackageJson::parse(json).unwrap(),
            node: Vec::new(),
            manager: None,
            lockfiles: lockfile.into_iter().map(str::to_owned).collect(),
            ignored_lockfiles: Vec::new(),
            lock_format: None,
            webpack: None,
            node_sass: None,
            dev_engines: Origin::file("assets/package.json", 0),
            workspace: None,
        }
    }

    #[test]
    fn inputs_of_node_modules_are_known_or_reason_is_given() {
        let lock = Some("package-lock.json");
        let json = r#"{"dependencies": {"phoenix": "file:../deps/phoenix", "a": "1.0.0"},
            "devDependencies": {"b": "./vendor/b"}, "scripts": {"postinstall": "patch-package"}}"#;
        let npm = PackageManager {
            manager: Manager::Npm,
            version: None,
            hash: None,
            berry: false,
            npm: None,
            source: Origin::Default("comes with Node.js".to_owned()),
        };
        let inputs_of = |json: &str, lock| inputs(&package(json, lock), None, &npm);
        let known = inputs_of(json, lock).unwrap();
        for path in [
            "assets/package.json",
            "assets/package-lock.json",
            "assets/patches",
            "assets/vendor/b",
            "deps/phoenix",
            ".npmrc",
        ] {
            assert!(known.iter().any(|input| input == path), "{path}");
        }
        for (json, lock, why) in [
            ("{}", None, "no lockfile"),
            (
                r#"{"scripts": {"postinstall": "patch-package && cp a b"}}"#,
                lock,
                "package.json has a `postinstall` script",
            ),
            (
                r#"{"dependencies": {"x": "file:../../x"}}"#,
                lock,
                "../../x is outside the app",
            ),
        ] {
            assert_eq!(inputs_of(json, lock), Err(why.to_owned()), "{json}");
        }
    }
}

//! How JavaScript dependencies are installed, and what decides the content of `node_modules`.

use super::PlanError;
use crate::facts::{JsPackage, join};
use crate::package_manager::PackageManager;
use crate::settings::Settings;
use serde::Serialize;

/// How the JavaScript dependencies of one folder are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// The folder with `package.json`.
    pub dir: String,
    pub manager: PackageManager,
    /// The lockfile that it keeps to.
    pub lockfile: Option<String>,
    /// `npm ci`, `yarn install --frozen-lockfile` and their like.
    pub command: Vec<String>,
    pub why: String,
    /// Files and folders, relative to the app, that decide what is installed; or why that cannot be
    /// told, so that it is installed in every build.
    pub inputs: Result<Vec<String>, String>,
}

pub(super) fn install(package: &JsPackage, settings: &Settings) -> Result<Install, PlanError> {
    let manager = PackageManager::choose(package, settings)?;
    let lockfile = package.lockfiles.first();
    let lockfile = lockfile.map(|name| join(&package.dir, name));
    let why = match (&lockfile, &package.ignored_lockfiles[..]) {
        (Some(lockfile), []) => format!("{lockfile} is there"),
        (Some(lockfile), ignored) => {
            let ignored = ignored.join(", ");
            format!("{lockfile} is there; ignoring {ignored}, as the static buildpack did")
        }
        (None, _) => "there is no lockfile".to_owned(),
    };
    Ok(Install {
        inputs: inputs(package),
        dir: package.dir.clone(),
        command: manager.install(lockfile.is_some()),
        manager,
        lockfile,
        why,
    })
}

/// What decides the content of `node_modules`, beside Node and the package manager.
fn inputs(package: &JsPackage) -> Result<Vec<String>, String> {
    const BESIDE: [&str; 11] = [
        "package.json",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".yarn/patches",
        ".yarn/plugins",
        ".yarn/releases",
        ".pnpmfile.cjs",
        "pnpm-workspace.yaml",
        "bunfig.toml",
        "patches",
    ];
    const AT_THE_TOP: [&str; 3] = [".npmrc", ".yarnrc", ".yarnrc.yml"];
    let json = &package.json;
    if package.lockfiles.is_empty() {
        return Err("there is no lockfile".to_owned());
    }
    if !json.workspaces.is_null() {
        return Err("there are workspaces".to_owned());
    }
    if let Some(script) = json.script_of_installing() {
        return Err(format!("there is a script `{script}`"));
    }
    let lockfiles = package.lockfiles.iter().map(String::as_str);
    let beside = lockfiles.chain(BESIDE).map(|name| join(&package.dir, name));
    let mut inputs: Vec<String> = beside.chain(AT_THE_TOP.map(str::to_owned)).collect();
    for folder in json.folders() {
        let resolved = resolved(&package.dir, folder);
        inputs.push(resolved.ok_or_else(|| format!("{folder} is outside of the app"))?);
    }
    inputs.sort();
    inputs.dedup();
    Ok(inputs)
}

/// `../deps/phoenix`, seen from `assets`, is `deps/phoenix`; nothing outside of the app is anything.
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
    use crate::package_json::PackageJson;

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
        }
    }

    #[test]
    fn what_decides_node_modules_is_known_or_why_not() {
        let lock = Some("package-lock.json");
        let json = r#"{"dependencies": {"phoenix": "file:../deps/phoenix", "a": "1.0.0"},
            "devDependencies": {"b": "./vendor/b"}, "scripts": {"postinstall": "patch-package"}}"#;
        let inputs_of = |json: &str, lock| inputs(&package(json, lock));
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
            ("{}", None, "there is no lockfile"),
            (r#"{"workspaces": ["x"]}"#, lock, "there are workspaces"),
            (
                r#"{"scripts": {"postinstall": "patch-package && cp a b"}}"#,
                lock,
                "there is a script `postinstall`",
            ),
            (
                r#"{"dependencies": {"x": "file:../../x"}}"#,
                lock,
                "../../x is outside of the app",
            ),
        ] {
            assert_eq!(inputs_of(json, lock), Err(why.to_owned()), "{json}");
        }
    }
}

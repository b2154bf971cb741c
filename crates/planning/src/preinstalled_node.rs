//! A Node.js that an earlier buildpack, such as heroku/nodejs, installed in the app.

use crate::record::Record;
use exec::cancel::Cancel;
use exec::environment::Environment;
use std::path::Path;
use std::process::Command;
use versions::node::NodeVersion;

/// The directory of heroku/nodejs and of the Phoenix static buildpack, relative to the app.
const DEFAULT_DIR: &str = ".heroku/node/bin";

/// Returns the versions of Node.js and of its npm, if it has one: those in the usual directory, or else in a
/// directory of `PATH` in the app or in a layer. A `node` of the system doesn't count, since the run image may lack
/// it.
#[must_use]
pub fn versions(
    app: &Path,
    environment: &Environment,
    cancel: &Cancel,
) -> Option<(NodeVersion, Option<NodeVersion>)> {
    // If the directory was built before, the Node.js in it is Mixpack's own.
    let is_own = Record::of_slug(app).is_some_and(|record| record.tools.contains_key("node"));
    if is_own {
        return None;
    }
    let path = environment.get("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .filter(|folder| folder.starts_with(app) || folder.starts_with("/layers"));
    std::iter::once(app.join(DEFAULT_DIR))
        .chain(folders)
        .find_map(|folder| {
            let node = query_version(&folder.join("node"), cancel)?;
            let npm = installed_version(&folder.join("../lib/node_modules/npm"));
            Some((node, npm.and_then(|npm| NodeVersion::parse(&npm).ok())))
        })
}

fn query_version(node: &Path, cancel: &Cancel) -> Option<NodeVersion> {
    let output = cancel
        .output(Command::new(node).arg("--version").env_clear())
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    NodeVersion::parse(text.trim()).ok()
}

/// The version in the `package.json` of an installed package.
pub fn installed_version(package: &Path) -> Option<String> {
    let text = std::fs::read_to_string(package.join("package.json")).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    json.get("version")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use exec::command::Env;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn node(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        let file = folder.join("node");
        fs::write(&file, format!("#!/bin/sh\necho {version}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn only_node_from_earlier_buildpack_counts_as_provided() {
        let dir = tempfile::tempdir().unwrap();
        let (app, system) = (dir.path().join("app"), dir.path().join("usr"));
        fs::create_dir_all(app.join(".mixpack")).unwrap();
        node(&system, "v18.0.0");
        let path = format!("{}:{}/bin", system.display(), app.display());
        let environment = Environment::new(Env::from([("PATH".into(), path.into())]), Env::new());
        let found = || {
            let (node, npm) = versions(&app, &environment, &Cancel::default())?;
            Some((node.to_string(), npm.map(|npm| npm.to_string())))
        };
        assert_eq!(found(), None);
        node(&app.join("bin"), "v22.1.0");
        assert_eq!(found(), Some(("22.1.0".to_owned(), None)));
        node(&app.join(DEFAULT_DIR), "v20.1.0");
        let npm = app.join(".heroku/node/lib/node_modules/npm");
        fs::create_dir_all(&npm).unwrap();
        fs::write(npm.join("package.json"), r#"{"version": "6.14.18"}"#).unwrap();
        let both = ("20.1.0".to_owned(), Some("6.14.18".to_owned()));
        assert_eq!(found(), Some(both));
        let record = r#"{"mixpack":"0","stack":"heroku-24","mix_env":"prod","tools":{"node":"20.1.0"},
            "phoenix":true,"release":null,"processes":{},"test_args":null}"#;
        fs::write(app.join(".mixpack/build.json"), record).unwrap();
        assert_eq!(found(), None);
    }
}

//! How JavaScript packages are installed.

use super::{PACKAGE, STATIC_CONFIG, case};
use app::package_manager::Manager;
use app::plan::PlanError;
use app::{Asked, Origin};

#[test]
fn the_lockfile_says_how_packages_are_installed() {
    let with = |locks: &[&str]| {
        let case = case(&[PACKAGE]);
        let case = locks
            .iter()
            .fold(case, |case, lock| case.file(&format!("assets/{lock}"), ""));
        case.plan()
            .map(|plan| plan.assets[0].install.clone().unwrap().command[1].clone())
    };
    assert_eq!(with(&[]).unwrap(), "install");
    assert_eq!(with(&["package-lock.json"]).unwrap(), "ci");
    assert_eq!(
        with(&["npm-shrinkwrap.json", "package-lock.json"]).unwrap(),
        "ci"
    );
    assert_eq!(
        with(&["yarn.lock", "package-lock.json"]).unwrap_err(),
        PlanError::TwoLockfiles {
            dir: "assets".into(),
            lockfiles: vec!["package-lock.json".into(), "yarn.lock".into()],
        }
    );
}

#[test]
fn of_two_lockfiles_the_static_buildpack_takes_that_of_yarn_or_npm() {
    let config = (STATIC_CONFIG, "node_version=22\n");
    let lock = |name: &'static str| -> (&str, &str) { (name, "") };
    let npm = lock("assets/package-lock.json");
    let yarn = ("assets/yarn.lock", "\n__metadata:\n  version: 8\n");
    let pnpm = lock("assets/pnpm-lock.yaml");
    let install = manager(&[PACKAGE, config, npm, yarn, pnpm]).unwrap();
    assert_eq!(install.manager.manager, Manager::Yarn);
    assert_eq!(install.manager.version.as_deref(), Some("~4.13"));
    assert_eq!(install.lockfile.as_deref(), Some("assets/yarn.lock"));
    assert_eq!(
        install.why,
        "assets/yarn.lock is there; ignoring package-lock.json, pnpm-lock.yaml, as the static buildpack did"
    );
    let install = manager(&[PACKAGE, config, npm, pnpm]).unwrap();
    assert_eq!(install.command.join(" "), "npm ci --include=dev");
    let pinned = ("assets/package.json", r#"{"packageManager": "pnpm@9.1.0"}"#);
    let install = manager(&[pinned, config, npm, yarn, pnpm]).unwrap();
    assert_eq!(install.manager.manager, Manager::Pnpm);
    // It knew neither of these.
    let bun = lock("assets/bun.lock");
    let both = manager(&[PACKAGE, config, pnpm, bun]);
    assert!(matches!(both, Err(PlanError::TwoLockfiles { .. })));
    // One in a folder that assets_path names.
    let config = (STATIC_CONFIG, "assets_path=ui\n");
    let files = [
        ("ui/package.json", "{}"),
        ("ui/package-lock.json", "{}"),
        ("ui/yarn.lock", ""),
    ];
    let install = manager(&[&[config][..], &files].concat()).unwrap();
    assert_eq!(install.lockfile.as_deref(), Some("ui/yarn.lock"));
}

fn manager(files: &[(&str, &str)]) -> Result<app::plan::Install, PlanError> {
    let plan = case(files).plan()?;
    Ok(plan.assets[0].install.clone().expect("an install"))
}

#[test]
fn every_package_manager_keeps_to_its_lockfile_and_installs_what_development_needs() {
    for (lock, text, version, command) in [
        (
            "yarn.lock",
            "# yarn lockfile v1\n",
            Some("1"),
            "yarn install --frozen-lockfile --production=false --ignore-engines --non-interactive",
        ),
        (
            "yarn.lock",
            "\n__metadata:\n  version: 8\n",
            Some("~4.13"),
            "yarn install --immutable",
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '6.0'\n",
            Some("8"),
            "pnpm install --frozen-lockfile --prod=false",
        ),
        ("bun.lock", "{}", Some("1"), "bun install --frozen-lockfile"),
        ("package-lock.json", "{}", None, "npm ci --include=dev"),
    ] {
        let install = manager(&[PACKAGE, (&format!("assets/{lock}"), text)]).unwrap();
        assert_eq!(install.manager.version.as_deref(), version, "{lock}");
        assert_eq!(install.command.join(" "), command);
    }
    // Two of one manager are no contradiction.
    let both = [PACKAGE, ("assets/bun.lock", ""), ("assets/bun.lockb", "")];
    assert_eq!(manager(&both).unwrap().command[0], "bun");
}

#[test]
fn package_manager_and_config_keys_pin_the_version_before_the_lockfile_does() {
    let package = "{\n\"packageManager\": \"yarn@3.8.7+sha224.ab\"}";
    let package = ("assets/package.json", package);
    let lock = ("assets/yarn.lock", "\n__metadata:\n  version: 8\n");
    let pinned = manager(&[package, lock]).unwrap().manager;
    assert_eq!(pinned.version.as_deref(), Some("3.8.7"));
    assert_eq!(pinned.hash.as_deref(), Some("sha224.ab"));
    assert_eq!(pinned.source, Origin::file("assets/package.json", 2));
    let unlocked = manager(&[package]).unwrap();
    assert_eq!(unlocked.command.join(" "), "yarn install --no-immutable");
    let config = (STATIC_CONFIG, "yarn_version=1.22.19\nnpm_version=10.9.0\n");
    let configured = manager(&[PACKAGE, config, ("assets/yarn.lock", "")]).unwrap();
    assert_eq!(configured.manager.version.as_deref(), Some("1.22.19"));
    assert_eq!(configured.manager.source, Origin::file(STATIC_CONFIG, 1));
    let npm = manager(&[PACKAGE, config]).unwrap().manager;
    assert_eq!(npm.version.as_deref(), Some("10.9.0"));
    let engines = (
        "assets/package.json",
        "{\"engines\": {\"pnpm\": \">=8 <10\"}}",
    );
    let ranged = manager(&[engines, ("assets/pnpm-lock.yaml", "")]).unwrap();
    assert_eq!(ranged.manager.version.as_deref(), Some(">=8 <10"));
}

#[test]
fn package_manager_must_be_that_of_the_lockfile_and_make_sense() {
    let package = |value: &str| format!("{{\n\n\"packageManager\": \"{value}\"}}");
    let asked = |value: &str| Asked::new(value.to_owned(), Origin::file("assets/package.json", 3));
    let pnpm = package("pnpm@9.1.0");
    assert_eq!(
        manager(&[("assets/package.json", &pnpm), ("assets/yarn.lock", "")]).unwrap_err(),
        PlanError::ManagerContradicted {
            asked: asked("pnpm@9.1.0"),
            manager: Manager::Pnpm,
            lockfile: "assets/yarn.lock".into(),
        }
    );
    assert_eq!(
        manager(&[("assets/package.json", &package("pnpm"))]).unwrap_err(),
        PlanError::MalformedManager {
            asked: asked("pnpm")
        }
    );
}

#[test]
fn a_lockfile_without_package_json_is_nobodys() {
    let plan = case(&[("assets/yarn.lock", "")]).planned();
    assert!(plan.node.is_none() && plan.assets[0].install.is_none());
}

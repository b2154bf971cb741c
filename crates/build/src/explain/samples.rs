//! Output of real tools, for the failures that are known by it: how each was made is at its top.

use crate::command::CommandError;
use crate::error::Doing;
use app::package_manager::Manager;
use app::{Asked, Origin};

fn install(manager: Manager, lockfile: &str) -> Doing {
    Doing::JsInstall {
        dir: "assets".to_owned(),
        manager,
        lockfile: Some(format!("assets/{lockfile}")),
    }
}

fn script() -> Doing {
    Doing::AssetScript {
        command: "npm run deploy".to_owned(),
        script: "deploy".to_owned(),
        manager: Manager::Npm,
        package: "assets/package.json".to_owned(),
    }
}

fn hook() -> Doing {
    Doing::Hook {
        key: "hook_post_compile",
        asked: Asked::new(
            "eval bin/prepare".to_owned(),
            Origin::file("elixir_buildpack.config", 4),
        ),
    }
}

/// A file of `samples/`: two lines that begin with `#`, the command and how it was made to fail,
/// and its output.
fn failed(sample: &str) -> CommandError {
    let mut lines = sample.lines();
    let command = lines.next().and_then(|line| line.strip_prefix("# "));
    let how = lines.next().and_then(|line| line.strip_prefix("# "));
    assert!(how.is_some(), "how was this made? {sample}");
    CommandError::Failed {
        command: command.expect("the command").to_owned(),
        status: "exit status 1".to_owned(),
        code: 1,
        output: lines.map(str::to_owned).collect(),
    }
}

macro_rules! samples {
    ($($name:literal: $doing:expr,)+) => {
        vec![$((
            concat!("known_", $name),
            $doing,
            failed(include_str!(concat!("samples/", $name, ".txt"))),
        )),+]
    };
}

/// By the name of its file.
pub(super) fn samples() -> Vec<(&'static str, Doing, CommandError)> {
    samples! {
        "beam_glibc": Doing::Compile,
        "beam_heap": Doing::Compile,
        "bun_lock": install(Manager::Bun, "bun.lock"),
        "bun_no_command": script(),
        "bun_no_script": script(),
        "cp_disk": hook(),
        "erl_name": Doing::Compile,
        "esbuild_import": script(),
        "esbuild_killed": Doing::AssetsDeploy,
        "esbuild_offline": Doing::AssetsDeploy,
        "gcc_killed": Doing::Compile,
        "git_403": Doing::Deps,
        "git_404": Doing::Deps,
        "git_authentication": Doing::Deps,
        "git_certificate": hook(),
        "git_host_key": Doing::Deps,
        "git_public_key": Doing::Deps,
        "git_user_name": Doing::Deps,
        "git_user_name_no_terminal": hook(),
        "gyp_make": install(Manager::Npm, "package-lock.json"),
        "gyp_python": install(Manager::Npm, "package-lock.json"),
        "hex_checksum": Doing::Deps,
        "hex_no_organization": Doing::Deps,
        "hex_repo": Doing::Deps,
        "mix_attribute": Doing::Compile,
        "mix_attribute_1_19": Doing::Compile,
        "mix_certificate": Doing::AssetsDeploy,
        "mix_config_missing": Doing::Deps,
        "mix_config_raises": Doing::Deps,
        "mix_dependency": Doing::Compile,
        "mix_dependency_elixir": Doing::Compile,
        "mix_disk": Doing::Compile,
        "mix_elixir_version": Doing::Compile,
        "mix_escape": Doing::Compile,
        "mix_exs_raises": Doing::Deps,
        "mix_exs_syntax": Doing::Deps,
        "mix_fetch_env": Doing::Compile,
        "mix_no_task": Doing::AssetsDeploy,
        "mix_path_empty": Doing::Compile,
        "mix_path_missing": Doing::Compile,
        "mix_runtime_env": Doing::AssetsDeploy,
        "mix_unchecked": Doing::Compile,
        "nif_cc": Doing::Compile,
        "nif_cxx": Doing::Compile,
        "nif_gcc": Doing::Compile,
        "nif_header": Doing::Compile,
        "nif_make": Doing::Compile,
        "node_sass": script(),
        "npm_401": install(Manager::Npm, "package-lock.json"),
        "npm_403": install(Manager::Npm, "package-lock.json"),
        "npm_404": install(Manager::Npm, "package-lock.json"),
        "npm_certificate": install(Manager::Npm, "package-lock.json"),
        "npm_disk": install(Manager::Npm, "package-lock.json"),
        "npm_engine": install(Manager::Npm, "package-lock.json"),
        "npm_git": install(Manager::Npm, "package-lock.json"),
        "npm_git_of_another": install(Manager::Npm, "package-lock.json"),
        "npm_heap": script(),
        "npm_integrity": install(Manager::Npm, "package-lock.json"),
        "npm_lock": install(Manager::Npm, "package-lock.json"),
        "npm_manager_integrity": Doing::PackageManager { spec: "pnpm@9.1.0".to_owned(), origin: Origin::file("assets/package.json", 2) },
        "npm_no_command": script(),
        "npm_no_name": install(Manager::Npm, "package-lock.json"),
        "npm_no_network": install(Manager::Npm, "package-lock.json"),
        "npm_no_script": script(),
        "npm_peers": install(Manager::Npm, "package-lock.json"),
        "npm_refused": install(Manager::Npm, "package-lock.json"),
        "npm_remote": install(Manager::Npm, "package-lock.json"),
        "npm_reset": install(Manager::Npm, "package-lock.json"),
        "npm_scripts": install(Manager::Npm, "package-lock.json"),
        "otp_certificate": Doing::Deps,
        "pnpm_401": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_engine": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_integrity": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_lock": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_no_script": script(),
        "rebar3_cc": Doing::Compile,
        "rebar3_dependency": Doing::Compile,
        "rebar3_make": Doing::Compile,
        "rebar3_no_command": Doing::Compile,
        "release_compile_env": hook(),
        "rustler": Doing::Compile,
        "tailwind_offline": Doing::AssetsDeploy,
        "tzdata_denied": hook(),
        "tzdata_read_only": hook(),
        "webpack_import": script(),
        "webpack_openssl": script(),
        "yarn1_engine": install(Manager::Yarn, "yarn.lock"),
        "yarn1_integrity": install(Manager::Yarn, "yarn.lock"),
        "yarn1_killed": script(),
        "yarn1_lock": install(Manager::Yarn, "yarn.lock"),
        "yarn1_no_script": script(),
        "yarn4_integrity": install(Manager::Yarn, "yarn.lock"),
        "yarn4_lock": install(Manager::Yarn, "yarn.lock"),
    }
}

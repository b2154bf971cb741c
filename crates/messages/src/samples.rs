//! Output of real tools for the known failures. Each file starts with the way to reproduce it.

use app::facts::Manager;
use app::{Origin, Setting};
use exec::Action;
use exec::command::CommandError;

fn install(manager: Manager, lockfile: &str) -> Action {
    Action::JsInstall {
        dir: "assets".to_owned(),
        manager,
        lockfile: Some(format!("assets/{lockfile}")),
    }
}

fn script() -> Action {
    Action::AssetScript {
        command: "npm run deploy".to_owned(),
        script: "deploy".to_owned(),
        manager: Manager::Npm,
        package: "assets/package.json".to_owned(),
    }
}

fn hook() -> Action {
    Action::Hook {
        key: "hook_post_compile",
        requested: Setting::new(
            "eval bin/prepare".to_owned(),
            Origin::file("elixir_buildpack.config", 4),
        ),
    }
}

/// Reads a file of `samples/`: two lines that start with `#`, with the command and the cause of its failure, and the
/// output.
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
    ($($name:literal: $action:expr,)+) => {
        vec![$((
            concat!("known_", $name),
            $action,
            failed(include_str!(concat!("samples/", $name, ".txt"))),
        )),+]
    };
}

/// Returns the samples, by file name.
pub(super) fn samples() -> Vec<(&'static str, Action, CommandError)> {
    samples! {
        "beam_glibc": Action::Compile,
        "beam_heap": Action::Compile,
        "bun_lock": install(Manager::Bun, "bun.lock"),
        "bun_no_command": script(),
        "bun_no_script": script(),
        "cp_disk": hook(),
        "erl_name": Action::Compile,
        "esbuild_import": script(),
        "esbuild_killed": Action::AssetsDeploy,
        "esbuild_offline": Action::AssetsDeploy,
        "gcc_killed": Action::Compile,
        "git_403": Action::Deps,
        "git_404": Action::Deps,
        "git_authentication": Action::Deps,
        "git_certificate": hook(),
        "git_host_key": Action::Deps,
        "git_public_key": Action::Deps,
        "git_user_name": Action::Deps,
        "git_user_name_no_terminal": hook(),
        "gyp_make": install(Manager::Npm, "package-lock.json"),
        "gyp_python": install(Manager::Npm, "package-lock.json"),
        "hex_checksum": Action::Deps,
        "hex_no_organization": Action::Deps,
        "hex_repo": Action::Deps,
        "mix_attribute": Action::Compile,
        "mix_attribute_1_19": Action::Compile,
        "mix_certificate": Action::AssetsDeploy,
        "mix_config_missing": Action::Deps,
        "mix_config_raises": Action::Deps,
        "mix_dependency": Action::Compile,
        "mix_dependency_elixir": Action::Compile,
        "mix_disk": Action::Compile,
        "mix_elixir_version": Action::Compile,
        "mix_escape": Action::Compile,
        "mix_exs_raises": Action::Deps,
        "mix_exs_syntax": Action::Deps,
        "mix_fetch_env": Action::Compile,
        "mix_no_task": Action::AssetsDeploy,
        "mix_path_empty": Action::Compile,
        "mix_path_missing": Action::Compile,
        "mix_runtime_env": Action::AssetsDeploy,
        "mix_unchecked": Action::Compile,
        "nif_cc": Action::Compile,
        "nif_cxx": Action::Compile,
        "nif_gcc": Action::Compile,
        "nif_header": Action::Compile,
        "nif_make": Action::Compile,
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
        "npm_manager_integrity": Action::PackageManager { spec: "pnpm@9.1.0".to_owned(), origin: Origin::file("assets/package.json", 2) },
        "npm_no_command": script(),
        "npm_no_name": install(Manager::Npm, "package-lock.json"),
        "npm_no_network": install(Manager::Npm, "package-lock.json"),
        "npm_no_script": script(),
        "npm_peers": install(Manager::Npm, "package-lock.json"),
        "npm_refused": install(Manager::Npm, "package-lock.json"),
        "npm_remote": install(Manager::Npm, "package-lock.json"),
        "npm_reset": install(Manager::Npm, "package-lock.json"),
        "npm_scripts": install(Manager::Npm, "package-lock.json"),
        "otp_certificate": Action::Deps,
        "pnpm_401": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_engine": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_integrity": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_lock": install(Manager::Pnpm, "pnpm-lock.yaml"),
        "pnpm_no_script": script(),
        "rebar3_cc": Action::Compile,
        "rebar3_dependency": Action::Compile,
        "rebar3_make": Action::Compile,
        "rebar3_no_command": Action::Compile,
        "release_compile_env": hook(),
        "rustler": Action::Compile,
        "tailwind_offline": Action::AssetsDeploy,
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

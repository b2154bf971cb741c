//! Errors of commands.

use super::in_config;
use app::Origin;
use app::facts::Manager;
use exec::Action;
use exec::command::CommandError;
use std::io;

fn failed(command: &str, status: &str, code: i32, output: &str) -> CommandError {
    CommandError::Failed {
        command: command.to_owned(),
        status: status.to_owned(),
        code,
        output: output.lines().map(str::to_owned).collect(),
    }
}

pub(super) fn hooks() -> Vec<(&'static str, Action, CommandError)> {
    let hook = || Action::Hook {
        key: "hook_post_compile",
        requested: in_config("eval mix assets.deploy && rm -f _build/esbuild*"),
    };
    let line = "eval mix assets.deploy && rm -f _build/esbuild*";
    vec![
        (
            "hook",
            hook(),
            failed(
                line,
                "exit status 1",
                1,
                "step one\n** (RuntimeError) no licence",
            ),
        ),
        (
            "hook_that_says_nothing",
            hook(),
            failed(line, "exit status 3", 3, "\n"),
        ),
        (
            "hook_without_bash",
            hook(),
            CommandError::Start {
                command: line.to_owned(),
                source: io::Error::from(io::ErrorKind::NotFound),
            },
        ),
        ("hook_stopped", hook(), CommandError::Cancelled),
    ]
}

pub(super) fn package_commands() -> Vec<(&'static str, Action, CommandError)> {
    vec![
        (
            "deps_lock_out_of_date",
            Action::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "** (Mix) Your mix.lock is out of date and must be updated without the --check-locked flag",
            ),
        ),
        (
            "javascript_install",
            Action::JsInstall {
                dir: "assets".to_owned(),
                manager: Manager::Npm,
                lockfile: Some("assets/package-lock.json".to_owned()),
            },
            failed(
                "npm ci --include=dev",
                "exit status 1",
                1,
                "npm error code 1\nnpm error path /app/assets/node_modules/left\nnpm error command failed\nnpm error command sh -c exit 3\nnpm error A complete log of this run can be found in: /app/debug-0.log",
            ),
        ),
        (
            "javascript_install_without_a_lockfile",
            Action::JsInstall {
                dir: ".".to_owned(),
                manager: Manager::Yarn,
                lockfile: None,
            },
            failed(
                "yarn install --production=false",
                "exit status 1",
                1,
                "yarn install v1.22.22\n[1/4] Resolving packages...\nerror Couldn't find package \"lefty\"",
            ),
        ),
        (
            "bower",
            Action::Bower {
                file: "assets/bower.json".to_owned(),
            },
            failed(
                "bower install",
                "exit status 1",
                1,
                "bower dots#^3  checkout v1.2.0\nbower dots#^3  ECONFLICT Unable to find suitable version for dots",
            ),
        ),
        (
            "package_manager",
            Action::PackageManager {
                spec: "pnpm@9.1.99".to_owned(),
                origin: Origin::file("assets/package.json", 4),
            },
            failed(
                "npm pack pnpm@9.1.99",
                "exit status 1",
                1,
                "npm error code ETARGET\nnpm error notarget No matching version found for pnpm@9.1.99.",
            ),
        ),
    ]
}

#[allow(clippy::too_many_lines, reason = "one of each")]
pub(super) fn commands() -> Vec<(&'static str, Action, CommandError)> {
    let ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10";
    let compiler = "Compiling 3 files (.ex)\n    error: undefined function total/1\n    │\n  7 │     total(items)\n    │     ^^^^^\n    │\n    └─ lib/shop.ex:7:5: Shop.sum/1\n\n\n== Compilation error in file lib/shop.ex ==\n** (CompileError) lib/shop.ex: cannot compile module Shop (errors have been logged)";
    vec![
        (
            "deps",
            Action::Deps,
            failed(
                "mix deps.get --only prod",
                "exit status 1",
                1,
                "Resolving\n** (Mix) Hex dependency resolution failed",
            ),
        ),
        (
            "deps_organization_without_a_key",
            Action::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "Failed to check for new Hex version\nFailed to fetch record for hexpm:acme/secret_sauce from registry\nThis could be because the package does not exist, it was spelled incorrectly or you don't have permissions to it\nNo authenticated user found. Run `mix hex.user auth` to authenticate\n** (Mix) Unknown package secret_sauce in lockfile",
            ),
        ),
        (
            "deps_organization_with_a_refused_key",
            Action::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "** (RuntimeError) Failed to exchange API key for OAuth token\n** (exit) exited in: GenServer.call(Hex.Registry.Server, {:versions, \"hexpm:acme\", \"secret_sauce\"}, 60000)\n    ** (EXIT) time out",
            ),
        ),
        (
            "compile",
            Action::Compile,
            failed("mix compile", "exit status 1", 1, compiler),
        ),
        (
            "compile_without_memory",
            Action::Compile,
            failed("mix compile", "signal 9", 137, "Compiling 300 files (.ex)"),
        ),
        (
            "custom_script",
            Action::CustomScript {
                path: "compile".to_owned(),
            },
            failed("compile", "exit status 2", 2, ten),
        ),
        (
            "asset_script",
            Action::AssetScript {
                command: "npm run deploy".to_owned(),
                script: "deploy".to_owned(),
                manager: Manager::Npm,
                package: "assets/package.json".to_owned(),
            },
            failed(
                "npm run deploy",
                "exit status 1",
                1,
                "> deploy\n> esbuild\n\n✘ [ERROR] Expected \";\" but found \"socket\"\n\n    js/app.js:1:4:",
            ),
        ),
        (
            "assets_deploy",
            Action::AssetsDeploy,
            failed(
                "mix assets.deploy",
                "exit status 1",
                1,
                "** (Mix) Unknown dependency phoenix_live_view for environment prod",
            ),
        ),
        (
            "assets_deploy_by_a_program",
            Action::AssetsDeploy,
            failed(
                "mix assets.deploy",
                "exit status 1",
                1,
                "Rebuilding...\n\nCssSyntaxError: app.css:7:1: Unclosed block\n** (Mix) `mix tailwind shop --minify` exited with 1",
            ),
        ),
        (
            "compile_by_rebar3",
            Action::Compile,
            failed(
                "mix compile",
                "exit status 1",
                1,
                "===> Analyzing applications...\n===> Compilation failed: there is no code in this directory\n** (Mix) Could not compile dependency :left, \"rebar3 bare compile\" command failed.",
            ),
        ),
        (
            "digest",
            Action::Digest,
            failed("mix phx.digest", "exit status 1", 1, ""),
        ),
        (
            "release",
            Action::Release,
            failed(
                "mix release --overwrite",
                "exit status 1",
                1,
                "** (Mix) Could not find application :worker",
            ),
        ),
        (
            "answers",
            Action::ProjectInfo,
            failed(
                "elixir -S mix do deps.clean",
                "exit status 1",
                1,
                "** (Code.LoadError)",
            ),
        ),
    ]
}

//! `.profile.d` for dynos and `export` for later buildpacks: the same variables with different paths.

use crate::git;
use std::fmt::Write;
use std::path::Path;

/// The environment of processes, from which both files are generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    pub mix_env: String,
    /// Whether the build is for `mix test`. It fixes `MIX_ENV`: a config var for the deployed app must not make tests
    /// run in production.
    pub tests_only: bool,
    /// Whether Node is in the slug.
    pub node: bool,
    /// Whether Node built the assets and is pruned afterwards.
    pub node_pruned: bool,
    /// Whether the app itself runs Node, not only the asset build.
    pub runs_node: bool,
    /// Whether yarn is in the slug.
    pub yarn: bool,
    /// Whether to set `PHX_SERVER`: a release of a Phoenix app without its own start script serves requests only with
    /// it.
    pub phx_server: bool,
    /// Directories of executables that npm installed, relative to the app.
    pub node_bins: Vec<String>,
    /// Whether there are recorded git answers, which mix needs when it starts.
    pub git_answers: bool,
    /// Whether only the release ships.
    pub release_alone: bool,
}

/// `.profile.d/elixir_buildpack_paths.sh`: the name that apps know from the Elixir buildpack.
///
/// Config vars are set before it runs, and override every default.
#[must_use]
pub(crate) fn elixir_script(root: &Path, launch: &Launch) -> String {
    let root = in_double_quotes(root);
    let mut script = String::new();
    let _ = writeln!(
        script,
        "export PATH=\"{root}/.platform_tools/elixir/bin:{root}/.platform_tools/erlang/bin:{root}/.platform_tools:$PATH\""
    );
    // The VM warns about latin1 file names. C.UTF-8 is the only UTF-8 locale in all images.
    script.push_str("[ -n \"${LC_ALL:-}${LC_CTYPE:-}${LANG:-}\" ] || export LANG=C.UTF-8\n");
    if launch.tests_only {
        let mix_env = shell_words::quote(&launch.mix_env);
        let _ = writeln!(script, "export MIX_ENV={mix_env}");
    }
    let mut default = |name: &str, value: &str| {
        let _ = writeln!(script, "export {name}=\"${{{name}:-{value}}}\"");
    };
    default("MIX_ENV", &launch.mix_env);
    default("MIX_HOME", &format!("{root}/.mix"));
    default("HEX_HOME", &format!("{root}/.hex"));
    if launch.phx_server {
        default("PHX_SERVER", "true");
    }
    script
}

/// The part of the script for slugs with mix. Whenever mix starts, it calls git for each dependency from git
/// (lib/mix/lib/mix/scm/git.ex, `lock_status`), and `mix.exs` may read the commit, but Heroku's images for dynos have
/// no git from heroku-24 on. Without recorded answers, the replaying git comes last on `PATH`.
#[must_use]
pub(crate) fn git_script(root: &Path, answers: bool) -> String {
    let folder = format!("{}/{}", in_double_quotes(root), git::FOLDER);
    let path = if answers {
        format!("{folder}:$PATH")
    } else {
        format!("$PATH:{folder}")
    };
    format!("export PATH=\"{path}\"\n")
}

/// The script for apps whose assets Node builds. If Node doesn't ship, `PATH` still gets the app's own `bin`, as from
/// the static buildpack: a Procfile may name a script in it.
#[must_use]
pub(crate) fn node_script(root: &Path, launch: &Launch) -> Option<String> {
    let root = in_double_quotes(root);
    if launch.node_pruned {
        return Some(format!("export PATH=\"{root}/bin:$PATH\"\n"));
    }
    launch.node.then(|| {
        let mut path = format!("{root}/.heroku/node/bin:{root}/bin:");
        if launch.yarn {
            let _ = write!(path, "{root}/.heroku/yarn/bin:");
        }
        for bin in &launch.node_bins {
            let _ = write!(path, "{root}/{}:", in_double_quotes(Path::new(bin)));
        }
        format!("export PATH=\"{path}$PATH\"\n")
    })
}

/// The part of the script for dynos. Not in `export`, since a later buildpack may install development packages.
#[must_use]
pub(crate) fn node_env_script() -> &'static str {
    "export NODE_ENV=\"${NODE_ENV:-production}\"\n"
}

/// The addition to `export` if Node doesn't ship and is moved to `dir`.
#[must_use]
pub(crate) fn later_node_script(dir: &Path) -> String {
    let dir = in_double_quotes(dir);
    format!("export PATH=\"{dir}/node/bin:{dir}/yarn/bin:$PATH\"\n")
}

/// The `export` file, with build-time paths. Later buildpacks source it with `set -e`, so its last command must
/// succeed.
#[must_use]
pub(crate) fn export_script(build_dir: &Path, launch: &Launch) -> String {
    let mut script = elixir_script(build_dir, launch);
    if let Some(node) = node_script(build_dir, launch) {
        script.push_str(&node);
    }
    script
}

/// Escapes a path for use in double quotes, including as the default in `${NAME:-…}`.
fn in_double_quotes(path: &Path) -> String {
    let mut quoted = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, '"' | '$' | '`' | '\\' | '}') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn launch() -> Launch {
        Launch {
            mix_env: "prod".to_owned(),
            tests_only: false,
            node: true,
            node_pruned: false,
            runs_node: false,
            yarn: false,
            phx_server: true,
            node_bins: Vec::new(),
            git_answers: false,
            release_alone: false,
        }
    }

    /// Returns the environment of a shell that has sourced the script.
    fn sourced(script: &str, env: &[(&str, &str)], print: &str) -> String {
        let output = Command::new("bash")
            .args(["-euc", &format!("{script}\nprintf %s \"{print}\"")])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn config_var_set_after_build_wins() {
        let script = elixir_script(Path::new("/app"), &launch());
        let print = "$MIX_ENV|$PHX_SERVER|$LANG|$MIX_HOME|$HEX_HOME";
        assert_eq!(
            sourced(&script, &[], print),
            "prod|true|C.UTF-8|/app/.mix|/app/.hex"
        );
        let set = [
            ("MIX_ENV", "staging"),
            ("PHX_SERVER", "0"),
            ("LANG", "de_DE.UTF-8"),
        ];
        assert_eq!(
            sourced(&script, &set, print),
            "staging|0|de_DE.UTF-8|/app/.mix|/app/.hex"
        );
    }

    #[test]
    fn node_env_defaults_to_production() {
        let script = node_env_script();
        assert_eq!(sourced(script, &[], "$NODE_ENV"), "production");
        let set = [("NODE_ENV", "staging")];
        assert_eq!(sourced(script, &set, "$NODE_ENV"), "staging");
    }

    #[test]
    fn deployed_config_var_does_not_change_mix_env_of_tests() {
        let launch = Launch {
            mix_env: "test".to_owned(),
            tests_only: true,
            ..launch()
        };
        let script = elixir_script(Path::new("/app"), &launch);
        assert_eq!(sourced(&script, &[("MIX_ENV", "prod")], "$MIX_ENV"), "test");
    }

    #[test]
    fn lc_ctype_of_user_is_not_overridden() {
        let script = elixir_script(Path::new("/app"), &launch());
        let got = sourced(&script, &[("LC_CTYPE", "en_US.utf8")], "${LANG:-none}");
        assert_eq!(got, "none");
    }

    #[test]
    fn paths_with_spaces_and_dollars_are_literal() {
        let root = Path::new("/tmp/a b/$HOME\"`");
        let script = export_script(root, &launch());
        let path = sourced(&script, &[], "$PATH");
        assert_eq!(
            path,
            format!(
                "{0}/.heroku/node/bin:{0}/bin:{0}/.platform_tools/elixir/bin:\
                 {0}/.platform_tools/erlang/bin:{0}/.platform_tools:/usr/bin:/bin",
                root.display()
            )
        );
        let mix_home = sourced(&script, &[], "$MIX_HOME");
        assert_eq!(mix_home, format!("{}/.mix", root.display()));
    }
}

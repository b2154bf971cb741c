//! Processes of an app in a subdirectory of its repository.
//!
//! Platforms start every process in the root of the slug, and a default command must not contain quotes or `&&`
//! (herokuish runs it through `eval echo`). So commands call a script in the slug that changes to the app's
//! directory.

use crate::facts::{GENERATED_HEADER, Procfile};
use std::fmt::Write;

/// The script's path, relative to the root.
pub const PATH: &str = ".mixpack/bin/in-app-dir";
/// The script's option to run a line of the app's `Procfile`.
const PROCESS: &str = "--process";

/// Returns the command to start in the root of the slug. If the app is in the root, that is the command itself.
#[must_use]
pub fn command(app_dir: &str, command: &str) -> String {
    match app_dir {
        "." => command.to_owned(),
        _ => format!("{PATH} {command}"),
    }
}

/// Returns the script. `procfile` is that of the app's directory, if it is in use.
#[must_use]
pub fn script(app_dir: &str, procfile: Option<&Procfile>) -> String {
    // The script finds its own path, since slugs are moved.
    let mut script = format!(
        "#!/usr/bin/env bash\n\
         # Made by Mixpack: runs a command in the app's folder, or a line of its Procfile.\n\
         CDPATH='' cd -- \"$(dirname -- \"$0\")/../..\"/{} || exit\n",
        shell_words::quote(app_dir)
    );
    if let Some(Procfile(types)) = procfile {
        let _ = writeln!(
            script,
            "if [ \"${{1-}}\" = {PROCESS} ]; then\n  case \"${{2-}}\" in"
        );
        for (name, line) in types {
            let line = shell_words::quote(line);
            let _ = writeln!(script, "  {name}) exec bash -c {line} ;;");
        }
        script.push_str("  esac\n  echo \"no process type ${2-}\" >&2\n  exit 1\nfi\n");
    }
    script.push_str("exec \"$@\"\n");
    script
}

/// Returns a `Procfile` for the root with the process types of the one at `path`.
///
/// This is a file because default process types from `bin/release` don't suffice: only the defaults of the last
/// buildpack count, and the platform reads the type `release` from a `Procfile`. Both Heroku and herokuish read it
/// after the build.
#[must_use]
pub fn procfile(path: &str, Procfile(types): &Procfile) -> String {
    let mut text = format!("{GENERATED_HEADER}{path}\n");
    for name in types.keys() {
        let _ = writeln!(text, "{name}: {PATH} {PROCESS} {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::is_generated;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    /// Runs a line of the generated `Procfile`, or another command, in the root with bash.
    fn printed(app_dir: &str, procfile: &str, command: &str) -> (bool, String) {
        let slug = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(slug.path().join(app_dir)).unwrap();
        let script = slug.path().join(PATH);
        std::fs::create_dir_all(script.parent().unwrap()).unwrap();
        let text = super::script(app_dir, Some(&Procfile::parse(procfile)));
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let output = Command::new("bash")
            .args(["-c", command])
            .current_dir(slug.path())
            .env("CDPATH", "/")
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let top = std::fs::canonicalize(slug.path()).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        (
            output.status.success(),
            printed.replace(top.to_str().unwrap(), "TOP"),
        )
    }

    #[test]
    fn command_runs_in_app_directory_and_keeps_arguments_and_status() {
        let run = |line: &str| printed("it's a/b c", "", &super::command("it's a/b c", line));
        assert_eq!(run("pwd -P"), (true, "TOP/it's a/b c\n".to_owned()));
        assert_eq!(run("printf '%s|' 'a b' '$X'"), (true, "a b|$X|".to_owned()));
        assert_eq!(run("false"), (false, String::new()));
        assert_eq!(super::command(".", "mix phx.server"), "mix phx.server");
    }

    #[test]
    fn procfile_lines_keep_quotes_and_operators() {
        let app = "web: X='a  b' && pwd -P && printf '%s\\n' \"$X\"\nrelease: echo it\\'s ok\n";
        let made = procfile("backend/Procfile", &Procfile::parse(app));
        assert!(is_generated(&made) && !is_generated(app));
        let Procfile(types) = Procfile::parse(&made);
        let names: Vec<_> = types.keys().map(String::as_str).collect();
        assert_eq!(names, ["release", "web"]);
        // herokuish runs a line through `eval echo`.
        let plain = |line: &String| line.bytes().all(|c| !b"'\"&|;$`\\".contains(&c));
        assert!(types.values().all(plain), "{made}");
        let run = |name: &str| printed("backend", app, &types[name]);
        assert_eq!(run("web"), (true, "TOP/backend\na  b\n".to_owned()));
        assert_eq!(run("release"), (true, "it's ok\n".to_owned()));
        let unknown = format!("{PATH} {PROCESS} worker");
        let (succeeded, printed) = printed("backend", app, &unknown);
        assert!(
            !succeeded && printed == "no process type worker\n",
            "{printed}"
        );
    }
}

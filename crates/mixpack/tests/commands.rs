//! The command line: help, usage errors, completion.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::process::{Command, Output};

fn mixpack(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixpack"));
    command.args(args).output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = mixpack(args);
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_listed_command_has_its_own_help() {
    let all = printed(&["--help"]);
    let mut commands: Vec<&str> = all
        .lines()
        .filter_map(|line| line.strip_prefix("  mixpack ")?.split(' ').next())
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .filter(|word| !word.starts_with('-'))
        .collect();
    commands.sort_unstable();
    commands.dedup();
    assert_eq!(commands.len(), 14, "{commands:?}");
    for command in commands {
        let help = printed(&[command, "--help"]);
        assert!(help.starts_with(&format!("mixpack {command}: ")), "{help}");
        assert_eq!(printed(&["help", command]), help);
    }
    assert_eq!(printed(&[]), all);
}

#[test]
fn mistyped_command_gets_suggestion() {
    let said = |args: &[&str]| {
        let output = mixpack(args);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(output.stdout, b"");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        said(&["biuld", "x"]),
        "mixpack: there is no command \"biuld\"; did you mean build?\nTry mixpack --help.\n"
    );
    assert_eq!(
        said(&["deploy"]),
        "mixpack: there is no command \"deploy\"\nTry mixpack --help.\n"
    );
    assert_eq!(
        said(&["run"]),
        "mixpack: run expects DIR and optionally a process type\nTry mixpack run --help.\n"
    );
    assert_eq!(
        said(&["completions", "tcsh"]),
        "mixpack: completions expects bash, zsh or fish\nTry mixpack completions --help.\n"
    );
    assert_eq!(
        said(&["explain", "hook-faild"]),
        "mixpack: there is no code \"hook-faild\"; did you mean hook-failed?\nTry mixpack explain --help.\n"
    );
    assert_eq!(
        said(&["explain", "deploy"]),
        "mixpack: there is no code \"deploy\"; `mixpack explain` lists all codes\nTry mixpack explain --help.\n"
    );
}

#[test]
fn error_of_a_plan_has_colours_only_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixpack"));
    let command = command.arg("plan").arg(dir.path()).env_remove("NO_COLOR");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Error code: no-mix-exs"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

/// The completions that bash offers for these words, the last of which is being typed.
fn completed(words: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    fs::write(
        dir.path().join("app/Procfile"),
        "web: mix phx.server\nworker: mix work\n",
    )
    .unwrap();
    fs::write(dir.path().join("a build.svg"), "").unwrap();
    let script = "source <(\"$0\" completions bash)\n\
                  complete -p mixpack >&2\n\
                  COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _mixpack\n\
                  ((${#COMPREPLY[@]} == 0)) || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-euc", script, env!("CARGO_BIN_EXE_mixpack"), "mixpack"])
        .args(words)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // bash itself completes directories.
    assert_eq!(said, "complete -o dirnames -F _mixpack mixpack\n");
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_process_types() {
    assert_eq!(
        completed(&[""]),
        [
            "plan",
            "doctor",
            "explain",
            "migrate",
            "build",
            "run",
            "store-keys",
            "completions",
            "--help",
            "--version"
        ]
    );
    assert_eq!(completed(&["b"]), ["build"]);
    assert_eq!(completed(&["plan", "--j"]), ["--json"]);
    assert_eq!(completed(&["plan", ""]), [""; 0]);
    assert_eq!(
        completed(&["doctor", "--"]),
        ["--json", "--sarif", "--github", "--base", "--env", "--help"]
    );
    assert_eq!(completed(&["doctor", "--env", "a b"]), ["a build.svg"]);
    // In the order of the filesystem.
    let mut files = completed(&["build", "--timeline", "a"]);
    files.sort();
    assert_eq!(files, ["a build.svg", "app"]);
    assert_eq!(completed(&["run", "app", ""]), ["web", "worker"]);
    assert_eq!(completed(&["run", "nowhere", "w"]), ["web"]);
    assert_eq!(completed(&["completions", "f"]), ["fish"]);
}

#[test]
fn completion_scripts_of_all_shells_have_same_words() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for word in [
            "plan",
            "doctor",
            "explain",
            "migrate",
            "build",
            "run",
            "completions",
            "json",
            "sarif",
            "env",
            "timeline",
            "Procfile",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn generated_keys_are_config_vars_that_belong_together() {
    let text = printed(&["store-keys"]);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix('='))
            .unwrap()
            .to_owned()
    };
    let signing_key = value("MIXPACK_STORE_SIGNING_KEY");
    let public_key = shared_store::public_key_of(&signing_key);
    assert_eq!(public_key, Some(value("MIXPACK_STORE_TRUST")));
    assert!(value("MIXPACK_STORE_SECRET").len() >= 32);
    assert_ne!(printed(&["store-keys"]), text);
}

#[test]
fn every_code_has_an_explanation_that_fits_eighty_columns() {
    let listed = printed(&["explain"]);
    let codes: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    let pages = [
        include_str!("../../../docs/errors.md"),
        include_str!("../../../docs/doctor.md"),
    ];
    let of_errors = pages[0]
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let of_doctor = pages[1]
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let expected: Vec<&str> = of_errors.chain(of_doctor).collect();
    assert_eq!(codes, expected);
    for code in codes {
        let text = printed(&["explain", code]);
        assert!(text.starts_with(&format!("{code}: ")), "{text}");
        assert!(text.contains("\n  docs/"), "{text}");
        assert!(!text.contains("](") && !text.contains("```"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let is_long = |line: &str| line.chars().count() > 80 && line.trim().contains(' ');
        // Code may be longer.
        let long = text
            .lines()
            .find(|line| is_long(line) && !line.starts_with("  "));
        assert_eq!(long, None);
    }
}

#[test]
fn explanation_keeps_code_and_lists_and_names_linked_pages() {
    assert_eq!(
        printed(&["explain", "hex-repository-unknown"]),
        "\
hex-repository-unknown: Hex does not know the repository …

A dependency has `repo:` in `mix.exs`, but nothing in the build adds that
repository. Add it in a hook, with the key from a config var:

  hook_pre_fetch_dependencies='mix hex.repo add oban https://getoban.pro/repo --fetch-public-key $OBAN_FINGERPRINT --auth-key $OBAN_KEY'

Neither the slug nor the cache contains the key: see Private packages.

In the buildpack's repository:
  docs/errors.md#hex-repository-unknown
  docs/private-packages.md
"
    );
    let list = printed(&["explain", "compile-failed"]);
    let items = "Frequent causes:\n\n- `config/config.exs` or";
    assert!(list.contains(items), "{list}");
    assert!(
        list.contains("in the build.\n- The name of a file"),
        "{list}"
    );
    let change = "Change: `http: [port: String.to_integer(System.get_env(\"PORT\") || \"4000\")]`";
    let finding = printed(&["explain", "port-not-from-environment"]);
    assert!(finding.contains(change), "{finding}");
}

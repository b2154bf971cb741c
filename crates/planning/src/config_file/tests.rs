//! Tests of config files in bash, compared with the old buildpacks.

use super::*;
use exec::command::Env;
use std::process::Stdio;

fn environment() -> Environment {
    let process = Env::from([("PATH".into(), "/usr/bin:/bin".into())]);
    let config_vars = [
        ("FROM_USER", "user value"),
        ("SHORT", "abc"),
        ("KEY", "s3cr3t-key\nsecond-line\n"),
    ];
    let config_vars = config_vars.map(|(name, value)| (name.into(), value.into()));
    Environment::new(process, config_vars.into())
}

fn evaluated(dir: &Path, text: &str) -> Result<Vec<Assignment>, Error> {
    std::fs::write(dir.join("x.config"), text).unwrap();
    let construct = (1, "a command");
    evaluate(
        dir,
        "x.config",
        construct,
        (&environment(), "prod"),
        &Cancel::default(),
    )
    .map(|file| match file {
        ConfigFile::Values(list) => list,
        ConfigFile::Missing | ConfigFile::NeedsBash { .. } => Vec::new(),
    })
}

fn values(text: &str) -> Result<Vec<Assignment>, Error> {
    evaluated(tempfile::tempdir().unwrap().path(), text)
}

fn get(list: &[Assignment], name: &str) -> Value {
    list.iter().find(|a| a.name == name).unwrap().value.clone()
}

#[test]
fn bash_evaluates_config_file() {
    let list = values(
        "echo this is noise\nerlang_version=$(echo 27)\nif true; then elixir_version=(branch main); fi\n\
         hook_compile=\"do $FROM_USER\"\nexport TOKEN=a\nempty=\nlines=$'a\\nb'\n",
    )
    .unwrap();
    assert_eq!(get(&list, "erlang_version"), Value::Text("27".into()));
    assert_eq!(
        get(&list, "elixir_version"),
        Value::Words(vec!["branch".into(), "main".into()])
    );
    assert_eq!(
        get(&list, "hook_compile"),
        Value::Text("do user value".into())
    );
    assert_eq!(get(&list, "lines"), Value::Text("a\nb".into()));
    let line = |name: &str| list.iter().find(|a| a.name == name).unwrap().line;
    assert_eq!(
        (
            line("erlang_version"),
            line("TOKEN"),
            line("elixir_version")
        ),
        (2, 5, 0)
    );
    let exported: Vec<_> = list
        .iter()
        .filter(|a| a.exported)
        .map(|a| &a.name)
        .collect();
    assert_eq!(exported, ["TOKEN"]);
    assert!(
        list.iter()
            .all(|a| !["PATH", "FROM_USER", "build_path"].contains(&a.name.as_str())),
        "{list:?}"
    );
}

/// The values are read correctly regardless of the shell options that the file sets.
#[test]
fn file_that_changes_shell_options_is_read() {
    for before in [
        "IFS=:",
        "IFS=",
        "IFS=er",
        "set -eu",
        "set -f",
        "set -o posix",
        "shopt -s nocasematch extglob nullglob",
        "printf() { :; }; declare() { :; }; compgen() { :; }",
        "alias printf=false; shopt -s expand_aliases",
        "trap 'echo bye' EXIT DEBUG",
        "PATH=/nowhere",
        "exec >/dev/null",
        "cd /",
        "readonly erlang_version=27",
        "unset PATH FROM_USER HOME",
        "LC_ALL=C; LANG=xx",
        "f() { local x=1; }; f",
    ] {
        let text = format!("{before}\n: \"$(:)\"\nelixir_version='a b:c*'\nwords=(é 'b  c' '')\n");
        let list = values(&text).unwrap_or_else(|error| panic!("{before}: {error:?}"));
        let text = Value::Text("a b:c*".into());
        assert_eq!(get(&list, "elixir_version"), text, "{before}");
        let words = ["é", "b  c", ""].map(str::to_owned).to_vec();
        assert_eq!(get(&list, "words"), Value::Words(words), "{before}");
    }
}

#[test]
fn exit_in_config_file_is_an_error() {
    for (text, line) in [
        ("elixir_version=1.18\nexit 0\n", 2),
        ("\n\nexec true\n", 3),
        ("exec 3>&-\n", 1),
    ] {
        assert_eq!(failing_line(text), Some(line), "{text}");
    }
}

/// Returns the line at which the evaluation of a text fails, if it does.
fn failing_line(text: &str) -> Option<u32> {
    match values(text) {
        Ok(_) => None,
        Err(
            Error::ConfigCommand { line, .. }
            | Error::ConfigFile {
                syntax_error: Some((line, _)),
                ..
            },
        ) => Some(line),
        Err(error) => panic!("{text}: {error:?}"),
    }
}

/// The code with which both old buildpacks source a config file, without their defaults.
const OLD_BUILDPACK: &str = r#"
set -e -o pipefail
load_config() {
  local custom_config_file=$1
  shift
  if [ -f "$custom_config_file" ]; then
    source "$custom_config_file" >&2
  else
    exit 99
  fi
}
load_config "$1"
printf '%s|' "$a" "$b" "$c"
"#;

/// Returns the values of `a`, `b` and `c` in an old buildpack. `None` if the file ends the build.
fn in_old_buildpack(dir: &Path) -> Option<String> {
    let output = Command::new("bash")
        .args(["-c", OLD_BUILDPACK, "bash"])
        .arg(dir.join("x.config"))
        .current_dir(dir)
        .env_clear()
        .envs(environment().for_commands())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let passed = output.status.success();
    passed.then(|| String::from_utf8(output.stdout).unwrap())
}

fn formatted(list: &[Assignment]) -> String {
    let value = |name: &str| {
        let found = list.iter().find(|a| a.name == name);
        match found.map(|a| a.value.clone()) {
            Some(Value::Text(text)) => text,
            Some(Value::Words(words)) => words.first().cloned().unwrap_or_default(),
            None => String::new(),
        }
    };
    ["a", "b", "c"]
        .map(|name| format!("{}|", value(name)))
        .concat()
}

/// Texts, and the line at which each fails.
const FAILING: &[(&str, Option<u32>)] = &[
    ("erlang_version = 25.3.2\nelixir_version=1.16\n", Some(1)),
    ("a=1\nhook_x= \"mix x\"\nb=2\n", Some(2)),
    ("a=1\n[ -n \"$X\" ] && b=1\nc=2\n", None),
    ("a=1\n[ -n \"$X\" ] && b=1\n", Some(2)),
    ("a=1\n[ -n \"$X\" ] && b=1\n\n# the end\n", Some(2)),
    ("a=1\n[ -n \"$X\" ] && b=1\ntrue\n", None),
    ("if true; then\n  [ -n \"$X\" ] && b=1\nfi\n", Some(2)),
    ("if [ -n \"$X\" ]; then\n  b=1\nfi\n", None),
    ("[ -n \"$X\" ] || b=1\n", None),
    ("for x in 1 2; do\n  [ $x = 1 ] && b=1\ndone\n", Some(2)),
    ("a=$(false)\nb=1\n", Some(1)),
    ("a=$(false)x$(true)\nb=1\n", None),
    ("export a=$(false)\nb=1\n", None),
    ("local x=$(false)\nb=1\n", None),
    ("a=$(false; true)\nb=1\n", None),
    ("a=1\nb=$(\n  false |\n  cat\n)\nc=1\n", Some(5)),
    ("f() {\n  false\n}\na=1\nf\nb=2\n", Some(2)),
    ("f() {\n  false\n}\nf || true\nb=2\n", None),
    ("f() {\n  return 3\n}\na=1\nf\nb=2\n", Some(5)),
    ("a=1\nfalse | cat\nb=1\n", Some(2)),
    ("a=1\nreturn 1\nb=1\n", Some(2)),
    ("a=1\nreturn 0\nb=(\n", None),
    ("a=1\n\n[[ -n \"\" ]]\nb=1\n", Some(3)),
    ("a=1\n(( 0 ))\nb=1\n", Some(2)),
    ("a=1\n(\n  exit 3\n)\nb=1\n", Some(4)),
    ("a=1\n{ false; }\nb=1\n", Some(2)),
    ("a=1\n! true\nb=1\n", None),
    ("a=1\n! true\n", Some(2)),
    ("a=1\nexit 3\n", Some(2)),
    ("a=1 \\\n  b=2 \\\n  nosuch x\n", Some(1)),
    ("a=1\nset -u\nb=$NOSUCH\n", Some(3)),
    ("a=1\nb=${NOSUCH:?is missing}\n", Some(2)),
    ("readonly a=1\na=2\nb=1\n", Some(2)),
    ("set +e\nfalse\na=1\n", None),
    ("set +o pipefail\nfalse | true\na=1\n", None),
    ("a=1\nb=2\nsource ./nosuch\nc=1\n", Some(3)),
    ("a=1\n\neval false\nb=1\n", Some(3)),
    ("eval 'a=(' || true\n\nfalse\n", Some(3)),
    ("a=1\nb=(\nc=1", Some(2)),
    ("a=1\nif true; then\nb=1\n", Some(4)),
    ("a=1\nelixir_version = (branch main)\n", Some(2)),
    ("a=1\nb=2\n\\", Some(3)),
    ("test -f \"$build_path/x.config\"\na=1\n", None),
];

#[test]
fn error_names_line_of_failing_command() {
    for (text, line) in FAILING {
        assert_eq!(failing_line(text), *line, "{text}");
    }
}

#[test]
fn commands_fail_as_in_old_buildpacks() {
    const LINES: [&str; 12] = [
        "a=1",
        "b=$(false)",
        "export b=$(false)",
        "false",
        "[ -n \"$X\" ] && c=1",
        "[ -n \"$X\" ] || c=1",
        "if true; then false; fi",
        "b = 2",
        "! false",
        "f() { false; c=3; }",
        "f || a=2",
        "set +e",
    ];
    let texts = LINES.iter().flat_map(|first| {
        LINES.map(|second| {
            let text = format!("{first}\n{second}\n");
            [format!("{text}b=end\n"), text]
        })
    });
    let dir = tempfile::tempdir().unwrap();
    let given = FAILING.iter().map(|(text, _)| (*text).to_owned());
    for text in texts.flatten().chain(given) {
        let ours = evaluated(dir.path(), &text).ok();
        let old = in_old_buildpack(dir.path());
        if !text.contains("build_path") {
            assert_eq!(ours.map(|list| formatted(&list)), old, "{text}");
        }
    }
}

#[test]
fn error_quotes_command_verbatim() {
    let quoted = |text: &str| match values(text) {
        Err(Error::ConfigCommand {
            written, is_last, ..
        }) => (written, is_last),
        other => panic!("{other:?}"),
    };
    for (text, written, is_last) in [
        ("  a = \"$KEY\" # why\nb=1\n", "a = \"$KEY\" # why", false),
        ("a=1 \\\n  nosuch\nb=1\n", "a=1   nosuch", false),
        ("a=$(\n  false\n)\nb=1\n", "a=$(false)", false),
        ("[ -n \"\" ] && a=1\n", "[ -n \"\" ] && a=1", true),
        ("a=1\nnosuch \\", "nosuch \\", false),
    ] {
        assert_eq!(quoted(text), (written.to_owned(), is_last));
    }
}

#[test]
fn error_names_sourced_file_of_failing_command() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("config")).unwrap();
    std::fs::write(dir.path().join("config/more"), "a=1\n\nfalse # here\n").unwrap();
    let Err(Error::ConfigCommand {
        file,
        line,
        written,
        ..
    }) = evaluated(dir.path(), ". ./config/more\nb=1\n")
    else {
        panic!("must fail");
    };
    assert_eq!((file.as_str(), line), ("config/more", 3));
    assert_eq!(written, "false # here");
}

#[test]
fn errors_do_not_reveal_config_vars() {
    for text in [
        "hook_x= $SHORT\n",
        "\"$FROM_USER\"\n",
        "echo \"$KEY\"; false\n",
        "echo \"<$SHORT>\" >&2; false\n",
        "eval \"$SHORT x\"\n",
        "[ \"$SHORT\" -gt 1 ]\n",
        "eval \"x=($SHORT\"\n",
    ] {
        let Err(error) = values(text) else {
            panic!("{text} must fail");
        };
        let message = format!("{error:?}{}", messages::explain(&error).lines().join("\n"));
        for value in ["user value", "abc", "s3cr3t", "second-line"] {
            assert!(!message.contains(value), "{text}: {message}");
        }
    }
}

#[test]
fn bash_ignores_crlf_and_byte_order_mark() {
    let list = values("\u{feff}a=1\r\n\r\nif true; then\r\n  b=\"x\ny\"\r\nfi\r\nc=3\r").unwrap();
    assert_eq!(formatted(&list), "1|x\ny|3|");
    assert_eq!(failing_line("\u{feff}\r\nfalse\r\n"), Some(2));
}

#[test]
fn relative_app_path_resolves_against_working_directory() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(dir.path().file_name().unwrap());
    let list = evaluated(relative, "a=$(cat x.config | wc -l)\nb=$build_path\n").unwrap();
    let top = std::env::current_dir().unwrap().join(relative);
    assert_eq!(formatted(&list), format!("2|{}||", top.display()));
}

#[test]
fn config_file_sees_build_environment() {
    let list = values("[ \"$MIX_ENV\" = prod ] && a=yes\ntrue\n").unwrap();
    assert_eq!(formatted(&list), "yes|||");
    assert!(list.iter().all(|assignment| assignment.name != "MIX_ENV"));
}

#[test]
fn error_includes_bash_output() {
    let Err(Error::ConfigFile { output, status, .. }) = values("x=(\n") else {
        panic!("must fail");
    };
    assert!(output.starts_with("x.config:1: "), "{output}");
    assert!(status.starts_with("exit status "), "{status}");
}

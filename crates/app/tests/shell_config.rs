//! Compares the plain parser of config files with bash, which sources them like the old buildpacks, with `set -e -o
//! pipefail`. A file that fails there must never be parsed as plain.

use app::facts::shell_config::{Outcome, ShellConfig, Value, parse};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

/// Sources a file, then prints, for each name in its arguments, whether it is exported, the count of
/// its words and the words, all ended by NUL; what sourcing prints goes to stderr.
const PRINT: &str = r#"
set -e -o pipefail
load_config() {
    if [ -f "$__file" ]; then
        source "$__file" >&2
    fi
}
__file=$1
shift
load_config
set +e
for __name; do
    declare -n __value=$__name
    case ${__value@a} in *x*) printf '%s\0' x ;; *) printf '%s\0' - ;; esac
    printf '%s\0' "${#__value[@]}" "${__value[@]}"
done
"#;

/// The output of bash after sourcing a file with this text.
fn sourced(text: &str, names: &BTreeSet<&str>) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("config");
    fs::write(&file, text).expect("the config file is written");
    Command::new("bash")
        .args(["--norc", "--noprofile", "-c", PRINT, "bash"])
        .arg(&file)
        .args(names)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/home/of-the-test")
        .current_dir(dir.path())
        .output()
        .expect("these tests need bash on PATH")
}

/// `(exported, words)` of each name after bash has sourced a file of this text.
fn bash(text: &str, names: &BTreeSet<&str>) -> Vec<(bool, Vec<String>)> {
    let output = sourced(text, names);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "bash refuses {text:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8(output.stdout).expect("UTF-8 from UTF-8");
    let mut fields = stdout.split_terminator('\0').map(str::to_owned);
    let mut values = Vec::new();
    while let Some(exported) = fields.next() {
        let count = fields
            .next()
            .and_then(|count| count.parse().ok())
            .expect("a count follows the flag");
        values.push((exported == "x", fields.by_ref().take(count).collect()));
    }
    values
}

fn names(config: &ShellConfig) -> BTreeSet<&str> {
    config
        .assignments
        .iter()
        .map(|assignment| assignment.name.as_str())
        .collect()
}

/// The same facts as from [`bash`], from our own parser.
fn ours(config: &ShellConfig) -> Vec<(bool, Vec<String>)> {
    names(config)
        .into_iter()
        .filter_map(|name| config.get(name))
        .map(|assignment| {
            let words = match &assignment.value {
                Value::Text(text) => vec![text.clone()],
                Value::Words(words) => words.clone(),
            };
            (assignment.exported, words)
        })
        .collect()
}

fn plain(text: &str) -> ShellConfig {
    match parse(text) {
        Outcome::Plain(config) => config,
        Outcome::NeedsBash { line, construct } => {
            panic!("{text:?} should be plain, but line {line} holds {construct}")
        }
    }
}

const PLAIN: &[&str] = &[
    "",
    "\n\n",
    "# only a comment",
    "a=1",
    "a=1\n",
    "a=",
    "a=\nb=2",
    "a=''",
    "a=\"\"",
    "a=1 b=2",
    "a=1; b=2",
    "a=1;b=2;",
    "a=1 ; b=2 # c=3",
    "  a=1",
    "\ta=1\t",
    "a=1 # comment",
    "a=1#no-comment",
    "a=#value",
    "a= #comment",
    "a=1;#comment",
    "# comment that ends in \\\na=1",
    "a=1 # comment that ends in \\\nb=2",
    "a=1\na=2",
    "a='it is $HOME `x` \\n \"q\"'",
    "a='two\nlines'\nb=1",
    "a=\"two\nlines\"",
    r#"a="\$x \` \" \\ \n \a""#,
    "a=\"one\\\ntwo\"",
    "a='one\\\ntwo'",
    "a=one\\\ntwo",
    "a=1 \\\n  b=2",
    "a=1\\\n b=2",
    "\\\na=1",
    r"a=a\ b\$c\\d\'e\#f",
    r"a=\~",
    "a='x'\"y\"z",
    "a=x'y'",
    "a=*",
    "a=?[a-z]*",
    "a={1,2}",
    "a=x~y",
    "a='~'",
    "a=\"~/x\"",
    "a=\"\"~",
    "a=b=c",
    "a=b:c",
    "a=!",
    "a=%^@,.+-/",
    "a=]}",
    "a=$",
    "a=x$",
    "a=\"$\"",
    "a=\"x$ y\"",
    "a=$.",
    "a=\"$'x'\"",
    "a=x\\",
    "export a='x'\\",
    "a=\\",
    "a=1 \\\n",
    "a=1\nb=$a",
    "a=1\nb=${a}",
    "a=1\nb=\"$a.$a\"",
    "a=1\nb='$a'",
    "a=1\nb=\\$a",
    "a='x  y *'\nb=$a",
    "a='x  y'\nb=pre${a}post",
    "a=1 b=$a a=2 c=$a",
    "a=1\na=$a$a",
    "a=1\nab=2\nc=$ab${a}b",
    "a='$b'\nb=$a",
    "a='~'\nb=$a",
    "a='\\'\nb=\"$a\\$a\"",
    "export a=1",
    "export a=1 b=2",
    "a=0\nexport a=1 b=$a",
    "a=1\nexport a",
    "a=1\nexport a\na=2",
    "export a=1\na=2",
    "a=1\nexport a; b=2",
    "a='x  y *'\nexport b=$a",
    "export a='x y' # comment",
    "export a=*",
    "export a=x\\\ny",
    "export\ta=1",
    "a=(branch main)",
    "a=( branch\n  main # comment\n)",
    "a=()",
    "a=('x y' \"z\" w\\ v)",
    "a=(x=1 y#z)",
    "a=(1)\na=(2 3)",
    "a=1\na=(2 3)",
    "a=1\nb=(\"$a\" \"x${a}y\")",
    "a=('*' \"{1,2}\")",
    "a=(one\\\ntwo)",
    "a=(x);b=2",
    "a=(#x\ny)",
    "a=ünï\nb=\"☃\"",
    "a=x\u{a0}y",
    "a=x\ry",
    "IFS=:\na=x:y\nb=$a",
    "hook_post_compile=\"eval mix assets.deploy && rm -f _build/esbuild*\"",
];

#[test]
fn plain_files_parse_as_in_bash() {
    for snippet in PLAIN {
        let config = plain(snippet);
        assert_eq!(ours(&config), bash(snippet, &names(&config)), "{snippet:?}");
    }
}

/// A file, the line of the syntax that isn't plain, and the name of that syntax.
const NOT_PLAIN: &[(&str, u32, &str)] = &[
    ("a=$(x)", 1, "a command substitution"),
    ("a=\"$(x)\"", 1, "a command substitution"),
    ("a=`x`", 1, "a command substitution"),
    ("a=\"`x`\"", 1, "a command substitution"),
    ("a=$((1+1))", 1, "an arithmetic expansion"),
    ("a=$[1+1]", 1, "an arithmetic expansion"),
    (
        "a=1\nb=${a:-y}",
        2,
        "a parameter expansion with an operator",
    ),
    ("a=${#a}", 1, "a parameter expansion with an operator"),
    ("a=1\nb=${a", 2, "a parameter expansion with an operator"),
    ("\n\na=$HOME", 3, "a variable that the file doesn't set"),
    ("b=$a\na=1", 1, "a variable that the file doesn't set"),
    ("export a=1 b=$a", 1, "a variable that the file doesn't set"),
    ("export HOME", 1, "a variable that the file doesn't set"),
    ("a=$1", 1, "a special parameter"),
    ("a=\"$@\"", 1, "a special parameter"),
    ("a=$$", 1, "a special parameter"),
    ("a=$'x\\n'", 1, "a dollar-quoted string"),
    ("a=$\"x\"", 1, "a dollar-quoted string"),
    ("a=1\nb=$\\\na", 2, "a reference continued on the next line"),
    (
        "a=1\nb=\"$a\\\nc\"",
        2,
        "a reference continued on the next line",
    ),
    ("a=1\nif [ -n \"$a\" ]; then\nb=2\nfi", 2, "a conditional"),
    ("[ -n x ] && a=1", 1, "a conditional"),
    ("[[ -n x ]] && a=1", 1, "a conditional"),
    ("case x in esac", 1, "a conditional"),
    ("for a in 1 2; do :; done", 1, "a loop"),
    ("f() { a=1; }", 1, "a function"),
    ("function f { a=1; }", 1, "a function"),
    ("{ a=1; }", 1, "a group of commands"),
    ("(a=1)", 1, "a group of commands"),
    ("source x", 1, "a sourced file"),
    (". x", 1, "a sourced file"),
    ("echo x", 1, "a command"),
    ("a=1 echo x", 1, "a command"),
    ("declare a=1", 1, "a command"),
    ("readonly a=1", 1, "a command"),
    ("export", 1, "a command"),
    ("export -n a", 1, "a command"),
    ("export 'a=1'", 1, "a command"),
    ("unset a", 1, "a command"),
    ("a =1", 1, "a command"),
    ("1a=1", 1, "a command"),
    ("a-b=1", 1, "a command"),
    ("\"a\"=1", 1, "a command"),
    ("a\\\nb=1", 1, "a command"),
    ("\u{feff}\u{feff}a=1", 1, "a command"),
    ("a=1\na+=2", 2, "an appending assignment"),
    ("a[0]=1", 1, "an assignment to an array element"),
    ("a=1 > x", 1, "a redirection"),
    ("a=1>x", 1, "a redirection"),
    ("a=<(x)", 1, "a redirection"),
    ("a=1 && b=2", 1, "a pipe, list or background command"),
    ("a=1&", 1, "a pipe, list or background command"),
    ("a=1|b=2", 1, "a pipe, list or background command"),
    ("a=~", 1, "a tilde expansion"),
    ("a=~/x", 1, "a tilde expansion"),
    ("a=\\\n~/x", 2, "a tilde expansion"),
    ("a=x:~/y", 1, "a tilde expansion"),
    ("a=(*)", 1, "a glob pattern"),
    ("a=([1]=x)", 1, "a glob pattern"),
    ("a=({1,2})", 1, "a brace expansion"),
    ("export a={1,2}", 1, "a brace expansion"),
    ("a=1\nb=($a)", 2, "an unquoted reference in an array"),
    ("a=(1 2)\nb=$a", 2, "a reference to an array"),
    ("a=(1 2)\na=3", 2, "a string assigned to an array"),
    ("export a=(1)", 1, "an exported array"),
    ("a=1\nb='x\ny", 2, "an unclosed quote"),
    ("a=1\nb=\"x\ny", 2, "an unclosed quote"),
    ("a=\"x\\", 1, "an unclosed quote"),
    ("a=1\nb=(x\ny", 2, "an unclosed array"),
    ("a=1;;", 1, "a syntax error"),
    (";", 1, "a syntax error"),
    ("a=1\n;b=2", 2, "a syntax error"),
    ("a=(x)y", 1, "a syntax error"),
    ("a=(x;y)", 1, "a syntax error"),
    ("a=x(y)", 1, "a parenthesis"),
    ("a=x)", 1, "a parenthesis"),
    ("UID=1", 1, "a special bash variable"),
    ("BASHOPTS=x", 1, "a special bash variable"),
    ("RANDOM=1", 1, "a special bash variable"),
    ("a=x\0y", 1, "a control character"),
];

#[test]
fn everything_else_needs_bash() {
    for &(text, line, construct) in NOT_PLAIN {
        assert_eq!(
            parse(text),
            Outcome::NeedsBash { line, construct },
            "{text:?}"
        );
    }
}

/// Files that fail a build of the old buildpacks, and the line of the failure.
const FAILING: &[(&str, u32)] = &[
    ("erlang_version = 25.3.2\nelixir_version=1.16", 1),
    ("a=1\nerlang_version =25", 2),
    ("a=1\nhook_x= \"mix x\"\nb=1", 2),
    ("hook_compile=mix compile", 1),
    ("export a = 1", 1),
    ("a=1\nfalse\nb=1", 2),
    ("a=1\n[ -n \"\" ] && b=1", 2),
    ("a=$(false)", 1),
    ("elixir_version = (branch main)", 1),
    ("a=1\nb='x\nc=1", 2),
    ("a=(1", 1),
    ("a=(1 \\", 1),
    ("a=1 \\", 1),
];

#[test]
fn failing_file_needs_bash_from_failing_line() {
    for &(text, line) in FAILING {
        assert!(!sourced(text, &BTreeSet::new()).status.success(), "{text}");
        match parse(text) {
            Outcome::NeedsBash { line: found, .. } => assert_eq!(found, line, "{text}"),
            Outcome::Plain(_) => panic!("{text}"),
        }
    }
}

#[test]
fn crlf_and_byte_order_mark_are_ignored() {
    let text = "# c\na=1\nb=\"x\ny\"\nc=(branch v1.18)\nd=one\\\ntwo\nexport e='z'";
    let windows = format!("\u{feff}{}\r", text.replace('\n', "\r\n"));
    assert_eq!(parse(&windows), parse(text));
    assert_eq!(plain(text).assignments.len(), 5);
}

#[test]
fn assignment_has_start_line_and_last_one_wins() {
    let config = plain("# c\n\na='x\ny'\nb=1 \\\n c=2\na=3\nd=(\n1\n) e=5\n");
    let lines: Vec<(&str, u32)> = config
        .assignments
        .iter()
        .map(|assignment| (assignment.name.as_str(), assignment.line))
        .collect();
    assert_eq!(
        lines,
        [("a", 3), ("b", 5), ("c", 6), ("a", 7), ("d", 8), ("e", 10)]
    );
    let last = config.get("a").expect("a is assigned");
    assert_eq!((last.line, &last.value), (7, &Value::Text("3".to_owned())));
    assert_eq!(config.get("z"), None);
}

/// One piece of a value, quoted in some way.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9._/:+,%@^=#!-]{1,6}",
        2 => "[ -&(-~é☃\n]{0,8}".prop_map(|text| format!("'{text}'")),
        2 => r"([ -!#%-\[\]-_a-~é☃]|\n|\\[ -~]|\\\n|\$[ .,%]){0,8}"
            .prop_map(|text| format!("\"{text}\"")),
        2 => r"\\[ -~é]",
        1 => Just("\\\n".to_owned()),
        2 => "[abc]".prop_map(|name| format!("${{{name}}}")),
        1 => "[abc]".prop_map(|name| format!("\"${name}\"")),
        1 => r"[*?\[\]{}~$]",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let value = proptest::collection::vec(piece(), 0..5).prop_map(|pieces| pieces.concat());
    let array = proptest::collection::vec(
        proptest::collection::vec(piece(), 1..3).prop_map(|pieces| pieces.concat()),
        0..4,
    )
    .prop_map(|words| format!("({})", words.join(" ")));
    let separator = prop_oneof![
        6 => Just("\n"), 1 => Just(" "), 1 => Just(" ; "), 1 => Just(";"), 1 => Just(" # c\n"), 1 => Just("\n\n\t"), 1 => Just(" \\\n ")
    ];
    (
        prop_oneof![4 => Just(""), 1 => Just("export ")],
        prop_oneof![Just("a"), Just("b"), Just("c"), Just("long_Name1")],
        prop_oneof![5 => value, 1 => array],
        separator,
    )
        .prop_map(|(export, name, value, separator)| format!("{export}{name}={value}{separator}"))
}

/// Random sequences of bash's special characters and words.
fn token() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => prop::sample::select(vec!["a=", "b=", "export ", "a", "b", "1", "x y", "é", "$a", "${b}", "\n", " "]),
        3 => prop::sample::select(vec!["'", "\"", "\\", "\\\n", "#", " # ", ";", "(", ")", "=", "\t", "\r\n", "\r"]),
        1 => prop::sample::select(vec![
            "false", "true", " && ", "[ -n '' ] && a=", "! ", "return ", "if ", "then ", "fi ", " = ",
            "~", "*", "?", "[", "]", "{", "}", ",", "!", "^", "%", "@", ":", "$", "$'", "$\"", "\u{a0}", "\u{feff}",
            "\u{2028}", "\u{85}", "\u{b}", "\u{c}", "\u{1}", "\u{7f}", "+=", "[0]=", "&", "|", "`", "<", ">", "a=(", "x)",
        ]),
    ]
}

/// 400 of each, or as many as `PROPTEST_CASES` says.
fn as_many_as_asked() -> ProptestConfig {
    let default = ProptestConfig::default();
    let requested = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if requested { default.cases } else { 400 },
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(as_many_as_asked())]

    #[test]
    fn random_tokens_parse_as_in_bash(
        tokens in proptest::collection::vec(token(), 0..14),
    ) {
        let text = format!("a=1\nb='x  y'\n{}", tokens.concat());
        // Our parser ignores them, but bash makes them part of values.
        let bashs = text.replace("\r\n", "\n");
        let bashs = bashs.strip_suffix('\r').unwrap_or(&bashs);
        if let Outcome::Plain(config) = parse(&text) {
            prop_assert_eq!(ours(&config), bash(bashs, &names(&config)), "{:?}", text);
        }
    }

    #[test]
    fn random_plain_lines_parse_as_in_bash(
        lines in proptest::collection::vec(line(), 0..6),
    ) {
        let text = format!("a=1\nb='x  y'\nc=\n{}", lines.concat());
        if let Outcome::Plain(config) = parse(&text) {
            prop_assert_eq!(ours(&config), bash(&text, &names(&config)), "{:?}", text);
        }
    }

    #[test]
    fn files_of_quoted_values_are_plain(
        values in proptest::collection::vec("[ -&(-~é\n]{0,20}", 1..8),
    ) {
        let text = format!("a='{}'\n", values.join("'\na='"));
        let config = plain(&text);
        prop_assert_eq!(config.assignments.len(), values.len());
        prop_assert_eq!(ours(&config), bash(&text, &names(&config)));
    }

    #[test]
    fn any_text_parses_without_panic(text in r#"(?s)([a-c=$"'\\{}();# \r\n]|.){0,60}"#) {
        if let Outcome::NeedsBash { line, .. } = parse(&text) {
            prop_assert!(line as usize <= text.split('\n').count());
        }
    }
}

//! A config file that uses more of bash than assignments is evaluated by bash itself.

use crate::command::Env;
use crate::error::Error;
use app::facts::ConfigFile;
use app::shell_config::{Assignment, Value};
use std::path::Path;
use std::process::{Command, Stdio};

/// Sources the file with what it prints going to stderr, then tells every variable that is new or
/// changed: `NAME`, `x` or `-` for exported or not, the words of its value, an empty name, each
/// closed by a NUL; then `end`, which is not there where the file has ended the shell. A value is
/// read as an array, so that `(branch main)` keeps its words. The file may have set what it likes:
/// other separators, functions in place of builtins.
const SCRIPT: &str = r#"
exec 3>&1 1>&2
declare -A __before
for __name in $(compgen -v); do
  case $__name in __*|BASH*|_|RANDOM|SECONDS|LINENO|EPOCH*|SRANDOM|FUNCNAME|DIRSTACK|PIPESTATUS) ;;
    *) __before[$__name]="${!__name-}" ;;
  esac
done
source "$1" || exit
builtin set +eu
builtin shopt -u nocasematch
IFS=$'\n'
for __name in $(builtin compgen -v); do
  case $__name in __*|BASH*|_|IFS|RANDOM|SECONDS|LINENO|EPOCH*|SRANDOM|FUNCNAME|DIRSTACK|PIPESTATUS|OPTIND) continue ;; esac
  [[ ${__before[$__name]+known} && ${__before[$__name]} == "${!__name-}" ]] && continue
  __flags=-
  __declared=$(builtin declare -p "$__name" 2>/dev/null) || __declared=
  __declared=${__declared#declare }
  [[ ${__declared%% *} == *x* ]] && __flags=x
  builtin declare -n __value=$__name
  builtin printf '%s\0' "$__name" "$__flags" "${#__value[@]}" "${__value[@]}" >&3
  builtin declare +n __value
done
builtin printf end >&3
"#;

/// Evaluates `file` of the repository, in its folder. `env` is what commands of the app may see: a config file always
/// could.
pub(crate) fn evaluate(
    top: &Path,
    file: &str,
    line: u32,
    construct: &str,
    env: &Env,
) -> Result<ConfigFile, Error> {
    let path = top.join(file);
    let output = Command::new("bash")
        .args(["-c", SCRIPT, "bash"])
        .arg(&path)
        .current_dir(path.parent().unwrap_or(top))
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .output();
    let failed = |status: String, output: String| Error::ConfigFile {
        file: file.to_owned(),
        line,
        construct: construct.to_owned(),
        status,
        output,
    };
    let output = output.map_err(|error| failed(error.to_string(), String::new()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(failed(output.status.to_string(), said));
    }
    let Some(printed) = output.stdout.strip_suffix(b"end") else {
        let status = format!("{}, before the end of the file", output.status);
        return Err(failed(status, said));
    };
    let text = std::fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Ok(ConfigFile::Values(assignments(printed, &text)))
}

/// Where a variable is assigned, as far as the text tells; 0 where it does not.
fn line_of(name: &str, text: &str) -> u32 {
    let assigns = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('='))
    };
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| assigns(line))
        .map(|(number, _)| number)
        .last()
        .unwrap_or_default()
}

fn assignments(printed: &[u8], text: &str) -> Vec<Assignment> {
    let mut fields = printed
        .split(|byte| *byte == 0)
        .map(|field| String::from_utf8_lossy(field).into_owned());
    let mut list = Vec::new();
    while let (Some(name), Some(flags), Some(count)) = (fields.next(), fields.next(), fields.next())
    {
        let words: Vec<String> = fields
            .by_ref()
            .take(count.parse().unwrap_or_default())
            .collect();
        list.push(Assignment {
            line: line_of(&name, text),
            name,
            value: match <[String; 1]>::try_from(words) {
                Ok([text]) => Value::Text(text),
                Err(words) => Value::Words(words),
            },
            exported: flags == "x",
        });
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<Assignment>, Error> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.config"), text).unwrap();
        let env = Env::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("FROM_USER".into(), "user value".into()),
        ]);
        evaluate(dir.path(), "x.config", 1, "a command", &env).map(|file| match file {
            ConfigFile::Values(list) => list,
            ConfigFile::Missing | ConfigFile::NeedsBash { .. } => Vec::new(),
        })
    }

    fn get(list: &[Assignment], name: &str) -> Value {
        list.iter().find(|a| a.name == name).unwrap().value.clone()
    }

    #[test]
    fn bash_says_what_the_file_means() {
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
                .all(|a| a.name != "PATH" && a.name != "FROM_USER"),
            "{list:?}"
        );
    }

    /// Whatever the file sets, what comes after it reads the values as they are.
    #[test]
    fn a_file_that_changes_the_shell_is_read_all_the_same() {
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
            let text =
                format!("{before}\n: \"$(:)\"\nelixir_version='a b:c*'\nwords=(é 'b  c' '')\n");
            let list = values(&text).unwrap_or_else(|error| panic!("{before}: {error:?}"));
            let text = Value::Text("a b:c*".into());
            assert_eq!(get(&list, "elixir_version"), text, "{before}");
            let words = ["é", "b  c", ""].map(str::to_owned).to_vec();
            assert_eq!(get(&list, "words"), Value::Words(words), "{before}");
        }
    }

    #[test]
    fn a_file_that_ends_the_shell_is_not_taken_for_one_without_values() {
        for text in [
            "elixir_version=1.18\nexit 0\n",
            "exec true\n",
            "exec 3>&-\n",
        ] {
            let Err(Error::ConfigFile { status, .. }) = values(text) else {
                panic!("{text}");
            };
            assert!(status.starts_with("exit status: "), "{text}: {status}");
        }
    }

    #[test]
    fn what_bash_says_against_a_file_is_told() {
        let Err(Error::ConfigFile { output, status, .. }) = values("x=(\n") else {
            panic!("must fail");
        };
        assert!(output.contains("x.config: line 1: "), "{output}");
        assert!(status.contains('1') || status.contains('2'), "{status}");
    }
}

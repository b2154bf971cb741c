//! Evaluates config files in bash, if they contain more than assignments.

#[cfg(test)]
mod tests;

use app::facts::ConfigFile;
use app::facts::shell_config::{self, Assignment, Value};
use app::text_file;
use exec::cancel::Cancel;
use exec::environment::Environment;
use messages::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Sources the file like the old buildpacks: in a function, with `set -e -o pipefail`. The output of the file goes to
/// stderr. The script writes fields to stdout, each ended by a NUL:
///
/// - For each command that is about to run, and each that fails: the file, the line and the command. A `-` and two
///   empty fields mean that the whole file ended with the status of its last command.
/// - An empty field, then every new or changed variable: `NAME`, `x` if exported or else `-`, the number of words in
///   its value, and the words. Each value is read as an array, so that `(branch main)` keeps its words.
/// - `end`, unless the file has ended the shell.
///
/// The file may have changed anything in the shell, such as separators, or builtins replaced by functions.
const SCRIPT: &str = r#"
exec 3>&1 1>&2
__place() {
  case ${FUNCNAME[1]}:$1 in
    __load:ERR) builtin printf -- '-\0\0\0' >&3 ;;
    __*) ;;
    *) builtin printf '%s\0' "${BASH_SOURCE[1]:-?}" "${BASH_LINENO[0]}" "$BASH_COMMAND" >&3 ;;
  esac || :
}
__load() {
  local __file=$1 __name __flags __declared __value
  local -A __before
  shift
  for __name in $(compgen -v); do
    case $__name in __*|BASH*|_|RANDOM|SECONDS|LINENO|EPOCH*|SRANDOM|FUNCNAME|DIRSTACK|PIPESTATUS) ;;
      *) __before[$__name]="${!__name-}" ;;
    esac
  done
  trap '__place DEBUG' DEBUG
  trap '__place ERR' ERR
  set -eET -o pipefail
  source "$__file"
  builtin set +eETu +o pipefail
  builtin trap - DEBUG ERR
  builtin shopt -u nocasematch
  IFS=$'\n'
  builtin printf '\0' >&3
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
}
build_path=$PWD build_dir=$PWD
__load "$1"
"#;

/// Evaluates `file` of the repository, in its directory. It gets the variables that commands of the app get, as in
/// the old buildpacks. `mix_env` is the environment to build.
pub(crate) fn evaluate(
    top: &Path,
    file: &str,
    (line, construct): (u32, &str),
    (environment, mix_env): (&Environment, &str),
    cancel: &Cancel,
) -> Result<ConfigFile, Error> {
    let failed = |status: String, output: String, syntax_error| Error::ConfigFile {
        file: file.to_owned(),
        line,
        construct: construct.to_owned(),
        syntax_error,
        status,
        output,
    };
    let io_failed = |error: io::Error| failed(error.to_string(), String::new(), None);
    let script = Script::of(top, file).map_err(io_failed)?;
    let output = script
        .run(environment, mix_env, cancel)
        .map_err(io_failed)?;
    let printed = script.shown(&output.stderr, environment);
    let mut status = output.status.to_string().replace("status: ", "status ");
    let mut fields = output
        .stdout
        .split(|byte| *byte == 0)
        .map(|field| String::from_utf8_lossy(field).into_owned());
    let trace = Trace::read(&mut fields);
    let ran_to_end = output.stdout.ends_with(b"\0end");
    if output.status.success() && ran_to_end {
        return Ok(ConfigFile::Values(assignments(fields, &script.text)));
    }
    if output.status.success() {
        status.push_str(", before the end of the file");
    }
    let syntax_error = script.syntax_error(&output.stderr);
    // Bash runs the commands before a syntax error.
    let is_later = |line: &u32| trace.last.as_ref().is_none_or(|last| last.line <= *line);
    if let Some(line) = syntax_error.filter(is_later) {
        let place = (line, written(&script.text, line, ""));
        return Err(failed(status, printed, Some(place)));
    }
    let Some(place) = trace.last else {
        return Err(failed(status, printed, None));
    };
    let (path, text) = script.source(&place.file);
    // Bash returns a line number beyond the end if a file ends with a backslash.
    let last_line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let line = place.line.min(last_line.max(1));
    let command = environment.without_any_value(&place.command);
    Err(Error::ConfigCommand {
        file: path,
        line,
        written: written(&text, line, &command),
        is_last: trace.is_returned,
        status,
        output: printed,
    })
}

/// The file to run in bash.
struct Script {
    top: PathBuf,
    /// The path, relative to the root of the repository.
    file: String,
    /// The path of the file, or of the copy below.
    source: PathBuf,
    text: String,
    /// A copy of the file without Windows line ends and byte order mark, which bash would treat as parts of words.
    _copy: Option<TempDir>,
}

impl Script {
    fn of(top: &Path, file: &str) -> io::Result<Self> {
        let top = std::path::absolute(top)?;
        let path = top.join(file);
        let bytes = std::fs::read(&path)?;
        let text = shell_config::without_windows_marks(&text_file::decode(&bytes).0);
        let is_plain = !bytes.starts_with("\u{feff}".as_bytes()) && !bytes.contains(&b'\r');
        let (source, copy) = if is_plain {
            (path, None)
        } else {
            let folder = tempfile::tempdir()?;
            let copy = folder.path().join(path.file_name().unwrap_or_default());
            std::fs::write(&copy, &text)?;
            (copy, Some(folder))
        };
        Ok(Self {
            top,
            file: file.to_owned(),
            source,
            text,
            _copy: copy,
        })
    }

    fn folder(&self) -> PathBuf {
        let path = self.top.join(&self.file);
        path.parent().unwrap_or(&self.top).to_owned()
    }

    fn run(&self, environment: &Environment, mix_env: &str, cancel: &Cancel) -> io::Result<Output> {
        let mut command = Command::new("bash");
        command
            .args(["-c", SCRIPT, "bash"])
            .arg(&self.source)
            .current_dir(self.folder())
            .env_clear()
            .envs(environment.for_commands())
            .env("MIX_ENV", mix_env);
        cancel.output(&mut command)
    }

    /// Returns the number of a line of the file in a message of bash, and the message.
    fn line_message<'a>(&self, printed: &'a str) -> Option<(u32, &'a str)> {
        let rest = printed.strip_prefix(&*self.source.to_string_lossy())?;
        let (line, message) = rest.strip_prefix(": line ")?.split_once(": ")?;
        Some((line.parse().ok()?, message))
    }

    fn syntax_error(&self, stderr: &[u8]) -> Option<u32> {
        let stderr = String::from_utf8_lossy(stderr);
        let mut lines = stderr
            .lines()
            .filter_map(|printed| self.line_message(printed));
        let is_syntax = |message: &str| {
            message.starts_with("syntax error") || message.starts_with("unexpected EOF")
        };
        Some(lines.find(|(_, message)| is_syntax(message))?.0)
    }

    /// Returns the output of the file, with the names of config vars in place of their values.
    fn shown(&self, stderr: &[u8], environment: &Environment) -> String {
        let text = environment.without_values(&String::from_utf8_lossy(stderr));
        let lines = text.trim().lines().map(|line| {
            let Some((number, message)) = self.line_message(line) else {
                return environment.without_any_value(line);
            };
            let message = environment.without_any_value(message);
            format!("{}:{number}: {message}", self.file)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns the name and the text of the file that bash was running: this one, or one that it sources.
    fn source(&self, path: &str) -> (String, String) {
        if Path::new(path) == self.source {
            return (self.file.clone(), self.text.clone());
        }
        let found = self.folder().join(path);
        let name = found.strip_prefix(&self.top).unwrap_or(Path::new(path));
        let text = text_file::read(&found).unwrap_or_default();
        (name.display().to_string(), text)
    }
}

/// The position of a command.
struct Place {
    file: String,
    line: u32,
    /// The command as bash prints it, before expansions.
    command: String,
}

/// The position of bash when the file ended.
#[derive(Default)]
struct Trace {
    last: Option<Place>,
    /// Whether bash reached the end of the file, or a `return`.
    is_returned: bool,
}

impl Trace {
    fn read(fields: &mut impl Iterator<Item = String>) -> Self {
        let mut trace = Self::default();
        while let Some(file) = fields.next().filter(|file| !file.is_empty()) {
            let (Some(line), Some(command)) = (fields.next(), fields.next()) else {
                break;
            };
            trace.is_returned = file == "-";
            if let Ok(line) = line.parse() {
                trace.last = Some(Place {
                    file,
                    line,
                    command,
                });
            }
        }
        trace
    }
}

/// Returns the command as written in the file, if it starts on this line. For some multiline commands, bash reports
/// the last line.
fn written(text: &str, line: u32, command: &str) -> String {
    let mut lines = text
        .lines()
        .skip(line.saturating_sub(1) as usize)
        .peekable();
    let mut written = String::new();
    while let Some(line) = lines.next() {
        match line.strip_suffix('\\') {
            Some(continued) if lines.peek().is_some() => written.push_str(continued),
            _ => {
                written.push_str(line);
                break;
            }
        }
    }
    let first = command.split_whitespace().next().unwrap_or_default();
    let shown = if written.contains(first) {
        &written
    } else {
        command
    };
    shown.trim().to_owned()
}

/// Returns the line that assigns a variable, or 0 if the text doesn't show it.
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

fn assignments(mut fields: impl Iterator<Item = String>, text: &str) -> Vec<Assignment> {
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

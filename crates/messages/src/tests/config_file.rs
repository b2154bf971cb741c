//! Config files that bash can't read, or that fail in bash.

use crate::Error;

const FILE: &str = "elixir_buildpack.config";

fn unreadable(line: u32, construct: &str, syntax_error: (u32, &str), output: &str) -> Error {
    Error::ConfigFile {
        file: FILE.to_owned(),
        line,
        construct: construct.to_owned(),
        syntax_error: Some((syntax_error.0, syntax_error.1.to_owned())),
        status: "exit status 2".to_owned(),
        output: output.to_owned(),
    }
}

fn failed(line: u32, written: &str, status: &str, output: &str) -> Error {
    Error::ConfigCommand {
        file: FILE.to_owned(),
        line,
        written: written.to_owned(),
        is_last: false,
        status: format!("exit status {status}"),
        output: output.to_owned(),
    }
}

pub(super) fn config_files() -> Vec<(&'static str, Error)> {
    let not_found = |line: u32, word: &str| format!("{FILE}:{line}: {word}: command not found");
    let last = |written: &str, status: &str| match failed(4, written, status, "") {
        Error::ConfigCommand {
            file,
            line,
            written,
            status,
            output,
            ..
        } => Error::ConfigCommand {
            file,
            line,
            written,
            is_last: true,
            status,
            output,
        },
        error => error,
    };
    vec![
        (
            "config_file",
            unreadable(
                3,
                "an unclosed array",
                (4, "hook_compile=("),
                "elixir_buildpack.config:4: syntax error: unexpected end of file",
            ),
        ),
        (
            "config_file_branch_with_spaces",
            unreadable(
                1,
                "a command",
                (1, "elixir_version = (branch main)"),
                "elixir_buildpack.config:1: syntax error near unexpected token `('",
            ),
        ),
        (
            "config_spaces_around_equals",
            failed(
                1,
                "erlang_version = 25.3.2",
                "127",
                &not_found(1, "erlang_version"),
            ),
        ),
        (
            "config_space_after_equals",
            failed(2, "hook_x= \"mix x\"", "127", &not_found(2, "mix x")),
        ),
        (
            "config_without_quotes",
            failed(
                2,
                "hook_compile=mix compile --force",
                "127",
                &not_found(2, "compile"),
            ),
        ),
        (
            "config_export_with_spaces",
            failed(2, "export LANG = C.UTF-8", "1", ""),
        ),
        (
            "config_command_not_found",
            failed(
                3,
                "elixir_version=$(asdf current elixir)",
                "127",
                &not_found(3, "asdf"),
            ),
        ),
        (
            "config_command",
            failed(
                3,
                "node_version=$(cat assets/.nvmrc)",
                "1",
                "cat: assets/.nvmrc: No such file or directory",
            ),
        ),
        (
            "config_last_command",
            last("[ -n \"$STAGING\" ] && release=true", "1"),
        ),
        (
            "config_exit",
            last("exit 0", "0, before the end of the file"),
        ),
    ]
}

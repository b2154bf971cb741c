//! The messages for config files that bash can't parse, or that fail in bash.

use super::{Explanation, quoted};
use app::settings::assignment_typo::{AssignmentTypo, Cause};

pub(super) fn evaluation_failed(
    (file, line, construct): (&str, u32, &str),
    syntax_error: Option<&(u32, String)>,
    status: &str,
    output: &str,
) -> Explanation {
    let explanation = Explanation::user(
        "config-file-not-evaluated",
        format!("{file} cannot be evaluated"),
    )
    .because(format!(
        "{file}:{line} contains {construct}, so bash evaluates the file. It failed with {status}:"
    ))
    .because_all(quoted(output));
    match syntax_error.and_then(|(_, written)| AssignmentTypo::find(written)) {
        Some(typo) => with_correction(explanation, file, &typo),
        None => explanation
            .so(format!(
                "Fix {file} and commit it. To see the error on your machine:"
            ))
            .typing(sourcing(file)),
    }
}

/// Builtins that end a file.
const ENDS: [&str; 3] = ["exit", "return", "exec"];

pub(super) fn command_failed(
    (file, line, written): (&str, u32, &str),
    is_last: bool,
    status: &str,
    output: &str,
) -> Explanation {
    let explanation = Explanation::user(
        "config-command-failed",
        format!("{file} failed at line {line}"),
    )
    .because(format!("{file}:{line} ended with {status}:"))
    .because_all(quoted(written));
    if let Some(typo) = AssignmentTypo::find(written) {
        return with_correction(explanation, file, &typo);
    }
    let mut explanation = explanation;
    if !output.is_empty() {
        explanation = explanation
            .because("The file printed:")
            .because_all(quoted(output));
    }
    let first = written.split_whitespace().next().unwrap_or_default();
    if ENDS.contains(&first) {
        return explanation
            .because(format!(
                "`{first}` ends the file with this status, which fails the build."
            ))
            .so("To end the file early, write this and commit it:")
            .typing("return 0");
    }
    if status.ends_with(" 127") {
        explanation = explanation.because(
            "The build machine has no such command. Config files run before Erlang, Elixir and Node.js are installed.",
        );
    }
    if is_last {
        return explanation
            .because("It is the last command of the file, so its status is the status of the file.")
            .so("Use `if …; then …; fi`, or add this line after it, and commit the file:")
            .typing("true");
    }
    explanation
        .so("Fix the command, or append `|| true` if its failure doesn't matter, and commit the file. To see the failure on your machine:")
        .typing(sourcing(file))
}

fn sourcing(file: &str) -> String {
    format!("bash -e -o pipefail -c 'source ./{file}'")
}

fn with_correction(explanation: Explanation, file: &str, typo: &AssignmentTypo) -> Explanation {
    let word = &typo.word;
    let effect = if typo.exported {
        format!("`export` takes `{word}` for a variable name")
    } else {
        format!("bash runs `{word}` as a command")
    };
    let cause = match typo.cause {
        Cause::SpaceBefore { also_after: true } => "of the spaces around `=`",
        Cause::SpaceBefore { also_after: false } => "of the space before `=`",
        Cause::SpaceAfter => "of the space after `=`",
        Cause::NoQuotes => "the value has several words and no quotes",
    };
    explanation
        .because(format!("{effect} because {cause}."))
        .so(format!("Correct the line in {file} and commit it:"))
        .typing(&typo.corrected)
}

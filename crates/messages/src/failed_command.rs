//! How a command failed, with the lines of its output that show it.

use super::{Explanation, quoted};
use exec::command::CommandError;

/// Returns the command as the subject of a sentence.
pub(super) fn named(error: &CommandError) -> String {
    let command = match error {
        CommandError::Start { command, .. } | CommandError::Failed { command, .. } => command,
        CommandError::Cancelled => "",
    };
    format!("`{command}`")
}

/// Adds how a command failed. `at` is the line of the output that shows the cause, if known.
pub(super) fn happened(
    explanation: Explanation,
    subject: &str,
    error: &CommandError,
    at: Option<usize>,
) -> Explanation {
    match error {
        CommandError::Failed { status, output, .. } => {
            let relevant_lines = relevant_lines(output, at);
            if relevant_lines.is_empty() {
                explanation.because(format!(
                    "{subject} failed with {status} and printed nothing."
                ))
            } else {
                explanation
                    .because(format!("{subject} failed with {status}. From its output:"))
                    .because_all(quoted(&relevant_lines.join("\n")))
            }
        }
        CommandError::Start { source, .. } => {
            explanation.because(format!("{subject} could not be started: {source}."))
        }
        CommandError::Cancelled => explanation.because("It was interrupted."),
    }
}

/// The start of lines that report an error: of Elixir's compiler, mix, Hex and npm; esbuild writes
/// `✘ [ERROR]`.
const ERROR_PREFIXES: [&str; 12] = [
    "error:",
    "== Compilation error",
    "** (",
    "Failed to fetch record for",
    "npm error",
    "npm ERR!",
    "✘ [ERROR]",
    "Error:",
    "error ",
    "ERR_PNPM_",
    " ERR_PNPM_",
    "➤ YN0028",
];

/// The start of lines in which mix reports that another program failed. That program printed the reason
/// just before.
const DELEGATED_ERROR_PREFIXES: [&str; 2] = ["** (Mix) `", "** (Mix) Could not compile"];

/// The start of mix's progress lines.
const PROGRESS_PREFIXES: [&str; 3] = ["==> ", "Compiling ", "Generated "];

/// The start of the help text that npm prints after an error.
const HELP_PREFIXES: [&str; 3] = [
    "npm error Clean install a project",
    "npm error Usage:",
    "npm error A complete log of this run",
];

/// Returns the most relevant lines of a tool's output, to repeat them at the end of a long log: those
/// from the first error on, or the ones before it if it only reports that another program failed. If
/// that excludes the line `at`, which shows the cause, the lines from `at` on. Without any error, the
/// last lines.
fn relevant_lines(output: &[String], at: Option<usize>) -> Vec<&str> {
    const FROM_ERROR: usize = 14;
    const LAST: usize = 6;
    let is_informative = |line: &&str| !matches!(line.trim(), "" | "npm error" | "npm ERR!");
    let starts = |line: &str, with: &[&str]| {
        let line = line.trim_start();
        with.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = output
        .iter()
        .map(String::as_str)
        .filter(is_informative)
        .collect();
    let cause = |first: usize| {
        let before = if starts(lines[first], &DELEGATED_ERROR_PREFIXES) {
            LAST
        } else {
            0
        };
        let earlier = lines[..first].iter().rev().take(before);
        first
            - earlier
                .take_while(|line| !starts(line, &PROGRESS_PREFIXES))
                .count()
    };
    let shown: Vec<&str> = match lines.iter().position(|line| starts(line, &ERROR_PREFIXES)) {
        Some(first) => lines[cause(first)..]
            .iter()
            .copied()
            .take_while(|line| !starts(line, &HELP_PREFIXES))
            .take(FROM_ERROR)
            .collect(),
        None => lines[lines.len().saturating_sub(LAST)..].to_vec(),
    };
    let mut quoted = match at {
        Some(at) if !shown.contains(&output[at].as_str()) => output[at..]
            .iter()
            .map(String::as_str)
            .take_while(is_informative)
            .take(LAST)
            .collect(),
        _ => shown,
    };
    // A tool may repeat a message for each file.
    quoted.dedup();
    quoted
}

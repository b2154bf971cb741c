//! The output of builds and commands, and searches in it.

use crate::Deploy;
use std::process::Output;

/// Everything that a command has printed.
pub fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Checks that the log contains this text.
#[track_caller]
pub fn holds(deploy: &Deploy, text: &str) {
    let log = deploy.log();
    assert!(log.contains(text), "no {text:?} in\n{log}");
}

/// Checks that the log doesn't contain this text.
#[track_caller]
pub fn lacks(deploy: &Deploy, text: &str) {
    let log = deploy.log();
    assert!(!log.contains(text), "{text:?} in\n{log}");
}

/// The log with its errors' paragraphs in one line each, without colours.
pub fn unwrapped(deploy: &Deploy) -> String {
    let plain = deploy
        .log()
        .replace("\x1b[1;31m", "")
        .replace("\x1b[0m", "");
    plain.replace("\n !     ", " ")
}

/// The lines about compilation: mix's own, and the log's summary of them, but not those about changes since the last
/// build, which repeat it.
pub fn compiling(log: &str) -> Vec<&str> {
    let steps = log.split("Changes since the last build").next();
    steps
        .unwrap_or_default()
        .lines()
        .map(str::trim)
        .filter(|line| {
            (line.starts_with("Compiling ") && line.contains(" file"))
                || line.starts_with("===> Compiling")
                || line.starts_with("compiled ")
        })
        .collect()
}

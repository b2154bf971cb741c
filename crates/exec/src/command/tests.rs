use super::*;
use crate::log::Style;
use crate::log::captured::log;
use std::time::Instant;

fn env() -> Env {
    Env::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())])
}

fn shell(line: &str) -> (Result<(), CommandError>, Vec<String>) {
    logged(line, None)
}

/// Returns the result, and the lines in the log.
fn logged(line: &str, filter: Option<OutputFilter>) -> (Result<(), CommandError>, Vec<String>) {
    let (log, out, _) = log(false, false, Style::Bullets);
    let step = log.step("Test");
    let env = env();
    let cancel = Cancel::default();
    let result = Tool::shell(line, Path::new("/"), &env).run(filter, &step, &cancel);
    let printed = out.text();
    let lines = printed.lines().skip(1);
    (result, lines.map(|line| line.trim().to_owned()).collect())
}

#[test]
fn stdout_and_stderr_keep_their_order() {
    let line = "echo out; echo err >&2; echo out again; printf 'no newline'";
    let (result, lines) = shell(line);
    result.unwrap();
    assert_eq!(lines, ["out", "err", "out again", "no newline"]);
}

#[test]
fn leading_trailing_and_repeated_blank_lines_are_dropped() {
    let (_, lines) = shell("echo; echo '> deploy'; echo; echo ' '; echo built; echo; echo");
    assert_eq!(lines, ["> deploy", "", "built"]);
}

#[test]
fn failure_names_command_status_and_last_output() {
    let Err(CommandError::Failed {
        command,
        status,
        code,
        output,
    }) = shell("echo why; exit 3").0
    else {
        panic!("must fail");
    };
    assert_eq!(command, "echo why; exit 3");
    assert_eq!((status.as_str(), code), ("exit status 3", 3));
    assert_eq!(output, ["why"]);
}

#[test]
fn child_process_inherits_only_given_variables() {
    let (_, lines) = shell("env | sed 's/=.*//' | sort | tr '\\n' ' '");
    assert_eq!(lines, ["PATH PWD SHLVL _"]);
}

#[test]
fn background_daemon_does_not_block_build() {
    let started = Instant::now();
    let (_, lines) = shell("sleep 30 & echo done");
    assert_eq!(lines, ["done"]);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn cancelling_tool_kills_its_children() {
    let (log, ..) = log(false, false, Style::Arrows);
    let step = log.step("Test");
    let env = env();
    let cancel = Cancel::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        let result =
            Tool::shell("sleep 60 & sleep 60", Path::new("/"), &env).run(None, &step, &cancel);
        assert!(matches!(result, Err(CommandError::Cancelled)));
    });
    assert!(started.elapsed() < Duration::from_secs(30));
}
fn of_a_release() -> Option<OutputFilter> {
    OutputFilter::of(&crate::Action::Release, Default::default)
}

#[test]
fn successful_quiet_command_prints_only_important_lines() {
    let line = "echo '* assembling a-1'; echo warning; echo Release created at x; echo page";
    let (result, lines) = logged(line, of_a_release());
    result.unwrap();
    assert_eq!(lines, ["warning", "Release created at x"]);
}

#[test]
fn failed_quiet_command_prints_all_output_in_order() {
    let line = "echo '* assembling a-1'; echo warning; echo why >&2; exit 3";
    let (result, lines) = logged(line, of_a_release());
    assert!(matches!(
        result,
        Err(CommandError::Failed { output, .. }) if output == lines
    ));
    assert_eq!(lines, ["* assembling a-1", "warning", "why"]);
}

#[test]
fn long_output_of_quiet_command_is_cut_to_last_lines() {
    let line = "seq 20007; exit 1";
    let (result, lines) = logged(line, of_a_release());
    assert!(matches!(
        result,
        Err(CommandError::Failed { output, .. }) if output.len() == ERROR_LINES
    ));
    assert_eq!(lines.len(), BUFFERED_LINES + 1);
    assert_eq!(lines[0], "... the first 7 lines are omitted");
    assert_eq!(lines[1], "8");
}

/// Runs many commands at once, so that readers lag behind. Each command exits right after its last line.
#[test]
fn last_line_is_captured_under_load() {
    let until = Instant::now() + Duration::from_secs(2);
    let runs = || {
        let mut outputs = Vec::new();
        while Instant::now() < until {
            outputs.push(shell("sleep 0.097; echo last").1);
        }
        outputs
    };
    let outputs: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..48).map(|_| scope.spawn(runs)).collect();
        let joined = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        joined.collect()
    });
    let lost = outputs.iter().filter(|lines| *lines != &["last"]).count();
    assert_eq!(lost, 0, "of {}", outputs.len());
}

#[test]
fn output_larger_than_pipe_buffer_is_complete() {
    let (_, lines) = shell("seq 100000");
    assert_eq!(lines.len(), 100_000);
    assert_eq!(lines.last().map(String::as_str), Some("100000"));
}

#[test]
fn background_output_shortly_after_exit_is_captured() {
    let (result, lines) = shell("exec > >(sleep 0.3; cat); echo last; exit 3");
    assert!(matches!(
        result,
        Err(CommandError::Failed { code: 3, output, .. }) if output == ["last"]
    ));
    assert_eq!(lines, ["last"]);
}

#[test]
fn endless_background_output_does_not_hang_build() {
    let started = Instant::now();
    let (_, lines) = shell("while sleep 0.01; do echo noise; done & echo done");
    assert_eq!(lines[0], "done");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn waits_for_process_that_closes_its_output() {
    let (result, lines) = shell("echo out; exec >&- 2>&-; sleep 0.3; exit 3");
    assert!(matches!(result, Err(CommandError::Failed { code: 3, .. })));
    assert_eq!(lines, ["out"]);
}

//! The script that opens a remote shell on the running node.

/// The script's place, relative to the app.
pub(crate) const PATH: &str = ".mixpack/bin/console";

/// Runs in `sh`, with `sed` and `tr`. Reads Linux's /proc (`proc_pid_cmdline(5)`, `proc_pid_environ(5)`).
pub(crate) const SCRIPT: &str = include_str!("console.sh");

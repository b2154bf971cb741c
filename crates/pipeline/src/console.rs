//! The script that opens a remote shell on the node that runs.

/// The script's place, relative to the app.
pub(crate) const PATH: &str = ".mixpack/bin/console";

/// For `sh`, with `sed` and `tr`. Reads Linux' /proc (`proc_pid_cmdline(5)`, `proc_pid_environ(5)`).
pub(crate) const SCRIPT: &str = include_str!("console.sh");

//! The sandbox for the deploys of each contestant.

use std::fs::{self, File};

use mirror::stack::{self, NETWORK_VARIABLES};
use mirror::{Sandbox, Stack, Upstream};

use super::measure::{self, Costs};
use super::old_hosts::STACK;
use crate::process::Result;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Creates a sandbox with local upstream hosts.
pub(crate) fn sandbox(stack: &Stack, upstream: &Upstream) -> Result<Sandbox> {
    let mut sandbox = upstream
        .shown_to(stack.sandbox()?)?
        .env("HOME", "/app")
        .env("PATH", PATH)
        .env("STACK", STACK);
    // Don't use a proxy of this machine.
    for name in NETWORK_VARIABLES {
        if name.to_ascii_lowercase().ends_with("_proxy") && std::env::var_os(name).is_some() {
            sandbox = sandbox.env(name, "");
        }
    }
    Ok(sandbox)
}

/// Runs a shell script in a sandbox as the build user. Returns its costs. `what` is for the error.
pub(crate) fn script(
    upstream: &Upstream,
    sandbox: &Sandbox,
    what: &str,
    text: &str,
) -> Result<Costs> {
    let log_path = sandbox.tmp().join("log");
    let log = File::create(&log_path)?;
    let command: stack::Command<'_> = sandbox.command("sh", ["-ec", text]).current_dir("/tmp");
    let (status, costs) = measure::run(&upstream.server, command, None, &log)?;
    if status.success() {
        return Ok(costs);
    }
    let log = fs::read_to_string(&log_path)?;
    Err(format!("{log}\n{what} failed: {status}").into())
}

//! The Docker daemon for `pack`: a running one, or else Debian's, which is installed and runs while it is needed.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{ensure, run};

/// The time that the daemon has to load its state and set up its networks.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// A running daemon. One that was started here stops when this is dropped.
pub(crate) struct Daemon {
    /// The newest version of its API, such as `1.41`.
    pub(crate) api: String,
    started: Option<Child>,
}

impl Daemon {
    /// Needs root if no daemon is running. `log` gets the daemon's output.
    ///
    /// # Errors
    ///
    /// The reason why Docker is unavailable: a failed installation, or the daemon's failure.
    pub(crate) fn find_or_start(log: &Path) -> Result<Self, String> {
        if let Some(found) = Self::answering() {
            return Ok(found);
        }
        ensure("dockerd", "docker.io").map_err(|error| error.to_string())?;
        // A separate package in later releases of Debian.
        ensure("docker", "docker-cli").map_err(|error| error.to_string())?;
        // With an init system, the package has started the daemon.
        if let Some(found) = Self::answering() {
            return Ok(found);
        }
        println!("Starting dockerd, which says {}", log.display());
        let start = || -> std::io::Result<Child> {
            let file = File::create(log)?;
            Command::new("dockerd")
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                .spawn()
        };
        let mut child = start().map_err(|error| format!("dockerd cannot be started: {error}"))?;
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_none()
                && let Some(api) = api()
            {
                let started = Some(child);
                return Ok(Self { api, started });
            }
            if ended.is_some() || Instant::now() > until {
                stop(&mut child);
                return Err(format!(
                    "dockerd does not answer; it said:\n{}",
                    last_lines(log)
                ));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn answering() -> Option<Self> {
        let started = None;
        api().map(|api| Self { api, started })
    }

    /// Compares versions as numbers.
    pub(crate) fn api_is_older_than(&self, version: (u32, u32)) -> bool {
        let (major, minor) = self.api.split_once('.').unwrap_or((&self.api, ""));
        (major.parse().unwrap_or(0), minor.parse().unwrap_or(0)) < version
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.started {
            stop(child);
        }
    }
}

/// Returns the newest API of the running daemon.
fn api() -> Option<String> {
    let version = ["version", "--format", "{{.Server.APIVersion}}"];
    let output = run(Command::new("docker").args(version)).ok()?;
    let version = output.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

fn stop(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let _ = child.wait();
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_api_versions_compare_numerically() {
        let daemon = |api: &str| Daemon {
            api: api.into(),
            started: None,
        };
        assert!(daemon("1.41").api_is_older_than((1, 44)));
        assert!(!daemon("1.44").api_is_older_than((1, 44)));
        assert!(!daemon("1.101").api_is_older_than((1, 44)));
        assert!(!daemon("2.0").api_is_older_than((1, 44)));
    }
}

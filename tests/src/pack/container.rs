//! Running images.

use super::{both_streams, docker, expect};
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a container may take to respond.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// How long platforms wait before they kill a process that they have told to stop, in seconds.
const ENDS_WITHIN: &str = "30";

/// A running container. Dropping it kills and removes the container.
pub struct Container {
    pub id: String,
    pub port: u16,
}

/// How a container ended.
pub struct Stopped {
    /// 128 plus the signal's number if a signal ended it.
    pub code: i64,
    pub took: Duration,
    pub log: String,
}

impl Container {
    /// The body of a response with status 200. Waits until the server is up.
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let until = Instant::now() + ANSWERS_WITHIN;
        loop {
            let answer = ureq::get(&url).call();
            let error = match answer.and_then(|mut answer| answer.body_mut().read_to_string()) {
                Ok(body) => return body,
                Err(error) => error,
            };
            let state = self.state();
            assert!(
                state["Running"] == true && Instant::now() < until,
                "GET {path}: {error}; {state}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn state(&self) -> Value {
        let json = expect(docker(["inspect", "--format={{json .State}}", &self.id]));
        serde_json::from_str(&json).expect("JSON")
    }

    /// Everything that the container has printed.
    pub fn log(&self) -> String {
        let mut logs = Command::new("docker");
        logs.args(["container", "logs", &self.id])
            .stdin(Stdio::null());
        both_streams(logs).1
    }

    /// Waits until the container has printed this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let until = Instant::now() + ANSWERS_WITHIN;
        while !self.log().contains(text) {
            let log = self.log();
            let running = self.state()["Running"] == true;
            assert!(
                (running && Instant::now() < until) || log.contains(text),
                "it has not said {text:?}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs another program in the container, without the launcher's environment.
    pub fn exec(&self, command: &[&str]) -> Output {
        docker([&["container", "exec", self.id.as_str()], command].concat())
    }

    /// Sends SIGTERM, and kills the container if it hasn't stopped after half a minute.
    pub fn stop(self) -> Stopped {
        let begun = Instant::now();
        expect(docker([
            "container",
            "stop",
            "--time",
            ENDS_WITHIN,
            &self.id,
        ]));
        Stopped {
            code: self.state()["ExitCode"].as_i64().expect("a code"),
            took: begun.elapsed(),
            log: self.log(),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(["container", "rm", "--force", "--volumes", &self.id]);
    }
}

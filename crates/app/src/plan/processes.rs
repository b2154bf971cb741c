//! The process types: Mixpack's defaults, and the needs of those in the app's Procfile.

use super::launcher;
use crate::facts::Facts;
use serde::Serialize;
use std::collections::BTreeMap;

/// A default process type, for apps whose Procfile doesn't define it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    pub command: String,
    pub why: String,
    /// Whether the command is a guess until the build has queried mix.
    pub guess: bool,
}

pub(super) fn processes(
    facts: &Facts,
    release: bool,
    phoenix_ex: Option<&String>,
    mix_env: &str,
) -> BTreeMap<String, Process> {
    let root = facts.root();
    let in_app_dir = |command: &str| launcher::command(&facts.app_dir.value, command);
    let process = if release {
        let name = root
            .release
            .clone()
            .or_else(|| root.app.clone())
            .unwrap_or_else(|| "RELEASE".to_owned());
        let by_distillery = facts.has_distillery && root.release.is_none();
        let start = if by_distillery { "foreground" } else { "start" };
        Process {
            command: in_app_dir(&format!("_build/{mix_env}/rel/{name}/bin/{name} {start}")),
            why: "a release is built".to_owned(),
            guess: true,
        }
    } else if let Some(namespace) = phoenix_ex {
        Process {
            command: in_app_dir(&format!("mix {namespace}.server")),
            why: "Phoenix is a dependency".to_owned(),
            guess: true,
        }
    } else {
        Process {
            command: in_app_dir("mix run --no-halt"),
            why: "not a Phoenix app".to_owned(),
            guess: true,
        }
    };
    BTreeMap::from([("web".to_owned(), process)])
}

/// Returns a process type that needs more than the release to start.
pub(super) fn tool_of_a_process(facts: &Facts) -> Option<String> {
    let procfile = facts.procfile.as_ref()?;
    procfile.calling_mix().map(str::to_owned)
}

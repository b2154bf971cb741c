//! The downloads of tools: their URLs and checksums, for the provenance statement.
//!
//! A note records the downloads of a cached tool, since a build that reuses it downloads nothing.

use exec::environment::Environment;
use exec::secrets;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use store::{Key, Store, Tool};

/// A file that Mixpack or npm downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub(crate) name: String,
    /// The URL at upstream; or a package URL.
    pub(crate) uri: String,
    /// The variable with the URL of the mirror that served the file.
    pub(crate) mirror: Option<String>,
    /// By algorithm, in hex: `{"sha256": "0123…"}`. Empty if upstream publishes none.
    pub(crate) digest: BTreeMap<String, String>,
}

/// The downloads of a build by tool. `None` for a cached tool of unknown origin.
pub(crate) type ByTool = BTreeMap<String, Option<Vec<Fetched>>>;

#[derive(Serialize, Deserialize)]
struct Note {
    /// The key of the tool's cache entry.
    key: Key,
    files: Vec<Fetched>,
}

/// The downloads so far. Parallel steps add to them.
#[derive(Default)]
pub(crate) struct FetchedTools(Mutex<ByTool>);

impl FetchedTools {
    pub(crate) fn all(&self) -> ByTool {
        let tools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tools.clone()
    }

    /// Adds a tool that was installed from `files`, or a cached one.
    pub(crate) fn add(
        &self,
        store: &dyn Store,
        name: &str,
        (tool, key): (&Tool, &Key),
        files: Vec<Fetched>,
    ) {
        let note_name = format!("fetched-{name}.json");
        let files = if *tool == Tool::Reused {
            let note = store.read_note(&note_name);
            let note = note.and_then(|note| serde_json::from_str::<Note>(&note).ok());
            note.filter(|note| note.key == *key).map(|note| note.files)
        } else {
            let note = Note {
                key: key.clone(),
                files,
            };
            // Without the note, later builds state that the origin is unknown.
            if let Ok(json) = serde_json::to_string(&note) {
                let _ = store.write_note(&note_name, &json);
            }
            Some(note.files)
        };
        let mut tools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tools.insert(name.to_owned(), files);
    }
}

/// Returns a URL of the app's lockfile without credentials and without the values of secret config vars, since it
/// ships.
pub(crate) fn public_url(environment: &Environment, url: &str) -> String {
    let secrets = secrets::of_config_vars(environment);
    let url = fetch::redact(url);
    secrets.iter().fold(url, |url, secret| {
        url.replace(&secret.text, &format!("${}", secret.name))
    })
}

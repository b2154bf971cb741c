//! JSON files of a build.

pub use crate::path_text::{PathText, paths};

use crate::tree::TreeError;
use serde::Serialize;
use std::path::Path;

/// Returns the JSON of a value, for the file at `place`.
pub fn to_vec(value: &impl Serialize, place: &Path) -> Result<Vec<u8>, TreeError> {
    serde_json::to_vec(value).map_err(|error| TreeError::at(place, "write")(error.into()))
}

/// [`to_vec`] for a note of the store.
pub fn to_string(value: &impl Serialize, note: &str) -> Result<String, TreeError> {
    let place = Path::new(note);
    serde_json::to_string(value).map_err(|error| TreeError::at(place, "write")(error.into()))
}

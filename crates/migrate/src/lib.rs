//! Moves an app off the two buildpacks that Mixpack replaces: edits of its files, and notes for its owner.
//!
//! Takes files and returns edits, without reading or writing files itself. Edits change the text, so formatting, line
//! ends, comments and the order of keys stay. If a file mentions the old buildpacks in an unknown way, it stays
//! unchanged, and a note says so.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod app_json;
mod buildpacks;
mod config;
mod edit;
mod platforms;
mod scripts;

pub use edit::{Edited, diff, with_assignments};
pub use platforms::{Commands, Platform, commands};

use app::facts::buildpacks::FILE;
use app::facts::{ELIXIR_CONFIG, STATIC_CONFIG};
use edit::Edit;

/// The file of a Heroku app's review apps and CI.
pub const APP_JSON: &str = "app.json";

/// The config files of Gigalixir's releases buildpack, now and with Distillery.
const RELEASE_CONFIGS: [&str; 2] = ["releases_buildpack.config", "distillery_buildpack.config"];

/// A file of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path, relative to the root of the repository.
    pub path: String,
    pub text: String,
}

/// A note for the app's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `app.json:12`, or a path alone.
    pub place: String,
    /// The text, in sentences.
    pub text: String,
}

/// The migration of an app.
#[derive(Debug, Default)]
pub struct Migration {
    /// The files that change, by path.
    pub edited: Vec<Edited>,
    pub notes: Vec<Note>,
}

/// The notes so far, about one file.
struct Notes<'a> {
    path: &'a str,
    notes: &'a mut Vec<Note>,
}

impl Notes<'_> {
    fn add(&mut self, line: usize, text: impl Into<String>) {
        self.notes.push(Note {
            place: format!("{}:{line}", self.path),
            text: text.into(),
        });
    }
}

/// Makes the edits. `url` is Mixpack's URL.
#[must_use]
pub fn migrate(files: &[File], url: &str) -> Migration {
    let mut migration = Migration::default();
    for file in files {
        let mut notes = Notes {
            path: &file.path,
            notes: &mut migration.notes,
        };
        let edits = match &*file.path {
            APP_JSON => app_json::edits(&file.text, url, &mut notes),
            FILE => buildpacks::edits(&file.text, url, &mut notes),
            path if [ELIXIR_CONFIG, STATIC_CONFIG].contains(&name(path)) => {
                config::check(&file.text, &mut notes);
                Vec::new()
            }
            path if RELEASE_CONFIGS.contains(&path) => {
                config::check_release_config(&file.text, &mut notes);
                Vec::new()
            }
            path if scripts::is_script(path) => scripts::edits(&file.text, url, &mut notes),
            _ => {
                scripts::mentions(&file.text, &mut notes);
                Vec::new()
            }
        };
        if !edits.is_empty() {
            migration.edited.push(Edited::new(file, edits));
        }
    }
    migration
}

/// Whether a file is one that [`migrate`] reads, by its path.
#[must_use]
pub fn is_read(path: &str) -> bool {
    [APP_JSON, FILE].contains(&path)
        || [ELIXIR_CONFIG, STATIC_CONFIG].contains(&name(path))
        || RELEASE_CONFIGS.contains(&path)
        || scripts::is_markdown(path)
        || scripts::is_script(path)
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Returns the line number, from 1, of a byte offset.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

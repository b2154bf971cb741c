//! A single clean build, requested by a new value of a config var.

use app::Plan;
use store::tree::TreeError;
use store::{Store, digest};

/// The config var. Any new value requests a clean build.
pub const VARIABLE: &str = "MIXPACK_CLEAN_BUILD";

/// The note with the digest of the last value that had its clean build.
const NOTE: &str = "clean-build";

/// Requests a clean build if there was none for `value` yet.
pub fn request(plan: &mut Plan, value: Option<&str>, store: Option<&dyn Store>) {
    let value = value.map(str::trim).filter(|value| !value.is_empty());
    let Some(value) = value else {
        return;
    };
    let digest = digest::short(value.as_bytes());
    let last = store.and_then(|store| store.read_note(NOTE));
    if last.as_deref() == Some(digest.as_str()) {
        return;
    }
    let why = || format!("{VARIABLE}, which has a new value");
    plan.clean.get_or_insert_with(why);
    // This build counts for the value, even if a setting requests a clean build too.
    plan.clean_build_digest = Some(digest);
}

/// Clears the cache, and notes the value of the config var.
pub fn run(plan: &Plan, store: &dyn Store) -> Result<(), TreeError> {
    store.clear()?;
    // Save the note last: if the build is interrupted before, the next one is a clean build again.
    match &plan.clean_build_digest {
        Some(digest) => store.write_note(NOTE, digest),
        None => Ok(()),
    }
}

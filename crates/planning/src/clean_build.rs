//! One clean build by a config var, without a commit: each new value of it is good for one.

use app::Plan;
use store::tree::TreeError;
use store::{Store, digest};

/// The config var. What it holds does not matter, only that it is another than the last time.
pub const VARIABLE: &str = "MIXPACK_CLEAN_BUILD";

/// The note with the digest of the value that the last clean build had.
const NOTE: &str = "clean-build";

/// Asks for a clean build if `value` is one that has not had its own yet.
pub fn ask(plan: &mut Plan, value: Option<&str>, store: Option<&dyn Store>) {
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
    // The value has had its build with this one, whoever else asks.
    plan.clean_once = Some(digest);
}

/// Drops what was kept, and remembers which value that was for.
pub fn run(plan: &Plan, store: &dyn Store) -> Result<(), TreeError> {
    store.clear()?;
    // Behind it: a build that was stopped in between is clean once more.
    match &plan.clean_once {
        Some(digest) => store.write_note(NOTE, digest),
        None => Ok(()),
    }
}

//! The namespace of Phoenix's mix tasks.

use crate::facts::mix_exs::locked_version;
use crate::facts::{Facts, join};
use crate::settings::Settings;

/// Since Phoenix 1.3: `mix phx.server`.
pub const PHX: &str = "phx";
/// Up to Phoenix 1.3, deprecated there and removed in 1.4: `mix phoenix.server`.
pub const PHOENIX: &str = "phoenix";

/// Returns the namespace of the Phoenix version in a `mix.lock`, if it comes from hex.pm.
#[must_use]
pub fn phoenix_ex_of(lock: &str) -> Option<&'static str> {
    of_version(&locked_version(lock, "phoenix")?)
}

fn of_version(version: &str) -> Option<&'static str> {
    let mut numbers = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let before_1_3 = (numbers.next()?, numbers.next()?) < (1, 3);
    Some(if before_1_3 { PHOENIX } else { PHX })
}

/// Returns the namespace. `phoenix` was the static buildpack's default for years, and many config files still
/// set it, so the locked version decides.
pub(super) fn phoenix_ex(facts: &Facts, settings: &Settings) -> String {
    let requested = settings
        .phoenix_ex
        .as_ref()
        .map(|requested| requested.value.as_str());
    locked(facts)
        .or_else(|| requested.filter(|name| [PHX, PHOENIX].contains(name)))
        .unwrap_or(PHX)
        .to_owned()
}

fn locked(facts: &Facts) -> Option<&'static str> {
    facts.phoenix_version.as_deref().and_then(of_version)
}

/// Warns about a `phoenix_ex` that sets another namespace.
pub(super) fn ignored_phoenix_ex(facts: &Facts, settings: &Settings) -> Option<String> {
    let namespace = phoenix_ex(facts, settings);
    let requested = settings.phoenix_ex.as_ref();
    let requested = requested.filter(|requested| requested.value != namespace)?;
    let why = match (locked(facts), &facts.phoenix_version) {
        (Some(_), Some(version)) => {
            let lock = join(&facts.app_dir.value, "mix.lock");
            format!("{lock} has Phoenix {version}, whose mix tasks are named {namespace}.*")
        }
        _ => format!("the mix tasks of Phoenix are named {PHX}.* or {PHOENIX}.*"),
    };
    Some(format!(
        "{}: ignoring phoenix_ex={}, because {why}; remove it",
        requested.origin, requested.value
    ))
}

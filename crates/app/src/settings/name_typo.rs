//! Warnings about misspelled settings. A config file may define any other variable, so only names that
//! resemble a setting are reported.

use super::{Settings, keys};
use crate::facts::{ConfigFile, Facts};
use crate::origin::Origin;
use std::collections::BTreeSet;

/// The prefix of Mixpack's own config vars.
pub const PREFIX: &str = "MIXPACK_";

/// Returns the known name that `word` most likely stands for: one with a single wrong, missing or swapped
/// letter, or with two in words of eight letters and more.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips = if word.len() < 8 { 1 } else { 2 };
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(word, name), name))
        .filter(|(distance, _)| (1..=slips).contains(distance))
        .min()
        .map(|(_, name)| name)
}

/// Returns a warning for each line of a config file, and for each of the `vars` (the names of variables that
/// are set), that sets nothing and resembles a setting. `build_only` are config vars that this crate does not
/// read.
///
/// A setting that has a value is no candidate for another name.
#[must_use]
pub fn warnings<'a>(
    facts: &'a Facts,
    settings: &'a Settings,
    vars: &[&str],
    build_only: &[&'a str],
) -> Vec<String> {
    let settable: BTreeSet<&str> = keys::all().collect();
    let build_only: BTreeSet<&str> = keys::CONFIG_VARS
        .iter()
        .chain(build_only)
        .copied()
        .collect();
    let is_set = |name: &str| settings.set.iter().any(|(set, _)| set == name);
    let meant = |name: &str, known: &BTreeSet<&'a str>| {
        let near = || nearest(name, known.iter().copied());
        let known = settable.contains(name) || known.contains(name);
        (!known).then(near)?.filter(|near| !is_set(near))
    };
    let mut warnings = Vec::new();
    let (elixir, statics) = (&facts.elixir_config_path, &facts.static_config_path);
    let (elixir_keys, static_keys) = (keys::ELIXIR_KEYS.as_slice(), keys::STATIC_KEYS.as_slice());
    for (path, file, own, other, of_other) in [
        (
            elixir,
            &facts.elixir_config,
            elixir_keys,
            statics,
            static_keys,
        ),
        (
            statics,
            &facts.static_config,
            static_keys,
            elixir,
            elixir_keys,
        ),
    ] {
        let ConfigFile::Values(lines) = file else {
            continue;
        };
        for line in lines {
            let name = line.name.as_str();
            if of_other.contains(&name) && !own.contains(&name) {
                let origin = Origin::file(path, line.line);
                warnings.push(format!(
                    "{origin}: {} has no effect here; it is a setting of {other}",
                    line.name
                ));
            }
            if let Some(near) = meant(&line.name, &settable) {
                let origin = Origin::file(path, line.line);
                let name = &line.name;
                warnings.push(format!(
                    "{origin}: unknown setting {name}; did you mean {near}?"
                ));
            }
        }
    }
    for name in vars {
        let known = if name.starts_with(PREFIX) {
            &build_only
        } else {
            &settable
        };
        if let Some(near) = meant(name, known) {
            warnings.push(format!("unknown config var {name}; did you mean {near}?"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typo_is_detected_and_other_words_are_not() {
        let near = |word| nearest(word, keys::all());
        assert_eq!(near("elixir_verison"), Some("elixir_version"));
        assert_eq!(near("hook_post_compiled"), Some("hook_post_compile"));
        assert_eq!(near("slimm"), Some("slim"));
        for other in [
            "elixir_version",
            "slimmer",
            "ELIXIR_VERSION",
            "app_name",
            "x",
        ] {
            assert_eq!(near(other), None, "{other}");
        }
    }
}

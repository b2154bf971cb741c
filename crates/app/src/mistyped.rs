//! Names that are nearly those of a setting. A config file may define any other variable, so only
//! those are told of.

use crate::facts::{ConfigFile, Facts};
use crate::settings::{self, Settings};
use std::collections::BTreeSet;

/// What all of our own config vars begin with.
pub const PREFIX: &str = "MIXPACK_";

/// The known name that `word` was meant to be, as far as its letters tell: one wrong, missing or
/// swapped letter, of eight letters and more two.
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

/// A warning for each line of a config file, and for each of the `vars` (names of variables that
/// are set), that sets nothing and is nearly a setting. `ours` are config vars that this crate does
/// not read.
///
/// A setting that has a value is not what another name was meant to be.
#[must_use]
pub fn warnings<'a>(
    facts: &'a Facts,
    settings: &'a Settings,
    vars: &[&str],
    ours: &[&'a str],
) -> Vec<String> {
    let keys: BTreeSet<&str> = settings::keys().collect();
    let ours: BTreeSet<&str> = settings::CONFIG_VARS.iter().chain(ours).copied().collect();
    let is_set = |name: &str| settings.set.iter().any(|(set, _)| set == name);
    let meant = |name: &str, known: &BTreeSet<&'a str>| {
        let near = || nearest(name, known.iter().copied());
        let known = keys.contains(name) || known.contains(name);
        (!known).then(near)?.filter(|near| !is_set(near))
    };
    let mut warnings = Vec::new();
    let (elixir, statics) = (&facts.elixir_config_path, &facts.static_config_path);
    let (elixir_keys, static_keys) = (
        settings::ELIXIR_KEYS.as_slice(),
        settings::STATIC_KEYS.as_slice(),
    );
    for (path, file, other, of_other) in [
        (elixir, &facts.elixir_config, statics, static_keys),
        (statics, &facts.static_config, elixir, elixir_keys),
    ] {
        let ConfigFile::Values(lines) = file else {
            continue;
        };
        for line in lines {
            if of_other.contains(&line.name.as_str()) {
                let origin = crate::Origin::file(path, line.line);
                warnings.push(format!(
                    "{origin}: {} means nothing here; it is a setting of {other}",
                    line.name
                ));
            }
            if let Some(near) = meant(&line.name, &keys) {
                let origin = crate::Origin::file(path, line.line);
                let name = &line.name;
                warnings.push(format!(
                    "{origin}: {name} is no setting; did you mean {near}?"
                ));
            }
        }
    }
    for name in vars {
        let known = if name.starts_with(PREFIX) {
            &ours
        } else {
            &keys
        };
        if let Some(near) = meant(name, known) {
            warnings.push(format!(
                "config var {name} is no setting; did you mean {near}?"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_not() {
        let near = |word| nearest(word, settings::keys());
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

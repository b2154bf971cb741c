//! The changes since the last successful build, for the log and the report.

use crate::compilation::CompiledModules;
use crate::component::{Component, Origin};
use crate::report::Report;
use exec::log::Log;
use exec::output_filter::first_names;
use planning::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::Store;
use store::tree::Amount;

/// The note with the facts of the last successful build. They aren't in the record, because it ships, and the slug or
/// image of an unchanged app has to stay the same.
const NOTE: &str = "last-success.json";

/// Sizes in bytes, by directory or cache entry.
pub(crate) type Sizes = BTreeMap<String, Amount>;

/// Versions by package name. JavaScript may have several versions of one package.
type Versions = BTreeMap<String, BTreeSet<String>>;

/// The facts of a successful build, for comparison in the next one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    mix_env: String,
    tools: Versions,
    /// From Hex and git.
    dependencies: Versions,
    npm_packages: Versions,
    /// In bytes, by directory of the slug.
    slug: BTreeMap<String, u64>,
    /// In bytes, by entry.
    cache: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
}

impl Facts {
    pub(crate) fn new(
        record: &Record,
        components: &[Component],
        (slug, cache): (&Sizes, &Sizes),
        took: Duration,
    ) -> Self {
        let bytes = |sizes: &Sizes| {
            let sizes = sizes.iter();
            sizes
                .map(|(name, held)| (name.clone(), held.bytes))
                .collect()
        };
        let mut facts = Self {
            mix_env: record.mix_env.clone(),
            slug: bytes(slug),
            cache: bytes(cache),
            seconds: took.as_secs_f64(),
            ..Self::default()
        };
        for (name, version) in &record.tools {
            let versions = facts.tools.entry(name.clone()).or_default();
            versions.insert(version.clone());
        }
        for component in components {
            let versions = match component.origin {
                Origin::Toolchain => continue,
                Origin::Hex { .. } | Origin::Git { .. } => &mut facts.dependencies,
                Origin::Npm { .. } => &mut facts.npm_packages,
            };
            let versions = versions.entry(component.name.clone()).or_default();
            versions.insert(component.version.clone());
        }
        facts
    }

    /// Returns the facts of the last successful build with this `MIX_ENV`. An unreadable note counts as missing.
    pub(crate) fn last(store: &dyn Store, mix_env: &str) -> Option<Self> {
        let facts: Self = serde_json::from_str(&store.read_note(NOTE)?).ok()?;
        (facts.mix_env == mix_env).then_some(facts)
    }

    /// Saves the facts. A failure is ignored: the next build then shows no changes.
    pub(crate) fn save(&self, store: &dyn Store) {
        if let Ok(json) = serde_json::to_string(self) {
            let _ = store.write_note(NOTE, &json);
        }
    }

    /// Returns the change in bytes by slug directory, and by cache entry.
    pub(crate) fn growth(&self, last: &Self) -> (Growth, Growth) {
        let slug = growth(&last.slug, &self.slug);
        (slug, growth(&last.cache, &self.cache))
    }

    /// Returns the old and new versions of the three kinds of packages, each with its noun.
    fn packages<'a>(
        &'a self,
        last: &'a Self,
    ) -> [(&'a Versions, &'a Versions, [&'static str; 2]); 3] {
        [
            (&last.tools, &self.tools, ["tool", "tools"]),
            (
                &last.dependencies,
                &self.dependencies,
                ["dependency", "dependencies"],
            ),
            (
                &last.npm_packages,
                &self.npm_packages,
                ["npm package", "npm packages"],
            ),
        ]
    }
}

/// Changes in bytes by name. Unchanged names are left out.
pub(crate) type Growth = BTreeMap<String, i64>;

fn growth(then: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Growth {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let names = names.into_iter();
    let of = |sizes: &BTreeMap<String, u64>, name| sizes.get(name).copied().unwrap_or_default();
    names
        .map(|name| {
            (
                name.clone(),
                of(now, name).cast_signed() - of(then, name).cast_signed(),
            )
        })
        .filter(|(_, bytes)| *bytes != 0)
        .collect()
}

/// Logs the changes of packages and compiled code since the last build, and adds them to the report. Logs nothing for
/// an unchanged build, or without an earlier build.
pub(crate) fn show(
    log: &Log,
    report: &Report,
    now: &Facts,
    last: Option<&Facts>,
    compiled: Option<&CompiledModules>,
) {
    let total = |sizes: &BTreeMap<String, u64>| sizes.values().sum::<u64>();
    report.set("slug_bytes", total(&now.slug));
    report.set("cache_bytes", total(&now.cache));
    if let Some(compiled) = compiled {
        report.set("modules_compiled", compiled.modules.len());
        report.set("dependencies_compiled", compiled.dependencies.len());
    }
    let Some(last) = last else {
        return;
    };
    report.set("last_slug_bytes", total(&last.slug));
    report.set("last_cache_bytes", total(&last.cache));
    let mut lines = Vec::new();
    for (then, now, nouns) in now.packages(last) {
        for (verb, names) in differences(then, now) {
            let count = names.len();
            report.set(&format!("{}_{verb}", nouns[1].replace(' ', "_")), count);
            if count > 0 {
                let noun = nouns[usize::from(count > 1)];
                lines.push(format!("{verb} {count} {noun}: {}", first_names(&names)));
            }
        }
    }
    lines.extend(compiled.into_iter().flat_map(compiled_lines));
    if lines.is_empty() {
        return;
    }
    let log = log.step("Changes since the last build");
    for line in lines {
        log.detail(&line);
    }
}

fn compiled_lines(compiled: &CompiledModules) -> Vec<String> {
    let CompiledModules {
        modules,
        dependencies,
        reason,
    } = compiled;
    let because = reason.as_ref().map(|why| format!(" because {why}"));
    let because = because.unwrap_or_default();
    let count = |names: &[String], [one, many]: [&str; 2]| match names.len() {
        1 => format!("compiled 1 {one}"),
        count => format!("compiled {count} {many}"),
    };
    let mut lines = Vec::new();
    if !dependencies.is_empty() {
        let compiled = count(dependencies, ["dependency", "dependencies"]);
        lines.push(format!("{compiled}: {}", first_names(dependencies)));
    }
    if !modules.is_empty() {
        let compiled = count(modules, ["module", "modules"]);
        lines.push(format!("{compiled}{because}:"));
        lines.push(format!("  {}", first_names(modules)));
    }
    lines
}

/// Returns added, updated and removed packages: `jason 1.4.4`, or `jason 1.4.3 -> 1.4.4`.
fn differences(then: &Versions, now: &Versions) -> [(&'static str, Vec<String>); 3] {
    let text = |versions: &BTreeSet<String>| {
        let versions: Vec<&str> = versions.iter().map(|version| short(version)).collect();
        versions.join(", ")
    };
    let only_in = |one: &Versions, other: &Versions| -> Vec<String> {
        let only = one.iter().filter(|(name, _)| !other.contains_key(*name));
        only.map(|(name, versions)| format!("{name} {}", text(versions)))
            .collect()
    };
    let updated = now.iter().filter_map(|(name, versions)| {
        let last = then.get(name).filter(|last| *last != versions)?;
        let [from, to] = [(last, versions), (versions, last)]
            .map(|(one, other)| one.difference(other).cloned().collect::<BTreeSet<_>>());
        // One of several versions may have been added or removed.
        Some(match (from.is_empty(), to.is_empty()) {
            (true, _) => format!("{name} also {}", text(&to)),
            (_, true) => format!("{name} no longer {}", text(&from)),
            _ => format!("{name} {} -> {}", text(&from), text(&to)),
        })
    });
    [
        ("added", only_in(now, then)),
        ("updated", updated.collect()),
        ("removed", only_in(then, now)),
    ]
}

/// Shortens a commit to the number of characters that git shows.
fn short(version: &str) -> &str {
    let is_commit = version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &version[..7] } else { version }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(texts: &[&str]) -> Versions {
        let mut versions = Versions::new();
        for text in texts {
            let (name, version) = text.split_once(' ').unwrap();
            let all = versions.entry(name.to_owned()).or_default();
            all.insert(version.to_owned());
        }
        versions
    }

    #[test]
    fn differences_name_added_updated_and_removed_packages() {
        let commits = ["a", "b"].map(|letter| letter.repeat(40));
        let [old, new] = commits.map(|commit| format!("icons {commit}"));
        let then = versions(&[
            "jason 1.4.3",
            "plug 1.0",
            "cowboy 2.9",
            "ms 2.0",
            "ms 2.1",
            &old,
        ]);
        let now = versions(&["jason 1.4.4", "plug 1.0", "bandit 1.6", "ms 2.0", &new]);
        let [added, updated, removed] = differences(&then, &now).map(|(_, names)| names);
        assert_eq!(added, ["bandit 1.6"]);
        assert_eq!(
            updated,
            [
                "icons aaaaaaa -> bbbbbbb",
                "jason 1.4.3 -> 1.4.4",
                "ms no longer 2.1"
            ]
        );
        assert_eq!(removed, ["cowboy 2.9"]);
        let none = differences(&now, &now);
        assert!(none.into_iter().all(|(_, names)| names.is_empty()));
    }

    #[test]
    fn growth_leaves_out_unchanged_directories() {
        let sizes = |sizes: &[(&str, u64)]| -> BTreeMap<String, u64> {
            let sizes = sizes.iter();
            sizes
                .map(|(name, bytes)| ((*name).to_owned(), *bytes))
                .collect()
        };
        let then = sizes(&[("deps", 10), ("lib", 3), ("old", 2)]);
        let now = sizes(&[("deps", 7), ("lib", 3), ("new", 5)]);
        let expected = [("deps", -3), ("new", 5), ("old", -2)];
        let expected = expected.map(|(name, bytes)| (name.to_owned(), bytes));
        assert_eq!(growth(&then, &now), Growth::from(expected));
    }

    #[test]
    fn compiled_modules_have_count_reason_and_first_names() {
        let names = |count: usize| (0..count).map(|n| format!("M{n}")).collect::<Vec<_>>();
        let compiled = CompiledModules {
            modules: names(9),
            dependencies: vec!["jason".to_owned()],
            reason: Some("lib/a.ex changed".to_owned()),
        };
        assert_eq!(
            compiled_lines(&compiled),
            [
                "compiled 1 dependency: jason",
                "compiled 9 modules because lib/a.ex changed:",
                "  M0, M1, M2, M3, M4, M5 and 3 more"
            ]
        );
        assert!(compiled_lines(&CompiledModules::default()).is_empty());
    }
}

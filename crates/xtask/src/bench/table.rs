//! The results as Markdown: medians of all rounds, and ratios of medians.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::app::Change;
use super::contestant::{Boot, Deploy};
use super::measure::Tree;
use crate::process::Result;

const BEGIN: &str = "<!-- begin of what cargo xtask bench writes -->";
const END: &str = "<!-- end of what cargo xtask bench writes -->";

/// A measurement of one deploy in one round.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) change: Change,
    /// Index into [`Fixture::contestants`].
    pub(crate) contestant: usize,
    pub(crate) deploy: Deploy,
    /// Bytes of the slug's archive; in the first round only.
    pub(crate) gzip: Option<u64>,
    /// Bytes of the cache's archive, as a platform moves it; in the first round only.
    pub(crate) cache_gzip: Option<u64>,
}

/// The seconds of one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpacked {
    pub(crate) otp: f64,
    pub(crate) one_by_one: f64,
    pub(crate) at_once: f64,
    pub(crate) linked: f64,
}

/// The slug at one level of pruning.
#[derive(Debug)]
pub(crate) struct Level {
    /// The lines of the config file.
    pub(crate) settings: &'static str,
    pub(crate) slug: Tree,
    /// Bytes of its archive.
    pub(crate) gzip: u64,
}

/// All measurements with one app.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    /// The names: Mixpack is first, by hand last.
    pub(crate) contestants: Vec<String>,
    /// Whether the second contestant is another buildpack.
    pub(crate) has_packs: bool,
    pub(crate) samples: Vec<Sample>,
    pub(crate) unpacked: Vec<Unpacked>,
    /// The boots of each contestant's last slug.
    pub(crate) boots: Vec<Option<Boot>>,
    pub(crate) levels: Vec<Level>,
}

/// Starting the executable, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detect {
    pub(crate) detect: f64,
    /// The start of the same executable without work.
    pub(crate) start: f64,
}

/// Returns the median, if there are values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if !odd.is_multiple_of(2) => values.get(middle).copied(),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sizes are shown with three digits"
)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Fixture {
    fn median_of(
        &self,
        change: Change,
        contestant: usize,
        value: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let samples = self.samples.iter();
        let these = samples.filter(|it| it.change == change && it.contestant == contestant);
        median(these.filter_map(value))
    }

    fn wall(&self, change: Change, contestant: usize) -> Option<f64> {
        self.median_of(change, contestant, |it| {
            Some(it.deploy.costs.wall.as_secs_f64())
        })
    }

    fn by_hand(&self) -> usize {
        self.contestants.len() - 1
    }

    /// Returns the contestant to compare with, if there is one.
    fn other(&self) -> Option<usize> {
        self.has_packs.then_some(1)
    }

    fn unpacked(&self, value: impl Fn(&Unpacked) -> f64) -> Option<f64> {
        median(self.unpacked.iter().map(value))
    }

    fn table(&self, changes: &[Change]) -> String {
        let mut text = format!(
            "### {}\n\n| deploy | by | wall s | CPU s | largest process MB | downloaded MB | cache MB | \
             cache .tar.gz MB | slug MB | slug files | slug .tar.gz MB |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
            self.name
        );
        for &change in changes {
            for (contestant, name) in self.contestants.iter().enumerate() {
                let cell = |digits: usize, value: &dyn Fn(&Sample) -> Option<f64>| {
                    number(self.median_of(change, contestant, value), digits)
                };
                let cells = [
                    cell(2, &|it| Some(it.deploy.costs.wall.as_secs_f64())),
                    cell(2, &|it| Some(it.deploy.costs.cpu.as_secs_f64())),
                    cell(0, &|it| Some(megabytes(it.deploy.costs.largest))),
                    cell(1, &|it| Some(megabytes(it.deploy.costs.downloaded))),
                    cell(1, &|it| it.deploy.cache.map(megabytes)),
                    cell(1, &|it| it.cache_gzip.map(megabytes)),
                    cell(1, &|it| it.deploy.slug.map(|slug| megabytes(slug.bytes))),
                    cell(0, &|it| {
                        Some(f64::from(u32::try_from(it.deploy.slug?.files).ok()?))
                    }),
                    cell(1, &|it| it.gzip.map(megabytes)),
                ];
                let _ = writeln!(
                    text,
                    "| {} | {name} | {} |",
                    change.name(),
                    cells.join(" | ")
                );
            }
        }
        text
    }

    /// Mixpack's values divided by those of the others.
    fn ratios(&self, changes: &[Change]) -> String {
        let mut text = String::from(
            "| Mixpack by | deploy | wall | CPU | downloaded | cache | cache .tar.gz | slug | slug files | slug .tar.gz |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for (contestant, name) in self.contestants.iter().enumerate().skip(1) {
            for &change in changes {
                let ratio = |value: &dyn Fn(&Sample) -> Option<f64>| {
                    let of = |contestant| self.median_of(change, contestant, value);
                    number(quotient(of(0), of(contestant)), 2)
                };
                let cells = [
                    ratio(&|it| Some(it.deploy.costs.wall.as_secs_f64())),
                    ratio(&|it| Some(it.deploy.costs.cpu.as_secs_f64())),
                    if contestant == self.by_hand() {
                        // By hand, the toolchains are already installed.
                        number(None, 0)
                    } else {
                        ratio(&|it| Some(megabytes(it.deploy.costs.downloaded)))
                    },
                    ratio(&|it| it.deploy.cache.map(megabytes)),
                    ratio(&|it| it.cache_gzip.map(megabytes)),
                    ratio(&|it| it.deploy.slug.map(|slug| megabytes(slug.bytes))),
                    ratio(&|it| Some(f64::from(u32::try_from(it.deploy.slug?.files).ok()?))),
                    ratio(&|it| it.gzip.map(megabytes)),
                ];
                let _ = writeln!(
                    text,
                    "| {name} | {} | {} |",
                    change.name(),
                    cells.join(" | ")
                );
            }
        }
        text
    }

    /// Returns the other measurements as text.
    fn notes(&self) -> String {
        let mut text = String::new();
        let phase = |change| number(self.phase(change), 2);
        let _ = writeln!(
            text,
            "- Toolchains: cold {} s, unchanged {} s. By hand: unpacked one by one {} s, at once {} s, \
             linked {} s.",
            phase(Change::Cold),
            phase(Change::Unchanged),
            number(self.unpacked(|it| it.one_by_one), 2),
            number(self.unpacked(|it| it.at_once), 2),
            number(self.unpacked(|it| it.linked), 2),
        );
        let _ = writeln!(
            text,
            "- `compile` itself never holds more than {} MB resident.",
            number(self.largest_compile(), 1)
        );
        for Level {
            settings,
            slug,
            gzip,
        } in &self.levels
        {
            let _ = writeln!(
                text,
                "- The slug of Mixpack with `{settings}`: {:.1} MB in {} files, {:.1} MB as a `.tar.gz`.",
                megabytes(slug.bytes),
                slug.files,
                megabytes(*gzip)
            );
        }
        for (name, boot) in self.contestants.iter().zip(&self.boots) {
            let _ = match boot {
                Some(Boot::Up(seconds)) => {
                    writeln!(text, "- The slug of {name} is up in {seconds:.1} s.")
                }
                Some(Boot::Failed(output)) => {
                    let output = output.trim().lines().last().unwrap_or_default();
                    writeln!(text, "- The slug of {name} does not boot: {output}")
                }
                None => Ok(()),
            };
        }
        text
    }

    fn phase(&self, change: Change) -> Option<f64> {
        self.median_of(change, 0, |it| it.deploy.toolchain_phase)
    }

    fn largest_compile(&self) -> Option<f64> {
        let own = self.samples.iter().filter_map(|it| it.deploy.costs.own);
        own.max().map(megabytes)
    }
}

/// A goal, as a measured value divided by another one.
struct Target {
    what: &'static str,
    at_most: f64,
    value: fn(&Fixture) -> Option<f64>,
}

const TARGETS: [Target; 11] = [
    Target {
        what: "cold, by hand with unpacking (at once)",
        at_most: 1.15,
        value: |it| {
            let by_hand = it.wall(Change::Cold, it.by_hand())?;
            let floor = by_hand + it.unpacked(|it| it.at_once)?;
            quotient(it.wall(Change::Cold, 0), Some(floor))
        },
    },
    Target {
        what: "cold, shell pair",
        at_most: 0.8,
        value: |it| by_other(it, Change::Cold, Fixture::wall),
    },
    Target {
        what: "unchanged, shell pair",
        at_most: 0.15,
        value: |it| by_other(it, Change::Unchanged, Fixture::wall),
    },
    Target {
        what: "one file, shell pair",
        at_most: 0.2,
        value: |it| by_other(it, Change::OneFile, Fixture::wall),
    },
    Target {
        what: "new OTP, unchanged build and `gunzip \\| tar` of OTP",
        at_most: 1.15,
        value: |it| {
            let unchanged = it.wall(Change::Unchanged, 0)?;
            let floor = unchanged + it.unpacked(|it| it.otp)?;
            quotient(it.wall(Change::NewOtp, 0), Some(floor))
        },
    },
    Target {
        what: "toolchain phase when cold, `gunzip \\| tar` one by one",
        at_most: 1.3,
        value: |it| quotient(it.phase(Change::Cold), it.unpacked(|it| it.one_by_one)),
    },
    Target {
        what: "toolchain phase when unchanged, `cp -al`",
        at_most: 2.0,
        value: |it| quotient(it.phase(Change::Unchanged), it.unpacked(|it| it.linked)),
    },
    Target {
        what: "slug, shell pair",
        at_most: 0.6,
        value: |it| {
            by_other(it, Change::Cold, |it, change, contestant| {
                it.median_of(change, contestant, |it| {
                    it.deploy.slug.map(|slug| megabytes(slug.bytes))
                })
            })
        },
    },
    Target {
        what: "cache, shell pair",
        at_most: 1.2,
        value: |it| {
            by_other(it, Change::Unchanged, |it, change, contestant| {
                it.median_of(change, contestant, |it| it.deploy.cache.map(megabytes))
            })
        },
    },
    Target {
        what: "cache as a `.tar.gz`, shell pair",
        at_most: 1.2,
        value: |it| {
            by_other(it, Change::Unchanged, |it, change, contestant| {
                it.median_of(change, contestant, |it| it.cache_gzip.map(megabytes))
            })
        },
    },
    Target {
        what: "resident memory of `compile`, 64 MiB",
        at_most: 1.0,
        value: |it| quotient(it.largest_compile(), Some(64.0 * 1.048_576)),
    },
];

fn by_other(
    fixture: &Fixture,
    change: Change,
    value: impl Fn(&Fixture, Change, usize) -> Option<f64>,
) -> Option<f64> {
    let other = value(fixture, change, fixture.other()?);
    quotient(value(fixture, change, 0), other)
}

fn targets(fixtures: &[Fixture]) -> String {
    let names: Vec<_> = fixtures.iter().map(|it| it.name.as_str()).collect();
    let mut text = format!(
        "### Targets\n\n| Mixpack's by that of | at most | {} |\n|---|--:|{}\n",
        names.join(" | "),
        "--:|".repeat(names.len())
    );
    for target in &TARGETS {
        let cells: Vec<_> = fixtures
            .iter()
            .map(|fixture| judged((target.value)(fixture), target.at_most))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            target.what,
            target.at_most,
            cells.join(" | ")
        );
    }
    text
}

/// Formats a ratio, and by how much it misses its goal.
fn judged(ratio: Option<f64>, at_most: f64) -> String {
    match ratio {
        None => "–".to_owned(),
        Some(ratio) if ratio <= at_most => format!("{ratio:.2}"),
        Some(ratio) => format!(
            "**{ratio:.2}** (missed by {:.0} %)",
            (ratio / at_most - 1.0) * 100.0
        ),
    }
}

fn quotient(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    let (one, other) = (one?, other?);
    (other > 0.0).then(|| one / other)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// The circumstances of the measurement.
#[derive(Debug)]
pub(crate) struct Run<'run> {
    pub(crate) changes: &'run [Change],
    /// The measured names, versions and commits.
    pub(crate) identities: &'run [String],
    pub(crate) rounds: usize,
    pub(crate) cores: usize,
    /// Whether the working files were on a memory-backed filesystem.
    pub(crate) in_memory: bool,
}

/// The whole report.
pub(crate) fn report(fixtures: &[Fixture], run: &Run<'_>, detect: Detect) -> String {
    let Run {
        changes,
        identities,
        rounds,
        cores,
        in_memory,
    } = *run;
    let files = if in_memory { "in memory" } else { "on a disk" };
    let mut text = format!(
        "Cores: {cores}. Working files: {files}. Rounds in alternation: {rounds}. All values are medians. \
         Measured:\n\n"
    );
    for identity in identities {
        let _ = writeln!(text, "- {identity}");
    }
    for fixture in fixtures {
        let _ = write!(
            text,
            "\n{}\n{}\n{}",
            fixture.table(changes),
            fixture.ratios(changes),
            fixture.notes()
        );
    }
    let _ = write!(text, "\n{}\n", targets(fixtures));
    let beyond = (detect.detect - detect.start) * 1e3;
    let verdict = if beyond < 5.0 { "kept" } else { "missed" };
    let _ = writeln!(
        text,
        "`detect` takes {:.2} ms, of which the start of the process {:.2} ms: {beyond:.2} ms beyond it \
         (target 5 ms, {verdict}).",
        detect.detect * 1e3,
        detect.start * 1e3,
    );
    text
}

/// Replaces the report of an earlier run in `file`.
pub(crate) fn write_into(file: &Path, report: &str) -> Result {
    let text = fs::read_to_string(file)?;
    fs::write(
        file,
        replaced(&text, report)
            .ok_or_else(|| format!("{} lacks the lines {BEGIN} and {END}", file.display()))?,
    )?;
    Ok(())
}

fn replaced(text: &str, report: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{report}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::measure::Costs;
    use super::*;

    fn sample(change: Change, contestant: usize, wall: u64, slug: u64) -> Sample {
        Sample {
            change,
            contestant,
            deploy: Deploy {
                costs: Costs {
                    wall: Duration::from_secs(wall),
                    cpu: Duration::from_secs(wall),
                    largest: 100_000_000,
                    own: (contestant == 0).then_some(33_554_432),
                    downloaded: 0,
                },
                cache: Some(1_000_000),
                slug: Some(Tree {
                    bytes: slug,
                    files: 2,
                }),
                toolchain_phase: (contestant == 0).then_some(1.0),
            },
            gzip: None,
            cache_gzip: (contestant < 2).then_some(900_000),
        }
    }

    fn fixture() -> Fixture {
        let (cold, unchanged) = (Change::Cold, Change::Unchanged);
        Fixture {
            name: "app".to_owned(),
            contestants: ["Mixpack", "shell", "by hand"].map(str::to_owned).to_vec(),
            has_packs: true,
            samples: vec![
                sample(cold, 0, 6, 5_000_000),
                sample(cold, 0, 8, 5_000_000),
                sample(cold, 0, 90, 5_000_000),
                sample(cold, 1, 16, 10_000_000),
                sample(cold, 2, 4, 0),
                sample(unchanged, 0, 3, 5_000_000),
                sample(unchanged, 1, 10, 10_000_000),
            ],
            unpacked: vec![Unpacked {
                otp: 0.5,
                one_by_one: 2.0,
                at_once: 1.0,
                linked: 0.25,
            }],
            boots: vec![
                Some(Boot::Up(1.0)),
                Some(Boot::Failed("noise\nno such file".to_owned())),
                None,
            ],
            levels: vec![Level {
                settings: "slim=none",
                slug: Tree {
                    bytes: 9_000_000,
                    files: 3,
                },
                gzip: 4_000_000,
            }],
        }
    }

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(median([3.0, 1.0, 90.0]), Some(3.0));
        assert_eq!(median([3.0, 1.0]), Some(2.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn report_has_medians_ratios_and_missed_goals() {
        let detect = Detect {
            detect: 0.004,
            start: 0.001,
        };
        let changes = [Change::Cold, Change::Unchanged];
        let run = Run {
            changes: &changes,
            identities: &["mixpack 0.1.0".to_owned()],
            rounds: 3,
            cores: 2,
            in_memory: true,
        };
        insta::assert_snapshot!(report(&[fixture()], &run, detect));
    }

    #[test]
    fn replaces_only_text_between_markers() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let new = replaced(&text, "new").unwrap();
        assert_eq!(new, format!("above\n{BEGIN}\n\nnew\n{END}\nbelow\n"));
        assert_eq!(replaced(&new, "new").unwrap(), new);
        assert_eq!(replaced("no marks", "new"), None);
    }
}

//! A picture of a build: when each step ran, which steps ran in parallel or reused results, and which one failed.
//!
//! A single SVG file for a browser or a web page, without scripts or external resources, with selectable text, and
//! colours for light and dark backgrounds.

use crate::schedule::{Ended, Timing};
use app::plan::StepName;
use exec::log::seconds;
use messages::Error;
use planning::record::VERSION;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// The variable with the path of the picture.
pub const VARIABLE: &str = "MIXPACK_TIMELINE";

/// In pixels, like all lengths below.
const WIDTH: f64 = 800.0;
const MARGIN: f64 = 20.0;
/// The distance between the tops of two rows.
const ROW_HEIGHT: f64 = 24.0;
const BAR_HEIGHT: f64 = 14.0;
/// The height of the title and the legend, above the chart.
const HEADER: f64 = 96.0;
/// The maximum width of a character of a step's name.
const CHARACTER_WIDTH: f64 = 7.5;
/// The space right of the longest bar, for `12 min 34 s, stopped`.
const LABEL_SPACE: f64 = 132.0;
/// The width of the narrowest visible bar.
const MIN_BAR_WIDTH: f64 = 2.0;
/// Possible distances between two ticks of the time axis, in seconds. Longer builds use full hours.
const TICKS: [f64; 15] = [
    0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0,
];
const MAX_TICKS: f64 = 8.0;

const STYLE: &str = "\
svg { --ground: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --made: #6639ba; --kept: #c3b1e6; --failed: #cf222e; --stopped: #bf8700; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --ink: #f0f6fc; --faint: #9198a1; --line: #3d444d; --made: #b392f0; --kept: #54437a; --failed: #f85149; --stopped: #d29922; }
}
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: var(--ink); }
.title { font-size: 16px; font-weight: 600; }
.step { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 12px; text-anchor: end; }
.time, .mark { font-size: 12px; fill: var(--faint); }
.time { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; }
.mark { text-anchor: middle; }
.ground { fill: var(--ground); }
line { stroke: var(--line); }
.made { fill: var(--made); }
.kept { fill: var(--kept); }
.failed { fill: var(--failed); }
.stopped { fill: var(--stopped); }
";

/// The steps of a build, including a failed one.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    /// The steps that have started.
    pub steps: Vec<Timing>,
    /// The steps that reused results of the last build.
    pub reused: BTreeSet<StepName>,
    /// When the first step could begin.
    pub began: Option<SystemTime>,
}

impl Timings {
    /// From the start of the first step to the end of the last one.
    pub(crate) fn wall(&self) -> Duration {
        let ends = self.steps.iter().map(|step| step.started + step.took);
        ends.max().unwrap_or_default()
    }

    /// Returns a step's class in [`STYLE`], and the word after its duration.
    fn style(&self, step: &Timing) -> (&'static str, &'static str) {
        match step.ended {
            Ended::Failed => ("failed", ", failed"),
            Ended::Stopped => ("stopped", ", stopped"),
            Ended::Done if self.reused.contains(&step.name) => ("kept", ", kept"),
            Ended::Done => ("made", ""),
        }
    }

    /// Returns `12 s of work in 8.0 s`, or where the build failed.
    fn headline(&self, wall: Duration, failure: Option<&Error>) -> String {
        let steps = &self.steps;
        let failed = steps.iter().find(|step| step.ended == Ended::Failed);
        match (failure, failed) {
            (None, _) => {
                let work: Duration = steps.iter().map(|step| step.took).sum();
                format!("{} of work in {}", seconds(work), seconds(wall))
            }
            (Some(Error::Cancelled), _) if steps.is_empty() => {
                "stopped before the first step".to_owned()
            }
            (Some(Error::Cancelled), _) => format!("stopped after {}", seconds(wall)),
            // Parallel steps may have ended slightly later.
            (Some(_), Some(step)) => {
                let at = seconds(step.started + step.took);
                format!("{} failed after {at}", step.name.as_str())
            }
            (Some(_), None) if steps.is_empty() => "failed before the first step".to_owned(),
            (Some(_), None) => "failed after the last step".to_owned(),
        }
    }
}

/// Writes the picture.
pub(crate) fn draw(path: &Path, timings: &Timings, failure: Option<&Error>) -> io::Result<()> {
    fs::write(path, svg(&format!("Mixpack {VERSION}"), timings, failure))
}

/// Returns the whole file. `failure` is the error of a failed build.
#[must_use]
fn svg(title: &str, timings: &Timings, failure: Option<&Error>) -> String {
    let mut rows = timings.steps.clone();
    // Steps that started together are in the order of `StepName`.
    rows.sort_by_key(|timing| (timing.started.as_millis() / 20, timing.name));
    let wall = timings.wall();
    let chart = Chart::of(&rows, wall);
    let height = chart.bottom + MARGIN;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"30\">{0}: {1}</text>\n",
        escaped(title),
        timings.headline(wall, failure)
    );
    legend(&mut svg, |class| {
        rows.iter().any(|row| timings.style(row).0 == class)
    });
    chart.axis(&mut svg);
    for (index, row) in rows.iter().enumerate() {
        chart.row(&mut svg, index, row, timings.style(row));
    }
    svg.push_str("</svg>\n");
    svg
}

/// `is_there` returns whether a row has a class. Classes of failures are left out if no row has them.
fn legend(svg: &mut String, is_there: impl Fn(&str) -> bool) {
    let legend = [
        ("made", MARGIN, "made by this build"),
        (
            "kept",
            MARGIN + 160.0,
            "from the build cache, or built with its contents",
        ),
        ("failed", MARGIN + 550.0, "failed"),
        ("stopped", MARGIN + 640.0, "stopped"),
    ];
    for (class, at, words) in legend {
        if ["failed", "stopped"].contains(&class) && !is_there(class) {
            continue;
        }
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{at}\" y=\"44\" width=\"{BAR_HEIGHT}\" height=\"{BAR_HEIGHT}\" rx=\"3\"/>\
             <text class=\"time\" x=\"{}\" y=\"55\">{words}</text>",
            at + BAR_HEIGHT + 6.0
        );
    }
}

/// The part with the bars.
struct Chart {
    /// The position of time zero, right of the names.
    left: f64,
    bottom: f64,
    wall: Duration,
}

impl Chart {
    fn of(rows: &[Timing], wall: Duration) -> Self {
        let letters = rows.iter().map(|row| row.name.as_str().len()).max();
        Self {
            left: MARGIN + CHARACTER_WIDTH * number(letters.unwrap_or_default()) + 8.0,
            bottom: HEADER + ROW_HEIGHT * number(rows.len()),
            wall,
        }
    }

    /// The end of the time axis in seconds, at least a little more than zero.
    fn end(&self) -> f64 {
        self.wall.as_secs_f64().max(0.001)
    }

    fn x(&self, time: Duration) -> f64 {
        self.left + (WIDTH - self.left - LABEL_SPACE) * time.as_secs_f64() / self.end()
    }

    fn axis(&self, svg: &mut String) {
        let end = self.end();
        let interval = TICKS
            .into_iter()
            .find(|interval| end / interval <= MAX_TICKS);
        let interval = interval.unwrap_or_else(|| 3600.0 * (end / 3600.0 / MAX_TICKS).ceil());
        let mut at = Duration::ZERO;
        while at <= self.wall {
            let _ = writeln!(
                svg,
                "<line x1=\"{0:.1}\" y1=\"{1}\" x2=\"{0:.1}\" y2=\"{2}\"/>\
                 <text class=\"mark\" x=\"{0:.1}\" y=\"{3}\">{4}</text>",
                self.x(at),
                HEADER - 8.0,
                self.bottom,
                HEADER - 14.0,
                tick_label(at, interval)
            );
            at += Duration::from_secs_f64(interval);
        }
    }

    /// `style` is the result of [`Timings::style`].
    fn row(&self, svg: &mut String, index: usize, row: &Timing, style: (&str, &str)) {
        let top = HEADER + ROW_HEIGHT * number(index);
        let (from, to) = (self.x(row.started), self.x(row.started + row.took));
        let width = (to - from).max(MIN_BAR_WIDTH);
        let (class, more) = style;
        let _ = writeln!(
            svg,
            "<text class=\"step\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
             <text class=\"time\" x=\"{:.1}\" y=\"{:.1}\">{}{more}</text>",
            self.left - 8.0,
            top + 16.0,
            row.name.as_str(),
            top + 5.0,
            from + width + 6.0,
            top + 16.0,
            seconds(row.took)
        );
    }
}

/// `0`, `0.05 s`, `2 s`, `5 min`.
fn tick_label(at: Duration, interval: f64) -> String {
    let at = at.as_secs_f64();
    if at < 0.001 {
        "0".to_owned()
    } else if interval < 0.1 {
        format!("{at:.2} s")
    } else if interval < 1.0 {
        format!("{at:.1} s")
    } else if interval < 60.0 {
        format!("{at:.0} s")
    } else {
        format!("{:.0} min", at / 60.0)
    }
}

#[allow(clippy::cast_precision_loss, reason = "rows and letters are few")]
fn number(count: usize) -> f64 {
    count as f64
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(name: StepName, started: u64, took: u64) -> Timing {
        Timing {
            name,
            started: Duration::from_millis(started),
            took: Duration::from_millis(took),
            ended: Ended::Done,
        }
    }

    fn timings_of(steps: &[Timing], reused: &[StepName]) -> Timings {
        Timings {
            steps: steps.to_vec(),
            reused: reused.iter().copied().collect(),
            began: None,
        }
    }

    /// The row of a step.
    #[track_caller]
    fn row<'a>(svg: &'a str, step: &str) -> &'a str {
        let name = format!(">{step}</text>");
        let row = svg.lines().find(|line| line.contains(&name));
        row.unwrap_or_else(|| panic!("no {step} in {svg}"))
    }

    #[test]
    fn timeline_places_steps_by_time_and_marks_cached_ones() {
        use StepName::{Compile, Deps, Erlang};
        let timings = [
            timing(Deps, 1000, 1000),
            timing(Erlang, 0, 1000),
            timing(Compile, 2000, 2000),
        ];
        let svg = svg("a <b>", &timings_of(&timings, &[Erlang]), None);
        assert!(
            svg.contains(">a &lt;b&gt;: 4.0 s of work in 4.0 s</text>"),
            "{svg}"
        );
        let attribute = |line: &str, name: &str| -> f64 {
            let (_, rect) = line.split_once("<rect ").unwrap();
            let (_, value) = rect.split_once(&format!(" {name}=\"")).unwrap();
            value.split_once('"').unwrap().0.parse().unwrap()
        };
        let rows: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<text class=\"step\""))
            .collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].contains(">erlang<") && rows[0].contains(">1.0 s, kept<"));
        assert!(rows[0].contains("class=\"kept\"") && rows[1].contains("class=\"made\""));
        let end = attribute(rows[0], "x") + attribute(rows[0], "width");
        assert!((end - attribute(rows[1], "x")).abs() < 0.2, "{svg}");
        let twice = 2.0 * attribute(rows[1], "width");
        assert!((attribute(rows[2], "width") - twice).abs() < 0.2, "{svg}");
        for foreign in ["<script", "href", "url(", "@import"] {
            assert!(!svg.contains(foreign), "{foreign}");
        }
        assert!(!svg.contains(">failed<") && !svg.contains(">stopped<"));
    }

    #[test]
    fn timeline_marks_failed_and_stopped_steps() {
        use StepName::{Compile, Deps, Javascript};
        let with = |name, started, took, ended| Timing {
            ended,
            ..timing(name, started, took)
        };
        let timings = [
            timing(Deps, 0, 1000),
            with(Compile, 1000, 2000, Ended::Failed),
            with(Javascript, 0, 3100, Ended::Stopped),
        ];
        let failure = Error::Architecture("vax".to_owned());
        let timings = timings_of(&timings, &[Compile]);
        let picture = svg("t", &timings, Some(&failure));
        for (step, class, words) in [
            ("deps", "made", ">1.0 s<"),
            ("compile", "failed", ">2.0 s, failed<"),
            ("javascript", "stopped", ">3.1 s, stopped<"),
        ] {
            let row = row(&picture, step);
            assert!(row.contains(&format!("class=\"{class}\"")), "{row}");
            assert!(row.contains(words), "{row}");
        }
        assert!(picture.contains(">t: compile failed after 3.0 s</text>"));
        assert!(picture.contains(">failed</text>") && picture.contains(">stopped</text>"));
        let stopped = svg("t", &timings, Some(&Error::Cancelled));
        assert!(stopped.contains(">t: stopped after 3.1 s</text>"));
    }

    #[test]
    fn timeline_shows_failure_outside_steps() {
        let failure = Error::Architecture("vax".to_owned());
        let none = Timings::default();
        assert!(svg("t", &none, Some(&failure)).contains("failed before the first step"));
        let stopped = svg("t", &none, Some(&Error::Cancelled));
        assert!(stopped.contains("stopped before the first step"));
        let all = timings_of(&[timing(StepName::Deps, 0, 1000)], &[]);
        assert!(svg("t", &all, Some(&failure)).contains("failed after the last step"));
    }

    #[test]
    fn timeline_axis_has_few_marks_for_any_duration() {
        let marks = |millis: u64| -> Vec<String> {
            let timings = timings_of(&[timing(StepName::Deps, 0, millis)], &[]);
            let svg = svg("t", &timings, None);
            let marks = svg.split("class=\"mark\"").skip(1);
            marks
                .map(|rest| {
                    let (_, text) = rest.split_once('>').unwrap();
                    text.split_once('<').unwrap().0.to_owned()
                })
                .collect()
        };
        assert_eq!(
            marks(300),
            [
                "0", "0.05 s", "0.10 s", "0.15 s", "0.20 s", "0.25 s", "0.30 s"
            ]
        );
        assert_eq!(
            marks(1100),
            ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1.0 s"]
        );
        assert_eq!(
            marks(301_000),
            ["0", "1 min", "2 min", "3 min", "4 min", "5 min"]
        );
        for hours in [1, 3, 24, 100] {
            let count = marks(hours * 3_600_000).len();
            assert!((2..=9).contains(&count), "{hours} h: {count}");
        }
        assert_eq!(marks(0), ["0"]);
    }
}

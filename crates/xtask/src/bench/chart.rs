//! `docs/performance.svg`: the seconds of the tables in `docs/performance.md`, as bars.

use std::fmt::Write as _;
use std::fs;

use crate::process::Result;
use crate::toolchains::Places;

const TABLES: &str = "docs/performance.md";
const CHART: &str = "docs/performance.svg";

/// In pixels, as are all lengths below.
const WIDTH: f64 = 800.0;
const MARGIN: f64 = 20.0;
/// Of the names of the deploys.
const NAMES: f64 = 84.0;
/// Of titles and legend.
const HEAD: f64 = 104.0;
const BAR: f64 = 13.0;
/// Between two deploys.
const GAP: f64 = 12.0;
/// Between the tops of two deploys of up to three bars.
const ROW: f64 = 3.0 * BAR + GAP;
/// Behind the longest bar, for its seconds.
const BEHIND: f64 = 52.0;
const CLASSES: [&str; 3] = ["ours", "other", "hand"];

const STYLE: &str = "\
svg { --ground: #ffffff; --ink: #1f2328; --faint: #59636e; --ours: #6639ba; --other: #d4843e; --hand: #b6bec7; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --ink: #f0f6fc; --faint: #9198a1; --ours: #b392f0; --other: #c9793a; --hand: #57606a; }
}
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: var(--ink); }
.title { font-size: 16px; font-weight: 600; }
.app { font-weight: 600; }
.deploy { text-anchor: end; }
.seconds { font-size: 11px; font-weight: normal; fill: var(--faint); }
.ground { fill: var(--ground); }
.ours { fill: var(--ours); }
.other { fill: var(--other); }
.hand { fill: var(--hand); }
";

/// The deploys of one app.
#[derive(Debug, PartialEq)]
struct App {
    name: String,
    deploys: Vec<Deploy>,
}

/// One kind of deploy: who did it, in how many seconds.
#[derive(Debug, PartialEq)]
struct Deploy {
    name: String,
    bars: Vec<(String, f64)>,
}

/// `cargo xtask chart`.
pub(crate) fn write() -> Result {
    let places = Places::of_this_workspace()?;
    let text = fs::read_to_string(places.root().join(TABLES))?;
    let chart = places.root().join(CHART);
    fs::write(
        &chart,
        of(&text).ok_or("docs/performance.md has no tables")?,
    )?;
    println!("written: {}", chart.display());
    Ok(())
}

/// The chart of a page with tables.
fn of(page: &str) -> Option<String> {
    let apps = read(page);
    (!apps.is_empty()).then(|| svg(&apps))
}

/// The tables whose first columns are `deploy` and `by`, each under a heading with the app's name.
fn read(page: &str) -> Vec<App> {
    let mut apps: Vec<App> = Vec::new();
    let mut heading = "";
    let mut seconds = None;
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            heading = name;
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match (cells.as_slice(), seconds) {
            (["deploy", "by", ..], _) => {
                seconds = cells.iter().position(|cell| *cell == "wall s");
                let name = heading.to_owned();
                apps.push(App {
                    name,
                    deploys: Vec::new(),
                });
            }
            ([deploy, by, ..], Some(column)) => {
                let value = cells.get(column).and_then(|cell| cell.parse().ok());
                if let (Some(value), Some(app)) = (value, apps.last_mut()) {
                    app.add(deploy, by, value);
                }
            }
            _ => seconds = None,
        }
    }
    apps
}

impl App {
    /// Its bars, on a scale of their own, from `left` on and `width` wide.
    fn draw(&self, svg: &mut String, left: f64, width: f64) {
        let _ = writeln!(
            svg,
            "<text class=\"app\" x=\"{left:.1}\" y=\"{}\">{}</text>",
            HEAD - 14.0,
            self.name
        );
        let longest = self.deploys.iter().flat_map(Deploy::shown);
        let longest = longest.map(|bar| bar.2).fold(f64::MIN_POSITIVE, f64::max);
        for (index, deploy) in self.deploys.iter().enumerate() {
            let top = HEAD + ROW * number(index);
            for (at, (class, by, seconds)) in deploy.shown().enumerate() {
                let y = top + BAR * number(at);
                let length = (width - BEHIND) * seconds / longest;
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\">\
                     <title>{}, {}, {by}: {seconds} s</title></rect>\
                     <text class=\"seconds\" x=\"{:.1}\" y=\"{:.1}\">{seconds:.2}</text>",
                    BAR - 1.0,
                    self.name,
                    deploy.name,
                    left + length + 5.0,
                    y + BAR - 3.0
                );
            }
        }
    }

    fn add(&mut self, deploy: &str, by: &str, seconds: f64) {
        let bar = (by.to_owned(), seconds);
        match self.deploys.iter_mut().find(|it| it.name == deploy) {
            Some(deploy) => deploy.bars.push(bar),
            None => self.deploys.push(Deploy {
                name: deploy.to_owned(),
                bars: vec![bar],
            }),
        }
    }
}

impl Deploy {
    /// Ours, the first of the others, and by hand, which is the last: by class.
    fn shown(&self) -> impl Iterator<Item = (&'static str, &str, f64)> {
        let last = self.bars.len().saturating_sub(1);
        let bars = self.bars.iter().enumerate();
        bars.filter_map(move |(at, (by, seconds))| {
            let class = match at {
                0 => CLASSES[0],
                _ if at == last => CLASSES[2],
                1 => CLASSES[1],
                _ => return None,
            };
            Some((class, by.as_str(), *seconds))
        })
    }
}

fn svg(apps: &[App]) -> String {
    let deploys = apps.first().map_or(0, |app| app.deploys.len());
    let height = HEAD + ROW * number(deploys) + MARGIN - GAP;
    let panel = (WIDTH - NAMES - MARGIN) / number(apps.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<title>Seconds of a deploy</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"30\">Seconds of a deploy\
         <tspan class=\"seconds\" dx=\"12\">medians, less is better; each app has its own scale</tspan></text>\n"
    );
    legend(&mut svg, apps);
    for (index, deploy) in apps.iter().take(1).flat_map(|app| &app.deploys).enumerate() {
        let middle = HEAD + ROW * number(index) + 1.5 * BAR + 4.0;
        let _ = writeln!(
            svg,
            "<text class=\"deploy\" x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
            NAMES + MARGIN - 10.0 - 8.0,
            deploy.name
        );
    }
    for (index, app) in apps.iter().enumerate() {
        let left = NAMES + MARGIN - 10.0 + panel * number(index);
        app.draw(&mut svg, left, panel);
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, apps: &[App]) {
    let mut at = MARGIN;
    for class in CLASSES {
        let names = names(apps, class);
        if !names.is_empty() {
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{at:.1}\" y=\"44\" width=\"{BAR}\" height=\"{BAR}\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"55\">{names}</text>",
                at + BAR + 6.0
            );
            at += BAR + 30.0 + 6.5 * number(names.len());
        }
    }
}

/// The names of a class, once each.
fn names(apps: &[App], class: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for deploy in apps.iter().flat_map(|app| &app.deploys) {
        for (of, by, _) in deploy.shown() {
            if of == class && !names.contains(&by) {
                names.push(by);
            }
        }
    }
    names.join(" / ")
}

#[allow(clippy::cast_precision_loss, reason = "bars and letters are few")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> String {
        let places = Places::of_this_workspace().unwrap();
        fs::read_to_string(places.root().join(name)).unwrap()
    }

    #[test]
    fn the_chart_is_that_of_the_tables() {
        let chart = of(&file(TABLES)).unwrap();
        assert_eq!(chart, file(CHART), "cargo xtask chart writes it anew");
    }

    #[test]
    fn only_tables_of_deploys_are_read_and_bars_are_as_long_as_their_seconds() {
        let page = "### app\n\n| deploy | by | CPU s | wall s |\n|---|---|--:|--:|\n\
                    | cold | Mixpack | 9 | 1.00 |\n| cold | shell | 9 | 4.00 |\n| cold | third | 9 | 3.00 |\n\
                    | cold | by hand | 9 | 0.50 |\n\n| Mixpack by | deploy | wall |\n|---|---|--:|\n\
                    | shell | cold | 0.25 |\n";
        let bars = [
            ("Mixpack", 1.0),
            ("shell", 4.0),
            ("third", 3.0),
            ("by hand", 0.5),
        ];
        let deploy = Deploy {
            name: "cold".to_owned(),
            bars: bars.map(|(by, seconds)| (by.to_owned(), seconds)).to_vec(),
        };
        let app = App {
            name: "app".to_owned(),
            deploys: vec![deploy],
        };
        assert_eq!(read(page), [app]);
        let svg = of(page).unwrap();
        let width = |class: &str| -> f64 {
            let bar = svg.lines().find(|line| {
                line.starts_with(&format!("<rect class=\"{class}\"")) && line.contains("<title>")
            });
            let (_, rest) = bar.unwrap().split_once(" width=\"").unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        assert!((width("other") - 4.0 * width("ours")).abs() < 0.3, "{svg}");
        assert!((width("ours") - 2.0 * width("hand")).abs() < 0.3, "{svg}");
        assert_eq!(svg.matches("third").count(), 0);
        assert_eq!(of("no tables"), None);
    }
}

//! The output of `mixpack doctor --github` for a pull request: annotations, a summary and outputs.

use crate::plan::difference;
use app::Plan;
use doctor::{Finding, Severity};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// An app that was checked.
pub(crate) struct Checked<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) findings: Vec<Finding>,
    /// `None` if no plan could be made.
    pub(crate) plan: Option<Plan>,
}

/// Returns the annotations, and adds to the files that GitHub Actions names in the environment.
pub(crate) fn report(mut head: Checked<'_>, base: Option<&Checked<'_>>) -> Result<String, String> {
    let below = place_in_repository(head.dir);
    let new = base.map(|base| only_in(&head.findings, &base.findings));
    let fixed = base.map(|base| only_in(&base.findings, &head.findings));
    let [mut new, mut fixed] = [new, fixed].map(Option::unwrap_or_default);
    for finding in head.findings.iter_mut().chain(&mut new).chain(&mut fixed) {
        finding.place.file.insert_str(0, &below);
    }
    let mut summary = format!("## Mixpack\n\n{}\n", doctor::count(&head.findings));
    if let Some(base) = base {
        summary += &changes(&head, base);
        summary += &listed("New findings", &new);
        // Without a plan, its findings are missing, but not fixed.
        if head.plan.is_some() {
            summary += &listed("Fixed findings", &fixed);
        }
    }
    let all = doctor::text(&head.findings, false);
    summary += "\n<details><summary>All findings</summary>\n\n";
    summary += &fenced("text", &all);
    summary += "</details>\n";
    append("GITHUB_STEP_SUMMARY", &summary)?;
    append("GITHUB_OUTPUT", &outputs(&head.findings))?;
    // GitHub only shows ten of each level, so new ones come first.
    let known = |finding: &&Finding| base.is_some() && !new.contains(finding);
    let is_note = |finding: &&Finding| finding.severity == Severity::Note;
    let others = head
        .findings
        .iter()
        .filter(known)
        .filter(|finding| !is_note(finding));
    let first = head.findings.iter().filter(|finding| !known(finding));
    let annotations = doctor::annotations(first.chain(others));
    Ok(format!("{annotations}{}\n", doctor::count(&head.findings)))
}

/// The path of a directory in its repository, such as `apps/shop/`.
fn place_in_repository(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_default();
    let root = dir.ancestors().find(|dir| dir.join(".git").exists());
    let below = root.and_then(|root| dir.strip_prefix(root).ok());
    match below.map(|below| below.to_string_lossy()) {
        Some(below) if !below.is_empty() => format!("{below}/"),
        _ => String::new(),
    }
}

/// Returns the findings that another list lacks, regardless of their lines.
fn only_in(findings: &[Finding], others: &[Finding]) -> Vec<Finding> {
    let key = |of: &Finding| {
        let parts = of.message.split(':');
        let message: Vec<&str> = parts
            .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()))
            .collect();
        (
            of.severity,
            of.code,
            of.place.file.clone(),
            message.join(":"),
        )
    };
    let mut others: Vec<_> = others.iter().map(key).collect();
    let mut only = findings.to_vec();
    only.retain(|finding| {
        let same = others.iter().position(|other| *other == key(finding));
        same.map(|at| others.swap_remove(at)).is_none()
    });
    only
}

fn changes(head: &Checked<'_>, base: &Checked<'_>) -> String {
    let heading = "\n### Changes of the build\n\n";
    let (Some(planned), Some(before)) = (&head.plan, &base.plan) else {
        let which = if head.plan.is_none() {
            "This pull request"
        } else {
            "The base branch"
        };
        return format!("{heading}{which} can't be planned; see the findings.\n");
    };
    let rows = difference((base.dir, before), (head.dir, planned));
    if rows.is_empty() {
        return format!("{heading}None: the same versions, steps, processes and settings.\n");
    }
    let widths = rows.iter().map(|(_, (name, _))| name.chars().count());
    let width = widths.max().unwrap_or_default();
    let mut diff = String::new();
    for (sign, (name, value)) in rows {
        let _ = writeln!(diff, "{sign} {name:<width$}  {value}");
    }
    heading.to_owned() + &fenced("diff", &diff)
}

fn listed(heading: &str, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    format!(
        "\n### {heading}\n\n{}",
        fenced("text", &doctor::text(findings, false))
    )
}

/// Returns a Markdown block that its text can't close.
fn fenced(language: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}{language}\n{text}{fence}\n")
}

fn outputs(findings: &[Finding]) -> String {
    let of = |severity: Severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Note].map(of);
    format!("errors={errors}\nwarnings={warnings}\nnotes={notes}\n")
}

/// Appends to the file whose path a variable contains, if it is set.
fn append(variable: &str, text: &str) -> Result<(), String> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{variable}: {}: {error}", Path::new(&path).display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doctor::Place;

    fn finding(code: &'static str, line: u32, message: &str) -> Finding {
        Finding {
            code,
            severity: Severity::Warning,
            place: Place::new("mix.exs", line),
            message: message.to_owned(),
            edit: String::new(),
        }
    }

    #[test]
    fn finding_on_another_line_is_not_new() {
        let base = [
            finding("cluster", 3, "mix.exs:3 has it."),
            finding("url-host", 4, "x"),
        ];
        let head = [
            finding("cluster", 9, "mix.exs:12 has it."),
            finding("cluster", 20, "mix.exs:20 has it."),
        ];
        assert_eq!(only_in(&head, &base), head[1..]);
        assert_eq!(only_in(&base, &head), base[1..]);
    }

    #[test]
    fn text_cannot_end_its_block() {
        assert_eq!(fenced("text", "a\n"), "```text\na\n```\n");
        assert_eq!(fenced("text", "````\n"), "`````text\n````\n`````\n");
    }
}

//! Findings as text, JSON and SARIF.

use crate::catalogue;
use crate::finding::{Finding, Severity};
use serde_json::{Value, json};
use std::fmt::Write;

/// Columns of a line of text.
const WIDTH: usize = 80;

const GROUPS: [(Severity, &str, &str); 3] = [
    (Severity::Error, "Errors", "31"),
    (Severity::Warning, "Warnings", "33"),
    (Severity::Note, "Notes", "36"),
];

/// Formats findings for a terminal, by severity. Ends with the count.
#[must_use]
pub fn text(findings: &[Finding], in_color: bool) -> String {
    let mut text = String::new();
    for (severity, heading, color) in GROUPS {
        let mut group = findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .peekable();
        if group.peek().is_none() {
            continue;
        }
        if in_color {
            let _ = writeln!(text, "\u{1b}[1;{color}m{heading}\u{1b}[0m\n");
        } else {
            let _ = writeln!(text, "{heading}\n");
        }
        for finding in group {
            let place = &finding.place;
            let _ = writeln!(text, "{}:{}  {}", place.file, place.line, finding.code);
            wrap(&mut text, &finding.message);
            wrap(&mut text, &finding.edit);
            text.push('\n');
        }
    }
    text.push_str(&count(findings));
    text.push('\n');
    text
}

/// Wraps each line as a paragraph, except lines that start with two spaces, which users copy.
fn wrap(text: &mut String, paragraphs: &str) {
    for paragraph in paragraphs.lines() {
        if paragraph.starts_with("  ") {
            let _ = writeln!(text, "    {paragraph}");
            continue;
        }
        let mut line = String::from("   ");
        for word in paragraph.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && !line.trim().is_empty() {
                let _ = writeln!(text, "{line}");
                line = String::from("   ");
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(text, "{line}");
    }
}

/// `1 error, 2 warnings, 3 notes`.
#[must_use]
pub fn count(findings: &[Finding]) -> String {
    let of = |severity: Severity| {
        let number = findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count();
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {}{plural}", severity.as_str())
    };
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(of)
        .join(", ")
}

/// Formats findings as JSON for scripts.
#[must_use]
pub fn json(findings: &[Finding]) -> Value {
    let findings = findings.iter().map(|finding| {
        json!({
            "code": finding.code,
            "severity": finding.severity.as_str(),
            "file": finding.place.file,
            "line": finding.place.line,
            "message": finding.message,
            "edit": finding.edit,
        })
    });
    json!({ "findings": findings.collect::<Vec<_>>() })
}

/// Formats findings in the Static Analysis Results Interchange Format, version 2.1.0, for code scanning.
#[must_use]
pub fn sarif(findings: &[Finding], version: &str) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        // Errors of the plan have other codes.
        let known = catalogue::rules().find(|rule| rule.code == code);
        let summary = known.map_or("The app can't be planned.", |rule| rule.summary);
        rules.push(json!({ "id": code, "shortDescription": { "text": summary } }));
    }
    let results = findings.iter().map(|finding| {
        json!({
            "ruleId": finding.code,
            "level": finding.severity.as_str(),
            "message": { "text": format!("{}\n{}", finding.message, finding.edit) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&finding.place.file), "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": finding.place.line },
            } }],
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "Mixpack", "version": version, "rules": rules } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Place;

    fn finding(severity: Severity, code: &'static str) -> Finding {
        let words = "A message that is long enough to need more than one line of a terminal with eighty columns.";
        Finding {
            code,
            severity,
            place: Place::new("config/a b.exs", 3),
            message: words.to_owned(),
            edit: "In mix.exs, set:\n  x: 1".to_owned(),
        }
    }

    #[test]
    fn text_fits_eighty_columns_and_ends_with_the_count() {
        let findings = [
            finding(Severity::Error, "dead-stack"),
            finding(Severity::Note, "cluster"),
        ];
        let text = text(&findings, false);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.ends_with("\n\n1 error, 0 warnings, 1 note\n"),
            "{text}"
        );
        assert!(
            text.starts_with("Errors\n\nconfig/a b.exs:3  dead-stack\n    A message"),
            "{text}"
        );
        assert!(
            text.contains("\n    In mix.exs, set:\n      x: 1\n"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}') && !text.contains("Warnings"));
        assert!(super::text(&findings, true).starts_with("\u{1b}[1;31mErrors\u{1b}[0m\n"));
        assert_eq!(super::text(&[], true), "0 errors, 0 warnings, 0 notes\n");
    }

    #[test]
    fn sarif_has_relative_uris_and_the_rules_of_its_results() {
        let sarif = sarif(
            &[
                finding(Severity::Warning, "cluster"),
                finding(Severity::Error, "no-mix-exs"),
            ],
            "1",
        );
        let run = &sarif["runs"][0];
        assert_eq!(run["results"][0]["level"], "warning");
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "config/a%20b.exs");
        assert_eq!(place["region"]["startLine"], 3);
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: Vec<_> = rules
            .iter()
            .map(|rule| rule["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["cluster", "no-mix-exs"]);
    }

    #[test]
    fn codes_are_unique_kebab_case_and_sorted() {
        let codes: Vec<&str> = catalogue::rules().map(|rule| rule.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        let is_kebab = |code: &&str| code.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(codes.iter().all(is_kebab));
    }
}

//! The messages for known failures of tools, recognized by their output.
//!
//! A single table has the signs of each failure and its message. The patterns are from real output, which is in
//! `samples/`, with the way to reproduce it. A pattern only counts if the command failed and runs the pattern's tool.

mod table;
mod trace;

use super::failed_command::{happened, named};
use super::{Explanation, Fault, Wording, quoted};
use app::facts::{Manager, join};
use exec::Action;
use exec::command::CommandError;
use table::{Known, PLACEHOLDERS, Sign, Tool, table};

/// The status that a shell reports for a process that `SIGKILL` ended.
const KILLED: i32 = 128 + 9;

/// Returns the message of a failure whose output matches the table.
pub(super) fn known_failure(
    action: &Action,
    error: &CommandError,
    words: &Wording,
) -> Option<Explanation> {
    let CommandError::Failed { code, output, .. } = error else {
        return None;
    };
    let lines: Vec<String> = output
        .iter()
        .map(|line| without_npm_err_prefix(line))
        .collect();
    let (known, found_match) = table()
        .filter(|known| known.applies_to(action))
        .find_map(|known| Some((known, known.found(&lines, *code)?)))?;
    let texts = Texts {
        words,
        action,
        captured: &found_match.captured,
        place: trace::place(&lines),
    };
    let explanation = Explanation {
        fault: known.fault,
        ..Explanation::user(known.code, texts.fill(known.title)?)
    };
    let mut explanation = match action {
        Action::Hook { key, requested } => {
            let explanation = explanation
                .because(format!(
                    "{key} failed. {} sets it to:",
                    words.origin(&requested.origin)
                ))
                .because_all(quoted(&requested.value));
            happened(explanation, "It", error, found_match.line)
        }
        _ => happened(explanation, &named(error), error, found_match.line),
    };
    let fill = |texts_of: &[&str]| -> Vec<String> {
        texts_of
            .iter()
            .filter_map(|text| texts.fill(text))
            .collect()
    };
    explanation.cause.extend(fill(known.cause));
    explanation.cure.extend(fill(known.cure));
    Some(explanation)
}

/// Converts the output of npm 9 and older, which wrote `npm ERR!`.
fn without_npm_err_prefix(line: &str) -> String {
    line.replacen("npm ERR!", "npm error", 1)
}

/// The place of a match.
struct Match {
    /// The line, if the sign is a line.
    line: Option<usize>,
    captured: Vec<String>,
}

impl Known {
    fn applies_to(&self, action: &Action) -> bool {
        match action {
            // These run any commands of the app.
            Action::Hook { .. } | Action::CustomScript { .. } | Action::AssetsDeploy => {
                self.tool != Tool::FetchingManager
            }
            Action::Deps
            | Action::Compile
            | Action::Digest
            | Action::Release
            | Action::ProjectInfo => {
                matches!(self.tool, Tool::Mix | Tool::Any)
            }
            Action::JsInstall { .. } | Action::AssetScript { .. } | Action::Bower { .. } => {
                matches!(self.tool, Tool::JavaScript | Tool::Any)
            }
            Action::PackageManager { .. } => match self.tool {
                Tool::FetchingManager => true,
                Tool::JavaScript | Tool::Any => {
                    self.fault != Fault::User || self.code == "certificate-not-trusted"
                }
                Tool::Mix => false,
            },
        }
    }

    fn found(&self, lines: &[String], code: i32) -> Option<Match> {
        self.signs.iter().find_map(|sign| sign.found(lines, code))
    }
}

impl Sign {
    fn found(&self, lines: &[String], code: i32) -> Option<Match> {
        let found_match = |pattern: &str| {
            lines.iter().enumerate().find_map(|(at, line)| {
                Some(Match {
                    line: Some(at),
                    captured: captures(pattern, line)?,
                })
            })
        };
        match self {
            Self::PathDependency(also) => path_dependency(lines, also),
            Self::Loading => trace::loading(lines).map(|line| Match {
                line: Some(line),
                captured: Vec::new(),
            }),
            Self::Killed => (code == KILLED).then(|| Match {
                line: None,
                captured: Vec::new(),
            }),
            Self::Line(pattern) => found_match(pattern),
            Self::Both(pattern, also) => {
                let found_match = found_match(pattern)?;
                let first = found_match.captured.first().map_or("", String::as_str);
                let also = also.replace("{0}", first);
                lines
                    .iter()
                    .any(|line| line.contains(&also))
                    .then_some(found_match)
            }
        }
    }
}

fn path_dependency(lines: &[String], also: &str) -> Option<Match> {
    lines.iter().enumerate().find_map(|(at, line)| {
        let captured = captures("* {} ({})", line)?;
        // The source of other dependencies is `Hex package`, a URL or an ssh host.
        let is_path = |source: &str| source != "Hex package" && !source.contains([':', '@']);
        let [name, source] = captured.as_slice() else {
            return None;
        };
        let also = also.replace("{0}", name);
        let next = lines.get(at + 1).is_some_and(|next| next.contains(&also));
        let found = next || also.contains(name) && lines.iter().any(|line| line.contains(&also));
        (is_path(source) && found).then(|| Match {
            line: Some(at),
            captured: vec![
                name.split(' ').next().unwrap_or(name).to_owned(),
                source.clone(),
            ],
        })
    })
}

/// Returns the text that the placeholders of a pattern match in a line.
fn captures(pattern: &str, line: &str) -> Option<Vec<String>> {
    let mut captured = Vec::new();
    let mut hole: Option<bool> = None;
    let mut rest = line;
    let mut pattern = pattern;
    loop {
        let end = pattern
            .find("{}")
            .into_iter()
            .chain(pattern.find('*'))
            .min();
        let (literal, after) = pattern.split_at(end.unwrap_or(pattern.len()));
        // A placeholder at the end matches the rest.
        let at = match literal {
            "" if end.is_none() && hole.is_some() => rest.len(),
            literal => rest.find(literal)?,
        };
        if hole == Some(true) {
            captured.push(rest[..at].trim().to_owned());
        }
        if end.is_none() {
            return Some(captured);
        }
        rest = &rest[at + literal.len()..];
        let is_captured = after.starts_with("{}");
        hole = Some(is_captured);
        pattern = &after[if is_captured { 2 } else { 1 }..];
    }
}

/// The values of the placeholders in the texts.
struct Texts<'a> {
    words: &'a Wording,
    action: &'a Action,
    captured: &'a [String],
    /// The line of the app's code with the failure.
    place: Option<String>,
}

impl Texts<'_> {
    /// Returns the text with its values, or `None` if one is unknown. Braces in a value are no
    /// placeholder.
    fn fill(&self, text: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            match after.split_once('}') {
                Some((name, behind)) if PLACEHOLDERS.contains(&name) => {
                    filled.push_str(&self.value(name)?);
                    rest = behind;
                }
                _ => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        Some(filled)
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "0" => self.captured.first().cloned(),
            "1" => self.captured.get(1).cloned(),
            "path 0" => self.captured.first().map(|path| trace::relative(path)),
            "place" => self.place.clone(),
            "package" => self.package(),
            "lockfile" => match self.action {
                Action::JsInstall { lockfile, .. } => lockfile.clone(),
                _ => None,
            },
            "manager" => Some(self.manager()?.to_string()),
            // npm's command, if the app's package manager is unknown.
            "add" => Some(self.manager().unwrap_or(Manager::Npm).add_for_development()),
            "remove" => Some(self.manager().unwrap_or(Manager::Npm).remove()),
            name => self.words.placeholder(name),
        }
    }

    fn package(&self) -> Option<String> {
        match self.action {
            Action::JsInstall { dir, .. } => Some(join(dir, "package.json")),
            Action::AssetScript { package, .. } => Some(package.clone()),
            _ => None,
        }
    }

    fn manager(&self) -> Option<Manager> {
        match self.action {
            Action::JsInstall { manager, .. } | Action::AssetScript { manager, .. } => {
                Some(*manager)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::samples;
    use super::*;
    use std::collections::BTreeSet;

    fn output(text: &str) -> CommandError {
        CommandError::Failed {
            command: "it".to_owned(),
            status: "exit status 1".to_owned(),
            code: 1,
            output: text.lines().map(str::to_owned).collect(),
        }
    }

    fn known_failure_of(action: &Action, error: &CommandError) -> Option<Explanation> {
        known_failure(action, error, &Wording::default())
    }

    #[test]
    fn pattern_captures_placeholders() {
        let cases: [(&str, &str, Option<&[&str]>); 8] = [
            ("the :{},", "of the :jason, it", Some(&["jason"])),
            (
                "sh: 1: {}: not found",
                "/bin/sh: 1: tsc: not found",
                Some(&["tsc"]),
            ),
            ("line *: {}: c", "bash: line 3: vite: c", Some(&["vite"])),
            ("say {}", "they say no more ", Some(&["no more"])),
            ("'*' gone", "a 'b c' gone", Some(&[])),
            ("{} and {}.", "this and that.", Some(&["this", "that"])),
            ("the :{},", "the :jason", None),
            ("none", "", None),
        ];
        for (pattern, line, expected) in cases {
            let found = captures(pattern, line);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|found| found.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{pattern:?} in {line:?}");
        }
    }

    /// Returns the row and the index of the sign that matches an output.
    fn sign_of(action: &Action, error: &CommandError) -> Option<(usize, usize)> {
        let CommandError::Failed { code, output, .. } = error else {
            return None;
        };
        let lines: Vec<String> = output
            .iter()
            .map(|line| without_npm_err_prefix(line))
            .collect();
        table().enumerate().find_map(|(row, known)| {
            let signs = known.signs.iter().enumerate();
            let mut found = signs.filter(|_| known.applies_to(action));
            let found = found.find(|(_, sign)| sign.found(&lines, *code).is_some());
            Some((row, found?.0))
        })
    }

    #[test]
    fn every_pattern_matches_sample_output() {
        let mut seen: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (name, action, error) in samples() {
            let sign = sign_of(&action, &error);
            seen.insert(sign.unwrap_or_else(|| panic!("{name} is not known")));
        }
        for (row, known) in table().enumerate() {
            for (place, sign) in known.signs.iter().enumerate() {
                // Other tests cover these two: a response of hex.pm, and a status.
                let elsewhere = matches!(
                    sign,
                    Sign::Killed
                        | Sign::Both(
                            _,
                            "you don't have permissions to it"
                                | "Failed to exchange API key for OAuth token"
                        )
                ) || matches!(sign, Sign::Line(text) if text.contains("--check-locked"));
                assert!(
                    seen.contains(&(row, place)) || elsewhere,
                    "no sample of {sign:?} of {}",
                    known.code
                );
            }
        }
    }

    #[test]
    fn text_with_unknown_placeholder_is_omitted() {
        let words = Wording::default();
        let texts = |captured| Texts {
            words: &words,
            action: &Action::Compile,
            captured,
            place: None,
        };
        let captured = ["{set} {1}".to_owned()];
        assert_eq!(
            texts(&captured)
                .fill("mix deps.update {0} ${NAME} {")
                .unwrap(),
            "mix deps.update {set} {1} ${NAME} {"
        );
        for text in ["{0} {1}", "{manager} install", "{lockfile}"] {
            assert_eq!(texts(&captured).fill(text), None, "{text}");
        }
        let lost = table().filter(|known| {
            let needs = |text: &&str| {
                ["{manager}", "{lockfile}", "{package}"]
                    .iter()
                    .any(|name| text.contains(name))
            };
            known.cure.iter().all(needs) || needs(&known.title)
        });
        assert_eq!(lost.map(|known| known.code).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn patterns_apply_only_to_tools_of_command() {
        let npm = output("npm error code ERESOLVE");
        assert!(known_failure_of(&Action::Deps, &npm).is_none());
        assert!(known_failure_of(&Action::AssetsDeploy, &npm).is_some());
        let mix = output("could not compile dependency :left, it failed");
        let script = Action::AssetScript {
            command: "npm run deploy".to_owned(),
            script: "deploy".to_owned(),
            manager: Manager::Npm,
            package: "package.json".to_owned(),
        };
        assert!(known_failure_of(&script, &mix).is_none());
        assert!(known_failure_of(&Action::Compile, &mix).is_some());
    }

    #[test]
    fn warnings_are_not_causes() {
        for text in [
            "npm warn EBADENGINE Unsupported engine {\n** (Mix) Could not start",
            "warning: the dependency :newer requires Elixir \"~> 1.99\" but you are running on v1.18.3\n** (CompileError) lib/a.ex",
            " WARN  GET https://registry.example/ms error (ERR_PNPM_TARBALL_INTEGRITY). Will retry in 10 seconds.",
            "ENOSPC: System limit for number of file watchers reached",
            "$ mix deps.get --only prod --check-locked",
            "Unchecked dependencies for environment prod:\n* left\n  lock mismatch: the dependency is out of date",
            "Checking whether Mix can find \"make\" in the path",
        ] {
            let hook = Action::AssetsDeploy;
            assert_eq!(
                known_failure_of(&hook, &output(text)).map(|known| known.code),
                None,
                "{text}"
            );
        }
    }
}

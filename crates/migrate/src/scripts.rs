//! Workflows and scripts that set the buildpacks, and texts that only mention them.

use crate::{Edit, Notes, buildpacks, name};
use app::facts::buildpacks::{Entry, Kind};
use std::ops::Range;

/// Directories of executable scripts.
const SCRIPT_DIRS: [&str; 4] = ["bin/", "script/", "scripts/", ".buildkite/"];
/// Names and extensions of scripts, and of config files for CI and infrastructure.
const SCRIPT_NAMES: [&str; 3] = ["Makefile", "Justfile", "justfile"];
const SCRIPT_ENDINGS: [&str; 6] = [".yml", ".yaml", ".sh", ".bash", ".mk", ".tf"];

/// Text in lines that set buildpacks: commands, options, a config var, inputs of actions, keys of Terraform.
const SETTERS: [&str; 9] = [
    "buildpacks:set",
    "buildpacks:add",
    "--buildpack",
    "BUILDPACK_URL",
    "buildpack:",
    "buildpack =",
    "buildpack=",
    "buildpacks =",
    "buildpacks=",
];

pub(crate) fn is_script(path: &str) -> bool {
    let is_executable = SCRIPT_DIRS.iter().any(|dir| path.starts_with(dir)) && !is_markdown(path);
    is_executable
        || SCRIPT_NAMES.contains(&name(path))
        || SCRIPT_ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// Whether a file is documentation.
pub(crate) fn is_markdown(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".md")
}

/// A URL of an old buildpack, or of a fork, in a line.
struct Mention {
    kind: Kind,
    is_fork: bool,
    /// Its byte range in the line.
    range: Range<usize>,
}

/// Returns the URLs in a line.
fn mentions_in(line: &str) -> Vec<Mention> {
    let ends = |c: char| c.is_whitespace() || "\"'`,[]()<>=;|{}".contains(c);
    let mut found = Vec::new();
    let mut at = 0;
    for word in line.split_inclusive(ends) {
        let address = word.trim_end_matches(ends).trim_end_matches(['.', ':']);
        let range = at..at + address.len();
        at += word.len();
        let entry = Entry::of(address);
        let lower = entry.name.to_ascii_lowercase();
        let is_fork = !buildpacks::is_known(&entry.owner);
        let is_address = address.contains('/')
            && !lower.contains("otp-builds")
            && (!is_fork && !entry.owner.is_empty() || is_fork && lower.contains("buildpack"));
        let kind = entry.kind();
        if is_address && [Kind::OldElixir, Kind::Static].contains(&kind) {
            found.push(Mention {
                kind,
                is_fork,
                range,
            });
        }
    }
    found
}

/// Returns the edits of a script: all lines that need one, or none.
pub(crate) fn edits(text: &str, url: &str, notes: &mut Notes<'_>) -> Vec<Edit> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut edits = Vec::new();
    let mut unclear = Vec::new();
    let mut removed = Vec::new();
    let mut at = 0;
    for (index, line) in lines.iter().enumerate() {
        let is_comment = line.trim_start().starts_with(['#', '/']);
        let mentions = if is_comment {
            Vec::new()
        } else {
            mentions_in(line)
        };
        for mention in &mentions {
            let is_clear = !mention.is_fork && mentions.len() == 1;
            match mention.kind {
                Kind::OldElixir if is_clear && sets_buildpacks(&lines, index) => edits.push(Edit {
                    range: at + mention.range.start..at + mention.range.end,
                    text: url.to_owned(),
                }),
                Kind::Static if is_clear && is_removable(&lines, index) => removed.push(Edit {
                    range: at..at + line.len(),
                    text: String::new(),
                }),
                _ => unclear.push(index + 1),
            }
        }
        at += line.len();
    }
    unclear.dedup();
    let names_mixpack = !edits.is_empty() || text.contains(url);
    if unclear.is_empty() && names_mixpack {
        edits.append(&mut removed);
        return edits;
    }
    for line in unclear {
        notes.add(line, "This line names a buildpack that Mixpack replaces, in a way that isn't certain to be understood, so the whole file stays as it is. Edit it by hand.");
    }
    for edit in removed {
        let line = crate::line_of(text, edit.range.start);
        notes.add(line, "This line adds the buildpack for static assets, which Mixpack replaces. Remove it if this app gets Mixpack.");
    }
    Vec::new()
}

/// Whether a line sets buildpacks, or is an entry of a list of them.
fn sets_buildpacks(lines: &[&str], index: usize) -> bool {
    SETTERS.iter().any(|setter| lines[index].contains(setter)) || is_entry(lines, index)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line is only a URL in a list whose name is about buildpacks.
fn is_entry(lines: &[&str], index: usize) -> bool {
    let line = lines[index]
        .trim()
        .trim_start_matches("- ")
        .trim_start_matches("url: ");
    let is_alone = !line
        .trim_matches(['"', '\'', ','])
        .contains([' ', '"', '\'']);
    let own = indentation(lines[index]);
    let mut before = lines[..index]
        .iter()
        .rev()
        .filter(|line| !line.trim().is_empty());
    // In YAML, a list may have the same indentation as its key.
    let key = before
        .find(|line| indentation(line) < own || !line.trim_start().starts_with(['-', '"', '#']));
    is_alone && key.is_some_and(|key| key.to_ascii_lowercase().contains("buildpack"))
}

/// Whether a line only adds a buildpack, so that removing it leaves valid code.
fn is_removable(lines: &[&str], index: usize) -> bool {
    let line = lines[index].trim();
    let previous = index
        .checked_sub(1)
        .map_or("", |index| lines[index].trim_end());
    let next = lines.get(index + 1).copied().unwrap_or_default();
    let has_more = !next.trim().is_empty() && indentation(next) > indentation(lines[index]);
    if line.starts_with('-') && has_more || previous.ends_with('\\') {
        return false;
    }
    if is_entry(lines, index) {
        return true;
    }
    let command = line.trim_start_matches(['-', '@', ' ']);
    let command = if line.starts_with("- ") {
        command.trim_start_matches("run: ")
    } else {
        command
    };
    let is_alone = !["&&", "||", ";", "|", "\\", "--index", " -i "]
        .iter()
        .any(|part| command.contains(part));
    let is_only_command =
        previous.ends_with(['|', '>']) && (!has_same_indentation(next, lines[index]));
    ["heroku ", "dokku "]
        .iter()
        .any(|program| command.starts_with(program))
        && command.contains("buildpacks:add")
        && is_alone
        && !is_only_command
}

fn has_same_indentation(a: &str, b: &str) -> bool {
    !a.trim().is_empty() && indentation(a) == indentation(b)
}

/// Adds notes about the lines of a document that mention the old buildpacks.
pub(crate) fn mentions(text: &str, notes: &mut Notes<'_>) {
    let named: Vec<usize> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| mentions_in(line).iter().any(|mention| !mention.is_fork))
        .map(|(line, _)| line)
        .collect();
    let Some((first, others)) = named.split_first() else {
        return;
    };
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let others = match others.len() {
        0 => String::new(),
        1 => format!(", and so does line {}", others[0]),
        _ => format!(", and so do lines {}", others.join(", ")),
    };
    notes.add(
        *first,
        format!(
            "This line names a buildpack that Mixpack replaces{others}. Edit the text by hand."
        ),
    );
}

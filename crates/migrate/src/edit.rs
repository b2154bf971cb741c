//! Edits of a text, and their unified diff.

use crate::File;
use std::fmt::Write;
use std::ops::Range;

/// Replaces a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub path: String,
    pub old: String,
    pub new: String,
    /// The changed ranges of `old`, as whole lines, with the new lines. In order.
    changes: Vec<(Range<usize>, String)>,
}

impl Edited {
    /// The edits don't overlap.
    pub(crate) fn new(file: &File, mut edits: Vec<Edit>) -> Self {
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let old = &file.text;
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut new = String::new();
        let mut at = 0;
        for edit in edits {
            new.push_str(&old[at..edit.range.start]);
            new.push_str(&edit.text);
            at = edit.range.end;
            let lines = whole_lines(old, &edit.range);
            if let Some((last, text)) = changes
                .last_mut()
                .filter(|(last, _)| lines.start < last.end)
            {
                let kept = last.end - edit.range.start;
                text.truncate(text.len() - kept);
                text.push_str(&edit.text);
                text.push_str(&old[edit.range.end..lines.end]);
                last.end = lines.end;
            } else {
                let before = &old[lines.start..edit.range.start];
                let after = &old[edit.range.end..lines.end];
                changes.push((lines, format!("{before}{}{after}", edit.text)));
            }
        }
        new.push_str(&old[at..]);
        Self {
            path: file.path.clone(),
            old: old.clone(),
            new,
            changes,
        }
    }
}

/// Edits a config file: replaces the assignments in the lines with these 1-based numbers by others, such as
/// `erlang_version=27.3`. Each replaces the one with the same name, or else becomes a new line before them. `None`
/// without such lines.
#[must_use]
pub fn with_assignments(file: &File, numbers: &[u32], assignments: &[String]) -> Option<Edited> {
    let mut edits = Vec::new();
    let mut new: Vec<&String> = assignments.iter().collect();
    let mut first = None;
    let mut at = 0;
    for (number, line) in (1..).zip(file.text.split_inclusive('\n')) {
        let (start, content) = (at, line.trim_end());
        at += line.len();
        if !numbers.contains(&number) {
            continue;
        }
        first.get_or_insert(start);
        let (name, value) = content.split_once('=')?;
        let position = new
            .iter()
            .position(|new| new.starts_with(&format!("{name}=")))?;
        // Keep a comment.
        let is_word = !value.contains(['"', '\'', '(']);
        let end = value
            .find([' ', '\t'])
            .filter(|_| is_word)
            .unwrap_or(value.len());
        edits.push(Edit {
            range: start..start + name.len() + 1 + end,
            text: new.remove(position).clone(),
        });
    }
    let first = first?;
    for assignment in new {
        let line_end = if file.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        edits.push(Edit {
            range: first..first,
            text: format!("{assignment}{line_end}"),
        });
    }
    Some(Edited::new(file, edits))
}

/// Extends a range to whole lines.
fn whole_lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let ends_a_line = range.end > range.start && text[..range.end].ends_with('\n');
    let end = if ends_a_line {
        range.end
    } else {
        text[range.end..]
            .find('\n')
            .map_or(text.len(), |at| range.end + at + 1)
    };
    start..end
}

/// Lines of the file around a change.
const CONTEXT: usize = 3;

/// Old lines, starting at this index, and the new lines.
struct Change<'a> {
    at: usize,
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

/// Returns the unified diff of a file, in the format of `patch`.
#[must_use]
pub fn diff(edited: &Edited, in_color: bool) -> String {
    let color = |code: &'static str| if in_color { code } else { "" };
    let (bold, red, green, cyan) = (
        color("\u{1b}[1m"),
        color("\u{1b}[31m"),
        color("\u{1b}[32m"),
        color("\u{1b}[36m"),
    );
    let end = color("\u{1b}[0m");
    let path = &edited.path;
    let mut text = format!("{bold}--- a/{path}{end}\n{bold}+++ b/{path}{end}\n");
    let lines: Vec<&str> = edited.old.split_inclusive('\n').collect();
    let mut changes: Vec<Change<'_>> = Vec::new();
    for change in edited.changes.iter().map(|change| trimmed(edited, change)) {
        match changes.last_mut() {
            Some(last) if change.at == last.at + last.old.len() => {
                last.old.extend(change.old);
                last.new.extend(change.new);
            }
            _ => changes.push(change),
        }
    }
    let are_near = |a: &Change<'_>, b: &Change<'_>| b.at <= a.at + a.old.len() + 2 * CONTEXT;
    let mut moved = 0_isize;
    for hunk in changes.chunk_by(are_near) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        let start = first.at.saturating_sub(CONTEXT);
        let stop = lines.len().min(last.at + last.old.len() + CONTEXT);
        let grown: isize = hunk
            .iter()
            .map(|change| signed(change.new.len()) - signed(change.old.len()))
            .sum();
        let (old_count, new_count) = (stop - start, signed(stop - start) + grown);
        let new_start = signed(start) + moved + 1;
        let _ = writeln!(
            text,
            "{cyan}@@ -{},{old_count} +{new_start},{new_count} @@{end}",
            start + 1
        );
        moved += grown;
        let mut at = start;
        for change in hunk {
            shown(&mut text, &lines[at..change.at], (" ", "", ""));
            shown(&mut text, &change.old, ("-", red, end));
            shown(&mut text, &change.new, ("+", green, end));
            at = change.at + change.old.len();
        }
        shown(&mut text, &lines[at..stop], (" ", "", ""));
    }
    text
}

fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

/// Removes unchanged lines from both ends of a change.
fn trimmed<'a>(edited: &'a Edited, (range, text): &'a (Range<usize>, String)) -> Change<'a> {
    let mut old: Vec<&str> = edited.old[range.clone()].split_inclusive('\n').collect();
    let mut new: Vec<&str> = text.split_inclusive('\n').collect();
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    old.drain(..same);
    new.drain(..same);
    while old.last().is_some_and(|last| new.last() == Some(last)) {
        old.pop();
        new.pop();
    }
    let before = edited.old[..range.start].split_inclusive('\n').count();
    Change {
        at: before + same,
        old,
        new,
    }
}

fn shown(text: &mut String, lines: &[&str], (sign, color, end): (&str, &str, &str)) {
    for line in lines {
        let (line, rest) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (*line, "\n\\ No newline at end of file\n"),
        };
        let _ = write!(text, "{color}{sign}{line}{end}{rest}");
    }
}

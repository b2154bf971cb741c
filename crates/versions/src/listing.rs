//! The two formats of lists of builds: the lines that the OTP and the Elixir `builds.txt` of
//! builds.hex.pm share, and the CSV of `erlef/otp_builds`.

use crate::text::{is_hex, is_path_safe};

/// What both formats say of a build: `NAME GIT_SHA BUILT_AT [SHA256]`.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) git_sha: &'a str,
    pub(crate) built_at: &'a str,
    pub(crate) sha256: Option<String>,
}

/// The well-formed lines of a list, and how many were neither well-formed nor blank.
///
/// A checksum that is present but not 64 hexadecimal digits makes the line malformed: it must
/// never pass for a build that has none.
pub(crate) fn lines(text: &str) -> (Vec<Line<'_>>, usize) {
    let mut malformed = 0;
    let mut lines = Vec::new();
    for text in text.trim_start_matches('\u{feff}').lines() {
        if text.trim().is_empty() {
            continue;
        }
        match line(text) {
            Some(line) => lines.push(line),
            None => malformed += 1,
        }
    }
    (lines, malformed)
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut fields = text.split_whitespace();
    let (name, git_sha, built_at) = (fields.next()?, fields.next()?, fields.next()?);
    let sha256 = fields.next();
    if fields.next().is_some() {
        return None;
    }
    checked(name, git_sha, built_at, sha256)
}

/// The columns that are read, as the header names them.
const COLUMNS: [&str; 4] = ["ref_name", "ref", "datetime", "sha256"];

/// The well-formed rows of a CSV list, and how many were neither well-formed nor blank; nothing
/// for a text whose first line does not name the columns. Their order, and what else there is, is
/// upstream's business.
///
/// None of the values needs quotes. A row with quotes around other values may be malformed, but
/// cannot pass for another one, since each of these four has a form of its own.
pub(crate) fn csv_rows(text: &str) -> Option<(Vec<Line<'_>>, usize)> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .filter(|line| !line.trim().is_empty());
    let header: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let at = |name: &str| header.iter().position(|column| *column == name);
    let [name, git_sha, built_at, sha256] = COLUMNS.map(at);
    let columns = [name?, git_sha?, built_at?, sha256?];
    let mut malformed = 0;
    let mut rows = Vec::new();
    for line in lines {
        match row(line, columns) {
            Some(row) => rows.push(row),
            None => malformed += 1,
        }
    }
    Some((rows, malformed))
}

fn row(text: &str, columns: [usize; 4]) -> Option<Line<'_>> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [name, git_sha, built_at, sha256] = columns.map(|column| fields.get(column).copied());
    let sha256 = sha256.filter(|sha256| !sha256.is_empty());
    checked(name?, git_sha?, built_at?, sha256)
}

fn checked<'a>(
    name: &'a str,
    git_sha: &'a str,
    built_at: &'a str,
    sha256: Option<&str>,
) -> Option<Line<'a>> {
    let well_formed = is_path_safe(name)
        && is_hex(git_sha, 40)
        && built_at.starts_with(|c: char| c.is_ascii_digit())
        && sha256.is_none_or(|digest| is_hex(digest, 64));
    well_formed.then(|| Line {
        name,
        git_sha,
        built_at,
        sha256: sha256.map(str::to_ascii_lowercase),
    })
}
